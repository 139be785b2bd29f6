//! The folder's error: what failed, where, and what kind of failure it is.

use std::collections::BTreeMap;

/// What a failure means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The VM, task, node or process does not exist (Proxmox has no 404; the text says it).
    NotFound,
    /// The VMID is taken.
    AlreadyExists,
    /// The VM's configuration carries a lock (`lock: clone`, `backup`, ...).
    Locked,
    /// A privilege is missing, or the action is reserved to root@pam.
    Permission,
    /// A parameter was refused.
    Parameter,
    /// A lock or the cluster was busy; try again later.
    Busy,
    /// No passthrough device is free.
    NoGpu,
    /// The VM runs, its guest agent does not answer.
    AgentNotRunning,
    /// The VM does not run.
    NotRunning,
    /// The guest agent could not run the command.
    CommandNotRun,
    /// The credentials were refused.
    Auth,
    /// The API was not reached or the answer was lost; a write may or may not have happened.
    Transport,
    /// Anything else; the message has Proxmox's text.
    Other,
}

/// A failed call.
#[derive(Clone, Debug, thiserror::Error)]
#[error("Proxmox at {endpoint}: {method} {path}: {}{message}{}", .status.map(|s| format!("{s} ")).unwrap_or_default(), fields_text(.fields))]
pub struct Error {
    /// What the failure means.
    pub kind: ErrorKind,
    /// Base URL that was talked to.
    pub endpoint: String,
    /// HTTP method.
    pub method: &'static str,
    /// Path below `/api2/json`.
    pub path: String,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// Proxmox's text, or what went wrong on the way.
    pub message: String,
    /// Messages per parameter, of a 400 answer.
    pub fields: BTreeMap<String, String>,
}

fn fields_text(fields: &BTreeMap<String, String>) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let list: Vec<String> = fields.iter().map(|(k, v)| format!("{k}: {}", v.trim())).collect();
    format!(" ({})", list.join("; "))
}

impl Error {
    pub(super) fn new(
        kind: ErrorKind,
        endpoint: &str,
        method: &'static str,
        path: &str,
        message: impl Into<String>,
    ) -> Error {
        Error {
            kind,
            endpoint: endpoint.to_string(),
            method,
            path: path.to_string(),
            status: None,
            message: message.into(),
            fields: BTreeMap::new(),
        }
    }

    /// Whether trying again later may help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Busy | ErrorKind::Transport | ErrorKind::NoGpu | ErrorKind::AgentNotRunning
        ) || (self.kind == ErrorKind::Other && self.status.is_none_or(|s| s >= 500 && s != 501))
    }
}
