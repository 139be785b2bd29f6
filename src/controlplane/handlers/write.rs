//! create, and what create and update share: decoding, defaulting, validation, ownership.

use super::params::{FieldValidation, Params};
use super::{Reply, Target, metadata};
use crate::controlplane::apply::{self, Writer};
use crate::controlplane::object::{self, Stored, meta_mut, text};
use crate::controlplane::resource::{Class, Resource};
use crate::controlplane::schema::{cel, default, prune, validate, whole};
use crate::controlplane::status::{About, ApiError, ApiResult, FieldError, FieldErrorKind};
use crate::controlplane::store::Txn;
use crate::controlplane::{Inner, events};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn create(inner: &Inner, target: &Target, body: Value, params: &Params) -> ApiResult<Reply> {
    let mut warnings = Vec::new();
    let value = decode(target, body, params, &mut warnings)?;
    if !text(&value, "/metadata/resourceVersion").is_empty() {
        return Err(ApiError::plain(
            "resourceVersion should not be set on objects to be created".into(),
        ));
    }
    let resource = &target.resource;
    let object = inner.store.write(|txn| {
        let value = prepare_new(inner, txn, target, value.clone())?;
        let name = object::name(&value).to_string();
        check(resource, &value, None)?;
        match txn.get(&resource.key, &target.namespace, &name) {
            None => {}
            Some(o) if o.deleting => return Err(ApiError::already_exists_deleting(resource.about(), &name)),
            Some(_) => return Err(ApiError::already_exists(resource.about(), &name)),
        }
        let mut value = value;
        let base = value.clone();
        let w = writer(target, params);
        apply::track_update(&resource.schema, &w, None, &mut value, Some(&base));
        Ok(store(txn, resource, value, params.dry_run))
    })?;
    Ok(Reply::Object {
        code: 201,
        object,
        warnings,
    })
}

/// Stores, or with dry-run only shows what would be stored.
pub fn store(txn: &mut Txn, resource: &Resource, value: Value, dry_run: bool) -> Arc<Stored> {
    let stored = events::to_stored(resource, value);
    if dry_run {
        Arc::new(Stored::new(&stored))
    } else {
        txn.put(&resource.key, stored)
    }
}

/// Who writes through this target.
pub fn writer<'a>(target: &Target, params: &'a Params) -> Writer<'a> {
    let custom_status = target.resource.status && target.resource.class == Class::Custom;
    Writer {
        manager: params.manager(),
        api_version: target.resource.api_version(),
        subresource: if target.status { "status" } else { "" },
        excluded: match target.resource.class {
            _ if target.status => &[],
            Class::Namespace => &["spec", "status"],
            _ if custom_status => &["status"],
            _ => &[],
        },
        only: target.status.then_some("status"),
    }
}

/// Checks that the body is of this resource and this request, drops unknown members (or refuses them).
pub fn decode(target: &Target, body: Value, params: &Params, warnings: &mut Vec<String>) -> ApiResult<Value> {
    let resource = &target.resource;
    check_kind(resource, &body)?;
    let kind = &resource.kind;
    let mut value = body;
    check_address(target, &mut value)?;
    check_typed(resource, &value)?;
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

/// Checks that an object says that it is of this resource.
pub fn check_kind(resource: &Resource, body: &Value) -> ApiResult<()> {
    let (api_version, kind) = (text(body, "/apiVersion"), text(body, "/kind"));
    if kind.is_empty() {
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{}' ({})",
            resource.kind,
            shown(body, 200),
            shown(body, 30)
        )));
    }
    if kind != resource.kind && resource.class == Class::Custom {
        let e = FieldError::invalid("kind", kind, format!("must be {}", resource.kind));
        let about = About {
            kind,
            ..resource.about()
        };
        return Err(ApiError::invalid(about, object::name(body), &[e]));
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
    Ok(())
}

fn shown(body: &Value, most: usize) -> String {
    let s = body.to_string();
    if s.len() > most {
        format!("{} ...", s.chars().take(most).collect::<String>())
    } else {
        s
    }
}

/// The built-in kinds are typed: what does not fit their members' types cannot be decoded at all.
fn check_typed(resource: &Resource, value: &Value) -> ApiResult<()> {
    if resource.class == Class::Custom {
        return Ok(());
    }
    let kind = &resource.kind;
    for e in validate::validate(&resource.schema, value, None) {
        let why = if e.kind == FieldErrorKind::TypeInvalid {
            let word = |s: &str| match s {
                "integer" | "number" => "number",
                "boolean" => "bool",
                "array" => "array",
                "object" => "object",
                _ => "string",
            };
            let is = e.value.as_ref().and_then(Value::as_str).map_or("value", word);
            let wanted = e
                .detail
                .split("must be of type ")
                .nth(1)
                .and_then(|s| s.split(':').next())
                .unwrap_or("string");
            let member = e.field.split('.').next().unwrap_or(&e.field);
            format!("json: cannot unmarshal {is} into Go struct field {kind}.{member} of type {wanted}")
        } else if e.detail.contains("must be of type byte") {
            "illegal base64 data at input byte 0".to_string()
        } else {
            continue;
        };
        let version = &resource.version;
        return Err(ApiError::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
        )));
    }
    Ok(())
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
    let Some(wanted) = target.name.as_deref() else {
        return Ok(());
    };
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
        // Without either the name is found missing by the checks, along with whatever else is wrong.
        if !generate.is_empty() {
            let base: String = generate.chars().take(58).collect();
            meta_mut(&mut value).insert("name".into(), format!("{base}{}", object::name_suffix()).into());
        }
    }
    if resource.namespaced {
        let name = object::name(&value);
        let Some(ns) = txn.get("/namespaces", "", &target.namespace) else {
            let namespaces = About {
                group: "",
                plural: "namespaces",
                kind: "Namespace",
            };
            return Err(ApiError::not_found(namespaces, &target.namespace));
        };
        if ns.deleting {
            let why = format!(
                "unable to create new content in namespace {} because it is being terminated",
                ns.name
            );
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
    for word in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generation",
    ] {
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
    whole::numbers(value);
    default::apply(&resource.schema, value);
    if matches!(resource.class, Class::Event | Class::EventV1) {
        events::fill(resource, value);
    }
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
    let mut errors = metadata::errors(resource, value);
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
        let more = metadata::update_errors(value, old);
        // A custom resource's metadata is judged twice in the real server, and told twice.
        if resource.class == Class::Custom {
            errors.extend(more.clone());
        }
        errors.extend(more);
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid(resource.about(), object::name(value), &errors))
    }
}
