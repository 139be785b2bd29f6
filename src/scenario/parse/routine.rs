//! Routines: steps with a name, inputs and outputs of their own.

use super::super::error::{Place, Problems, unknown};
use super::super::model::{Input, InputType, Scalar, Section, Step, Use, Words};
use super::super::node::{Entry, Node, Value};
use super::super::template::{self, Values};
use super::super::vocabulary as v;
use super::Parser;
use super::scope::Scope;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Steps of all rounds and routines of a scenario: routines that use routines grow fast.
pub(super) const MOST_STEPS: usize = 2000;

/// A routine as it is declared.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct Routine {
    place: Place,
    version: Option<i64>,
    inputs: BTreeMap<String, Input>,
    outputs: Vec<String>,
    /// Conditions before and after, and the steps.
    node: Node,
}

impl Parser<'_> {
    /// Reads the declarations first, so that routines can use each other, then what each says.
    pub(super) fn routines(&mut self, node: &Node) {
        let Value::Map(entries) = &node.value else {
            self.problem(&node.place, super::expected("'routines'", "an object", node));
            return;
        };
        let mut routines = BTreeMap::new();
        for entry in entries {
            if !super::scenario::is_id(&entry.key) {
                self.problem(
                    &entry.place,
                    format!(
                        "a routine's name has at most 63 lower-case letters, digits and inner dashes, unlike '{}'",
                        entry.key
                    ),
                );
                continue;
            }
            if let Some(routine) = self.routine(&entry.key, &entry.value) {
                routines.insert(entry.key.clone(), routine);
            }
        }
        self.scope.routines = Arc::new(routines);
        if self.scope.values.is_some() {
            // A plan is made of what has been loaded; only what is used counts.
            return;
        }
        let circles: Vec<_> = self
            .scope
            .routines
            .keys()
            .filter_map(|name| circle(&self.scope.routines, name))
            .collect();
        for (place, way) in circles {
            self.problem(&place, format!("a routine cannot use itself: {}", way.join(" -> ")));
        }
        for (name, routine) in self.scope.routines.clone().iter() {
            self.budget = MOST_STEPS;
            self.ids.clear();
            self.body(
                name,
                routine,
                Values::default(),
                BTreeSet::new(),
                "r",
                "",
                Section::Steps,
            );
        }
        self.budget = MOST_STEPS;
        self.ids.clear();
    }

    fn routine(&mut self, name: &str, node: &Node) -> Option<Routine> {
        let what = format!("routine '{name}'");
        let fields = self.fields(node, &what, v::ROUTINE)?;
        if let Some(n) = fields.get("description") {
            self.literal(n, "'description'");
        }
        let version = match fields.get("version") {
            Some(n) => Some(self.integer(n, "'version'", 1, i64::from(u32::MAX))?),
            None => None,
        };
        let inputs = fields.get("inputs").map(|n| self.read_inputs(n)).unwrap_or_default();
        let mut outputs = Vec::new();
        if let Some(list) = fields.get("outputs") {
            for item in self.list(list, "'outputs'")? {
                outputs.push(self.literal(item, "an output")?.to_string());
            }
        }
        self.required(node, &fields, "steps", &what)?;
        Some(Routine {
            place: node.place.clone(),
            version,
            inputs,
            outputs,
            node: node.clone(),
        })
    }

    /// The steps of a routine, with its conditions as steps before and after them.
    #[allow(clippy::too_many_arguments)] // What a call gives to a routine has no meaning as one thing.
    fn body(
        &mut self,
        name: &str,
        routine: &Routine,
        values: Values,
        late: BTreeSet<String>,
        prefix: &str,
        id_prefix: &str,
        section: Section,
    ) -> Vec<Step> {
        let mut within = self.scope.within.clone();
        within.push(name.to_string());
        let inner = Scope {
            inputs: routine.inputs.clone(),
            variables: BTreeSet::new(),
            values: self.scope.values.is_some().then_some(values),
            captured: late,
            routines: self.scope.routines.clone(),
            within,
            prefix: prefix.to_string(),
            id_prefix: id_prefix.to_string(),
        };
        let outer = std::mem::replace(&mut self.scope, inner);
        let mut steps = Vec::new();
        steps.extend(self.condition_step(name, "requires", routine, section));
        if let Some(list) = routine.node.get("steps") {
            let items = self.list(list, "'steps'").unwrap_or_default();
            if items.is_empty() {
                self.problem(&list.place, "'steps' is empty");
            }
            steps.extend(
                items
                    .iter()
                    .enumerate()
                    .filter_map(|(i, item)| self.step(item, section, i + 1)),
            );
        }
        steps.extend(self.condition_step(name, "ensures", routine, section));
        for output in &routine.outputs {
            if !self.scope.captured.contains(output) {
                let names: Vec<&str> = self.scope.captured.iter().map(String::as_str).collect();
                let message = unknown("output", "outputs (what its steps capture)", output, &names);
                self.problem(&routine.place, format!("routine '{name}': {message}"));
            }
        }
        self.scope = outer;
        steps
    }

    /// `requires` and `ensures` are checks like any other, in the place where they count.
    fn condition_step(&mut self, name: &str, key: &str, routine: &Routine, section: Section) -> Option<Step> {
        let Value::Map(entries) = &routine.node.value else {
            return None;
        };
        let entry = entries.iter().find(|e| e.key == key)?;
        let text = |key: &str, text: String| Entry {
            key: key.to_string(),
            place: entry.place.clone(),
            value: Node {
                written: None,
                place: entry.place.clone(),
                value: Value::Str(text),
            },
        };
        let node = Node {
            written: None,
            place: entry.place.clone(),
            value: Value::Map(vec![
                text("id", key.to_string()),
                text("label", format!("{name} {key} what is written")),
                Entry {
                    key: "expect".to_string(),
                    place: entry.place.clone(),
                    value: entry.value.clone(),
                },
            ]),
        };
        self.step(&node, section, 0)
    }

    /// `use: NAME` or `use: NAME@VERSION`, with the options `with` and `capture` beside it.
    pub(super) fn call(
        &mut self,
        node: &Node,
        with: Option<&Node>,
        capture: Option<&Node>,
        (base, id): (&str, &str),
        section: Section,
    ) -> Option<Use> {
        let text = self.literal(node, "'use'")?;
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let routines = self.scope.routines.clone();
        let Some(routine) = routines.get(name) else {
            let names: Vec<&str> = routines.keys().map(String::as_str).collect();
            self.problem(&node.place, unknown("routine", "routines", name, &names));
            return None;
        };
        if let Some(wanted) = version
            && routine.version.map(|v| v.to_string()).as_deref() != Some(wanted)
        {
            let has = routine
                .version
                .map_or("no version".to_string(), |v| format!("version {v}"));
            self.problem(
                &node.place,
                format!("this was written for version {wanted} of the routine '{name}', which has {has}"),
            );
            return None;
        }
        if self.scope.within.iter().any(|w| w == name) {
            // Told where the routines are declared.
            return None;
        }
        let (values, late) = self.arguments(name, routine, node, with)?;
        let outputs = self.outputs(name, routine, capture)?;
        let (prefix, id_prefix) = (format!("{base}-"), format!("{id}-"));
        let steps = match self.scope.values {
            Some(_) => self.body(name, routine, values, late, &prefix, &id_prefix, section),
            None => {
                // What is wrong in it has been told where it is declared.
                let mut aside = Problems::new("");
                let mut parser = Parser {
                    problems: &mut aside,
                    scope: self.scope.clone(),
                    ids: std::mem::take(&mut self.ids),
                    late: BTreeSet::new(),
                    secrets: Vec::new(),
                    budget: self.budget,
                    references: std::mem::take(&mut self.references),
                    inputs: BTreeMap::new(),
                    captures: BTreeMap::new(),
                    windows: self.windows,
                };
                let steps = parser.body(name, routine, values, late, &prefix, &id_prefix, section);
                (self.ids, self.budget, self.references) = (parser.ids, parser.budget, parser.references);
                steps
            }
        };
        if self.budget == 0 {
            self.problem(
                &node.place,
                format!("the scenario has more than {MOST_STEPS} steps with those of its routines"),
            );
            return None;
        }
        self.scope.captured.extend(outputs.keys().cloned());
        Some(Use {
            routine: name.to_string(),
            steps,
            outputs,
        })
    }

    /// The values of the routine's inputs, and the names of those that only the run gets.
    fn arguments(
        &mut self,
        name: &str,
        routine: &Routine,
        call: &Node,
        with: Option<&Node>,
    ) -> Option<(Values, BTreeSet<String>)> {
        let empty = Vec::new();
        let given = match with {
            None => &empty,
            Some(Node {
                value: Value::Map(entries),
                ..
            }) => entries,
            Some(other) => {
                self.problem(&other.place, super::expected("'with'", "an object", other));
                return None;
            }
        };
        let names: Vec<&str> = routine.inputs.keys().map(String::as_str).collect();
        for entry in given {
            if !routine.inputs.contains_key(&entry.key) {
                let message = unknown(&format!("input of '{name}'"), "inputs", &entry.key, &names);
                self.problem(&entry.place, message);
            }
        }
        let (mut values, mut late) = (Values::default(), BTreeSet::new());
        let mut good = true;
        for (input_name, input) in &routine.inputs {
            let entry = given.iter().find(|e| e.key == *input_name);
            let bound = match (entry, &input.default) {
                (Some(entry), _) => self.argument(input_name, input, &entry.value),
                (None, Some(default)) => Some(Argument::Plain(default.clone())),
                (None, None) => {
                    self.problem(
                        &call.place,
                        format!("the routine '{name}' needs the input '{input_name}'; give it by 'with'"),
                    );
                    None
                }
            };
            match bound {
                Some(Argument::Plain(value)) => {
                    values.plain.insert(input_name.clone(), value);
                }
                Some(Argument::Secret(value)) => {
                    values.secret.insert(input_name.clone(), value);
                }
                Some(Argument::Late) => {
                    late.insert(input_name.clone());
                }
                None => good = false,
            }
        }
        good.then_some((values, late))
    }

    fn argument(&mut self, name: &str, input: &Input, node: &Node) -> Option<Argument> {
        let what = format!("the input '{name}'");
        let Value::Str(text) = &node.value else {
            return self.default(name, input.kind, node).map(Argument::Plain);
        };
        let before = self.late.len();
        if input.secret
            && let Ok(names) = template::references(text)
            && let Some(shown) = names.iter().find(|name| self.scope.captured.contains(*name))
        {
            let message = format!(
                "{what} is secret, and '{shown}', which a step captures, is given to it; that stands in the report \
                 already. Give it a secret input"
            );
            self.problem(&node.place, message);
            return None;
        }
        let words = self.words(node, &what)?;
        if self.late.len() > before || template::references(text).ok()?.iter().any(|n| self.scope.is_late(n)) {
            return Some(Argument::Late);
        }
        match words {
            Words::Secret(value) if input.secret => Some(Argument::Secret(value)),
            Words::Secret(_) => {
                self.problem(
                    &node.place,
                    format!("{what} is not secret, and a secret is given to it; declare it with secret: true"),
                );
                None
            }
            Words::Plain(text) if input.secret => {
                self.secrets.push(text.clone().into());
                Some(Argument::Secret(text.into()))
            }
            // While loading, a template has no value yet.
            Words::Plain(text) if self.scope.values.is_none() && template::is_template(&text) => {
                Some(Argument::Plain(Scalar::String(text)))
            }
            Words::Plain(text) if input.kind == InputType::String => Some(Argument::Plain(Scalar::String(text))),
            Words::Plain(text) => match super::typed(input.kind, &text) {
                Ok(value) => Some(Argument::Plain(value)),
                Err(message) => {
                    self.problem(&node.place, format!("{what}: {message}"));
                    None
                }
            },
        }
    }

    /// `capture: [name]` or `capture: {mine: theirs}`.
    fn outputs(&mut self, name: &str, routine: &Routine, capture: Option<&Node>) -> Option<BTreeMap<String, String>> {
        let mut outputs = BTreeMap::new();
        let Some(node) = capture else {
            return Some(outputs);
        };
        let known: Vec<&str> = routine.outputs.iter().map(String::as_str).collect();
        let mut pairs: Vec<(&Place, &str, &Node)> = Vec::new();
        match &node.value {
            Value::Seq(items) => {
                for item in items {
                    let mine = self.literal(item, "a name in 'capture'")?;
                    pairs.push((&item.place, mine, item));
                }
            }
            Value::Map(entries) => pairs.extend(entries.iter().map(|e| (&e.place, e.key.as_str(), &e.value))),
            _ => {
                let wanted = "a list of outputs, or an object of names and outputs";
                self.problem(&node.place, super::expected("'capture'", wanted, node));
                return None;
            }
        }
        for (place, mine, theirs) in pairs {
            let theirs_name = self.literal(theirs, "an output")?;
            if !known.contains(&theirs_name) {
                let message = unknown(&format!("output of '{name}'"), "outputs", theirs_name, &known);
                self.problem(&theirs.place, message);
                return None;
            }
            if !self.new_name(place, mine) {
                return None;
            }
            outputs.insert(mine.to_string(), theirs_name.to_string());
        }
        Some(outputs)
    }
}

