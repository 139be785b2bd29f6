//! References: preparing them, making sure that they are still there, and what is kept of one that was not found.

use super::failure::Failure;
use super::step::Stage;
use crate::api::FailureClass;
use crate::desktop::Frame;
use crate::results::Role;
use crate::scenario::{Target, TargetFields};
use crate::vision::{Hit, Located, Reference, Wanted};
use std::sync::Arc;
use tokio::time::Instant;

/// A reference that was not found, and the picture in which it was looked for.
pub(super) struct Missed {
    wanted: Wanted,
    frame: Arc<Frame>,
}

fn broken(error: tokio::task::JoinError) -> Failure {
    Failure::error(FailureClass::Vision, "VisionFailed", error.to_string())
}

impl Stage<'_> {
    /// The target's reference, prepared; that is done once in a run.
    pub(super) async fn wanted(&mut self, target: &Target) -> Result<Option<Wanted>, Failure> {
        let Some(TargetFields {
            reference: Some(source),
            anywhere,
            ..
        }) = target.fields()
        else {
            return Ok(None);
        };
        let reference = match self.run.references.get(&source.name) {
            Some(known) => known.clone(),
            None => {
                let own = source.clone();
                // Reading a picture takes milliseconds: not on a thread that serves others.
                let prepared = tokio::task::spawn_blocking(move || Reference::new(&own))
                    .await
                    .map_err(broken)?;
                let prepared = Arc::new(prepared?);
                self.run.references.insert(source.name.clone(), prepared.clone());
                prepared
            }
        };
        let anywhere = *anywhere;
        Ok(Some(Wanted { reference, anywhere }))
    }

    /// Keeps what is to be explained should the step fail now.
    pub(super) fn remember(&mut self, wanted: Option<Wanted>, answer: &Located, frame: &Arc<Frame>) {
        if let Some(wanted) = wanted {
            self.missed = match answer {
                Located::NotFound { .. } => Some(Missed {
                    wanted,
                    frame: frame.clone(),
                }),
                _ => None,
            };
        }
    }

    /// True if a reference or an element is where it was found, on a newer picture: what it excludes may have changed.
    pub(super) async fn is_there(
        &mut self,
        target: &Target,
        hit: &Hit,
        live: &Arc<Frame>,
        until: Instant,
    ) -> Result<bool, Failure> {
        if let (Hit::NODE, Some(TargetFields { element: Some(_), .. })) = (hit.rung, target.fields()) {
            let answer = self.locate(live, target, false, until).await?;
            return Ok(matches!(answer, Located::Found(again) if again.rung == hit.rung && again.point == hit.point));
        }
        if hit.rung != Hit::REFERENCE {
            return Ok(false);
        }
        let mut wanted = super::locate::target_of(target);
        wanted.reference = self.wanted(target).await?;
        let vision = self.run.rig.vision.clone();
        let answer = self.answer(vision.locate(live, &wanted), until).await?;
        Ok(matches!(answer, Located::Found(again) if again.rung == hit.rung && again.point == hit.point))
    }

    /// Shows how the screen differs from the reference that was not found, and proposes what could replace its files.
    /// Returns what is worth telling in the failure.
    pub(super) async fn explain_missed(&mut self) -> Option<String> {
        let Missed { wanted, frame } = self.missed.take()?;
        let recorder = self.run.recorder.clone();
        // Of what must not be seen, nothing is proposed.
        if recorder.veiled() {
            return None;
        }
        // Only what may be stored is shown in the difference.
        let (looked, shown) = (frame.clone(), recorder.storable(&frame));
        let explain = move || wanted.reference.explain(&looked, &shown, wanted.anywhere);
        let explained = tokio::task::spawn_blocking(explain).await;
        let explained = match explained {
            Ok(Ok(explained)) => explained,
            Ok(Err(error)) => {
                self.note(&format!("the difference to the reference cannot be shown: {error}"));
                return None;
            }
            Err(error) => {
                self.note(&format!("the difference to the reference cannot be shown: {error}"));
                return None;
            }
        };
        let difference = Arc::new(Frame::from_image(explained.difference));
        recorder
            .screenshot(&self.step.id, Role::Difference, &difference, Vec::new())
            .await;
        recorder
            .candidate(&self.step.id, &explained.key, &frame, explained.sidecar)
            .await;
        let found = explained.elsewhere?;
        Some(format!(
            "the reference fits at {},{}, moved by {}, {}, which is more than its margin",
            found.rect.x, found.rect.y, found.moved.0, found.moved.1
        ))
    }
}
