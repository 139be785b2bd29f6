//! What names mean at a place of a scenario: inputs, values that the run captures, routines.

use super::super::model::Input;
use super::super::template::Values;
use super::routine::Routine;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The names that can be used at a place, and how steps there are called.
#[derive(Clone, Debug, Default)]
pub(in crate::scenario) struct Scope {
    /// Declared inputs, and the scenario's variables.
    pub inputs: BTreeMap<String, Input>,
    /// Names of the variables among them.
    pub variables: BTreeSet<String>,
    /// The inputs' values when a run is planned, and captured values when a step is filled in; none when the scenario
    /// is loaded.
    pub values: Option<Values>,
    /// Names whose values only the run gets.
    pub captured: BTreeSet<String>,
    /// Routines by name.
    pub routines: Arc<BTreeMap<String, Routine>>,
    /// Names of the routines that the place is in, the innermost last.
    pub within: Vec<String>,
    /// What derived ids begin with.
    pub prefix: String,
    /// What given ids begin with: the same routine may be used twice.
    pub id_prefix: String,
}

impl Scope {
    /// Every name that a template may use.
    pub fn names(&self) -> BTreeSet<&str> {
        let inputs = self.inputs.keys().map(String::as_str);
        inputs.chain(self.captured.iter().map(String::as_str)).collect()
    }

    /// True for a name that has no value yet, although the values are known.
    pub fn is_late(&self, name: &str) -> bool {
        self.captured.contains(name) && self.values.as_ref().is_some_and(|v| !v.plain.contains_key(name))
    }
}
