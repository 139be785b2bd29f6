//! OpenAPI v3, one document per group and version, as kubectl explain and kubectl apply read it.
//!
//! OpenAPI v2 is served as JSON to clients that take JSON; those that want only protobuf get 406, on which kubectl
//! goes on without it.

use super::resource::{Class, Registry, Resource};
use super::status::{ApiError, ApiResult};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The document at `path`, if it is one of OpenAPI's.
pub fn answer(registry: &Registry, path: &str, accept: &str) -> ApiResult<Option<Value>> {
    if path == "/openapi/v2" {
        let json = accept.trim().is_empty()
            || accept.split(',').any(|a| matches!(a.split(';').next().unwrap_or("").trim(), "application/json" | "*/*"));
        return if json { Ok(Some(v2(registry))) } else { Err(ApiError::not_acceptable("application/json")) };
    }
    let Some(rest) = path.strip_prefix("/openapi/v3") else { return Ok(None) };
    if rest.is_empty() {
        let mut paths = Map::new();
        let mut entry = |at: String| {
            // The documents change only with the program: its version is the hash that lets clients cache them.
            let url = format!("/openapi/v3/{at}?hash={}", env!("CARGO_PKG_VERSION"));
            paths.insert(at, json!({"serverRelativeURL": url}));
        };
        entry("api/v1".into());
        for (group, versions) in registry.groups() {
            versions.keys().for_each(|v| entry(format!("apis/{group}/{v}")));
        }
        return Ok(Some(json!({ "paths": paths })));
    }
    let parts: Vec<&str> = rest.trim_start_matches('/').split('/').collect();
    let (group, version) = match parts[..] {
        ["api", version] => ("", version),
        ["apis", group, version] => (group, version),
        _ => return Err(ApiError::no_such_path()),
    };
    let resources: Vec<&Arc<Resource>> =
        registry.all().iter().filter(|r| r.group == group && r.version == version).collect();
    if resources.is_empty() {
        return Err(ApiError::no_such_path());
    }
    Ok(Some(v3(&resources)))
}

/// `dev.mosdat.v1alpha1.FunctionalTestRun`: the group's labels reversed, as the real server names schemas.
fn schema_name(r: &Resource) -> String {
    match r.class {
        Class::Custom => {
            let reversed: Vec<&str> = r.group.split('.').rev().collect();
            format!("{}.{}.{}", reversed.join("."), r.version, r.kind)
        }
        Class::EventV1 => format!("io.k8s.api.events.{}.{}", r.version, r.kind),
        Class::Lease => format!("io.k8s.api.coordination.{}.{}", r.version, r.kind),
        Class::Definition => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{}.{}", r.version, r.kind)
        }
        _ => format!("io.k8s.api.core.{}.{}", r.version, r.kind),
    }
}

fn object_schema(r: &Resource, prefix: &str) -> Value {
    let mut schema = r.published.clone();
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    schema["properties"]["apiVersion"] = json!({"type": "string", "description": "APIVersion defines the versioned schema \
        of this representation of an object. Servers should convert recognized schemas to the latest internal value, and \
        may reject unrecognized values. More info: \
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"});
    schema["properties"]["kind"] = json!({"type": "string", "description": "Kind is a string value representing the REST \
        resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be \
        updated. In CamelCase. More info: \
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"});
    schema["properties"]["metadata"] = json!({"description": "Standard object's metadata. More info: \
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
        "allOf": [{"$ref": format!("{prefix}{META}")}]});
    schema["x-kubernetes-group-version-kind"] = json!([gvk(r)]);
    schema
}

fn gvk(r: &Resource) -> Value {
    json!({"group": r.group, "version": r.version, "kind": r.kind})
}

fn meta_schema() -> Value {
    let string = json!({"type": "string"});
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let strings = json!({"type": "array", "items": {"type": "string"}});
    let object = json!({"type": "object"});
    let objects = json!({"type": "array", "items": object});
    json!({"type": "object", "description": "ObjectMeta is metadata that all persisted resources must have, which includes \
        all objects users must create.", "properties": {
        "name": string, "generateName": string, "namespace": string, "uid": string, "resourceVersion": string,
        "selfLink": string, "generation": {"type": "integer", "format": "int64"}, "creationTimestamp": string,
        "deletionTimestamp": string, "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
        "labels": map, "annotations": map, "ownerReferences": objects, "finalizers": strings, "managedFields": objects}})
}

