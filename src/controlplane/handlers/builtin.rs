//! The built-in kinds: Namespace, Secret, ConfigMap, Event, Lease, and the view of the definitions.

use crate::controlplane::Error;
use crate::controlplane::resource::{Class, Column, Resource, age};
use crate::controlplane::schema::Node;
use serde_json::{Value, json};

struct Spec {
    class: Class,
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
    status: bool,
    columns: Vec<Column>,
    selectable: &'static [&'static str],
    description: &'static str,
    properties: Value,
}

fn column(name: &str, ty: &str, json_path: &str) -> Column {
    Column {
        name: name.into(),
        ty: ty.into(),
        format: if name == "Name" { "name".into() } else { String::new() },
        description: String::new(),
        priority: 0,
        json_path: json_path.into(),
    }
}

fn string() -> Value {
    json!({"type": "string", "nullable": true})
}

fn reference() -> Value {
    let names = ["apiVersion", "kind", "name", "namespace", "uid", "resourceVersion", "fieldPath"];
    let members: serde_json::Map<_, _> = names.iter().map(|n| (n.to_string(), string())).collect();
    json!({"type": "object", "nullable": true, "properties": members, "x-kubernetes-map-type": "atomic"})
}

fn string_map() -> Value {
    json!({"type": "object", "nullable": true, "additionalProperties": {"type": "string"}})
}

fn byte_map() -> Value {
    json!({"type": "object", "nullable": true, "additionalProperties": {"type": "string", "format": "byte"}})
}

fn event_properties(v1: bool) -> Value {
    let source = json!({"type": "object", "nullable": true, "properties": {"component": string(), "host": string()}});
    let series = json!({"type": "object", "nullable": true, "properties":
        {"count": {"type": "integer", "format": "int32"}, "lastObservedTime": string()}});
    let count = json!({"type": "integer", "format": "int32", "nullable": true});
    let mut p = json!({"eventTime": string(), "series": series, "action": string(), "related": reference(),
        "reason": string(), "type": string(), "reportingInstance": string()});
    let renamed = [
        ("involvedObject", "regarding", reference()),
        ("message", "note", string()),
        ("source", "deprecatedSource", source),
        ("firstTimestamp", "deprecatedFirstTimestamp", string()),
        ("lastTimestamp", "deprecatedLastTimestamp", string()),
        ("count", "deprecatedCount", count),
        ("reportingComponent", "reportingController", string()),
    ];
    for (core, new, schema) in renamed {
        p[if v1 { new } else { core }] = schema;
    }
    p
}

fn specs() -> Vec<Spec> {
    let event = |class, group, version| Spec {
        class,
        group,
        version,
        kind: "Event",
        plural: "events",
        short: &["ev"],
        namespaced: true,
        status: false,
        columns: vec![
            column("Last Seen", "string", ".lastTimestamp"),
            column("Type", "string", ".type"),
            column("Reason", "string", ".reason"),
            column("Object", "string", ".involvedObject"),
            column("Message", "string", ".message"),
        ],
        selectable: &[
            "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
            "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
            "reportingComponent", "source", "type",
        ],
        description: "Event is a report of an event somewhere in the cluster.",
        properties: event_properties(class == Class::EventV1),
    };
    vec![
        Spec {
            class: Class::Namespace,
            group: "",
            version: "v1",
            kind: "Namespace",
            plural: "namespaces",
            short: &["ns"],
            namespaced: false,
            status: true,
            columns: vec![column("Status", "string", ".status.phase"), age()],
            selectable: &["status.phase"],
            description: "Namespace provides a scope for Names.",
            properties: json!({
                "spec": {"type": "object", "properties": {"finalizers":
                    {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"}}},
                "status": {"type": "object", "properties": {"phase": string(), "conditions": {"type": "array",
                    "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"], "items": {"type": "object",
                    "properties": {"type": string(), "status": string(), "lastTransitionTime": string(),
                        "reason": string(), "message": string()}}}}},
            }),
        },
        Spec {
            class: Class::Secret,
            group: "",
            version: "v1",
            kind: "Secret",
            plural: "secrets",
            short: &[],
            namespaced: true,
            status: false,
            columns: vec![column("Type", "string", ".type"), column("Data", "integer", "#data"), age()],
            selectable: &["type"],
            description: "Secret holds secret data of a certain type.",
            properties: json!({"data": byte_map(), "stringData": string_map(), "type": string(),
                "immutable": {"type": "boolean", "nullable": true}}),
        },
        Spec {
            class: Class::ConfigMap,
            group: "",
            version: "v1",
            kind: "ConfigMap",
            plural: "configmaps",
            short: &["cm"],
            namespaced: true,
            status: false,
            columns: vec![column("Data", "integer", "#data,binaryData"), age()],
            selectable: &[],
            description: "ConfigMap holds configuration data for pods to consume.",
            properties: json!({"data": string_map(), "binaryData": byte_map(),
                "immutable": {"type": "boolean", "nullable": true}}),
        },
        event(Class::Event, "", "v1"),
        event(Class::EventV1, "events.k8s.io", "v1"),
        Spec {
            class: Class::Lease,
            group: "coordination.k8s.io",
            version: "v1",
            kind: "Lease",
            plural: "leases",
            short: &[],
            namespaced: true,
            status: false,
            columns: vec![column("Holder", "string", ".spec.holderIdentity"), age()],
            selectable: &[],
            description: "Lease defines a lease concept.",
            properties: json!({"spec": {"type": "object", "properties": {
                "holderIdentity": string(), "acquireTime": string(), "renewTime": string(), "strategy": string(),
                "preferredHolder": string(),
                "leaseDurationSeconds": {"type": "integer", "format": "int32", "nullable": true},
                "leaseTransitions": {"type": "integer", "format": "int32", "nullable": true}}}}),
        },
        Spec {
            class: Class::Definition,
            group: "apiextensions.k8s.io",
            version: "v1",
            kind: "CustomResourceDefinition",
            plural: "customresourcedefinitions",
            short: &["crd", "crds"],
            namespaced: false,
            status: false,
            columns: vec![column("Created At", "date", "@.metadata.creationTimestamp")],
            selectable: &[],
            description: "CustomResourceDefinition represents a resource that is served by this control plane.",
            properties: json!({"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}),
        },
    ]
}

/// The built-in resources.
pub fn resources() -> Result<Vec<Resource>, Error> {
    let specs = specs().into_iter().map(|s| {
        let published = json!({"type": "object", "description": s.description, "properties": s.properties});
        let own = |list: &[&str]| list.iter().map(|x| x.to_string()).collect::<Vec<_>>();
        let group = if s.class == Class::EventV1 { "" } else { s.group };
        Ok(Resource {
            class: s.class,
            key: format!("{group}/{}", s.plural).into(),
            group: s.group.into(),
            version: s.version.into(),
            kind: s.kind.into(),
            list_kind: format!("{}List", s.kind),
            plural: s.plural.into(),
            singular: s.kind.to_lowercase(),
            short_names: own(s.short),
            categories: vec![],
            namespaced: s.namespaced,
            status: s.status,
            schema: Node::parse(s.kind, &published)?,
            published,
            columns: s.columns,
            selectable: own(s.selectable),
        })
    });
    specs.collect()
}
