//! Classification of Proxmox's texts: a table, tested row by row.

use super::ErrorKind::{self, *};
use std::collections::BTreeMap;

/// Every text of a row must occur; the first row that fits decides. Order matters where texts overlap.
const PATTERNS: &[(&[&str], ErrorKind)] = &[
    (&["can't lock file", "got timeout"], Busy),
    (&["error with cfs lock"], Busy),
    (&["cfs-lock '", "' error:"], Busy),
    (&["cluster not ready - no quorum"], Busy),
    (&["checksum mismatch"], Busy),
    (&["is running - destroy failed"], Busy),
    (&["is locked ("], Locked),
    (&["config file already exists"], AlreadyExists),
    (&["already exists on node"], AlreadyExists),
    (&["VM ", " already exists"], AlreadyExists),
    (&["snapshot name", "already used"], AlreadyExists),
    (&["already in use by VMID"], NoGpu),
    (&["could not find a free device for"], NoGpu),
    (&["QEMU guest agent is not running"], AgentNotRunning),
    (&["No QEMU guest agent configured"], AgentNotRunning),
    (&["got timeout", "guest-"], AgentNotRunning),
    (&["VM ", " not running"], NotRunning),
    (&["Agent error: PID", "does not exist"], NotFound),
    (&["Failed to execute child process"], CommandNotRun),
    (&["failed to open file", "No such file or directory"], NotFound),
    (&["Permission check failed"], Permission),
    (&["only root can set"], Permission),
    (&["only root is allowed"], Permission),
    (&["Only root may use this option"], Permission),
    (&["Configuration file", "does not exist"], NotFound),
    (&["unable to find configuration file for VM"], NotFound),
    (&["no such VM"], NotFound),
    (&["no such task"], NotFound),
    (&["snapshot '", "' does not exist"], NotFound),
    (&["No route to host"], NodeOffline),
    (&["unable to parse worker upid"], Parameter),
    (&["hostname lookup", "failed"], Parameter),
    (&["no such cluster node"], Parameter),
    (&["storage '", "' does not exist"], Parameter),
    (&["no PCI device found for"], Parameter),
    (&["PCI device mapping not found"], Parameter),
    (&["PCI device mapping invalid"], Parameter),
    (&["Linked clone feature is not supported"], Parameter),
    (&["not implemented"], Parameter),
    (&["Parameter verification failed"], Parameter),
];

/// The row that decides about a text.
fn row(text: &str) -> Option<usize> {
    PATTERNS
        .iter()
        .position(|(parts, _)| parts.iter().all(|p| text.contains(p)))
}

/// What a refusal means. `status` is `None` for the exit text of a task; `path` tells agent calls from others.
pub fn classify(status: Option<u16>, path: &str, message: &str, fields: &BTreeMap<String, String>) -> ErrorKind {
    match status {
        Some(401) => return Auth,
        // The guest's error text breaks the answer's status line; see docs on agent exec.
        Some(596) if path.contains("/agent/") => return CommandNotRun,
        // The API's own codes for another node: 595 not connected, 596 and up lost on the way.
        Some(595) => return NodeOffline,
        Some(596..=599 | 502 | 503 | 504) => return Transport,
        _ => {}
    }
    let texts = std::iter::once(message).chain(fields.values().map(String::as_str));
    let found = texts.filter_map(row).min().map(|i| PATTERNS[i].1);
    match (found, status) {
        (Some(kind), _) => kind,
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
            Some(595),
            "/nodes/a/qemu/1/config",
            "No route to host",
            &[],
            NodeOffline,
        ),
        (Some(595), "/nodes/a/qemu/1/agent/ping", "", &[], NodeOffline),
        (
            Some(500),
            "/nodes/a/qemu/1/status/reset",
            "VM 101 not running",
            &[],
            NotRunning,
        ),
        (Some(503), "/version", "", &[], Transport),
        (Some(429), "/version", "", &[], Busy),
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

    /// One text per row of the table, in its order: that row and none before it must take it.
    const SAMPLES: &[&str] = &[
        "can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout",
        "error with cfs lock 'storage-local': got lock request timeout",
        "cfs-lock 'storage-nfs' error: got lock request timeout",
        "cluster not ready - no quorum?",
        "checksum mismatch (file change by other user?)",
        "VM 101 is running - destroy failed",
        "VM is locked (backup)",
        "unable to create VM 130: config file already exists",
        "unable to create VM 130 - VM 130 already exists on node 'pve1'",
        "VM 100 already exists",
        "snapshot name 'clean' already used",
        "PCI device '0000:01:00.0' already in use by VMID '102'",
        "could not find a free device for 'hostpci0'",
        "QEMU guest agent is not running",
        "No QEMU guest agent configured",
        "VM 100 qmp command 'guest-ping' failed - got timeout",
        "VM 100 is not running",
        "Agent error: PID ld does not exist",
        "Agent error: Guest agent command failed, error was 'Failed to execute child process \u{201c}x\u{201d}'",
        "Agent error: failed to open file '/x' (mode: 'r'): No such file or directory",
        "Permission check failed (/vms/100, VM.Audit)",
        "only root can set 'hostpci0' config for non-mapped devices",
        "only root is allowed to do that",
        "Only root may use this option.",
        "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist",
        "unable to find configuration file for VM 101 on node 'pve1'",
        "no such VM ('101')",
        "no such task",
        "snapshot 'clean' does not exist",
        "No route to host",
        "unable to parse worker upid 'x'",
        "hostname lookup 'pve9' failed - failed to get address info for: pve9: Name or service not known",
        "no such cluster node 'pve9'",
        "storage 'fast' does not exist",
        "no PCI device found for '0000:01:00.0'",
        "PCI device mapping not found for 'gpu0'",
        "PCI device mapping invalid (hardware probably changed): missing expected property 'iommugroup'",
        "Linked clone feature is not supported for 'local:100/vm-100-disk-0.qcow2' (scsi0)",
        "Method 'GET /nodes/pve1/qemux' not implemented",
        "Parameter verification failed.",
    ];

    #[test]
    fn every_row_of_the_table_is_needed() {
        assert_eq!(SAMPLES.len(), PATTERNS.len());
        for (i, text) in SAMPLES.iter().enumerate() {
            assert_eq!(row(text), Some(i), "{text}");
        }
    }

    #[test]
    fn observed_answers() {
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
