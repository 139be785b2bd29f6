//! The report: one HTML page made from the events. It opens offline, and it is the trace too: all pictures and all
//! events are in it, so that the file alone is enough to look at a run, and to judge a step again.

mod facts;
mod pictures;
mod row;
mod step;
mod style;

use super::Trace;
use super::event::*;
use super::text::{escape, seconds};
use super::view::{RunView, StepView, view};
use pictures::Source;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use step::{Shot, Shots};
use style::{SCRIPT, STYLE};

pub(super) use pictures::{DEPTH, Stored, painted};

/// What the element of the data begins with.
pub(super) const DATA: &str = "<script type=\"application/json\" id=\"mosdat-trace\">";

const KEYS: &str = "<p class=\"dim keys\">Keys: <kbd>j</kbd> and <kbd>k</kbd> go to the next step and the one before, \
                    <kbd>f</kbd> to the next that did not pass; a slider that has the focus moves with the arrow keys. \
                    A click on a picture makes it larger.</p>";

/// What programs read from the page.
#[derive(Debug, Deserialize)]
pub(super) struct Data {
    pub pictures: BTreeMap<String, Stored>,
    pub events: Vec<Event>,
}

/// As [`Data`], to be written.
#[derive(Serialize)]
struct DataOf<'e> {
    pictures: &'e BTreeMap<String, Stored>,
    events: &'e [Event],
}

/// The page. Pictures are read from `dir`, which the events' file names are relative to.
pub fn report(events: &[Event], dir: &Path) -> String {
    report_with(events, dir, None)
}

/// Files of pictures that the events name, and that are neither in `dir` nor in the earlier page.
pub fn missing(events: &[Event], dir: &Path, earlier: Option<&Trace>) -> Vec<String> {
    let source = Source { dir, earlier };
    let all = needed(events).into_iter();
    all.filter(|picture| source.read(picture.file).is_none())
        .map(|picture| picture.file.to_string())
        .collect()
}

/// As [`report`]; pictures that are no longer in `dir` are taken from an earlier page of the same run.
pub fn report_with(events: &[Event], dir: &Path, earlier: Option<&Trace>) -> String {
    let view = view(events);
    let title = match (view.scenario, view.run) {
        ("", Some(run)) => run.name.as_str(),
        (scenario, _) => scenario,
    };
    let mut page = String::new();
    let (word, class) = match view.end {
        Some((result, ..)) => (result.as_str(), result.as_str()),
        None => ("unfinished", "skipped"),
    };
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{}: {word}</title>\
         <style>{STYLE}</style></head><body><main><div class=\"head\"><span class=\"badge big {class}\">{word}</span>\
         <div><h1>{}</h1>",
        escape(title),
        escape(title),
    );
    if let Some(description) = view.description {
        let _ = write!(page, "<p class=\"dim\">{}</p>", escape(description));
    }
    page += "</div></div>";
    if let Some((_, Some(failure), ..)) = view.end {
        facts::why(&mut page, failure);
    }
    if let Some(video) = view.video {
        facts::video(&mut page, video);
    }
    let shots = all_shots(&view);
    bar(&mut page, &view);
    film(&mut page, &view, &shots);
    facts::facts(&mut page, &view);
    let (mut section, mut phase) = ("", None);
    for (step, shots) in view.steps.iter().zip(&shots) {
        if step.plan.section != section {
            section = &step.plan.section;
            let _ = write!(page, "<h2>{}</h2>", escape(section));
        }
        if step.phase != phase {
            phase = step.phase;
            let of = |name: &str| view.phases.iter().find(|p| p.name == name)?.description.as_deref();
            if let Some(name) = phase {
                let told = of(name).map(|d| format!(" <span class=\"dim\">{}</span>", escape(d)));
                let _ = write!(page, "<h3>{}{}</h3>", escape(name), told.unwrap_or_default());
            } else if step.plan.section == "steps" {
                // Steps behind a phase do not belong to it.
                page += "<h3 class=\"dim\">in no phase</h3>";
            }
        }
        step::card(&mut page, step, shots);
    }
    if !view.steps.is_empty() {
        page += KEYS;
    }
    let (defs, told) = pictures::defs(&Source { dir, earlier }, &needed(events), view.steps.len());
    let _ = write!(
        page,
        "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>{defs}</defs></svg></main>"
    );
    data(&mut page, events, &told);
    let _ = writeln!(page, "<script>{SCRIPT}</script></body></html>");
    page
}

