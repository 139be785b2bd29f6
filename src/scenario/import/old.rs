//! Reading the old dialect's objects: which members have been looked at, and values that it coerced.

use super::super::node::{Entry, Node, Value};

/// An object whose members are taken one by one; what is left has no meaning.
pub(super) struct Old<'n> {
    left: Vec<&'n Entry>,
}

impl<'n> Old<'n> {
    pub fn new(entries: &'n [Entry]) -> Old<'n> {
        Old {
            left: entries.iter().collect(),
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.left.iter().any(|e| e.key == key)
    }

    pub fn take(&mut self, key: &str) -> Option<&'n Entry> {
        let at = self.left.iter().position(|e| e.key == key)?;
        Some(self.left.remove(at))
    }

    /// The first of two names for the same; the other one then had no effect.
    pub fn either(&mut self, first: &str, second: &str) -> Option<&'n Entry> {
        let found = self.take(first);
        match found {
            Some(_) => found,
            None => self.take(second),
        }
    }

    pub fn rest(self) -> Vec<&'n Entry> {
        self.left
    }
}

/// What Python takes for true.
pub(super) fn truthy(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Int(i) => *i != 0,
        Value::Float(f) => *f != 0.0,
        // The old loader's YAML had more words for false.
        Value::Str(s) => !["", "no", "off", "false"].contains(&s.to_lowercase().as_str()),
        Value::Seq(items) => !items.is_empty(),
        Value::Map(entries) => !entries.is_empty(),
    }
}

/// A number of seconds or of tries; part of a second counts as one.
pub(super) fn whole(node: &Node) -> Option<i64> {
    let float = |f: f64| (f.is_finite() && f.abs() < 1e9).then(|| f.ceil() as i64);
    match &node.value {
        Value::Int(i) => Some(*i),
        Value::Float(f) => float(*f),
        Value::Str(s) => float(s.trim().parse::<f64>().ok()?),
        _ => None,
    }
}

/// Members that are merged in (`<<`) are put where they count.
pub(super) fn merge(node: &mut Node) {
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(merge),
        Value::Map(entries) => {
            while let Some(at) = entries.iter().position(|e| e.key == "<<") {
                let merged = entries.remove(at);
                let sources = match merged.value.value {
                    Value::Map(more) => vec![more],
                    Value::Seq(items) => items
                        .into_iter()
                        .filter_map(|item| match item.value {
                            Value::Map(more) => Some(more),
                            _ => None,
                        })
                        .collect(),
                    _ => Vec::new(),
                };
                for entry in sources.into_iter().flatten() {
                    if !entries.iter().any(|e| e.key == entry.key) {
                        entries.push(entry);
                    }
                }
            }
            entries.iter_mut().for_each(|e| merge(&mut e.value));
        }
        _ => {}
    }
}
