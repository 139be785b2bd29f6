//! What can go wrong when evidence is stored.

use std::path::PathBuf;

/// Evidence could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be written or read.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// What was given is no trace, or lacks something.
    #[error("{path}: {problem}")]
    Trace {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A picture could not be encoded.
    #[error("encoding a screenshot: {0}")]
    Picture(String),
    /// An event could not be written as JSON, or read back.
    #[error("event log: {0}")]
    Event(#[from] serde_json::Error),
}
