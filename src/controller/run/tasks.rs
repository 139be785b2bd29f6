//! The runs that this process carries out: at most one task per run.

use super::super::context::lock;
use crate::api::FunctionalTestRun;
use crate::executor::{Executor, Job, Outcome, Progress};
use kube::runtime::reflector::ObjectRef;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Status is written at most this often for progress.
const THROTTLE: Duration = Duration::from_millis(500);

/// What is known of a run's task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// There is none.
    #[default]
    None,
    /// At work on this attempt.
    Running { attempt: u32, progress: Progress },
    /// This attempt ended.
    Ended { attempt: u32, outcome: Outcome },
}

struct Handle {
    attempt: u32,
    cancel: CancellationToken,
    progress: watch::Receiver<Progress>,
    outcome: Arc<Mutex<Option<Outcome>>>,
    join: tokio::task::JoinHandle<()>,
}

/// Tasks by the run's UID.
#[derive(Default)]
pub struct Tasks(Mutex<HashMap<String, Handle>>);

impl Tasks {
    /// State of a run's task.
    pub fn get(&self, uid: &str) -> Task {
        let map = lock(&self.0);
        let Some(h) = map.get(uid) else {
            return Task::None;
        };
        let attempt = h.attempt;
        match lock(&h.outcome).clone() {
            Some(outcome) => Task::Ended { attempt, outcome },
            None if h.join.is_finished() => Task::Ended {
                attempt,
                outcome: crashed(),
            },
            None => Task::Running {
                attempt,
                progress: h.progress.borrow().clone(),
            },
        }
    }

    /// Starts a run's task unless it has one.
    pub fn start(
        &self,
        executor: Arc<dyn Executor>,
        job: Job,
        trigger: mpsc::UnboundedSender<ObjectRef<FunctionalTestRun>>,
    ) {
        let mut map = lock(&self.0);
        if map.contains_key(&job.uid) {
            return;
        }
        let uid = job.uid.clone();
        let attempt = job.attempt;
        let about = ObjectRef::new(&job.name).within(&job.namespace);
        let cancel = CancellationToken::new();
        let (sender, receiver) = watch::channel(Progress::default());
        let outcome = Arc::new(Mutex::new(None));
        let (token, mut news, slot) = (cancel.clone(), receiver.clone(), outcome.clone());
        let join = tokio::spawn(async move {
            let work = executor.run(job, sender, token);
            tokio::pin!(work);
            let mut last = Instant::now();
            let ended = loop {
                tokio::select! {
                    ended = &mut work => break ended,
                    changed = news.changed() => {
                        if changed.is_err() {
                            break work.await;
                        }
                        let wait = THROTTLE.saturating_sub(last.elapsed());
                        if !wait.is_zero() {
                            tokio::select! {
                                ended = &mut work => break ended,
                                () = tokio::time::sleep(wait) => {}
                            }
                        }
                        last = Instant::now();
                        let _ = trigger.send(about.clone());
                    }
                }
            };
            *lock(&slot) = Some(ended);
            let _ = trigger.send(about);
        });
        map.insert(
            uid,
            Handle {
                attempt,
                cancel,
                progress: receiver,
                outcome,
                join,
            },
        );
    }

    /// Asks a run's task to end; its cleanup still runs.
    pub fn cancel(&self, uid: &str) {
        if let Some(h) = lock(&self.0).get(uid) {
            h.cancel.cancel();
        }
    }

    /// Forgets a task that ended.
    pub fn forget(&self, uid: &str) {
        let mut map = lock(&self.0);
        if map
            .get(uid)
            .is_some_and(|h| h.join.is_finished() || lock(&h.outcome).is_some())
        {
            map.remove(uid);
        }
    }

    /// Ends a task at once.
    pub fn abort(&self, uid: &str) {
        if let Some(h) = lock(&self.0).remove(uid) {
            h.join.abort();
        }
    }

    /// Ends all tasks at once.
    pub fn abort_all(&self) {
        for (_, h) in lock(&self.0).drain() {
            h.join.abort();
        }
    }
}

/// What a process stops looking after must not go on typing into a VM that the next one cleans up.
impl Drop for Tasks {
    fn drop(&mut self) {
        self.abort_all();
    }
}

fn crashed() -> Outcome {
    use crate::api::{FailureClass, RunFailure, RunResult, StepCounts};
    Outcome {
        result: RunResult::Error,
        failure: Some(RunFailure {
            class: Some(FailureClass::Controller),
            reason: "ExecutorDied".to_string(),
            message: "the task that carried the run out died; see the log of this process".to_string(),
            step: None,
        }),
        steps: StepCounts::default(),
        finished: Vec::new(),
        outputs: Default::default(),
    }
}
