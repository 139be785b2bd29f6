//! PUT and PATCH (apply included), on the main resource and on status.

use super::params::{FieldValidation, Params};
use super::write::{self, check, check_address, check_kind, decode, normalize, store, writer};
use super::{Reply, Target};
use crate::controlplane::apply;
use crate::controlplane::object::{self, Stored, meta_mut, text};
use crate::controlplane::patch::Patch;
use crate::controlplane::resource::Class;
use crate::controlplane::schema::{prune, whole};
use crate::controlplane::status::{About, ApiError, ApiResult, FieldError};
use crate::controlplane::store::Txn;
use crate::controlplane::{Inner, events};
use serde_json::Value;
use std::sync::Arc;

pub fn put(inner: &Inner, target: &Target, body: Value, params: &Params) -> ApiResult<Reply> {
    let resource = &target.resource;
    let name = target.name.clone().unwrap_or_default();
    let mut warnings = Vec::new();
    let value = decode(target, body, params, &mut warnings)?;
    if target.resource.allows_create_on_update()
        && inner
            .store
            .read()
            .get(&resource.key, &target.namespace, &name)
            .is_none()
    {
        let mut value = value;
        meta_mut(&mut value).remove("resourceVersion");
        return super::write::create(inner, target, value, params);
    }
    let object = inner.store.write(|txn| {
        let existing = txn.get(&resource.key, &target.namespace, &name);
        let Some(existing) = existing else {
            return Err(ApiError::not_found(resource.about(), &name));
        };
        let old = events::to_wire(resource, existing.value());
        if text(&value, "/metadata/resourceVersion").is_empty() && !resource.allows_unconditional_update() {
            let e = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
            let about = About {
                kind: &resource.plural,
                ..resource.about()
            };
            return Err(ApiError::invalid(about, &name, &[e]));
        }
        finish(txn, target, &existing, &old, value.clone(), Owner::Update, params)
    })?;
    Ok(Reply::Object {
        code: 200,
        object,
        warnings,
    })
}

pub fn patch(inner: &Inner, target: &Target, patch: Patch, params: &Params) -> ApiResult<Reply> {
    match patch {
        Patch::Apply(config) => apply_patch(inner, target, config, params),
        _ if params.force => {
            let about = About {
                group: "meta.k8s.io",
                plural: "",
                kind: "PatchOptions",
            };
            let e = FieldError::forbidden("force", "may not be specified for non-apply patch");
            Err(ApiError::invalid(about, "", &[e]))
        }
        other => plain_patch(inner, target, &other, params),
    }
}

fn plain_patch(inner: &Inner, target: &Target, patch: &Patch, params: &Params) -> ApiResult<Reply> {
    let resource = &target.resource;
    let name = target.name.clone().unwrap_or_default();
    let mut warnings = Vec::new();
    let object = inner.store.write(|txn| {
        let existing = txn.get(&resource.key, &target.namespace, &name);
        let Some(existing) = existing else {
            return Err(ApiError::not_found(resource.about(), &name));
        };
        let old = events::to_wire(resource, existing.value());
        let mut new = patch.apply_to(resource, &old)?;
        patched_kind(target, &name, &new)?;
        let immutable = [
            ("/metadata/name", "metadata.name"),
            ("/metadata/namespace", "metadata.namespace"),
        ];
        for (pointer, field) in immutable {
            if text(&new, pointer) != text(&old, pointer) && !text(&new, pointer).is_empty() {
                check_address(target, &mut new)?;
                let shown = text(&new, pointer).to_string();
                let e = FieldError::invalid(field, shown, "field is immutable");
                return Err(ApiError::invalid(resource.about(), &name, &[e]));
            }
        }
        check_address(target, &mut new)?;
        let shown = new.to_string();
        let removed = prune::prune(&resource.schema, &mut new);
        if !removed.is_empty() {
            let list: Vec<String> = removed.iter().map(|p| format!("unknown field {p:?}")).collect();
            match params.field_validation {
                FieldValidation::Ignore => {}
                FieldValidation::Warn => warnings = list,
                FieldValidation::Strict => {
                    let detail = format!("strict decoding error: {}", list.join(", "));
                    let nobody = About {
                        group: "",
                        plural: "",
                        kind: "",
                    };
                    return Err(ApiError::invalid(
                        nobody,
                        "",
                        &[FieldError::invalid("patch", shown, detail)],
                    ));
                }
            }
        }
        finish(txn, target, &existing, &old, new, Owner::Update, params)
    })?;
    Ok(Reply::Object {
        code: 200,
        object,
        warnings,
    })
}

