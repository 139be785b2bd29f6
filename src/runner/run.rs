//! The whole run: sections in their order, the verdict.

use super::failure::{Failure, Kind};
use super::step::run_step;
use super::watch::Watch;
use super::{Limits, Outcome, Rig};
use crate::api::{FailureClass, RunFailure, RunResult, StepCounts};
use crate::desktop::{LinkFacts, Rect};
use crate::guest::Session;
use crate::results::{Body, Recorder, StepOutcome};
use crate::scenario::{Plan, Step};
use crate::vision::{Reference, References};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Cleanup has time of its own, or a run that was out of time could leave anything behind.
const CLEANUP: Duration = Duration::from_secs(600);

/// What the steps of a run share.
pub(super) struct Run {
    pub rig: Rig,
    pub recorder: Recorder,
    pub session: Option<Session>,
    pub watch: Watch,
    /// Texts that were typed, secrets aside.
    pub typed: BTreeSet<String>,
    /// References that have been looked for, by name.
    pub references: BTreeMap<String, Arc<Reference>>,
    /// Where the screen moved by itself when it was last waited for.
    pub moving: Option<Rect>,
    /// The link to the desktop as of the last picture.
    pub link: LinkFacts,
    counts: StepCounts,
}

impl Run {
    pub fn count(&mut self, outcome: StepOutcome) {
        let count = match outcome {
            StepOutcome::Passed => &mut self.counts.passed,
            StepOutcome::SoftFailed => &mut self.counts.soft_failed,
            StepOutcome::Failed | StepOutcome::TimedOut | StepOutcome::Crashed => &mut self.counts.failed,
            StepOutcome::Skipped => &mut self.counts.skipped,
            StepOutcome::Error => &mut self.counts.error,
        };
        *count += 1;
    }

    fn skip(&mut self, step: &Step, reason: &str) {
        self.count(StepOutcome::Skipped);
        self.recorder.emit(Body::StepEnd {
            step: step.id.clone(),
            outcome: StepOutcome::Skipped,
            reason: Some("Skipped".into()),
            message: Some(reason.to_string()),
            class: None,
            attempts: 0,
            ms: 0,
        });
    }
}

/// Carries the plan out and records it; never fails itself. The recorder was made with this plan, which its first event
/// tells. `cancel` ends it early; cleanup runs all the same.
pub async fn run(plan: Plan, rig: Rig, recorder: Recorder, limits: Limits, cancel: CancellationToken) -> Outcome {
    let deadline = Instant::now() + limits.timeout;
    let rig = Rig {
        vision: Arc::new(References(rig.vision)),
        ..rig
    };
    let mut run = Run {
        rig,
        recorder: recorder.clone(),
        session: None,
        watch: Watch::default(),
        typed: BTreeSet::new(),
        references: BTreeMap::new(),
        moving: None,
        link: LinkFacts::default(),
        counts: StepCounts {
            total: u32::try_from(plan.all_steps().count()).unwrap_or(u32::MAX),
            ..StepCounts::default()
        },
    };

    // What ended the test, and where; what failed softly.
    let mut ended: Ended = None;
    let mut soft: Ended = None;
    for step in plan.setup.iter().chain(&plan.steps) {
        if let Some((failure, at)) = &ended {
            let reason = match failure.kind {
                Kind::Cancelled => "the run was cancelled".to_string(),
                Kind::RunTimedOut => "the run's time was up".to_string(),
                _ => format!("{at} did not pass"),
            };
            run.skip(step, &reason);
            continue;
        }
        let interrupt = async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Failure {
                    kind: Kind::Cancelled,
                    reason: "Cancelled",
                    message: "the run was cancelled".into(),
                },
                () = tokio::time::sleep_until(deadline) => Failure {
                    kind: Kind::RunTimedOut,
                    reason: "RunTimedOut",
                    message: format!("the run's time of {:?} was up", limits.timeout),
                },
            }
        };
        match run_step(&mut run, step, interrupt).await {
            Ok(()) => {}
            Err(failure) if step.soft && failure.is_about_the_product() => {
                soft.get_or_insert((failure, step.id.clone()));
            }
            Err(failure) => ended = Some((failure, step.id.clone())),
        }
    }

    let mut untidy: Ended = None;
    let until = Instant::now() + CLEANUP;
    for step in &plan.cleanup {
        let interrupt = async {
            tokio::time::sleep_until(until).await;
            Failure {
                kind: Kind::TimedOut,
                reason: "CleanupTimedOut",
                message: format!("cleanup took longer than {CLEANUP:?}"),
            }
        };
        if let Err(failure) = run_step(&mut run, step, interrupt).await {
            let place = cleanup_place(&failure, &mut ended, &mut untidy);
            place.get_or_insert((failure, step.id.clone()));
        }
    }

    let (result, failure) = verdict(ended, soft, untidy);
    let mut outcome = Outcome {
        result,
        failure: failure.map(|f| RunFailure {
            message: recorder.masked(&f.message),
            ..f
        }),
        steps: run.counts,
    };
    // Writing the reports reads and scales every picture: not on a thread that serves others.
    let (writer, what) = (recorder, outcome.clone());
    let written = tokio::task::spawn_blocking(move || writer.finish(what.result, what.failure, what.steps)).await;
    let error = match written {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(error) = error {
        // A verdict without evidence is none that anybody could trust.
        outcome.result = RunResult::Error;
        let failure = Failure::error(FailureClass::Artifact, "EvidenceNotStored", error);
        outcome.failure = Some(failure.for_status(None));
    }
    outcome
}

