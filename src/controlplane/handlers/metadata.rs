//! The rules of ObjectMeta: names, labels, owner references, finalizers.

use crate::controlplane::object::{self, text};
use crate::controlplane::resource::{Class, Resource};
use crate::controlplane::status::FieldError;
use serde_json::Value;

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

/// What is wrong with an object's metadata.
pub fn errors(resource: &Resource, value: &Value) -> Vec<FieldError> {
    let mut out = Vec::new();
    let name = object::name(value);
    if name.is_empty() {
        out.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else if resource.class == Class::Namespace {
        if !is_label(name) {
            out.push(FieldError::invalid("metadata.name", name, LABEL));
        } else if name.len() > 63 {
            out.push(FieldError::invalid(
                "metadata.name",
                name,
                "must be no more than 63 bytes",
            ));
        }
    } else if !name.split('.').all(is_label) {
        out.push(FieldError::invalid("metadata.name", name, SUBDOMAIN));
    } else if name.len() > 253 {
        out.push(FieldError::invalid(
            "metadata.name",
            name,
            "must be no more than 253 bytes",
        ));
    }
    let labels = value.pointer("/metadata/labels").and_then(Value::as_object);
    for (k, v) in labels.into_iter().flatten() {
        if let Some(v) = v.as_str() {
            out.extend(label_error(k, v));
        }
    }
    for (i, o) in value
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        for word in ["apiVersion", "kind", "name", "uid"] {
            if text(o, &format!("/{word}")).is_empty() {
                let at = format!("metadata.ownerReferences[{i}].{word}");
                out.push(FieldError::invalid(
                    at,
                    "",
                    if word == "apiVersion" {
                        "version must not be empty"
                    } else {
                        "must not be empty"
                    },
                ));
            }
        }
    }
    for f in object::finalizers(value) {
        let (domain, rest) = f.split_once('/').unwrap_or(("", &f));
        if rest.is_empty() || (!domain.is_empty() && !domain.split('.').all(is_label)) {
            out.push(FieldError::invalid(
                "metadata.finalizers",
                f.as_str(),
                "name part must be non-empty and qualified",
            ));
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
        return Some(FieldError::invalid(
            "metadata.labels",
            v,
            "must be no more than 63 bytes",
        ));
    }
    let detail = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
         start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
         validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    Some(FieldError::invalid("metadata.labels", v, detail))
}

/// What an update may not change in it.
pub fn update_errors(value: &Value, old: &Value) -> Vec<FieldError> {
    let mut out = Vec::new();
    if !text(old, "/metadata/deletionTimestamp").is_empty() {
        let before = object::finalizers(old);
        let new: Vec<String> = object::finalizers(value)
            .into_iter()
            .filter(|f| !before.contains(f))
            .collect();
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
