//! The report: one HTML page made from the events.

use super::event::*;
use super::picture::data_url;
use super::style::{SCRIPT, STYLE};
use super::view::{RunView, StepView, view};
use crate::api::RunFailure;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Text for HTML and XML, in content and in attributes. Control characters have no place in either.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\r' => {}
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn seconds(ms: u64) -> String {
    match ms {
        0..=9_999 => format!("{:.1} s", ms as f64 / 1000.0),
        10_000..=119_999 => format!("{} s", ms / 1000),
        _ => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
    }
}

/// The page. Pictures are read from `dir`, which the events' file names are relative to.
pub fn report(events: &[Event], dir: &Path) -> String {
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
        why(&mut page, failure);
    }
    bar(&mut page, &view);
    facts(&mut page, &view);

    let mut pictures: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut section = "";
    for step in &view.steps {
        if step.plan.section != section {
            section = &step.plan.section;
            let _ = write!(page, "<h2>{}</h2>", escape(section));
        }
        step_card(&mut page, step, &mut pictures);
    }
    page += "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>";
    for (file, (width, height)) in &pictures {
        // Each picture is in the page once, however often it is shown.
        if let Some(url) = data_url(&dir.join(file)) {
            let _ = write!(
                page,
                "<image id=\"{}\" width=\"{width}\" height=\"{height}\" href=\"{url}\"/>",
                picture_id(file)
            );
        }
    }
    let _ = writeln!(page, "</defs></svg></main><script>{SCRIPT}</script></body></html>");
    page
}

fn picture_id(file: &str) -> String {
    let id: String = file
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("pic-{id}")
}

fn why(page: &mut String, failure: &RunFailure) {
    let (class, infrastructure) = match failure.class {
        Some(class) => ("why error", format!(" in {class:?}: infrastructure, not the product")),
        None => ("why", String::new()),
    };
    let step = match &failure.step {
        Some(step) => format!(" <a href=\"#{0}\">{0}</a>", escape(step)),
        None => String::new(),
    };
    let _ = write!(
        page,
        "<div class=\"{class}\"><b>{}</b>{infrastructure}{step}<p>{}</p></div>",
        escape(&failure.reason),
        escape(&failure.message)
    );
}

/// A bar with one piece per step, as wide as the step was long.
fn bar(page: &mut String, view: &RunView<'_>) {
    if view.steps.is_empty() {
        return;
    }
    *page += "<div class=\"bar\">";
    // The time of a step that holds others is theirs.
    let holds = |step: &StepView<'_>| ["if", "repeat", "use"].contains(&step.plan.action.as_str());
    for step in view.steps.iter().filter(|step| !holds(step)) {
        let (class, ms) = step.end.as_ref().map_or(("skipped", 0), |e| (e.outcome.as_str(), e.ms));
        let _ = write!(
            page,
            "<a class=\"{class}\" href=\"#{}\" style=\"flex-grow:{}\" title=\"{}: {class}, {}\"></a>",
            escape(&step.plan.id),
            ms.max(1),
            escape(step.label),
            seconds(ms),
        );
    }
    *page += "</div>";
}

fn facts(page: &mut String, view: &RunView<'_>) {
    *page += "<dl>";
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
        }
    };
    if let Some((_, _, c, ms)) = view.end {
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
        fact("steps", &counts);
        let scenario = format!(
            "{} on the machine, from the scenario's begin to the end of its cleanup; waiting for the machine, making and removing it are not in it",
            seconds(ms)
        );
        fact("duration", &scenario);
    }
    fact("begun", view.begun);
    if let Some(run) = view.run {
        fact(
            "run",
            &format!("{}/{}, attempt {}", run.namespace, run.name, run.attempt),
        );
        let vm = [run.vm.clone(), format!("VM {} on {}", run.vmid, run.node)];
        fact("machine", &vm.join(", "));
        fact("vision", &run.vision);
    }
    for (name, value) in view.variables.into_iter().flatten() {
        fact(&format!("input {name}"), value);
    }
    for (name, digest) in view.references.into_iter().flatten() {
        fact(&format!("reference {name}"), digest);
    }
    fact("scenario", view.digest);
    *page += "</dl>";
}

