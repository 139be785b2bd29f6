//! JUnit XML: one suite per run, one case per step.

use super::event::{Event, STEP_INSIDE, StepOutcome};
use super::text::escape;
use super::view::{RunView, view};
use crate::api::RunResult;
use std::fmt::Write;

/// The file's text. A run that ended before its first step has one case that says why.
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
        let outcome = step.end.as_ref().map_or(StepOutcome::Skipped, |e| e.outcome);
        let ms = step.end.as_ref().map_or(0, |e| e.ms);
        let reason = step.end.as_ref().and_then(|e| e.reason).unwrap_or("NotRun");
        let message = step.end.as_ref().and_then(|e| e.message).unwrap_or("");
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
    use super::super::event::Body;
    use super::*;
    use crate::api::StepCounts;

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
