//! All policy of a run: from the object and what was observed to one next step. Pure.

use super::super::backoff;
use super::resolve::Wrong;
use super::tasks::Task;
use crate::api::{
    FailureClass, FunctionalTestRun, FunctionalTestRunStatus, RunAttempt, RunFailure, RunPhase, RunResult, StepCounts,
    StepResult,
};
use crate::executor::Progress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::time::Duration;

/// Pause between looks while a VM is made or removed; changes of the VM object come earlier by themselves.
const VM_PAUSE: Duration = Duration::from_secs(2);
/// A referenced VM may be applied a little after the run; one that does not come is a misspelt name.
const REFERENCE_GRACE: Duration = Duration::from_secs(120);

/// What a run names may be applied a moment after it, by the same tool: so long it is waited for.
pub const MISSING_GRACE: Duration = Duration::from_secs(30);

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// This process.
    pub identity: String,
    /// The task of this run in this process.
    pub task: Task,
    /// The VM of the present attempt.
    pub vm: Vm,
    /// The scenario with its inputs, looked at before the run starts: digest, or all errors.
    pub check: Option<Result<String, Wrong>>,
}

/// The VM of the present attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Vm {
    /// Was not looked at.
    #[default]
    Unknown,
    /// Does not exist.
    Absent,
    /// Exists, but belongs to somebody else.
    Foreign(String),
    /// The referenced one, which nobody uses, as of this resourceVersion.
    Free { version: String },
    /// Ours (or the referenced one, held by us).
    Ours { state: VmState, deleting: bool },
}

/// How an attempt's VM is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VmState {
    /// On its way; the reason.
    Pending(String),
    /// Ready to use.
    Ready,
    /// Cannot go on without help.
    Failed(String),
    /// Cannot go on as it is declared, and no other try would.
    Misconfigured(String),
}

/// The one next step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Come back later; the message of `Succeeded` and `Ready`.
    Wait { message: String, after: Duration },
    /// Begin attempt `n`: note its VM's name.
    Begin { attempt: u32, digest: String },
    /// Make the attempt's VM.
    MakeVm,
    /// Claim the referenced VM, if it is still what was seen.
    ClaimVm { version: String },
    /// Note that this process carries the run out, then start the task.
    Start,
    /// Start the task: it is noted that this process carries the run out.
    Spawn,
    /// Write progress.
    Progress { progress: Progress },
    /// Pass `spec.cancel` on to the task.
    Cancel,
    /// The attempt is over: note the verdict, give the VM back.
    Finish(Box<Verdict>),
    /// Delete the attempt's VM.
    DropVm,
    /// Give the referenced VM back.
    UnclaimVm,
    /// Note the failed attempt and begin the next.
    Retry { record: Box<RunAttempt>, attempt: u32 },
    /// The run is over.
    Done(Box<Verdict>),
    /// Delete the run: its time to live is over.
    Expire,
    /// Nothing is left in the world: drop the finalizer.
    Release,
}

/// A verdict with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub result: RunResult,
    pub failure: Option<RunFailure>,
    pub steps: Option<StepCounts>,
    /// The steps that ended; empty where they are in status already.
    pub finished: Vec<StepResult>,
    /// Values that the run tells; empty where they are in status already.
    pub outputs: BTreeMap<String, String>,
}

fn failure(class: Option<FailureClass>, reason: &str, message: impl Into<String>) -> RunFailure {
    RunFailure {
        class,
        reason: reason.to_string(),
        message: message.into(),
        step: None,
    }
}

fn verdict(result: RunResult, failure: RunFailure) -> Box<Verdict> {
    Box::new(Verdict {
        result,
        failure: Some(failure),
        steps: None,
        finished: Vec::new(),
        outputs: BTreeMap::new(),
    })
}

fn error(class: FailureClass, reason: &str, message: impl Into<String>) -> Step {
    Step::Finish(verdict(RunResult::Error, failure(Some(class), reason, message)))
}

fn cancelled() -> Box<Verdict> {
    verdict(
        RunResult::Cancelled,
        failure(None, "Cancelled", "spec.cancel was set before the scenario ran"),
    )
}

/// The verdict when the run's VM could not be made for want of a right or of quota: nobody's test is wrong.
pub fn vm_refused(why: &str) -> Verdict {
    *verdict(
        RunResult::Error,
        failure(
            Some(FailureClass::Controller),
            "VmRefused",
            format!("the API server does not let the controller make the run's VM: {why}"),
        ),
    )
}

/// The verdict when the attempt's VM is not there to be used.
pub fn vm_lost(name: &str) -> Verdict {
    *verdict(
        RunResult::Error,
        failure(
            Some(FailureClass::Proxmox),
            "VmLost",
            format!("ProxmoxVM {name} was removed before the scenario began"),
        ),
    )
}

