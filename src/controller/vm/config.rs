//! The configuration that a VM should have: what to write, what to give back, what a template must not have. Pure.

use super::names;
use super::seen::Vm;
use crate::api::{ProxmoxVM, ProxmoxVMStatus};
use crate::proxmox::{PendingKey, VmConfig};
use std::collections::{BTreeMap, BTreeSet};

/// Keys that mosdat may write and that need a restart when the VM runs.
const HARDWARE: &[&str] = &[
    "cores", "sockets", "memory", "cpu", "machine", "net0", "vga", "hostpci0",
];
/// Stands for the bridge within `net0` in `status.original`.
const BRIDGE: &str = "net0.bridge";
/// Tags that mosdat added, in `status.original`.
const ADDED_TAGS: &str = "tags.added";

/// What to write, with what `status.original` has to hold before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Parameters of PUT config; `delete` lists keys to remove.
    pub values: Vec<(String, String)>,
    /// Values to remember, those that are remembered already left out.
    pub remember: BTreeMap<String, String>,
}

impl Change {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn set(&mut self, key: &str, value: String) {
        self.values.push((key.to_string(), value));
    }

    fn delete(&mut self, key: &str) {
        match self.values.iter_mut().find(|(k, _)| k == "delete") {
            Some((_, list)) => {
                list.push(',');
                list.push_str(key);
            }
            None => self.set("delete", key.to_string()),
        }
    }

    /// The keys, for people.
    pub fn keys(&self) -> String {
        let named = self.values.iter().flat_map(|(k, v)| match k.as_str() {
            "delete" => v.split(',').map(|k| format!("-{k}")).collect(),
            "digest" => vec![],
            _ => vec![k.clone()],
        });
        named.collect::<Vec<_>>().join(", ")
    }

    /// What a VM has of these keys, for people.
    pub fn found(&self, vm: &Vm) -> String {
        let Vm::Present { config, .. } = vm else {
            return "another value".to_string();
        };
        let written = self.values.iter().filter(|(k, _)| k != "digest");
        let keys = written.flat_map(|(k, v)| match k.as_str() {
            "delete" => v.split(',').collect(),
            key => vec![key],
        });
        let shown = keys.map(|k| format!("{k}={}", value(config, k)));
        shown.collect::<Vec<_>>().join(", ")
    }

    /// A stopped VM's configuration after the write.
    pub fn applied(&self, config: &VmConfig) -> VmConfig {
        let mut out = config.0.clone();
        // The digest changes with the configuration; nobody knows it without asking.
        out.remove("digest");
        for (k, v) in &self.values {
            match k.as_str() {
                "delete" => v.split(',').for_each(|k| drop(out.remove(k))),
                "digest" => {}
                _ => drop(out.insert(k.clone(), v.clone())),
            }
        }
        VmConfig(out)
    }
}

/// What to write. What equals the template's is not written: the VM may be resumed from the template's memory.
pub fn differences(vm: &ProxmoxVM, config: &VmConfig, hostpci: Option<&str>) -> Change {
    let status = vm.status.clone().unwrap_or_default();
    let mut change = Change::default();
    tags(vm, &status, config, &mut change);
    let wanted = wanted(vm, hostpci);
    let keys: BTreeSet<&str> = wanted
        .keys()
        .copied()
        .chain(status.original.keys().map(String::as_str))
        .filter(|k| *k == BRIDGE || HARDWARE.contains(k))
        .collect();
    for key in keys {
        let have = value(config, key);
        let want = match wanted.get(key) {
            Some(v) => v.clone(),
            None => status.original.get(key).cloned().unwrap_or_default(),
        };
        if same(key, &have, &want) {
            continue;
        }
        if !status.original.contains_key(key) {
            change.remember.insert(key.to_string(), have);
        }
        write(config, key, want, &mut change);
    }
    change
}

