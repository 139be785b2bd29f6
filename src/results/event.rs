//! The events of a run. The schema is versioned: a reader that does not know `v` should say so.

// The rest of the schema: whoever reads events has all of it here.
pub use super::evidence::*;
pub use super::planned::*;

use super::text::{seconds, size};
use crate::api::{FailureClass, RunFailure, RunResult, StepCounts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the events' schema.
pub const SCHEMA_VERSION: u32 = 1;

/// The JSON Schema of a line of `events.jsonl`. Later versions of mosdat may add members and kinds of evidence to the same
/// [`SCHEMA_VERSION`]; a reader passes over what it does not know.
pub fn event_schema() -> schemars::Schema {
    let mut schema = schemars::schema_for!(Event);
    schema.insert("title".to_string(), "mosdat run event".into());
    schema
}

/// Reason of the end of a step that holds others, where one of them did not pass and tells why.
pub const STEP_INSIDE: &str = "StepInside";

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// [`SCHEMA_VERSION`].
    pub v: u32,
    /// Number of the event within the run, from 1, without gaps.
    pub seq: u64,
    /// When, UTC, RFC 3339 with milliseconds.
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Body {
    /// The run begins. Always the first event.
    RunStart {
        /// What is run where.
        run: RunMeta,
        /// The scenario and its steps; of a run that ended before its steps were known, an empty plan.
        #[serde(flatten)]
        plan: RunPlan,
    },
    /// A step begins.
    StepStart {
        /// Id of the step.
        step: String,
        /// What the plan would tell of it, where the plan does not have it: a further round, or what is done after a
        /// failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        further: Option<PlannedStep>,
        /// What a person reads, where the plan had not all values for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
    },
    /// Something seen or done while a step runs.
    Evidence {
        /// Id of the step.
        step: String,
        /// What.
        item: Evidence,
    },
    /// A step ends. Exactly one for each step of the plan, skipped ones included, and for each further one that began.
    StepEnd {
        /// Id of the step.
        step: String,
        /// How.
        outcome: StepOutcome,
        /// CamelCase word where the outcome is not `passed`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Sentence where the outcome is not `passed`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// Part of the infrastructure where the outcome is `error`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<FailureClass>,
        /// Number of attempts that were made.
        attempts: u32,
        /// Wall-clock milliseconds.
        ms: u64,
    },
    /// The run is over. Always the last event.
    RunEnd {
        /// Verdict.
        result: RunResult,
        /// Why it is not `passed`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<RunFailure>,
        /// Outcomes by number.
        counts: StepCounts,
        /// Values that the scenario's `outputs` name, as far as steps captured them.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        outputs: BTreeMap<String, String>,
        /// Wall-clock milliseconds since `run_start`.
        ms: u64,
        /// The video, where one was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        video: Option<RunVideo>,
    },
}

/// What is run where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunMeta {
    /// Namespace of the run.
    pub namespace: String,
    /// Name of the run.
    pub name: String,
    /// UID of the run.
    pub uid: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Name of the ProxmoxVM.
    pub vm: String,
    /// Node of the hypervisor.
    pub node: String,
    /// VM number.
    pub vmid: u32,
    /// Name of the vision backend.
    pub vision: String,
    /// Version of mosdat.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// The video of the session, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunVideo {
    /// The file, relative to the folder of the log; none where there is nothing that could be played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How many pictures there are: a new one where the screen or the pointer had changed.
    pub pictures: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// How long it is, in milliseconds.
    pub ms: u64,
    /// Why there is none, or why it is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl RunVideo {
    /// The video in a few words.
    pub fn told(&self) -> String {
        let mut told = match &self.file {
            Some(file) => format!("{file}, {}", size(self.bytes)),
            None => "none".to_string(),
        };
        if self.pictures > 0 {
            told += &format!(", {} pictures in {}", self.pictures, seconds(self.ms));
        }
        match &self.problem {
            Some(problem) => format!("{told}: {problem}"),
            None => told,
        }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StepOutcome {
    /// It did what it should.
    Passed,
    /// It did what it should, but its target was not found by what its author pinned it to. It counts as passed.
    Healed,
    /// It did not, and is marked `soft`.
    SoftFailed,
    /// A check did not hold, or a target was not there.
    Failed,
    /// Its time was up.
    TimedOut,
    /// The application died.
    Crashed,
    /// It was not run.
    Skipped,
    /// The infrastructure failed.
    Error,
}

impl StepOutcome {
    /// The word used in events and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            StepOutcome::Passed => "passed",
            StepOutcome::Healed => "healed",
            StepOutcome::SoftFailed => "softFailed",
            StepOutcome::Failed => "failed",
            StepOutcome::TimedOut => "timedOut",
            StepOutcome::Crashed => "crashed",
            StepOutcome::Skipped => "skipped",
            StepOutcome::Error => "error",
        }
    }
}

impl StepCounts {
    /// Counts a step that has ended.
    pub fn add(&mut self, outcome: StepOutcome) {
        let count = match outcome {
            StepOutcome::Passed | StepOutcome::Healed => &mut self.passed,
            StepOutcome::SoftFailed => &mut self.soft_failed,
            StepOutcome::Failed | StepOutcome::TimedOut | StepOutcome::Crashed => &mut self.failed,
            StepOutcome::Skipped => &mut self.skipped,
            StepOutcome::Error => &mut self.error,
        };
        *count += 1;
    }

    /// Passed steps of all steps, as `3/7`; a step that was not run is told as such: a way that is not taken is no failure. Nor
    /// does one that failed softly end a run.
    pub fn told(&self) -> String {
        let others = [(self.soft_failed, "soft failed"), (self.skipped, "skipped")];
        let others = others.iter().filter(|(n, _)| *n > 0);
        let others: Vec<String> = others.map(|(n, what)| format!("{n} {what}")).collect();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!(" ({})", others.join(", ")),
        };
        format!("{}/{}{others}", self.passed, self.total)
    }
}
