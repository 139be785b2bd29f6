//! Removes what the schema does not declare, and tells the paths of it (for strict and warning field validation).

use super::{Node, join};
use serde_json::Value;

/// Prunes in place; returns the paths of the removed members, as the real server writes them (`spec.steps[0].foo`).
pub fn prune(node: &Node, value: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    walk(node, value, "", &mut removed);
    removed
}

fn walk(node: &Node, value: &mut Value, path: &str, removed: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let open = node.is_open() || (node.ty.is_none() && node.properties.is_empty());
            let unknown: Vec<String> =
                if open { vec![] } else { map.keys().filter(|k| node.child(k).is_none()).cloned().collect() };
            for k in unknown {
                map.remove(&k);
                removed.push(join(path, &k));
            }
            for (k, v) in map.iter_mut() {
                if let Some(child) = node.child(k) {
                    walk(child, v, &join(path, k), removed);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = &node.items {
                for (i, v) in items.iter_mut().enumerate() {
                    walk(child, v, &format!("{path}[{i}]"), removed);
                }
            }
        }
        _ => {}
    }
}
