//! Finalizers, propagation, the garbage collector, namespaces.

use crate::support::{Plane, WIDGETS, eventually, plane, reopen, widget};
use serde_json::{Value, json};

const MERGE: &str = "application/merge-patch+json";

async fn owned(p: &Plane, name: &str, owner: &Value) -> Value {
    let mut w = widget(name, json!({"size": 1}));
    w["metadata"]["ownerReferences"] = json!([{"apiVersion": "test.mosdat.dev/v1alpha1", "kind": "Widget",
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true}]);
    p.create(w).await.1
}

async fn there(p: &Plane, name: &str) -> bool {
    p.get(&format!("{WIDGETS}/{name}")).await.0 == 200
}

async fn delete(p: &Plane, name: &str, policy: &str) -> (u16, Value) {
    p.raw(
        "DELETE",
        &format!("{WIDGETS}/{name}?propagationPolicy={policy}"),
        "",
        Value::Null,
    )
    .await
}

#[tokio::test]
async fn finalizers_hold_an_object() {
    let p = plane();
    let mut w = widget("w", json!({"size": 1}));
    w["metadata"]["finalizers"] = json!(["mosdat.dev/cleanup"]);
    p.create(w).await;
    let (code, held) = delete(&p, "w", "Background").await;
    assert_eq!((code, &held["kind"]), (200, &json!("Widget")));
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(held["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(held["metadata"]["generation"], 2);
    let more = json!({"metadata": {"finalizers": ["mosdat.dev/cleanup", "mosdat.dev/late"]}});
    let (code, e) = p.raw("PATCH", &format!("{WIDGETS}/w"), MERGE, more).await;
    assert_eq!(code, 422, "{e}");
    let (code, last) = p
        .raw(
            "PATCH",
            &format!("{WIDGETS}/w"),
            MERGE,
            json!({"metadata": {"finalizers": null}}),
        )
        .await;
    assert_eq!((code, &last["metadata"]["name"]), (200, &json!("w")));
    assert!(!there(&p, "w").await);
}

#[tokio::test]
async fn dependents_go_with_their_owner() {
    let p = plane();
    let (_, owner) = p.create(widget("owner", json!({"size": 1}))).await;
    let child = owned(&p, "child", &owner).await;
    owned(&p, "grandchild", &child).await;
    assert_eq!(delete(&p, "owner", "Background").await.1["status"], "Success");
    eventually("both generations are gone", async || {
        !there(&p, "child").await && !there(&p, "grandchild").await
    })
    .await;
}

#[tokio::test]
async fn foreground_waits_and_orphan_lets_live() {
    let p = plane();
    let (_, owner) = p.create(widget("owner", json!({"size": 1}))).await;
    let mut child = owned(&p, "child", &owner).await;
    child["metadata"]["finalizers"] = json!(["mosdat.dev/cleanup"]);
    p.raw("PUT", &format!("{WIDGETS}/child"), "application/json", child)
        .await;
    let (_, held) = delete(&p, "owner", "Foreground").await;
    assert_eq!(held["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    eventually("the child is being deleted", async || {
        p.get(&format!("{WIDGETS}/child")).await.1["metadata"]["deletionTimestamp"].is_string()
    })
    .await;
    assert!(there(&p, "owner").await, "the owner waits for the child");
    p.raw(
        "PATCH",
        &format!("{WIDGETS}/child"),
        MERGE,
        json!({"metadata": {"finalizers": null}}),
    )
    .await;
    eventually("both are gone", async || {
        !there(&p, "owner").await && !there(&p, "child").await
    })
    .await;

    let (_, owner) = p.create(widget("owner", json!({"size": 1}))).await;
    owned(&p, "child", &owner).await;
    delete(&p, "owner", "Orphan").await;
    eventually("the owner is gone", async || !there(&p, "owner").await).await;
    let (code, child) = p.get(&format!("{WIDGETS}/child")).await;
    assert_eq!((code, child["metadata"].get("ownerReferences")), (200, None));
}

#[tokio::test]
async fn an_orphan_from_before_a_restart_is_collected_after_it() {
    let p = plane();
    let (_, owner) = p.create(widget("owner", json!({"size": 1}))).await;
    // Finalizers take both through the restart in mid-deletion.
    let mut child = owned(&p, "child", &owner).await;
    child["metadata"]["finalizers"] = json!(["mosdat.dev/cleanup"]);
    p.raw("PUT", &format!("{WIDGETS}/child"), "application/json", child)
        .await;
    delete(&p, "owner", "Foreground").await;
    let p = reopen(p).await;
    p.raw(
        "PATCH",
        &format!("{WIDGETS}/child"),
        MERGE,
        json!({"metadata": {"finalizers": null}}),
    )
    .await;
    eventually("both are gone", async || {
        !there(&p, "owner").await && !there(&p, "child").await
    })
    .await;
}

#[tokio::test]
async fn preconditions_are_kept() {
    let p = plane();
    p.create(widget("w", json!({"size": 1}))).await;
    let body = json!({"preconditions": {"uid": "other"}});
    let (code, e) = p.raw("DELETE", &format!("{WIDGETS}/w"), "application/json", body).await;
    assert_eq!((code, &e["reason"]), (409, &json!("Conflict")));
    assert!(there(&p, "w").await);
}

#[tokio::test]
async fn a_namespace_takes_its_content_along() {
    let p = plane();
    let ns = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    assert_eq!(p.raw("POST", "/api/v1/namespaces", "application/json", ns).await.0, 201);
    let inside = WIDGETS.replace("/default/", "/n/");
    let mut w = widget("w", json!({"size": 1}));
    w["metadata"]["finalizers"] = json!(["mosdat.dev/cleanup"]);
    assert_eq!(p.raw("POST", &inside, "application/json", w).await.0, 201);
    let (_, held) = p.raw("DELETE", "/api/v1/namespaces/n", "", Value::Null).await;
    assert_eq!(held["status"]["phase"], "Terminating");
    let (code, e) = p
        .raw("POST", &inside, "application/json", widget("late", json!({"size": 1})))
        .await;
    assert_eq!(code, 403, "{e}");
    assert!(
        e["message"]
            .as_str()
            .unwrap()
            .contains("because it is being terminated"),
        "{e}"
    );
    eventually("the content is being deleted", async || {
        p.get(&format!("{inside}/w")).await.1["metadata"]["deletionTimestamp"].is_string()
    })
    .await;
    p.raw(
        "PATCH",
        &format!("{inside}/w"),
        MERGE,
        json!({"metadata": {"finalizers": null}}),
    )
    .await;
    eventually("the namespace is gone", async || {
        p.get("/api/v1/namespaces/n").await.0 == 404
    })
    .await;
}
