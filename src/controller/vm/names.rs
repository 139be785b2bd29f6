//! How a VM in Proxmox says whose it is: a line in its description (set by the clone call) and tags (set after).

use crate::api::ProxmoxVM;
use crate::proxmox::VmConfig;
use kube::ResourceExt;

/// Tag of every VM that mosdat made.
pub const TAG: &str = "mosdat";
const MARK: &str = "mosdat-uid: ";

/// Tag with the owner's UID.
pub fn uid_tag(uid: &str) -> String {
    format!("mosdat-uid-{}", uid.to_ascii_lowercase())
}

/// Description of a clone.
pub fn description(vm: &ProxmoxVM, uid: &str) -> String {
    format!(
        "Made by mosdat for ProxmoxVM {}/{}.\n{MARK}{uid}\n",
        vm.namespace().unwrap_or_default(),
        vm.name_any()
    )
}

/// Whether the VM carries this UID.
pub fn is_ours(config: &VmConfig, uid: &str) -> bool {
    let line = config
        .get("description")
        .is_some_and(|d| d.lines().any(|l| l.trim() == format!("{MARK}{uid}")));
    line || config.tags().iter().any(|t| *t == uid_tag(uid))
}

/// Tags a VM should have: those it has, and ours.
pub fn tags(config: &VmConfig, uid: &str) -> Option<String> {
    let mut tags = config.tags();
    let before = tags.len();
    for tag in [TAG.to_string(), uid_tag(uid)] {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    (tags.len() != before).then(|| tags.join(";"))
}

/// A DNS label made from an object's name: Proxmox takes letters, digits, `-` and `.`.
pub fn vm_name(vm: &ProxmoxVM) -> String {
    let name: String = vm.name_any().chars().take(63).collect();
    name.trim_end_matches(['-', '.']).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(k: &str, v: &str) -> VmConfig {
        VmConfig([(k.to_string(), v.to_string())].into())
    }

    #[test]
    fn only_our_uid_makes_it_ours() {
        assert!(is_ours(&config("description", "x\nmosdat-uid: abc\n"), "abc"));
        assert!(!is_ours(&config("description", "x\nmosdat-uid: abcd\n"), "abc"));
        assert!(is_ours(&config("tags", "mosdat;mosdat-uid-abc"), "abc"));
        assert!(!is_ours(&VmConfig::default(), "abc"));
    }

    #[test]
    fn tags_are_added_once() {
        let c = config("tags", "linux");
        assert_eq!(tags(&c, "a").as_deref(), Some("linux;mosdat;mosdat-uid-a"));
        assert_eq!(tags(&config("tags", "linux;mosdat;mosdat-uid-a"), "a"), None);
    }
}
