//! From what was seen to what is written down.

use crate::desktop::{Point, Rect};
use crate::results::{Evidence, Mark, MarkKind, Place};
use crate::vision::{Hit, Judgement, Located, Verdict};
use std::time::Duration;

/// Output of a command that is kept in an event, in bytes.
const KEPT: usize = 4096;

pub(super) fn place(rect: Rect) -> Place {
    Place {
        x: rect.x,
        y: rect.y,
        width: rect.width,
        height: rect.height,
    }
}

pub(super) fn click_mark(point: Point) -> Mark {
    Mark {
        kind: MarkKind::Click,
        place: Place {
            x: point.x,
            y: point.y,
            width: 0,
            height: 0,
        },
    }
}

pub(super) fn area_mark(hit: &Hit) -> Mark {
    Mark {
        kind: MarkKind::Evidence,
        place: place(hit.rect),
    }
}

pub(super) fn located(target: &str, answer: &Located, took: Duration) -> Evidence {
    let (found, hit, reason) = match answer {
        Located::Found(hit) => (true, Some(hit), format!("matched '{}'", hit.matched)),
        Located::NotFound { reason } => (false, None, reason.clone()),
        Located::Ambiguous { hits } => (false, hits.first(), ambiguous(hits)),
    };
    Evidence::Locate {
        target: target.to_string(),
        found,
        rung: hit.map(|h| h.rung.to_string()),
        place: hit.map(|h| place(h.rect)),
        confidence: hit.map(|h| f64::from(h.confidence)),
        reason,
        ms: took.as_millis() as u64,
    }
}

pub(super) fn ambiguous(hits: &[Hit]) -> String {
    let places: Vec<String> = hits
        .iter()
        .take(8)
        .map(|h| format!("'{}' at {},{}", h.matched, h.rect.x, h.rect.y))
        .collect();
    format!(
        "{} places fit equally well ({}); narrow it down with exact, nth, near, left_of, right_of, above or below",
        hits.len(),
        places.join(", ")
    )
}

pub(super) fn judged(question: &str, judgement: &Judgement, took: Duration) -> Evidence {
    Evidence::Judge {
        question: question.to_string(),
        verdict: verdict(judgement.verdict).to_string(),
        reason: judgement.reason.clone(),
        rung: judgement.rung.to_string(),
        ms: took.as_millis() as u64,
    }
}

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::True => "true",
        Verdict::False => "false",
        Verdict::CannotTell => "cannotTell",
    }
}

/// The end of a long output; its beginning is said to be missing.
pub(super) fn tail(text: &str) -> (String, bool) {
    if text.len() <= KEPT {
        return (text.to_string(), false);
    }
    let mut from = text.len() - KEPT;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    (text[from..].to_string(), true)
}

/// The last lines of an output, on one line, for a message.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let from = lines.len().saturating_sub(3);
    lines[from..].join(" | ").chars().take(400).collect()
}
