//! What a vision backend is asked and what it answers.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Error, Money, Wanted};
use crate::desktop::{Frame, Point, Rect};

/// What to look for. At least one of `reference`, `text` and `describe` is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// What it looks like; for [`References`](super::References), which looks for it first.
    #[serde(skip)]
    pub reference: Option<Wanted>,
    /// A text on the screen, as it is written there.
    pub text: Option<String>,
    /// A description in words, for backends that understand them.
    pub describe: Option<String>,
    /// The text must be equal in case and must be a whole line or whole words.
    pub exact: bool,
    /// Which of several, from 1, in reading order.
    pub nth: Option<u32>,
    /// The one nearest to this text.
    pub near: Option<String>,
    /// Left of this text, on its row.
    pub left_of: Option<String>,
    /// Right of this text, on its row.
    pub right_of: Option<String>,
    /// Above this text, in its column.
    pub above: Option<String>,
    /// Below this text, in its column.
    pub below: Option<String>,
    /// Only whether it is shown is asked, not for a place to click: it may be there several times, and a text may go on
    /// over the end of a line. A model's judge answers that, for the whole picture.
    pub presence: bool,
    /// The text was typed in this run, so the caret may stand behind it and be read as a letter of it.
    pub typed: bool,
    /// Only this part of the frame is looked at.
    pub region: Option<Rect>,
}

/// A place that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Where it is, in frame pixels.
    pub rect: Rect,
    /// Where to click: inside `rect`, unless a reference tells another place.
    pub point: Point,
    /// 0 to 1; of a reference, the similarity. A VLM gives none; its hits say 0.5.
    pub confidence: f32,
    /// What answered: `node`, `reference`, `ocr` or `vlm`.
    #[serde(skip_deserializing)]
    pub rung: &'static str,
    /// The text or description that was matched, as the backend saw it.
    pub matched: String,
}

impl Hit {
    /// The rung of references.
    pub const REFERENCE: &str = "reference";

    /// The rung of elements of the accessibility tree.
    pub const NODE: &str = "node";

    /// A text read with less certainty than this proves nothing.
    pub(super) const UNSURE: f32 = 0.6;

    /// False where a text was read with so little certainty that it may be another. A VLM's confidence says nothing, and
    /// what a reference needs, its author has said.
    pub fn is_certain(&self) -> bool {
        self.rung == "vlm" || self.rung == Hit::REFERENCE || self.confidence >= Hit::UNSURE
    }
}

/// The answer to "where is it?".
#[derive(Debug, Clone, PartialEq)]
pub enum Located {
    /// Here.
    Found(Hit),
    /// Nowhere on this frame, as far as this backend can tell.
    NotFound {
        /// Why, with the most similar texts seen.
        reason: String,
        /// False where something that was seen may be it, misread: then that it is absent is not known.
        sure: bool,
    },
    /// Several places fit equally well.
    Ambiguous {
        /// All of them, in reading order.
        hits: Vec<Hit>,
    },
}

/// The answer to a yes-or-no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Yes.
    True,
    /// No.
    False,
    /// This backend cannot decide it.
    CannotTell,
}

impl Verdict {
    /// The word for it in records.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::True => "true",
            Verdict::False => "false",
            Verdict::CannotTell => "cannotTell",
        }
    }
}

/// A verdict with its grounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// The places it rests on.
    pub evidence: Vec<Hit>,
    /// What a model named as its grounds, in its words.
    pub named: Vec<String>,
    /// What answered: `ocr` or `vlm`.
    pub rung: &'static str,
}

/// A request to a model, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `locate`, `judge` or `warmUp`.
    pub purpose: &'static str,
    /// Model that was asked.
    pub model: String,
    /// Version of the prompt.
    pub prompt_version: u32,
    /// The prompt.
    pub prompt: String,
    /// SHA-256 of the PNG that was sent, hexadecimal.
    pub picture: String,
    /// Width of the picture that was sent, in pixels.
    pub width: u32,
    /// Height of the picture that was sent, in pixels.
    pub height: u32,
    /// What the model answered, or why it did not.
    pub answer: Result<String, String>,
    /// Tokens of the request and of the answer, where the server tells.
    pub tokens: Option<(u64, u64)>,
    /// What the tokens cost, where prices are known.
    pub cost: Option<Money>,
    /// True where nothing was sent: the same had been asked of the same pixels.
    pub kept: bool,
    /// Milliseconds.
    pub ms: u64,
}

/// A backend that looks at frames.
#[async_trait]
pub trait Vision: Send + Sync {
    /// Its name for reports.
    fn name(&self) -> String;

    /// Looks for a target.
    ///
    /// # Errors
    /// [`Error`] if the backend failed; not finding is no error.
    async fn locate(&self, frame: &Frame, target: &Target) -> Result<Located, Error>;

    /// Answers a question about the frame with yes, no or "cannot tell".
    ///
    /// # Errors
    /// [`Error`] if the backend failed.
    async fn judge(&self, frame: &Frame, question: &str) -> Result<Judgement, Error>;

    /// True where its word that the target is surely not shown settles that, so that nobody else is asked: a reader's of a
    /// text, a judge's of anything. Who is asked where something is, is no judge: some always point somewhere.
    fn settles_absence(&self, _target: &Target) -> bool {
        false
    }

    /// True where it understands more than which texts are shown: a description, any question.
    fn understands(&self) -> bool {
        true
    }

    /// Makes a model ready that has to be loaded first, where its provider says how long that may take.
    ///
    /// # Errors
    /// [`Error::NotReady`].
    async fn warm_up(&self) -> Result<(), Error> {
        Ok(())
    }

    /// What is asked from now on is asked for the step of this id, which has a budget of its own; also when that step
    /// goes on after others that it holds.
    fn in_step(&self, _step: &str) {}

    /// How long an answer may take while nothing is wrong.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// The requests to models since the last call.
    fn requests(&self) -> Vec<Request> {
        Vec::new()
    }
}
