//! What is recorded while a step runs: pictures, answers, commands, programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
