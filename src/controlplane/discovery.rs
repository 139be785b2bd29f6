//! Discovery: which groups, versions and resources there are, in the legacy and the aggregated form; and /version.

use super::resource::{Registry, Resource};
use serde_json::{Value, json};
use std::sync::Arc;

const JSON: &str = "application/json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The discovery document at `path`, with its media type; `None` if the path is none of discovery's.
pub fn answer(registry: &Registry, path: &str, accept: &str) -> Option<(&'static str, Value)> {
    let aggregated = accept.split(',').any(|a| {
        let has = |p: &str| a.split(';').any(|x| x.trim() == p);
        a.trim().starts_with(JSON) && has("g=apidiscovery.k8s.io") && has("v=v2") && has("as=APIGroupDiscoveryList")
    });
    let core: Vec<&Arc<Resource>> = registry.all().iter().filter(|r| r.group.is_empty()).collect();
    match path {
        "/version" => Some((JSON, version())),
        "" => {
            let mut paths: Vec<String> = ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]
                .map(String::from)
                .into();
            for (group, versions) in registry.groups() {
                paths.push(format!("/apis/{group}"));
                paths.extend(versions.keys().map(|v| format!("/apis/{group}/{v}")));
            }
            paths.sort();
            Some((JSON, json!({ "paths": paths })))
        }
        "/api" if aggregated => Some((AGGREGATED, aggregate(vec![("", vec![("v1", core)])]))),
        "/api" => Some((
            JSON,
            json!({"kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]}),
        )),
        "/api/v1" => Some((JSON, resource_list("v1", &core))),
        "/apis" if aggregated => {
            let groups = registry.groups().into_iter().map(|(g, versions)| (g, versions.into_iter().collect()));
            Some((AGGREGATED, aggregate(groups.collect())))
        }
        "/apis" => {
            let groups: Vec<Value> = registry.groups().iter().map(|(g, v)| group(g, v.keys().copied())).collect();
            Some((JSON, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})))
        }
        _ => {
            let mut parts = path.strip_prefix("/apis/")?.split('/');
            let (name, version, rest) = (parts.next()?, parts.next(), parts.next());
            let groups = registry.groups();
            let (_, versions) = groups.iter().find(|(g, _)| *g == name)?;
            match (version, rest) {
                (None, _) => {
                    let mut g = group(name, versions.keys().copied());
                    g["kind"] = "APIGroup".into();
                    g["apiVersion"] = "v1".into();
                    Some((JSON, g))
                }
                (Some(v), None) => Some((JSON, resource_list(&format!("{name}/{v}"), versions.get(v)?))),
                _ => None,
            }
        }
    }
}

fn version() -> Value {
    json!({"major": "1", "minor": "36", "gitVersion": format!("v1.36.0+mosdat.{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none",
        "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH)})
}

fn group<'a>(name: &str, versions: impl Iterator<Item = &'a str>) -> Value {
    let versions: Vec<Value> =
        versions.map(|v| json!({"groupVersion": format!("{name}/{v}"), "version": v})).collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.last()})
}

fn resource_list(group_version: &str, resources: &[&Arc<Resource>]) -> Value {
    let mut list = Vec::new();
    for r in resources {
        let mut entry = json!({"name": r.plural, "singularName": r.singular, "namespaced": r.namespaced, "kind": r.kind,
            "verbs": r.verbs()});
        if !r.short_names.is_empty() {
            entry["shortNames"] = r.short_names.clone().into();
        }
        if !r.categories.is_empty() {
            entry["categories"] = r.categories.clone().into();
        }
        list.push(entry);
        if r.status {
            list.push(json!({"name": format!("{}/status", r.plural), "singularName": "", "namespaced": r.namespaced,
                "kind": r.kind, "verbs": ["get", "patch", "update"]}));
        }
    }
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list})
}

type Groups<'a> = Vec<(&'a str, Vec<(&'a str, Vec<&'a Arc<Resource>>)>)>;

fn aggregate(groups: Groups) -> Value {
    let items = groups.into_iter().map(|(group, versions)| {
        let versions = versions.into_iter().map(|(version, resources)| {
            let resources = resources.into_iter().map(|r| {
                let kind = json!({"group": r.group, "version": r.version, "kind": r.kind});
                let mut entry = json!({"resource": r.plural, "responseKind": kind, "singularResource": r.singular,
                    "scope": if r.namespaced { "Namespaced" } else { "Cluster" }, "verbs": r.verbs()});
                if !r.short_names.is_empty() {
                    entry["shortNames"] = r.short_names.clone().into();
                }
                if !r.categories.is_empty() {
                    entry["categories"] = r.categories.clone().into();
                }
                if r.status {
                    entry["subresources"] = json!([{"subresource": "status", "responseKind": kind,
                        "verbs": ["get", "patch", "update"]}]);
                }
                entry
            });
            json!({"version": version, "resources": resources.collect::<Vec<_>>(), "freshness": "Current"})
        });
        let meta = if group.is_empty() { json!({"creationTimestamp": null}) } else { json!({"name": group, "creationTimestamp": null}) };
        json!({"metadata": meta, "versions": versions.collect::<Vec<_>>()})
    });
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": items.collect::<Vec<_>>()})
}
