//! What a scenario says of itself as a whole: its own values, its parts, its time, what it tells at the end.

use super::super::error::{nearest, unknown};
use super::super::model::{Input, InputType, Scalar};
use super::super::node::{Entry, Node, Value};
use super::super::phase::Phase;
use super::super::{template, vocabulary as v};
use super::Parser;
use std::collections::BTreeSet;
use std::time::Duration;

/// Values that a run tells at its end; they stand in its status, which must stay small.
const MOST_OUTPUTS: usize = 20;

impl Parser<'_> {
    /// Reads the values that the scenario makes itself, whatever their order. Inputs have been read.
    pub(super) fn variables(&mut self, node: &Node) {
        let Value::Map(entries) = &node.value else {
            self.problem(&node.place, super::expected("'variables'", "an object", node));
            return;
        };
        let mut open: Vec<&Entry> = Vec::new();
        for entry in entries {
            if self.declared(entry) {
                open.push(entry);
            }
        }
        self.scope.variables = open.iter().map(|e| e.key.clone()).collect();
        // Each pass reads those that name no other which is still open.
        loop {
            let names: BTreeSet<&str> = open.iter().map(|e| e.key.as_str()).collect();
            let waits = |entry: &&Entry| uses(&entry.value).iter().any(|name| names.contains(name.as_str()));
            let (later, now): (Vec<&Entry>, Vec<&Entry>) = open.iter().copied().partition(waits);
            if now.is_empty() {
                break;
            }
            now.into_iter().for_each(|entry| self.variable(entry));
            open = later;
        }
        if let Some(first) = open.first() {
            let names: Vec<&str> = open.iter().map(|e| e.key.as_str()).collect();
            let message = format!("variables name each other in a circle: {}", names.join(", "));
            self.problem(&first.value.place, message);
        }
        for entry in open {
            self.know(entry, InputType::String, false);
        }
    }

    /// Whether the name can be a variable's.
    fn declared(&mut self, entry: &Entry) -> bool {
        if !super::scenario::is_input_name(&entry.key) {
            self.problem(
                &entry.place,
                format!(
                    "variable name '{}' must begin with a lower-case letter and have only letters, digits and _: it \
                     becomes the name of an environment variable",
                    entry.key
                ),
            );
            return false;
        }
        if self.scope.inputs.contains_key(&entry.key) {
            self.problem(
                &entry.place,
                format!(
                    "'{}' is an input; an input is what callers give, a variable what the scenario makes",
                    entry.key
                ),
            );
            return false;
        }
        true
    }

    /// From here on the name is known.
    fn know(&mut self, entry: &Entry, kind: InputType, secret: bool) {
        let input = Input {
            kind,
            default: None,
            secret,
            description: None,
        };
        self.scope.inputs.insert(entry.key.clone(), input);
    }

    fn variable(&mut self, entry: &Entry) {
        let (key, node) = (entry.key.as_str(), &entry.value);
        let (kind, value) = match &node.value {
            Value::Str(text) => return self.text_variable(entry, text),
            Value::Int(i) => (InputType::Integer, Some(Scalar::Integer(*i))),
            Value::Float(f) => (InputType::Number, Some(Scalar::Number(*f))),
            Value::Bool(b) => (InputType::Boolean, Some(Scalar::Boolean(*b))),
            _ => {
                let what = format!("the variable '{key}'");
                self.problem(
                    &node.place,
                    super::expected(&what, "text, a number, or true or false", node),
                );
                (InputType::String, None)
            }
        };
        self.know(entry, kind, false);
        if let (Some(values), Some(value)) = (&mut self.scope.values, value) {
            values.plain.insert(key.to_string(), value);
        }
    }

    /// What is made with a secret is one; what is another value as it stands has its type.
    fn text_variable(&mut self, entry: &Entry, text: &str) {
        let secrets = self.references(&entry.value.place, text);
        let secret = secrets.as_ref().is_some_and(|names| !names.is_empty());
        let same = template::only(text).filter(|_| !secret);
        let kind = same
            .and_then(|name| self.scope.inputs.get(name))
            .map(|input| input.kind);
        if secrets.is_some() {
            let alone = same.and_then(|name| self.scope.values.as_ref()?.plain.get(name).cloned());
            let filled = self.render(&entry.value.place, text, secret);
            if let (Some(values), Some(filled)) = (&mut self.scope.values, filled) {
                match secret {
                    true => drop(values.secret.insert(entry.key.clone(), filled.into())),
                    false => {
                        let value = alone.unwrap_or(Scalar::String(filled));
                        values.plain.insert(entry.key.clone(), value);
                    }
                }
            }
        }
        self.know(entry, kind.unwrap_or(InputType::String), secret);
    }

    /// Wall-clock time for set-up and test.
    pub(super) fn budget(&mut self, node: &Node) -> Option<Duration> {
        self.duration(node, "'budget'")
    }

    /// Reads the named parts of the test. `steps` is its list; what is wrong with it is told elsewhere.
    pub(super) fn phases(&mut self, node: &Node, steps: Option<&Node>) -> Vec<Phase> {
        let Value::Map(entries) = &node.value else {
            self.problem(&node.place, super::expected("'phases'", "an object", node));
            return Vec::new();
        };
        let ids: Vec<Option<&str>> = match steps.map(|n| &n.value) {
            Some(Value::Seq(items)) => items.iter().map(|i| i.get("id").and_then(Node::as_str)).collect(),
            _ => return Vec::new(),
        };
        let mut found: Vec<(&Entry, Phase, bool)> = Vec::new();
        for entry in entries {
            found.extend(self.phase(entry, &ids).map(|(phase, open)| (entry, phase, open)));
        }
        found.sort_by_key(|(_, phase, _)| *phase.range.start());
        let begins: Vec<usize> = found.iter().map(|(_, phase, _)| *phase.range.start()).collect();
        let mut phases: Vec<Phase> = Vec::new();
        for (at, (entry, mut phase, open)) in found.into_iter().enumerate() {
            let first = *phase.range.start();
            if open {
                // It goes on to the next one.
                let last = begins
                    .get(at + 1)
                    .map_or(ids.len(), |next| *next)
                    .saturating_sub(1)
                    .max(first);
                phase.range = first..=last;
            }
            if let Some(before) = phases.last().filter(|before| *before.range.end() >= first) {
                let message = format!(
                    "the phases '{}' and '{}' have steps in common, from '{}' on; a step is in one phase",
                    before.name, phase.name, phase.from
                );
                self.problem(&entry.place, message);
            }
            phases.push(phase);
        }
        phases
    }

    /// A phase, and whether it has no end of its own.
    fn phase(&mut self, entry: &Entry, ids: &[Option<&str>]) -> Option<(Phase, bool)> {
        let name = entry.key.as_str();
        if !super::scenario::is_id(name) {
            self.problem(
                &entry.place,
                format!("a phase's name has at most 63 lower-case letters, digits and inner dashes, unlike '{name}'"),
            );
            return None;
        }
        let what = format!("phase '{name}'");
        if self.ids.contains_key(name) {
            self.problem(
                &entry.place,
                format!("{what} has the name of a step; a run that is to begin or end there could mean either"),
            );
            return None;
        }
        let fields = self.fields(&entry.value, &what, v::PHASE)?;
        let description = fields.get("description").map(|n| self.literal(n, "'description'"));
        let from = self.required(&entry.value, &fields, "from", &what)?;
        let from = (from, self.step_of(from, "'from'", ids)?);
        let until = match fields.get("until") {
            Some(n) => Some((n, self.step_of(n, "'until'", ids)?)),
            None => None,
        };
        let text = |node: &Node| node.as_str().unwrap_or_default().to_string();
        if let Some((n, last)) = &until
            && *last < from.1
        {
            let message = format!("{what} ends with '{}', which comes before '{}'", text(n), text(from.0));
            self.problem(&n.place, message);
            return None;
        }
        let phase = Phase {
            name: name.to_string(),
            description: description.flatten().map(String::from),
            from: text(from.0),
            range: from.1..=until.map_or(from.1, |(_, last)| last),
        };
        Some((phase, until.is_none()))
    }

    /// The place in the list of the step that is named.
    fn step_of(&mut self, node: &Node, what: &str, ids: &[Option<&str>]) -> Option<usize> {
        let id = self.literal(node, what)?.to_string();
        if let Some(place) = ids.iter().position(|known| *known == Some(id.as_str())) {
            return Some(place);
        }
        let known: Vec<&str> = ids.iter().copied().flatten().collect();
        let message = match self.ids.contains_key(&id) {
            // Such an id changes when a step is put before it.
            true if id.starts_with('s') && derived(&id) => format!(
                "the step '{id}' has its id from its place, which changes with every step before it; give it an 'id' of its own"
            ),
            true => format!(
                "'{id}' is within another step, or no step of the test; a phase begins and ends with one of {}",
                known.join(", ")
            ),
            false => unknown("step", "steps (those of the test that have an 'id')", &id, &known),
        };
        self.problem(&node.place, message);
        None
    }

    /// Reads which captured values the run tells. All steps have been read.
    pub(super) fn told(&mut self, node: &Node) -> Vec<String> {
        let mut outputs: Vec<String> = Vec::new();
        let items = self.list(node, "'outputs'").unwrap_or_default();
        if items.len() > MOST_OUTPUTS {
            let message = format!("there are {} outputs; at most {MOST_OUTPUTS} are told", items.len());
            self.problem(&node.place, message);
        }
        for item in items {
            let Some(name) = self.literal(item, "an output").map(String::from) else {
                continue;
            };
            if outputs.contains(&name) {
                self.problem(&item.place, format!("the output '{name}' is there twice"));
                continue;
            }
            let captured: Vec<&str> = self.scope.captured.iter().map(String::as_str).collect();
            let message = match self.scope.inputs.get(&name) {
                Some(input) if input.secret => Some(format!(
                    "the secret '{name}' is used in 'outputs', which everybody can read"
                )),
                Some(_) => Some(format!(
                    "'{name}' has its value before the run, which tells it anyway; outputs are what steps capture"
                )),
                None if self.scope.captured.contains(&name) => None,
                // A step that could not be read may capture it.
                None if !self.problems.is_empty() && nearest(&name, captured.iter().copied()).is_none() => None,
                None => {
                    let which = "outputs (what its steps capture, those within other steps aside)";
                    Some(unknown("output", which, &name, &captured))
                }
            };
            match message {
                Some(message) => self.problem(&item.place, message),
                None => outputs.push(name),
            }
        }
        outputs
    }
}

/// True for ids as they are made from a step's place.
fn derived(id: &str) -> bool {
    id.get(1..3)
        .is_some_and(|digits| digits.chars().all(|c| c.is_ascii_digit()))
}

/// The names that a value uses.
fn uses(node: &Node) -> BTreeSet<String> {
    node.as_str()
        .and_then(|text| template::references(text).ok())
        .unwrap_or_default()
}