/// The settings that the spec asks for.
fn wanted(vm: &ProxmoxVM, hostpci: Option<&str>) -> BTreeMap<&'static str, String> {
    let h = vm.spec.hardware.clone().unwrap_or_default();
    let optional = [
        ("cores", h.cores.map(|n| n.to_string())),
        ("sockets", h.sockets.map(|n| n.to_string())),
        ("memory", h.memory_mib.map(|n| n.to_string())),
        ("cpu", h.cpu),
        ("machine", h.machine),
        (BRIDGE, h.bridge),
        ("vga", Some("std".to_string())),
        ("hostpci0", hostpci.map(str::to_string)),
    ];
    optional.into_iter().filter_map(|(k, v)| Some((k, v?))).collect()
}

/// The present text of a key; empty when it is not there.
fn value(config: &VmConfig, key: &str) -> String {
    if key == BRIDGE {
        return bridge(config.get("net0").unwrap_or_default()).to_string();
    }
    config.get(key).unwrap_or_default().to_string()
}

fn write(config: &VmConfig, key: &str, want: String, change: &mut Change) {
    if key == BRIDGE {
        let card = config.get("net0").unwrap_or("virtio");
        change.set("net0", with_bridge(card, &want));
    } else if want.is_empty() {
        change.delete(key);
    } else {
        change.set(key, want);
    }
}

/// Whether two texts of a key mean the same. Proxmox may write options in another order or spell the first one out.
fn same(key: &str, have: &str, want: &str) -> bool {
    let first = |s: &str| {
        let s = s.split(',').next().unwrap_or_default();
        s.strip_prefix("cputype=")
            .or(s.strip_prefix("type="))
            .unwrap_or(s)
            .to_string()
    };
    match key {
        // A bare name asks for the type only; what was remembered is asked for to the letter.
        "cpu" | "machine" | "vga" if !want.is_empty() && !want.contains([',', '=']) => first(have) == want,
        "hostpci0" => {
            let set = |s: &str| s.split(',').map(str::to_string).collect::<BTreeSet<_>>();
            set(have) == set(want)
        }
        _ => have == want,
    }
}

fn bridge(card: &str) -> &str {
    let options = card.split(',');
    options
        .filter_map(|p| p.strip_prefix("bridge="))
        .next()
        .unwrap_or_default()
}

/// A network card's text with another bridge; model and MAC address stay.
fn with_bridge(card: &str, to: &str) -> String {
    let mut parts: Vec<String> = card
        .split(',')
        .filter(|p| !p.starts_with("bridge=") && !p.is_empty())
        .map(str::to_string)
        .collect();
    if !to.is_empty() {
        parts.push(format!("bridge={to}"));
    }
    parts.join(",")
}

fn tags(vm: &ProxmoxVM, status: &ProxmoxVMStatus, config: &VmConfig, change: &mut Change) {
    let uid = vm.metadata.uid.as_deref().unwrap_or_default();
    let before = config.tags();
    let added = added(status);
    let ours = names::uid_tag(uid);
    let mut after: Vec<String> = before
        .iter()
        .filter(|t| !names::is_our_tag(t) || **t == ours || *t == names::TAG)
        .filter(|t| !added.contains(*t) || vm.spec.tags.contains(t))
        .cloned()
        .collect();
    let mut new = added.clone();
    for tag in vm.spec.tags.iter() {
        if !after.contains(tag) {
            new.insert(tag.clone());
            after.push(tag.clone());
        }
    }
    for tag in [names::TAG.to_string(), ours] {
        if !after.contains(&tag) {
            after.push(tag);
        }
    }
    // Proxmox may sort tags.
    if before.iter().collect::<BTreeSet<_>>() != after.iter().collect() {
        change.set("tags", after.join(";"));
    }
    if new != added {
        let list: Vec<String> = new.into_iter().collect();
        change.remember.insert(ADDED_TAGS.to_string(), list.join(";"));
    }
}

fn added(status: &ProxmoxVMStatus) -> BTreeSet<String> {
    let list = status.original.get(ADDED_TAGS).map(String::as_str).unwrap_or_default();
    list.split(';').filter(|t| !t.is_empty()).map(str::to_string).collect()
}

