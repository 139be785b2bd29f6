//! Finding a target, and making sure that it is still there when it is used.

use super::check::guest_knows;
use super::failure::Failure;
use super::record;
use super::step::Stage;
use super::within::Part;
use crate::api::FailureClass;
use crate::desktop::{Frame, Point, Rect};
use crate::results::{Mark, Role};
use crate::scenario::{Length, Mask, Target, TargetFields};
use crate::vision::{self, Hit, Located};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A backend that says nothing for so long beyond the step's time is broken.
pub(super) const VISION_GRACE: Duration = Duration::from_secs(30);
/// An answer that came so late speaks about a picture that is too old to end a step with: one more look is taken.
pub(super) const LATE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(250);
/// A question to the guest costs it a process.
const SLOW_POLL: Duration = Duration::from_secs(1);

/// The scenario's target as the vision backends take it.
pub(super) fn target_of(target: &Target) -> vision::Target {
    match target {
        Target::Words(words) => vision::parse_target(words),
        Target::Fields(t) => vision::Target {
            text: t.text.clone(),
            describe: t.describe.clone(),
            exact: t.exact,
            nth: t.nth,
            near: t.near.clone(),
            left_of: t.left_of.clone(),
            right_of: t.right_of.clone(),
            above: t.above.clone(),
            below: t.below.clone(),
            ..vision::Target::default()
        },
    }
}

