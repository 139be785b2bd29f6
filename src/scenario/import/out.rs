//! The text that is made: a tree whose members keep their order, and its YAML.

use super::super::error::Place;
use super::super::node::Value;
use super::super::yaml;
use std::fmt::Write;

/// Longest line of `{...}` and `[...]`.
const WIDE: usize = 100;

/// A value to be written.
#[derive(Clone, Debug)]
pub(super) enum Out {
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Out>),
    Map(Vec<Member>),
    Steps(Vec<Item>),
}

/// A member of an object.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub key: String,
    pub comments: Vec<String>,
    pub value: Out,
}

/// A step; without members only its comments.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Tells it from all others.
    pub id: usize,
    /// File and place of what it was made of.
    pub from: (String, Place),
    pub comments: Vec<String>,
    pub members: Vec<Member>,
}

impl Out {
    pub fn str(text: impl Into<String>) -> Out {
        Out::Str(text.into())
    }

    /// An object with these members.
    pub fn map<const N: usize>(members: [(&str, Out); N]) -> Out {
        Out::Map(members.into_iter().map(|(key, value)| member(key, value)).collect())
    }
}

pub(super) fn member(key: impl Into<String>, value: Out) -> Member {
    Member {
        key: key.into(),
        comments: Vec::new(),
        value,
    }
}

/// The text, and the line on which each step begins with its comments left aside.
pub(super) fn write(head: &[String], members: &[Member]) -> (String, Vec<(usize, usize)>) {
    let mut writer = Writer::default();
    writer.comments(head, 0);
    writer.members(members, 0, false);
    (writer.text, writer.lines)
}

#[derive(Default)]
struct Writer {
    text: String,
    /// How many lines end before this byte.
    counted: (usize, usize),
    lines: Vec<(usize, usize)>,
}

impl Writer {
    fn line(&mut self) -> usize {
        let (from, lines) = self.counted;
        let lines = lines + self.text[from..].matches('\n').count();
        self.counted = (self.text.len(), lines);
        lines + 1
    }

    fn comments(&mut self, comments: &[String], indent: usize) {
        for line in comments.iter().flat_map(|c| c.lines()) {
            let line: String = line.chars().map(|c| if printable(c) { c } else { ' ' }).collect();
            let _ = writeln!(self.text, "{:indent$}# {}", "", line.trim());
        }
    }

    /// `open`: the first member goes on in the line that has been begun.
    fn members(&mut self, members: &[Member], indent: usize, mut open: bool) {
        for member in members {
            if !open {
                self.comments(&member.comments, indent);
                let _ = write!(self.text, "{:indent$}", "");
            }
            open = false;
            self.text.push_str(&scalar(&member.key, true));
            self.text.push(':');
            self.value(&member.value, indent);
        }
    }

    /// What follows the colon, with the end of its line.
    fn value(&mut self, value: &Out, indent: usize) {
        match value {
            Out::Steps(items) => {
                self.text.push('\n');
                self.items(items, indent + 2);
            }
            Out::Str(text) if literal(text) => {
                let _ = writeln!(self.text, " |{}", if text.ends_with('\n') { "" } else { "-" });
                for line in text.lines() {
                    match line.is_empty() {
                        true => self.text.push('\n'),
                        false => {
                            let _ = writeln!(self.text, "{:w$}{line}", "", w = indent + 2);
                        }
                    }
                }
            }
            Out::Map(members) if self.is_block(value, indent) => {
                self.text.push('\n');
                self.members(members, indent + 2, false);
            }
            Out::List(items) if self.is_block(value, indent) => {
                self.text.push('\n');
                for item in items {
                    let _ = write!(self.text, "{:w$}-", "", w = indent + 2);
                    match item {
                        Out::Map(members) if self.is_block(item, indent + 2) => {
                            self.text.push(' ');
                            self.members(members, indent + 4, true);
                        }
                        item => self.value(item, indent + 2),
                    }
                }
            }
            value => {
                let _ = writeln!(self.text, " {}", flow(value, false));
            }
        }
    }

    fn items(&mut self, items: &[Item], indent: usize) {
        for item in items {
            self.comments(&item.comments, indent);
            if !item.members.is_empty() {
                let line = self.line();
                self.lines.push((line, item.id));
                let _ = write!(self.text, "{:indent$}- ", "");
                self.members(&item.members, indent + 2, true);
            }
        }
    }

    /// The members of the outermost object are never on one line.
    fn is_block(&self, value: &Out, indent: usize) -> bool {
        let empty = match value {
            Out::Map(members) => members.is_empty(),
            Out::List(items) => items.is_empty(),
            _ => true,
        };
        !empty
            && (indent == 0 && matches!(value, Out::Map(_))
                || has_blocks(value)
                || flow(value, false).chars().count() + indent > WIDE)
    }
}

fn has_blocks(value: &Out) -> bool {
    match value {
        Out::Steps(_) => true,
        Out::Str(text) => literal(text),
        Out::List(items) => items.iter().any(has_blocks),
        Out::Map(members) => members.iter().any(|m| !m.comments.is_empty() || has_blocks(&m.value)),
        _ => false,
    }
}

fn flow(value: &Out, within: bool) -> String {
    match value {
        Out::Bool(b) => b.to_string(),
        Out::Int(i) => i.to_string(),
        Out::Float(f) => {
            let text = format!("{f}");
            match text.contains(['.', 'e']) {
                true => text,
                false => text + ".0",
            }
        }
        Out::Str(text) => scalar(text, within),
        Out::List(items) => {
            let items: Vec<String> = items.iter().map(|i| flow(i, true)).collect();
            format!("[{}]", items.join(", "))
        }
        Out::Map(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|m| format!("{}: {}", scalar(&m.key, true), flow(&m.value, true)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Out::Steps(_) => "[]".into(),
    }
}

/// What a literal block can hold, and is worth one.
fn literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    text.contains('\n')
        && !body.is_empty()
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && text.chars().all(|c| printable(c) || matches!(c, '\n' | '\t'))
}

/// Characters that a YAML file holds as they are.
fn printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A text on one line; `within` brackets more has to be quoted.
fn scalar(text: &str, within: bool) -> String {
    if plain(text, within) {
        return text.to_string();
    }
    if text.contains(['"', '\\']) && !text.contains('\'') && text.chars().all(printable) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if printable(c) => quoted.push(c),
            c if (c as u32) < 0x100 => {
                let _ = write!(quoted, "\\x{:02X}", c as u32);
            }
            c if (c as u32) < 0x1_0000 => {
                let _ = write!(quoted, "\\u{:04X}", c as u32);
            }
            c => {
                let _ = write!(quoted, "\\U{:08X}", c as u32);
            }
        }
    }
    quoted + "\""
}

fn plain(text: &str, within: bool) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if digits.len() < text.len() && ["ms", "s", "m", "h"].contains(&digits) {
        return true;
    }
    let starts = |c: char| c.is_alphabetic() || matches!(c, '/' | '_' | '$' | '(');
    // Readers of older YAML take these for other values.
    let taken = ["yes", "no", "on", "off", "y", "n", "null", "true", "false"];
    text.starts_with(starts)
        && text.chars().all(printable)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(":\t")
        && !(within && text.contains([',', '[', ']', '{', '}', ':', '"', '\'']))
        && !taken.contains(&text.to_lowercase().as_str())
        && matches!(yaml::plain(text), Value::Str(_))
}
