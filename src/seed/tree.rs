//! TOML with the place of every key and value.

use crate::scenario::{Place, Problem};
use toml::de::{DeTable, DeValue};

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Line and column.
    pub place: Place,
    /// What stands there.
    pub value: Value,
}

/// A value of TOML. Dates are text here: no key of the file wants one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// `None`: too great for this machine.
    Whole(Option<i64>),
    Number(Option<f64>),
    Truth(bool),
    Date,
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Where the key stands.
    pub place: Place,
    pub key: String,
    pub node: Node,
}

impl Value {
    /// What it is, in words for a person.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Whole(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Truth(_) => "true or false",
            Value::Date => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a section",
        }
    }
}

/// Reads a text. What could be read is there even where something is wrong.
pub(super) fn parse(origin: &str, text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let problems = errors.into_iter().map(|e| Problem {
        origin: origin.to_string(),
        place: e.span().map_or(Place::Whole, |span| lines.place(span.start)),
        message: format!("this is no TOML: {}", e.message()),
    });
    (entries(table.get_ref(), &lines), problems.collect())
}

fn entries(table: &DeTable<'_>, lines: &Lines<'_>) -> Vec<Entry> {
    let entry = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| Entry {
        place: lines.place(key.span().start),
        key: key.get_ref().to_string(),
        node: node(value, lines),
    };
    let mut out: Vec<Entry> = table.iter().map(entry).collect();
    // As they stand in the file.
    out.sort_by(|a, b| a.place.cmp(&b.place));
    out
}

fn node(value: &toml::Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    Node {
        place: lines.place(value.span().start),
        value: match value.get_ref() {
            DeValue::String(s) => Value::Text(s.to_string()),
            DeValue::Integer(i) => Value::Whole(i64::from_str_radix(&i.as_str().replace('_', ""), i.radix()).ok()),
            DeValue::Float(f) => Value::Number(f.as_str().replace('_', "").parse().ok()),
            DeValue::Boolean(b) => Value::Truth(*b),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(list) => Value::List(list.iter().map(|v| node(v, lines)).collect()),
            DeValue::Table(table) => Value::Table(entries(table, lines)),
        },
    }
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Lines<'a> {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines {
            text,
            starts: std::iter::once(0).chain(after).collect(),
        }
    }

    /// Line and column of a byte, both from 1; columns are characters.
    fn place(&self, at: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let before = self.text.get(self.starts[line - 1]..at).unwrap_or_default();
        Place::Line(line, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_have_their_places() {
        let (entries, problems) = parse("f", "[app]\nname = \"ä\" \n[[vm]]\nvmid = 0x10\nx = [1.5, true]\n");
        assert_eq!(problems, []);
        let Value::Table(app) = &entries[0].node.value else {
            panic!("{entries:?}")
        };
        assert_eq!(
            (&app[0].place, &app[0].node.place),
            (&Place::Line(2, 1), &Place::Line(2, 8))
        );
        let Value::List(vms) = &entries[1].node.value else {
            panic!("{entries:?}")
        };
        let Value::Table(vm) = &vms[0].value else {
            panic!("{entries:?}")
        };
        assert_eq!(vm[0].node.value, Value::Whole(Some(16)));
        assert_eq!(vm[1].node.value.kind(), "a list");
    }

    #[test]
    fn every_fault_of_a_text_is_told() {
        let (entries, problems) = parse("f.toml", "a = \nb = 1\nb = 2\nc = 'x\n");
        assert!(problems.len() >= 3, "{problems:?}");
        assert!(problems[0].to_string().starts_with("f.toml:1:"), "{}", problems[0]);
        assert!(entries.iter().any(|e| e.key == "b"));
    }
}