/// A patch may not make another kind of an object, in the words that the real server has for it.
fn patched_kind(target: &Target, name: &str, new: &Value) -> ApiResult<()> {
    let resource = &target.resource;
    if resource.class != Class::Custom {
        return check_kind(resource, new);
    }
    let (api_version, kind) = (text(new, "/apiVersion"), text(new, "/kind"));
    let about = About {
        group: api_version.split_once('/').map_or("", |(group, _)| group),
        plural: "",
        kind,
    };
    if kind.is_empty() {
        let shown = new.to_string();
        let detail = format!("Object 'Kind' is missing in '{shown}'");
        let nobody = About { group: "", ..about };
        return Err(ApiError::invalid(
            nobody,
            "",
            &[FieldError::invalid("patch", shown, detail)],
        ));
    }
    if api_version.is_empty() {
        return Err(ApiError::internal(
            "Object 'apiVersion' is missing in 'object has no apiVersion field'",
        ));
    }
    let wanted = resource.api_version();
    let pairs = [
        ("kind", kind, resource.kind.as_str()),
        ("apiVersion", api_version, wanted.as_str()),
    ];
    let wrong = pairs.into_iter().filter(|(_, is, wanted)| is != wanted);
    let wrong: Vec<FieldError> = wrong
        .map(|(field, is, wanted)| FieldError::invalid(field, is, format!("must be {wanted}")))
        .collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(ApiError::invalid(about, name, &wrong)),
    }
}

fn apply_patch(inner: &Inner, target: &Target, config: Value, params: &Params) -> ApiResult<Reply> {
    let resource = &target.resource;
    let name = target.name.clone().unwrap_or_default();
    if params.field_manager.is_none() {
        let about = About {
            group: "meta.k8s.io",
            plural: "",
            kind: "PatchOptions",
        };
        let e = FieldError::required("fieldManager", "is required for apply patch");
        return Err(ApiError::invalid(about, "", &[e]));
    }
    if config
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .is_some_and(|l| !l.is_empty())
    {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let (api_version, kind) = (text(&config, "/apiVersion"), text(&config, "/kind"));
    if kind != resource.kind || api_version != resource.api_version() {
        let group = if api_version.contains('/') {
            String::new()
        } else {
            "/".to_string()
        };
        return Err(ApiError::bad_request(format!(
            "invalid object type: {group}{api_version}, Kind={kind}"
        )));
    }
    let given = text(&config, "/metadata/namespace").to_string();
    let mut config = config;
    whole::numbers(&mut config);
    check_address(target, &mut config)?;
    let undeclared = || apply::undeclared(&resource.schema, &config).into_iter().next();
    let wrong = undeclared().map(|path| format!(".{path}: field not declared in schema"));
    if let Some(why) = wrong.or_else(|| apply::not_numeric(&resource.schema, &config, "")) {
        return Err(ApiError::plain(format!(
            "failed to create typed patch object ({given}/{name}; {}, Kind={}): {why}",
            resource.api_version(),
            resource.kind
        )));
    }
    let w = writer(target, params);
    let mut code = 200;
    let object = inner.store.write(|txn| {
        let existing = txn.get(&resource.key, &target.namespace, &name);
        let Some(existing) = existing else {
            if target.status {
                return Err(ApiError::not_found(resource.about(), &name));
            }
            let given = text(&config, "/metadata/uid");
            if !given.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {given}, and no existing object was found"
                );
                return Err(ApiError::conflict(resource.about(), &name, &why));
            }
            code = 201;
            let applied = apply::apply(&resource.schema, &w, None, &config, params.force)?;
            let value = write::prepare_new(inner, txn, target, applied)?;
            check(resource, &value, None)?;
            return Ok(store(txn, resource, value, params.dry_run));
        };
        let old = events::to_wire(resource, existing.value());
        let given = text(&config, "/metadata/resourceVersion");
        if !given.is_empty() && given != existing.resource_version.to_string() {
            return Err(ApiError::modified(resource.about(), &name));
        }
        let given = text(&config, "/metadata/uid");
        if !given.is_empty() && given != existing.uid {
            let why = format!(
                "Precondition failed: UID in precondition: {given}, UID in object meta: {}",
                existing.uid
            );
            return Err(ApiError::conflict(resource.about(), &name, &why));
        }
        let mut merged = apply::apply(&resource.schema, &w, Some(&old), &config, params.force)?;
        keep_last_applied(params.manager(), &old, &config, &mut merged);
        finish(txn, target, &existing, &old, merged, Owner::Applied, params)
    })?;
    Ok(Reply::Object {
        code,
        object,
        warnings: vec![],
    })
}

/// `kubectl apply` without --server-side compares with an annotation; where an object has it, an apply by kubectl with
/// --server-side keeps it up to date, so that people can go back and forth.
fn keep_last_applied(manager: &str, old: &Value, config: &Value, merged: &mut Value) {
    const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";
    if manager != "kubectl" || old["metadata"]["annotations"].get(LAST).is_none() {
        return;
    }
    let mut plain = config.clone();
    if let Some(meta) = plain["metadata"].as_object_mut() {
        let annotations = meta.get_mut("annotations").and_then(Value::as_object_mut);
        if annotations.is_some_and(|a| {
            a.remove(LAST);
            a.is_empty()
        }) {
            meta.remove("annotations");
        }
    }
    if let Some(annotations) = merged
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.insert(LAST.into(), format!("{plain}\n").into());
    }
}

