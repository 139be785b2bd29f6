//! The one parser: a tree with places becomes typed values, or all that is wrong with it.
//!
//! It reads a scenario twice: when it is loaded, texts stay as written and references are checked; when a run is
//! planned, the same code reads it again with the inputs' values and every text is filled in.

mod accessible;
pub(super) mod action;
mod area;
mod captured;
mod check;
mod fields;
mod flow;
mod machine;
mod pointer;
mod reference;
mod routine;
mod scenario;
mod scope;
mod stage;
mod step;
mod top;

pub(super) use area::sidecar;
pub(super) use reference::named as reference;
pub(super) use scenario::{is_id, is_input_name, library, scenario, typed};
pub(super) use scope::Scope;
pub(super) use stage::BIGGER;

use super::error::{Place, Problems};
use super::model::{Input, Words};
use super::node::{Node, Value};
use super::reference::Library;
use super::template;
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};

/// Reads the parts of one scenario.
pub(super) struct Parser<'a> {
    problems: &'a mut Problems,
    scope: Scope,
    /// Ids so far, with their places.
    ids: BTreeMap<String, Place>,
    /// Names without a value that the present step uses.
    late: BTreeSet<String>,
    /// Texts that are given to secret inputs of routines: they are written in the scenario, and shown nowhere else.
    secrets: Vec<SecretString>,
    /// How many more steps there may be.
    budget: usize,
    /// Reference images.
    references: Library,
    /// What the scenario's callers give.
    inputs: BTreeMap<String, Input>,
    /// Values that some step captures.
    captures: BTreeMap<String, captured::At>,
    /// It is written for Windows, perhaps among others.
    windows: bool,
}

/// What a parser has found besides the steps.
pub(super) struct Parts {
    /// The declared inputs.
    pub inputs: BTreeMap<String, Input>,
    /// The reference images.
    pub references: Library,
    /// The values of inputs and variables, when a run is planned.
    pub values: template::Values,
}

impl Parser<'_> {
    pub fn new<'a>(problems: &'a mut Problems, scope: Scope, references: Library) -> Parser<'a> {
        Parser {
            problems,
            scope,
            ids: BTreeMap::new(),
            late: BTreeSet::new(),
            secrets: Vec::new(),
            budget: routine::MOST_STEPS,
            references,
            inputs: BTreeMap::new(),
            captures: BTreeMap::new(),
            windows: false,
        }
    }

    /// What was found.
    pub fn into_parts(self) -> Parts {
        Parts {
            inputs: self.inputs,
            references: self.references,
            values: self.scope.values.unwrap_or_default(),
        }
    }

    /// Takes what was given to secret inputs of routines.
    pub fn take_secrets(&mut self) -> Vec<SecretString> {
        std::mem::take(&mut self.secrets)
    }

    fn problem(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.add(place, message);
    }

    /// Text without a template.
    fn literal<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            Value::Str(s) if s.trim().is_empty() => {
                self.problem(&node.place, format!("{what} is empty"));
                None
            }
            Value::Str(s) if template::is_template(s) => {
                self.problem(
                    &node.place,
                    format!("{what} cannot be a template; write the value itself"),
                );
                None
            }
            Value::Str(s) => Some(s),
            _ => {
                self.problem(&node.place, self::expected(what, "text", node));
                None
            }
        }
    }

    /// Text in which inputs may be used, but no secret ones.
    fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::Str(s) if s.trim().is_empty() => {
                self.problem(&node.place, format!("{what} is empty"));
                None
            }
            Value::Str(s) => self.fill_in(&node.place, s, what),
            // A number is what YAML makes of an unquoted 42; as a text it is not guessed (is 007 7?).
            _ => {
                self.problem(&node.place, self::expected(what, "text", node));
                None
            }
        }
    }

    /// `text` with the inputs' values, as far as they are known now.
    fn fill_in(&mut self, place: &Place, text: &str, what: &str) -> Option<String> {
        let secret = self.references(place, text)?;
        if let Some(name) = secret.first() {
            self.problem(
                place,
                format!(
                    "the secret input '{name}' is used in {what}; a secret may only stand in the text of 'type' and in a \
                     shell's environment"
                ),
            );
            return None;
        }
        self.render(place, text, false)
    }

    /// Text that may hold secrets.
    fn words(&mut self, node: &Node, what: &str) -> Option<Words> {
        let text = match &node.value {
            Value::Str(s) => s,
            _ => {
                self.problem(&node.place, self::expected(what, "text", node));
                return None;
            }
        };
        let secret = !self.references(&node.place, text)?.is_empty();
        let text = self.render(&node.place, text, secret)?;
        Some(if secret {
            Words::Secret(text.into())
        } else {
            Words::Plain(text)
        })
    }

    fn render(&mut self, place: &Place, text: &str, with_secrets: bool) -> Option<String> {
        let Some(values) = &self.scope.values else {
            return Some(text.to_string());
        };
        let names = template::references(text).unwrap_or_default();
        let late: Vec<String> = names.into_iter().filter(|n| self.scope.is_late(n)).collect();
        if !late.is_empty() {
            self.late.extend(late);
            return Some(text.to_string());
        }
        match template::render(text, values, with_secrets) {
            Ok(text) => Some(text),
            Err(message) => {
                self.problem(place, message);
                None
            }
        }
    }

    /// Checks the names in a template; returns the secret ones.
    fn references(&mut self, place: &Place, text: &str) -> Option<Vec<String>> {
        let names = match template::references(text) {
            Ok(names) => names,
            Err(message) => {
                self.problem(place, message);
                return None;
            }
        };
        let mut secret = Vec::new();
        let mut known = true;
        for name in names {
            match self.scope.inputs.get(&name) {
                Some(input) if input.secret => secret.push(name),
                Some(_) => {}
                None if self.scope.captured.contains(&name) => {}
                None => {
                    let message = self.undefined(place, &name);
                    self.problem(place, message);
                    known = false;
                }
            }
        }
        known.then_some(secret)
    }

    fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match node.value {
            Value::Bool(b) => Some(b),
            _ => {
                self.problem(&node.place, self::expected(what, "true or false", node));
                None
            }
        }
    }

    fn integer(&mut self, node: &Node, what: &str, min: i64, max: i64) -> Option<i64> {
        match node.value {
            Value::Int(i) if (min..=max).contains(&i) => Some(i),
            Value::Int(i) => {
                self.problem(&node.place, format!("{what} is {i}; it must be from {min} to {max}"));
                None
            }
            _ => {
                self.problem(&node.place, self::expected(what, "an integer", node));
                None
            }
        }
    }

    /// One of a few words.
    fn choice<'c>(&mut self, node: &Node, what: &str, valid: &'c [&'c str]) -> Option<&'c str> {
        let text = self.literal(node, what)?;
        if let Some(found) = valid.iter().find(|v| **v == text) {
            return Some(found);
        }
        let message = super::error::unknown(&format!("value of {what}"), "values", text, valid);
        self.problem(&node.place, message);
        None
    }
}

/// `'timeout' must be text, not a list`
fn expected(what: &str, wanted: &str, node: &Node) -> String {
    let hint = match &node.value {
        Value::Int(_) | Value::Float(_) if wanted == "text" && node.written.is_some() => {
            format!("; write \"{}\"", node.written.as_deref().unwrap_or_default())
        }
        Value::Int(i) if wanted == "text" => format!("; write \"{i}\""),
        Value::Bool(b) if wanted == "text" => format!("; write \"{b}\""),
        _ => String::new(),
    };
    format!("{what} must be {wanted}, not {}{hint}", node.kind())
}
