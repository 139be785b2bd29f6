//! What is refused, and in which words. The texts are a real 1.36 kube-apiserver's answers to the same requests.

use crate::support::{WIDGETS, plane, widget, widget_crd};
use mosdat::controlplane::{ControlPlane, Error, Kinds, Options};
use serde_json::{Value, json};

const BLOCKED: &str = "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; \
                       correct the existing errors to complete validation";

#[tokio::test]
async fn schema_errors_name_the_field() {
    let p = plane();
    let long = "x".repeat(30);
    let cases: Vec<(Value, String)> = vec![
        (json!({}), format!("[spec.size: Required value, {BLOCKED}]")),
        (json!({"size": null}), format!("[spec.size: Required value, {BLOCKED}]")),
        (
            json!({"size": "x"}),
            format!(
                r#"[spec.size: Invalid value: "string": spec.size in body must be of type integer: "string", {BLOCKED}]"#
            ),
        ),
        (
            json!({"size": 0}),
            "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1".into(),
        ),
        (
            json!({"size": 1, "colour": "blue"}),
            format!(r#"[spec.colour: Unsupported value: "blue": supported values: "red", "green", {BLOCKED}]"#),
        ),
        (
            json!({"size": 1, "reason": long}),
            format!("[spec.reason: Too long: may not be more than 20 bytes, {BLOCKED}]"),
        ),
        (
            json!({"size": 1, "steps": [{"name": "a"}, {"name": "a"}]}),
            r#"spec.steps[1]: Duplicate value: {"name":"a"}"#.into(),
        ),
        (
            json!({"size": 1, "tags": ["a", "a"]}),
            r#"spec.tags[1]: Duplicate value: "a""#.into(),
        ),
        (
            json!({"size": 300}),
            "spec: Invalid value: a big widget needs a reason".into(),
        ),
    ];
    for (spec, text) in cases {
        let (code, status) = p.create(widget("w", spec.clone())).await;
        assert_eq!((code, &status["reason"]), (422, &json!("Invalid")), "{spec}: {status}");
        assert_eq!(
            status["message"],
            format!(r#"Widget.test.mosdat.dev "w" is invalid: {text}"#)
        );
    }
    let (_, status) = p.create(widget("w", json!({"size": 0}))).await;
    let cause = json!({"reason": "FieldValueInvalid", "field": "spec.size",
        "message": "Invalid value: 0: spec.size in body should be greater than or equal to 1"});
    assert_eq!(
        status["details"],
        json!({"name": "w", "group": "test.mosdat.dev", "kind": "Widget", "causes": [cause]})
    );
}

#[tokio::test]
async fn transition_rules_hold_on_every_door() {
    let p = plane();
    p.create(widget("w", json!({"size": 1}))).await;
    let path = format!("{WIDGETS}/w");
    let change = json!({"spec": {"colour": "green"}});
    let text = r#"Widget.test.mosdat.dev "w" is invalid: spec: Invalid value: colour is immutable"#;
    let (code, status) = p.raw("PATCH", &path, "application/merge-patch+json", change).await;
    assert_eq!((code, &status["message"]), (422, &json!(text)));
    let ops = json!([{"op": "replace", "path": "/spec/colour", "value": "green"}]);
    assert_eq!(
        p.raw("PATCH", &path, "application/json-patch+json", ops).await.1["message"],
        text
    );
    let config = widget("w", json!({"size": 1, "colour": "green"}));
    let apply = format!("{path}?fieldManager=m&force=true");
    assert_eq!(
        p.raw("PATCH", &apply, "application/apply-patch+yaml", config).await.1["message"],
        text
    );
}

#[tokio::test]
async fn unknown_fields_are_dropped_warned_of_or_refused() {
    let p = plane();
    let spec = json!({"size": 1, "typo": 1, "steps": [{"name": "a", "bad": 2}], "extra": {"free": {"form": 1}}});
    let (code, made) = p.create(widget("w", spec.clone())).await;
    assert_eq!(code, 201);
    assert_eq!(made["spec"].get("typo"), None);
    assert_eq!(made["spec"]["steps"], json!([{"name": "a", "retries": 3}]));
    assert_eq!(made["spec"]["extra"], json!({"free": {"form": 1}}));
    let strict = format!("{WIDGETS}?fieldValidation=Strict");
    let (code, status) = p.raw("POST", &strict, "application/json", widget("s", spec)).await;
    assert_eq!(code, 400);
    let text = r#"Widget in version "v1alpha1" cannot be handled as a Widget: strict decoding error: unknown field "spec.steps[0].bad", unknown field "spec.typo""#;
    let mut is: Vec<&str> = status["message"]
        .as_str()
        .unwrap()
        .split("error: ")
        .nth(1)
        .unwrap()
        .split(", ")
        .collect();
    is.sort_unstable();
    assert_eq!(is.join(", "), text.split("error: ").nth(1).unwrap());
    let path = format!("{WIDGETS}/w?fieldValidation=Strict");
    let (code, status) = p
        .raw(
            "PATCH",
            &path,
            "application/merge-patch+json",
            json!({"spec": {"typo": 1}}),
        )
        .await;
    assert_eq!(code, 422);
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .ends_with(r#"strict decoding error: unknown field "spec.typo""#)
    );
}

#[tokio::test]
async fn names_labels_and_owners_are_checked() {
    let p = plane();
    let bad = |metadata: Value| {
        let mut w = widget("", json!({"size": 1}));
        w["metadata"] = metadata;
        w
    };
    for metadata in [
        json!({"name": "Bad_Name"}),
        json!({"name": "w", "labels": {"a b": "c"}}),
        json!({"name": "w", "labels": "x"}),
        json!({"name": "w", "annotations": ["x"]}),
        json!({"name": "w", "finalizers": "x"}),
        json!({"name": "w", "labels": {"a": "c d"}}),
        json!({"name": "w", "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": ""}]}),
        json!({}),
    ] {
        let (code, status) = p.create(bad(metadata.clone())).await;
        assert_eq!(code, 422, "{metadata}: {status}");
        assert!(status["message"].as_str().unwrap().contains("metadata."), "{status}");
    }
}

