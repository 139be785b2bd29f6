//! The registry: which resources are served, under which paths, with which schema and columns.

use super::Error;
use super::schema::Node;
use super::status::{About, FieldError};
use super::store::ResourceKey;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What kind of thing a resource is; decides the few rules that are not in its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Custom,
    Namespace,
    Secret,
    ConfigMap,
    /// core/v1 Event, as stored.
    Event,
    /// The same objects as events.k8s.io/v1.
    EventV1,
    Lease,
    /// The served definitions themselves; read-only.
    Definition,
}

/// One printer column.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub ty: String,
    pub format: String,
    pub description: String,
    pub priority: i64,
    pub json_path: String,
}

/// One served resource.
#[derive(Debug)]
pub struct Resource {
    pub class: Class,
    /// Where its objects are stored.
    pub key: ResourceKey,
    pub group: String,
    pub version: String,
    pub kind: String,
    pub list_kind: String,
    pub plural: String,
    pub singular: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub namespaced: bool,
    /// Has a `status` subresource.
    pub status: bool,
    pub schema: Node,
    /// The schema as published (OpenAPI).
    pub published: Value,
    pub columns: Vec<Column>,
    /// Paths usable in field selectors besides metadata.name and metadata.namespace.
    pub selectable: Vec<String>,
}

impl Resource {
    pub fn about(&self) -> About<'_> {
        About { group: &self.group, plural: &self.plural, kind: &self.kind }
    }

    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The verbs, as discovery tells them.
    pub fn verbs(&self) -> &'static [&'static str] {
        if self.class == Class::Definition {
            &["get", "list", "watch"]
        } else if self.class == Class::Namespace {
            &["create", "delete", "get", "list", "patch", "update", "watch"]
        } else {
            &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
        }
    }

    /// A PUT without a resourceVersion is taken.
    pub fn allows_unconditional_update(&self) -> bool {
        !matches!(self.class, Class::Custom | Class::Lease)
    }

    /// A PUT to a name that is not there creates it.
    pub fn allows_create_on_update(&self) -> bool {
        matches!(self.class, Class::Lease | Class::Event | Class::EventV1)
    }

    /// Rules of the built-in kinds that a schema cannot say.
    pub fn validate_builtin(&self, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut out = Vec::new();
        if matches!(self.class, Class::Secret | Class::ConfigMap) {
            if old.is_some_and(|o| o.get("immutable") == Some(&Value::Bool(true))) {
                let why = "field is immutable when `immutable` is set";
                let old = old.unwrap_or(&Value::Null);
                if value.get("immutable") != Some(&Value::Bool(true)) {
                    out.push(FieldError::forbidden("immutable", why));
                }
                for word in ["data", "binaryData"] {
                    if value.get(word) != old.get(word) {
                        out.push(FieldError::forbidden(word, why));
                    }
                }
            }
            for word in ["data", "binaryData"] {
                for key in value.get(word).and_then(Value::as_object).into_iter().flat_map(|m| m.keys()) {
                    let legal = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                    if key.is_empty() || key.len() > 253 || !key.chars().all(legal) || key == "." || key.starts_with("..") {
                        out.push(FieldError::invalid(
                            format!("{word}[{key}]"),
                            key.as_str(),
                            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
                             (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                        ));
                    }
                }
            }
        }
        if self.class == Class::Secret
            && let Some(old) = old
            && old.get("type") != value.get("type")
        {
            let shown = value.get("type").cloned().unwrap_or_default();
            out.push(FieldError::invalid("type", shown, "field is immutable"));
        }
        out
    }
}

/// All served resources.
pub struct Registry {
    list: Vec<Arc<Resource>>,
    /// The definitions in JSON, for the read-only view.
    pub definitions: Vec<Value>,
}

impl Registry {
    pub fn new(crds: Vec<CustomResourceDefinition>) -> Result<Registry, Error> {
        let mut list: Vec<Arc<Resource>> = super::handlers::builtin::resources()?.into_iter().map(Arc::new).collect();
        let mut definitions = Vec::new();
        for crd in crds {
            let name = crd.metadata.name.clone().unwrap_or_default();
            let raw = serde_json::to_value(&crd)
                .map_err(|e| Error::Definition { name: name.clone(), why: e.to_string() })?;
            let resource = custom(&name, &raw)?;
            if list.iter().any(|r| r.group == resource.group && r.plural == resource.plural) {
                return Err(Error::Definition { name, why: "is there twice".into() });
            }
            list.push(Arc::new(resource));
            definitions.push(raw);
        }
        Ok(Registry { list, definitions })
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.list.iter().find(|r| r.group == group && r.version == version && r.plural == plural).cloned()
    }

