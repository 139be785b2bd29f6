//! What can go wrong while looking. All of it is infrastructure, never a statement about the product.

use std::path::PathBuf;

/// A vision backend failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model file is not there.
    #[error("OCR model {} is missing; fetch the models with 'tools/fetch-models.sh' or 'make models' \
             (MOSDAT_MODELS names another directory)", path.display())]
    ModelMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A model file is not the pinned one.
    #[error("OCR model {} is damaged or of another version (SHA-256 {found}, expected {expected}); delete it and run \
             'tools/fetch-models.sh' or 'make models'", path.display())]
    ModelHash {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A model file could not be read or run.
    #[error("OCR: {doing}: {reason}")]
    Ocr {
        /// What was being done.
        doing: String,
        /// The cause.
        reason: String,
    },
    /// A target that says nothing a backend could look for.
    #[error("target cannot be looked for: {0}")]
    Target(String),
    /// A backend's settings make no sense.
    #[error("vision backend is configured wrongly: {0}")]
    Config(String),
    /// A picture could not be prepared for sending.
    #[error("frame cannot be encoded: {0}")]
    Frame(#[from] crate::desktop::Error),
    /// The VLM could not be reached at any of its addresses.
    #[error("VLM {model} did not answer: {}", attempts.join("; "))]
    Unreachable {
        /// The model.
        model: String,
        /// What happened at each address, without credentials.
        attempts: Vec<String>,
    },
    /// The VLM answered without a text, each time. That may pass.
    #[error("VLM {model} gave an answer without a text: {}", attempts.join("; "))]
    Empty {
        /// The model.
        model: String,
        /// What happened at each address, without credentials.
        attempts: Vec<String>,
    },
    /// Every address of the VLM refused the request: a wrong key, an unknown model. Asking again changes nothing.
    #[error("VLM {model} refuses the request; check the provider's URL, key and model: {}", attempts.join("; "))]
    Refused {
        /// The model.
        model: String,
        /// What each address said, without credentials.
        attempts: Vec<String>,
    },
    /// The VLM's answer was longer than it may be. Asking again changes nothing.
    #[error(
        "the answer of VLM {model} was cut off at {most} tokens; a model that thinks before it answers needs more \
             (spec.openai.maxTokens of the VisionProvider)"
    )]
    CutOff {
        /// The model.
        model: String,
        /// Tokens that an answer may have.
        most: u32,
    },
    /// What the run or a step may spend on the VLM is spent.
    #[error("the {whose}'s budget for VLM {model} is spent: {spent} (spec.openai.{setting} of the VisionProvider)")]
    Budget {
        /// The model.
        model: String,
        /// `run` or `step`.
        whose: &'static str,
        /// Where it is set.
        setting: &'static str,
        /// What was spent, and how much there was.
        spent: String,
    },
    /// The VLM did not get ready.
    #[error("VLM {model} was not ready after {} s (spec.openai.warmUpSeconds of the VisionProvider): {last}", after.as_secs())]
    NotReady {
        /// The model.
        model: String,
        /// How long it was waited for.
        after: std::time::Duration,
        /// What it said last.
        last: String,
    },
    /// The VLM answered something that cannot be read strictly.
    #[error("VLM {model} gave an unusable answer ({problem}): {answer:?}")]
    Answer {
        /// The model.
        model: String,
        /// What is wrong with it.
        problem: String,
        /// The start of the answer.
        answer: String,
    },
}
