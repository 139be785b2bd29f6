//! What a scenario says, as typed values.

pub use super::check::{Check, FileCheck, Fits, NodeCheck, ShellCheck};
use super::late::Late;
use super::machine::{Install, Power, Snapshot, Uninstall};
pub use super::target::{Length, Mask, Target, TargetFields, Within};
use super::template::is_template;
pub use crate::api::{InputType, Platform};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;
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
    /// Where the step begins.
    pub place: super::error::Place,
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
    /// Facts that must hold, or the step is skipped.
    pub when: Vec<Fact>,
    /// How long at most the screen is waited for to be still after the action.
    pub settle: Option<Duration>,
    /// How long the pointer rests on the target before the button goes down.
    pub dwell: Option<Duration>,
    /// How the pointer moves, where the step says so.
    pub motion: Option<Motion>,
    /// What pictures that are kept from then on do not show.
    pub mask: Option<Mask>,
    /// Steps for the reader of a failure; their outcome decides nothing.
    pub on_failure: Vec<Step>,
    /// Set where the step's texts name values that only the run gets: it has to be filled in first.
    pub late: Option<Arc<Late>>,
}

impl Step {
    /// The steps within the step that are part of the plan, with how they are reached.
    pub fn children(&self) -> Vec<(&'static str, &Step)> {
        match &self.action {
            Action::If(branch) => {
                let then = branch.then.iter().map(|s| ("then", s));
                then.chain(branch.otherwise.iter().map(|s| ("else", s))).collect()
            }
            Action::Repeat(repeat) => repeat.steps.iter().map(|s| ("repeat", s)).collect(),
            Action::Use(call) => call.steps.iter().map(|s| ("use", s)).collect(),
            _ => Vec::new(),
        }
    }

    /// The step and all steps within it, in the order in which they are written; those of `on_failure` aside.
    pub fn flatten(&self) -> Vec<&Step> {
        let mut all = vec![self];
        for (_, child) in self.children() {
            all.extend(child.flatten());
        }
        all
    }
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
    /// Moves the pointer onto a target.
    Hover(Target),
    /// Drags something.
    Drag(Drag),
    /// Turns the wheel.
    Scroll(Scroll),
    /// Waits until something holds.
    WaitFor(Check),
    /// Waits until something, which is not what is written but its opposite, holds.
    WaitGone(Check),
    /// Watches that something never holds.
    Never(Never),
    /// Checks that something holds.
    Expect(Check),
    /// Runs a command in the guest.
    Shell(Shell),
    /// Takes a picture of what the text says.
    Screenshot(String),
    /// Words for the reader.
    Note(String),
    /// One of two ways.
    If(Branch),
    /// The same steps again and again.
    Repeat(Repeat),
    /// A routine.
    Use(Use),
    /// Restarts the guest; the text says why.
    Reboot(String),
    /// Puts a file into the guest.
    Stage(Stage),
    /// Installs a package.
    Install(Install),
    /// Removes a package.
    Uninstall(Uninstall),
    /// Takes a checkpoint of the VM.
    Snapshot(Snapshot),
    /// Goes back to the checkpoint of this name.
    Rollback(String),
    /// Switches the VM on or off.
    Power(Power),
}

impl Step {
    /// The conditions that it looks at, its `verify` included.
    pub fn conditions(&self) -> impl Iterator<Item = &Check> {
        let own = match &self.action {
            Action::Expect(check) | Action::WaitFor(check) | Action::WaitGone(check) => Some(check),
            Action::Never(never) => Some(&never.check),
            Action::If(branch) => Some(&branch.condition),
            Action::Repeat(repeat) => repeat.until.as_ref(),
            Action::Type(typing) => typing.canary.as_ref(),
            _ => None,
        };
        own.into_iter().chain(self.verify.as_ref())
    }

    /// Where on the screen its action is done.
    pub fn targets(&self) -> Vec<&Target> {
        match &self.action {
            Action::Click(click) => vec![&click.target],
            Action::Type(typing) => typing.into.iter().collect(),
            Action::Hover(target) => vec![target],
            Action::Drag(drag) => vec![&drag.target, &drag.to],
            Action::Scroll(scroll) => scroll.target.iter().collect(),
            _ => Vec::new(),
        }
    }
}

impl Action {
    /// The action's key in a scenario.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Launch(_) => "launch",
            Action::Click(_) => "click",
            Action::Type(_) => "type",
            Action::Key(_) => "key",
            Action::Hover(_) => "hover",
            Action::Drag(_) => "drag",
            Action::Scroll(_) => "scroll",
            Action::WaitFor(_) => "wait_for",
            Action::WaitGone(_) => "wait_gone",
            Action::Never(_) => "never",
            Action::Expect(_) => "expect",
            Action::Shell(_) => "shell",
            Action::Screenshot(_) => "screenshot",
            Action::Note(_) => "note",
            Action::If(_) => "if",
            Action::Repeat(_) => "repeat",
            Action::Use(_) => "use",
            Action::Reboot(_) => "reboot",
            Action::Stage(_) => "stage",
            Action::Install(_) => "install",
            Action::Uninstall(_) => "uninstall",
            Action::Snapshot(_) => "snapshot",
            Action::Rollback(_) => "rollback",
            Action::Power(_) => "power",
        }
    }
}

/// Steps that depend on a condition.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Looked at once the desktop is still.
    pub condition: Check,
    /// How long it may take to hold.
    pub patience: Duration,
    /// What is done where it holds.
    pub then: Vec<Step>,
    /// What is done where it does not.
    pub otherwise: Vec<Step>,
}

