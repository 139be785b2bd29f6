//! The whole run: sections in their order, the verdict.

use super::failure::{Failure, Kind};
use super::flow::{run_step, run_steps};
use super::passes::run_test;
use super::stop::Stop;
use super::watch::Watch;
use super::{Limits, Outcome, Rig, TIMEOUT};
use crate::api::{FailureClass, RunFailure, RunResult, StepCounts};
use crate::desktop::{LinkFacts, Rect};
use crate::guest::{self, Guest, LogMarks, Session};
use crate::results::{Body, PlannedStep, Recorder, StepOutcome};
use crate::scenario::{Action, Check, Plan, Step};
use crate::vision::{Reference, References};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Cleanup has time of its own, or a run that was out of time could leave anything behind.
const CLEANUP: Duration = Duration::from_secs(600);
/// How long the guest may take to tell how long its logs are.
const LOGS: Duration = Duration::from_secs(30);

/// What the steps of a run share.
pub(super) struct Run {
    pub rig: Rig,
    pub recorder: Recorder,
    pub session: Option<Session>,
    pub watch: Watch,
    /// Checkpoints by name, with the programs that run on after going back to one that holds the memory.
    pub checkpoints: BTreeMap<String, Option<Watch>>,
    /// The snapshot that was taken last, until somebody asks.
    pub taken: Option<String>,
    /// A step that fails now is tried again from a checkpoint on.
    pub again: bool,
    /// The VM is off: a step has switched it off.
    pub off: bool,
    /// What the logs were like when the run began, or why nobody knows.
    pub logs: Result<LogMarks, Failure>,
    /// Texts that were typed, secrets aside.
    pub typed: BTreeSet<String>,
    /// References that have been looked for, by name.
    pub references: BTreeMap<String, Arc<Reference>>,
    /// Where the screen moved by itself when it was last waited for.
    pub moving: Option<Rect>,
    /// The link to the desktop as of the last picture.
    pub link: LinkFacts,
    /// The state of the guest has been recorded.
    pub told_guest: bool,
    /// A step of the test was carried out, or a condition of one was looked at.
    pub tested: bool,
    /// The first soft failure.
    pub soft: Option<Ended>,
    /// Values that steps have captured: of the scenario, and of each routine that is at work.
    pub frames: Vec<BTreeMap<String, String>>,
    /// The rounds that are at work, the innermost last.
    pub rounds: Vec<u32>,
    counts: StepCounts,
    /// Steps that have not ended: of the plan, and those that came in addition.
    open: BTreeSet<String>,
    /// Ids that are told already, with their labels.
    planned: BTreeMap<String, String>,
}

/// What ended a list of steps.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub failure: Failure,
    /// Id of the innermost step that did not pass.
    pub step: String,
}

impl Ended {
    pub fn new(failure: Failure, step: &Step) -> Ended {
        let step = step.id.clone();
        Ended { failure, step }
    }
}

impl Run {
    /// The values that the present steps can use.
    pub fn captured(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.frames.last().unwrap_or(&NONE)
    }

    /// What ids have at their end: nothing in the first round, which the plan tells.
    pub fn round(&self) -> String {
        match self.rounds.iter().all(|round| *round <= 1) {
            true => String::new(),
            false => self.rounds.iter().map(|round| format!(".{round}")).collect(),
        }
    }

    /// The step's id in the plan, whatever round it is in.
    pub fn planned_id(&self, step: &Step) -> String {
        let id = step.id.as_str();
        id.strip_suffix(&self.round()).unwrap_or(id).to_string()
    }

    /// The step begins. One that the plan does not have is told with its label.
    pub fn begin(&mut self, step: &Step) {
        let (mut further, mut label) = (None, None);
        match self.planned.get(&step.id) {
            None => {
                further = Some(PlannedStep::of(step, None));
                self.planned.insert(step.id.clone(), step.label.clone());
                self.counts.total += 1;
            }
            Some(planned) if *planned != step.label => label = Some(step.label.clone()),
            Some(_) => {}
        }
        self.open.insert(step.id.clone());
        self.rig.vision.in_step(&step.id);
        self.recorder.emit(Body::StepStart {
            step: step.id.clone(),
            further,
            label,
        });
    }

    /// The step ends.
    pub fn end(&mut self, step: &Step, result: Result<Option<String>, &Failure>, attempts: u32, start: Instant) {
        let (outcome, failure, healed) = match result {
            Ok(None) => (StepOutcome::Passed, None, None),
            Ok(healed) => (StepOutcome::Healed, None, healed),
            Err(failure) => (failure.outcome(step.soft || self.again), Some(failure), None),
        };
        self.open.remove(&step.id);
        self.counts.add(outcome);
        self.recorder.emit(Body::StepEnd {
            step: step.id.clone(),
            outcome,
            reason: failure.map(|f| f.reason.to_string()),
            message: failure.map(|f| f.message.clone()).or(healed),
            class: failure.and_then(|f| match f.kind {
                Kind::Error(class) => Some(class),
                _ => None,
            }),
            attempts,
            ms: start.elapsed().as_millis() as u64,
        });
    }

