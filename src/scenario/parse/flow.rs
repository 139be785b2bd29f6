//! Which steps run: conditions, rounds, facts, and names for what a run finds out.

use super::super::error::{Place, nearest};
use super::super::model::{Branch, Capture, Fact, Repeat, Section, Step};
use super::super::node::{Entry, Node, Value};
use super::super::{template, vocabulary as v};
use super::Parser;
use std::time::Duration;

impl Parser<'_> {
    /// A condition with `then` and `else` beside it.
    pub(super) fn branch(&mut self, node: &Node, base: &str, section: Section, patience: Duration) -> Option<Branch> {
        let Value::Map(entries) = &node.value else {
            let example = "{text: Welcome, then: [...]}";
            self.problem(
                &node.place,
                super::expected(
                    "'if'",
                    &format!("an object with a condition and 'then', such as {example}"),
                    node,
                ),
            );
            return None;
        };
        let is_way = |e: &&Entry| e.key == "then" || e.key == "else";
        let rest = Node {
            written: None,
            place: node.place.clone(),
            value: Value::Map(entries.iter().filter(|e| !is_way(e)).cloned().collect()),
        };
        let condition = self.check(&rest, "'if'");
        if node.get("then").is_none() && node.get("else").is_none() {
            self.problem(&node.place, "'if' needs 'then' or 'else': a list of steps");
            return None;
        }
        let mut way = |key: &str, letter: char| match node.get(key) {
            Some(list) => self.nested(list, key, format!("{base}-{letter}"), section),
            None => Vec::new(),
        };
        let (then, otherwise) = (way("then", 't'), way("else", 'e'));
        Some(Branch {
            condition: condition?,
            patience,
            then,
            otherwise,
        })
    }

    pub(super) fn repeat(&mut self, node: &Node, base: &str, section: Section) -> Option<Repeat> {
        let fields = self.fields(node, "repeat", v::REPEAT)?;
        let until = match fields.get("until") {
            Some(n) => Some(self.check(n, "'until'")?),
            None => None,
        };
        let rounds = match (fields.entry("times"), fields.entry("max"), &until) {
            (Some(n), None, None) => self.integer(&n.value, "'times'", 1, 1000)?,
            (None, Some(n), Some(_)) => self.integer(&n.value, "'max'", 1, 1000)?,
            (Some(n), _, Some(_)) => {
                self.problem(&n.place, "'until' has 'max', the most rounds, not 'times'");
                return None;
            }
            (_, Some(n), None) => {
                self.problem(&n.place, "'max' belongs to 'until'; without one, write 'times'");
                return None;
            }
            (None, None, Some(_)) => {
                self.problem(
                    &node.place,
                    "'until' needs 'max': after so many rounds it counts as failed",
                );
                return None;
            }
            (None, None, None) if fields.has_strangers() => return None,
            (None, None, None) => {
                self.problem(&node.place, "repeat needs 'times', or 'until' and 'max'");
                return None;
            }
        };
        let list = self.required(node, &fields, "steps", "repeat")?;
        let steps = self.nested(list, "steps", format!("{base}-"), section);
        Some(Repeat {
            until,
            rounds: u32::try_from(rounds).unwrap_or(1),
            steps,
        })
    }

    /// Steps within a step. What they capture is known only among them: they may not have run.
    pub(super) fn nested(&mut self, node: &Node, key: &str, prefix: String, section: Section) -> Vec<Step> {
        let Some(items) = self.list(node, &format!("'{key}'")) else {
            return Vec::new();
        };
        if items.is_empty() || items.len() > 200 {
            self.problem(
                &node.place,
                format!("'{key}' has {} steps; it needs from 1 to 200", items.len()),
            );
            return Vec::new();
        }
        let captured = self.scope.captured.clone();
        // They are filled in when their turn comes: a step before them, or a round, may capture a value anew.
        let values = self.scope.values.clone();
        if let Some(values) = &mut self.scope.values {
            values.plain.retain(|name, _| !captured.contains(name));
        }
        let outer = std::mem::replace(&mut self.scope.prefix, prefix);
        let steps = items
            .iter()
            .enumerate()
            .filter_map(|(i, item)| self.step(item, section, i + 1))
            .collect();
        self.scope.prefix = outer;
        self.scope.captured = captured;
        self.scope.values = values;
        steps
    }

    /// `{name: value}` or `{name: [value, value]}`.
    pub(super) fn facts(&mut self, node: &Node, what: &str) -> Option<Vec<Fact>> {
        let Value::Map(entries) = &node.value else {
            self.problem(
                &node.place,
                super::expected(what, "an object of names and values", node),
            );
            return None;
        };
        if entries.is_empty() {
            self.problem(&node.place, format!("{what} is empty"));
            return None;
        }
        let mut facts = Vec::new();
        for entry in entries {
            if self.scope.inputs.get(&entry.key).is_some_and(|i| i.secret) {
                let message = format!(
                    "the secret input '{}' is used in {what}; how a run goes would tell it",
                    entry.key
                );
                self.problem(&entry.place, message);
                return None;
            }
            if !self.scope.names().contains(entry.key.as_str()) {
                let message = self.undefined(&entry.place, &entry.key);
                self.problem(&entry.place, message);
                return None;
            }
            if self.scope.is_late(&entry.key) {
                self.late.insert(entry.key.clone());
            }
            let one = std::slice::from_ref(&entry.value);
            let items = match &entry.value.value {
                Value::Seq(items) => items.as_slice(),
                _ => one,
            };
            let wanted: Option<Vec<String>> = items.iter().map(|item| self.fact_value(item)).collect();
            let values = self.scope.values.as_ref();
            facts.push(Fact {
                value: values.and_then(|v| v.plain.get(&entry.key)).map(ToString::to_string),
                name: entry.key.clone(),
                wanted: wanted?,
            });
        }
        Some(facts)
    }

    fn fact_value(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Str(text) => self.fill_in(&node.place, text, "a fact"),
            Value::Int(i) => Some(i.to_string()),
            Value::Float(f) => Some(f.to_string()),
            Value::Bool(b) => Some(b.to_string()),
            _ => {
                self.problem(
                    &node.place,
                    super::expected("the value of a fact", "text, a number or a boolean", node),
                );
                None
            }
        }
    }

    /// `capture: NAME`, or `capture: {NAME: REGULAR EXPRESSION}`.
    pub(super) fn capture(&mut self, node: &Node) -> Option<Vec<Capture>> {
        let mut found = Vec::new();
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => {
                for entry in entries {
                    let pattern = self.regex(&entry.value, "'capture'")?;
                    if !self.new_name(&entry.place, &entry.key) {
                        return None;
                    }
                    found.push(Capture {
                        name: entry.key.clone(),
                        pattern: Some(pattern),
                    });
                }
            }
            _ => {
                let name = self.literal(node, "'capture'")?.to_string();
                if !self.new_name(&node.place, &name) {
                    return None;
                }
                found.push(Capture { name, pattern: None });
            }
        }
        Some(found)
    }

    /// A name for a value of the run; it may be given anew, but is never an input's.
    pub(super) fn new_name(&mut self, place: &Place, name: &str) -> bool {
        if !super::scenario::is_input_name(name) {
            self.problem(
                place,
                format!(
                    "'{name}' must begin with a lower-case letter and have only letters, digits and _: it becomes the \
                     name of an environment variable"
                ),
            );
            return false;
        }
        if self.scope.inputs.contains_key(name) {
            self.problem(
                place,
                format!(
                    "'{name}' is {}; a captured value needs another name",
                    match self.scope.variables.contains(name) {
                        true => "a variable",
                        false => "an input",
                    }
                ),
            );
            return false;
        }
        true
    }

    /// What is said of a name that means nothing at this place.
    pub(super) fn undefined(&self, place: &Place, name: &str) -> String {
        if let Some(at) = self.captures.get(name)
            && at.place > *place
            && matches!((&at.place, place), (Place::Line(..), Place::Line(..)))
        {
            return format!(
                "'{name}' has no value here: {} captures it, which comes later; use it after that",
                at.told()
            );
        }
        let names = self.scope.names();
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("; did you mean '{near}'?"),
            None => ".".to_string(),
        };
        if names.is_empty() {
            return format!("undefined variable '{name}'. The scenario has no inputs");
        }
        let what = match (self.scope.variables.is_empty(), self.scope.captured.is_empty()) {
            (true, true) => "Inputs",
            (true, false) => "Inputs and captured values",
            (false, true) => "Inputs and variables",
            (false, false) => "Inputs, variables and captured values",
        };
        format!(
            "undefined variable '{name}'{hint} {what}: {}",
            names.into_iter().collect::<Vec<_>>().join(", ")
        )
    }

    /// True where the text is a template that has no values yet.
    pub(super) fn is_unfilled(&self, text: &str) -> bool {
        template::is_template(text)
            && (self.scope.values.is_none()
                || template::references(text).is_ok_and(|names| names.iter().any(|n| self.scope.is_late(n))))
    }
}