type Ended = Option<(Failure, String)>;

/// Where a failure of a cleanup step counts: lost evidence ends the test, since a verdict without evidence is none that
/// anybody could trust; anything else is only told.
fn cleanup_place<'a>(failure: &Failure, ended: &'a mut Ended, untidy: &'a mut Ended) -> &'a mut Ended {
    match failure.kind {
        Kind::Error(FailureClass::Artifact) if ended.is_none() => ended,
        _ => untidy,
    }
}

/// The run's verdict. A failed cleanup is told with a verdict that is not `passed`, and never changes one; with
/// `passed` the counts and the report tell it.
fn verdict(ended: Ended, soft: Ended, untidy: Ended) -> (RunResult, Option<RunFailure>) {
    let (result, mut failure) = match (ended, soft) {
        (Some((failure, step)), _) => (failure.result(), failure.for_status(Some(&step))),
        (None, Some((failure, step))) => (RunResult::SoftFailed, failure.for_status(Some(&step))),
        (None, None) => return (RunResult::Passed, None),
    };
    if let Some((cleanup, step)) = untidy {
        failure.message += &format!(". Cleanup failed too, in {step}: {}", cleanup.message);
    }
    (result, Some(failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_lost_in_cleanup_leaves_no_verdict_passed() {
        let lost = || Failure::error(FailureClass::Artifact, "EvidenceNotStored", "disk full");
        let after = |failure: Failure, mut ended: Ended| {
            let mut untidy = None;
            *cleanup_place(&failure, &mut ended, &mut untidy) = Some((failure.clone(), "c".to_string()));
            verdict(ended, None, untidy)
        };
        let (result, failure) = after(lost(), None);
        assert_eq!(
            (result, failure.unwrap().class),
            (RunResult::Error, Some(FailureClass::Artifact))
        );
        let failed = Failure::failed("CheckFailed", "no");
        assert_eq!(after(failed.clone(), None).0, RunResult::Passed);
        assert_eq!(after(lost(), Some((failed, "s".into()))).0, RunResult::Failed);
    }

    #[test]
    fn verdicts() {
        let at = |f: Failure| Some((f, "s".to_string()));
        let failed = || at(Failure::failed("CheckFailed", "no"));
        let infra = || at(Failure::error(FailureClass::Vision, "VisionFailed", "gone"));
        assert_eq!(verdict(None, None, None), (RunResult::Passed, None));
        assert_eq!(verdict(None, None, failed()), (RunResult::Passed, None));
        assert_eq!(verdict(None, failed(), None).0, RunResult::SoftFailed);
        let (result, failure) = verdict(failed(), failed(), infra());
        let failure = failure.unwrap();
        assert_eq!(
            (result, failure.class, failure.step.as_deref()),
            (RunResult::Failed, None, Some("s"))
        );
        assert_eq!(failure.message, "no. Cleanup failed too, in s: gone");
        let (result, failure) = verdict(infra(), None, None);
        assert_eq!(
            (result, failure.unwrap().class),
            (RunResult::Error, Some(FailureClass::Vision))
        );
    }
}
