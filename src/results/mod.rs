//! What a run leaves behind: the event log, pictures, the report, JUnit.
//!
//! Promises: every event is one line of `events.jsonl`, flushed, so that a kill loses at most the last line; sequence
//! numbers rise by one; values of secret inputs are replaced before anything is written or told; the report is made
//! from the events alone and opens offline.

mod deciding;
mod error;
mod event;
mod html;
mod junit;
mod mask;
mod mend;
mod picture;
mod recorder;
mod style;
mod view;

pub use deciding::{Deciding, deciding};
pub use error::Error;
pub use event::*;
pub use html::report;
pub use junit::junit;
pub use mend::mend;
pub use recorder::{CANDIDATES_DIR, EVENTS_FILE, JUNIT_FILE, REPORT_FILE, Recorder, SCREENSHOTS_DIR, read_events};