impl Stage<'_> {
    /// Looks for the target on fresh frames until `until`. A hit counts when the live picture still shows it: the
    /// answer may have taken longer than the picture lasted.
    pub(super) async fn find(&mut self, target: &Target, until: Instant) -> Result<(Hit, Arc<Frame>), Failure> {
        if let Some(TargetFields { at: Some((x, y)), .. }) = target.fields() {
            let frame = self.capture().await?;
            return Ok((self.fixed(target, *x, *y, &frame)?, frame));
        }
        // The picture, and the part of it, that the last answer is about.
        let mut looked_at: Option<(String, Option<Part>)> = None;
        let mut why: Option<Failure> = None;
        let mut again = true;
        // An element may appear without a change of the picture.
        let by_picture = target.fields().is_none_or(|t| t.element.is_none());
        let mut pause = POLL;
        loop {
            let began = Instant::now();
            let frame = self.capture().await?;
            self.unreadable = false;
            // So may a window: its title is set when it is painted already.
            let part = self.part_of(target, &frame).await;
            let now = part.as_ref().ok().map(|part| (frame.digest(), part.clone()));
            if !by_picture || now.is_none() || looked_at != now {
                let located = match part {
                    Ok(part) => self.locate_within(&frame, target, part, false, until).await,
                    Err(failure) => Err(failure),
                };
                match located {
                    // The same picture would be read in the same way: only another one helps.
                    Ok(Located::Found(hit)) if !hit.is_certain() => {
                        looked_at = now;
                        why = Some(doubted(target, &hit));
                    }
                    Ok(Located::Found(hit)) => {
                        if hit.rung == Hit::NODE
                            && let Some(reason) = self.covered(hit.point).await?
                        {
                            let failure = Failure::failed("TargetCovered", reason);
                            if Instant::now() >= until {
                                return Err(failure);
                            }
                            why = Some(failure);
                            sleep(POLL).await;
                            continue;
                        }
                        let live = self.capture().await?;
                        if unchanged(&frame, &live, around(&hit)) || self.is_there(target, &hit, &live, until).await? {
                            if self.step.mask == Some(Mask::Target) {
                                if is_point(hit.rect) {
                                    return Err(nothing_to_mask(target, &hit));
                                }
                                self.cover(target, hit.rect);
                            }
                            self.healed = healed(target, hit.rung).or(self.healed.take());
                            return Ok((hit, live));
                        }
                        self.note("what was found has changed meanwhile; looking again");
                        if Instant::now() < until {
                            continue;
                        }
                        why = Some(Failure::failed(
                            "TargetMoves",
                            format!("{target} was found, but its place kept changing"),
                        ));
                    }
                    Ok(Located::NotFound { reason, sure }) => {
                        looked_at = now;
                        let message = format!("{target} was not found: {reason}");
                        why = Some(match sure {
                            true => Failure::failed("TargetNotFound", message),
                            false if !looks_further(target) => {
                                Failure::error(FailureClass::Guest, "CannotTell", message)
                            }
                            // It may be there, misread: that is not the product's fault.
                            false => Failure::error(
                                FailureClass::Vision,
                                "CannotTell",
                                format!("{message}; it may have been misread"),
                            ),
                        });
                    }
                    Ok(Located::Ambiguous { hits }) => {
                        looked_at = now;
                        let reason = record::ambiguous(&hits);
                        why = Some(match hits.iter().filter(|hit| hit.is_certain()).count() {
                            // It may be there once, or not at all.
                            0 | 1 => several_doubted(target, &reason),
                            _ => Failure::failed("TargetAmbiguous", format!("{target}: {reason}")),
                        });
                    }
                    // An outage may pass while there is time; what it says in the end is an error, not a failure.
                    Err(failure) if Instant::now() < until && !self.hopeless && !failure.is_lack() => {
                        if self.unreadable {
                            looked_at = now;
                        }
                        why = Some(failure)
                    }
                    Err(failure) => return Err(failure),
                }
            }
            self.glance().await?;
            if Instant::now() >= until {
                if std::mem::take(&mut again) && until.saturating_duration_since(began) > LATE {
                    continue;
                }
                let failure =
                    why.unwrap_or_else(|| Failure::failed("TargetNotFound", format!("{target} was not found")));
                return Err(failure);
            }
            sleep(pause.min(until.saturating_duration_since(Instant::now()))).await;
            if guest_knows(target) {
                pause = (pause * 5 / 4).min(SLOW_POLL);
            }
        }
    }

    /// What must not be seen is here. Until the places of all targets are known, pictures show nothing.
    fn cover(&mut self, target: &Target, place: Rect) {
        self.run.recorder.cover(place);
        self.covered.insert(target.to_string());
        if (self.step.targets().iter()).all(|target| self.covered.contains(&target.to_string())) {
            self.run.recorder.unveil(&self.run.planned_id(self.step));
        }
    }

    /// A place that the author fixed: nothing is looked for, and a place outside the screen is no place.
    fn fixed(&self, target: &Target, x: Length, y: Length, frame: &Frame) -> Result<Hit, Failure> {
        let point = Point::new(x.of(frame.width()), y.of(frame.height()));
        if point.x >= frame.width() || point.y >= frame.height() {
            return Err(Failure::failed(
                "OutsideTheScreen",
                format!(
                    "{target} is outside the screen, which is {}x{}",
                    frame.width(),
                    frame.height()
                ),
            ));
        }
        let hit = Hit {
            rect: Rect::new(point.x, point.y, 1, 1),
            point,
            confidence: 1.0,
            rung: "at",
            matched: target.to_string(),
        };
        let answer = Located::Found(hit.clone());
        let asked = record::Asked {
            target: &target.to_string(),
            wanted: None,
            frame,
        };
        let item = record::located(&asked, &answer, Duration::ZERO);
        self.run.recorder.evidence(&self.step.id, item);
        Ok(hit)
    }

    /// Asks the backend once; with `presence` only whether it is shown, not for a place to click.
    pub(super) async fn locate(
        &mut self,
        frame: &Arc<Frame>,
        target: &Target,
        presence: bool,
        until: Instant,
    ) -> Result<Located, Failure> {
        self.unreadable = false;
        let part = self.part_of(target, frame).await?;
        self.locate_within(frame, target, part, presence, until).await
    }

    /// The part of the screen that the target says it is in, if it says one.
    async fn part_of(&mut self, target: &Target, frame: &Frame) -> Result<Option<Part>, Failure> {
        match target.fields().and_then(|t| t.within.as_ref()) {
            Some(within) => self.part(within, frame).await.map(Some),
            None => Ok(None),
        }
    }

    /// As `locate`, where the part is known.
    async fn locate_within(
        &mut self,
        frame: &Arc<Frame>,
        target: &Target,
        part: Option<Part>,
        presence: bool,
        until: Instant,
    ) -> Result<Located, Failure> {
        let start = Instant::now();
        let vision = self.run.rig.vision.clone();
        let mut wanted = target_of(target);
        wanted.presence = presence;
        match part {
            Some(Part::Here(rect)) => wanted.region = Some(rect),
            Some(Part::Nowhere(reason)) => return Ok(Located::NotFound { reason, sure: true }),
            None => {}
        }
        let element = target.fields().and_then(|t| t.element.as_ref());
        let mut asked = None;
        if let Some(element) = element {
            let nth = target.fields().and_then(|t| t.nth);
            let answer = match self.element(element, nth, wanted.region, frame).await {
                Ok(answer) => answer,
                // A guest that cannot tell is no reason not to look at the picture.
                Err(failure) if looks_further(target) && failure.is_lack() => Located::NotFound {
                    reason: failure.message,
                    sure: false,
                },
                Err(failure) => return Err(failure),
            };
            match answer {
                Located::NotFound { reason, sure } if looks_further(target) => asked = Some((reason, sure)),
                answer => {
                    let words = record::Asked {
                        target: &target.to_string(),
                        wanted: None,
                        frame,
                    };
                    let item = record::located(&words, &answer, start.elapsed());
                    self.run.recorder.evidence(&self.step.id, item);
                    return Ok(answer);
                }
            }
        }
        wanted.reference = self.wanted(target).await?;
        wanted.typed = wanted.text.as_ref().is_some_and(|text| {
            self.run
                .typed
                .iter()
                .any(|typed| typed.trim_end().ends_with(text.trim_end()))
        });
        let answer = match (self.answer(vision.locate(frame, &wanted), until).await?, asked) {
            (Located::NotFound { reason, sure }, Some((tree, told))) => Located::NotFound {
                reason: format!("accessibility tree: {tree}; {reason}"),
                sure: sure && told,
            },
            (answer, Some((tree, _))) => {
                self.note(&format!("not found in the accessibility tree: {tree}"));
                answer
            }
            (answer, None) => answer,
        };
        let words = record::Asked {
            target: &target.to_string(),
            wanted: Some(&wanted),
            frame,
        };
        let item = record::located(&words, &answer, start.elapsed());
        self.run.recorder.evidence(&self.step.id, item);
        self.remember(wanted.reference, &answer, frame);
        Ok(answer)
    }

    /// The models' part since the last call.
    pub(super) fn tell_requests(&mut self) {
        for request in self.run.rig.vision.requests() {
            let item = record::request(&request, |text| self.masked(text));
            self.run.recorder.evidence(&self.step.id, item);
        }
    }

    /// Waits for a backend's answer, but not for ever.
    pub(super) async fn answer<T>(
        &mut self,
        question: impl Future<Output = Result<T, vision::Error>>,
        until: Instant,
    ) -> Result<T, Failure> {
        let until = until.max(Instant::now()) + self.grace;
        let answer = tokio::time::timeout_at(until, question).await;
        self.tell_requests();
        match answer {
            Ok(Ok(answer)) => {
                (self.trouble, self.unreadable) = (None, false);
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.trouble = Some(error.to_string());
                self.unreadable = matches!(error, vision::Error::Answer { .. });
                self.hopeless = !matches!(
                    error,
                    vision::Error::Unreachable { .. } | vision::Error::Empty { .. } | vision::Error::Answer { .. }
                );
                Err(error.into())
            }
            Err(_) => {
                self.hopeless = true;
                Err(Failure::error(
                    FailureClass::Vision,
                    "VisionTimedOut",
                    format!("the vision backend {} gave no answer", self.run.rig.vision.name()),
                ))
            }
        }
    }

    pub(super) async fn show(&mut self, role: Role, frame: &Arc<Frame>, mut marks: Vec<Mark>) {
        marks.extend(frame.pointer().map(record::pointer_mark));
        self.shown = Some(frame.digest());
        self.run.recorder.screenshot(&self.step.id, role, frame, marks).await;
    }
}

