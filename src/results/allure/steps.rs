//! The steps, with those within them and the files that belong to them.

use super::{AllureStep, Attached, Content, Details, Files};
use crate::results::event::*;
use crate::results::view::{RunView, StepView};

/// All steps; those of a phase are within one that bears its name.
pub(super) fn parts(view: &RunView<'_>, begun: i64, files: &mut Files) -> Vec<AllureStep> {
    let mut out = Vec::new();
    for part in view.steps.chunk_by(|a, b| a.phase == b.phase) {
        let inner = steps(&mut part.iter().peekable(), 0, begun, files);
        let Some(name) = part.first().and_then(|step| step.phase) else {
            out.extend(inner);
            continue;
        };
        let described = view.phases.iter().find(|phase| phase.name == name);
        let described = described.and_then(|phase| phase.description.as_deref());
        out.push(AllureStep {
            name: described.map_or(name.to_string(), |told| format!("{name}: {told}")),
            status: worst(&inner),
            status_details: None,
            stage: "finished",
            // What did not begin has no time of its own.
            start: inner
                .iter()
                .map(|step| step.start)
                .filter(|at| *at > begun)
                .min()
                .unwrap_or(begun),
            stop: inner.iter().map(|step| step.stop).max().unwrap_or(begun),
            attachments: Vec::new(),
            steps: inner,
        });
    }
    out
}

/// What several steps come to: the worst of them, and skipped only if all were.
fn worst(steps: &[AllureStep]) -> &'static str {
    let order = ["failed", "broken", "unknown", "passed", "skipped"];
    let is = |status: &&&str| steps.iter().any(|step| step.status == **status);
    order.iter().find(is).copied().unwrap_or("unknown")
}

/// Steps within steps, at most: nobody writes more, and a log that comes from anybody may have any number.
pub(super) const DEEPEST: usize = 100;

/// The steps of this depth, each with those within it.
fn steps<'v, 'e: 'v>(
    left: &mut std::iter::Peekable<std::slice::Iter<'v, StepView<'e>>>,
    depth: usize,
    begun: i64,
    files: &mut Files,
) -> Vec<AllureStep> {
    let mut out = Vec::new();
    while let Some(step) = left.next_if(|step| step.depth >= depth) {
        let start = begun.saturating_add_unsigned(step.at);
        let (outcome, ms, message) = match &step.end {
            Some(end) => (status(end.outcome), end.ms, end.message),
            None => ("unknown", 0, None),
        };
        out.push(AllureStep {
            name: step.label.to_string(),
            status: outcome,
            status_details: message.map(|message| Details {
                message: message.to_string(),
            }),
            stage: "finished",
            start,
            stop: start.saturating_add_unsigned(ms),
            attachments: step.items.iter().filter_map(|item| attached(item, files)).collect(),
            steps: match depth < DEEPEST {
                true => steps(left, depth + 1, begun, files),
                false => Vec::new(),
            },
        });
    }
    out
}

/// What of the evidence is a file: pictures, and what commands and models printed.
fn attached(item: &Evidence, files: &mut Files) -> Option<Attached> {
    let text =
        |files: &mut Files, name: &str, text: String| Some(files.add(name, "txt", "text/plain", Content::Text(text)));
    match item {
        Evidence::Screenshot { role, file, .. } => {
            let name = match role {
                Role::Before => "before",
                Role::After => "after",
                Role::Checked => "this decided",
                Role::Failure => "when it failed",
                Role::Asked => "screenshot",
                Role::Difference => "expected, seen, difference",
            };
            Some(files.add(name, "png", "image/png", Content::Picture(file.clone())))
        }
        Evidence::Shell {
            command,
            exit,
            stdout,
            stderr,
            ..
        } => text(files, "shell", format!("{command}\n{exit}\n\n{stdout}\n{stderr}")),
        Evidence::Judge {
            question,
            verdict,
            reason,
            ..
        } => text(files, "asked", format!("{question}\n{verdict}: {reason}")),
        Evidence::Request {
            model,
            prompt,
            answer,
            error,
            ..
        } => {
            let said = answer.as_ref().or(error.as_ref()).map_or("", String::as_str);
            text(files, "model", format!("{model}\n\n{prompt}\n\n{said}"))
        }
        Evidence::Guest { about, text: told } => text(files, about, told.clone()),
        _ => None,
    }
}

fn status(outcome: StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Passed | StepOutcome::Healed => "passed",
        StepOutcome::SoftFailed | StepOutcome::Failed | StepOutcome::TimedOut | StepOutcome::Crashed => "failed",
        StepOutcome::Skipped => "skipped",
        StepOutcome::Error => "broken",
    }
}
