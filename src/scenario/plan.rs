//! A scenario with values for its inputs: what a run carries out.

use super::error::{Errors, Place, Problems, unknown};
use super::model::{Action, Platform, Step};
use super::parse;
use super::phase::Phase;
use super::reference::{Library, Reference};
use super::template::Values;
use super::{Scenario, model::Scalar};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A scenario that can be run: every text is filled in.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Title for people.
    pub name: String,
    /// Where the scenario comes from, for messages.
    pub origin: String,
    /// What it shows.
    pub description: Option<String>,
    /// Digest of the scenario that it was made from.
    pub digest: String,
    /// Values of the inputs and the variables that are not secret.
    pub variables: BTreeMap<String, Scalar>,
    /// Values that may be shown nowhere.
    pub secrets: Vec<SecretString>,
    /// Reference images.
    pub references: Vec<Arc<Reference>>,
    /// Steps before the test.
    pub setup: Vec<Step>,
    /// The test.
    pub steps: Vec<Step>,
    /// Which of them run.
    pub range: std::ops::Range<usize>,
    /// Steps that always run at the end.
    pub cleanup: Vec<Step>,
    /// Systems that it is written for; empty: any.
    pub platforms: Vec<Platform>,
    /// Wall-clock time for set-up and test, where the scenario says it.
    pub budget: Option<Duration>,
    /// Named parts of the test, in the order of its steps.
    pub phases: Vec<Phase>,
    /// Captured values that the run tells at its end.
    pub outputs: Vec<String>,
}

impl Plan {
    /// Lets only these steps of the test run, and those between them. A phase stands for its first, or its last step.
    ///
    /// # Errors
    /// There is no such step or phase, the last comes before the first, or a step needs what only a left-out step makes.
    pub fn limit(&mut self, from: Option<&str>, until: Option<&str>) -> Result<(), Errors> {
        let mut problems = Problems::new(&self.origin);
        let ids: Vec<&str> = self.steps.iter().map(|s| s.id.as_str()).collect();
        let phases: Vec<&str> = self.phases.iter().map(|p| p.name.as_str()).collect();
        let mut find = |member: &str, id: &str, end: fn(&Phase) -> usize| {
            let phase = self.phases.iter().find(|phase| phase.name == id).map(end);
            let found = phase.or_else(|| ids.iter().position(|known| *known == id));
            if found.is_none() {
                let message = match self.all_steps().any(|s| s.id == id) {
                    true => format!(
                        "'{id}' is within another step, or no step of the test; a part of it begins and ends with one of {}",
                        ids.join(", ")
                    ),
                    false if phases.is_empty() => unknown("step", "steps", id, &ids),
                    false => {
                        let both = [phases.as_slice(), ids.as_slice()].concat();
                        unknown("phase or step", "phases and steps", id, &both)
                    }
                };
                problems.add(&Place::Whole, format!("{member}: {message}"));
            }
            found
        };
        let first = from.map_or(Some(0), |id| find("from", id, |phase| *phase.range.start()));
        let last = until.map_or(ids.len().checked_sub(1), |id| {
            find("until", id, |phase| *phase.range.end())
        });
        if let (Some(first), Some(last)) = (first, last) {
            if first <= last {
                self.range = first..last + 1;
                for missing in needed_from_before(&self.setup, &self.steps, self.range.clone()) {
                    problems.add(&Place::Whole, missing);
                }
            } else {
                problems.add(
                    &Place::Whole,
                    format!("step '{}' comes before step '{}'", ids[last], ids[first]),
                );
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems.into_errors()),
        }
    }

    /// The phase that each step of the test is in, those within steps and outside of all phases aside.
    pub fn phase_of(&self, step: &str) -> Option<&Phase> {
        let place = self.steps.iter().position(|s| s.id == step)?;
        super::phase::at(&self.phases, place)
    }

    /// All steps in the order in which they are written, those within steps included.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        let outer = self.setup.iter().chain(&self.steps).chain(&self.cleanup);
        outer.flat_map(Step::flatten)
    }
}

/// What the steps of the range need and only a left-out step before it makes.
fn needed_from_before(setup: &[Step], steps: &[Step], range: std::ops::Range<usize>) -> Vec<String> {
    let made_by = |steps: &[Step]| -> BTreeMap<Made, String> {
        let all = steps.iter().flat_map(Step::flatten);
        all.flat_map(|s| makes(s).into_iter().map(|made| (made, s.id.clone())))
            .collect()
    };
    let left_out = made_by(&steps[..range.start]);
    let mut here = made_by(setup);
    let mut missing = Vec::new();
    for step in steps[range].iter().flat_map(Step::flatten) {
        let lacks = needs(step).into_iter().filter(|n| !here.contains_key(n));
        missing.extend(lacks.filter_map(|need| {
            let by = left_out.get(&need)?;
            Some(format!(
                "step '{}' needs {need}, which step '{by}' makes; begin with that one",
                step.id
            ))
        }));
        here.extend(makes(step).into_iter().map(|made| (made, step.id.clone())));
    }
    missing
}