/// The pictures of each step, in the order of the steps.
fn all_shots<'e>(view: &RunView<'e>) -> Vec<Shots<'e>> {
    let mut earlier: Option<(&'e str, Shot<'e>)> = None;
    let mut all = Vec::new();
    for step in &view.steps {
        let shots = step::shots(&step.items, earlier.as_ref());
        if let Some(last) = &shots.after {
            earlier = Some((&step.plan.id, last.clone()));
        }
        all.push(shots);
    }
    all
}

/// Each picture once, in the order in which they came.
fn needed(events: &[Event]) -> Vec<pictures::Needed<'_>> {
    let mut all: Vec<pictures::Needed<'_>> = Vec::new();
    for event in events {
        if let Body::Evidence {
            item:
                Evidence::Screenshot {
                    role,
                    file,
                    width,
                    height,
                    ..
                },
            ..
        } = &event.body
        {
            let size = (*width, *height);
            let decided = matches!(role, Role::Checked | Role::Failure);
            match all.iter_mut().find(|known| known.file == file) {
                Some(known) => known.decided |= decided,
                None => all.push(pictures::Needed { file, size, decided }),
            }
        }
    }
    all
}

/// The events for programs. Nothing in them ends the element: `<` is written as JSON may write it.
fn data(page: &mut String, events: &[Event], pictures: &BTreeMap<String, Stored>) {
    let Ok(json) = serde_json::to_string(&DataOf { pictures, events }) else {
        return;
    };
    let _ = writeln!(page, "{DATA}{}</script>", json.replace('<', "\\u003c"));
}

/// The time of a step that holds others is theirs.
fn holds(step: &StepView<'_>) -> bool {
    ["if", "repeat", "use"].contains(&step.plan.action.as_str())
}

/// A bar with one piece per step, as wide as the step was long.
fn bar(page: &mut String, view: &RunView<'_>) {
    if view.steps.is_empty() {
        return;
    }
    *page += "<div class=\"bar\">";
    for step in view.steps.iter().filter(|step| !holds(step)) {
        let (class, ms) = step.end.as_ref().map_or(("skipped", 0), |e| (e.outcome.as_str(), e.ms));
        let _ = write!(
            page,
            "<a class=\"{class}\" href=\"#{}\" style=\"flex-grow:{}\" title=\"{}: {class}, at {}, {}\"></a>",
            escape(&step.plan.id),
            ms.max(1),
            escape(step.label),
            seconds(step.at),
            seconds(ms),
        );
    }
    *page += "</div>";
}

/// What each step ended with, small, in a row.
fn film(page: &mut String, view: &RunView<'_>, shots: &[Shots<'_>]) {
    let shown: Vec<_> = view
        .steps
        .iter()
        .zip(shots)
        .filter_map(|(step, shots)| shots.after.as_ref().or(shots.before.as_ref()).map(|shot| (step, shot)))
        .collect();
    if shown.len() < 2 {
        return;
    }
    *page += "<nav class=\"film\" aria-label=\"film\">";
    for (step, shot) in shown {
        let class = step.end.as_ref().map_or("skipped", |e| e.outcome.as_str());
        let _ = write!(
            page,
            "<a href=\"#{0}\" title=\"{1}\"><svg viewBox=\"0 0 {2} {3}\"><use href=\"#{4}\"/></svg>\
             <i class=\"{class}\"></i><span>{5} {0}</span></a>",
            escape(&step.plan.id),
            escape(step.label),
            shot.size.0,
            shot.size.1,
            pictures::id(shot.file),
            seconds(step.at),
        );
    }
    *page += "</nav>";
}
