//! Which values the steps of a scenario capture, wherever they stand: a name that is used too early is none that nobody knows.

use super::super::error::Place;
use super::super::node::{Node, Value};
use std::collections::BTreeMap;

/// Where a value is captured first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// The step's id, where it is given.
    pub id: Option<String>,
    pub place: Place,
}

impl At {
    /// `step 'read' in line 9`.
    pub fn told(&self) -> String {
        let place = match &self.place {
            Place::Line(line, _) => format!("in line {line}"),
            Place::File(file, line, _) => format!("in {file}:{line}"),
            Place::Path(path) => format!("at {path}"),
            Place::Whole => "of this scenario".into(),
        };
        match &self.id {
            Some(id) => format!("step '{id}' {place}"),
            None => format!("the step {place}"),
        }
    }
}

/// The values that the sections' steps capture.
pub(super) fn captured(sections: &[Option<&Node>]) -> BTreeMap<String, At> {
    let mut found = BTreeMap::new();
    sections
        .iter()
        .flatten()
        .for_each(|section| collect(section, None, &mut found));
    found
}

fn collect(node: &Node, id: Option<&str>, found: &mut BTreeMap<String, At>) {
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| collect(item, id, found)),
        Value::Map(entries) => {
            let own = entries.iter().find(|e| e.key == "id").and_then(|e| e.value.as_str());
            let id = own.or(id);
            for entry in entries {
                if entry.key != "capture" {
                    collect(&entry.value, id, found);
                    continue;
                }
                let names: Vec<&str> = match &entry.value.value {
                    Value::Str(name) => vec![name],
                    Value::Seq(items) => items.iter().filter_map(Node::as_str).collect(),
                    Value::Map(names) => names.iter().map(|e| e.key.as_str()).collect(),
                    _ => Vec::new(),
                };
                for name in names {
                    found.entry(name.to_string()).or_insert_with(|| At {
                        id: id.map(String::from),
                        place: entry.place.clone(),
                    });
                }
            }
        }
        _ => {}
    }
}
