//! Reading a model's answer.
//!
//! Tolerated: a `<think>` block before the answer and one code fence around it. Beyond that the answer must be exactly the
//! one JSON object that was asked for; what could be read in two ways is refused.

use serde::Deserialize;
use serde_json::Value;

use super::super::Verdict;
use super::Coordinates;
use crate::desktop::Rect;

/// Where the model says it is.
#[derive(Debug, PartialEq)]
pub enum Place {
    /// There, in pixels of the frame.
    At(Rect),
    /// At several places.
    Several(Vec<Rect>),
    /// Not on the picture, and why.
    Nowhere(String),
}

/// The bare JSON of an answer.
fn bare(text: &str) -> Result<&str, String> {
    let text = match text.rsplit_once("</think>") {
        Some((_, after)) => after,
        None if text.contains("<think>") => return Err("it ends while still thinking".into()),
        None => text,
    };
    let text = text.trim();
    let Some(inner) = text.strip_prefix("```") else {
        return if text.is_empty() {
            Err("it is empty".into())
        } else {
            Ok(text)
        };
    };
    let inner = inner
        .strip_suffix("```")
        .ok_or("something follows the code fence, or it is not closed")?;
    if inner.contains("```") {
        return Err("it has several code blocks".into());
    }
    // The fence may name its language: what stands before the line's end.
    let (language, body) = inner.split_once('\n').unwrap_or(("", inner));
    let is_name = language.trim().chars().all(|c| c.is_ascii_alphanumeric());
    Ok(if is_name { body.trim() } else { inner.trim() })
}

#[derive(Deserialize)]
struct VerdictAnswer {
    answer: Value,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    evidence: Named,
}

/// Some name one thing without a list around it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    One(String),
    Several(Vec<String>),
}

impl Default for Named {
    fn default() -> Named {
        Named::Several(Vec::new())
    }
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What holds.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// What on the picture settles it, as the model names it.
    pub evidence: Vec<String>,
}

/// The verdict, its reason and its evidence. The word must be one of the three (or a JSON boolean), nothing else counts;
/// and who decides has to say by what.
///
/// # Errors
/// What cannot be read, or could be read in two ways.
pub fn verdict(text: &str) -> Result<Answer, String> {
    // A typed struct, not a map: serde refuses a field that comes twice.
    let answer: VerdictAnswer =
        serde_json::from_str(bare(text)?).map_err(|e| format!("not the JSON asked for: {e}"))?;
    let verdict = match &answer.answer {
        Value::Bool(true) => Verdict::True,
        Value::Bool(false) => Verdict::False,
        Value::String(s) => match s.trim().to_ascii_lowercase().as_str() {
            "true" => Verdict::True,
            "false" => Verdict::False,
            "cannot_tell" => Verdict::CannotTell,
            other => return Err(format!("'answer' is {other:?}, not true, false or cannot_tell")),
        },
        other => return Err(format!("'answer' is {other}, not true, false or cannot_tell")),
    };
    let named = match answer.evidence {
        Named::One(one) => vec![one],
        Named::Several(several) => several,
    };
    let evidence: Vec<String> = named.into_iter().filter(|e| !e.trim().is_empty()).collect();
    if verdict != Verdict::CannotTell && evidence.is_empty() {
        return Err(format!(
            "'evidence' names nothing that its '{}' rests on",
            verdict.word()
        ));
    }
    Ok(Answer {
        verdict,
        reason: answer.reason,
        evidence,
    })
}

