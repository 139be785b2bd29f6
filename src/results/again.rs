//! What a step asked of the vision backend, and of which picture: enough to ask again.

use super::event::*;
use super::mask::MASK;
use crate::vision;

/// The member of what was wanted that names a reference image.
pub const WANTED_REFERENCE: &str = "reference";

/// What was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Whether something is so.
    Judge(String),
    /// Where something is, or with `presence` whether it is shown.
    Locate(Box<vision::Target>),
    /// It cannot be asked of a picture alone.
    Unaskable(&'static str),
}

/// A question, and what was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// In words.
    pub words: String,
    /// For a backend.
    pub question: Question,
    /// `true`, `false`, `cannotTell`, `found`, `ambiguous` or `notFound`.
    pub verdict: String,
    /// Where, if it was found.
    pub place: Option<Place>,
    /// Why.
    pub reason: String,
    /// Which method answered.
    pub rung: Option<String>,
}

/// A picture, and what was answered about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// File of the picture.
    pub file: String,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// True where this is known to be the picture that was looked at, pixel by pixel, and not one taken right after it.
    pub same: bool,
    /// Masks cover something of it that was seen then.
    pub covered: bool,
    /// The last answers about it, in the order of the questions.
    pub answers: Vec<Answered>,
}

struct Shot<'e> {
    role: Role,
    file: &'e str,
    size: (u32, u32),
    frame: Option<u64>,
    covered: bool,
}

/// The picture of the step's last questions, with the answers; else the nearest one, with the last answer. None where the
/// step has no picture.
pub fn looked(events: &[Event], step: &str) -> Option<Looked> {
    let mut shots: Vec<Shot<'_>> = Vec::new();
    let mut answers: Vec<(Option<u64>, Answered)> = Vec::new();
    for event in events {
        let Body::Evidence { step: of, item } = &event.body else {
            continue;
        };
        if of != step {
            continue;
        }
        if let Evidence::Screenshot {
            role,
            file,
            width,
            height,
            frame,
            covered,
            ..
        } = item
            && *role != Role::Difference
        {
            shots.push(Shot {
                role: *role,
                file,
                size: (*width, *height),
                frame: *frame,
                covered: *covered,
            });
        }
        answers.extend(answered(item));
    }
    let about = |frame: Option<u64>| -> Vec<Answered> {
        let mut last: Vec<Answered> = Vec::new();
        for (_, answer) in answers.iter().filter(|(of, _)| *of == frame) {
            match last.iter_mut().find(|known| known.words == answer.words) {
                Some(known) => *known = answer.clone(),
                None => last.push(answer.clone()),
            }
        }
        last
    };
    let found = |shot: &Shot<'_>, same: bool, answers: Vec<Answered>| {
        let (file, size) = (shot.file.to_string(), shot.size);
        Some(Looked {
            file,
            size,
            same: same && !shot.covered,
            covered: shot.covered,
            answers,
        })
    };
    let frame = answers.last().and_then(|(frame, _)| *frame);
    if let Some(shot) = shots.iter().find(|shot| frame.is_some() && shot.frame == frame) {
        return found(shot, true, about(frame));
    }
    // The picture that was looked at may not have been kept: then the first that was taken after it.
    let last: Vec<Answered> = answers.last().map(|(_, last)| last.clone()).into_iter().collect();
    let later = |shot: &&Shot<'_>| frame.is_some() && shot.frame >= frame;
    if let Some(shot) = shots.iter().filter(later).min_by_key(|shot| shot.frame) {
        return found(shot, false, last);
    }
    let decided = |shot: &&Shot<'_>| matches!(shot.role, Role::Checked | Role::Failure);
    let shot = shots.iter().rev().find(decided).or(shots.last())?;
    found(shot, false, last)
}

/// The ids of the steps of which [`looked`] has answers.
pub fn asked(events: &[Event]) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for event in events {
        if let Body::Evidence { step, item } = &event.body
            && answered(item).is_some()
            && !steps.contains(step)
        {
            steps.push(step.clone());
        }
    }
    steps
}

fn answered(item: &Evidence) -> Option<(Option<u64>, Answered)> {
    match item {
        Evidence::Judge {
            question,
            verdict,
            reason,
            rung,
            frame,
            ..
        } => {
            let asked = match question.contains(MASK) {
                true => Question::Unaskable(SECRET),
                false => Question::Judge(question.clone()),
            };
            let answer = Answered {
                words: question.clone(),
                question: asked,
                verdict: verdict.clone(),
                place: None,
                reason: reason.clone(),
                rung: Some(rung.clone()),
            };
            Some((*frame, answer))
        }
        Evidence::Locate {
            target,
            found,
            rung,
            place,
            reason,
            wanted,
            frame,
            ..
        } => {
            let verdict = match (found, place) {
                (true, _) => "found",
                (false, Some(_)) => "ambiguous",
                (false, None) => "notFound",
            };
            let answer = Answered {
                words: target.clone(),
                question: match rung.as_deref() {
                    Some(vision::Hit::REFERENCE) => Question::Unaskable(REFERENCE),
                    _ => search(wanted.as_ref()),
                },
                verdict: verdict.to_string(),
                place: place.filter(|_| *found),
                reason: reason.clone(),
                rung: rung.clone(),
            };
            Some((*frame, answer))
        }
        _ => None,
    }
}