/// The way from a routine back to itself, told of the first of them by name, with the place where it begins.
fn circle(routines: &BTreeMap<String, Routine>, name: &str) -> Option<(Place, Vec<String>)> {
    let mut ways: Vec<(Place, Vec<String>)> = used(&routines.get(name)?.node)
        .into_iter()
        .map(|(next, place)| (place, vec![name.to_string(), next]))
        .collect();
    let mut seen = BTreeSet::new();
    while let Some((place, way)) = ways.pop() {
        let last = way.last()?;
        if last == name {
            return (way.iter().min()? == name).then_some((place, way));
        }
        let Some(routine) = routines.get(last).filter(|_| seen.insert(last.clone())) else {
            continue;
        };
        for (next, _) in used(&routine.node) {
            let way = way.iter().cloned().chain([next]).collect();
            ways.push((place.clone(), way));
        }
    }
    None
}

/// The routines that steps in here use.
fn used(node: &Node) -> Vec<(String, Place)> {
    match &node.value {
        Value::Seq(items) => items.iter().flat_map(used).collect(),
        Value::Map(entries) => entries
            .iter()
            .flat_map(|entry| match (entry.key.as_str(), entry.value.as_str()) {
                ("use", Some(text)) => {
                    let name = text.split('@').next().unwrap_or_default().to_string();
                    vec![(name, entry.value.place.clone())]
                }
                _ => used(&entry.value),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The value of one input of a routine.
enum Argument {
    Plain(Scalar),
    Secret(secrecy::SecretString),
    Late,
}
