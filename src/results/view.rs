//! What the events say about a run: the steps with all that belongs to them.

use super::event::*;
use super::text::milliseconds;
use crate::api::{RunFailure, RunResult, StepCounts};
use std::collections::BTreeMap;

/// What the events say about one step.
pub(super) struct StepView<'e> {
    pub plan: &'e PlannedStep,
    /// What a person reads.
    pub label: &'e str,
    /// How many steps it is within.
    pub depth: usize,
    /// The phase that it is in.
    pub phase: Option<&'e str>,
    pub items: Vec<&'e Evidence>,
    pub end: Option<StepEnd<'e>>,
    pub started: bool,
    /// When it began, in milliseconds since the run did.
    pub at: u64,
}

pub(super) struct StepEnd<'e> {
    pub outcome: StepOutcome,
    pub reason: Option<&'e str>,
    pub message: Option<&'e str>,
    pub attempts: u32,
    pub ms: u64,
}

impl<'e> StepView<'e> {
    fn new(plan: &'e PlannedStep, depth: usize) -> StepView<'e> {
        StepView {
            plan,
            label: &plan.label,
            depth,
            phase: plan.phase.as_deref(),
            items: Vec::new(),
            end: None,
            started: false,
            at: 0,
        }
    }
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
    pub phases: &'e [PlannedPhase],
    pub budget_ms: Option<u64>,
    pub outputs: Option<&'e BTreeMap<String, String>>,
    pub steps: Vec<StepView<'e>>,
    pub end: Option<(RunResult, Option<&'e RunFailure>, &'e StepCounts, u64)>,
    pub video: Option<&'e RunVideo>,
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
        phases: &[],
        budget_ms: None,
        outputs: None,
        steps: Vec::new(),
        end: None,
        video: None,
    };
    let mut last = 0;
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
                view.phases = &plan.phases;
                view.budget_ms = plan.budget_ms;
                for plan in &plan.steps {
                    let outer = plan.within.as_ref().and_then(|w| find(&mut view.steps, &w.step));
                    let depth = outer.map_or(0, |at| view.steps[at].depth + 1);
                    view.steps.push(StepView::new(plan, depth));
                }
            }
            Body::StepStart { step, further, label } => {
                let known = find(&mut view.steps, step);
                let at = match (known, further) {
                    (Some(at), _) => at,
                    // It comes right after the step that began before it.
                    (None, Some(plan)) => {
                        let at = (last + 1).min(view.steps.len());
                        let depth = view.steps.get(last).map_or(0, |before| before.depth);
                        let phase = view.steps.get(last).and_then(|before| before.phase);
                        view.steps.insert(
                            at,
                            StepView {
                                phase,
                                ..StepView::new(plan, depth)
                            },
                        );
                        at
                    }
                    (None, None) => continue,
                };
                view.steps[at].started = true;
                view.steps[at].at = milliseconds(view.begun, &event.time);
                if let Some(label) = label {
                    view.steps[at].label = label;
                }
                last = at;
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
                outputs,
                ms,
                video,
            } => {
                view.outputs = Some(outputs);
                view.video = video.as_ref();
                view.end = Some((*result, failure.as_ref(), counts, *ms));
            }
        }
    }
    view
}