fn open_error(change: impl FnOnce(&mut Value)) -> String {
    let mut crd = serde_json::to_value(widget_crd()).unwrap();
    change(&mut crd);
    match Kinds::new(vec![serde_json::from_value(crd).unwrap()]) {
        Ok(_) => panic!("compiled"),
        Err(e) => e.to_string(),
    }
}

#[tokio::test]
async fn a_definition_that_cannot_be_kept_is_refused_at_the_start() {
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let rules = |rule: Value| {
        open_error(move |crd| crd.pointer_mut(schema).unwrap()["x-kubernetes-validations"] = json!([rule]))
    };
    let e = rules(json!({"rule": "self.size >"}));
    assert!(
        e.contains("Widget") && e.contains("spec") && e.contains("self.size >"),
        "{e}"
    );
    assert!(rules(json!({"rule": "isURL(self.reason)"})).contains("isURL"));
    let e = rules(json!({"rule": "self.size > oldSelf.size", "optionalOldSelf": true}));
    assert!(e.contains("optionalOldSelf"), "{e}");
    let e = open_error(|crd| {
        crd["spec"]["versions"][0]["subresources"]["scale"] =
            json!({"specReplicasPath": ".a", "statusReplicasPath": ".b"})
    });
    assert!(e.contains("scale"), "{e}");
    let e = open_error(|crd| crd.pointer_mut(schema).unwrap()["properties"]["size"]["format"] = "hostname".into());
    assert!(e.contains("hostname") && e.contains("spec.size"), "{e}");
}

#[tokio::test]
async fn the_projects_own_kinds_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let crds = mosdat::api::crds();
    let count = crds.len();
    let cp = ControlPlane::open(Options {
        state_file: dir.path().join("s"),
        kinds: Kinds::new(crds).unwrap(),
    })
    .unwrap();
    let request = http::Request::get("/apis/mosdat.dev/v1alpha1").body(vec![]).unwrap();
    let list: Value = cp.client("default").request(request).await.unwrap();
    let main = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| !r["name"].as_str().unwrap().contains('/'));
    assert_eq!(main.count(), count);
}

#[tokio::test]
async fn a_state_file_in_use_or_broken_is_named() {
    let p = plane();
    let again = ControlPlane::open(Options {
        state_file: p.dir.path().join("state.redb"),
        kinds: Kinds::new(vec![]).unwrap(),
    });
    let e = again.err().unwrap();
    assert!(
        matches!(e, Error::Locked { .. }) && e.to_string().contains("state.redb"),
        "{e}"
    );
    let file = p.dir.path().join("broken");
    std::fs::write(&file, vec![7u8; 8192]).unwrap();
    let e = ControlPlane::open(Options {
        state_file: file,
        kinds: Kinds::new(vec![]).unwrap(),
    })
    .err()
    .unwrap();
    assert!(matches!(e, Error::Corrupt { .. }), "{e}");
}
