//! Fills in the schema's defaults.

use super::{Additional, Node};
use serde_json::Value;

/// Sets every absent member that has a default, and those that are null though the schema does not allow null.
pub fn apply(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, child) in &node.properties {
                let Some(default) = &child.default else { continue };
                let absent = match map.get(name) {
                    None => true,
                    Some(Value::Null) => !child.nullable,
                    Some(_) => false,
                };
                if absent {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, v) in map.iter_mut() {
                match (node.properties.get(name), &node.additional) {
                    (Some(child), _) => apply(child, v),
                    (None, Some(Additional::Schema(child))) => {
                        if let (Value::Null, false, Some(default)) = (&*v, child.nullable, &child.default) {
                            *v = default.clone();
                        }
                        apply(child, v)
                    }
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = &node.items {
                items.iter_mut().for_each(|v| apply(child, v));
            }
        }
        _ => {}
    }
}
