//! The test's steps, and going back to a checkpoint where one of them fails.
//!
//! Promises: nothing is passed that failed once: a test that passed only after it had gone back is `softFailed`; only
//! what may be chance is tried again, so neither a crash nor trouble of the infrastructure is; each pass has steps of
//! its own in the record.

use super::failure::Failure;
use super::flow::{run_step, skip_reason};
use super::run::{Ended, Run};
use super::step::run_leaf;
use super::stop::Stop;
use crate::scenario::{Action, Snapshot, Step};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the VM has for going back, as a `rollback` that says nothing else.
const BACK: Duration = Duration::from_secs(300);

/// A checkpoint that the test can go back to.
struct Checkpoint<'s> {
    /// Place of its step in the list.
    place: usize,
    step: &'s Step,
    snapshot: &'s Snapshot,
    /// Number of the pass, from 1.
    pass: u32,
    /// Values that were captured by then.
    captured: BTreeMap<String, String>,
}

impl Checkpoint<'_> {
    fn is_open(&self) -> bool {
        self.pass < self.snapshot.attempts
    }

    /// The step that goes back.
    fn back(&self, from: &str) -> Step {
        let name = &self.snapshot.name;
        Step {
            id: format!("{}.back-{}", self.step.id, self.pass),
            label: format!(
                "back to {name}, as {from} did not pass: attempt {} of {}",
                self.pass + 1,
                self.snapshot.attempts
            ),
            section: self.step.section,
            place: self.step.place.clone(),
            action: Action::Rollback(name.clone()),
            verify: None,
            timeout: BACK,
            attempts: 1,
            soft: false,
            when: Vec::new(),
            settle: None,
            dwell: None,
            motion: None,
            mask: None,
            on_failure: Vec::new(),
            late: None,
        }
    }
}

/// The steps one after the other; where one fails, those after the newest checkpoint with `attempts` again.
pub(super) async fn run_test(run: &mut Run, steps: &[Step], stop: &Stop) -> Result<(), Ended> {
    let mut times = vec![0_u32; steps.len()];
    let mut checkpoint: Option<Checkpoint<'_>> = None;
    // What the test went back from first, with the checkpoint's name.
    let mut gone_back: Option<(Ended, String)> = None;
    let mut at = 0;
    while let Some(step) = steps.get(at) {
        times[at] += 1;
        run.again = checkpoint.as_ref().is_some_and(Checkpoint::is_open);
        let pass = times[at];
        if pass > 1 {
            run.rounds.push(pass);
        }
        let result = run_step(run, step, stop).await;
        if pass > 1 {
            run.rounds.pop();
        }
        run.again = false;
        let failed = match result {
            Ok(()) => {
                let taken = run.taken.take().is_some();
                if let (true, Action::Snapshot(snapshot)) = (taken && kept(step), &step.action) {
                    checkpoint = Some(Checkpoint {
                        place: at,
                        step,
                        snapshot,
                        pass: 1,
                        captured: run.captured().clone(),
                    });
                }
                at += 1;
                continue;
            }
            Err(failed) if step.soft && failed.failure.is_about_the_product() => {
                run.soft.get_or_insert(failed);
                at += 1;
                continue;
            }
            Err(failed) => failed,
        };
        match &mut checkpoint {
            Some(point) if point.is_open() && failed.failure.is_about_the_product() => {
                let back = point.back(&failed.step);
                gone_back.get_or_insert_with(|| (failed, point.snapshot.name.clone()));
                if let Err(lost) = run_leaf(run, &back, stop).await {
                    skip(run, &steps[at + 1..], &lost);
                    return Err(lost);
                }
                point.pass += 1;
                if let Some(frame) = run.frames.last_mut() {
                    frame.clone_from(&point.captured);
                }
                // What the next failure finds is another state.
                run.told_guest = false;
                at = point.place + 1;
            }
            _ => {
                skip(run, &steps[at + 1..], &failed);
                return Err(match &checkpoint {
                    Some(point) if point.pass > 1 => Ended {
                        failure: failed.failure.with(&format!(
                            "this was attempt {} of {} from the snapshot {} on",
                            point.pass, point.snapshot.attempts, point.snapshot.name
                        )),
                        ..failed
                    },
                    _ => failed,
                });
            }
        }
    }
    if let Some((Ended { failure, step }, name)) = gone_back {
        let failure: Failure = failure.with(&format!("the test went back to the snapshot {name} and passed then"));
        run.soft.get_or_insert(Ended { failure, step });
    }
    Ok(())
}

/// Whether the test can go back to what the step made.
fn kept(step: &Step) -> bool {
    matches!(&step.action, Action::Snapshot(snapshot) if snapshot.attempts > 1)
}

fn skip(run: &mut Run, steps: &[Step], ended: &Ended) {
    let reason = skip_reason(ended);
    steps.iter().for_each(|step| run.skip(step, &reason));
}