/// What is said of a target that was found by something else than what it is pinned to: an element of the accessibility
/// tree, or a reference image.
fn healed(target: &Target, rung: &str) -> Option<String> {
    let fields = target.fields()?;
    let (pinned, missing) = match (&fields.element, &fields.reference) {
        (Some(_), _) => (Hit::NODE, "in the accessibility tree"),
        (None, Some(_)) => (Hit::REFERENCE, "by its reference image"),
        (None, None) => return None,
    };
    let by = match rung {
        Hit::REFERENCE => "its reference image",
        "ocr" => "text recognition",
        _ => "a vision model",
    };
    (rung != pinned).then(|| format!("{target}: found by {by}, not {missing}; look whether the scenario has to follow"))
}

/// True where the target can be looked for also without the accessibility tree.
fn looks_further(target: &Target) -> bool {
    target
        .fields()
        .is_none_or(|t| t.reference.is_some() || t.text.is_some() || t.describe.is_some())
}

/// What is smaller than this, in pixels, is a point: it tells where something is, and not how large.
const POINT: u32 = 8;
/// How much around a point is looked at, in pixels.
const AROUND: u32 = 48;

fn is_point(rect: Rect) -> bool {
    rect.width < POINT || rect.height < POINT
}

/// The part of the picture that has to be the same for the hit to be there still.
fn around(hit: &Hit) -> Rect {
    let Rect { x, y, width, height } = hit.rect;
    match is_point(hit.rect) {
        true => {
            let (width, height) = (width.max(AROUND), height.max(AROUND));
            let middle = hit.rect.center();
            Rect::new(
                middle.x.saturating_sub(width / 2),
                middle.y.saturating_sub(height / 2),
                width,
                height,
            )
        }
        false => Rect::new(x, y, width, height),
    }
}

