//! A run in a few lines of text, for terminals.

use super::event::Event;
use super::text::{seconds, visible};
use super::view::view;
use std::fmt::Write;

/// The verdict, a line for each step, and why it did not pass.
pub fn summary(events: &[Event]) -> String {
    let view = view(events);
    let mut out = String::new();
    let (verdict, took) = match view.end {
        Some((result, _, _, ms)) => (result.as_str(), format!(", {}", seconds(ms))),
        None => ("unfinished", String::new()),
    };
    let run = view.run.map_or(String::new(), |run| {
        format!(" ({}/{}, attempt {})", run.namespace, run.name, run.attempt)
    });
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{verdict}: {}{run}{took}", view.scenario);
    let width = view.steps.iter().map(|s| s.plan.id.len()).max().unwrap_or(0);
    for step in &view.steps {
        let (word, took) = match &step.end {
            Some(end) => (end.outcome.as_str(), seconds(end.ms)),
            None if step.started => ("unfinished", String::new()),
            None => ("not run", String::new()),
        };
        let _ = writeln!(
            out,
            "  {word:<10}  {took:>10}  {:<width$}  {}{}",
            step.plan.id,
            "  ".repeat(step.depth),
            step.label
        );
        if let Some(message) = step.end.as_ref().and_then(|end| end.message)
            && word != "skipped"
        {
            message.lines().for_each(|line| {
                let _ = writeln!(out, "{:26}{line}", "");
            });
        }
    }
    if let Some(video) = view.video {
        let _ = writeln!(out, "video: {}", video.told());
    }
    if let Some((_, Some(failure), ..)) = view.end
        && failure.step.is_none()
    {
        let _ = writeln!(out, "{}: {}", failure.reason, failure.message);
    }
    visible(&out)
}
