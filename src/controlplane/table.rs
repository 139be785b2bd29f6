//! Tables (`as=Table`), as kubectl get asks for them.

use super::events;
use super::object::{Stored, text};
use super::resource::{Class, Column, Resource};
use serde_json::{Value, json};

/// Which part of the object goes along with each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    Metadata,
    Object,
    None,
}

/// A Table of some objects. `columns` false leaves the definitions out (all but the first event of a watch).
pub fn table(
    resource: &Resource,
    objects: &[std::sync::Arc<Stored>],
    list_meta: Value,
    include: Include,
    columns: bool,
) -> Value {
    let rows: Vec<Value> = objects.iter().map(|o| row(resource, o, include)).collect();
    let definitions: Vec<Value> = if columns { definitions(resource) } else { vec![] };
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": list_meta, "columnDefinitions": definitions, "rows": rows})
}

fn definitions(resource: &Resource) -> Vec<Value> {
    let mut out = Vec::new();
    if !matches!(resource.class, Class::Event | Class::EventV1) {
        let text = "Name must be unique within a namespace. Is required when creating resources, although some resources \
             may allow a client to request the generation of an appropriate name automatically. Name is primarily intended \
             for creation idempotence and configuration definition. Cannot be updated. More info: \
             https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
        out.push(json!({"name": "Name", "type": "string", "format": "name", "description": text, "priority": 0}));
    }
    out.extend(resource.columns.iter().map(|c| {
        json!({"name": c.name, "type": c.ty, "format": c.format, "description": c.description, "priority": c.priority})
    }));
    out
}

fn row(resource: &Resource, object: &Stored, include: Include) -> Value {
    let value = object.value();
    let mut cells: Vec<Value> = Vec::new();
    if matches!(resource.class, Class::Event | Class::EventV1) {
        cells.extend(event_cells(&value));
    } else {
        cells.push(object.name.as_str().into());
        cells.extend(resource.columns.iter().map(|c| cell(c, &value)));
    }
    let mut row = json!({ "cells": cells });
    let wire = events::to_wire(resource, value);
    match include {
        Include::None => {}
        Include::Object => row["object"] = wire,
        Include::Metadata => row["object"] = partial(&wire),
    }
    row
}

/// PartialObjectMetadata of an object.
pub fn partial(value: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]})
}

fn event_cells(v: &Value) -> Vec<Value> {
    let when = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp"];
    let when = when.iter().map(|p| text(v, p)).find(|t| !t.is_empty()).unwrap_or("");
    let object = format!("{}/{}", text(v, "/involvedObject/kind").to_lowercase(), text(v, "/involvedObject/name"));
    let age = if when.is_empty() { "<unknown>".into() } else { age(when) };
    vec![
        age.into(),
        text(v, "/type").into(),
        text(v, "/reason").into(),
        object.into(),
        text(v, "/message").trim().into(),
    ]
}

fn cell(column: &Column, value: &Value) -> Value {
    if let Some(members) = column.json_path.strip_prefix('#') {
        let count: usize = members.split(',').map(|m| value[m].as_object().map_or(0, |o| o.len())).sum();
        return count.into();
    }
    // '@': the time stamp itself, as the definitions' column shows it.
    if let Some(path) = column.json_path.strip_prefix('@') {
        return find(path, value).first().map_or(Value::Null, |v| (*v).clone());
    }
    let found = find(&column.json_path, value);
    let Some(first) = found.first() else { return Value::Null };
    match (column.ty.as_str(), first) {
        ("date", v) => match v.as_str() {
            Some(t) => age(t).into(),
            None => "<invalid>".into(),
        },
        ("integer", v) => v.as_i64().map_or(Value::Null, Value::from),
        ("number", v) => v.as_f64().map_or(Value::Null, Value::from),
        ("boolean", v) => v.as_bool().map_or(Value::Null, Value::from),
        _ => {
            let shown = |v: &&Value| match v {
                Value::String(s) => s.clone(),
                other => other.to_string(),
            };
            found.iter().map(shown).collect::<Vec<_>>().join(" ").into()
        }
    }
}

