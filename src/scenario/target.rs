//! Where on the screen something is: targets, and lengths.

use super::accessible::Accessible;
use super::reference::Reference;
use std::sync::Arc;

/// Something on the screen.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The short form: quoted text in it is looked for first, the whole is a description.
    Words(String),
    /// The long form.
    Fields(Box<TargetFields>),
}

impl Target {
    /// The long form's fields.
    pub fn fields(&self) -> Option<&TargetFields> {
        match self {
            Target::Words(_) => None,
            Target::Fields(fields) => Some(fields),
        }
    }
}

/// The long form of a target: an element of the accessibility tree, `reference`, `text`, `describe` or several of them;
/// or `at` alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetFields {
    /// An element of the accessibility tree; looked for first.
    pub element: Option<Accessible>,
    /// What it looks like; looked for before what follows.
    pub reference: Option<Arc<Reference>>,
    /// The reference may be anywhere on the screen.
    pub anywhere: bool,
    /// Text as shown.
    pub text: Option<String>,
    /// Description for a vision model.
    pub describe: Option<String>,
    /// A place, from the left and from the top.
    pub at: Option<(Length, Length)>,
    /// Why the place is fixed.
    pub reason: Option<String>,
    /// The shown text must be this and nothing more.
    pub exact: bool,
    /// Which of several, from 1, in reading order.
    pub nth: Option<u32>,
    /// Only there it is looked for.
    pub within: Option<Within>,
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

/// A part of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    /// Left edge, top edge, width, height.
    Region([Length; 4]),
    /// The window whose title contains this.
    Window(String),
}

/// A part of the screen that pictures must not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Where the step's target is.
    Target,
    /// Left edge, top edge, width, height.
    Region([Length; 4]),
}

/// A distance on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Pixels.
    Pixels(u32),
    /// Part of the screen's width or height, in millionths.
    Part(u32),
}

impl Length {
    /// In pixels, on a screen that is `whole` wide or high.
    pub fn of(self, whole: u32) -> u32 {
        match self {
            Length::Pixels(n) => n,
            Length::Part(n) => (u64::from(n) * u64::from(whole.saturating_sub(1)) / 1_000_000) as u32,
        }
    }
}
