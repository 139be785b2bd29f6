//! References as what is asked first; what else a target says is for the vision behind it.

use super::look::{Match, Outcome};
use super::{Reference, Text, Wanted};
use crate::desktop::{Frame, Rect};
use crate::vision::{Cascade, Error, Hit, Judgement, Located, Request, Target, Vision};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// Around a text area: a line of text is found by its surroundings.
const SURROUNDINGS: u32 = 8;

/// Looks for references first, and asks the backend behind it about everything else, which also reads their text areas.
pub struct References(pub Arc<dyn Vision>);

#[async_trait]
impl Vision for References {
    fn name(&self) -> String {
        self.0.name()
    }

    async fn locate(&self, frame: &Frame, target: &Target) -> Result<Located, Error> {
        if target.reference.is_none() {
            return self.0.locate(frame, target).await;
        }
        let rung = Rung { reader: self.0.clone() };
        if target.text.is_none() && target.describe.is_none() {
            return rung.locate(frame, target).await;
        }
        Cascade(vec![Arc::new(rung), self.0.clone()])
            .locate(frame, target)
            .await
    }

    async fn judge(&self, frame: &Frame, question: &str) -> Result<Judgement, Error> {
        self.0.judge(frame, question).await
    }

    fn understands(&self) -> bool {
        self.0.understands()
    }

    async fn warm_up(&self) -> Result<(), Error> {
        self.0.warm_up().await
    }

    fn in_step(&self, step: &str) {
        self.0.in_step(step);
    }

    fn patience(&self) -> Duration {
        self.0.patience()
    }

    fn requests(&self) -> Vec<Request> {
        self.0.requests()
    }
}

/// References alone.
struct Rung {
    reader: Arc<dyn Vision>,
}

/// What stands against a place: why, and whether that is certain.
type Objection = Option<(String, bool)>;

#[async_trait]
impl Vision for Rung {
    fn name(&self) -> String {
        "reference".into()
    }

    async fn locate(&self, frame: &Frame, target: &Target) -> Result<Located, Error> {
        let Some(Wanted { reference, anywhere }) = &target.reference else {
            return Err(Error::Target("it has no 'reference'".into()));
        };
        let variant = reference.variant((frame.width(), frame.height()))?;
        let outcome = {
            let (reference, anywhere) = (reference.clone(), *anywhere);
            let frame = Frame::from_image(frame.image().clone());
            let looking = tokio::task::spawn_blocking(move || reference.look(&frame, anywhere));
            looking
                .await
                .map_err(|e| Error::Target(format!("comparing failed: {e}")))??
        };
        let places = match outcome {
            Outcome::Found(one) => vec![one],
            Outcome::Several(all) => all,
            Outcome::Missing(nearest) => {
                return Ok(Located::NotFound {
                    reason: missing(reference, nearest.as_ref(), *anywhere),
                    sure: true,
                });
            }
        };
        let (mut hits, mut against) = (Vec::new(), None);
        for place in &places {
            match self.texts(frame, &variant.texts, place.moved).await? {
                None => hits.push(hit(reference, variant.digest(), place)),
                Some(why) => against = against.or(Some(why)),
            }
        }
        if let (true, Some((reason, sure))) = (hits.is_empty(), against) {
            let reason = format!("the reference '{}' looks right, but {reason}", reference.name());
            return Ok(Located::NotFound { reason, sure });
        }
        Ok(match target.nth {
            Some(n) if n as usize > hits.len() => Located::NotFound {
                reason: format!(
                    "the reference '{}' is {} time(s) on the screen, number {n} was wanted",
                    reference.name(),
                    hits.len()
                ),
                sure: true,
            },
            Some(n) => Located::Found(hits.swap_remove(n.saturating_sub(1) as usize)),
            None if hits.len() == 1 => Located::Found(hits.swap_remove(0)),
            None => Located::Ambiguous { hits },
        })
    }

