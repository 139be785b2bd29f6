//! The log of a run whose process was killed, brought to its end: each step has one, and the run.

use super::event::*;
use super::recorder::{EVENTS_FILE, JUNIT_FILE, REPORT_FILE, now, read_events, write_whole};
use super::text::milliseconds;
use super::video::VIDEO_FILE;
use super::{Error, junit, page};
use crate::api::{FailureClass, RunFailure, RunResult, StepCounts};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Ends the log in the folder with this failure, and makes the reports. False where the log has its end, or no beginning.
///
/// # Errors
/// The log cannot be read, or the files cannot be written.
pub fn mend(dir: &Path, failure: &RunFailure) -> Result<bool, Error> {
    let path = dir.join(EVENTS_FILE);
    let mut events = read_events(&path)?;
    let missing = missing(&events, failure, video(dir));
    if missing.is_empty() {
        let told = [REPORT_FILE, JUNIT_FILE].iter().all(|name| dir.join(name).exists());
        // Killed between the last line and the reports.
        if !told && !events.is_empty() {
            reports(dir, &events)?;
        }
        return Ok(false);
    }
    for body in missing {
        let event = Event {
            v: SCHEMA_VERSION,
            seq: events.len() as u64 + 1,
            time: now(),
            body,
        };
        events.push(event);
    }
    let mut text = String::new();
    for event in &events {
        text += &serde_json::to_string(event)?;
        text.push('\n');
    }
    // The line that the kill cut off is not there any more.
    write_whole(&path, text.as_bytes())?;
    reports(dir, &events)?;
    Ok(true)
}

fn reports(dir: &Path, events: &[Event]) -> Result<(), Error> {
    write_whole(&dir.join(REPORT_FILE), page::report(events, dir).as_bytes())?;
    write_whole(&dir.join(JUNIT_FILE), junit::junit(events).as_bytes())
}

/// The video that was being made: its encoder has ended it, and nobody has counted.
fn video(dir: &Path) -> Option<RunVideo> {
    let bytes = std::fs::metadata(dir.join(VIDEO_FILE)).ok()?.len();
    (bytes > 0).then(|| RunVideo {
        file: Some(VIDEO_FILE.to_string()),
        bytes,
        problem: Some("the run was interrupted, and the video with it".to_string()),
        ..RunVideo::default()
    })
}

/// What the log lacks: ends of the steps that were at work, the innermost first, of those that never began, and of the
/// run.
fn missing(events: &[Event], failure: &RunFailure, video: Option<RunVideo>) -> Vec<Body> {
    let Some(Body::RunStart { plan, .. }) = events.first().map(|e| &e.body) else {
        return Vec::new();
    };
    if matches!(events.last().map(|e| &e.body), Some(Body::RunEnd { .. })) {
        return Vec::new();
    }
    let mut counts = StepCounts {
        total: plan.total,
        ..StepCounts::default()
    };
    let mut at_work: Vec<(&str, &str)> = Vec::new();
    let mut ended: BTreeSet<&str> = BTreeSet::new();
    for event in events {
        match &event.body {
            Body::StepStart { step, further, .. } => {
                at_work.push((step, &event.time));
                counts.total += u32::from(further.is_some());
            }
            Body::StepEnd { step, outcome, .. } => {
                at_work.retain(|(open, _)| open != step);
                ended.insert(step);
                counts.add(*outcome);
            }
            _ => {}
        }
    }
    let last = events.last().map_or("", |e| &e.time);
    let begun: BTreeSet<&str> = at_work.iter().map(|(step, _)| *step).collect();
    let mut out = Vec::new();
    for (step, start) in at_work.iter().rev() {
        counts.add(StepOutcome::Error);
        out.push(Body::StepEnd {
            step: (*step).to_string(),
            outcome: StepOutcome::Error,
            reason: Some(failure.reason.clone()),
            message: Some(failure.message.clone()),
            class: Some(failure.class.unwrap_or(FailureClass::Controller)),
            attempts: 1,
            ms: milliseconds(start, last),
        });
    }
    for step in &plan.steps {
        if begun.contains(step.id.as_str()) || ended.contains(step.id.as_str()) {
            continue;
        }
        counts.add(StepOutcome::Skipped);
        out.push(Body::StepEnd {
            step: step.id.clone(),
            outcome: StepOutcome::Skipped,
            reason: Some("Skipped".to_string()),
            message: Some("the run was interrupted".to_string()),
            class: None,
            attempts: 0,
            ms: 0,
        });
    }
    let begin = events.first().map_or("", |e| &e.time);
    out.push(Body::RunEnd {
        result: RunResult::Error,
        failure: Some(failure.clone()),
        counts,
        outputs: BTreeMap::new(),
        ms: milliseconds(begin, last),
        video,
    });
    out
}
