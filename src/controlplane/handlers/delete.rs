//! delete and deletecollection: preconditions, propagation, finalizers.

use super::params::{ApiRequest, Params, decode_body};
use super::{Reply, Target, list};
use crate::controlplane::Inner;
use crate::controlplane::object::{self, Stored, meta_mut};
use crate::controlplane::resource::{Class, Resource};
use crate::controlplane::status::{About, ApiError, ApiResult, FieldError};
use crate::controlplane::store::Txn;
use serde_json::{Value, json};
use std::sync::Arc;

/// What becomes of the dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

pub const FOREGROUND: &str = "foregroundDeletion";
pub const ORPHAN: &str = "orphan";
/// Namespaces that stay, as kube-apiserver's NamespaceLifecycle keeps them.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// metav1.DeleteOptions.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// Without a word, the finalizers that an object has already decide.
    pub propagation: Option<Propagation>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub dry_run: bool,
}

impl DeleteOptions {
    pub fn new(request: &ApiRequest, params: &Params) -> ApiResult<DeleteOptions> {
        let body = if request.body.is_empty() {
            Value::Null
        } else {
            decode_body(request, "DeleteOptions")?
        };
        let text = |p: &str| body.pointer(p).and_then(Value::as_str).map(String::from);
        let about = About {
            group: "meta.k8s.io",
            plural: "",
            kind: "DeleteOptions",
        };
        let word = text("/propagationPolicy").or_else(|| request.query.get("propagationPolicy").cloned());
        let orphan = body.get("orphanDependents").and_then(Value::as_bool);
        let propagation = match (word.as_deref(), orphan) {
            (None, None) => None,
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (Some(other), _) => {
                let valid = ["Foreground", "Background", "Orphan", "nil"].map(String::from);
                let e = FieldError::not_supported("propagationPolicy", other.into(), &valid);
                return Err(ApiError::invalid(about, "", &[e]));
            }
        };
        let dry_run = match body.pointer("/dryRun/0").and_then(Value::as_str) {
            None => params.dry_run,
            Some("All") => true,
            Some(other) => {
                let e = FieldError::not_supported("dryRun", json!([other]), &["All".to_string()]);
                return Err(ApiError::invalid(about, "", &[e]));
            }
        };
        Ok(DeleteOptions {
            propagation,
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            dry_run,
        })
    }
}

pub fn one(inner: &Inner, target: &Target, options: &DeleteOptions) -> ApiResult<Reply> {
    let resource = &target.resource;
    let name = target.name.clone().unwrap_or_default();
    if resource.class == Class::Namespace && IMMORTAL.contains(&name.as_str()) {
        let why = "this namespace may not be deleted";
        return Err(ApiError::forbidden(resource.about(), &name, why));
    }
    let (object, gone) = inner.store.write(|txn| {
        let existing = txn.get(&resource.key, &target.namespace, &name);
        let Some(existing) = existing else {
            return Err(ApiError::not_found(resource.about(), &name));
        };
        preconditions(resource, &existing, options)?;
        Ok(remove(txn, resource, &existing, options))
    })?;
    // The real server answers a namespace's deletion, and one that waits for finalizers, with the object.
    if !gone || resource.class == Class::Namespace {
        return Ok(Reply::Object {
            code: 200,
            object,
            warnings: vec![],
        });
    }
    let mut details = json!({"name": name, "kind": resource.plural, "uid": object.uid});
    if !resource.group.is_empty() {
        details["group"] = resource.group.as_str().into();
    }
    let value = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    Ok(Reply::Json {
        code: 200,
        value,
        warnings: vec![],
    })
}

pub fn collection(inner: &Inner, target: &Target, params: &Params, options: &DeleteOptions) -> ApiResult<Reply> {
    let listed = list::list(inner, target, params)?;
    inner.store.write(|txn| {
        for item in &listed.items {
            if let Some(existing) = txn.get(&target.resource.key, &item.namespace, &item.name) {
                preconditions(&target.resource, &existing, options)?;
                remove(txn, &target.resource, &existing, options);
            }
        }
        Ok(())
    })?;
    Ok(Reply::List(listed))
}

fn preconditions(resource: &Resource, existing: &Stored, options: &DeleteOptions) -> ApiResult<()> {
    let conflict = |what: &str, wanted: &str, is: &str, might: &str| {
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({is}). The object might have \
             been {might}"
        );
        let about = About {
            plural: &resource.kind,
            ..resource.about()
        };
        Err(ApiError::conflict(about, &existing.name, &why))
    };
    if let Some(uid) = options.uid.as_ref().filter(|u| **u != existing.uid) {
        return conflict("UID", uid, &existing.uid, "deleted and then recreated");
    }
    let is = existing.resource_version.to_string();
    if let Some(rv) = options.resource_version.as_ref().filter(|r| **r != is) {
        return conflict("ResourceVersion", rv, &is, "modified");
    }
    Ok(())
}

/// Deletes, or marks for deletion where finalizers hold the object. Gives its last state and whether it is gone.
pub fn remove(
    txn: &mut Txn,
    resource: &Resource,
    existing: &Arc<Stored>,
    options: &DeleteOptions,
) -> (Arc<Stored>, bool) {
    let mut value = existing.value();
    let mut finalizers = existing.finalizers.clone();
    if let Some(propagation) = options.propagation {
        finalizers.retain(|f| f != FOREGROUND && f != ORPHAN);
        match propagation {
            Propagation::Foreground => finalizers.push(FOREGROUND.into()),
            Propagation::Orphan => finalizers.push(ORPHAN.into()),
            Propagation::Background => {}
        }
    }
    let namespace = resource.class == Class::Namespace;
    if finalizers.is_empty() && !namespace {
        if options.dry_run {
            return (existing.clone(), true);
        }
        return (txn.delete(&resource.key, value), true);
    }
    if existing.deleting && finalizers == existing.finalizers {
        return (existing.clone(), false);
    }
    let first = !existing.deleting;
    let meta = meta_mut(&mut value);
    if !finalizers.is_empty() {
        meta.insert("finalizers".into(), finalizers.into());
    }
    if first {
        meta.insert("deletionTimestamp".into(), object::now().into());
        if !namespace {
            meta.insert("deletionGracePeriodSeconds".into(), 0.into());
        }
        if let Some(generation) = meta.get("generation").and_then(Value::as_i64).filter(|g| *g > 0) {
            meta.insert("generation".into(), (generation + 1).into());
        }
        if namespace {
            value["status"]["phase"] = "Terminating".into();
        }
    }
    if options.dry_run {
        return (Arc::new(Stored::new(&value)), false);
    }
    (txn.put(&resource.key, value), false)
}