    async fn judge(&self, _: &Frame, _: &str) -> Result<Judgement, Error> {
        Err(Error::Target("references answer no questions".into()))
    }
}

impl Rung {
    /// What stands against the text areas where the reference has moved so.
    async fn texts(&self, frame: &Frame, texts: &[Text], moved: (i32, i32)) -> Result<Objection, Error> {
        for Text { area, text } in texts {
            let Some(region) = region(area, moved, frame) else {
                return Ok(Some((
                    format!("the place of its text '{text}' is outside of the screen"),
                    true,
                )));
            };
            let target = Target {
                text: Some(text.clone()),
                presence: true,
                region: Some(region),
                ..Target::default()
            };
            let certain = |hit: &Hit| hit.is_certain() && hit.rect.intersection(&region).is_some();
            let objection = match self.reader.locate(frame, &target).await? {
                Located::Found(hit) if certain(&hit) => continue,
                Located::Ambiguous { hits } if hits.iter().any(certain) => continue,
                Located::Found(_) | Located::Ambiguous { .. } => (
                    format!("its text '{text}' was read with little certainty, or elsewhere"),
                    false,
                ),
                Located::NotFound { reason, sure } => (format!("in its text area {reason}"), sure),
            };
            return Ok(Some(objection));
        }
        Ok(None)
    }
}

/// The part of the frame in which a text is read.
fn region(area: &Rect, moved: (i32, i32), frame: &Frame) -> Option<Rect> {
    let edge = |at: u32, by: i32, more: i32, whole: u32| {
        let at = i64::from(at) + i64::from(by) + i64::from(more) * i64::from(SURROUNDINGS);
        at.clamp(0, i64::from(whole)) as u32
    };
    let (x, right) = (
        edge(area.x, moved.0, -1, frame.width()),
        edge(area.right(), moved.0, 1, frame.width()),
    );
    let (y, bottom) = (
        edge(area.y, moved.1, -1, frame.height()),
        edge(area.bottom(), moved.1, 1, frame.height()),
    );
    (x < right && y < bottom).then(|| Rect::new(x, y, right - x, bottom - y))
}

fn hit(reference: &Reference, digest: &str, place: &Match) -> Hit {
    let moved = match place.moved {
        (0, 0) => String::new(),
        (x, y) => format!(", moved by {x}, {y}"),
    };
    Hit {
        rect: place.rect,
        point: place.point,
        confidence: place.similarity as f32,
        rung: Hit::REFERENCE,
        matched: format!(
            "{} (SHA-256 {}{moved})",
            reference.name(),
            &digest[..12.min(digest.len())]
        ),
    }
}

/// Why it was not found: what was nearest to it, and which area differs most.
fn missing(reference: &Reference, nearest: Option<&Match>, anywhere: bool) -> String {
    let name = reference.name();
    let Some(nearest) = nearest else {
        return format!("the reference '{name}' is not there: its place is outside of this screen");
    };
    let (place, best) = match anywhere {
        true => ("nowhere on the screen", "the most similar place"),
        false => ("not at its place", "the most similar place within its margin"),
    };
    let moved = match nearest.moved {
        (0, 0) => String::new(),
        (x, y) => format!(", moved by {x}, {y},"),
    };
    let lacking = nearest.areas.iter().max_by(|a, b| (a.2 - a.1).total_cmp(&(b.2 - b.1)));
    let area = match lacking {
        Some((rect, similarity, least)) => format!(
            "{}where {:.2} is needed",
            match nearest.areas.len() {
                1 => String::new(),
                _ => format!(
                    "its area of {}x{} at {},{} least with {similarity:.2}, ",
                    rect.width, rect.height, rect.x, rect.y
                ),
            },
            least
        ),
        None => String::new(),
    };
    format!(
        "the reference '{name}' is {place}; {best} is at {},{}{moved} with similarity {:.2}, {area}",
        nearest.rect.x, nearest.rect.y, nearest.similarity
    )
}
