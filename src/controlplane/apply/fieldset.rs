//! Sets of field paths and their FieldsV1 form (structured-merge-diff `fieldpath`).

use crate::controlplane::schema::{ListType, Node, item_key};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// One step of a path. Keys and values are kept as canonical JSON (members sorted), which orders and compares them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Field(String),
    Key(String),
    Value(String),
    Index(usize),
}

pub type Path = Vec<Step>;
pub type FieldSet = BTreeSet<Path>;

impl Step {
    fn encode(&self) -> String {
        match self {
            Step::Field(f) => format!("f:{f}"),
            Step::Key(k) => format!("k:{k}"),
            Step::Value(v) => format!("v:{v}"),
            Step::Index(i) => format!("i:{i}"),
        }
    }

    fn decode(s: &str) -> Option<Step> {
        let (sort, rest) = s.split_once(':')?;
        let canonical = || serde_json::from_str::<Value>(rest).ok().map(|v| canonical(&v));
        Some(match sort {
            "f" => Step::Field(rest.to_string()),
            "k" => Step::Key(canonical()?),
            "v" => Step::Value(canonical()?),
            "i" => Step::Index(rest.parse().ok()?),
            _ => return None,
        })
    }
}

/// JSON with sorted members and no spaces.
pub fn canonical(v: &Value) -> String {
    match v {
        Value::Object(m) => {
            let mut keys: Vec<&String> = m.keys().collect();
            keys.sort();
            let members: Vec<String> =
                keys.iter().map(|k| format!("{}:{}", Value::from(k.as_str()), canonical(&m[k.as_str()]))).collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(a) => format!("[{}]", a.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// A path as conflicts show it: `.spec.steps[name="a"].x`.
pub fn display(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        // Writing to a String cannot fail.
        let _ = match step {
            Step::Field(f) => write!(out, ".{f}"),
            Step::Index(i) => write!(out, "[{i}]"),
            Step::Value(v) => write!(out, "[={v}]"),
            Step::Key(k) => {
                let map: Map<String, Value> = serde_json::from_str(k).unwrap_or_default();
                let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}={v}")).collect();
                write!(out, "[{}]", pairs.join(","))
            }
        };
    }
    out
}

/// FieldsV1 of a set.
pub fn encode(set: &FieldSet) -> Value {
    #[derive(Default)]
    struct Tree {
        member: bool,
        children: std::collections::BTreeMap<Step, Tree>,
    }
    let mut root = Tree::default();
    for path in set {
        let mut at = &mut root;
        for step in path {
            at = at.children.entry(step.clone()).or_default();
        }
        at.member = true;
    }
    fn emit(t: &Tree) -> Value {
        let mut m = Map::new();
        if t.member && !t.children.is_empty() {
            m.insert(".".into(), Value::Object(Map::new()));
        }
        for (step, child) in &t.children {
            m.insert(step.encode(), emit(child));
        }
        Value::Object(m)
    }
    emit(&root)
}

/// The set of a FieldsV1; `None` if it is malformed.
pub fn decode(fields: &Value) -> Option<FieldSet> {
    fn walk(v: &Value, at: &mut Path, out: &mut FieldSet) -> Option<()> {
        let map = v.as_object()?;
        if map.is_empty() && !at.is_empty() {
            out.insert(at.clone());
        }
        for (k, child) in map {
            if k == "." {
                out.insert(at.clone());
                continue;
            }
            at.push(Step::decode(k)?);
            walk(child, at, out)?;
            at.pop();
        }
        Some(())
    }
    let mut out = FieldSet::new();
    walk(fields, &mut Vec::new(), &mut out)?;
    Some(out)
}

/// The step of a list's item; `None` if the list is atomic.
pub fn item_step(node: &Node, item: &Value) -> Option<Step> {
    match node.list_type() {
        ListType::Atomic => None,
        ListType::Set => Some(Step::Value(canonical(item))),
        ListType::Map(keys) => {
            Some(Step::Key(canonical(&Value::Object(item_key(keys, node.items.as_deref(), item)))))
        }
    }
}

/// The schema of anything that the schema does not describe: maps merge, lists are atomic.
pub fn untyped() -> &'static Node {
    static ANY: std::sync::LazyLock<Node> = std::sync::LazyLock::new(Node::default);
    &ANY
}

pub fn child<'a>(node: &'a Node, name: &str) -> &'a Node {
    node.child(name).unwrap_or(untyped())
}

pub fn items(node: &Node) -> &Node {
    node.items.as_deref().unwrap_or(untyped())
}

/// What a configuration sets: leaves, and items of lists.
pub fn of(node: &Node, value: &Value) -> FieldSet {
    let mut out = FieldSet::new();
    collect(node, value, &mut Vec::new(), &mut out);
    out
}

