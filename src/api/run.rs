//! `FunctionalTestRun`: one scenario on one VM, once.

use super::{LocalRef, ProxmoxVMSpec, ScenarioSpec, SecretKeyRef};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One run of a scenario on a virtual machine's desktop.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "mosdat.dev",
    version = "v1alpha1",
    kind = "FunctionalTestRun",
    plural = "functionaltestruns",
    shortname = "ftr",
    category = "mosdat",
    namespaced,
    status = "FunctionalTestRunStatus",
    derive = "PartialEq",
    doc = "One run of a scenario on a virtual machine's desktop.",
    validation = Rule::new("self.metadata.name.size() <= 50").message("the name may have at most 50 characters: names of VMs are made from it"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Result", type_ = "string", json_path = ".status.result"),
    printcolumn(name = "Steps", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.failure.reason"),
    printcolumn(name = "Duration", type_ = "integer", json_path = ".status.durationSeconds", priority = 1),
    printcolumn(name = "VM", type_ = "string", json_path = ".status.vmName", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Succeeded\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
// A rule on a field that may be absent would not see it come or go.
#[x_kube(
    validation = Rule::new("has(self.variables) == has(oldSelf.variables) && (!has(self.variables) || self.variables == oldSelf.variables)")
        .message("variables are immutable; make a new run"),
    validation = Rule::new("has(self.visionRef) == has(oldSelf.visionRef) && (!has(self.visionRef) || self.visionRef == oldSelf.visionRef)")
        .message("visionRef is immutable; make a new run"),
    validation = Rule::new("has(self.secretVariables) == has(oldSelf.secretVariables) && (!has(self.secretVariables) || self.secretVariables == oldSelf.secretVariables)")
        .message("secretVariables are immutable; make a new run"),
    validation = Rule::new("has(self.steps) == has(oldSelf.steps) && (!has(self.steps) || self.steps == oldSelf.steps)")
        .message("steps is immutable; make a new run"),
    validation = Rule::new("has(self.evidence) == has(oldSelf.evidence) && (!has(self.evidence) || self.evidence == oldSelf.evidence)")
        .message("evidence is immutable; make a new run")
)]
pub struct FunctionalTestRunSpec {
    /// The machine to test on.
    #[x_kube(validation = Rule::new("self == oldSelf").message("vm is immutable; make a new run"))]
    pub vm: RunVm,
    /// The test.
    #[x_kube(validation = Rule::new("self == oldSelf").message("scenario is immutable; make a new run"))]
    pub scenario: RunScenario,
    /// Values for the scenario's inputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub variables: BTreeMap<String, String>,
    /// Values for the scenario's secret inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub secret_variables: Vec<SecretVariable>,
    /// Which of the test's steps run; without it all. Set-up and cleanup always do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<StepRange>,
    /// What is kept besides the report, the events and the pictures of the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<RunEvidence>,
    /// What looks at the screen; without it the built-in text recognition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vision_ref: Option<LocalRef>,
    /// Seconds that the scenario may take, cleanup not counted; without it the scenario's `budget`, or else 1800.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<u32>,
    /// How often a run is tried again.
    #[serde(default)]
    pub retries: RunRetries,
    /// Set to true to end the run; cleanup still runs.
    #[serde(default)]
    pub cancel: bool,
    /// Seconds after which a finished run is deleted, and its evidence with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31536000))]
    pub ttl_seconds_after_finished: Option<u32>,
}

/// A part of a test's steps, by names of phases, or by ids of steps that are not within others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepRange {
    /// The first step, or the phase to begin with; those before it are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub from: Option<String>,
    /// The last step, or the phase to end with; the steps after it are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub until: Option<String>,
}

/// What a run keeps besides the report, the events and the pictures of the steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunEvidence {
    /// A video of the session, `video.webm`; `{}` suits most. Where the controller runs, ffmpeg has to be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoSettings>,
}

/// How a video of the session is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VideoSettings {
    /// Most pictures a second. While nothing changes on the screen, there are none.
    #[serde(default = "default_pictures")]
    #[schemars(range(min = 1, max = 30))]
    pub max_pictures_per_second: u32,
}

fn default_pictures() -> u32 {
    10
}

impl Default for VideoSettings {
    fn default() -> Self {
        VideoSettings {
            max_pictures_per_second: default_pictures(),
        }
    }
}

/// The machine of a run. Exactly one member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.ref) != has(self.template)").message("set exactly one of ref, template"),
    validation = Rule::new("!has(self.template) || !has(self.template.power) || self.template.power == 'Running'")
        .message("a run's own VM has to run; leave template.power out")
)]
pub struct RunVm {
    /// An existing ProxmoxVM; the run has it alone while it lasts.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<LocalRef>,
    /// A VM made for this run and deleted after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<ProxmoxVMSpec>,
}

/// The scenario of a run. Exactly one member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.ref) != has(self.inline)").message("set exactly one of ref, inline"))]
pub struct RunScenario {
    /// A Scenario resource.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<LocalRef>,
    /// The scenario itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<ScenarioSpec>,
}

/// A secret input's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretVariable {
    /// Name of the input.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Where the value is.
    pub secret_key_ref: SecretKeyRef,
}

/// How often a run is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRetries {
    /// Further attempts, each on a clean VM, after an infrastructure error. A failed test is never tried again.
    #[serde(default = "default_infrastructure_retries")]
    #[schemars(range(min = 0, max = 10))]
    pub infrastructure: u32,
}

