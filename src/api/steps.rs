//! The steps of a scenario as the API server stores them.
//!
//! The schema here is the outline: which actions there are, which options a step may have, how long lists may be.
//! What an action says is checked by the one loader (`scenario`), which the controller and the command line share:
//! a value that may be a string or an object cannot be written as a structural schema.

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A value with a short form (text) and a long form (object); its content is checked by the loader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Loose(pub serde_json::Value);

impl JsonSchema for Loose {
    fn schema_name() -> Cow<'static, str> {
        "Loose".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A structural schema may leave the type out only together with this extension.
        json_schema!({"x-kubernetes-preserve-unknown-fields": true})
    }
}

/// One step: exactly one action, and options.
// The rule is a `oneOf`, not CEL: CEL cannot see a field that has no type, and short forms leave it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["launch"]}, {"required": ["click"]}, {"required": ["type"]}, {"required": ["key"]},
    {"required": ["hover"]}, {"required": ["drag"]}, {"required": ["scroll"]},
    {"required": ["wait_for"]}, {"required": ["wait_gone"]}, {"required": ["expect"]}, {"required": ["never"]},
    {"required": ["shell"]}, {"required": ["stage"]}, {"required": ["reboot"]},
    {"required": ["install"]}, {"required": ["uninstall"]},
    {"required": ["snapshot"]}, {"required": ["rollback"]}, {"required": ["power"]},
    {"required": ["if"]}, {"required": ["repeat"]}, {"required": ["use"]},
    {"required": ["screenshot"]}, {"required": ["note"]}
]))]
pub struct Step {
    /// Name of the step in events, reports and references; made from its place and action where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub id: Option<String>,
    /// What a person reads instead of the action's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub label: Option<String>,

    /// Starts a program in the desktop session. Text is the command; or an object with command, window, display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<Loose>,
    /// Clicks a target. Text is the target; or an object with target, button, count, modifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click: Option<Loose>,
    /// Moves the pointer onto a target. Text is the target; or a target as an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hover: Option<Loose>,
    /// Drags something: an object with target, to, button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drag: Option<Loose>,
    /// Turns the wheel. Text is up, down, left or right; or an object with direction, notches, target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scroll: Option<Loose>,
    /// Types text. Text is what is typed; or an object with text, into, clear, canary, paste, then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<Loose>,
    /// Presses keys. Text is a chord such as ctrl+s; or a list of chords; or an object with keys, times, hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Loose>,
    /// Waits until a condition holds: see, text, reference, window, file, clipboard, shell, process, port, exited, not, any, all. Text is a question for the judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_for: Option<Loose>,
    /// Waits until a condition no longer holds; conditions as in `expect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_gone: Option<Loose>,
    /// Watches for a while that a condition never holds: a condition as in `expect`, and for (a time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never: Option<Loose>,
    /// Checks that a condition holds: see, text, reference, window, file, clipboard, shell, process, port, exited, not, any, all. Text is a question for the judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Loose>,
    /// Runs a shell command in the guest. Text is the command; or an object with command, exit, as, env, capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<Loose>,
    /// Puts a file into the guest: an object with path, content or base64, mode, owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Loose>,
    /// Restarts the guest and waits until its desktop is there again; the text says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub reboot: Option<String>,
    /// Installs a package. Text is a file in the guest; or an object with package, format, version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<Loose>,
    /// Removes a package. Text is its name; or an object with name, format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uninstall: Option<Loose>,
    /// Takes a checkpoint of the VM. Text is its name; or an object with name, memory, attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Loose>,
    /// Goes back to the checkpoint of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 40))]
    pub rollback: Option<String>,
    /// Switches the VM: start, shutdown or stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub power: Option<String>,
    /// One of two ways: an object with a condition as in `expect`, and then and else, which are lists of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#if: Option<Loose>,
    /// The same steps again: an object with times, or until (a condition as in `expect`) and max, and steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Loose>,
    /// A routine of the scenario: its name, or NAME@VERSION.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80))]
    pub r#use: Option<String>,
    /// Takes a picture for the reader; the text says what of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub screenshot: Option<String>,
    /// Words for the reader of the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub note: Option<String>,

    /// What must hold after the action: a question for the judge, or a condition as in `expect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Loose>,
    /// What must not hold after the action: a condition as in `expect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_not: Option<Loose>,
    /// Wall-clock time for the whole step with all its attempts, such as 30s, 500ms, 2m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 20), regex(pattern = "^([0-9]+(ms|s|m|h))+$"))]
    pub timeout: Option<String>,
    /// How long at most the screen is waited for to be still after the action, such as 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 20), regex(pattern = "^([0-9]+(ms|s|m|h))+$"))]
    pub settle: Option<String>,
    /// How long the pointer rests on the target before the button goes down, such as 250ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 20), regex(pattern = "^([0-9]+(ms|s|m|h))+$"))]
    pub dwell: Option<String>,
    /// How the pointer gets to its target: instant, linear, bezier, windmouse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(instant|linear|bezier|windmouse)$"))]
    pub motion: Option<String>,
    /// What pictures that are kept from then on do not show: a list x, y, width, height, or true for the place of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Loose>,
    /// How often the action is tried, from 1; before each further attempt `verify` is looked at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub attempts: Option<u32>,
    /// True: a failure of this step makes the run softFailed and the run goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<bool>,
    /// Names of inputs or captured values, each with the value or the list of values that it must have; else the step is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Loose>,
    /// Of `use`: values for the routine's inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Loose>,
    /// Of `use`: outputs of the routine that later steps use; a list of them, or an object of names and outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Loose>,
    /// A list of steps that are done when this one fails, to find out more; they decide nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Loose>,
}

/// Type of an input's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputType {
    /// Text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// true or false.
    Boolean,
}

/// One input of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioInput {
    /// Type of the value.
    #[serde(default, rename = "type")]
    pub kind: InputType,
    /// Value where the caller gives none; an input without default must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Loose>,
    /// True: the value is typed and passed on, and shown nowhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// What the input is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
}

/// Systems that a scenario is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Linux desktops.
    Linux,
    /// Windows: commands are PowerShell's.
    Windows,
}

impl Platform {
    /// All of them.
    pub const ALL: &[Platform] = &[Platform::Linux, Platform::Windows];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Platform::Linux => "linux",
            Platform::Windows => "windows",
        }
    }
}
