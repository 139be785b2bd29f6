//! What a run leaves behind: the event log, pictures, the report, JUnit.
//!
//! Promises: every event is one line of `events.jsonl`, flushed, so that a kill loses at most the last line; sequence
//! numbers rise by one; values of secret inputs are replaced before anything is written or told; the report is made
//! from the events alone, opens offline, and holds all of them and of the pictures: it is the trace too.

mod again;
mod allure;
mod beside;
mod cover;
mod deciding;
mod error;
mod event;
mod evidence;
mod junit;
mod mask;
mod mend;
mod page;
mod planned;
mod recorder;
mod summary;
mod text;
mod trace;
mod video;
mod view;

pub use again::{Answered, Looked, Question, WANTED_REFERENCE, asked, looked};
pub use allure::{Allure, Attachment, Content, allure};
pub use beside::is_screen;
pub use cover::region;
pub use deciding::{Deciding, deciding};
pub use error::Error;
pub use event::*;
pub use junit::junit;
pub use mend::mend;
pub use page::{missing, report, report_with};
pub use recorder::{
    CANDIDATES_DIR, EVENTS_FILE, JUNIT_FILE, REPORT_FILE, Recorder, SCREENSHOTS_DIR, frame_number, read_events,
};
pub use summary::summary;
pub use text::visible;
pub use trace::{Picture, Trace, attempt_of};
pub use video::{Encoder, Film, VIDEO_FILE};
