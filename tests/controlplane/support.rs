//! What the tests share: a resource of their own, a control plane in a temporary folder, raw requests.

use http_body_util::BodyExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use mosdat::controlplane::{ControlPlane, Kinds, Options};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// The definition of the tests' kind, Widget.
pub fn widget_crd() -> CustomResourceDefinition {
    let step = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "retries": {"type": "integer", "default": 3}, "note": {"type": "string"}}});
    let spec = json!({
        "type": "object", "required": ["size"],
        "description": "What the widget should be.",
        "x-kubernetes-validations": [
            {"rule": "self.size < 100 || has(self.reason)", "message": "a big widget needs a reason"},
            {"rule": "self.colour == oldSelf.colour", "message": "colour is immutable"},
        ],
        "properties": {
            "size": {"type": "integer", "minimum": 1, "description": "How big, in millimetres."},
            "colour": {"type": "string", "enum": ["red", "green"], "default": "red"},
            "reason": {"type": "string", "maxLength": 20},
            "suspend": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "steps": {"type": "array", "maxItems": 5, "items": step, "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"]},
            "args": {"type": "array", "items": {"type": "string"}},
            "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    });
    let status = json!({"type": "object", "properties": {
        "phase": {"type": "string"}, "observedGeneration": {"type": "integer"},
        "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            "items": {"type": "object", "required": ["type", "status"], "properties": {"type": {"type": "string"},
                "status": {"type": "string"}, "reason": {"type": "string"}, "message": {"type": "string"},
                "lastTransitionTime": {"type": "string", "format": "date-time"}}}}}});
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.test.mosdat.dev"},
        "spec": {"group": "test.mosdat.dev", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList",
                "shortNames": ["wd"], "categories": ["mosdat"]},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.colour"}],
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                    {"name": "Colour", "type": "string", "jsonPath": ".spec.colour", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                "schema": {"openAPIV3Schema": {"type": "object", "description": "A widget.", "required": ["spec"],
                    "properties": {"spec": spec, "status": status}}}}]},
    });
    serde_json::from_value(crd).unwrap()
}

/// A widget's manifest.
pub fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "test.mosdat.dev/v1alpha1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

pub fn typed(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

pub fn open(dir: &Path) -> ControlPlane {
    ControlPlane::open(Options {
        state_file: dir.join("state.redb"),
        kinds: Kinds::new(vec![widget_crd()]).expect("kinds"),
    })
    .unwrap()
}

/// A control plane whose folder lives as long as it.
pub struct Plane {
    pub cp: ControlPlane,
    pub client: Client,
    pub dir: tempfile::TempDir,
}

pub fn plane() -> Plane {
    let dir = tempfile::tempdir().unwrap();
    let cp = open(dir.path());
    Plane {
        client: cp.client("default"),
        cp,
        dir,
    }
}

pub fn widgets_resource() -> ApiResource {
    let gvk = GroupVersionKind::gvk("test.mosdat.dev", "v1alpha1", "Widget");
    ApiResource::from_gvk_with_plural(&gvk, "widgets")
}

impl Plane {
    pub fn widgets(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), "default", &widgets_resource())
    }

    /// A raw request: status and JSON body.
    pub async fn raw(&self, method: &str, path: &str, content_type: &str, body: Value) -> (u16, Value) {
        let bytes = if body.is_null() {
            vec![]
        } else {
            body.to_string().into_bytes()
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type);
        let response = self.client.send(request.body(bytes.into()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.raw("GET", path, "", Value::Null).await
    }

    pub async fn get_as(&self, path: &str, accept: &str) -> Value {
        let request = http::Request::get(path)
            .header("accept", accept)
            .body(vec![].into())
            .unwrap();
        let response = self.client.send(request).await.unwrap();
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    pub async fn create(&self, value: Value) -> (u16, Value) {
        self.raw("POST", WIDGETS, "application/json", value).await
    }
}

pub const WIDGETS: &str = "/apis/test.mosdat.dev/v1alpha1/namespaces/default/widgets";

/// Closes a control plane and opens it again on the same state.
pub async fn reopen(p: Plane) -> Plane {
    let Plane { cp, client, dir } = p;
    drop((cp, client));
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        // The file is free when the last task of the old client has ended.
        let crds = vec![widget_crd()];
        match ControlPlane::open(Options {
            state_file: dir.path().join("state.redb"),
            kinds: Kinds::new(crds).unwrap(),
        }) {
            Ok(cp) => {
                return Plane {
                    client: cp.client("default"),
                    cp,
                    dir,
                };
            }
            Err(e) => assert!(Instant::now() < end, "{e}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Polls until the condition holds; panics with `what` after ten seconds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < end, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The real kubectl, if this machine has one: `MOSDAT_KUBECTL`, the one built by `make kube`, or the PATH's.
pub fn kubectl() -> Option<std::path::PathBuf> {
    if let Some(path) = std::env::var_os("MOSDAT_KUBECTL") {
        return Some(path.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(std::path::PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")));
    // One folder per version.
    let versions = cache.and_then(|c| std::fs::read_dir(c.join("mosdat/kube")).ok());
    let built = versions
        .into_iter()
        .flatten()
        .flatten()
        .map(|d| d.path().join("kubectl"))
        .find(|p| p.exists());
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|d| d.join("kubectl"))
            .find(|p| p.exists())
    };
    built.or_else(on_path)
}
