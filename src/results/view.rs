//! What the events say about a run: the steps with all that belongs to them.

use super::event::*;
use crate::api::{RunFailure, RunResult, StepCounts};
use std::collections::BTreeMap;

/// What the events say about one step.
pub(super) struct StepView<'e> {
    pub plan: &'e PlannedStep,
    pub items: Vec<&'e Evidence>,
    pub end: Option<StepEnd<'e>>,
    pub started: bool,
}

pub(super) struct StepEnd<'e> {
    pub outcome: StepOutcome,
    pub reason: Option<&'e str>,
    pub message: Option<&'e str>,
    pub attempts: u32,
    pub ms: u64,
}

/// What the events say about the run.
pub(super) struct RunView<'e> {
    pub run: Option<&'e RunMeta>,
    pub begun: &'e str,
    pub scenario: &'e str,
    pub description: Option<&'e str>,
    pub digest: &'e str,
    pub variables: Option<&'e BTreeMap<String, String>>,
    pub references: Option<&'e BTreeMap<String, String>>,
    pub steps: Vec<StepView<'e>>,
    pub end: Option<(RunResult, Option<&'e RunFailure>, &'e StepCounts, u64)>,
}

pub(super) fn view(events: &[Event]) -> RunView<'_> {
    let mut view = RunView {
        run: None,
        begun: events.first().map_or("", |e| &e.time),
        scenario: "",
        description: None,
        digest: "",
        variables: None,
        references: None,
        steps: Vec::new(),
        end: None,
    };
    for event in events {
        let find = |steps: &mut Vec<StepView<'_>>, id: &str| steps.iter().position(|s| s.plan.id == id);
        match &event.body {
            Body::RunStart { run, plan } => {
                view.run = Some(run);
                view.scenario = &plan.scenario;
                view.description = plan.description.as_deref();
                view.digest = &plan.digest;
                view.variables = Some(&plan.variables);
                view.references = Some(&plan.references);
                view.steps = plan
                    .steps
                    .iter()
                    .map(|plan| StepView {
                        plan,
                        items: Vec::new(),
                        end: None,
                        started: false,
                    })
                    .collect();
            }
            Body::StepStart { step } => {
                if let Some(i) = find(&mut view.steps, step) {
                    view.steps[i].started = true;
                }
            }
            Body::Evidence { step, item } => {
                if let Some(i) = find(&mut view.steps, step) {
                    view.steps[i].items.push(item);
                }
            }
            Body::StepEnd {
                step,
                outcome,
                reason,
                message,
                attempts,
                ms,
                ..
            } => {
                if let Some(i) = find(&mut view.steps, step) {
                    view.steps[i].end = Some(StepEnd {
                        outcome: *outcome,
                        reason: reason.as_deref(),
                        message: message.as_deref(),
                        attempts: *attempts,
                        ms: *ms,
                    });
                }
            }
            Body::RunEnd {
                result,
                failure,
                counts,
                ms,
            } => view.end = Some((*result, failure.as_ref(), counts, *ms)),
        }
    }
    view
}