/// The values at a JSONPath: members, `['member']`, `[3]`, `[*]` and `[?(@.type=="Ready")]`.
pub fn find<'a>(path: &str, value: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![value];
    let mut rest = path.trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let Some(end) = closing(tail) else { return vec![] };
            let inside = tail[..end].trim();
            rest = &tail[end + 1..];
            found = found.into_iter().flat_map(|v| index(inside, v)).collect();
        } else {
            let tail = rest.trim_start_matches('.');
            // A dot can be part of a name when escaped (`\.`).
            let (mut name, mut end, mut escaped) = (String::new(), tail.len(), false);
            for (i, c) in tail.char_indices() {
                match c {
                    '\\' if !escaped => escaped = true,
                    '.' | '[' if !escaped => {
                        end = i;
                        break;
                    }
                    c => {
                        name.push(c);
                        escaped = false;
                    }
                }
            }
            rest = &tail[end..];
            found = match name.as_str() {
                "" => found,
                "*" => found.into_iter().flat_map(|v| index("*", v)).collect(),
                name => found.into_iter().filter_map(|v| v.get(name)).collect(),
            };
        }
    }
    found
}

fn closing(s: &str) -> Option<usize> {
    let (mut quote, mut depth) = (None, 0);
    for (i, c) in s.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(i),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn index<'a>(inside: &str, v: &'a Value) -> Vec<&'a Value> {
    if inside == "*" {
        return match v {
            Value::Array(a) => a.iter().collect(),
            Value::Object(m) => m.values().collect(),
            _ => vec![],
        };
    }
    if let Ok(i) = inside.parse::<i64>() {
        let Some(a) = v.as_array() else { return vec![] };
        let at = if i < 0 { a.len() as i64 + i } else { i };
        return usize::try_from(at).ok().and_then(|at| a.get(at)).into_iter().collect();
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|f| f.strip_suffix(')')) {
        let (left, right, equal) = match (filter.split_once("=="), filter.split_once("!=")) {
            (Some((l, r)), _) => (l, r, true),
            (None, Some((l, r))) => (l, r, false),
            _ => return vec![],
        };
        let wanted = right.trim().trim_matches(['"', '\'']);
        let path = left.trim().trim_start_matches('@');
        let fits = |item: &&Value| {
            let is = find(path, item).first().map(|v| match v {
                Value::String(s) => s.clone(),
                other => other.to_string(),
            });
            (is.as_deref() == Some(wanted)) == equal
        };
        return v.as_array().into_iter().flatten().filter(fits).collect();
    }
    v.get(inside.trim_matches(['"', '\''])).into_iter().collect()
}

/// The age of a time stamp in kubectl's short form (`5s`, `3m12s`, `2d`).
fn age(since: &str) -> String {
    match since.parse::<jiff::Timestamp>() {
        Ok(t) => human((jiff::Timestamp::now().as_second() - t.as_second()).max(0)),
        Err(_) => "<unknown>".into(),
    }
}

fn human(seconds: i64) -> String {
    let (m, h, d) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |big: i64, unit: char, small: i64, sub: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{sub}") }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(m, 'm', seconds % 60, 's'),
        600..10800 => format!("{m}m"),
        10800..28800 => two(h, 'h', m % 60, 'm'),
        28800..172_800 => format!("{h}h"),
        172_800..691_200 => two(d, 'd', h % 24, 'h'),
        691_200..63_072_000 => format!("{d}d"),
        _ => two(d / 365, 'y', d % 365, 'd'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_paths_of_printer_columns() {
        let v = json!({"status": {"conditions": [{"type": "A", "status": "x"}, {"type": "Ready", "status": "True"}], "n": [1, 2]},
            "metadata": {"labels": {"a.b/c": "l"}}});
        let one = |p: &str| find(p, &v).first().map(|v| (*v).clone()).unwrap_or_default();
        assert_eq!(one(r#".status.conditions[?(@.type=="Ready")].status"#), json!("True"));
        assert_eq!(one(".status.n[1]"), json!(2));
        assert_eq!(one(r".metadata.labels.a\.b/c"), json!("l"));
        assert_eq!(one(".metadata.labels['a.b/c']"), json!("l"));
        assert_eq!(find(".status.n[*]", &v).len(), 2);
        assert_eq!(one(".status.missing.deep"), Value::Null);
    }

    #[test]
    fn ages_as_kubectl_shows_them() {
        for (s, text) in [(5, "5s"), (119, "119s"), (125, "2m5s"), (700, "11m"), (11000, "3h3m"), (90000, "25h"), (200_000, "2d7h")] {
            assert_eq!(human(s), text);
        }
    }
}