/// What one step makes for another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Made {
    Value(String),
    Snapshot(String),
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Made::Value(name) => write!(f, "the value {name}"),
            Made::Snapshot(name) => write!(f, "the snapshot {name}"),
        }
    }
}

pub(super) fn makes(step: &Step) -> Vec<Made> {
    match &step.action {
        Action::Shell(shell) => shell.capture.iter().map(|c| Made::Value(c.name.clone())).collect(),
        Action::Use(call) => call.outputs.keys().map(|name| Made::Value(name.clone())).collect(),
        Action::Snapshot(snapshot) => vec![Made::Snapshot(snapshot.name.clone())],
        _ => Vec::new(),
    }
}

fn needs(step: &Step) -> Vec<Made> {
    let facts = step.when.iter().map(|fact| &fact.name);
    let values = step.late.iter().flat_map(|late| &late.needs).chain(facts);
    let mut needs: Vec<Made> = values.map(|name| Made::Value(name.clone())).collect();
    if let Action::Rollback(name) = &step.action {
        needs.push(Made::Snapshot(name.clone()));
    }
    needs
}

impl Scenario {
    /// Fills in the inputs' values.
    ///
    /// # Errors
    /// An input without value, a value of the wrong type, a name that is no input, a secret given as a plain
    /// variable or the other way round, and everything that shows only now (a chord made by a template, ...).
    pub fn plan(
        &self,
        variables: &BTreeMap<String, String>,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Result<Plan, Errors> {
        let mut problems = Problems::new(&self.origin);
        let mut wrong = |message: String| problems.add(&Place::Whole, message);
        let names: Vec<&str> = self.inputs.keys().map(String::as_str).collect();
        let mut values = Values::default();

        let own = |name: &str| self.tree.get("variables").is_some_and(|own| own.get(name).is_some());
        for name in variables.keys().chain(secrets.keys()).filter(|name| own(name)) {
            wrong(format!(
                "'{name}' is a variable, which the scenario makes itself; what a caller may give has to be one of its inputs"
            ));
        }
        let strange = |name: &&String| !self.inputs.contains_key(*name) && !own(name);
        for name in variables.keys().filter(strange) {
            wrong(unknown("input", "inputs", name, &names));
        }
        for name in secrets.keys() {
            match self.inputs.get(name) {
                None if own(name) => {}
                None => wrong(unknown("secret variable", "variables", name, &names)),
                Some(input) if !input.secret => {
                    wrong(format!("input '{name}' is not secret; give it as a plain variable"));
                }
                Some(_) => {}
            }
        }
        for (name, input) in &self.inputs {
            if input.secret {
                match (secrets.get(name), variables.contains_key(name)) {
                    (_, true) => wrong(format!("input '{name}' is secret; give it as a secret variable")),
                    (Some(value), _) => {
                        values.secret.insert(name.clone(), value.clone());
                    }
                    (None, _) => wrong(format!(
                        "the secret input '{name}' has no value; give it by the run's secretVariables"
                    )),
                }
                continue;
            }
            match (variables.get(name), &input.default) {
                (Some(text), _) => match parse::typed(input.kind, text) {
                    Ok(value) => {
                        values.plain.insert(name.clone(), value);
                    }
                    Err(message) => wrong(format!("input '{name}': {message}")),
                },
                (None, Some(default)) => {
                    values.plain.insert(name.clone(), default.clone());
                }
                (None, None) => wrong(format!("input '{name}' has no value and no default")),
            }
        }
        if !problems.is_empty() {
            return Err(problems.into_errors());
        }

        let scope = parse::Scope {
            values: Some(values),
            ..parse::Scope::default()
        };
        let mut parser = parse::Parser::new(&mut problems, scope, Library::default());
        let parsed = parse::scenario(&mut parser, &self.tree);
        let written = parser.take_secrets();
        let parse::Parts { references, values, .. } = parser.into_parts();
        let references = references.all().cloned().collect();
        match parsed {
            Some(parsed) if problems.is_empty() => Ok(Plan {
                references,
                name: parsed.name,
                origin: self.origin.clone(),
                description: parsed.description,
                digest: self.digest(),
                secrets: values.secret.into_values().chain(written).collect(),
                variables: values.plain,
                setup: parsed.setup,
                range: 0..parsed.steps.len(),
                steps: parsed.steps,
                cleanup: parsed.cleanup,
                platforms: parsed.platforms,
                budget: parsed.budget,
                phases: parsed.phases,
                outputs: parsed.outputs,
            }),
            _ => Err(problems.into_errors()),
        }
    }
}
