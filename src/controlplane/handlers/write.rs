//! create, and what create and update share: decoding, defaulting, validation, ownership.

use super::params::{FieldValidation, Params};
use super::{Reply, Target};
use crate::controlplane::apply::{self, Writer};
use crate::controlplane::object::{self, Stored, meta_mut, text};
use crate::controlplane::resource::{Class, Resource};
use crate::controlplane::schema::{cel, default, prune, validate};
use crate::controlplane::status::{ApiError, ApiResult, FieldError};
use crate::controlplane::store::Txn;
use crate::controlplane::{Inner, events};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn create(inner: &Inner, target: &Target, body: Value, params: &Params) -> ApiResult<Reply> {
    let mut warnings = Vec::new();
    let value = decode(target, body, params, &mut warnings)?;
    if text(&value, "/metadata/resourceVersion") != "" {
        return Err(ApiError {
            code: 500,
            reason: "",
            message: "resourceVersion should not be set on objects to be created".into(),
            details: None,
        });
    }
    let resource = &target.resource;
    let object = inner.store.write(|txn| {
        let value = prepare_new(inner, txn, target, value.clone())?;
        let name = object::name(&value).to_string();
        check(resource, &value, None)?;
        if txn.get(&resource.key, &target.namespace, &name).is_some() {
            return Err(ApiError::already_exists(resource.about(), &name));
        }
        let mut value = value;
        let base = value.clone();
        let w = writer(target, params);
        apply::track_update(&resource.schema, &w, None, &mut value, Some(&base));
        Ok(store(txn, resource, value, params.dry_run))
    })?;
    Ok(Reply::Object { code: 201, object, warnings })
}

/// Stores, or with dry-run only shows what would be stored.
pub fn store(txn: &mut Txn, resource: &Resource, value: Value, dry_run: bool) -> Arc<Stored> {
    let stored = events::to_stored(resource, value);
    if dry_run { Arc::new(Stored::new(&stored)) } else { txn.put(&resource.key, stored) }
}

/// Who writes through this target.
pub fn writer<'a>(target: &Target, params: &'a Params) -> Writer<'a> {
    let custom_status = target.resource.status && target.resource.class == Class::Custom;
    Writer {
        manager: params.manager(),
        api_version: target.resource.api_version(),
        subresource: if target.status { "status" } else { "" },
        excluded: (custom_status && !target.status).then_some("status"),
        only: target.status.then_some("status"),
    }
}

/// Checks that the body is of this resource and this request, drops unknown members (or refuses them).
pub fn decode(target: &Target, body: Value, params: &Params, warnings: &mut Vec<String>) -> ApiResult<Value> {
    let resource = &target.resource;
    let (api_version, kind) = (text(&body, "/apiVersion").to_string(), text(&body, "/kind").to_string());
    if kind.is_empty() {
        return Err(ApiError::bad_request(format!("Object 'Kind' is missing in '{}'", shown(&body))));
    }
    if kind != resource.kind {
        let version = &resource.version;
        return Err(ApiError::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: converting (v1.{kind}) to ({}.{}): unknown conversion",
            resource.kind, version, resource.kind
        )));
    }
    if api_version != resource.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({})",
            resource.api_version()
        )));
    }
    let mut value = body;
    check_address(target, &mut value)?;
    let removed = prune::prune(&resource.schema, &mut value);
    if !removed.is_empty() {
        let list: Vec<String> = removed.iter().map(|p| format!("unknown field {p:?}")).collect();
        match params.field_validation {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => warnings.extend(list),
            FieldValidation::Strict => {
                return Err(ApiError::bad_request(format!(
                    "{kind} in version {:?} cannot be handled as a {kind}: strict decoding error: {}",
                    resource.version,
                    list.join(", ")
                )));
            }
        }
    }
    Ok(value)
}

fn shown(body: &Value) -> String {
    let s = body.to_string();
    if s.len() > 200 { format!("{}...", s.chars().take(200).collect::<String>()) } else { s }
}

