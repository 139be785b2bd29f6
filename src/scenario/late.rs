//! Steps whose texts name values that only the run gets.

use super::error::{Errors, Problems};
use super::model::{Scalar, Section, Step};
use super::node::Node;
use super::parse::{Parser, Scope};
use super::reference::Library;
use std::collections::{BTreeMap, BTreeSet};

/// What a step is made of once the values that it names are there.
#[derive(Clone, Debug)]
pub struct Late {
    /// The names whose values are missing.
    pub needs: BTreeSet<String>,
    pub(super) origin: String,
    pub(super) node: Node,
    pub(super) section: Section,
    pub(super) ordinal: usize,
    pub(super) scope: Scope,
    pub(super) references: Library,
}

impl Late {
    /// The step with all its texts, those of steps within it aside: they have values of their own time. `captured` has
    /// the values that the run has by now.
    ///
    /// # Errors
    /// What shows only with the values: a chord that no keyboard has, a text of the wrong form, ...
    pub fn fill(&self, captured: &BTreeMap<String, String>) -> Result<Step, Errors> {
        let mut problems = Problems::new(&self.origin);
        let mut scope = self.scope.clone();
        if let Some(values) = &mut scope.values {
            for (name, value) in captured.iter().filter(|(name, _)| scope.captured.contains(*name)) {
                values.plain.insert(name.clone(), Scalar::String(value.clone()));
            }
        }
        let mut parser = Parser::new(&mut problems, scope, self.references.clone());
        match parser.step(&self.node, self.section, self.ordinal) {
            Some(step) if problems.is_empty() => Ok(step),
            _ => Err(problems.into_errors()),
        }
    }
}
