//! What a scenario says, as typed values.

pub use crate::api::{InputType, Platform};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::time::Duration;

/// A declared input.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Type of the value.
    pub kind: InputType,
    /// Value where the caller gives none.
    pub default: Option<Scalar>,
    /// True: may only be typed, or passed to a shell's environment.
    pub secret: bool,
    /// What it is for.
    pub description: Option<String>,
}

/// A typed value of an input.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// true or false.
    Boolean(bool),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::String(s) => f.write_str(s),
            Scalar::Integer(i) => write!(f, "{i}"),
            Scalar::Number(n) => write!(f, "{n}"),
            Scalar::Boolean(b) => write!(f, "{b}"),
        }
    }
}

/// Part of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Before the test; a failure is an error of the set-up.
    Setup,
    /// The test.
    Steps,
    /// After the test, always.
    Cleanup,
}

impl Section {
    /// The section's key in a scenario.
    pub fn as_str(self) -> &'static str {
        match self {
            Section::Setup => "setup",
            Section::Steps => "steps",
            Section::Cleanup => "cleanup",
        }
    }

    /// First letter of derived ids, so that those of different sections differ.
    pub(super) fn letter(self) -> char {
        match self {
            Section::Setup => 'p',
            Section::Steps => 's',
            Section::Cleanup => 'c',
        }
    }
}

/// One step: an action and its options.
#[derive(Clone, Debug)]
pub struct Step {
    /// Unique within the scenario; given, or derived as `s07-click-save`.
    pub id: String,
    /// What a person reads.
    pub label: String,
    /// Part of the scenario that the step belongs to.
    pub section: Section,
    /// What the step does.
    pub action: Action,
    /// What must hold afterwards.
    pub verify: Option<Check>,
    /// Wall-clock time for the step with all its attempts.
    pub timeout: Duration,
    /// How often the action is tried, at least 1.
    pub attempts: u32,
    /// A failure makes the run softFailed, and the run goes on.
    pub soft: bool,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Starts a program in the desktop session.
    Launch(Launch),
    /// Clicks a target.
    Click(Click),
    /// Types text.
    Type(Type),
    /// Presses keys.
    Key(Key),
    /// Waits until something holds.
    WaitFor(Check),
    /// Checks that something holds.
    Expect(Check),
    /// Runs a command in the guest.
    Shell(Shell),
    /// Takes a picture of what the text says.
    Screenshot(String),
    /// Words for the reader.
    Note(String),
}

impl Action {
    /// The action's key in a scenario.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Launch(_) => "launch",
            Action::Click(_) => "click",
            Action::Type(_) => "type",
            Action::Key(_) => "key",
            Action::WaitFor(_) => "wait_for",
            Action::Expect(_) => "expect",
            Action::Shell(_) => "shell",
            Action::Screenshot(_) => "screenshot",
            Action::Note(_) => "note",
        }
    }
}

/// A program to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Program and arguments; no shell is between.
    pub argv: Vec<String>,
    /// Title of the window to wait for: a window whose title contains it.
    pub window: Option<String>,
}

/// A click.
#[derive(Clone, Debug)]
pub struct Click {
    /// Where.
    pub target: Target,
    /// With which button.
    pub button: Button,
    /// How often, 1 to 3.
    pub count: u8,
}

/// A mouse button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    /// The first button.
    Left,
    /// The wheel.
    Middle,
    /// The one for context menus.
    Right,
}

/// Something on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The short form: quoted text in it is looked for first, the whole is a description.
    Words(String),
    /// The long form.
    Fields(TargetFields),
}

/// The long form of a target. At least one of `text` and `describe`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetFields {
    /// Text as shown.
    pub text: Option<String>,
    /// Description for a vision model.
    pub describe: Option<String>,
    /// The shown text must be this and nothing more.
    pub exact: bool,
    /// Which of several, from 1, in reading order.
    pub nth: Option<u32>,
    /// Near this text.
    pub near: Option<String>,
    /// Left of this text.
    pub left_of: Option<String>,
    /// Right of this text.
    pub right_of: Option<String>,
    /// Above this text.
    pub above: Option<String>,
    /// Below this text.
    pub below: Option<String>,
}

/// Text to type.
#[derive(Clone, Debug)]
pub struct Type {
    /// What is typed.
    pub text: Words,
    /// Clicked first.
    pub into: Option<Target>,
    /// Empties the field first.
    pub clear: bool,
    /// Chord pressed afterwards.
    pub then: Option<String>,
}

/// Text that may hold a secret.
#[derive(Clone, Debug)]
pub enum Words {
    /// May be shown.
    Plain(String),
    /// May be shown nowhere.
    Secret(SecretString),
}

/// Keys to press.
#[derive(Clone, Debug)]
pub struct Key {
    /// Chords, one after the other.
    pub chords: Vec<String>,
    /// How often the whole list, at least 1.
    pub times: u32,
}

/// A command in the guest.
#[derive(Clone, Debug)]
pub struct Shell {
    /// Text for `sh -c`.
    pub script: String,
    /// Exit code that means success.
    pub exit: i32,
    /// User that runs it; none: the user of the desktop session.
    pub user: Option<String>,
    /// Variables of its environment: the scenario's inputs and those of `env`.
    pub env: BTreeMap<String, Words>,
}

/// Something that holds or does not.
#[derive(Clone, Debug)]
pub enum Check {
    /// A question for the judge.
    See(String),
    /// The target is on the screen.
    Text(Target),
    /// A command ends with the right code and prints the right thing.
    Shell(ShellCheck),
    /// A process of that name runs.
    Process(String),
    /// The condition does not hold.
    Not(Box<Check>),
    /// At least one holds.
    Any(Vec<Check>),
    /// Each holds.
    All(Vec<Check>),
}

/// A command as a check.
#[derive(Clone, Debug)]
pub struct ShellCheck {
    /// What runs.
    pub shell: Shell,
    /// Standard output contains this.
    pub contains: Option<String>,
    /// Standard output without the white space around it is this.
    pub equals: Option<String>,
    /// Standard output matches this regular expression.
    pub matches: Option<regex::Regex>,
}
