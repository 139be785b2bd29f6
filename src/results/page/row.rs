//! What was seen and done within a step, as rows of a table.

use super::super::event::*;
use super::super::text::{escape, seconds};
use std::fmt::Write;

/// Adds the row of one piece of evidence; pictures are shown elsewhere.
pub(super) fn row(page: &mut String, item: &Evidence) {
    let verdict = |v: &str| format!("<b class=\"verdict-{0}\">{0}</b>", escape(v));
    let (name, cell) = match item {
        Evidence::Screenshot { .. } | Evidence::Environment { .. } => return,
        Evidence::Locate {
            target,
            found,
            rung,
            place,
            confidence,
            reason,
            ms,
            ..
        } => {
            let mut cell = format!("{}: {}", escape(target), if *found { "found" } else { "not found" });
            // A place that the author fixed was found by nobody.
            if let Some(rung) = rung.as_ref().filter(|rung| *rung != "at") {
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
            ..
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
            cost,
            kept,
            ms,
            ..
        } => {
            let cost = cost.map(|cost| format!(", cost {cost}")).unwrap_or_default();
            let known = if *kept { ", known from the same picture" } else { "" };
            let tokens = match (prompt_tokens, completion_tokens) {
                (Some(a), Some(b)) => format!(", {a} + {b} tokens"),
                _ => String::new(),
            };
            let (what, text) = match (answer, error) {
                (Some(answer), _) => ("answer", answer.as_str()),
                (None, error) => ("no answer", error.as_deref().unwrap_or_default()),
            };
            (
                "model",
                format!(
                    "<details><summary>{} asked to {}: {width} x {height}{tokens}{cost}{known}, {ms} ms</summary>prompt<pre>{}</pre>{what}<pre>{}</pre></details>",
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