/// Marks a VM that was not made by us as ours; refused by Proxmox if anybody changed it since it was read.
pub fn mark(vm: &ProxmoxVM, config: &VmConfig) -> Change {
    let mut change = Change::default();
    let uid = vm.metadata.uid.as_deref().unwrap_or_default();
    tags(vm, &vm.status.clone().unwrap_or_default(), config, &mut change);
    let own = names::without_marks(config.get("description").unwrap_or_default());
    // A rollback brings old tags back and keeps the description.
    change.set(
        "description",
        format!("{own}\n{}", names::adopted(vm, uid)).trim_start().to_string(),
    );
    if let Some(digest) = config.get("digest") {
        change.set("digest", digest.to_string());
    }
    change
}

/// Takes our marks and devices out of a VM that stays; an adopted one gets its settings back.
pub fn give_back(vm: &ProxmoxVM, config: &VmConfig) -> Change {
    let status = vm.status.clone().unwrap_or_default();
    let mut change = Change::default();
    if vm.spec.source.adopt.is_some() {
        for (key, was) in &status.original {
            if (key == BRIDGE || HARDWARE.contains(&key.as_str())) && !same(key, &value(config, key), was) {
                write(config, key, was.clone(), &mut change);
            }
        }
    } else if vm.spec.gpu_profile_ref.is_some() && config.get("hostpci0").is_some() {
        change.delete("hostpci0");
    }
    let added = added(&status);
    let before = config.tags();
    let left: Vec<String> = before
        .iter()
        .filter(|t| !names::is_our_tag(t) && !added.contains(*t))
        .cloned()
        .collect();
    if left.len() != before.len() {
        match left.is_empty() {
            true => change.delete("tags"),
            false => change.set("tags", left.join(";")),
        }
    }
    let text = config.get("description").unwrap_or_default();
    let own = names::without_marks(text);
    if own != text.trim() {
        match own.is_empty() {
            true => change.delete("description"),
            false => change.set("description", own),
        }
    }
    change
}

/// The configuration as the next start will use it.
pub fn next(keys: &[PendingKey]) -> VmConfig {
    let kept = keys.iter().filter(|k| !k.delete);
    let text = |k: &PendingKey| k.pending.clone().or_else(|| k.value.clone());
    VmConfig(kept.filter_map(|k| Some((k.key.clone(), text(k)?))).collect())
}

/// Keys of ours that wait for the VM's next start.
pub fn restart_for(pending: &BTreeSet<String>) -> Vec<&str> {
    let ours = |k: &&str| HARDWARE.contains(k);
    pending.iter().map(String::as_str).filter(ours).collect()
}

/// Why a template cannot be cloned by a token, with the command that repairs it.
pub fn template_problem(config: &VmConfig, vmid: u32, node: &str) -> Option<String> {
    let fix = |key: &str, why: &str, command: String| {
        Some(format!(
            "template {vmid} has {key}: {}, {why}; run `{command}` on node {node}",
            config.get(key).unwrap_or("nothing"),
        ))
    };
    let raw = config
        .hostpci()
        .find(|(_, v)| !v.split(',').any(|p| p.starts_with("mapping=")));
    if let Some((key, _)) = raw {
        let why = "a device by address, which no API token may clone (use a GpuProfile)";
        return fix(key, why, format!("qm set {vmid} --delete {key}"));
    }
    for key in ["args", "hookscript"] {
        if config.get(key).is_some() {
            let why = "which only root@pam may change in the clones";
            return fix(key, why, format!("qm set {vmid} --delete {key}"));
        }
    }
    let agent = config.get("agent").unwrap_or_default();
    let first = agent.split(',').next().unwrap_or_default();
    if !matches!(
        first.strip_prefix("enabled=").unwrap_or(first),
        "1" | "yes" | "on" | "true"
    ) {
        let why = "and without the guest agent nothing is known of the guest";
        return fix("agent", why, format!("qm set {vmid} --agent 1"));
    }
    None
}
