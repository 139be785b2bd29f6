//! What may be decided: one step, carried out by `act`.

use super::super::conditions::Verdict;
use super::config::Change;
use super::seen::{Pinned, Template};
use crate::api::{VmDisplay, VmPhase};
use crate::proxmox::ErrorKind;
use std::time::Duration;

/// The one next step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Say so in status, come back later.
    Wait {
        phase: VmPhase,
        verdict: Verdict,
        after: Duration,
    },
    /// Note the intent, then clone.
    Clone {
        source: Template,
        vmid: u32,
        target: Option<String>,
        full: bool,
    },
    /// Note the UPID of a task whose answer was lost.
    Learn { upid: String },
    /// Note where the VM to adopt is. Nothing is written to it so far.
    Plan { vmid: u32, node: String },
    /// The VM is on another node now.
    Moved { node: String },
    /// Note the intent, then roll back.
    Rollback { snapshot: String },
    /// The rollback is done, once and for all.
    RolledBack { snapshot: String },
    /// Note the intent, then take the snapshot that the run asks for.
    Snapshot { name: String },
    /// Note the intent, then remove a snapshot.
    DropSnapshot { name: String },
    /// The snapshot is gone.
    Dropped { name: String },
    /// What the run asked for is carried out, or cannot be.
    Operated { failed: Option<String> },
    /// The present action failed: count it, forget its task.
    Failed { kind: ErrorKind, message: String },
    /// Note the intent, then write these keys.
    Configure { change: Change },
    /// Note the intent, then start.
    Start,
    /// Note what the guest says; the VM is ready.
    Ready {
        ip: Option<String>,
        display: VmDisplay,
        ssh: Option<Pinned>,
    },
    /// The guest has another address now.
    Readdressed { ip: String },
    /// Note the intent, then ask the guest to shut down.
    Shutdown,
    /// The object's time is over: delete it.
    Expire,
    /// Note the intent, then stop.
    Stop,
    /// Note the intent, then destroy.
    Destroy,
    /// Return the lease, drop the finalizer.
    Release,
}

pub const STALLED_PAUSE: Duration = Duration::from_secs(60);

pub fn wait(phase: VmPhase, verdict: Verdict, after: Duration) -> Step {
    Step::Wait { phase, verdict, after }
}

pub fn stalled(phase: VmPhase, reason: &'static str, message: impl Into<String>) -> Step {
    wait(phase, Verdict::stalled(reason, message), STALLED_PAUSE)
}
