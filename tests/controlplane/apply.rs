//! Server-side apply and field ownership. The expected answers are a real 1.36 kube-apiserver's.

use crate::support::{Plane, WIDGETS, plane, widget};
use serde_json::{Value, json};

const APPLY: &str = "application/apply-patch+yaml";

async fn apply(p: &Plane, manager: &str, value: Value) -> (u16, Value) {
    p.raw("PATCH", &format!("{WIDGETS}/w?fieldManager={manager}"), APPLY, value)
        .await
}

fn fields(object: &Value, manager: &str) -> Value {
    let list = object["metadata"]["managedFields"].as_array().unwrap();
    list.iter()
        .find(|e| e["manager"] == manager)
        .map_or(Value::Null, |e| e["fieldsV1"].clone())
}

#[tokio::test]
async fn two_managers_share_conflict_and_force() {
    let p = plane();
    let (code, made) = apply(
        &p,
        "a",
        widget("w", json!({"size": 1, "tags": ["x"], "steps": [{"name": "s"}]})),
    )
    .await;
    assert_eq!(code, 201);
    assert_eq!(
        fields(&made, "a"),
        json!({"f:spec": {"f:size": {}, "f:tags": {"v:\"x\"": {}}, "f:steps": {"k:{\"name\":\"s\"}": {".": {}, "f:name": {}}}}})
    );
    let (code, same) = apply(
        &p,
        "a",
        widget("w", json!({"size": 1, "tags": ["x"], "steps": [{"name": "s"}]})),
    )
    .await;
    assert_eq!((code, &same), (200, &made), "nothing changed, nothing written");
    let (code, both) = apply(&p, "b", widget("w", json!({"size": 1, "tags": ["y"]}))).await;
    assert_eq!((code, &both["spec"]["tags"]), (200, &json!(["x", "y"])));
    let (code, conflict) = apply(&p, "b", widget("w", json!({"size": 2}))).await;
    assert_eq!((code, &conflict["reason"]), (409, &json!("Conflict")));
    assert_eq!(
        conflict["message"],
        r#"Apply failed with 1 conflict: conflict with "a": .spec.size"#
    );
    assert_eq!(
        conflict["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": r#"conflict with "a""#, "field": ".spec.size"}])
    );
    let (code, forced) = apply(&p, "b&force=true", widget("w", json!({"size": 2}))).await;
    assert_eq!((code, &forced["spec"]["size"]), (200, &json!(2)));
    assert_eq!(fields(&forced, "a")["f:spec"].get("f:size"), None, "forced away from a");
    assert_eq!(forced["spec"]["tags"], json!(["x"]), "y was b's alone and is given up");
    let (_, less) = apply(&p, "a", widget("w", json!({"tags": ["x"]}))).await;
    assert_eq!((less["spec"].get("steps"), &less["spec"]["size"]), (None, &json!(2)));
}

#[tokio::test]
async fn an_update_takes_what_it_changes() {
    let p = plane();
    apply(&p, "a", widget("w", json!({"size": 1, "suspend": true}))).await;
    let path = format!("{WIDGETS}/w?fieldManager=m");
    let (_, w) = p
        .raw(
            "PATCH",
            &path,
            "application/merge-patch+json",
            json!({"spec": {"size": 5}}),
        )
        .await;
    assert_eq!(fields(&w, "m"), json!({"f:spec": {"f:size": {}}}));
    assert_eq!(fields(&w, "a"), json!({"f:spec": {"f:suspend": {}}}));
    let (code, e) = apply(&p, "a", widget("w", json!({"size": 6, "suspend": true}))).await;
    assert_eq!(code, 409);
    assert_eq!(
        e["message"],
        r#"Apply failed with 1 conflict: conflict with "m" using test.mosdat.dev/v1alpha1: .spec.size"#
    );
    let (_, w) = apply(&p, "a", widget("w", json!({"size": 5, "suspend": true}))).await;
    assert!(
        fields(&w, "a")["f:spec"]["f:size"].is_object(),
        "the same value is owned together"
    );
}

#[tokio::test]
async fn status_has_owners_of_its_own() {
    let p = plane();
    apply(&p, "a", widget("w", json!({"size": 1}))).await;
    let mut config = widget("w", json!({}));
    config.as_object_mut().unwrap().remove("spec");
    config["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    let path = format!("{WIDGETS}/w/status?fieldManager=controller");
    let (code, w) = p.raw("PATCH", &path, APPLY, config).await;
    assert_eq!((code, &w["status"]["phase"]), (200, &json!("Running")));
    let entries = w["metadata"]["managedFields"].as_array().unwrap();
    let mine = entries.iter().find(|e| e["manager"] == "controller").unwrap();
    assert_eq!(mine["subresource"], "status");
    assert_eq!(
        mine["fieldsV1"]["f:status"]["f:conditions"],
        json!({"k:{\"type\":\"Ready\"}": {".": {}, "f:status": {}, "f:type": {}}})
    );
    let (_, w) = apply(&p, "a", widget("w", json!({"size": 2}))).await;
    assert_eq!(w["status"]["phase"], "Running");
}

#[tokio::test]
async fn what_an_apply_must_bring() {
    let p = plane();
    let (code, e) = p
        .raw("PATCH", &format!("{WIDGETS}/w"), APPLY, widget("w", json!({"size": 1})))
        .await;
    assert_eq!(code, 422);
    assert_eq!(
        e["message"],
        r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#
    );
    let (code, e) = apply(&p, "a", widget("w", json!({"size": 1, "typo": 1}))).await;
    assert_eq!(code, 500);
    assert!(
        e["message"]
            .as_str()
            .unwrap()
            .ends_with(".spec.typo: field not declared in schema"),
        "{e}"
    );
    let mut config = widget("w", json!({"size": 1}));
    config["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    assert_eq!(apply(&p, "a", config).await.0, 400);
    let yaml = b"apiVersion: test.mosdat.dev/v1alpha1\nkind: Widget\nmetadata:\n  name: w\nspec:\n  size: 4\n";
    let request = http::Request::patch(format!("{WIDGETS}/w?fieldManager=a")).header("content-type", APPLY);
    let response = p
        .client
        .send(request.body(yaml.to_vec().into()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 201, "a configuration may be YAML");
}
