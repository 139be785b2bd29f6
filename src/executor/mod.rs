//! How a run is carried out: as a task in this process.
//!
//! The controller hands over a [`Job`] that holds everything (no Kubernetes client is needed) and gets an
//! [`Outcome`]; progress comes through a watch channel. Failing infrastructure is part of the outcome, never a panic.

mod local;
mod model;

pub use local::Local;

use crate::api::{
    CurrentStep, KeyboardLayout, RunFailure, RunResult, ScenarioSpec, StepCounts, StepRange, StepResult, VideoSettings,
    VisionProviderSpec,
};
use crate::guest::SshLogin;
use crate::proxmox;
use crate::runner::Hypervisor;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One attempt of a run.
#[derive(Clone, Debug)]
pub struct Job {
    /// Namespace of the run.
    pub namespace: String,
    /// Name of the run.
    pub name: String,
    /// UID of the run.
    pub uid: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// The test.
    pub scenario: ScenarioSpec,
    /// Where the scenario comes from, for messages.
    pub origin: String,
    /// Values of inputs.
    pub variables: BTreeMap<String, String>,
    /// Which steps run.
    pub range: StepRange,
    /// Values of secret inputs.
    pub secrets: BTreeMap<String, SecretString>,
    /// What looks at the screen; `None` for the built-in text recognition.
    pub vision: Option<VisionSettings>,
    /// How a video of the session is made; `None` for none.
    pub video: Option<VideoSettings>,
    /// Limit on the scenario, cleanup not counted, where the run gives one.
    pub timeout: Option<Duration>,
    /// Where it runs.
    pub machine: Machine,
    /// Folder for this attempt's evidence.
    pub artifacts: PathBuf,
}

/// A VM that is ready.
#[derive(Clone, Debug)]
pub struct Machine {
    /// API of its cluster.
    pub client: proxmox::Client,
    /// Node that has it.
    pub node: String,
    /// Its VMID.
    pub vmid: u32,
    /// Name of the ProxmoxVM.
    pub name: String,
    /// Keyboard layout of the guest, where it is told.
    pub keyboard: Option<KeyboardLayout>,
    /// How commands reach the guest, if not by its agent.
    pub ssh: Option<SshLogin>,
    /// Works on the VM as a whole.
    pub hypervisor: Arc<dyn Hypervisor>,
}

/// A VisionProvider with its key.
#[derive(Clone, Debug)]
pub struct VisionSettings {
    /// Name of the provider.
    pub name: String,
    /// Its spec.
    pub spec: VisionProviderSpec,
    /// The API key, where one is needed.
    pub api_key: Option<SecretString>,
}

impl VisionSettings {
    /// True where a model that understands words looks at the screen too.
    pub fn has_model(&self) -> bool {
        self.spec.openai.is_some()
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict; `Error` speaks about infrastructure only.
    pub result: RunResult,
    /// Why the result is not `passed`.
    pub failure: Option<RunFailure>,
    /// Steps by outcome.
    pub steps: StepCounts,
    /// The steps that ended, as in the run's status.
    pub finished: Vec<StepResult>,
    /// Values that the run tells, as the scenario's `outputs` name them.
    pub outputs: BTreeMap<String, String>,
}

/// How far an attempt is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Steps by outcome so far, and their total.
    pub steps: StepCounts,
    /// The steps that ended, as in the run's status.
    pub finished: Vec<StepResult>,
    /// The step that runs.
    pub current: Option<CurrentStep>,
}

impl Progress {
    /// How far it is, as [`StepCounts::told`].
    pub fn text(&self) -> String {
        self.steps.told()
    }
}

/// A run that is to be checked before any VM exists.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The test.
    pub scenario: &'a ScenarioSpec,
    /// Where the scenario comes from, for messages.
    pub origin: &'a str,
    /// Values of inputs.
    pub variables: &'a BTreeMap<String, String>,
    /// Values of secret inputs.
    pub secrets: &'a BTreeMap<String, SecretString>,
    /// Which steps run.
    pub range: &'a StepRange,
    /// A video is to be made.
    pub video: bool,
    /// A model that understands words looks at the screen too, or may: nobody knows yet.
    pub model: bool,
}

/// A scenario that was found to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// SHA-256 of the resolved scenario, hexadecimal.
    pub digest: String,
}

/// Carries runs out.
#[async_trait::async_trait]
pub trait Executor: Send + Sync {
    /// Checks a scenario with its inputs before any VM exists, that a video can be made where one is asked for, and that
    /// what only a model can answer has one; all errors at once.
    fn check(&self, candidate: &Candidate<'_>) -> Result<Checked, Vec<String>>;

    /// Carries one attempt out. Cancelling ends the steps; cleanup still runs.
    async fn run(&self, job: Job, progress: watch::Sender<Progress>, cancel: CancellationToken) -> Outcome;
}
