//! What a refusal by Proxmox means for the VM, and what a person can do about it.

use crate::proxmox::ErrorKind;

/// The reason word of a refusal, and whether trying again without a change is hopeless.
pub fn refusal(kind: ErrorKind, message: &str) -> (&'static str, bool) {
    match kind {
        ErrorKind::Permission => ("PermissionDenied", true),
        ErrorKind::Parameter => ("Refused", true),
        ErrorKind::Auth => ("AuthenticationFailed", true),
        ErrorKind::NoGpu => ("GpuInUse", false),
        ErrorKind::Busy => ("Busy", false),
        ErrorKind::Locked => ("Locked", false),
        ErrorKind::Transport => ("Unreachable", false),
        ErrorKind::NodeOffline => ("NodeOffline", false),
        _ => ADVICE
            .iter()
            .find(|(text, ..)| message.contains(text))
            .map_or(("ActionFailed", false), |(_, reason, _)| (reason, true)),
    }
}

/// Texts of Proxmox that stay until a person does something: the text, our reason, the command (`VMID` stands for the
/// VM's, `NODE` for its node).
const ADVICE: &[(&str, &str, &str)] = &[
    (
        "is still in use by linked clone",
        "HasLinkedClones",
        "the VM was made a template and has linked clones; destroy them first: on NODE, `pvesm list STORAGE | grep base-VMID` names them",
    ),
    (
        "protection mode enabled",
        "Protected",
        "run `qm set VMID --protection 0` on NODE to let it go",
    ),
    (
        "No space left on device",
        "StorageFull",
        "free space on the storage, or name another by source.clone.storage",
    ),
    (
        "is not online",
        "StorageOffline",
        "`pvesm status` on NODE tells the state of its storages",
    ),
    (
        "VM is locked (destroyed)",
        "DestroyLeft",
        "a destroy was cut off half-way; run `qm unlock VMID` on NODE, it is destroyed then",
    ),
    (
        "is locked (",
        "Locked",
        "if nothing works on the VM any more, run `qm unlock VMID` on NODE",
    ),
];

/// A refusal's text with what to do about it, where that is known.
pub fn with_advice(message: &str, vmid: u32, node: &str) -> String {
    match ADVICE.iter().find(|(text, ..)| message.contains(text)) {
        Some((_, _, advice)) => {
            let advice = advice
                .replace("VMID", &vmid.to_string())
                .replace("NODE", &format!("node {node}"));
            format!("{message}; {advice}")
        }
        None => message.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_its_command() {
        let rows = [
            (
                ErrorKind::Other,
                "base volume 'local:100/base-100-disk-0.qcow2' is still in use by linked cloned",
                ("HasLinkedClones", true),
            ),
            (
                ErrorKind::Other,
                "can't remove VM 20000 - protection mode enabled",
                ("Protected", true),
            ),
            (
                ErrorKind::Other,
                "clone failed: unable to write to storage 'local': No space left on device",
                ("StorageFull", true),
            ),
            (ErrorKind::Locked, "VM is locked (backup)", ("Locked", false)),
            (
                ErrorKind::NoGpu,
                "could not find a free device for 'hostpci0'",
                ("GpuInUse", false),
            ),
            (
                ErrorKind::Other,
                "bridge 'vmbr9' does not exist",
                ("ActionFailed", false),
            ),
        ];
        for (kind, text, want) in rows {
            assert_eq!(refusal(kind, text), want, "{text}");
        }
        let told = with_advice("VM is locked (backup)", 7, "n");
        assert!(told.ends_with("run `qm unlock 7` on node n"), "{told}");
        assert_eq!(with_advice("no", 7, "n"), "no");
    }
}