fn step_card<'e>(page: &mut String, step: &StepView<'e>, pictures: &mut BTreeMap<&'e str, (u32, u32)>) {
    let (word, ms) = match &step.end {
        Some(end) => (end.outcome.as_str(), seconds(end.ms)),
        None if step.started => ("unfinished", String::new()),
        None => ("not run", String::new()),
    };
    let open = if step.started { " open" } else { "" };
    let _ = write!(
        page,
        "<details class=\"step\" style=\"margin-left:{}rem\" id=\"{id}\"{open}><summary><span class=\"badge {class}\">{word}</span>\
         <span class=\"label\">{label}</span><code>{id}</code><span class=\"dim\">{ms}</span></summary><div class=\"body\">",
        step.depth * 2,
        id = escape(&step.plan.id),
        class = word.replace(' ', "-"),
        label = escape(step.label),
    );
    if let Some(end) = &step.end {
        if let Some(message) = end.message {
            let reason = end.reason.unwrap_or_default();
            let _ = write!(page, "<p><b>{}</b> {}</p>", escape(reason), escape(message));
        }
        if end.attempts > 1 {
            let _ = write!(page, "<p class=\"dim\">{} attempts</p>", end.attempts);
        }
    }
    *page += "<table>";
    for item in &step.items {
        row(page, item);
    }
    *page += "</table><div class=\"shots\">";
    let mut after = None;
    for (i, item) in step.items.iter().enumerate() {
        let Evidence::Screenshot {
            role,
            file,
            width,
            height,
            marks,
        } = item
        else {
            continue;
        };
        pictures.insert(file, (*width, *height));
        // The picture after the action is often the one that decided, which comes with marks: one of them is enough.
        let decided =
            |later: &&Evidence| matches!(later, Evidence::Screenshot { role: Role::Checked, file: f, .. } if f == file);
        if *role == Role::After && step.items[i + 1..].iter().any(decided) {
            after = Some(file);
            continue;
        }
        let caption = match role {
            Role::Before => "before",
            Role::After => "after",
            Role::Checked if after == Some(file) => "after; this decided",
            Role::Checked => "this decided",
            Role::Failure => "when it failed",
            Role::Asked => "screenshot",
            Role::Difference => "expected, seen, difference",
        };
        shot(page, caption, file, (*width, *height), marks);
    }
    *page += "</div></div></details>";
}

fn shot(page: &mut String, caption: &str, file: &str, (width, height): (u32, u32), marks: &[Mark]) {
    let _ = write!(
        page,
        "<figure><svg class=\"shot\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{caption}\">\
         <use href=\"#{}\"/>",
        picture_id(file)
    );
    super::deciding::draw(page, marks);
    let _ = write!(
        page,
        "</svg><figcaption>{caption}, <code>{}</code></figcaption></figure>",
        escape(file)
    );
}