const REFERENCE: &str = "only its reference image tells what it looks like, and a trace does not hold that";

const SECRET: &str = "it names a secret, and a trace holds none";

fn search(wanted: Option<&serde_json::Map<String, serde_json::Value>>) -> Question {
    let Some(wanted) = wanted else {
        return Question::Unaskable("it was answered without a vision backend, or by a version that did not record it");
    };
    if wanted
        .values()
        .any(|v| v.as_str().is_some_and(|text| text.contains(MASK)))
    {
        return Question::Unaskable(SECRET);
    }
    // What was asked behind it can be asked again without it.
    let mut wanted = wanted.clone();
    wanted.remove(WANTED_REFERENCE);
    match serde_json::from_value::<vision::Target>(wanted.into()) {
        Ok(target) if target.text.is_none() && target.describe.is_none() => Question::Unaskable(REFERENCE),
        Ok(target) => Question::Locate(Box::new(target)),
        Err(_) => Question::Unaskable("another version of mosdat asked it, in a form that is not known here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(item: Evidence) -> Event {
        Event {
            v: SCHEMA_VERSION,
            seq: 1,
            time: String::new(),
            body: Body::Evidence {
                step: "s".to_string(),
                item,
            },
        }
    }

    fn shot(role: Role, file: &str, frame: Option<u64>) -> Event {
        event(Evidence::Screenshot {
            role,
            file: file.to_string(),
            width: 4,
            height: 3,
            marks: Vec::new(),
            frame,
            covered: false,
        })
    }

    fn judge(question: &str, verdict: &str, frame: Option<u64>) -> Event {
        event(Evidence::Judge {
            question: question.to_string(),
            verdict: verdict.to_string(),
            reason: String::new(),
            named: Vec::new(),
            rung: "vlm".to_string(),
            ms: 1,
            frame,
        })
    }

    /// The file, whether it is the one, and question=answer.
    fn told(events: &[Event]) -> Option<String> {
        let looked = looked(events, "s")?;
        let answers: Vec<String> = looked
            .answers
            .iter()
            .map(|a| format!("{}={}", a.words, a.verdict))
            .collect();
        Some(format!("{} {} {}", looked.file, looked.same, answers.join(" ")))
    }

    #[test]
    fn the_picture_that_was_judged_with_its_answers() {
        let run = [
            shot(Role::Before, "1", Some(1)),
            judge("a", "false", Some(1)),
            judge("b", "false", Some(1)),
            judge("a", "false", Some(3)),
            judge("b", "true", Some(3)),
            shot(Role::Checked, "2", Some(3)),
            shot(Role::Failure, "3", Some(4)),
        ];
        assert_eq!(told(&run).as_deref(), Some("2 true a=false b=true"));
        // A click: what was looked at was not kept, but the picture right before the click.
        let click = [
            judge("a", "true", Some(5)),
            shot(Role::Before, "1", Some(6)),
            shot(Role::After, "2", Some(9)),
        ];
        assert_eq!(told(&click).as_deref(), Some("1 false a=true"));
        // Without numbers, what decided.
        let old = [
            judge("a", "false", None),
            shot(Role::Checked, "1", None),
            shot(Role::After, "2", None),
        ];
        assert_eq!(told(&old).as_deref(), Some("1 false a=false"));
        assert_eq!(told(&[shot(Role::Asked, "1", Some(1))]).as_deref(), Some("1 false "));
        assert_eq!(told(&[judge("a", "true", Some(1))]), None);
        assert_eq!(asked(&run), ["s"]);
    }

    #[test]
    fn a_picture_with_masks_is_not_the_one_that_was_judged() {
        let mut masked = shot(Role::Checked, "1", Some(3));
        if let Body::Evidence {
            item: Evidence::Screenshot { covered, .. },
            ..
        } = &mut masked.body
        {
            *covered = true;
        }
        let looked = looked(&[judge("a", "true", Some(3)), masked], "s").expect("a picture");
        assert!(!looked.same && looked.covered, "{looked:?}");
        assert_eq!(looked.answers.len(), 1);
    }

    #[test]
    fn what_a_reference_decided_is_not_asked_of_its_text() {
        let located = |rung: &str| {
            let wanted = serde_json::json!({"text": "Save", "reference": "save"});
            let item = Evidence::Locate {
                target: "x".to_string(),
                found: true,
                rung: Some(rung.to_string()),
                place: None,
                confidence: None,
                reason: String::new(),
                ms: 1,
                wanted: wanted.as_object().cloned(),
                frame: None,
            };
            answered(&item).expect("an answer").1.question
        };
        assert_eq!(located("reference"), Question::Unaskable(REFERENCE));
        assert!(matches!(located("ocr"), Question::Locate(t) if t.text.as_deref() == Some("Save")));
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        let of = |wanted: serde_json::Value| search(wanted.as_object());
        let text = of(serde_json::json!({"text": "Save", "presence": true}));
        assert!(matches!(text, Question::Locate(t) if t.presence && t.text.as_deref() == Some("Save")));
        for odd in [
            serde_json::json!({"text": "x *** y"}),
            serde_json::json!({}),
            serde_json::json!({"text": "a", "later": 1}),
            serde_json::json!(null),
        ] {
            assert!(matches!(of(odd.clone()), Question::Unaskable(_)), "{odd}");
        }
    }
}