/// The verdict when there is no login to the VM's guest.
pub fn no_login(name: &str, why: &str) -> Verdict {
    *verdict(
        RunResult::Error,
        failure(
            Some(FailureClass::Guest),
            "NoGuestLogin",
            format!("ProxmoxVM {name}: {why}"),
        ),
    )
}

/// The verdict when what the run refers to is not what was checked before its VM was made.
pub fn changed(what: &str) -> Verdict {
    let message = format!("what the run refers to was changed after it began: {what}; make a new run");
    *verdict(RunResult::Invalid, failure(None, "ReferencesChanged", message))
}

fn wait(message: impl Into<String>, after: Duration) -> Step {
    Step::Wait {
        message: message.into(),
        after,
    }
}

/// Reason of a run whose process ended in the middle of it.
pub const INTERRUPTED: &str = "Interrupted";

/// Decides.
pub fn decide(run: &FunctionalTestRun, seen: &Observed, now: Timestamp) -> Step {
    let status = run.status.clone().unwrap_or_default();
    if run.metadata.deletion_timestamp.is_some() {
        return delete(run, &status, seen);
    }
    match status.phase {
        None | Some(RunPhase::Pending) => pending(run, seen, now),
        Some(RunPhase::Preparing) => preparing(run, seen, now),
        Some(RunPhase::Running) => running(run, &status, seen),
        Some(RunPhase::Finishing) => finishing(run, &status, seen, now),
        Some(RunPhase::Done) => done(run, &status, now),
    }
}

fn pending(run: &FunctionalTestRun, seen: &Observed, now: Timestamp) -> Step {
    if run.spec.cancel {
        return Step::Done(cancelled());
    }
    match &seen.check {
        Some(Ok(digest)) => Step::Begin {
            attempt: 1,
            digest: digest.clone(),
        },
        Some(Err(wrong)) if wrong.missing && age(run, now) < MISSING_GRACE => {
            wait(format!("waiting for what is missing: {wrong}"), VM_PAUSE)
        }
        Some(Err(wrong)) => {
            let reason = if wrong.missing { "ReferenceNotFound" } else { "Invalid" };
            Step::Done(verdict(RunResult::Invalid, failure(None, reason, wrong.to_string())))
        }
        None => wait("the scenario is being looked at", Duration::from_millis(200)),
    }
}

fn age(run: &FunctionalTestRun, now: Timestamp) -> Duration {
    let made = run.metadata.creation_timestamp.as_ref();
    made.map_or(MISSING_GRACE, |t| {
        Duration::try_from(now.duration_since(t.0)).unwrap_or_default()
    })
}

fn since_start(run: &FunctionalTestRun, now: Timestamp) -> Duration {
    let start = run.status.as_ref().and_then(|s| s.start_time.as_ref());
    start.map_or(Duration::ZERO, |t| {
        Duration::try_from(now.duration_since(t.0)).unwrap_or_default()
    })
}

fn status_vm(run: &FunctionalTestRun) -> &str {
    run.status
        .as_ref()
        .and_then(|s| s.vm_name.as_deref())
        .unwrap_or_default()
}

fn preparing(run: &FunctionalTestRun, seen: &Observed, now: Timestamp) -> Step {
    if run.spec.cancel {
        return Step::Finish(cancelled());
    }
    let referenced = run.spec.vm.reference.is_some();
    match &seen.vm {
        Vm::Unknown => wait("the VM is being looked at", Duration::from_millis(200)),
        Vm::Absent if referenced => match since_start(run, now) {
            early if early < REFERENCE_GRACE => wait("the referenced ProxmoxVM does not exist (yet)", VM_PAUSE),
            _ => Step::Finish(verdict(
                RunResult::Invalid,
                failure(
                    None,
                    "ReferenceNotFound",
                    format!("spec.vm.ref: ProxmoxVM {} does not exist", status_vm(run)),
                ),
            )),
        },
        Vm::Absent => Step::MakeVm,
        Vm::Free { version } => Step::ClaimVm {
            version: version.clone(),
        },
        Vm::Foreign(why) if referenced => wait(why.clone(), VM_PAUSE),
        Vm::Foreign(why) => error(FailureClass::Controller, "NameTaken", why.clone()),
        Vm::Ours { deleting: true, .. } => error(
            FailureClass::Proxmox,
            "VmDeleted",
            "the run's VM was deleted by somebody else",
        ),
        Vm::Ours { state, .. } => match state {
            VmState::Ready => Step::Start,
            VmState::Pending(why) => wait(why.clone(), VM_PAUSE),
            VmState::Failed(why) => error(FailureClass::Proxmox, "VmFailed", why.clone()),
            VmState::Misconfigured(why) => Step::Finish(verdict(
                RunResult::Invalid,
                failure(None, "TemplateNotUsable", why.clone()),
            )),
        },
    }
}

