//! create, get, list, update, patch, delete, discovery, tables, refusals.

use crate::support::{WIDGETS, plane, typed, widget, widgets_resource};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

#[tokio::test]
async fn an_object_lives_through_its_verbs() {
    let p = plane();
    let api = p.widgets();
    let made = api
        .create(&PostParams::default(), &typed(widget("a", json!({"size": 3}))))
        .await
        .unwrap();
    assert_eq!(made.metadata.generation, Some(1));
    assert!(made.metadata.uid.is_some() && made.metadata.creation_timestamp.is_some());
    assert_eq!(
        made.data["spec"],
        json!({"size": 3, "colour": "red"}),
        "defaults are filled in"
    );
    let mut changed = made.clone();
    changed.data["spec"]["size"] = 4.into();
    let replaced = api.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_eq!(replaced.metadata.generation, Some(2));
    let stale = api.replace("a", &PostParams::default(), &changed).await.unwrap_err();
    let kube::Error::Api(status) = stale else {
        panic!("{stale}")
    };
    assert_eq!(status.code, 409);
    assert_eq!(
        status.message,
        r#"Operation cannot be fulfilled on widgets.test.mosdat.dev "a": the object has been modified; please apply your changes to the latest version and try again"#
    );
    let patched = api
        .patch(
            "a",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"suspend": true}})),
        )
        .await
        .unwrap();
    assert_eq!(patched.metadata.generation, Some(3));
    let same = api
        .patch(
            "a",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"suspend": true}})),
        )
        .await
        .unwrap();
    assert_eq!(
        same.metadata.resource_version, patched.metadata.resource_version,
        "nothing changed, nothing written"
    );
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 1);
    let gone = api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(gone.is_right(), "an object without finalizers is gone at once");
    assert!(api.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn status_and_spec_have_separate_doors() {
    let p = plane();
    let api = p.widgets();
    let mut w = widget("a", json!({"size": 3}));
    w["status"] = json!({"phase": "Sneaked"});
    let made = api.create(&PostParams::default(), &typed(w)).await.unwrap();
    assert_eq!(made.data.get("status"), None, "a create does not set status");
    let patch = json!({"spec": {"size": 9}, "status": {"phase": "Running"}});
    let set = api
        .patch_status("a", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
    assert_eq!(
        (&set.data["spec"]["size"], &set.data["status"]["phase"]),
        (&json!(3), &json!("Running"))
    );
    assert_eq!(set.metadata.generation, Some(1));
    let patch = json!({"spec": {"size": 9}, "status": {"phase": "Other"}});
    let set = api
        .patch("a", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
    assert_eq!(
        (&set.data["spec"]["size"], &set.data["status"]["phase"]),
        (&json!(9), &json!("Running"))
    );
}

#[tokio::test]
async fn errors_read_as_the_real_servers() {
    let p = plane();
    let (code, status) = p.get(&format!("{WIDGETS}/none")).await;
    assert_eq!((code, &status["reason"]), (404, &json!("NotFound")));
    assert_eq!(status["message"], r#"widgets.test.mosdat.dev "none" not found"#);
    assert_eq!(
        status["details"],
        json!({"name": "none", "group": "test.mosdat.dev", "kind": "widgets"})
    );
    p.create(widget("a", json!({"size": 3}))).await;
    let (code, status) = p.create(widget("a", json!({"size": 3}))).await;
    assert_eq!((code, &status["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(status["message"], r#"widgets.test.mosdat.dev "a" already exists"#);
    let elsewhere = WIDGETS.replace("/default/", "/nowhere/");
    let (code, status) = p
        .raw("POST", &elsewhere, "application/json", widget("a", json!({"size": 3})))
        .await;
    assert_eq!(
        (code, &status["message"]),
        (404, &json!(r#"namespaces "nowhere" not found"#))
    );
    let strategic = "application/strategic-merge-patch+json";
    assert_eq!(
        p.raw("PATCH", &format!("{WIDGETS}/a"), strategic, json!({})).await.0,
        415
    );
    assert_eq!(p.raw("PUT", WIDGETS, "application/json", json!({})).await.0, 400);
    assert_eq!(
        p.raw("POST", &format!("{WIDGETS}/a"), "application/json", json!({}))
            .await
            .0,
        405
    );
    assert_eq!(p.get("/apis/apps/v1/deployments").await.0, 404);
    assert_eq!(p.get("/nothing").await.0, 404);
    let review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let (code, status) = p.raw("POST", review, "application/json", json!({})).await;
    assert_eq!(code, 501);
    assert!(
        status["message"].as_str().unwrap().contains("selfsubjectaccessreviews"),
        "{status}"
    );
}

#[tokio::test]
async fn names_are_generated_and_dry_runs_leave_nothing() {
    let p = plane();
    let api = p.widgets();
    let mut w = widget("", json!({"size": 3}));
    w["metadata"] = json!({"generateName": "run-"});
    let made = api.create(&PostParams::default(), &typed(w)).await.unwrap();
    let name = made.metadata.name.unwrap();
    assert!(name.starts_with("run-") && name.len() == 9, "{name}");
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    api.create(&dry, &typed(widget("dry", json!({"size": 3}))))
        .await
        .unwrap();
    let dry = DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    };
    api.delete(&name, &dry).await.unwrap();
    let names: Vec<_> = api.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(
        names
            .iter()
            .filter_map(|w| w.metadata.name.as_deref())
            .collect::<Vec<_>>(),
        [name.as_str()]
    );
}

#[tokio::test]
async fn lists_select_and_come_in_pages() {
    let p = plane();
    let api = p.widgets();
    for i in 0..5 {
        let mut w = widget(
            &format!("w{i}"),
            json!({"size": 3, "colour": if i < 2 { "green" } else { "red" }}),
        );
        w["metadata"]["labels"] = json!({"n": i.to_string()});
        api.create(&PostParams::default(), &typed(w)).await.unwrap();
    }
    let count = async |lp: ListParams| api.list(&lp).await.unwrap().items.len();
    assert_eq!(count(ListParams::default().labels("n in (1,2)")).await, 2);
    assert_eq!(count(ListParams::default().labels("n notin (1,2),n!=3")).await, 2);
    assert_eq!(count(ListParams::default().fields("metadata.name=w3")).await, 1);
    assert_eq!(count(ListParams::default().fields("spec.colour=green")).await, 2);
    let (code, status) = p.get(&format!("{WIDGETS}?fieldSelector=spec.size%3D3")).await;
    assert_eq!(
        (code, &status["message"]),
        (400, &json!("field label not supported: spec.size"))
    );
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!((first.items.len(), first.metadata.remaining_item_count), (2, Some(3)));
    let mut token = first.metadata.continue_;
    let mut names: Vec<_> = first.items.into_iter().filter_map(|w| w.metadata.name).collect();
    while let Some(t) = token.filter(|t| !t.is_empty()) {
        let page = api
            .list(&ListParams::default().limit(2).continue_token(&t))
            .await
            .unwrap();
        names.extend(page.items.into_iter().filter_map(|w| w.metadata.name));
        token = page.metadata.continue_;
    }
    assert_eq!(names, ["w0", "w1", "w2", "w3", "w4"]);
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("n in (0,1)"))
        .await
        .unwrap();
    assert_eq!(count(ListParams::default()).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_lose_no_update() {
    let p = plane();
    let api = p.widgets();
    api.create(&PostParams::default(), &typed(widget("w", json!({"size": 1}))))
        .await
        .unwrap();
    let tasks = (0..8).map(|_| {
        let api = api.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while done < 5 {
                let mut w = api.get("w").await.unwrap();
                w.data["spec"]["size"] = (w.data["spec"]["size"].as_i64().unwrap() + 1).into();
                match api.replace("w", &PostParams::default(), &w).await {
                    Ok(_) => done += 1,
                    Err(kube::Error::Api(e)) if e.code == 409 => {}
                    Err(e) => panic!("{e}"),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(api.get("w").await.unwrap().data["spec"]["size"], 41);
}

#[tokio::test]
async fn core_kinds_follow_their_own_rules() {
    let p = plane();
    let secrets: Api<Secret> = Api::namespaced(p.client.clone(), "default");
    let secret = |v: Value| -> Secret { serde_json::from_value(v).unwrap() };
    let s = secret(json!({"metadata": {"name": "s"}, "stringData": {"k": "hello"}, "immutable": true}));
    let made = secrets.create(&PostParams::default(), &s).await.unwrap();
    assert_eq!(made.data.unwrap()["k"].0, b"hello");
    assert_eq!((made.string_data, made.type_.as_deref()), (None, Some("Opaque")));
    let change = Patch::Merge(json!({"stringData": {"k": "other"}}));
    let kube::Error::Api(e) = secrets.patch("s", &PatchParams::default(), &change).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(
        e.message,
        r#"Secret "s" is invalid: data: Forbidden: field is immutable when `immutable` is set"#
    );
    let bad = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}, "data": {"k": "%%%"}});
    let (code, _) = p
        .raw("POST", "/api/v1/namespaces/default/secrets", "application/json", bad)
        .await;
    assert!(code == 400 || code == 422, "{code}");
    let maps: Api<ConfigMap> = Api::namespaced(p.client.clone(), "default");
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "m"}, "data": {"a": "1"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let strategic = Patch::Strategic(json!({"data": {"a": null, "b": "2"}}));
    let patched = maps.patch("m", &PatchParams::default(), &strategic).await.unwrap();
    assert_eq!(
        patched.data.unwrap().into_iter().collect::<Vec<_>>(),
        [("b".to_string(), "2".to_string())]
    );
    let namespaces: Api<Namespace> = Api::all(p.client.clone());
    let default = namespaces.get("default").await.unwrap();
    assert_eq!(default.status.unwrap().phase.as_deref(), Some("Active"));
}

#[tokio::test]
async fn tables_and_partial_objects() {
    let p = plane();
    p.create(widget("a", json!({"size": 3}))).await;
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    p.widgets()
        .patch_status("a", &PatchParams::default(), &Patch::Merge(ready))
        .await
        .unwrap();
    let table = p
        .get_as(WIDGETS, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
        .await;
    let names: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Name", "Size", "Ready", "Colour", "Age"]);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..4], [json!("a"), json!(3), json!("True"), json!("red")]);
    assert!(cells[4].as_str().unwrap().ends_with('s'), "{cells:?}");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let metadata = p.widgets().list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(metadata.items[0].metadata.name.as_deref(), Some("a"));
}

#[tokio::test]
async fn discovery_in_both_forms() {
    let p = plane();
    let version = kube::core::GroupVersion::gv("test.mosdat.dev", "v1alpha1");
    let group = kube::discovery::pinned_group(&p.client, &version).await.unwrap();
    let (ar, caps) = group.recommended_kind("Widget").unwrap();
    assert_eq!(ar.plural, widgets_resource().plural);
    assert!(caps.supports_operation("patch"));
    let discovery = kube::Discovery::new(p.client.clone()).run_aggregated().await.unwrap();
    assert!(discovery.groups().any(|g| g.name() == "test.mosdat.dev"));
    let discovery = kube::Discovery::new(p.client.clone()).run().await.unwrap();
    let group = discovery.get("test.mosdat.dev").unwrap();
    assert!(group.recommended_kind("Widget").is_some());
    let version = p.client.apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "36"));
    let (code, doc) = p.get("/openapi/v3/apis/test.mosdat.dev/v1alpha1").await;
    assert_eq!(code, 200);
    assert!(doc["components"]["schemas"]["dev.mosdat.test.v1alpha1.Widget"]["properties"]["spec"].is_object());
    let crds = p.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").await.1;
    assert_eq!(crds["items"][0]["metadata"]["name"], "widgets.test.mosdat.dev");
    let post = p.raw(
        "POST",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "application/json",
        json!({}),
    );
    assert_eq!(post.await.0, 405, "definitions are read-only");
}

#[tokio::test]
async fn whole_floats_are_integers() {
    let p = plane();
    let (code, made) = p.create(widget("a", json!({"size": 30.0, "extra": {"n": 2.0}}))).await;
    assert_eq!((code, made["spec"]["size"].is_i64()), (201, true), "{made}");
    let path = format!("{WIDGETS}/a");
    let (code, w) = p
        .raw(
            "PATCH",
            &path,
            "application/merge-patch+json",
            json!({"spec": {"size": 31.0}}),
        )
        .await;
    assert_eq!(
        (code, &w["spec"]["size"], w["spec"]["size"].is_i64()),
        (200, &json!(31), true),
        "{w}"
    );
    let apply = format!("{path}?fieldManager=m&force=true");
    let (code, w) = p
        .raw(
            "PATCH",
            &apply,
            "application/apply-patch+yaml",
            widget("a", json!({"size": 32.0})),
        )
        .await;
    assert_eq!((code, w["spec"]["size"].is_i64()), (200, true), "{w}");
    let apply = format!("{path}?fieldManager=other");
    let (code, w) = p
        .raw(
            "PATCH",
            &apply,
            "application/apply-patch+yaml",
            widget("a", json!({"size": 32.0})),
        )
        .await;
    assert_eq!(code, 200, "the same value is no conflict: {w}");
}

#[tokio::test]
async fn the_default_namespace_stays() {
    let p = plane();
    let path = "/api/v1/namespaces/default";
    let (code, status) = p.raw("DELETE", path, "", Value::Null).await;
    assert_eq!((code, &status["reason"]), (403, &json!("Forbidden")));
    assert_eq!(
        status["message"],
        r#"namespaces "default" is forbidden: this namespace may not be deleted"#
    );
    assert_eq!(p.get(path).await.1["status"]["phase"], "Active");
}

#[tokio::test]
async fn a_patch_cannot_make_another_kind_of_it() {
    let p = plane();
    p.create(widget("a", json!({"size": 3}))).await;
    let path = format!("{WIDGETS}/a");
    for change in [
        json!({"kind": "Gadget"}),
        json!({"kind": null}),
        json!({"apiVersion": "test.mosdat.dev/v9"}),
        json!({"apiVersion": null}),
    ] {
        let (code, status) = p
            .raw("PATCH", &path, "application/merge-patch+json", change.clone())
            .await;
        assert!(code >= 400, "{change}: {code} {status}");
    }
    let w = p.get(&path).await.1;
    assert_eq!(
        (&w["kind"], &w["apiVersion"]),
        (&json!("Widget"), &json!("test.mosdat.dev/v1alpha1"))
    );
}

#[tokio::test]
async fn a_delete_without_a_word_keeps_the_propagation() {
    let p = plane();
    for finalizer in ["foregroundDeletion", "orphan"] {
        let mut w = widget(finalizer.to_lowercase().as_str(), json!({"size": 3}));
        // The other one holds it, so that it can be looked at.
        w["metadata"]["finalizers"] = json!([finalizer, "test.mosdat.dev/hold"]);
        let path = format!("{WIDGETS}/{}", finalizer.to_lowercase());
        assert_eq!(p.create(w).await.0, 201);
        let (code, w) = p.raw("DELETE", &path, "", Value::Null).await;
        let kept = json!([finalizer, "test.mosdat.dev/hold"]);
        assert_eq!((code, &w["metadata"]["finalizers"]), (200, &kept));
        let word = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
        let (_, w) = p.raw("DELETE", &path, "application/json", word).await;
        assert_eq!(w["metadata"]["finalizers"], json!(["test.mosdat.dev/hold"]));
    }
}

#[tokio::test]
async fn a_collection_is_deleted_under_its_preconditions() {
    let p = plane();
    p.create(widget("a", json!({"size": 3}))).await;
    let options = |uid: &Value| json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}});
    let (code, status) = p
        .raw("DELETE", WIDGETS, "application/json", options(&json!("other")))
        .await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")), "{status}");
    let a = p.get(&format!("{WIDGETS}/a")).await.1;
    let (code, _) = p
        .raw("DELETE", WIDGETS, "application/json", options(&a["metadata"]["uid"]))
        .await;
    assert_eq!((code, p.get(&format!("{WIDGETS}/a")).await.0), (200, 404));
}