/// Name and namespace in the body must be those of the URL, or absent.
pub fn check_address(target: &Target, value: &mut Value) -> ApiResult<()> {
    let namespace = text(value, "/metadata/namespace").to_string();
    if namespace.is_empty() && target.resource.namespaced {
        meta_mut(value).insert("namespace".into(), target.namespace.as_str().into());
    } else if namespace != target.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let Some(wanted) = target.name.as_deref() else { return Ok(()) };
    let name = object::name(value);
    if name.is_empty() {
        meta_mut(value).insert("name".into(), wanted.into());
    } else if name != wanted {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        )));
    }
    Ok(())
}

/// Fills in what the server sets on a new object, and its defaults.
pub fn prepare_new(inner: &Inner, txn: &Txn, target: &Target, mut value: Value) -> ApiResult<Value> {
    let resource = &target.resource;
    let about = resource.about();
    let generate = text(&value, "/metadata/generateName").to_string();
    if object::name(&value).is_empty() {
        if generate.is_empty() {
            let e = FieldError::required("metadata.name", "name or generateName is required");
            return Err(ApiError::invalid(about, "", &[e]));
        }
        let base: String = generate.chars().take(58).collect();
        meta_mut(&mut value).insert("name".into(), format!("{base}{}", object::name_suffix()).into());
    }
    if resource.namespaced {
        let name = object::name(&value);
        let Some(ns) = txn.get("/namespaces", "", &target.namespace) else {
            let namespaces = crate::controlplane::status::About { group: "", plural: "namespaces", kind: "Namespace" };
            return Err(ApiError::not_found(namespaces, &target.namespace));
        };
        if ns.deleting {
            let why = format!("unable to create new content in namespace {} because it is being terminated", ns.name);
            let mut e = ApiError::forbidden(about, name, &why);
            if let Some(d) = &mut e.details {
                let message = format!("namespace {} is being terminated", ns.name);
                d["causes"] =
                    json!([{"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}]);
            }
            return Err(e);
        }
    }
    let meta = meta_mut(&mut value);
    meta.insert("uid".into(), object::new_uid().into());
    meta.insert("creationTimestamp".into(), object::now().into());
    for word in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
        meta.remove(word);
    }
    if resource.class == Class::Custom {
        meta.insert("generation".into(), 1.into());
    }
    if resource.status
        && let Some(map) = value.as_object_mut()
    {
        map.remove("status");
    }
    if resource.class == Class::Namespace {
        value["spec"] = json!({"finalizers": ["kubernetes"]});
        value["status"] = json!({"phase": "Active"});
        let name = object::name(&value).to_string();
        let labels = &mut value["metadata"]["labels"];
        if !labels.is_object() {
            *labels = json!({});
        }
        labels["kubernetes.io/metadata.name"] = name.into();
    }
    let _ = inner;
    normalize(resource, &mut value)?;
    Ok(value)
}

/// Defaults, and the built-in kinds' canonical forms.
pub fn normalize(resource: &Resource, value: &mut Value) -> ApiResult<()> {
    drop_empty_metadata(value);
    default::apply(&resource.schema, value);
    if resource.class == Class::Secret {
        use base64::Engine as _;
        if let Some(Value::Object(plain)) = value.as_object_mut().and_then(|m| m.remove("stringData")) {
            if !value["data"].is_object() {
                value["data"] = json!({});
            }
            for (k, v) in plain {
                let encoded = base64::engine::general_purpose::STANDARD.encode(v.as_str().unwrap_or(""));
                value["data"][k] = encoded.into();
            }
        }
        if text(value, "/type").is_empty() {
            value["type"] = "Opaque".into();
        }
    }
    Ok(())
}

/// Members of ObjectMeta that are null or empty are left out, as a typed encoder does.
fn drop_empty_metadata(value: &mut Value) {
    let meta = meta_mut(value);
    meta.retain(|_, v| match v {
        Value::Null => false,
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(m) => !m.is_empty(),
        _ => true,
    });
}

/// Schema, metadata and CEL; with `old`, as an update.
pub fn check(resource: &Resource, value: &Value, old: Option<&Value>) -> ApiResult<()> {
    let mut errors = metadata_errors(resource, value);
    errors.extend(validate::validate(&resource.schema, value, old));
    if errors.iter().any(|e| e.kind.blocks_rules()) {
        if resource.schema.has_rules {
            errors.push(FieldError::invalid(
                "<nil>",
                Value::Null,
                "some validation rules were not checked because the object was invalid; correct the existing errors to \
                 complete validation",
            ));
        }
    } else {
        errors.extend(cel::check(&resource.schema, value, old));
    }
    errors.extend(resource.validate_builtin(value, old));
    if let Some(old) = old {
        errors.extend(update_errors(value, old));
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(resource.about(), object::name(value), &errors)) }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
     and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

fn is_label(s: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !s.is_empty() && s.chars().all(inner) && !s.starts_with('-') && !s.ends_with('-')
}

fn metadata_errors(resource: &Resource, value: &Value) -> Vec<FieldError> {
    let mut out = Vec::new();
    let name = object::name(value);
    if resource.class == Class::Namespace {
        if !is_label(name) {
            out.push(FieldError::invalid("metadata.name", name, LABEL));
        } else if name.len() > 63 {
            out.push(FieldError::invalid("metadata.name", name, "must be no more than 63 bytes"));
        }
    } else if !name.split('.').all(is_label) {
        out.push(FieldError::invalid("metadata.name", name, SUBDOMAIN));
    } else if name.len() > 253 {
        out.push(FieldError::invalid("metadata.name", name, "must be no more than 253 bytes"));
    }
    let labels = value.pointer("/metadata/labels").and_then(Value::as_object);
    for (k, v) in labels.into_iter().flatten() {
        if let Some(v) = v.as_str() {
            out.extend(label_error(k, v));
        }
    }
    for (i, o) in value.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten().enumerate() {
        for word in ["apiVersion", "kind", "name", "uid"] {
            if text(o, &format!("/{word}")).is_empty() {
                let at = format!("metadata.ownerReferences[{i}].{word}");
                out.push(FieldError::invalid(at, "", if word == "apiVersion" { "version must not be empty" } else { "must not be empty" }));
            }
        }
    }
    for f in object::finalizers(value) {
        let (domain, rest) = f.split_once('/').unwrap_or(("", &f));
        if rest.is_empty() || (!domain.is_empty() && !domain.split('.').all(is_label)) {
            out.push(FieldError::invalid("metadata.finalizers", f.as_str(), "name part must be non-empty and qualified"));
        }
    }
    out
}

fn label_error(key: &str, v: &str) -> Option<FieldError> {
    let ends = |s: &str| {
        let alnum = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        alnum(s.chars().next()) && alnum(s.chars().last())
    };
    let word = |s: &str| ends(s) && s.len() <= 63 && s.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let (domain, rest) = key.split_once('/').unwrap_or(("", key));
    if !word(rest) || (key.contains('/') && !domain.split('.').all(is_label)) {
        let detail = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
             alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        return Some(FieldError::invalid("metadata.labels", key, detail));
    }
    if v.is_empty() || word(v) {
        return None;
    }
    if v.len() > 63 {
        return Some(FieldError::invalid("metadata.labels", v, "must be no more than 63 bytes"));
    }
    let detail = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
         start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
         validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    Some(FieldError::invalid("metadata.labels", v, detail))
}

/// What an update may not change.
fn update_errors(value: &Value, old: &Value) -> Vec<FieldError> {
    let mut out = Vec::new();
    if text(old, "/metadata/deletionTimestamp") != "" {
        let before = object::finalizers(old);
        let new: Vec<String> = object::finalizers(value).into_iter().filter(|f| !before.contains(f)).collect();
        if !new.is_empty() {
            let list: Vec<String> = new.iter().map(|f| format!("{f:?}")).collect();
            out.push(FieldError::forbidden(
                "metadata.finalizers",
                format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    list.join(", ")
                ),
            ));
        }
    }
    out
}
