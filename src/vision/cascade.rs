//! Several backends in turn: the first that can decide does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Error, Hit, Judgement, Located, Request, Target, Verdict, Vision};
use crate::desktop::Frame;

/// Backends in the order to ask, usually OCR and then a VLM. OCR passes on what it cannot decide.
///
/// A backend that fails does not stop the others, but if none of them decides, its failure is the answer: "not found" and
/// "cannot tell" are given only when every backend has really looked. What was read with little certainty is no decision.
///
/// Whether something is shown at all is a question: a reader that surely does not read the text has answered it, and a
/// model's judge answers what the reader leaves open.
pub struct Cascade(pub Vec<Arc<dyn Vision>>);

#[async_trait]
impl Vision for Cascade {
    fn name(&self) -> String {
        self.0.iter().map(|v| v.name()).collect::<Vec<_>>().join(", then ")
    }

    async fn locate(&self, frame: &Frame, target: &Target) -> Result<Located, Error> {
        let (mut reasons, mut failure, mut ambiguous, mut unable) = (Vec::new(), None, None, None);
        // What was read with little certainty, and whether somebody after that did not find it.
        let (mut doubtful, mut denied): (Option<Hit>, bool) = (None, false);
        let mut all_sure = true;
        for vision in &self.0 {
            match vision.locate(frame, target).await {
                Ok(Located::Found(hit)) if !hit.is_certain() => {
                    reasons.push(format!(
                        "{}: '{}' was read with little certainty ({:.2})",
                        vision.name(),
                        hit.matched,
                        hit.confidence
                    ));
                    doubtful = doubtful.or(Some(hit));
                }
                Ok(found @ Located::Found(_)) => return Ok(found),
                // It is shown; where else is not asked.
                Ok(Located::Ambiguous { hits }) if target.presence && hits.iter().any(Hit::is_certain) => {
                    return Ok(Located::Ambiguous { hits });
                }
                Ok(Located::NotFound { reason, sure }) => {
                    reasons.push(format!("{}: {reason}", vision.name()));
                    if sure && target.presence && vision.settles_absence(target) {
                        all_sure = true;
                        (doubtful, ambiguous, failure) = (None, None, None);
                        break;
                    }
                    all_sure &= sure;
                    denied |= doubtful.is_some();
                }
                // A later backend may understand the description that tells them apart.
                Ok(hits @ Located::Ambiguous { .. }) => ambiguous = ambiguous.or(Some(hits)),
                // It is not made for such a target; another may be.
                Err(error @ Error::Target(_)) => unable = unable.or(Some(error)),
                Err(error) => {
                    tracing::warn!(backend = vision.name(), %error, "vision backend failed");
                    failure = failure.or(Some(error));
                }
            }
        }
        match (ambiguous, doubtful, failure) {
            // The backend that failed might have told them apart, or been certain.
            (_, _, Some(error)) => Err(error),
            (Some(ambiguous), _, None) => Ok(ambiguous),
            (None, Some(hit), None) if !denied => Ok(Located::Found(hit)),
            // One read it, if with little certainty, and another did not see it.
            (None, Some(_), None) => Ok(Located::NotFound {
                reason: reasons.join("; "),
                sure: false,
            }),
            (None, None, None) if self.0.is_empty() => Err(Error::Config("the cascade has no backend".into())),
            (None, None, None) => match unable.filter(|_| reasons.is_empty()) {
                Some(error) => Err(error),
                None => Ok(Located::NotFound {
                    reason: reasons.join("; "),
                    sure: all_sure,
                }),
            },
        }
    }

    async fn judge(&self, frame: &Frame, question: &str) -> Result<Judgement, Error> {
        let (mut reasons, mut failure, mut last) = (Vec::new(), None, None);
        for vision in &self.0 {
            match vision.judge(frame, question).await {
                Ok(judgement) if judgement.verdict != Verdict::CannotTell => return Ok(judgement),
                Ok(judgement) => {
                    reasons.push(format!("{}: {}", vision.name(), judgement.reason));
                    last = Some(judgement);
                }
                Err(error) => {
                    tracing::warn!(backend = vision.name(), %error, "vision backend failed");
                    failure = failure.or(Some(error));
                }
            }
        }
        match (failure, last) {
            (Some(error), _) => Err(error),
            (None, Some(last)) => Ok(Judgement {
                reason: reasons.join("; "),
                ..last
            }),
            (None, None) => Err(Error::Config("the cascade has no backend".into())),
        }
    }