    /// The step does not run, nor do those within it. What has ended, or is no step of the plan, needs no end.
    pub fn skip(&mut self, step: &Step, reason: &str) {
        let round = self.round();
        for step in step.flatten() {
            // A step that is skipped by itself bears its round already.
            let id = match step.id.ends_with(&round) {
                true => step.id.clone(),
                false => format!("{}{round}", step.id),
            };
            if !self.open.remove(&id) {
                continue;
            }
            self.counts.add(StepOutcome::Skipped);
            self.recorder.emit(Body::StepEnd {
                step: id,
                outcome: StepOutcome::Skipped,
                reason: Some("Skipped".into()),
                message: Some(reason.to_string()),
                class: None,
                attempts: 0,
                ms: 0,
            });
        }
    }
}

/// Exit codes that some condition of the plan asks for: ending so is no crash.
fn codes(plan: &Plan) -> BTreeSet<i32> {
    let mut codes = BTreeSet::new();
    for step in plan.all_steps() {
        // What must never hold is not asked for.
        let asked = !matches!(step.action, Action::Never(_));
        step.conditions().for_each(|check| wanted(check, asked, &mut codes));
    }
    codes
}

fn wanted(check: &Check, asked: bool, codes: &mut BTreeSet<i32>) {
    match check {
        Check::Exited(code) if asked => {
            codes.insert(*code);
        }
        Check::Not(check) => wanted(check, !asked, codes),
        Check::Any(checks) | Check::All(checks) => checks.iter().for_each(|check| wanted(check, asked, codes)),
        _ => {}
    }
}

/// The step, and those that tell more when it fails.
fn with_further(step: &Step) -> Vec<&Step> {
    let further = step.on_failure.iter().flat_map(Step::flatten);
    std::iter::once(step).chain(further.flat_map(with_further)).collect()
}

/// What the logs are like that the plan will look at. What goes wrong is told by the step that looks.
async fn log_marks(plan: &Plan, guest: &dyn Guest) -> Result<LogMarks, Failure> {
    let mut paths: BTreeSet<String> = BTreeSet::new();
    let steps = plan.all_steps().flat_map(with_further);
    let checks = steps.flat_map(Step::conditions).flat_map(Check::parts);
    paths.extend(checks.filter_map(|check| match check {
        Check::Log(log) => Some(log.path.clone()),
        _ => None,
    }));
    match paths.is_empty() {
        true => Ok(LogMarks::default()),
        false => {
            let paths: Vec<String> = paths.into_iter().collect();
            match tokio::time::timeout(LOGS, guest::log_marks(guest, &paths)).await {
                Ok(marks) => Ok(marks?),
                Err(_) => Err(Failure::error(
                    FailureClass::Guest,
                    "GuestStuck",
                    format!("the guest did not tell the length of its logs within {LOGS:?}"),
                )),
            }
        }
    }
}

/// How long the run may take, and who says so: the run's own word counts, since it knows the machine.
fn limit(plan: &Plan, limits: Limits) -> (Duration, &'static str) {
    match (limits.timeout, plan.budget) {
        (Some(timeout), _) => (timeout, "timeoutSeconds of the run"),
        (None, Some(budget)) => (budget, "the scenario's budget"),
        (None, None) => (TIMEOUT, "where neither timeoutSeconds nor a budget is given"),
    }
}

/// Characters of a value that a run tells: it stands in the status of an object, which must stay small.
const OUTPUT: usize = 1024;

/// What of the captured values the run tells.
fn outputs(names: &[String], captured: &BTreeMap<String, String>, recorder: &Recorder) -> BTreeMap<String, String> {
    let value = |name: &String| {
        // Masked before it is cut.
        let whole = recorder.masked(captured.get(name)?);
        let more = whole.chars().count().saturating_sub(OUTPUT);
        let told = match more {
            0 => whole,
            more => {
                let note = format!("… ({} more characters)", more + 40);
                whole.chars().take(OUTPUT - 40).chain(note.chars()).collect()
            }
        };
        Some((name.clone(), told))
    };
    names.iter().filter_map(value).collect()
}