    /// The resource of a kind (for owner references).
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.list.iter().find(|r| r.kind == kind && r.api_version() == api_version)
    }

    /// The resource whose objects live under a storage key.
    pub fn by_key(&self, key: &str) -> Option<&Arc<Resource>> {
        self.list.iter().find(|r| &*r.key == key)
    }

    pub fn all(&self) -> &[Arc<Resource>] {
        &self.list
    }

    /// Groups (not the core one) with their versions and resources, in order of registration.
    pub fn groups(&self) -> Vec<(&str, BTreeMap<&str, Vec<&Arc<Resource>>>)> {
        let mut out: Vec<(&str, BTreeMap<&str, Vec<&Arc<Resource>>>)> = Vec::new();
        for r in self.list.iter().filter(|r| !r.group.is_empty()) {
            let at = match out.iter().position(|(g, _)| *g == r.group) {
                Some(at) => at,
                None => {
                    out.push((&r.group, BTreeMap::new()));
                    out.len() - 1
                }
            };
            out[at].1.entry(&r.version).or_default().push(r);
        }
        out
    }
}

fn custom(name: &str, crd: &Value) -> Result<Resource, Error> {
    let bad = |why: &str| Error::Definition { name: name.to_string(), why: why.to_string() };
    let text = |p: &str| crd.pointer(p).and_then(Value::as_str).unwrap_or("").to_string();
    let strings = |v: Option<&Value>| -> Vec<String> {
        let list = v.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|s| s.as_str().map(String::from)).collect()
    };
    let (group, plural, kind) = (text("/spec/group"), text("/spec/names/plural"), text("/spec/names/kind"));
    if group.is_empty() || plural.is_empty() || kind.is_empty() {
        return Err(bad("spec.group, spec.names.plural and spec.names.kind are needed"));
    }
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array).ok_or_else(|| bad("has no versions"))?;
    let served: Vec<&Value> = versions.iter().filter(|v| v["served"] == Value::Bool(true)).collect();
    let [version] = served[..] else { return Err(bad("must serve exactly one version; conversion is not supported")) };
    let published = version
        .pointer("/schema/openAPIV3Schema")
        .cloned()
        .ok_or_else(|| bad("has no schema (openAPIV3Schema); a structural schema is needed"))?;
    let subresources = version.get("subresources").and_then(Value::as_object);
    if subresources.is_some_and(|s| s.contains_key("scale")) {
        return Err(bad("the scale subresource is not supported"));
    }
    let columns = version.get("additionalPrinterColumns").and_then(Value::as_array);
    let columns = columns.into_iter().flatten().map(|c| {
        let text = |k: &str| c.get(k).and_then(Value::as_str).unwrap_or("").to_string();
        Column {
            name: text("name"),
            ty: text("type"),
            format: text("format"),
            description: text("description"),
            priority: c.get("priority").and_then(Value::as_i64).unwrap_or(0),
            json_path: text("jsonPath"),
        }
    });
    let selectable = version.get("selectableFields").and_then(Value::as_array);
    let selectable = selectable.into_iter().flatten().filter_map(|f| f["jsonPath"].as_str());
    let singular = match text("/spec/names/singular") {
        s if s.is_empty() => kind.to_lowercase(),
        s => s,
    };
    let list_kind = match text("/spec/names/listKind") {
        s if s.is_empty() => format!("{kind}List"),
        s => s,
    };
    let mut columns: Vec<Column> = columns.collect();
    if columns.is_empty() {
        columns.push(age());
    }
    Ok(Resource {
        class: Class::Custom,
        key: format!("{group}/{plural}").into(),
        version: version["name"].as_str().unwrap_or("").to_string(),
        namespaced: crd.pointer("/spec/scope") == Some(&json!("Namespaced")),
        short_names: strings(crd.pointer("/spec/names/shortNames")),
        categories: strings(crd.pointer("/spec/names/categories")),
        status: subresources.is_some_and(|s| s.contains_key("status")),
        schema: Node::parse(&kind, &published)?,
        selectable: selectable.map(|p| p.trim_start_matches('.').to_string()).collect(),
        published,
        columns,
        singular,
        list_kind,
        group,
        kind,
        plural,
    })
}

/// The column every table ends with.
pub fn age() -> Column {
    Column {
        name: "Age".into(),
        ty: "date".into(),
        format: String::new(),
        description: "CreationTimestamp is a timestamp representing the server time when this object was created. \
                      It is not guaranteed to be set in happens-before order across separate operations. Clients may \
                      not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. \
                      Read-only. Null for lists. More info: \
                      https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
            .into(),
        priority: 0,
        json_path: ".metadata.creationTimestamp".into(),
    }
}
