//! Members of an object: known and unknown ones.

use super::super::error::unknown;
use super::super::node::{Entry, Node, Value};
use super::Parser;

/// The members of an object whose keys are known.
pub(super) struct Fields<'n> {
    known: Vec<&'n Entry>,
    strangers: bool,
}

impl<'n> Fields<'n> {
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|e| &e.value)
    }

    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.known.iter().copied().find(|e| e.key == key)
    }

    /// A key was told as unknown: it may be the misspelt one that is missing, so that saying both would be noise.
    pub fn has_strangers(&self) -> bool {
        self.strangers
    }
}

impl Parser<'_> {
    /// Reads an object; unknown keys are problems and are left out.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, what: &str, valid: &[&str]) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            self.problem(
                &node.place,
                format!(
                    "{what} must be an object with {}, not {}",
                    valid.join(", "),
                    node.kind()
                ),
            );
            return None;
        };
        let mut known = Vec::new();
        for entry in entries {
            if valid.contains(&entry.key.as_str()) {
                known.push(entry);
            } else {
                self.problem(
                    &entry.place,
                    unknown(&format!("key of {what}"), "keys", &entry.key, valid),
                );
            }
        }
        Some(Fields {
            strangers: known.len() < entries.len(),
            known,
        })
    }

    /// A member that must be there.
    pub(super) fn required<'n>(&mut self, node: &Node, fields: &Fields<'n>, key: &str, what: &str) -> Option<&'n Node> {
        let found = fields.get(key);
        if found.is_none() && !fields.has_strangers() {
            self.problem(&node.place, format!("{what} needs '{key}'"));
        }
        found
    }
}
