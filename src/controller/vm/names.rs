//! How a VM in Proxmox says whose it is: lines in its description (set by the clone call) and tags (set after).

use crate::api::ProxmoxVM;
use crate::proxmox::VmConfig;
use kube::ResourceExt;

/// Tag of every VM that mosdat looks after.
pub const TAG: &str = "mosdat";
const UID_TAG: &str = "mosdat-uid-";
const MADE: &str = "Made by mosdat for ProxmoxVM ";
const ADOPTED: &str = "Adopted by mosdat for ProxmoxVM ";
const MARK: &str = "mosdat-uid: ";
const INSTALLATION: &str = "mosdat-cluster: ";

/// Tag with the owner's UID.
pub fn uid_tag(uid: &str) -> String {
    format!("{UID_TAG}{}", uid.to_ascii_lowercase())
}

/// Description of a clone. `installation` is the UID of the ProxmoxCluster; with the VMID it tells the VM from those of
/// other installations and from copies that people make of it.
pub fn description(vm: &ProxmoxVM, uid: &str, installation: &str, vmid: u32) -> String {
    format!(
        "{MADE}{}.\n{MARK}{uid}\n{INSTALLATION}{installation}/{vmid}\n",
        owner(vm)
    )
}

/// Description of a VM that was not made by us.
pub fn adopted(vm: &ProxmoxVM, uid: &str) -> String {
    format!("{ADOPTED}{}.\n{MARK}{uid}\n", owner(vm))
}

/// Description of a snapshot that a run asked for.
pub fn checkpoint(vm: &ProxmoxVM) -> String {
    format!("Taken by mosdat for the run that has ProxmoxVM {}", owner(vm))
}

fn owner(vm: &ProxmoxVM) -> String {
    format!("{}/{}", vm.namespace().unwrap_or_default(), vm.name_any())
}

/// A description without our lines.
pub fn without_marks(description: &str) -> String {
    let foreign = |l: &&str| {
        let l = l.trim();
        !(l.starts_with(MADE) || l.starts_with(ADOPTED) || l.starts_with(MARK) || l.starts_with(INSTALLATION))
    };
    let kept: Vec<&str> = description.lines().filter(foreign).collect();
    kept.join("\n").trim().to_string()
}

fn line<'a>(config: &'a VmConfig, begin: &str) -> Option<&'a str> {
    let lines = config.get("description")?.lines();
    lines.filter_map(|l| l.trim().strip_prefix(begin)).next_back()
}

/// UIDs that the VM is marked with.
fn owners(config: &VmConfig) -> Vec<String> {
    let tags = config.tags();
    let tagged = tags.iter().filter_map(|t| t.strip_prefix(UID_TAG));
    let mut out: Vec<String> = tagged.map(str::to_string).collect();
    out.extend(line(config, MARK.trim_end()).map(|u| u.trim().to_ascii_lowercase()));
    out
}

/// Whether the VM carries this UID.
pub fn is_ours(config: &VmConfig, uid: &str) -> bool {
    owners(config).iter().any(|o| o.eq_ignore_ascii_case(uid))
}

/// Another UID that the VM carries.
pub fn other_owner(config: &VmConfig, uid: &str) -> Option<String> {
    owners(config).into_iter().find(|o| !o.eq_ignore_ascii_case(uid))
}

/// Owner of a VM that this installation made under this VMID, by its description.
pub fn made_by(config: &VmConfig, vmid: u32, installation: &str) -> Option<String> {
    let made_as = line(config, INSTALLATION.trim_end())?.trim();
    let owner = line(config, MARK.trim_end())?.trim();
    (made_as == format!("{installation}/{vmid}")).then(|| owner.to_string())
}

/// Whether a tag is one of ours.
pub fn is_our_tag(tag: &str) -> bool {
    tag == TAG || tag.starts_with(UID_TAG)
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
        assert_eq!(
            other_owner(&config("tags", "mosdat-uid-x"), "abc").as_deref(),
            Some("x")
        );
        assert_eq!(other_owner(&config("tags", "mosdat-uid-abc"), "abc"), None);
    }

    #[test]
    fn marks_come_and_go() {
        let vm = ProxmoxVM::new(
            "a",
            serde_json::from_value(serde_json::json!({
                "clusterRef": {"name": "c"}, "source": {"adopt": {"vmid": 101}}
            }))
            .expect("spec"),
        );
        for marks in [description(&vm, "U", "I", 7), adopted(&vm, "U")] {
            let text = format!("my own words\n{marks}");
            assert!(is_ours(&config("description", &text), "U"));
            assert_eq!(without_marks(&text), "my own words");
        }
        let made = config("description", &description(&vm, "U", "I", 7));
        assert_eq!(made_by(&made, 7, "I").as_deref(), Some("U"));
        assert_eq!(made_by(&made, 8, "I"), None);
        assert_eq!(made_by(&config("description", &adopted(&vm, "U")), 7, "I"), None);
    }
}