/// Steps that are repeated.
#[derive(Clone, Debug)]
pub struct Repeat {
    /// Ends the rounds; looked at before each one and after the last. None: all rounds are made.
    pub until: Option<Check>,
    /// Number of rounds, at most where there is an end.
    pub rounds: u32,
    /// What a round does.
    pub steps: Vec<Step>,
}

/// A routine with its inputs.
#[derive(Clone, Debug)]
pub struct Use {
    /// Its name.
    pub routine: String,
    /// Its steps, with its conditions as checks before and after them.
    pub steps: Vec<Step>,
    /// The caller's names of values and the routine's names of its outputs.
    pub outputs: BTreeMap<String, String>,
}

/// A file for the guest.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Absolute, or in the home of the session's user (`~/...`).
    pub path: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// Permissions, such as 0o755.
    pub mode: Option<u32>,
    /// Whom it belongs to; none: the session's user.
    pub owner: Option<String>,
}

/// What a value has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Name of an input, or of a value that the run has captured.
    pub name: String,
    /// Its value; unknown until the plan is made, or until the step is filled in.
    pub value: Option<String>,
    /// One of these.
    pub wanted: Vec<String>,
}

impl Fact {
    /// Whether it holds; none where the value is not known yet.
    pub fn holds(&self) -> Option<bool> {
        self.value.as_ref().map(|value| self.wanted.contains(value))
    }

    /// The same, with what the run has captured by now; none also where a wanted value is not known yet.
    pub fn holds_with(&self, captured: &BTreeMap<String, String>) -> Option<bool> {
        let value = self.value.as_ref().or_else(|| captured.get(&self.name))?;
        match self.wanted.contains(value) {
            true => Some(true),
            false if self.wanted.iter().any(|wanted| is_template(wanted)) => None,
            false => Some(false),
        }
    }
}

impl std::fmt::Display for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {}", self.name, self.wanted.join(" or "))
    }
}

/// A value that a command's output gives to later steps.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Name of the value.
    pub name: String,
    /// Its first group is the value, or the whole match; none: the output, white space around it aside.
    pub pattern: Option<regex::Regex>,
}

/// A program to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Program and arguments; no shell is between.
    pub argv: Vec<String>,
    /// Title of the window to wait for: a window whose title contains it.
    pub window: Option<String>,
    /// What the program is told of the session's display.
    pub display: Display,
}

/// How the pointer gets to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// At once.
    Instant,
    /// Evenly, along a straight line.
    Linear,
    /// Along a curve, slowly at both ends.
    Bezier,
    /// As a hand does, pulled here and pushed there.
    WindMouse,
}

/// What a program is told of the session's display.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Display {
    /// All of it.
    #[default]
    Session,
    /// The X server, and no Wayland.
    X11,
    /// The X server of a Wayland compositor.
    Xwayland,
    /// The Wayland compositor, and no X.
    Wayland,
    /// A Wayland compositor that is not there, beside the X server.
    WaylandFake,
    /// That the session is Wayland, but not where; and the X server.
    WaylandNodisp,
    /// Nothing.
    None,
}

impl Display {
    /// All of them.
    pub const ALL: [Display; 7] = [
        Display::Session,
        Display::X11,
        Display::Xwayland,
        Display::Wayland,
        Display::WaylandFake,
        Display::WaylandNodisp,
        Display::None,
    ];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Display::Session => "session",
            Display::X11 => "x11",
            Display::Xwayland => "xwayland",
            Display::Wayland => "wayland",
            Display::WaylandFake => "wayland-fake",
            Display::WaylandNodisp => "wayland-nodisp",
            Display::None => "none",
        }
    }
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
    /// Keys held meanwhile.
    pub modifiers: Vec<String>,
}

/// Something dragged to somewhere.
#[derive(Clone, Debug)]
pub struct Drag {
    /// Where the button is pressed.
    pub target: Target,
    /// Where it is released.
    pub to: Target,
    /// Which button.
    pub button: Button,
}

/// A turn of the wheel.
#[derive(Clone, Debug)]
pub struct Scroll {
    /// Where the pointer is meanwhile; none: where it is.
    pub target: Option<Target>,
    /// Which way.
    pub direction: Direction,
    /// How far, at least 1.
    pub notches: u32,
}

/// A way to scroll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the beginning.
    Up,
    /// Towards the end.
    Down,
    /// Towards the left edge.
    Left,
    /// Towards the right edge.
    Right,
}

impl Direction {
    /// The word in a scenario.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
            Direction::Left => "left",
            Direction::Right => "right",
        }
    }
}

/// A watch over a span of time.
#[derive(Clone, Debug)]
pub struct Never {
    /// What must not hold.
    pub check: Check,
    /// How long.
    pub window: Duration,
    /// Longest time between two looks: what is there for less may be missed. None: as the condition allows.
    pub gap: Option<Duration>,
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

/// Text to type.
#[derive(Clone, Debug)]
pub struct Type {
    /// What is typed.
    pub text: Words,
    /// Clicked first.
    pub into: Option<Target>,
    /// Empties the field first.
    pub clear: bool,
    /// Must hold once a first letter was typed; it is deleted again, and the text typed only then.
    pub canary: Option<Check>,
    /// Chord that pastes: the text goes by way of the guest's clipboard then, at once.
    pub paste: Option<String>,
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
    /// How long each chord is held, where it is not just tapped.
    pub hold: Option<Duration>,
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
    /// What of its output later steps can use.
    pub capture: Vec<Capture>,
}
