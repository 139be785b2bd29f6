//! What must hold, as typed values.

use super::accessible::Accessible;
use super::model::{Fact, Shell};
use super::target::Target;

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
    /// A window whose title contains this is shown.
    Window(String),
    /// A file of the guest is there, and fits.
    File(FileCheck),
    /// A line that fits was written to this file since the run began.
    Log(FileCheck),
    /// The clipboard's text fits.
    Clipboard(Fits),
    /// An element of the accessibility tree is there, and its value fits.
    Node(Box<NodeCheck>),
    /// Something in the guest listens at this TCP port.
    Port(u16),
    /// The program that was launched last has ended with this exit code.
    Exited(i32),
    /// A value is what it has to be.
    Fact(Vec<Fact>),
    /// The condition does not hold.
    Not(Box<Check>),
    /// At least one holds.
    Any(Vec<Check>),
    /// Each holds.
    All(Vec<Check>),
}

impl Check {
    /// The condition and all those within it.
    pub fn parts(&self) -> Vec<&Check> {
        let mut all = vec![self];
        match self {
            Check::Not(inner) => all.extend(inner.parts()),
            Check::Any(checks) | Check::All(checks) => all.extend(checks.iter().flat_map(Check::parts)),
            _ => {}
        }
        all
    }
}

/// A command as a check.
#[derive(Clone, Debug)]
pub struct ShellCheck {
    /// What runs.
    pub shell: Shell,
    /// What its standard output has to be like.
    pub fits: Fits,
}

/// A file as a check.
#[derive(Clone, Debug)]
pub struct FileCheck {
    /// Absolute, or in the home of the session's user (`~/...`).
    pub path: String,
    /// What its content has to be like.
    pub fits: Fits,
}

/// An element of the accessibility tree as a check.
#[derive(Clone, Debug)]
pub struct NodeCheck {
    /// Which.
    pub element: Accessible,
    /// What its text or its number has to be like.
    pub value: Option<Fits>,
}

/// What a text has to be like: all that is given.
#[derive(Clone, Debug, Default)]
pub struct Fits {
    /// It contains this.
    pub contains: Option<String>,
    /// It is this, white space around it aside.
    pub equals: Option<String>,
    /// It matches this regular expression.
    pub matches: Option<regex::Regex>,
}

impl PartialEq for Fits {
    fn eq(&self, other: &Fits) -> bool {
        let pattern = |fits: &Fits| fits.matches.as_ref().map(|m| m.as_str().to_string());
        self.contains == other.contains && self.equals == other.equals && pattern(self) == pattern(other)
    }
}

impl Fits {
    /// True where nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.contains.is_none() && self.equals.is_none() && self.matches.is_none()
    }

    /// True where the text is as it has to be.
    pub fn holds(&self, text: &str) -> bool {
        self.miss(text, "", "").is_none()
    }

    /// True where the text as a whole is compared, so that a part of it says nothing.
    pub fn needs_whole(&self) -> bool {
        self.equals.is_some() || self.matches.is_some()
    }

    /// What does not fit; `what` is the text's name, `shown` what a person may read of it.
    pub fn miss(&self, text: &str, what: &str, shown: &str) -> Option<String> {
        match self {
            Fits {
                contains: Some(wanted), ..
            } if !text.contains(wanted) => Some(format!("{what} does not contain '{wanted}'; it is '{shown}'")),
            Fits {
                equals: Some(wanted), ..
            } if text.trim() != wanted.trim() => Some(format!("{what} is not '{wanted}'; it is '{shown}'")),
            Fits {
                matches: Some(wanted), ..
            } if !wanted.is_match(text) => Some(format!("{what} does not match /{wanted}/; it is '{shown}'")),
            _ => None,
        }
    }
}
