//! What a person wants to know of the whole run: what it was, where it ran, what it took.

use super::super::event::*;
use super::super::text::{escape, seconds};
use super::super::view::RunView;
use crate::api::RunFailure;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Why the run did not pass.
pub(super) fn why(page: &mut String, failure: &RunFailure) {
    let (class, infrastructure) = match failure.class {
        Some(class) => ("why error", format!(" in {class:?}: infrastructure, not the product")),
        None => ("why", String::new()),
    };
    let step = match &failure.step {
        Some(step) => format!(" <a href=\"#{0}\">{0}</a>", escape(step)),
        None => String::new(),
    };
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<div class=\"{class}\"><b>{}</b>{infrastructure}{step}<p>{}</p></div>",
        escape(&failure.reason),
        escape(&failure.message)
    );
}

/// Where the video is. It is a file beside the page, which works without.
pub(super) fn video(page: &mut String, video: &RunVideo) {
    let link = match &video.file {
        Some(file) => format!("<a href=\"{0}\">{0}</a>, ", escape(file)),
        None => String::new(),
    };
    let told = video.told();
    let told = match &video.file {
        Some(file) => told.trim_start_matches(file.as_str()).trim_start_matches(", "),
        None => &told,
    };
    let _ = write!(page, "<p class=\"video\">video: {link}{}</p>", escape(told));
}

/// The facts under their three titles; a title without facts is left out.
pub(super) fn facts(page: &mut String, view: &RunView<'_>) {
    *page += "<div class=\"facts\">";
    for (title, facts) in [
        ("run", run(view)),
        ("environment", environment(view)),
        ("costs", costs(view)),
    ] {
        if facts.iter().all(|(_, value)| value.is_empty()) {
            continue;
        }
        let _ = write!(page, "<section><h2>{title}</h2><dl>");
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            let _ = write!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
        }
        *page += "</dl></section>";
    }
    *page += "</div>";
}

type Facts = Vec<(String, String)>;

fn run(view: &RunView<'_>) -> Facts {
    let mut facts = Facts::new();
    let mut fact = |name: &str, value: String| facts.push((name.to_string(), value));
    if let Some((_, _, c, _)) = view.end {
        let mut counts = format!("{} of {} passed", c.passed, c.total);
        for (n, word) in [
            (c.failed, "failed"),
            (c.soft_failed, "failed softly"),
            (c.error, "error"),
            (c.skipped, "skipped"),
        ] {
            if n > 0 {
                let _ = write!(counts, ", {n} {word}");
            }
        }
        fact("steps", counts);
    }
    fact("begun", view.begun.to_string());
    if let Some(run) = view.run {
        fact(
            "run",
            format!("{}/{}, attempt {}", run.namespace, run.name, run.attempt),
        );
    }
    for (name, value) in view.variables.into_iter().flatten() {
        fact(&format!("input {name}"), value.clone());
    }
    for (name, value) in view.outputs.into_iter().flatten() {
        fact(&format!("output {name}"), value.clone());
    }
    if let Some(budget) = view.budget_ms {
        fact("budget", seconds(budget));
    }
    for (name, digest) in view.references.into_iter().flatten() {
        fact(&format!("reference {name}"), digest.clone());
    }
    fact("scenario", view.digest.to_string());
    facts
}

fn items<'v>(view: &'v RunView<'_>) -> impl Iterator<Item = &'v Evidence> {
    view.steps.iter().flat_map(|step| step.items.iter().copied())
}

fn environment(view: &RunView<'_>) -> Facts {
    let mut facts = Facts::new();
    if let Some(run) = view.run {
        let vm = format!("{}, VM {} on {}", run.vm, run.vmid, run.node);
        facts.push(("machine".to_string(), vm));
    }
    let mut screens = BTreeSet::new();
    for item in items(view) {
        match item {
            Evidence::Environment { facts: told } => {
                facts.extend(told.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            Evidence::Screenshot {
                role, width, height, ..
            } if *role != Role::Difference => {
                screens.insert((*width, *height));
            }
            _ => {}
        }
    }
    let screens: Vec<String> = screens.iter().map(|(w, h)| format!("{w} x {h}")).collect();
    facts.push(("screen".to_string(), screens.join(", ")));
    if let Some(run) = view.run {
        facts.push(("vision".to_string(), run.vision.clone()));
        facts.push(("mosdat".to_string(), run.version.clone()));
    }
    facts
}

/// What a model was asked, in all.
#[derive(Default)]
struct Spent {
    purposes: BTreeMap<String, u32>,
    failed: u32,
    kept: u32,
    cost: Option<f64>,
    prompt: u64,
    completion: u64,
    ms: u64,
}

fn costs(view: &RunView<'_>) -> Facts {
    let mut facts = Facts::new();
    if let Some((.., ms)) = view.end {
        let told = format!(
            "{} on the machine, from the scenario's begin to the end of its cleanup; waiting for the machine, making and removing it are not in it",
            seconds(ms)
        );
        facts.push(("duration".to_string(), told));
    }
    let mut models: BTreeMap<&str, Spent> = BTreeMap::new();
    let mut looks: BTreeMap<&str, (u32, u64)> = BTreeMap::new();
    let mut took = |what, ms: &u64| {
        let (number, all): &mut (u32, u64) = looks.entry(what).or_default();
        *number += 1;
        *all += ms;
    };
    for item in items(view) {
        match item {
            Evidence::Locate { ms, .. } => took("searches", ms),
            Evidence::Judge { ms, .. } => took("questions", ms),
            Evidence::Shell { ms, .. } => took("commands", ms),
            Evidence::Request {
                purpose,
                model,
                error,
                prompt_tokens,
                completion_tokens,
                cost,
                kept,
                ms,
                ..
            } => {
                let spent = models.entry(model).or_default();
                if *kept {
                    spent.kept += 1;
                    continue;
                }
                if let Some(cost) = cost {
                    spent.cost = Some(spent.cost.unwrap_or(0.0) + cost);
                }
                *spent.purposes.entry(purpose.clone()).or_default() += 1;
                spent.failed += u32::from(error.is_some());
                spent.prompt += prompt_tokens.unwrap_or(0);
                spent.completion += completion_tokens.unwrap_or(0);
                spent.ms += ms;
            }
            _ => {}
        }
    }
    for (what, (number, ms)) in looks {
        facts.push((what.to_string(), format!("{number}, {}", seconds(ms))));
    }
    for (model, spent) in models {
        let purposes: Vec<String> = spent.purposes.iter().map(|(p, n)| format!("{n} to {p}")).collect();
        let mut told = format!(
            "{} requests ({})",
            spent.purposes.values().sum::<u32>(),
            purposes.join(", ")
        );
        if spent.prompt + spent.completion > 0 {
            let _ = write!(told, ", {} + {} tokens", spent.prompt, spent.completion);
        }
        if let Some(cost) = spent.cost {
            // Sums of fractions have digits that nobody paid for.
            let _ = write!(told, ", cost {}", (cost * 1e6).round() / 1e6);
        }
        if spent.kept > 0 {
            let _ = write!(told, ", {} more known from the same picture", spent.kept);
        }
        if spent.failed > 0 {
            let _ = write!(told, ", {} without an answer", spent.failed);
        }
        let _ = write!(told, ", {}", seconds(spent.ms));
        facts.push((format!("model {model}"), told));
    }
    facts
}
