//! Several backends in turn: the first that can decide does.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Error, Judgement, Located, Request, Target, Verdict, Vision};
use crate::desktop::Frame;

/// Backends in the order to ask, usually OCR and then a VLM. OCR passes on what it cannot decide.
///
/// A backend that fails does not stop the others, but if none of them decides, its failure is the answer: "not found" and
/// "cannot tell" are given only when every backend has really looked.
pub struct Cascade(pub Vec<Arc<dyn Vision>>);

#[async_trait]
impl Vision for Cascade {
    fn name(&self) -> String {
        self.0.iter().map(|v| v.name()).collect::<Vec<_>>().join(", then ")
    }

    async fn locate(&self, frame: &Frame, target: &Target) -> Result<Located, Error> {
        let (mut reasons, mut failure, mut ambiguous, mut unable) = (Vec::new(), None, None, None);
        let mut all_sure = true;
        for vision in &self.0 {
            match vision.locate(frame, target).await {
                Ok(found @ Located::Found(_)) => return Ok(found),
                // It is shown; where else is not asked.
                Ok(hits @ Located::Ambiguous { .. }) if target.presence => return Ok(hits),
                Ok(Located::NotFound { reason, sure }) => {
                    all_sure &= sure;
                    reasons.push(format!("{}: {reason}", vision.name()));
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
        match (ambiguous, failure) {
            // The backend that failed might have told them apart.
            (_, Some(error)) => Err(error),
            (Some(ambiguous), None) => Ok(ambiguous),
            (None, None) if self.0.is_empty() => Err(Error::Config("the cascade has no backend".into())),
            (None, None) => match unable.filter(|_| reasons.is_empty()) {
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

    async fn warm_up(&self) -> Result<(), Error> {
        for vision in &self.0 {
            vision.warm_up().await?;
        }
        Ok(())
    }

    fn begin_step(&self) {
        self.0.iter().for_each(|v| v.begin_step());
    }

    fn requests(&self) -> Vec<Request> {
        self.0.iter().flat_map(|v| v.requests()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::Hit;

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
    fn unable<T>() -> Result<T, Error> {
        Err(Error::Target("no text".into()))
    }
    fn broken<T>() -> Result<T, Error> {
        Err(Error::Config("broken".into()))
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
        let c = Cascade(vec![Arc::new(Says(several, broken)), Arc::new(Says(broken, broken))]);
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