fn collect(node: &Node, value: &Value, at: &mut Path, out: &mut FieldSet) {
    match value {
        Value::Object(map) if !node.atomic_map => {
            for (k, v) in map {
                at.push(Step::Field(k.clone()));
                collect(child(node, k), v, at, out);
                let empty = v.is_null() || v.as_object().is_some_and(|m| m.is_empty());
                if empty || !node.properties.contains_key(k) {
                    out.insert(at.clone());
                }
                at.pop();
            }
        }
        Value::Array(list) if *node.list_type() != ListType::Atomic => {
            for item in list {
                let Some(step) = item_step(node, item) else { continue };
                at.push(step);
                collect(items(node), item, at, out);
                out.insert(at.clone());
                at.pop();
            }
        }
        _ => {
            if !at.is_empty() {
                out.insert(at.clone());
            }
        }
    }
}

/// How two versions of an object differ.
#[derive(Debug, Default)]
pub struct Comparison {
    pub added: FieldSet,
    pub modified: FieldSet,
    pub removed: FieldSet,
}

pub fn compare(node: &Node, old: &Value, new: &Value) -> Comparison {
    let mut out = Comparison::default();
    diff(node, Some(old), Some(new), &mut Vec::new(), &mut out);
    out
}

fn diff(node: &Node, old: Option<&Value>, new: Option<&Value>, at: &mut Path, out: &mut Comparison) {
    let (Some(sample), false) = (new.or(old), old == new) else { return };
    let map = |v: Option<&Value>| v.is_none_or(|v| v.is_object());
    let list = |v: Option<&Value>| v.is_none_or(|v| v.is_array());
    if sample.is_object() && map(old) && map(new) && !node.atomic_map {
        let members = |v: Option<&Value>| v.and_then(Value::as_object).into_iter().flat_map(|m| m.keys().cloned()).collect();
        let mut keys: BTreeSet<String> = members(old);
        keys.extend::<BTreeSet<String>>(members(new));
        for k in keys {
            at.push(Step::Field(k.clone()));
            diff(child(node, &k), old.and_then(|o| o.get(&k)), new.and_then(|n| n.get(&k)), at, out);
            at.pop();
        }
    } else if sample.is_array() && list(old) && list(new) && *node.list_type() != ListType::Atomic {
        let find = |v: Option<&Value>| -> Vec<(Step, Value)> {
            let items = v.and_then(Value::as_array).into_iter().flatten();
            items.filter_map(|i| Some((item_step(node, i)?, i.clone()))).collect()
        };
        let (old_items, new_items) = (find(old), find(new));
        let steps: BTreeSet<&Step> = old_items.iter().chain(&new_items).map(|(s, _)| s).collect();
        for step in steps {
            let get = |l: &'_ [(Step, Value)]| l.iter().find(|(s, _)| s == step).map(|(_, v)| v.clone());
            let (o, n) = (get(&old_items), get(&new_items));
            at.push(step.clone());
            diff(items(node), o.as_ref(), n.as_ref(), at, out);
            at.pop();
        }
    } else if old.is_some() && new.is_some() {
        out.modified.insert(at.clone());
        return;
    }
    if at.is_empty() {
        return;
    }
    if old.is_none() {
        out.added.insert(at.clone());
    } else if new.is_none() {
        out.removed.insert(at.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node() -> Node {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "a": {"type": "string"}, "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "steps": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": {"type": "string"}, "x": {"type": "integer"}}}}}}}});
        Node::parse("Test", &schema).unwrap()
    }

    #[test]
    fn fields_v1_of_a_configuration_and_back() {
        let set = of(&node(), &json!({"metadata": {"labels": {"l": "1"}},
            "spec": {"a": "x", "tags": ["t"], "steps": [{"name": "s", "x": 1}]}}));
        let v = encode(&set);
        assert_eq!(v, json!({"f:metadata": {"f:labels": {"f:l": {}}}, "f:spec": {"f:a": {}, "f:tags": {"v:\"t\"": {}},
            "f:steps": {"k:{\"name\":\"s\"}": {".": {}, "f:name": {}, "f:x": {}}}}}));
        assert_eq!(decode(&v), Some(set));
    }

    #[test]
    fn a_comparison_names_new_containers_too() {
        let c = compare(&node(), &json!({}), &json!({"spec": {"a": "x"}}));
        assert_eq!(encode(&c.added), json!({"f:spec": {".": {}, "f:a": {}}}));
        let c = compare(&node(), &json!({"spec": {"steps": [{"name": "s", "x": 1}]}}),
            &json!({"spec": {"steps": [{"name": "s", "x": 2}]}}));
        assert_eq!(c.modified.iter().map(|p| display(p)).collect::<Vec<_>>(), [r#".spec.steps[name="s"].x"#]);
    }
}
