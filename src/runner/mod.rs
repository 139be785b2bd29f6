//! Carries one scenario out on one desktop.
//!
//! Promises: every step of the plan gets exactly one end; cleanup runs whatever happened before; a verdict about the
//! product is never given because of the infrastructure; a check is decided on a frame that is newer than the last
//! input; what is written anywhere holds no secret.

mod act;
mod ahead;
mod check;
mod display;
mod failure;
mod feasible;
mod flow;
mod hypervisor;
mod in_guest;
mod locate;
mod machine;
mod never;
mod nodes;
mod only_a_model;
mod package;
mod passes;
mod platform;
mod record;
mod reference;
mod run;
mod screen;
mod reboot;
mod step;
mod stop;
mod watch;
mod within;

pub use failure::{Failure, Kind};
pub use feasible::infeasible;
pub use hypervisor::{Hypervisor, NotDone, Operation};
pub use only_a_model::needs_model;
pub use platform::{asks_for_system, unfit};
pub use run::run;
pub use screen::Screen;

use crate::api::{RunFailure, RunResult, StepCounts};
use crate::guest::Guest;
use crate::results::Film;
use crate::vision::Vision;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a run works with.
#[derive(Clone)]
pub struct Rig {
    /// The desktop, over VNC.
    pub desktop: Arc<dyn Screen>,
    /// The way into the guest.
    pub guest: Arc<dyn Guest>,
    /// What works on the VM from outside.
    pub hypervisor: Arc<dyn Hypervisor>,
    /// What finds and judges.
    pub vision: Arc<dyn Vision>,
    /// The video that is being made of the desktop, where one is asked for.
    pub film: Option<Film>,
}

/// Limits of a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall-clock time for setup and steps, cleanup not counted. None: the scenario's budget, or else [`TIMEOUT`].
    pub timeout: Option<Duration>,
}

/// What a run has where neither it nor its scenario says anything.
pub const TIMEOUT: Duration = Duration::from_secs(1800);

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The verdict.
    pub result: RunResult,
    /// Why it is not `passed`.
    pub failure: Option<RunFailure>,
    /// Outcomes of the steps by number.
    pub steps: StepCounts,
    /// Values that the scenario's `outputs` name, as far as steps captured them; no secrets, and never long.
    pub outputs: BTreeMap<String, String>,
}
