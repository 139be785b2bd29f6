//! Value validation with the texts of kube-openapi's validator as apiextensions-apiserver reports them.

use super::{Additional, ListType, Node, Type, item_key, join};
use crate::controlplane::status::{FieldError, FieldErrorKind};
use serde_json::Value;

/// Checks `value`; with `old`, what did not change is not judged again (ratcheting), as on an update.
pub fn validate(node: &Node, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut out = Vec::new();
    walk(node, value, old, "", &mut out);
    out
}

/// The old value that corresponds to a member or item of the new one.
pub fn old_item<'a>(node: &Node, old: Option<&'a Value>, item: &Value) -> Option<&'a Value> {
    let ListType::Map(keys) = node.list_type() else { return None };
    let key = item_key(keys, node.items.as_deref(), item);
    let items = old?.as_array()?;
    items.iter().find(|o| item_key(keys, node.items.as_deref(), o) == key)
}

fn type_of(v: &Value) -> &'static str {
    match v {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn has_type(ty: Type, v: &Value) -> bool {
    match (ty, v) {
        (Type::Integer, Value::Number(n)) => n.as_f64().is_some_and(|f| f.fract() == 0.0),
        (Type::Number, Value::Number(_)) => true,
        (ty, v) => ty.name() == type_of(v),
    }
}

fn walk(node: &Node, value: &Value, old: Option<&Value>, path: &str, out: &mut Vec<FieldError>) {
    if old == Some(value) {
        return;
    }
    let invalid = |detail: String| FieldError::invalid(path, value.clone(), format!("{path} in body {detail}"));
    let wanted = if node.int_or_string { "integer,string" } else { node.ty.map_or("", Type::name) };
    let fits = match (node.int_or_string, node.ty) {
        (true, _) => has_type(Type::Integer, value) || value.is_string(),
        (_, Some(ty)) => has_type(ty, value),
        _ => true,
    };
    if value.is_null() {
        if !node.nullable && !wanted.is_empty() {
            let detail = format!("{path} in body must be of type {wanted}: \"null\"");
            out.push(FieldError::new(FieldErrorKind::TypeInvalid, path, Some("null".into()), detail));
        }
        return;
    }
    if !fits {
        let is = type_of(value);
        let detail = format!("{path} in body must be of type {wanted}: \"{is}\"");
        out.push(FieldError::new(FieldErrorKind::TypeInvalid, path, Some(is.into()), detail));
        return;
    }
    combinators(node, value, path, out);
    let limits = &node.limits;
    match value {
        Value::String(s) => {
            let length = s.chars().count() as u64;
            if let Some(max) = limits.max_length.filter(|max| length > *max) {
                out.push(FieldError::too_long(path, max));
            } else if let Some(min) = limits.min_length.filter(|min| length < *min) {
                out.push(invalid(format!("should be at least {min} chars long")));
            } else if let Some(p) = limits.pattern.as_ref().filter(|p| !p.is_match(s)) {
                out.push(invalid(format!("should match '{p}'")));
            }
            if let Some(f) = limits.format.as_deref().filter(|f| !format_fits(f, s)) {
                out.push(invalid(format!("must be of type {f}: {s:?}")));
            }
        }
        Value::Number(n) => {
            let x = n.as_f64().unwrap_or(f64::NAN);
            if let Some(by) = limits.multiple_of.filter(|by| (x / by).fract() != 0.0) {
                out.push(invalid(format!("should be a multiple of {by}")));
            }
            match limits.maximum {
                Some(max) if limits.exclusive_maximum && x >= max => out.push(invalid(format!("should be less than {max}"))),
                Some(max) if x > max => out.push(invalid(format!("should be less than or equal to {max}"))),
                _ => {}
            }
            match limits.minimum {
                Some(min) if limits.exclusive_minimum && x <= min => {
                    out.push(invalid(format!("should be greater than {min}")))
                }
                Some(min) if x < min => out.push(invalid(format!("should be greater than or equal to {min}"))),
                _ => {}
            }
            if limits.format.as_deref() == Some("int32") && n.as_i64().is_none_or(|i| i32::try_from(i).is_err()) {
                let detail = format!("Checked value must be of type integer with format int32 in {path}");
                out.push(FieldError::invalid(path, value.clone(), detail));
            }
        }
        Value::Array(items) => {
            if let Some(child) = &node.items {
                for (i, v) in items.iter().enumerate() {
                    walk(child, v, old_item(node, old, v), &format!("{path}[{i}]"), out);
                }
            }
            let count = items.len() as u64;
            if let Some(min) = limits.min_items.filter(|min| count < *min) {
                let detail = format!("{path} in body should have at least {min} items");
                out.push(FieldError::invalid(path, count, detail));
            }
            if let Some(max) = limits.max_items.filter(|max| count > *max) {
                out.push(FieldError::too_many(path, items.len(), max));
            }
            duplicates(node, items, path, out);
        }
        Value::Object(map) => {
            let count = map.len() as u64;
            if let Some(min) = limits.min_properties.filter(|min| count < *min) {
                let detail = format!("{path} in body should have at least {min} properties");
                out.push(FieldError::invalid(path, count, detail));
            }
            if let Some(max) = limits.max_properties.filter(|max| count > *max) {
                out.push(FieldError::too_many(path, map.len(), max));
            }
            for (k, v) in map {
                let child = match (node.properties.get(k), &node.additional) {
                    (Some(child), _) => child,
                    (None, Some(Additional::Schema(child))) => child,
                    _ => continue,
                };
                walk(child, v, old.and_then(|o| o.get(k)), &join(path, k), out);
            }
            for k in node.required.iter().filter(|k| !map.contains_key(*k)) {
                out.push(FieldError::required(join(path, k), ""));
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
    if let Some(valid) = limits.enumeration.as_ref().filter(|valid| !valid.contains(value)) {
        let words: Vec<String> = valid.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), String::from)).collect();
        out.push(FieldError::not_supported(path, value.clone(), &words));
    }
}

/// allOf, anyOf, oneOf, not. Their summary errors carry no path of their own in the real server either.
fn combinators(node: &Node, value: &Value, path: &str, out: &mut Vec<FieldError>) {
    let judge = |n: &Node| {
        let mut errors = Vec::new();
        walk(n, value, None, path, &mut errors);
        errors
    };
    let summary = |why: String| FieldError::invalid("<nil>", "", format!("{path:?} {why}"));
    if !node.any_of.is_empty() {
        let results: Vec<_> = node.any_of.iter().map(judge).collect();
        if results.iter().all(|r| !r.is_empty()) {
            out.push(summary("must validate at least one schema (anyOf)".into()));
            out.extend(results.into_iter().min_by_key(Vec::len).unwrap_or_default());
        }
    }
    if !node.one_of.is_empty() {
        let results: Vec<_> = node.one_of.iter().map(judge).collect();
        let valid = results.iter().filter(|r| r.is_empty()).count();
        if valid == 0 {
            out.push(summary("must validate one and only one schema (oneOf). Found none valid".into()));
            out.extend(results.into_iter().min_by_key(Vec::len).unwrap_or_default());
        } else if valid > 1 {
            out.push(summary(format!("must validate one and only one schema (oneOf). Found {valid} valid alternatives")));
        }
    }
    if !node.all_of.is_empty() {
        let errors: Vec<_> = node.all_of.iter().flat_map(judge).collect();
        if !errors.is_empty() {
            out.push(summary("must validate all the schemas (allOf)".into()));
            out.extend(errors);
        }
    }
    if node.not.as_ref().is_some_and(|n| judge(n).is_empty()) {
        out.push(summary("must not validate the schema (not)".into()));
    }
}

/// Duplicate items of sets and duplicate keys of map lists.
fn duplicates(node: &Node, items: &[Value], path: &str, out: &mut Vec<FieldError>) {
    let mut seen: Vec<Value> = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let key = match node.list_type() {
            ListType::Atomic => return,
            ListType::Set => item.clone(),
            ListType::Map(keys) => Value::Object(item_key(keys, node.items.as_deref(), item)),
        };
        if seen.contains(&key) {
            let at = format!("{path}[{i}]");
            out.push(FieldError::new(FieldErrorKind::Duplicate, at, Some(key), ""));
        } else {
            seen.push(key);
        }
    }
}