    fn understands(&self) -> bool {
        self.0.iter().any(|v| v.understands())
    }

    async fn warm_up(&self) -> Result<(), Error> {
        for vision in &self.0 {
            vision.warm_up().await?;
        }
        Ok(())
    }

    fn in_step(&self, step: &str) {
        self.0.iter().for_each(|v| v.in_step(step));
    }

    fn patience(&self) -> Duration {
        self.0.iter().map(|v| v.patience()).sum()
    }

    fn requests(&self) -> Vec<Request> {
        self.0.iter().flat_map(|v| v.requests()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers what it was made with.
    struct Says(fn() -> Result<Located, Error>, fn() -> Result<Verdict, Error>);

    #[async_trait]
    impl Vision for Says {
        fn name(&self) -> String {
            "says".into()
        }
        async fn locate(&self, _: &Frame, _: &Target) -> Result<Located, Error> {
            self.0()
        }
        async fn judge(&self, _: &Frame, _: &str) -> Result<Judgement, Error> {
            let verdict = self.1()?;
            Ok(Judgement {
                verdict,
                reason: "because".into(),
                evidence: vec![],
                named: vec![],
                rung: "vlm",
            })
        }
    }

    fn found() -> Result<Located, Error> {
        let hit = Hit {
            rect: Default::default(),
            point: Default::default(),
            confidence: 1.0,
            rung: "ocr",
            matched: "x".into(),
        };
        Ok(Located::Found(hit))
    }
    fn missing() -> Result<Located, Error> {
        Ok(Located::NotFound {
            reason: "nowhere".into(),
            sure: true,
        })
    }
    fn several() -> Result<Located, Error> {
        Ok(Located::Ambiguous { hits: vec![] })
    }
    fn certainly_several() -> Result<Located, Error> {
        match found()? {
            Located::Found(hit) => Ok(Located::Ambiguous {
                hits: vec![hit.clone(), hit],
            }),
            other => Ok(other),
        }
    }
    fn unable<T>() -> Result<T, Error> {
        Err(Error::Target("no text".into()))
    }
    fn broken<T>() -> Result<T, Error> {
        Err(Error::Config("broken".into()))
    }

    fn doubtful() -> Result<Located, Error> {
        match found()? {
            Located::Found(hit) => Ok(Located::Found(Hit { confidence: 0.3, ..hit })),
            other => Ok(other),
        }
    }
    fn unsure() -> Result<Located, Error> {
        Ok(Located::NotFound {
            reason: "perhaps".into(),
            sure: false,
        })
    }

    /// As `Says`, and what it surely does not see is not shown.
    struct Settles(fn() -> Result<Located, Error>);

    #[async_trait]
    impl Vision for Settles {
        fn name(&self) -> String {
            "settles".into()
        }
        async fn locate(&self, _: &Frame, _: &Target) -> Result<Located, Error> {
            self.0()
        }
        async fn judge(&self, _: &Frame, _: &str) -> Result<Judgement, Error> {
            broken()
        }
        fn settles_absence(&self, target: &Target) -> bool {
            target.text.is_some()
        }
    }

    #[tokio::test]
    async fn what_is_surely_not_read_is_not_shown_whatever_a_model_points_at() {
        let frame = Frame::from_image(image::RgbaImage::new(1, 1));
        let ask = async |a: fn() -> Result<Located, Error>, b: fn() -> Result<Located, Error>, presence: bool| {
            let target = Target {
                text: Some("Saved".into()),
                presence,
                ..Target::default()
            };
            let c = Cascade(vec![Arc::new(Settles(a)), Arc::new(Says(b, broken))]);
            match c.locate(&frame, &target).await {
                Ok(Located::Found(hit)) if hit.is_certain() => "found",
                Ok(Located::Found(_)) => "doubtful",
                Ok(Located::NotFound { sure: true, .. }) => "absent",
                Ok(Located::NotFound { sure: false, .. }) => "cannot tell",
                Ok(Located::Ambiguous { .. }) => "several",
                Err(_) => "error",
            }
        };
        assert_eq!(ask(missing, found, true).await, "absent");
        // A click is looked for on: the text may be a description.
        assert_eq!(ask(missing, found, false).await, "found");
        // What the reader leaves open, the next one answers.
        assert_eq!(ask(unsure, found, true).await, "found");
        assert_eq!(ask(unsure, missing, true).await, "cannot tell");
        assert_eq!(ask(unsure, broken, true).await, "error");
        // So is what was read with little certainty.
        for presence in [true, false] {
            assert_eq!(ask(doubtful, found, presence).await, "found");
            assert_eq!(ask(doubtful, missing, presence).await, "cannot tell");
            assert_eq!(ask(doubtful, broken, presence).await, "error");
            assert_eq!(ask(doubtful, unable, presence).await, "doubtful");
        }
        // A judge's word settles what the reader doubts.
        let presence = Target {
            text: Some("Saved".into()),
            presence: true,
            ..Target::default()
        };
        for reader in [unsure, doubtful, broken] {
            let c = Cascade(vec![Arc::new(Says(reader, broken)), Arc::new(Settles(missing))]);
            let answer = c.locate(&frame, &presence).await;
            assert!(matches!(answer, Ok(Located::NotFound { sure: true, .. })), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn the_first_that_decides_decides_and_an_outage_is_no_verdict() {
        let frame = Frame::from_image(image::RgbaImage::new(1, 1));
        let locate = async |a: fn() -> Result<Located, Error>, b: fn() -> Result<Located, Error>| {
            let c = Cascade(vec![Arc::new(Says(a, broken)), Arc::new(Says(b, broken))]);
            c.locate(&frame, &Target::default()).await
        };
        assert!(locate(several, broken).await.is_err(), "an outage is no ambiguity");
        let presence = Target {
            presence: true,
            ..Target::default()
        };
        let c = Cascade(vec![
            Arc::new(Says(certainly_several, broken)),
            Arc::new(Says(broken, broken)),
        ]);
        assert!(matches!(
            c.locate(&frame, &presence).await,
            Ok(Located::Ambiguous { .. })
        ));
        assert!(matches!(locate(missing, found).await, Ok(Located::Found(_))));
        assert!(matches!(locate(broken, found).await, Ok(Located::Found(_))));
        assert!(matches!(locate(several, found).await, Ok(Located::Found(_))));
        assert!(matches!(locate(several, missing).await, Ok(Located::Ambiguous { .. })));
        assert!(matches!(locate(missing, missing).await, Ok(Located::NotFound { .. })));
        assert!(locate(missing, broken).await.is_err());
        assert!(matches!(locate(unable, missing).await, Ok(Located::NotFound { .. })));
        assert!(matches!(locate(unable, unable).await, Err(Error::Target(_))));
        let judge = async |a: fn() -> Result<Verdict, Error>, b: fn() -> Result<Verdict, Error>| {
            let c = Cascade(vec![Arc::new(Says(missing, a)), Arc::new(Says(missing, b))]);
            c.judge(&frame, "?").await.map(|j| j.verdict).ok()
        };
        assert_eq!(
            judge(|| Ok(Verdict::CannotTell), || Ok(Verdict::False)).await,
            Some(Verdict::False)
        );
        assert_eq!(judge(|| Ok(Verdict::True), broken).await, Some(Verdict::True));
        assert_eq!(judge(|| Ok(Verdict::CannotTell), broken).await, None);
        assert_eq!(
            judge(|| Ok(Verdict::CannotTell), || Ok(Verdict::CannotTell)).await,
            Some(Verdict::CannotTell)
        );
        assert!(Cascade(vec![]).judge(&frame, "?").await.is_err());
    }
}
