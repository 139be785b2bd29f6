//! From what was seen to what is written down.

use crate::desktop::{Effect, Frame, LinkFacts, Point, Rect};
use crate::results::{EffectKind, Evidence, Mark, MarkKind, Place, WANTED_REFERENCE, frame_number};
use crate::vision::{self, Hit, Judgement, Located, Verdict};
use serde_json::{Map, Value};
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

fn point_mark(kind: MarkKind, at: Point) -> Mark {
    let place = place(Rect::new(at.x, at.y, 0, 0));
    Mark { kind, place }
}

pub(super) fn click_mark(point: Point) -> Mark {
    point_mark(MarkKind::Click, point)
}

/// The pointer is not part of a picture, and people want to see it.
pub(super) fn pointer_mark(point: Point) -> Mark {
    point_mark(MarkKind::Pointer, point)
}

pub(super) fn effect(effect: Effect) -> Evidence {
    let (effect, at) = match effect {
        Effect::Confirmed(at) => (EffectKind::Confirmed, Some(at)),
        Effect::Unverifiable(at) => (EffectKind::Unverifiable, Some(at)),
        Effect::SuspectedNoop => (EffectKind::SuspectedNoop, None),
    };
    let place = at.map(place);
    Evidence::Effect { effect, place }
}

/// What happened to the link between two pictures, if anything did.
pub(super) fn link(before: LinkFacts, frame: &Frame) -> Option<Evidence> {
    let now = frame.link;
    if now == before && !frame.stalled {
        return None;
    }
    Some(Evidence::Link {
        reopened: now.reopened.saturating_sub(before.reopened),
        offline_ms: now.offline.saturating_sub(before.offline).as_millis() as u64,
        stalled: frame.stalled,
    })
}

pub(super) fn area_mark(hit: &Hit) -> Mark {
    Mark {
        kind: MarkKind::Evidence,
        place: place(hit.rect),
    }
}

/// What a backend was asked for, without what is as usual.
pub(super) fn wanted(target: &vision::Target) -> Option<Map<String, Value>> {
    let Ok(Value::Object(mut members)) = serde_json::to_value(target) else {
        return None;
    };
    members.retain(|_, value| !matches!(value, Value::Null | Value::Bool(false)));
    if let Some(wanted) = &target.reference {
        let name = wanted.reference.name().to_string();
        members.insert(WANTED_REFERENCE.to_string(), name.into());
    }
    Some(members)
}

/// What was asked for, in words and as the backend was asked, and in which frame.
pub(super) struct Asked<'a> {
    pub target: &'a str,
    pub wanted: Option<&'a vision::Target>,
    pub frame: &'a Frame,
}

pub(super) fn located(asked: &Asked<'_>, answer: &Located, took: Duration) -> Evidence {
    let (found, hit, reason) = match answer {
        Located::Found(hit) => (true, Some(hit), format!("matched '{}'", hit.matched)),
        Located::NotFound { reason, .. } => (false, None, reason.clone()),
        Located::Ambiguous { hits } => (false, hits.first(), ambiguous(hits)),
    };
    Evidence::Locate {
        target: asked.target.to_string(),
        found,
        rung: hit.map(|h| h.rung.to_string()),
        place: hit.map(|h| place(h.rect)),
        confidence: hit.map(|h| f64::from(h.confidence)),
        reason,
        ms: took.as_millis() as u64,
        wanted: asked.wanted.and_then(wanted),
        frame: frame_number(asked.frame),
    }
}

pub(super) fn ambiguous(hits: &[Hit]) -> String {
    let places: Vec<String> = hits
        .iter()
        .take(8)
        .map(|h| format!("'{}' at {},{}", h.matched, h.rect.x, h.rect.y))
        .collect();
    let all = |rung: &str| hits.iter().all(|h| h.rung == rung);
    let how = match (all(Hit::REFERENCE), all(Hit::NODE)) {
        (true, _) => "nth, or let the reference show more of what is around it",
        (_, true) => "role, state, path, app, in or nth",
        _ => "exact, nth, near, left_of, right_of, above or below",
    };
    format!(
        "{} places fit equally well ({}); narrow it down with {how}",
        hits.len(),
        places.join(", ")
    )
}

pub(super) fn judged(question: &str, frame: &Frame, judgement: &Judgement, took: Duration) -> Evidence {
    Evidence::Judge {
        question: question.to_string(),
        verdict: verdict(judgement.verdict).to_string(),
        reason: judgement.reason.clone(),
        named: judgement.named.clone(),
        rung: judgement.rung.to_string(),
        ms: took.as_millis() as u64,
        frame: frame_number(frame),
    }
}

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    verdict.word()
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

/// A request to a model. What it said is cut: an answer is a few hundred bytes, and thinking may be much more. Half a
/// secret is no secret that the mask knows, so it comes first.
pub fn request(request: &vision::Request, masked: impl Fn(&str) -> String) -> Evidence {
    let (answer, error) = match &request.answer {
        Ok(text) => (Some(tail(&masked(text)).0), None),
        Err(why) => (None, Some(why.clone())),
    };
    Evidence::Request {
        purpose: request.purpose.to_string(),
        model: request.model.clone(),
        prompt_version: request.prompt_version,
        prompt: request.prompt.clone(),
        picture: request.picture.clone(),
        width: request.width,
        height: request.height,
        answer,
        error,
        prompt_tokens: request.tokens.map(|t| t.0),
        completion_tokens: request.tokens.map(|t| t.1),
        cost: request.cost.map(vision::Money::units),
        kept: request.kept,
        ms: request.ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_told_of_when_something_happened() {
        let mut frame = Frame::from_image(image::RgbaImage::new(2, 2));
        let before = frame.link;
        assert_eq!(link(before, &frame), None);
        frame.link.reopened = 2;
        frame.link.offline = Duration::from_millis(1500);
        let told = |reopened, offline_ms, stalled| {
            Some(Evidence::Link {
                reopened,
                offline_ms,
                stalled,
            })
        };
        assert_eq!(link(before, &frame), told(2, 1500, false));
        let before = frame.link;
        frame.stalled = true;
        assert_eq!(link(before, &frame), told(0, 0, true));
    }

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