fn format_fits(format: &str, s: &str) -> bool {
    match format {
        "date-time" => s.parse::<jiff::Timestamp>().is_ok(),
        "byte" => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(s).is_ok()
        }
        "uuid" => {
            let hex = s.chars().filter(|c| *c != '-').count();
            hex == 32 && s.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
        }
        "ipv4" => s.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => s.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn errors(schema: Value, value: Value) -> Vec<String> {
        let node = Node::parse("Test", &schema).unwrap();
        validate(&node, &value, None).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn texts_of_the_real_server() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["a"], "properties": {
            "a": {"type": "string"}, "n": {"type": "integer", "minimum": 1}, "e": {"type": "string", "enum": ["x", "y"]},
            "p": {"type": "string", "pattern": "^a$"}, "l": {"type": "string", "maxLength": 2}}}}});
        let one = |v: Value| errors(schema.clone(), json!({ "spec": v }));
        assert_eq!(one(json!({})), ["spec.a: Required value"]);
        assert_eq!(
            one(json!({"a": 1})),
            [r#"spec.a: Invalid value: "integer": spec.a in body must be of type string: "integer""#]
        );
        assert_eq!(
            one(json!({"a": "x", "n": 0})),
            ["spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1"]
        );
        assert_eq!(one(json!({"a": "x", "e": "z"})), [r#"spec.e: Unsupported value: "z": supported values: "x", "y""#]);
        assert_eq!(one(json!({"a": "x", "p": "b"})), [r#"spec.p: Invalid value: "b": spec.p in body should match '^a$'"#]);
        assert_eq!(one(json!({"a": "x", "l": "abc"})), ["spec.l: Too long: may not be more than 2 bytes"]);
    }

    #[test]
    fn unchanged_values_are_not_judged_again() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "a": {"type": "string", "maxLength": 1}, "b": {"type": "string"}}}}});
        let node = Node::parse("Test", &schema).unwrap();
        let old = json!({"spec": {"a": "too long", "b": "x"}});
        let new = json!({"spec": {"a": "too long", "b": "y"}});
        assert!(validate(&node, &new, Some(&old)).is_empty());
        assert_eq!(validate(&node, &json!({"spec": {"a": "changed"}}), Some(&old)).len(), 1);
    }
}