/// Carries the plan out and records it; never fails itself. The recorder was made with this plan, which its first event
/// tells. `cancel` ends it early; cleanup runs all the same.
pub async fn run(plan: Plan, rig: Rig, recorder: Recorder, limits: Limits, cancel: CancellationToken) -> Outcome {
    let rig = Rig {
        vision: Arc::new(References(rig.vision)),
        ..rig
    };
    let stop = Stop::of_run(cancel, limit(&plan, limits));
    let planned: BTreeMap<String, String> = plan
        .all_steps()
        .map(|step| (step.id.clone(), step.label.clone()))
        .collect();
    let guest = rig.guest.clone();
    let mut run = Run {
        rig,
        recorder: recorder.clone(),
        session: None,
        watch: Watch::expecting(codes(&plan)),
        checkpoints: BTreeMap::new(),
        taken: None,
        again: false,
        off: false,
        logs: log_marks(&plan, guest.as_ref()).await,
        typed: BTreeSet::new(),
        references: BTreeMap::new(),
        moving: None,
        link: LinkFacts::default(),
        told_guest: false,
        tested: false,
        soft: None,
        frames: vec![BTreeMap::new()],
        rounds: Vec::new(),
        counts: StepCounts {
            total: u32::try_from(planned.len()).unwrap_or(u32::MAX),
            ..StepCounts::default()
        },
        open: planned.keys().cloned().collect(),
        planned,
    };

    let mut ended = run_steps(&mut run, &plan.setup, &stop).await.err();
    match &ended {
        None => {
            let std::ops::Range { start, end } = plan.range;
            let left_out = |run: &mut Run, steps: &[Step]| {
                steps
                    .iter()
                    .for_each(|step| run.skip(step, "it is not of the part that was asked for"));
            };
            left_out(&mut run, &plan.steps[..start]);
            ended = run_test(&mut run, &plan.steps[start..end], &stop).await.err();
            left_out(&mut run, &plan.steps[end..]);
        }
        Some(Ended { failure, step }) => {
            let reason = match failure.kind {
                Kind::Cancelled => "the run was cancelled".to_string(),
                _ => format!("{step} did not pass"),
            };
            plan.steps.iter().for_each(|step| run.skip(step, &reason));
        }
    }

    let mut untidy: Option<Ended> = None;
    let stop = Stop::of_cleanup(CLEANUP);
    for step in &plan.cleanup {
        if let Err(failed) = run_step(&mut run, step, &stop).await {
            let place = cleanup_place(&failed.failure, &mut ended, &mut untidy);
            place.get_or_insert(failed);
        }
    }

    if let Some(film) = &run.rig.film
        && let Some(video) = film.end().await
    {
        recorder.video(video);
    }
    recorder.stored().await;
    let soft = run.soft.take();
    let captured = run.captured().clone();
    let (result, failure) = match verdict(ended, soft, untidy) {
        (RunResult::Passed, _) if !run.tested => (RunResult::Skipped, Some(nothing_ran())),
        verdict => verdict,
    };
    let mut outcome = Outcome {
        result,
        failure: failure.map(|f| RunFailure {
            message: recorder.masked(&f.message),
            ..f
        }),
        steps: run.counts,
        outputs: outputs(&plan.outputs, &captured, &recorder),
    };
    // Writing the reports reads and scales every picture: not on a thread that serves others.
    let (writer, what) = (recorder, outcome.clone());
    let written =
        tokio::task::spawn_blocking(move || writer.finish(what.result, what.failure, what.steps, what.outputs)).await;
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

/// Nothing was tested, so that nothing has passed.
fn nothing_ran() -> RunFailure {
    RunFailure {
        class: None,
        reason: "NothingRan".to_string(),
        message:
            "every step of the test was left out: the inputs and the values that the set-up captured are not those \
                  that their 'when' asks for"
                .to_string(),
        step: None,
    }
}

/// Where a failure of a cleanup step counts: lost evidence ends the test, since a verdict without evidence is none that
/// anybody could trust; anything else is only told.
fn cleanup_place<'a>(
    failure: &Failure,
    ended: &'a mut Option<Ended>,
    untidy: &'a mut Option<Ended>,
) -> &'a mut Option<Ended> {
    match failure.kind {
        Kind::Error(FailureClass::Artifact) if ended.is_none() => ended,
        _ => untidy,
    }
}

/// The run's verdict. A failed cleanup is told with a verdict that is not `passed`, and never changes one; with
/// `passed` the counts and the report tell it.
fn verdict(ended: Option<Ended>, soft: Option<Ended>, untidy: Option<Ended>) -> (RunResult, Option<RunFailure>) {
    let (result, mut failure) = match (ended, soft) {
        (Some(Ended { failure, step }), _) => (failure.result(), failure.for_status(Some(&step))),
        (None, Some(Ended { failure, step })) => (RunResult::SoftFailed, failure.for_status(Some(&step))),
        (None, None) => return (RunResult::Passed, None),
    };
    if let Some(Ended { failure: cleanup, step }) = untidy {
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
        let at = |failure: Failure| Ended {
            failure,
            step: "s".to_string(),
        };
        let after = |failure: Failure, mut ended: Option<Ended>| {
            let mut untidy = None;
            *cleanup_place(&failure, &mut ended, &mut untidy) = Some(at(failure.clone()));
            verdict(ended, None, untidy)
        };
        let (result, failure) = after(lost(), None);
        assert_eq!(
            (result, failure.unwrap().class),
            (RunResult::Error, Some(FailureClass::Artifact))
        );
        let failed = Failure::failed("CheckFailed", "no");
        assert_eq!(after(failed.clone(), None).0, RunResult::Passed);
        assert_eq!(after(lost(), Some(at(failed))).0, RunResult::Failed);
    }

    #[test]
    fn verdicts() {
        let at = |failure: Failure| {
            let step = "s".to_string();
            Some(Ended { failure, step })
        };
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
