//! Finding and judging things in a frame: reference images, OCR, vision models, and a cascade of them.
//!
//! Every backend is a [`Vision`]. What this folder promises: a backend that cannot decide says so
//! ([`Verdict::CannotTell`], [`Located::Ambiguous`], [`Located::NotFound`] with what it saw instead) and never guesses;
//! an outage is an [`Error`], never a verdict about the product.

mod cascade;
mod error;
mod judge;
mod locate;
mod misread;
pub mod models;
mod ocr;
mod openai;
mod reach;
mod reference;
mod target;
mod text;
mod types;

pub use cascade::Cascade;
pub use error::Error;
pub use ocr::{Line, Ocr, Word};
pub use openai::answer;
pub use openai::{
    Budget, Coordinates, FAMILIES, Family, Form, Limits, Money, OpenAi, OpenAiConfig, Prices, Sizing, family, no_judge,
    only_points, unknown_model,
};
pub use reach::{unreadable_question, unreadable_target};
pub use reference::{Explanation, Match, Outcome, Reference, References, Wanted};
pub use target::parse_target;
pub use types::{Hit, Judgement, Located, Request, Target, Verdict, Vision};
