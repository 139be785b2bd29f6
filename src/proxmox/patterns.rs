//! Classification of Proxmox's texts: a table, tested row by row.

use super::ErrorKind::{self, *};
use std::collections::BTreeMap;

/// Every text of a row must occur; the first row that fits decides. Order matters where texts overlap.
const PATTERNS: &[(&[&str], ErrorKind)] = &[
    (&["can't lock file", "got timeout"], Busy),
    (&["error with cfs lock"], Busy),
    (&["cluster not ready - no quorum"], Busy),
    (&["checksum mismatch"], Busy),
    (&["is running - destroy failed"], Busy),
    (&["VM is locked ("], Locked),
    (&["is locked ("], Locked),
    (&["config file already exists"], AlreadyExists),
    (&["already exists on node"], AlreadyExists),
    (&["VM ", " already exists"], AlreadyExists),
    (&["already in use by VMID"], NoGpu),
    (&["could not find a free device for"], NoGpu),
    (&["QEMU guest agent is not running"], AgentNotRunning),
    (&["No QEMU guest agent configured"], AgentNotRunning),
    (&["got timeout", "guest-"], AgentNotRunning),
    (&["VM ", " is not running"], NotRunning),
    (&["Agent error: PID", "does not exist"], NotFound),
    (&["Agent error:", "Failed to execute child process"], CommandNotRun),
    (&["Permission check failed"], Permission),
    (&["only root can set"], Permission),
    (&["only root is allowed"], Permission),
    (&["Configuration file", "does not exist"], NotFound),
    (&["unable to find configuration file for VM"], NotFound),
    (&["no such VM"], NotFound),
    (&["no such task"], NotFound),
    (&["unable to parse worker upid"], Parameter),
    (&["hostname lookup", "failed"], Parameter),
    (&["no such cluster node"], Parameter),
    (&["PCI device mapping not found"], Parameter),
    (&["PCI device mapping invalid"], Parameter),
    (&["Linked clone feature is not supported"], Parameter),
    (&["not implemented"], Parameter),
    (&["Parameter verification failed"], Parameter),
];

/// What a refusal means. `status` is `None` for the exit text of a task; `path` tells agent calls from others.
pub fn classify(status: Option<u16>, path: &str, message: &str, fields: &BTreeMap<String, String>) -> ErrorKind {
    match status {
        Some(401) => return Auth,
        // The guest's error text breaks the answer's status line; see docs on agent exec.
        Some(596) if path.contains("/agent/") => return CommandNotRun,
        Some(595 | 596 | 502 | 503 | 504) => return Transport,
        _ => {}
    }
    let texts = std::iter::once(message).chain(fields.values().map(String::as_str));
    let mut found = None;
    for text in texts {
        for (row, (parts, kind)) in PATTERNS.iter().enumerate() {
            if parts.iter().all(|p| text.contains(p)) && found.is_none_or(|(best, _)| row < best) {
                found = Some((row, *kind));
            }
        }
    }
    match (found, status) {
        (Some((_, kind)), _) => kind,
        (None, Some(403)) => Permission,
        (None, Some(400 | 501)) => Parameter,
        (None, Some(404)) => NotFound,
        (None, Some(408 | 429)) => Busy,
        _ => Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, path, message, errors by field, and what that is.
    type Row = (
        Option<u16>,
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        ErrorKind,
    );

    /// Texts as observed (or as the sources of Proxmox have them), one per row of behaviour.
    const ROWS: &[Row] = &[
        (Some(401), "/version", "", &[], Auth),
        (
            Some(403),
            "/nodes/a/qemu/1/config",
            "Permission check failed (/vms/1, VM.Audit)",
            &[],
            Permission,
        ),
        (
            Some(500),
            "/nodes/a/qemu/1/config",
            "only root can set 'hostpci0' config for non-mapped devices",
            &[],
            Permission,
        ),
        (
            Some(500),
            "/nodes/a/qemu/999/config",
            "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist",
            &[],
            NotFound,
        ),
        (
            Some(500),
            "/nodes/a/qemu/1/clone",
            "unable to create VM 130: config file already exists",
            &[],
            AlreadyExists,
        ),
        (
            Some(500),
            "/nodes/a/qemu",
            "unable to create VM 130 - VM 130 already exists on node 'pve1'",
            &[],
            AlreadyExists,
        ),
        (
            Some(400),
            "/cluster/nextid",
            "Parameter verification failed.",
            &[("vmid", "VM 100 already exists")],
            AlreadyExists,
        ),
        (Some(500), "/nodes/a/qemu/1/config", "VM is locked (clone)", &[], Locked),
        (
            None,
            "",
            "can't lock file '/var/lock/pve-manager/pve-storage-local' - got timeout",
            &[],
            Busy,
        ),
        (
            Some(500),
            "",
            "can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout",
            &[],
            Busy,
        ),
        (None, "", "cluster not ready - no quorum?", &[], Busy),
        (
            Some(500),
            "",
            "checksum mismatch (file change by other user?)",
            &[],
            Busy,
        ),
        (Some(500), "", "VM 101 is running - destroy failed", &[], Busy),
        (
            None,
            "",
            "PCI device '0000:01:00.0' already in use by VMID '102'",
            &[],
            NoGpu,
        ),
        (None, "", "could not find a free device for 'hostpci0'", &[], NoGpu),
        (None, "", "PCI device mapping not found for 'gpu0'", &[], Parameter),
        (
            Some(500),
            "/nodes/a/qemu/1/agent/ping",
            "QEMU guest agent is not running",
            &[],
            AgentNotRunning,
        ),
        (
            Some(500),
            "/nodes/a/qemu/1/agent/ping",
            "No QEMU guest agent configured",
            &[],
            AgentNotRunning,
        ),
        (
            Some(500),
            "/nodes/a/qemu/1/agent/ping",
            "VM 100 is not running",
            &[],
            NotRunning,
        ),
        (
            Some(596),
            "/nodes/a/qemu/1/agent/exec",
            "Broken pipe",
            &[],
            CommandNotRun,
        ),
        (Some(596), "/nodes/a/qemu/1/config", "Broken pipe", &[], Transport),
        (
            Some(500),
            "/nodes/a/qemu/1/agent/exec-status",
            "Agent error: PID ld does not exist",
            &[],
            NotFound,
        ),
        (
            Some(400),
            "/nodes/a/tasks/x/status",
            "Parameter verification failed.",
            &[("upid", "no such task")],
            NotFound,
        ),
        (
            Some(400),
            "/nodes/a/qemu/1/config",
            "Parameter verification failed.",
            &[("foo", "property is not defined in schema")],
            Parameter,
        ),
        (
            Some(501),
            "/nodes/a/qemux",
            "Method 'GET /nodes/pve1/qemux' not implemented",
            &[],
            Parameter,
        ),
        (
            Some(500),
            "/nodes/b/qemu",
            "hostname lookup 'pve9' failed - failed to get address info",
            &[],
            Parameter,
        ),
        (None, "", "bridge 'vmbr0' does not exist", &[], Other),
        (
            None,
            "",
            "base volume 'local:100/base-100-disk-0.qcow2' is still in use by linked cloned",
            &[],
            Other,
        ),
    ];

    #[test]
    fn every_row() {
        for (status, path, message, fields, kind) in ROWS {
            let fields = fields.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            assert_eq!(
                classify(*status, path, message, &fields),
                *kind,
                "{status:?} {path} {message}"
            );
        }
    }
}