fn running(run: &FunctionalTestRun, status: &FunctionalTestRunStatus, seen: &Observed) -> Step {
    let attempt = status.attempt.unwrap_or(1);
    if status.executor.as_deref() != Some(&seen.identity) {
        return error(
            FailureClass::Controller,
            INTERRUPTED,
            format!(
                "the process that carried the run out ({}) ended in the middle of it",
                status.executor.as_deref().unwrap_or("unknown")
            ),
        );
    }
    match &seen.task {
        Task::Ended { attempt: n, outcome } if *n == attempt => Step::Finish(Box::new(Verdict {
            result: outcome.result,
            failure: outcome.failure.clone(),
            steps: Some(outcome.steps.clone()),
            finished: outcome.finished.clone(),
            outputs: outcome.outputs.clone(),
        })),
        Task::Running { attempt: n, .. } if *n == attempt && run.spec.cancel => Step::Cancel,
        Task::Running { attempt: n, progress } if *n == attempt => Step::Progress {
            progress: progress.clone(),
        },
        // Noted to run here, and not begun: there is nothing to ask to end.
        _ if run.spec.cancel => Step::Finish(cancelled()),
        // A task of an earlier attempt cannot be there: it is forgotten before the next begins.
        _ => Step::Spawn,
    }
}

fn finishing(run: &FunctionalTestRun, status: &FunctionalTestRunStatus, seen: &Observed, now: Timestamp) -> Step {
    if let Some(step) = give_back(run, seen) {
        return step;
    }
    let attempt = status.attempt.unwrap_or(1);
    let result = status.verdict.unwrap_or(RunResult::Error);
    let why = status.failure.clone();
    let retry = result == RunResult::Error && attempt <= run.spec.retries.infrastructure && !run.spec.cancel;
    if retry {
        return Step::Retry {
            record: Box::new(RunAttempt {
                attempt,
                failure: why
                    .unwrap_or_else(|| failure(Some(FailureClass::Controller), "Unknown", "no reason was recorded")),
                ended_at: Time(now),
                vm_name: status.vm_name.clone(),
            }),
            attempt: attempt + 1,
        };
    }
    Step::Done(Box::new(Verdict {
        result,
        failure: why,
        steps: status.steps.clone(),
        finished: Vec::new(),
        outputs: BTreeMap::new(),
    }))
}

/// What must still happen to the attempt's VM; `None` when it is given back.
fn give_back(run: &FunctionalTestRun, seen: &Observed) -> Option<Step> {
    if run.spec.vm.reference.is_some() {
        return matches!(seen.vm, Vm::Ours { .. }).then_some(Step::UnclaimVm);
    }
    match &seen.vm {
        Vm::Ours { deleting: false, .. } => Some(Step::DropVm),
        // It asks for help and says so itself; the verdict need not wait for that.
        Vm::Ours {
            state: VmState::Failed(_) | VmState::Misconfigured(_),
            deleting: true,
        } => None,
        Vm::Ours { .. } => Some(wait("the VM is being removed", VM_PAUSE)),
        Vm::Unknown => Some(wait("the VM is being looked at", Duration::from_millis(200))),
        Vm::Absent | Vm::Foreign(_) | Vm::Free { .. } => None,
    }
}

fn done(run: &FunctionalTestRun, status: &FunctionalTestRunStatus, now: Timestamp) -> Step {
    if run.finalizers().iter().any(|f| f == crate::api::FINALIZER) {
        return Step::Release;
    }
    let (Some(ttl), Some(ended)) = (run.spec.ttl_seconds_after_finished, &status.completion_time) else {
        return wait("", Duration::from_secs(3600));
    };
    let age = Duration::try_from(now.duration_since(ended.0)).unwrap_or_default();
    match Duration::from_secs(ttl.into()).checked_sub(age) {
        Some(left) if !left.is_zero() => wait("", left),
        _ => Step::Expire,
    }
}

fn delete(run: &FunctionalTestRun, status: &FunctionalTestRunStatus, seen: &Observed) -> Step {
    if matches!(seen.task, Task::Running { .. }) {
        return Step::Cancel;
    }
    if status
        .phase
        .is_none_or(|p| p == RunPhase::Pending || p == RunPhase::Done)
    {
        return Step::Release;
    }
    give_back(run, seen).unwrap_or(Step::Release)
}

/// How the phase line of an attempt's VM is put.
pub fn vm_message(name: &str, message: &str) -> String {
    if message.is_empty() {
        format!("waiting for VM {name}")
    } else {
        format!("waiting for VM {name}: {message}")
    }
}

/// Pause while the task works: news come by trigger, this is only the safety net.
pub fn task_pause() -> Duration {
    backoff::jitter(Duration::from_secs(5))
}