fn default_infrastructure_retries() -> u32 {
    1
}

impl Default for RunRetries {
    fn default() -> Self {
        RunRetries {
            infrastructure: default_infrastructure_retries(),
        }
    }
}

/// How a run goes and went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FunctionalTestRunStatus {
    /// Generation of the spec that this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Succeeded` (Unknown while it runs), `Ready`, `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How far the run is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<RunPhase>,
    /// The verdict; set when the phase is `Done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
    /// The verdict while the phase is `Finishing`: it becomes `result` once the VM is given back, unless the run is
    /// tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<RunResult>,
    /// Why the result is not `passed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RunFailure>,
    /// Passed steps of all steps, as `3/7`; with those that were not run, as `6/7 (1 skipped)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// How many steps had which outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<StepCounts>,
    /// The steps that have ended, in the order in which they did; the last 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub step_results: Vec<StepResult>,
    /// Values that the run tells at its end, as the scenario's `outputs` name them; each at most 1024 characters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20))]
    pub outputs: BTreeMap<String, String>,
    /// The step that runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_step: Option<CurrentStep>,
    /// Number of the present attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Earlier attempts that ended in an infrastructure error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<RunAttempt>,
    /// The ProxmoxVM of the present attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_name: Option<String>,
    /// SHA-256 of the resolved scenario, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario_digest: Option<String>,
    /// When work on the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the run was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Seconds from start to completion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
    /// Where the evidence is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<RunArtifacts>,
    /// Identity of the process that carries the run out; another identity means that it was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// Accepted, nothing done yet.
    Pending,
    /// The VM is being made or waited for.
    Preparing,
    /// Steps run.
    Running,
    /// Evidence is stored and the VM released.
    Finishing,
    /// Over; `result` is the verdict.
    Done,
}

/// A run's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RunResult {
    /// Every check held.
    Passed,
    /// Only checks marked `soft` did not hold, or the test passed after it had gone back to a checkpoint.
    SoftFailed,
    /// A check did not hold.
    Failed,
    /// The application died.
    Crashed,
    /// The run's time was up.
    TimedOut,
    /// Ended by `spec.cancel`.
    Cancelled,
    /// Not run, for a reason that `failure` gives.
    Skipped,
    /// The scenario or a reference is wrong. Nearly always that is found before anything is touched.
    Invalid,
    /// The infrastructure failed; nothing is said about the product.
    Error,
}

impl RunResult {
    /// The word used in status, events and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            RunResult::Passed => "passed",
            RunResult::SoftFailed => "softFailed",
            RunResult::Failed => "failed",
            RunResult::Crashed => "crashed",
            RunResult::TimedOut => "timedOut",
            RunResult::Cancelled => "cancelled",
            RunResult::Skipped => "skipped",
            RunResult::Invalid => "invalid",
            RunResult::Error => "error",
        }
    }
}

/// Which part of the infrastructure failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailureClass {
    /// The hypervisor's API or the VM.
    Proxmox,
    /// A passthrough device.
    Gpu,
    /// The guest or its agent.
    Guest,
    /// The VNC link or the display.
    Desktop,
    /// The vision backend.
    Vision,
    /// Storing or reading artifacts.
    Artifact,
    /// mosdat itself.
    Controller,
}

/// Why a run did not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFailure {
    /// Set for result `error`: which part of the infrastructure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<FailureClass>,
    /// CamelCase word for programs.
    pub reason: String,
    /// Sentence for people: what, where, what to do.
    pub message: String,
    /// Id of the step, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// How many steps had which outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepCounts {
    /// All steps of the plan.
    pub total: u32,
    /// Steps that passed.
    pub passed: u32,
    /// Steps that failed, timed out or crashed.
    pub failed: u32,
    /// Steps that failed softly.
    pub soft_failed: u32,
    /// Steps that were not run.
    pub skipped: u32,
    /// Steps that ended in an infrastructure error.
    pub error: u32,
}

/// How one step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepResult {
    /// Id of the step.
    pub id: String,
    /// What a person reads.
    pub label: String,
    /// `passed`, `healed`, `softFailed`, `failed`, `timedOut`, `crashed`, `skipped` or `error`.
    pub outcome: String,
    /// Milliseconds from start to end.
    pub duration_ms: i64,
    /// Why, where the step did not pass; at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A step in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CurrentStep {
    /// Id of the step.
    pub id: String,
    /// What a person reads.
    pub label: String,
}

/// An attempt that ended in an infrastructure error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunAttempt {
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// What went wrong.
    pub failure: RunFailure,
    /// When the attempt ended.
    pub ended_at: Time,
    /// The ProxmoxVM that it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_name: Option<String>,
}

/// Where a run's evidence is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunArtifacts {
    /// Folder or URL that holds the rest.
    pub location: String,
    /// Self-contained HTML page, relative to `location`.
    pub report: String,
    /// Event log, relative to `location`.
    pub events: String,
    /// JUnit XML, relative to `location`.
    pub junit: String,
    /// Video of the session, relative to `location`; where one was asked for and made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<String>,
    /// Why there is no video, or why it is not whole; the verdict does not depend on it.
    #[serde(default, rename = "videoProblem", skip_serializing_if = "Option::is_none")]
    pub video_problem: Option<String>,
}