/// Several models answer with the names they were trained on; each field is one way to say where.
#[derive(Deserialize)]
struct PlaceAnswer {
    found: Option<bool>,
    #[serde(default)]
    reason: String,
    x: Option<f64>,
    y: Option<f64>,
    #[serde(alias = "point")]
    point_2d: Option<[f64; 2]>,
    #[serde(alias = "bbox", alias = "box")]
    bbox_2d: Option<[f64; 4]>,
    /// The edges in the order top, left, bottom, right: only Gemini writes so, and calls it this.
    box_2d: Option<[f64; 4]>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PlaceAnswers {
    One(Box<PlaceAnswer>),
    Several(Vec<PlaceAnswer>),
}

/// A size in pixels, width and height.
pub type Size = (u32, u32);

/// The place in pixels of the frame, of which a picture of the size `sent` was sent.
///
/// # Errors
/// What cannot be read, could be read in two ways, or is outside of the picture.
pub fn place(text: &str, coordinates: Coordinates, sent: Size, frame: Size) -> Result<Place, String> {
    let bare = bare(text)?;
    // Untagged enums lose the reason of a failure, so choose by the first character.
    let answers: PlaceAnswers = if bare.starts_with('[') {
        serde_json::from_str(bare).map(PlaceAnswers::Several)
    } else {
        serde_json::from_str(bare).map(PlaceAnswers::One)
    }
    .map_err(|e| format!("not the JSON asked for: {e}"))?;
    let one = |answer: &PlaceAnswer| rect(answer, coordinates, sent, frame);
    match answers {
        PlaceAnswers::One(a) if a.found == Some(false) => {
            if a.x.is_some() || a.y.is_some() || a.point_2d.is_some() || a.bbox_2d.is_some() || a.box_2d.is_some() {
                return Err("it says 'found: false' and gives a place".into());
            }
            let reason = if a.reason.is_empty() {
                "the model does not see it".into()
            } else {
                a.reason
            };
            Ok(Place::Nowhere(reason))
        }
        PlaceAnswers::One(a) => Ok(Place::At(one(&a)?)),
        PlaceAnswers::Several(list) => {
            let rects = list.iter().map(one).collect::<Result<Vec<_>, _>>()?;
            match rects[..] {
                [] => Ok(Place::Nowhere("the model does not see it".into())),
                [rect] => Ok(Place::At(rect)),
                _ => Ok(Place::Several(rects)),
            }
        }
    }
}

fn rect(a: &PlaceAnswer, coordinates: Coordinates, sent: Size, frame: Size) -> Result<Rect, String> {
    if a.found == Some(false) {
        return Err("a list of places with one that is not found".into());
    }
    let boxed = match (a.bbox_2d, a.box_2d) {
        (Some(_), Some(_)) => return Err("it gives two boxes for one thing".into()),
        (None, Some([t, l, b, r])) => Some([l, t, r, b]),
        (boxed, None) => boxed,
    };
    let (left, top, right, bottom) = match (a.x, a.y, a.point_2d, boxed) {
        (Some(x), Some(y), None, None) => (x, y, x, y),
        (None, None, Some([x, y]), None) => (x, y, x, y),
        (None, None, None, Some([l, t, r, b])) if l <= r && t <= b => (l, t, r, b),
        (None, None, None, Some(_)) => return Err("the box's corners are in the wrong order".into()),
        (None, None, None, None) => return Err("it gives no place".into()),
        _ => return Err("it gives half a place, or several".into()),
    };
    let x = |value| pixel(value, coordinates, sent.0, frame.0);
    let y = |value| pixel(value, coordinates, sent.1, frame.1);
    let ((x0, x1), (y0, y1)) = ((x(left)?, x(right)?), (y(top)?, y(bottom)?));
    Ok(Rect::new(x0, y0, x1 - x0 + 1, y1 - y0 + 1))
}

/// One coordinate as a pixel inside `0..frame`; outside its declared range it is refused.
fn pixel(value: f64, coordinates: Coordinates, sent: u32, frame: u32) -> Result<u32, String> {
    let full = match coordinates {
        Coordinates::Normalised1000 => 1000.0,
        Coordinates::Fraction => 1.0,
        Coordinates::Pixels => f64::from(sent),
    };
    if !(0.0..=full).contains(&value) {
        return Err(format!(
            "{value} is outside 0 to {full}, the range of {coordinates:?} coordinates"
        ));
    }
    Ok(((value / full * f64::from(frame)) as u32).min(frame.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read_strictly() {
        let v = |t: &str| verdict(t).map(|v| v.verdict);
        assert_eq!(
            v(r#"{"answer":"true","reason":"it is","evidence":["a"]}"#),
            Ok(Verdict::True)
        );
        assert_eq!(
            v(r#"{"answer": false, "evidence": "an empty screen"}"#),
            Ok(Verdict::False)
        );
        assert_eq!(
            v("<think>it says true</think>\n```json\n{\"answer\":\"cannot_tell\"}\n```"),
            Ok(Verdict::CannotTell)
        );
        assert_eq!(v("```{\"evidence\":[\"a\"],\"answer\":\"True\"}```"), Ok(Verdict::True));
        for bad in [
            "",
            "yes",
            "true",
            "<think>hm {\"answer\":\"true\"}",
            r#"{"answer":"yes"}"#,
            r#"{"answer":"not true"}"#,
            r#"{"answer":"true","answer":"false"}"#,
            r#"{"answer":"true"} {"answer":"false"}"#,
            r#"The answer is not {"answer":"true"}"#,
            "```json\n{\"answer\":\"true\"}\n```\nbut on second thought no",
            "```\n{\"answer\":\"true\"}\n```\n```\n{\"answer\":\"false\"}\n```",
            r#"{"answer":["true"]}"#,
            r#"{"reason":"true"}"#,
            r#"{"answer":"true","reason":"because"}"#,
            r#"{"answer":"false","evidence":[" "]}"#,
        ] {
            assert!(v(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn places_follow_the_declared_convention() {
        let at = |t: &str, c| place(t, c, (1280, 800), (1280, 800));
        let point = |x, y| Ok(Place::At(Rect::new(x, y, 1, 1)));
        assert_eq!(
            at(r#"{"found":true,"x":500,"y":500}"#, Coordinates::Normalised1000),
            point(640, 400)
        );
        assert_eq!(
            at(r#"{"found":true,"x":500,"y":500}"#, Coordinates::Pixels),
            point(500, 500)
        );
        assert_eq!(at(r#"{"x":0.5,"y":1.0}"#, Coordinates::Fraction), point(640, 799));
        assert_eq!(
            at(r#"{"point_2d":[0,1000]}"#, Coordinates::Normalised1000),
            point(0, 799)
        );
        let boxed = at(r#"[{"bbox_2d":[100,100,200,200],"label":"x"}]"#, Coordinates::Pixels);
        assert_eq!(boxed, Ok(Place::At(Rect::new(100, 100, 101, 101))));
        assert!(matches!(
            at(r#"{"found":false,"reason":"no"}"#, Coordinates::Pixels),
            Ok(Place::Nowhere(_))
        ));
        let two = r#"[{"point":[1,2]},{"point":[3,4]}]"#;
        assert!(matches!(at(two, Coordinates::Pixels), Ok(Place::Several(r)) if r.len() == 2));
    }

    #[test]
    fn senseless_places_are_refused() {
        for bad in [
            r#"{"found":true}"#,
            r#"{"x":500}"#,
            r#"{"x":500,"y":1200}"#,
            r#"{"x":-1,"y":5}"#,
            r#"{"x":5,"y":5,"point":[6,6]}"#,
            r#"{"found":false,"x":5,"y":5}"#,
            r#"{"bbox_2d":[9,9,1,1]}"#,
            r#"{"x":"5","y":5}"#,
            "500, 500",
        ] {
            assert!(
                place(bad, Coordinates::Normalised1000, (1280, 800), (1280, 800)).is_err(),
                "{bad}"
            );
        }
        assert!(place(r#"{"x":500,"y":5}"#, Coordinates::Fraction, (1280, 800), (1280, 800)).is_err());
    }

    #[test]
    fn pixels_are_those_of_the_picture_that_was_sent() {
        let at = |t: &str| place(t, Coordinates::Pixels, (640, 400), (1280, 800));
        assert_eq!(at(r#"{"x":320,"y":100}"#), Ok(Place::At(Rect::new(640, 200, 1, 1))));
        assert!(at(r#"{"x":700,"y":100}"#).is_err());
        // Gemini's boxes begin with the top.
        let boxed = place(
            r#"{"box_2d":[100,200,300,400]}"#,
            Coordinates::Normalised1000,
            (1000, 1000),
            (1000, 1000),
        );
        assert_eq!(boxed, Ok(Place::At(Rect::new(200, 100, 201, 201))));
    }

    /// There and back again: what a model would write for a pixel leads to that pixel, give or take what the smaller of the
    /// two pictures cannot tell apart.
    #[test]
    fn every_convention_leads_back() {
        for _ in 0..2000 {
            let side = || (rand::random_range(64..4000), rand::random_range(64..4000));
            let (sent, frame): (Size, Size) = (side(), side());
            let (x, y) = (rand::random_range(0..frame.0), rand::random_range(0..frame.1));
            let share = |v: u32, of: u32| (f64::from(v) + 0.5) / f64::from(of);
            let (fx, fy) = (share(x, frame.0), share(y, frame.1));
            for (coordinates, wx, wy) in [
                (Coordinates::Fraction, fx, fy),
                (Coordinates::Normalised1000, fx * 1000.0, fy * 1000.0),
                (Coordinates::Pixels, fx * f64::from(sent.0), fy * f64::from(sent.1)),
            ] {
                let text = format!(r#"{{"x": {wx}, "y": {wy}}}"#);
                let Ok(Place::At(found)) = place(&text, coordinates, sent, frame) else {
                    panic!("{text}")
                };
                assert!(
                    found.x.abs_diff(x) <= 1 && found.y.abs_diff(y) <= 1,
                    "{coordinates:?} {sent:?} {frame:?}: {x},{y} became {found:?}"
                );
            }
        }
    }

    /// Whatever a model writes: no panic, and no place outside of the frame.
    #[test]
    fn no_answer_leads_out_of_the_frame() {
        const PIECES: &[&str] = &[
            "{",
            "}",
            "[",
            "]",
            "\"x\"",
            "\"y\"",
            ":",
            ",",
            "\"point_2d\"",
            "\"bbox_2d\"",
            "\"box_2d\"",
            "\"found\"",
            "true",
            "false",
            "null",
            "-1",
            "0",
            "1",
            "0.5",
            "999",
            "1000",
            "1e308",
            "1e-9",
            "5000",
            "NaN",
            "<think>",
            "</think>",
            "```",
            "```json\n",
            "\n",
            " ",
            "\"answer\"",
            "\"reason\"",
            "\u{fc}",
            "x",
        ];
        for _ in 0..20_000 {
            let count = rand::random_range(0..14);
            let text: String = (0..count)
                .map(|_| PIECES[rand::random_range(0..PIECES.len())])
                .collect();
            let _ = verdict(&text);
            for coordinates in [Coordinates::Fraction, Coordinates::Normalised1000, Coordinates::Pixels] {
                let inside = |r: &Rect| r.right() <= 640 && r.bottom() <= 400;
                match place(&text, coordinates, (320, 200), (640, 400)) {
                    Ok(Place::At(rect)) => assert!(inside(&rect), "{text}"),
                    Ok(Place::Several(rects)) => assert!(rects.iter().all(inside), "{text}"),
                    Ok(Place::Nowhere(_)) | Err(_) => {}
                }
            }
        }
    }
}