fn v3(resources: &[&Arc<Resource>]) -> Value {
    let prefix = "#/components/schemas/";
    let mut schemas = Map::new();
    let mut paths = Map::new();
    schemas.insert(META.into(), meta_schema());
    for r in resources {
        schemas.insert(schema_name(r), object_schema(r, prefix));
        let content = json!({"application/json": {"schema": {"$ref": format!("{prefix}{}", schema_name(r))}}});
        for (path, operations) in operations(r) {
            let mut item = Map::new();
            for (method, action, patch) in operations {
                let mut op = json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk(r),
                    "parameters": parameters(patch, "schema"),
                    "responses": {"200": {"description": "OK", "content": content}}});
                if matches!(action, "post" | "put" | "patch") {
                    op["requestBody"] = json!({ "content": content });
                }
                item.insert(method.into(), op);
            }
            paths.insert(path, Value::Object(item));
        }
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": env!("CARGO_PKG_VERSION")}, "paths": paths,
        "components": {"schemas": schemas}})
}

/// The query parameters that kubectl looks for before it relies on them (`dryRun`, `fieldValidation`).
fn parameters(write: bool, place: &str) -> Value {
    if !write {
        return json!([]);
    }
    let names = ["dryRun", "fieldManager", "fieldValidation"];
    let list = names.map(|n| {
        let mut p = json!({"name": n, "in": "query"});
        if place == "schema" {
            p["schema"] = json!({"type": "string", "uniqueItems": true});
        } else {
            p["type"] = "string".into();
            p["uniqueItems"] = true.into();
        }
        p
    });
    json!(list)
}

type Operations = Vec<(&'static str, &'static str, bool)>;

fn operations(r: &Resource) -> Vec<(String, Operations)> {
    let root = if r.group.is_empty() { format!("/api/{}", r.version) } else { format!("/apis/{}/{}", r.group, r.version) };
    let base = if r.namespaced { format!("{root}/namespaces/{{namespace}}/{}", r.plural) } else { format!("{root}/{}", r.plural) };
    let writable = r.class != Class::Definition;
    let (mut many, mut one): (Operations, Operations) = (vec![("get", "list", false)], vec![("get", "get", false)]);
    if writable {
        many.push(("post", "post", true));
        one.extend([("put", "put", true), ("patch", "patch", true), ("delete", "delete", true)]);
    }
    let mut out = vec![(base.clone(), many), (format!("{base}/{{name}}"), one.clone())];
    if r.status {
        one.retain(|(method, ..)| *method != "delete");
        out.push((format!("{base}/{{name}}/status"), one));
    }
    out
}

/// OpenAPI v2 in JSON, for clients without v3.
fn v2(registry: &Registry) -> Value {
    let prefix = "#/definitions/";
    let mut definitions = Map::new();
    let mut paths = Map::new();
    definitions.insert(META.into(), meta_schema());
    for r in registry.all() {
        let mut schema = object_schema(r, prefix);
        // Swagger 2 has no allOf-with-description idiom that kubectl follows: the reference stands alone.
        schema["properties"]["metadata"] = json!({"$ref": format!("{prefix}{META}")});
        definitions.insert(schema_name(r), schema);
        for (path, operations) in operations(r) {
            let mut item = Map::new();
            for (method, action, write) in operations {
                let op = json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk(r),
                    "parameters": parameters(write, ""), "responses": {"200": {"description": "OK",
                    "schema": {"$ref": format!("{prefix}{}", schema_name(r))}}}});
                item.insert(method.into(), op);
            }
            paths.insert(path, Value::Object(item));
        }
    }
    json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": env!("CARGO_PKG_VERSION")}, "paths": paths,
        "definitions": definitions})
}
