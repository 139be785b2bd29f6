//! The events of a run. The schema is versioned: a reader that does not know `v` should say so.

use super::text::{seconds, size};
use crate::api::{FailureClass, RunFailure, RunResult, StepCounts};
use crate::scenario::{Plan, Step};
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

/// The scenario as it will run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPlan {
    /// Title of the scenario.
    pub scenario: String,
    /// What it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// SHA-256 of the scenario.
    pub digest: String,
    /// Values of the inputs and variables that are not secret.
    pub variables: BTreeMap<String, String>,
    /// SHA-256 of the files of each reference image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, String>,
    /// Wall-clock milliseconds that the scenario gives set-up and test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_ms: Option<u64>,
    /// Named parts of the test, in the order of its steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PlannedPhase>,
    /// Number of steps.
    pub total: u32,
    /// All steps in the order in which they run.
    pub steps: Vec<PlannedStep>,
}

impl RunPlan {
    /// What of the plan is recorded: never a value of a secret.
    pub fn of(plan: &Plan) -> RunPlan {
        let mut steps = Vec::new();
        for step in plan.setup.iter().chain(&plan.steps).chain(&plan.cleanup) {
            let phase = plan.phase_of(&step.id).map(|phase| phase.name.as_str());
            PlannedStep::all(step, None, phase, &mut steps);
        }
        let phases = plan.phases.iter().map(|phase| PlannedPhase {
            name: phase.name.clone(),
            description: phase.description.clone(),
            from: phase.from.clone(),
            until: plan
                .steps
                .get(*phase.range.end())
                .map_or_else(String::new, |s| s.id.clone()),
        });
        let variants = plan
            .references
            .iter()
            .flat_map(|r| r.variants.iter().map(move |v| (r, v)));
        let references = variants.map(|(r, v)| (r.key(v), v.digest.clone()));
        RunPlan {
            scenario: plan.name.clone(),
            description: plan.description.clone(),
            digest: plan.digest.clone(),
            variables: plan.variables.iter().map(|(k, v)| (k.clone(), v.to_string())).collect(),
            references: references.collect(),
            budget_ms: plan.budget.map(|budget| budget.as_millis() as u64),
            phases: phases.collect(),
            total: u32::try_from(steps.len()).unwrap_or(u32::MAX),
            steps,
        }
    }
}

/// A named part of the test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedPhase {
    /// Its name.
    pub name: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Id of its first step.
    pub from: String,
    /// Id of its last step.
    pub until: String,
}

/// A step of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// Id of the step.
    pub id: String,
    /// What a person reads.
    pub label: String,
    /// `setup`, `steps` or `cleanup`.
    pub section: String,
    /// Key of the action.
    pub action: String,
    /// Id of the step that it is within, and how: `then`, `else`, `repeat` or `use`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// Name of the phase that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

/// Where a step is that is within another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Within {
    /// Id of the other step.
    pub step: String,
    /// `then`, `else`, `repeat` or `use`.
    pub part: String,
}

impl PlannedStep {
    /// What is told of a step.
    pub fn of(step: &Step, within: Option<Within>) -> PlannedStep {
        PlannedStep {
            id: step.id.clone(),
            label: step.label.clone(),
            section: step.section.as_str().to_string(),
            action: step.action.name().to_string(),
            within,
            phase: None,
        }
    }

