//! Phases: parts of a test that have a name, by which a run can begin and end.

/// A named part of a test: steps that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// Id of its first step.
    pub from: String,
    /// The places of its steps in the list of steps, from 0.
    pub range: std::ops::RangeInclusive<usize>,
}

/// The phase that the step at this place of the list is in.
pub(super) fn at(phases: &[Phase], place: usize) -> Option<&Phase> {
    phases.iter().find(|phase| phase.range.contains(&place))
}
