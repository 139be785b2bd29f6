//! Reading the file: every key is known and of its kind, and what became of it is told.

use super::Remark;
use super::config::Config;
use super::table::{self, FREE, Kind, Row, SECTIONS};
use super::tree::{self, Entry, Node, Value};
use crate::scenario::{Errors, Fate, Place, Problem, unknown};
use std::collections::BTreeSet;

/// Reads the text of a file. `env` answers what an environment variable is.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn read(origin: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Errors> {
    let (entries, problems) = tree::parse(origin, text);
    let mut reader = Reader {
        origin,
        env,
        problems,
        remarks: Vec::new(),
        seen: BTreeSet::new(),
    };
    // A text that is no TOML may have lost what else would be missed, and the section that a key belongs to.
    let whole = reader.problems.is_empty();
    let sections = !reader.problems.iter().any(|p| p.message.contains("table"));
    let faults = reader.problems.len();
    let root = Section {
        place: Place::Line(1, 1),
        entries: &entries,
    };
    reader.check(&root, "");
    let config = reader.config(&root);
    let mut problems = reader.problems;
    if !sections {
        problems.truncate(faults);
    }
    if !whole {
        problems.retain(|p| !p.message.contains(MISSING));
    }
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    match (config, problems.is_empty()) {
        (Some(mut config), true) => {
            reader.remarks.sort_by(|a, b| a.place.cmp(&b.place));
            config.remarks = reader.remarks;
            Ok(config)
        }
        (None, true) => Err(Errors(vec![Problem {
            origin: origin.to_string(),
            place: Place::Whole,
            message: "cannot be read".to_string(),
        }])),
        (_, false) => Err(Errors(problems)),
    }
}

/// Part of what is told where something is not there.
pub(super) const MISSING: &str = " is missing; ";

/// A section and where it begins.
pub(super) struct Section<'t> {
    pub place: Place,
    entries: &'t [Entry],
}

impl<'t> Section<'t> {
    pub fn get(&self, key: &str) -> Option<&'t Entry> {
        self.entries.iter().find(|e| e.key == key)
    }

    pub fn text(&self, key: &str) -> Option<String> {
        match &self.get(key)?.node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Whole(Some(n)) => Some(n.to_string()),
            _ => None,
        }
    }

    pub fn truth(&self, key: &str) -> bool {
        matches!(self.get(key).map(|e| &e.node.value), Some(Value::Truth(true)))
    }

    pub fn section(&self, key: &str) -> Option<Section<'t>> {
        let entry = self.get(key)?;
        match &entry.node.value {
            Value::Table(entries) => Some(Section {
                place: entry.place.clone(),
                entries,
            }),
            _ => None,
        }
    }

    pub fn sections(&self, key: &str) -> Vec<Section<'t>> {
        match self.get(key).map(|e| &e.node.value) {
            Some(Value::List(list)) => list.iter().filter_map(inside).collect(),
            _ => Vec::new(),
        }
    }

    /// Where a value stands, or the section where it does not.
    pub fn place_of(&self, key: &str) -> Place {
        self.get(key)
            .map_or_else(|| self.place.clone(), |e| e.node.place.clone())
    }
}

fn inside(node: &Node) -> Option<Section<'_>> {
    match &node.value {
        Value::Table(entries) => Some(Section {
            place: node.place.clone(),
            entries,
        }),
        _ => None,
    }
}

pub(super) struct Reader<'a> {
    pub origin: &'a str,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
    remarks: Vec<Remark>,
    /// Rows that were told.
    seen: BTreeSet<(&'static str, &'static str)>,
}

impl Reader<'_> {
    pub fn wrong(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.push(Problem {
            origin: self.origin.to_string(),
            place: place.clone(),
            message: message.into(),
        });
    }

    /// Every key is known and of its kind; what a row says of it is told.
    fn check(&mut self, section: &Section<'_>, name: &str) {
        for entry in section.entries {
            let path = match name {
                "" => entry.key.clone(),
                _ => format!("{name}.{}", entry.key),
            };
            if let Some((known, several)) = SECTIONS.iter().find(|(s, _)| *s == path) {
                self.check_section(entry, known, *several);
            } else if let Some(row) = table::find(name, &entry.key) {
                self.check_value(entry, row);
            } else {
                let valid = valid_in(name);
                let what = match name {
                    "" => "section".to_string(),
                    _ => format!("key of [{name}]"),
                };
                let plural = if name.is_empty() { "sections" } else { "keys" };
                self.wrong(&entry.place, unknown(&what, plural, &entry.key, &valid));
            }
        }
        for row in table::rows().iter().filter(|r| r.required && r.section == name) {
            if section.get(row.key).is_none() {
                let message = format!("`{}` of [{name}]{MISSING}it is {}", row.key, row.kind.words());
                self.wrong(&section.place, message);
            }
        }
    }

    fn check_section(&mut self, entry: &Entry, name: &'static str, several: bool) {
        match (&entry.node.value, several) {
            (Value::Table(entries), false) => {
                let place = entry.place.clone();
                self.check(&Section { place, entries }, name);
            }
            (Value::List(list), true) => {
                for node in list {
                    match inside(node) {
                        Some(section) => self.check(&section, name),
                        None => self.wrong(
                            &node.place,
                            format!("[[{name}]] is a section, not {}", node.value.kind()),
                        ),
                    }
                }
            }
            (Value::Table(_), true) => self.wrong(&entry.place, format!("there may be several: write [[{name}]]")),
            (Value::List(_), false) => self.wrong(&entry.place, format!("there is one: write [{name}]")),
            (other, _) => self.wrong(
                &entry.node.place,
                format!("`{name}` is a section, not {}", other.kind()),
            ),
        }
    }

    fn check_value(&mut self, entry: &Entry, row: &'static Row) {
        let good = match (&entry.node.value, row.kind) {
            (Value::Text(_), Kind::Text | Kind::TextOrWhole) => true,
            (Value::Whole(Some(_)), Kind::Whole | Kind::TextOrWhole) => true,
            (Value::Truth(_), Kind::Truth) => true,
            (Value::List(list), Kind::Texts) => list.iter().all(|n| matches!(n.value, Value::Text(_))),
            (Value::List(list), Kind::Wholes) => list.iter().all(|n| matches!(n.value, Value::Whole(Some(_)))),
            _ => false,
        };
        if !good {
            let message = format!(
                "`{}` must be {}, not {}",
                entry.key,
                row.kind.words(),
                entry.node.value.kind()
            );
            return self.wrong(&entry.node.place, message);
        }
        // Thirty packages need not say thirty times what one does.
        if !self.seen.insert((row.section, row.key)) {
            return;
        }
        let path = match row.section {
            FREE => FREE.to_string(),
            section => format!("{section}.{}", row.key),
        };
        self.remark(&entry.place, row.fate, format!("`{path}`: {}", row.now));
    }

    pub fn remark(&mut self, place: &Place, fate: Fate, message: String) {
        self.remarks.push(Remark {
            origin: self.origin.to_string(),
            place: place.clone(),
            fate,
            message,
        });
    }
}

/// What may stand in a section: its keys, and the sections in it.
fn valid_in(section: &str) -> Vec<&'static str> {
    let keys = table::rows().iter().filter(|r| r.section == section).map(|r| r.key);
    let inner = SECTIONS.iter().filter_map(|(s, _)| match (section, s.split_once('.')) {
        ("", None) => Some(*s),
        (_, Some((outer, inner))) if outer == section => Some(inner),
        _ => None,
    });
    keys.chain(inner).collect()
}
