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
        Located::NotFound { reason, .. } => (false, None, reason.clone()),
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

/// Lines of an output, and characters of each, that a message tells.
const TOLD_LINES: usize = 5;
const TOLD: usize = 200;

/// The last lines of an output, on one line, for a message. Long lines keep their beginning, which names the trouble.
pub(super) fn last_lines(text: &str) -> String {
    let last = text.lines().rev().map(str::trim).filter(|l| !l.is_empty());
    let mut lines: Vec<String> = last.take(TOLD_LINES).map(|line| cut(line, TOLD)).collect();
    lines.reverse();
    lines.join(" | ")
}

/// The beginning of a text, at most so many characters, with a sign where something is missing.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_string(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_bounded() {
        let long = "é".repeat(100_000);
        let told = last_lines(&format!("1\n2\n\n3\n4\n5\n{long}\n"));
        assert!(told.starts_with("2 | 3 | 4 | 5 | ééé") && told.ends_with('…'), "{told}");
        assert!(told.chars().count() < 300);
        let (kept, missing) = tail(&long);
        assert!(missing && kept.len() <= KEPT);
    }
}