    fn all(step: &Step, within: Option<Within>, phase: Option<&str>, out: &mut Vec<PlannedStep>) {
        out.push(PlannedStep {
            phase: phase.map(String::from),
            ..PlannedStep::of(step, within)
        });
        for (part, child) in step.children() {
            let within = Within {
                step: step.id.clone(),
                part: part.to_string(),
            };
            PlannedStep::all(child, Some(within), phase, out);
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

    /// Passed steps of all steps, as `3/7`; a step that was not run is told as such: a way that is not taken is no failure.
    pub fn told(&self) -> String {
        let skipped = match self.skipped {
            0 => String::new(),
            n => format!(" ({n} skipped)"),
        };
        format!("{}/{}{skipped}", self.passed, self.total)
    }
}

/// Something seen or done while a step runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// A picture of the desktop.
    Screenshot {
        /// Which moment.
        role: Role,
        /// File, relative to the folder of the log.
        file: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Where the click went, or what was judged by.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        marks: Vec<Mark>,
        /// Number of the frame within the desktop session, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frame: Option<u64>,
        /// Masks cover something of it that was seen when it was looked at.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        covered: bool,
    },
    /// A target was looked for.
    Locate {
        /// What was looked for.
        target: String,
        /// Whether exactly one place was found.
        found: bool,
        /// Which method answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rung: Option<String>,
        /// The place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Place>,
        /// 0 to 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidence: Option<f64>,
        /// What was read there, or why nothing was found.
        reason: String,
        /// Milliseconds for the answer.
        ms: u64,
        /// What the vision backend was asked for, with the part of the screen that was looked at where it was not all of
        /// it; enough to ask again, but for what the reference image of the name at `reference` shows. None where the guest
        /// answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wanted: Option<serde_json::Map<String, serde_json::Value>>,
        /// Number of the frame that was looked at, as a screenshot's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frame: Option<u64>,
    },
    /// A question was asked about a picture.
    Judge {
        /// The question.
        question: String,
        /// `true`, `false` or `cannotTell`.
        verdict: String,
        /// Why.
        reason: String,
        /// What a model named as its grounds.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        named: Vec<String>,
        /// Which method answered.
        rung: String,
        /// Milliseconds for the answer.
        ms: u64,
        /// Number of the frame that was judged, as a screenshot's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frame: Option<u64>,
    },
    /// A model was asked.
    Request {
        /// `locate`, `judge` or `warmUp`.
        purpose: String,
        /// Name of the model.
        model: String,
        /// Version of the prompt.
        prompt_version: u32,
        /// The prompt.
        prompt: String,
        /// SHA-256 of the picture that was sent, hexadecimal.
        picture: String,
        /// Width of that picture in pixels.
        width: u32,
        /// Height of that picture in pixels.
        height: u32,
        /// What the model answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<String>,
        /// Why there is no answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Tokens of the request, where the server tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt_tokens: Option<u64>,
        /// Tokens of the answer, where the server tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        completion_tokens: Option<u64>,
        /// What the tokens cost, in the currency of the provider's prices.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<f64>,
        /// True where nothing was sent: the same had been asked of the same pixels.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        kept: bool,
        /// Milliseconds, further tries included.
        ms: u64,
    },
    /// A command ran in the guest.
    Shell {
        /// The command.
        command: String,
        /// How it ended.
        exit: String,
        /// Standard output, its end where it is long.
        stdout: String,
        /// Standard error, its end where it is long.
        stderr: String,
        /// True where output is missing.
        truncated: bool,
        /// Milliseconds.
        ms: u64,
    },
    /// A condition that was looked at, with what was found.
    Condition {
        /// The condition.
        condition: String,
        /// `true`, `false` or `cannotTell`.
        verdict: String,
        /// What was found.
        reason: String,
    },
    /// A program was started or has ended.
    App {
        /// The program.
        name: String,
        /// Process id in the guest.
        pid: u32,
        /// What happened.
        state: String,
        /// End of its output.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        output: String,
    },
    /// What the pictures before and after an action say about it.
    Effect {
        /// What they say.
        effect: EffectKind,
        /// Around what changed, or what moves by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Place>,
    },
    /// Something happened to the link to the desktop since the picture before.
    Link {
        /// How often it was opened anew.
        reopened: u32,
        /// How long it was away, in milliseconds.
        offline_ms: u64,
        /// The server was silent for long before this picture.
        stalled: bool,
    },
    /// Files that could replace those of a reference image that was not found: the screen as it was. Nothing takes them
    /// by itself.
    Candidate {
        /// Name of the reference, with the size of the screen where it has one.
        reference: String,
        /// The picture, relative to the folder of the log.
        picture: String,
        /// Its sidecar.
        sidecar: String,
    },
    /// What the guest is, told with the first step that needs its desktop session.
    Environment {
        /// Values by name, such as `system`, `kernel` and `user`.
        facts: BTreeMap<String, String>,
    },
    /// The state of the guest when a step did not pass.
    Guest {
        /// `processes`, `windows`, `log`, `disks`, or `core of process N`.
        about: String,
        /// What was found; its end where it is long.
        text: String,
    },
    /// Something was done, or words of the author.
    Note {
        /// The words.
        text: String,
    },
}

/// Whether an action did something to the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EffectKind {
    /// Something changed that had been still.
    Confirmed,
    /// Only what moves by itself changed.
    Unverifiable,
    /// Nothing changed: the action may have had no visible effect, or may not have arrived.
    SuspectedNoop,
}

/// Which moment a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Before the step's action; for a click, the frame on which the target was found; for a check that did not hold at
    /// once, the first look.
    Before,
    /// After the action, when the desktop was still.
    After,
    /// The frame by which a check was decided.
    Checked,
    /// The desktop when the step failed.
    Failure,
    /// Asked for by the author.
    Asked,
    /// A reference image that was not found: as expected, as seen, and the difference.
    Difference,
}

impl Role {
    /// The word for it in the log, and in the names of pictures.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Before => "before",
            Role::After => "after",
            Role::Checked => "checked",
            Role::Failure => "failure",
            Role::Asked => "asked",
            Role::Difference => "difference",
        }
    }
}

/// A place in a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// Something to point out in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// `click` or `pointer` (a point), or `evidence` (an area).
    pub kind: MarkKind,
    /// The point, or the area.
    pub place: Place,
}

/// What a mark points out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// Where the pointer clicked; width and height are 0.
    Click,
    /// What was found.
    Evidence,
    /// Where the mouse pointer was; width and height are 0.
    Pointer,
}
