//! JUnit XML: one suite per run, one case per step.

use super::event::{Event, STEP_INSIDE, StepOutcome};
use super::text::escape;
use super::view::{RunView, view};
use crate::api::RunResult;
use std::fmt::Write;

/// Reason of what began and has no end.
const NOT_ENDED: &str = "NotEnded";

/// The file's text. A run that ended before its first step has one case that says why, and one without an end too.
pub fn junit(events: &[Event]) -> String {
    let view = view(events);
    let mut cases = String::new();
    let (mut tests, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for step in &view.steps {
        // The step within is a case of its own.
        if step.end.as_ref().is_some_and(|end| end.reason == Some(STEP_INSIDE)) {
            continue;
        }
        tests += 1;
        // A step that began and did not end was cut off with its run.
        let unfinished = match step.started {
            true => StepOutcome::Error,
            false => StepOutcome::Skipped,
        };
        let outcome = step.end.as_ref().map_or(unfinished, |e| e.outcome);
        let ms = step.end.as_ref().map_or(0, |e| e.ms);
        let (without, why) = match (&step.end, step.started) {
            (None, true) => (NOT_ENDED, "the step began and did not end"),
            _ => ("NotRun", ""),
        };
        let reason = step.end.as_ref().and_then(|e| e.reason).unwrap_or(without);
        let message = step.end.as_ref().and_then(|e| e.message).unwrap_or(why);
        let tag = match outcome {
            StepOutcome::Passed | StepOutcome::Healed => None,
            StepOutcome::Skipped => {
                skipped += 1;
                Some("skipped")
            }
            StepOutcome::Error => {
                errors += 1;
                Some("error")
            }
            StepOutcome::Failed | StepOutcome::SoftFailed | StepOutcome::TimedOut | StepOutcome::Crashed => {
                failures += 1;
                Some("failure")
            }
        };
        // Where a test has phases, readers of such files can tell its parts apart.
        let class = match step.phase {
            Some(phase) => format!("{}.{phase}", step.plan.section),
            None => step.plan.section.clone(),
        };
        case(&mut cases, &class, step.label, ms, tag, reason, message);
    }
    if let Some((result, Some(failure), ..)) = view.end
        && failures + errors == 0
    {
        // What ended the run belongs to no step: no VM, the time was up, the scenario is wrong.
        tests += 1;
        let tag = match result {
            RunResult::Failed | RunResult::Crashed | RunResult::TimedOut | RunResult::SoftFailed => {
                failures += 1;
                "failure"
            }
            RunResult::Cancelled | RunResult::Skipped => {
                skipped += 1;
                "skipped"
            }
            _ => {
                errors += 1;
                "error"
            }
        };
        case(
            &mut cases,
            "run",
            "the run itself",
            0,
            Some(tag),
            &failure.reason,
            &failure.message,
        );
    }
    if view.end.is_none() {
        // Whoever wrote this log was killed: what it did not come to is no success.
        tests += 1;
        errors += 1;
        let message = "the log has no end: the run was cut off, or is still at work";
        case(
            &mut cases,
            "run",
            "the run itself",
            0,
            Some("error"),
            NOT_ENDED,
            message,
        );
    }
    let mut properties = String::new();
    if let Some(outputs) = view.outputs.filter(|outputs| !outputs.is_empty()) {
        properties += "<properties>";
        for (name, value) in outputs {
            // Writing to a String cannot fail.
            let _ = write!(
                properties,
                "<property name=\"output.{}\" value=\"{}\"/>",
                escape(name),
                escape(value)
            );
        }
        properties += "</properties>\n";
    }
    let name = suite_name(&view);
    let time = view.end.map_or(0, |(_, _, _, ms)| ms) as f64 / 1000.0;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites><testsuite name=\"{name}\" tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{time:.3}\" timestamp=\"{}\">\n{properties}{cases}\
         </testsuite></testsuites>\n",
        view.begun,
    )
}

fn suite_name(view: &RunView<'_>) -> String {
    match (view.scenario, view.run) {
        ("", Some(run)) => escape(&run.name),
        (scenario, _) => escape(scenario),
    }
}

fn case(out: &mut String, class: &str, name: &str, ms: u64, tag: Option<&str>, reason: &str, message: &str) {
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        escape(class),
        escape(name),
        ms as f64 / 1000.0
    );
    let _ = match tag {
        None => writeln!(out, "/>"),
        Some("skipped") => writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(message)),
        Some(tag) => writeln!(
            out,
            "><{tag} type=\"{}\" message=\"{}\">{}</{tag}></testcase>",
            escape(reason),
            escape(message),
            escape(message)
        ),
    };
}

#[cfg(test)]
mod tests {
    use super::super::event::{Body, PlannedStep, RunMeta, RunPlan};
    use super::*;
    use crate::api::StepCounts;

    #[test]
    fn a_run_without_an_end_is_an_error() {
        let event = |body| Event {
            v: crate::results::SCHEMA_VERSION,
            seq: 1,
            time: "2026-01-02T03:04:05.678Z".to_string(),
            body,
        };
        let step = |id: &str| PlannedStep {
            id: id.to_string(),
            label: format!("do {id}"),
            section: "steps".to_string(),
            action: "click".to_string(),
            within: None,
            phase: None,
        };
        let begun = Body::RunStart {
            run: RunMeta::default(),
            plan: RunPlan {
                steps: vec![step("a"), step("b")],
                ..RunPlan::default()
            },
        };
        let at_work = Body::StepStart {
            step: "a".to_string(),
            further: None,
            label: None,
        };
        for (events, errors, tests) in [(vec![begun.clone()], 1, 3), (vec![begun, at_work], 2, 3)] {
            let text = junit(&events.into_iter().map(event).collect::<Vec<_>>());
            assert!(
                text.contains(&format!("tests=\"{tests}\" failures=\"0\" errors=\"{errors}\"")),
                "{text}"
            );
            assert!(
                text.contains("type=\"NotEnded\" message=\"the log has no end"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_time_says_its_zone() {
        let end = Event {
            v: crate::results::SCHEMA_VERSION,
            seq: 1,
            time: "2026-01-02T03:04:05.678Z".to_string(),
            body: Body::RunEnd {
                result: RunResult::Passed,
                failure: None,
                counts: StepCounts::default(),
                outputs: Default::default(),
                ms: 1,
                video: None,
            },
        };
        assert!(junit(&[end]).contains(" timestamp=\"2026-01-02T03:04:05.678Z\""));
    }
}