/// What was read with so little certainty that it may be another text, and nothing else has found: a click there might
/// do anything. That it cannot be told is not the product's fault.
fn doubted(target: &Target, hit: &Hit) -> Failure {
    Failure::error(
        FailureClass::Vision,
        "CannotTell",
        format!(
            "{target}: '{}' was read at {},{}, but with little certainty ({:.2}), and nothing else confirms it; it may be \
             another text, so that nothing was done there",
            hit.matched, hit.point.x, hit.point.y, hit.confidence
        ),
    )
}

/// As [`doubted`], of several places of which not even two were read with certainty: `reason` names them.
fn several_doubted(target: &Target, reason: &str) -> Failure {
    Failure::error(
        FailureClass::Vision,
        "CannotTell",
        format!(
            "{target}: {reason}; most of them were read with little certainty and may be other texts, so that nothing was \
             done there"
        ),
    )
}

/// A mask of one pixel hides nothing; what is told before anything is done.
fn nothing_to_mask(target: &Target, hit: &Hit) -> Failure {
    Failure::error(
        FailureClass::Vision,
        "NothingToMask",
        format!(
            "{target} was found by {} as a point without a size, so that 'mask: true' would hide nothing; give the region, \
             mask: [x, y, width, height]",
            hit.rung
        ),
    )
}

/// True where the picture within `rect` is the same in both frames, a blinking caret aside.
pub(super) fn unchanged(a: &Frame, b: &Frame, rect: Rect) -> bool {
    let (a, b) = (a.image(), b.image());
    if a.dimensions() != b.dimensions() {
        return false;
    }
    let (right, bottom) = (rect.right().min(a.width()), rect.bottom().min(a.height()));
    let (mut all, mut differing) = (0u64, 0u64);
    for y in rect.y..bottom {
        for x in rect.x..right {
            all += 1;
            differing += u64::from(a.get_pixel(x, y) != b.get_pixel(x, y));
        }
    }
    differing * 20 <= all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Accessible;

    #[test]
    fn around_a_point_more_than_the_point_has_to_be_the_same() {
        let hit = |rect: Rect| Hit {
            rect,
            point: rect.center(),
            confidence: 0.5,
            rung: "vlm",
            matched: String::new(),
        };
        let point = hit(Rect::new(100, 100, 1, 1));
        assert!(is_point(point.rect) && !is_point(Rect::new(0, 0, 8, 8)));
        assert_eq!(around(&point), Rect::new(76, 76, 48, 48));
        // At an edge of the screen too.
        assert_eq!(around(&hit(Rect::new(0, 3, 1, 1))).y, 0);
        let field = Rect::new(40, 40, 80, 20);
        assert_eq!(around(&hit(field)), field);
        // A dialog that came up beside the one pixel.
        let before = image::RgbaImage::from_pixel(200, 200, image::Rgba([9, 9, 9, 255]));
        let mut after = before.clone();
        for (x, y) in (80..98).flat_map(|x| (80..120).map(move |y| (x, y))) {
            after.put_pixel(x, y, image::Rgba([200, 200, 200, 255]));
        }
        let (before, after) = (Frame::from_image(before), Frame::from_image(after));
        assert!(unchanged(&before, &after, point.rect));
        assert!(!unchanged(&before, &after, around(&point)));
        let failure = nothing_to_mask(&Target::Words("the password field".into()), &point);
        assert!(
            failure.message.contains("mask: [x, y, width, height]"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn what_is_pinned_and_found_by_something_else_is_healed() {
        let text = TargetFields {
            text: Some("Save".into()),
            ..TargetFields::default()
        };
        let pinned = TargetFields {
            element: Some(Accessible {
                role: Some("link".into()),
                ..Accessible::default()
            }),
            ..text.clone()
        };
        let of = |fields: &TargetFields, rung| healed(&Target::Fields(Box::new(fields.clone())), rung);
        assert_eq!(of(&text, "ocr"), None);
        assert_eq!(of(&pinned, Hit::NODE), None);
        let told = of(&pinned, "ocr").unwrap();
        assert!(
            told.contains("found by text recognition, not in the accessibility tree"),
            "{told}"
        );
        assert_eq!(healed(&Target::Words("x".into()), "vlm"), None);
    }
}
