//! The folder's error: what failed, where, and what kind of failure it is.

use std::collections::BTreeMap;

/// What a failure means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The VM, task, node or process does not exist (Proxmox has no 404; the text says it).
    NotFound,
    /// The VMID or the snapshot's name is taken.
    AlreadyExists,
    /// The VM's configuration carries a lock (`lock: clone`, `backup`, ...); [`Error::lock`] says which.
    Locked,
    /// A privilege is missing ([`Error::denied`]), or the action is reserved to root@pam.
    Permission,
    /// A parameter was refused; [`Error::fields`] has Proxmox's word on each.
    Parameter,
    /// A lock or the cluster was busy; try again later.
    Busy,
    /// No passthrough device is free; [`Error::gpu_holder`] may know who has it.
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
    /// The API answers, the node that was asked for does not: nothing was done.
    NodeOffline,
    /// Anything else; the message has Proxmox's text.
    Other,
}

impl ErrorKind {
    /// One word, for labels of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::NotFound => "not_found",
            ErrorKind::AlreadyExists => "already_exists",
            ErrorKind::Locked => "locked",
            ErrorKind::Permission => "permission",
            ErrorKind::Parameter => "parameter",
            ErrorKind::Busy => "busy",
            ErrorKind::NoGpu => "no_gpu",
            ErrorKind::AgentNotRunning => "agent_not_running",
            ErrorKind::NotRunning => "not_running",
            ErrorKind::CommandNotRun => "command_not_run",
            ErrorKind::Auth => "auth",
            ErrorKind::Transport => "transport",
            ErrorKind::NodeOffline => "node_offline",
            ErrorKind::Other => "other",
        }
    }
}

/// What a refusal for want of rights asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Path in Proxmox's permission tree, such as `/vms/100`.
    pub path: String,
    /// Any one of these privileges would have done.
    pub privileges: Vec<String>,
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
            ErrorKind::Busy
                | ErrorKind::Transport
                | ErrorKind::NodeOffline
                | ErrorKind::NoGpu
                | ErrorKind::AgentNotRunning
        ) || (self.kind == ErrorKind::Other && self.status.is_none_or(|s| s >= 500 && s != 501))
    }

    /// The lock of [`ErrorKind::Locked`], such as `clone` or `backup`.
    ///
    /// There is no call that removes it with an API token: `skiplock` and `qm unlock` are root's, on the node. A
    /// `clone` lock that outlived its task has to be explained to a person, not retried.
    pub fn lock(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("is locked (")?;
        Some(rest.split_once(')')?.0)
    }

    /// What was missing for [`ErrorKind::Permission`], where Proxmox says it.
    pub fn denied(&self) -> Option<Denied> {
        let (_, rest) = self.message.split_once("Permission check failed (")?;
        let (path, privileges) = rest.split_once(')')?.0.split_once(',')?;
        path.starts_with('/').then(|| Denied {
            path: path.to_string(),
            privileges: privileges.split('|').map(|p| p.trim().to_string()).collect(),
        })
    }

    /// VMID of the VM that has the device of [`ErrorKind::NoGpu`], where Proxmox says it.
    pub fn gpu_holder(&self) -> Option<u32> {
        let (_, rest) = self.message.split_once("already in use by VMID '")?;
        rest.split_once('\'')?.0.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> Error {
        Error::new(ErrorKind::Other, "https://a:8006", "GET", "/version", message)
    }

    #[test]
    fn locks() {
        assert_eq!(told("VM is locked (clone)").lock(), Some("clone"));
        assert_eq!(
            told("qmstart task failed: VM is locked (snapshot-delete)").lock(),
            Some("snapshot-delete")
        );
        assert_eq!(told("no lock").lock(), None);
    }

    #[test]
    fn missing_privileges() {
        let d = told("Permission check failed (/vms/100, VM.Audit)")
            .denied()
            .expect("told");
        assert_eq!(
            (d.path.as_str(), d.privileges),
            ("/vms/100", vec!["VM.Audit".to_string()])
        );
        let d = told("Permission check failed (/storage/a, Datastore.Audit|Datastore.AllocateSpace)").denied();
        assert_eq!(d.expect("told").privileges.len(), 2);
        assert_eq!(told("Permission check failed (user != root@pam)").denied(), None);
        assert_eq!(told("Permission check failed").denied(), None);
    }

    #[test]
    fn holders() {
        let text = "qmstart task failed: PCI device '0000:01:00.0' already in use by VMID '102'";
        assert_eq!(told(text).gpu_holder(), Some(102));
        assert_eq!(told("could not find a free device for 'hostpci0'").gpu_holder(), None);
    }
}
