//! Merging a configuration into an object, and removing what nobody owns any more.

use super::fieldset::{FieldSet, Path, Step, child, item_step, items};
use crate::controlplane::schema::{ListType, Node};
use serde_json::Value;

/// The live object with the configuration's values set.
pub fn merge(node: &Node, live: &Value, config: &Value) -> Value {
    match (live, config) {
        (Value::Object(l), Value::Object(c)) if !node.atomic_map => {
            let mut out = l.clone();
            for (k, v) in c {
                let merged = match l.get(k) {
                    Some(old) => merge(child(node, k), old, v),
                    None => v.clone(),
                };
                out.insert(k.clone(), merged);
            }
            Value::Object(out)
        }
        (Value::Array(l), Value::Array(c)) if *node.list_type() != ListType::Atomic => {
            Value::Array(merge_list(node, l, c))
        }
        _ => config.clone(),
    }
}

/// The configuration's order leads; items that only the live list has keep their place before the item they preceded.
fn merge_list(node: &Node, live: &[Value], config: &[Value]) -> Vec<Value> {
    let step = |v: &Value| item_step(node, v);
    let in_config: Vec<Option<Step>> = config.iter().map(step).collect();
    let mut out: Vec<Value> = Vec::with_capacity(live.len() + config.len());
    let mut rest = live.iter().peekable();
    for (item, key) in config.iter().zip(&in_config) {
        let old = live.iter().find(|l| step(l) == *key);
        if old.is_some() {
            // Pass over the live list up to this item; what the configuration does not name stays here.
            let ahead = rest.clone().any(|l| step(l) == *key);
            while ahead {
                let Some(l) = rest.next() else { break };
                let s = step(l);
                if s == *key {
                    break;
                }
                if !in_config.contains(&s) {
                    out.push(l.clone());
                }
            }
        }
        out.push(old.map_or_else(|| item.clone(), |l| merge(items(node), l, item)));
    }
    out.extend(rest.filter(|l| !in_config.contains(&step(l))).cloned());
    out
}

/// Removes the members and items named by `drop`, unless something below or at them is in `keep`.
pub fn remove(node: &Node, value: &mut Value, drop: &FieldSet, keep: &FieldSet) {
    walk(node, value, &mut Vec::new(), drop, keep);
}

fn has_prefix(set: &FieldSet, prefix: &Path) -> bool {
    set.range(prefix.clone()..).next().is_some_and(|p| p.starts_with(prefix))
}

fn walk(node: &Node, value: &mut Value, at: &mut Path, drop: &FieldSet, keep: &FieldSet) {
    match value {
        Value::Object(map) if !node.atomic_map => {
            let keys: Vec<String> = map.keys().cloned().collect();
            for k in keys {
                at.push(Step::Field(k.clone()));
                if has_prefix(drop, at) {
                    let owned = has_prefix(keep, at);
                    let slot = &mut map[k.as_str()];
                    let was_filled = !is_empty(slot);
                    walk(child(node, &k), slot, at, drop, keep);
                    // A container that the removal emptied goes too, as nobody asked for it by itself.
                    let emptied = was_filled && is_empty(slot);
                    if !owned && (drop.contains(at) || emptied) {
                        map.remove(&k);
                    }
                }
                at.pop();
            }
        }
        Value::Array(list) if *node.list_type() != ListType::Atomic => {
            let mut i = 0;
            while i < list.len() {
                let Some(step) = item_step(node, &list[i]) else { return };
                at.push(step);
                let mut gone = false;
                if has_prefix(drop, at) {
                    if drop.contains(at) && !has_prefix(keep, at) {
                        gone = true;
                    } else {
                        walk(items(node), &mut list[i], at, drop, keep);
                    }
                }
                at.pop();
                if gone {
                    list.remove(i);
                } else {
                    i += 1;
                }
            }
        }
        _ => {}
    }
}

fn is_empty(v: &Value) -> bool {
    match v {
        Value::Object(m) => m.is_empty(),
        Value::Array(a) => a.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_merge_by_key_in_the_order_of_the_configuration() {
        let schema = json!({"type": "object", "properties": {"l": {"type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object",
                "properties": {"n": {"type": "string"}, "v": {"type": "integer"}, "w": {"type": "integer"}}}}}});
        let node = Node::parse("Test", &schema).unwrap();
        let live = json!({"l": [{"n": "a", "v": 1}, {"n": "b", "v": 2}, {"n": "c"}]});
        let config = json!({"l": [{"n": "b", "w": 5}, {"n": "d"}]});
        let merged = merge(&node, &live, &config);
        assert_eq!(merged, json!({"l": [{"n": "a", "v": 1}, {"n": "b", "v": 2, "w": 5}, {"n": "d"}, {"n": "c"}]}));
    }
}