fn row(page: &mut String, item: &Evidence) {
    let verdict = |v: &str| format!("<b class=\"verdict-{0}\">{0}</b>", escape(v));
    let (name, cell) = match item {
        Evidence::Screenshot { .. } => return,
        Evidence::Locate {
            target,
            found,
            rung,
            place,
            confidence,
            reason,
            ms,
        } => {
            let mut cell = format!("{}: {}", escape(target), if *found { "found" } else { "not found" });
            if let Some(rung) = rung {
                let _ = write!(cell, " by {}", escape(rung));
            }
            if let Some(p) = place {
                let _ = write!(cell, " at {},{} ({}x{})", p.x, p.y, p.width, p.height);
            }
            if let Some(confidence) = confidence {
                let _ = write!(cell, ", confidence {confidence:.2}");
            }
            let _ = write!(cell, ", {ms} ms<br><span class=\"dim\">{}</span>", escape(reason));
            ("looked for", cell)
        }
        Evidence::Judge {
            question,
            verdict: v,
            reason,
            named,
            rung,
            ms,
        } => (
            "asked",
            format!(
                "{} {} by {}, {ms} ms<br><span class=\"dim\">{}{}</span>",
                escape(question),
                verdict(v),
                escape(rung),
                escape(reason),
                match named.is_empty() {
                    true => String::new(),
                    false => format!("; seen: {}", escape(&named.join(", "))),
                }
            ),
        ),
        Evidence::Condition {
            condition,
            verdict: v,
            reason,
        } => (
            "checked",
            format!(
                "{} {}<br><span class=\"dim\">{}</span>",
                escape(condition),
                verdict(v),
                escape(reason)
            ),
        ),
        Evidence::Shell {
            command,
            exit,
            stdout,
            stderr,
            truncated,
            ms,
        } => {
            let mut cell = format!("<pre>{}</pre>{}, {ms} ms", escape(command.trim()), escape(exit));
            for (name, text) in [("stdout", stdout), ("stderr", stderr)] {
                if !text.trim().is_empty() {
                    let _ = write!(cell, "<br>{name}<pre>{}</pre>", escape(text.trim_end()));
                }
            }
            if *truncated {
                cell += "<br><span class=\"dim\">output is cut off</span>";
            }
            ("shell", cell)
        }
        Evidence::App {
            name,
            pid,
            state,
            output,
        } => {
            let mut cell = format!("{} (process {pid}): {}", escape(name), escape(state));
            if !output.trim().is_empty() {
                let _ = write!(cell, "<pre>{}</pre>", escape(output.trim_end()));
            }
            ("application", cell)
        }
        Evidence::Request {
            purpose,
            model,
            prompt,
            width,
            height,
            answer,
            error,
            prompt_tokens,
            completion_tokens,
            ms,
            ..
        } => {
            let tokens = match (prompt_tokens, completion_tokens) {
                (Some(a), Some(b)) => format!(", {a} + {b} tokens"),
                _ => String::new(),
            };
            let text = answer.as_ref().or(error.as_ref()).map_or("", String::as_str);
            (
                "model",
                format!(
                    "<details><summary>{} asked to {}: {width} x {height}{tokens}, {ms} ms</summary><pre>{}</pre><pre>{}</pre></details>",
                    escape(model),
                    escape(purpose),
                    escape(prompt),
                    escape(text)
                ),
            )
        }
        Evidence::Guest { about, text } => (
            "guest",
            format!(
                "<details><summary>{}</summary><pre>{}</pre></details>",
                escape(about),
                escape(text)
            ),
        ),
        Evidence::Effect { effect, place } => {
            let at = |p: &Option<Place>| {
                p.map(|p| format!(" at {},{} ({}x{})", p.x, p.y, p.width, p.height))
                    .unwrap_or_default()
            };
            let told = match effect {
                EffectKind::Confirmed => format!("the screen changed{}", at(place)),
                EffectKind::Unverifiable => format!("only what moves by itself changed{}", at(place)),
                EffectKind::SuspectedNoop => "nothing on the screen changed".to_string(),
            };
            ("effect", told)
        }
        Evidence::Link {
            reopened,
            offline_ms,
            stalled,
        } => {
            let mut told = Vec::new();
            if *reopened > 0 {
                told.push(format!("opened anew {reopened} time(s), {} away", seconds(*offline_ms)));
            }
            if *stalled {
                told.push("the server was silent before this picture".to_string());
            }
            ("desktop link", told.join("; "))
        }
        Evidence::Candidate {
            reference,
            picture,
            sidecar,
        } => {
            let link = |file: &str, what: &str| format!("<a href=\"{}\">{what}</a>", escape(file));
            let cell = format!(
                "reference {} as the screen is now: {}, {}<br><span class=\"dim\">if the change is meant, put these two in \
                 the place of the reference's files</span>",
                escape(reference),
                link(picture, "picture"),
                link(sidecar, "sidecar"),
            );
            ("candidate", cell)
        }
        Evidence::Note { text } => ("note", escape(text)),
    };
    let _ = write!(page, "<tr><td>{name}</td><td>{cell}</td></tr>");
}