/// Whether managedFields are still to be computed.
#[derive(PartialEq)]
enum Owner {
    Update,
    Applied,
}

/// The common end of every update: what may not change is put back, the result is checked and stored; an object whose
/// deletion waited for its last finalizer goes.
fn finish(
    txn: &mut Txn,
    target: &Target,
    existing: &Arc<Stored>,
    old: &Value,
    mut new: Value,
    owner: Owner,
    params: &Params,
) -> ApiResult<Arc<Stored>> {
    let resource = &target.resource;
    let about = resource.about();
    let name = existing.name.as_str();
    let uid = text(&new, "/metadata/uid");
    if !uid.is_empty() && uid != existing.uid {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            existing.uid
        );
        return Err(ApiError::conflict(about, name, &why));
    }
    let given = text(&new, "/metadata/resourceVersion");
    if !given.is_empty() && given != existing.resource_version.to_string() {
        return Err(ApiError::modified(about, name));
    }
    let request = new.clone();
    if target.status {
        let mut kept = old.clone();
        if let (Some(slot), Some(map)) = (new.get_mut("status"), kept.as_object_mut()) {
            map.insert("status".into(), slot.take());
        } else if let Some(map) = kept.as_object_mut() {
            map.remove("status");
        }
        if let Some(managed) = request.pointer("/metadata/managedFields") {
            meta_mut(&mut kept).insert("managedFields".into(), managed.clone());
        }
        new = kept;
    } else {
        let meta = meta_mut(&mut new);
        for word in [
            "uid",
            "creationTimestamp",
            "generation",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "resourceVersion",
            "selfLink",
        ] {
            match old["metadata"].get(word) {
                Some(v) => meta.insert(word.into(), v.clone()),
                None => meta.remove(word),
            };
        }
        if resource.status
            && let Some(map) = new.as_object_mut()
        {
            match old.get("status") {
                Some(v) => map.insert("status".into(), v.clone()),
                None => map.remove("status"),
            };
        }
        if resource.class == Class::Namespace && !target.finalize {
            new["spec"] = old["spec"].clone();
        }
    }
    normalize(resource, &mut new)?;
    check(resource, &new, Some(old)).map_err(|e| if target.status { as_status_error(e) } else { e })?;
    if resource.class == Class::Custom && !target.status && differs_outside_metadata(&new, old) {
        let generation = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
        meta_mut(&mut new).insert("generation".into(), (generation + 1).into());
    }
    if owner == Owner::Update {
        let reset = request.pointer("/metadata/managedFields").is_some();
        let base = if reset { &request } else { old };
        let w = writer(target, params);
        apply::track_update(&resource.schema, &w, Some(old), &mut new, Some(base));
    }
    if same_but_times(&new, old) {
        return Ok(existing.clone());
    }
    let done = existing.deleting && object::finalizers(&new).is_empty() && namespace_is_final(target, &new);
    if done && !params.dry_run {
        return Ok(txn.delete(&resource.key, events::to_stored(resource, new)));
    }
    Ok(store(txn, resource, new, params.dry_run))
}

/// The status is validated by itself in the real server: its texts name paths below `status`.
fn as_status_error(mut e: ApiError) -> ApiError {
    let shorter = |s: &str| s.replace(": status.", ": ");
    e.message = shorter(&e.message);
    if let Some((head, list)) = e.message.split_once(" is invalid: ") {
        // The path before each error is the whole one.
        let list = list.replace("\", status.", "\", \u{1}");
        e.message = format!(
            "{head} is invalid: {}{list}",
            if list.starts_with('[') { "" } else { "status." }
        );
        e.message = e
            .message
            .replace("is invalid: status.status.", "is invalid: status.")
            .replace('\u{1}', "status.");
    }
    if let Some(causes) = e.details.as_mut().and_then(|d| d.get_mut("causes")?.as_array_mut()) {
        for c in causes {
            if let Some(m) = c["message"].as_str() {
                c["message"] = shorter(m).into();
            }
        }
    }
    e
}

fn namespace_is_final(target: &Target, new: &Value) -> bool {
    let held = new
        .pointer("/spec/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|f| !f.is_empty());
    target.resource.class != Class::Namespace || !held
}

fn differs_outside_metadata(a: &Value, b: &Value) -> bool {
    let rest = |v: &Value| {
        let mut m = v.as_object().cloned().unwrap_or_default();
        m.remove("metadata");
        m
    };
    rest(a) != rest(b)
}

/// Nothing changed, or only the times of ownership: such a write is not stored and makes no event.
fn same_but_times(a: &Value, b: &Value) -> bool {
    let plain = |v: &Value| {
        let mut v = v.clone();
        if let Some(list) = v.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
            for e in list {
                if let Some(m) = e.as_object_mut() {
                    m.remove("time");
                }
            }
        }
        v
    };
    plain(a) == plain(b)
}
