//! Which privileges what is declared needs, at which paths of Proxmox, and how to grant those that are missing.

use crate::proxmox::Permissions;
use std::collections::{BTreeMap, BTreeSet};

/// To clone, write, start, look at and destroy a VM. Proxmox VE 9; see [`agent`] for what older ones call otherwise.
const VM: &[&str] = &[
    "VM.Allocate",
    "VM.Audit",
    "VM.Clone",
    "VM.Config.CPU",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Options",
    "VM.Console",
    "VM.PowerMgmt",
];

/// To run commands in the guest.
fn agent(version: &str) -> &'static str {
    let major = version.split('.').next().and_then(|m| m.parse::<u32>().ok());
    match major {
        Some(m) if m < 9 => "VM.Monitor",
        _ => "VM.GuestAgent.Unrestricted",
    }
}

/// Name of the role that the command makes.
const ROLE: &str = "Mosdat";

/// What the objects of a namespace want of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Pool that new VMs join; rights on it are enough.
    pub pool: Option<String>,
    /// Storages that are named.
    pub storages: BTreeSet<String>,
    /// PCI resource mappings of the GpuProfiles.
    pub mappings: BTreeSet<String>,
    /// Privileges on VMs that only some of them need.
    pub extra: BTreeSet<&'static str>,
}

/// Privileges at a path. With `somewhere`, having them at any path below will do: which one it is is decided by the
/// template.
struct Need {
    path: String,
    privileges: Vec<&'static str>,
    somewhere: bool,
}

fn needs(declared: &Declared, version: &str) -> Vec<Need> {
    let need = |path: String, list: &[&'static str], somewhere| Need {
        path,
        privileges: list.to_vec(),
        somewhere,
    };
    let mut vm = VM.to_vec();
    vm.push(agent(version));
    vm.extend(&declared.extra);
    let mut out = Vec::new();
    match &declared.pool {
        // The template may be outside the pool.
        Some(pool) => {
            vm.retain(|p| *p != "VM.Clone");
            out.push(need(format!("/pool/{pool}"), &vm, false));
            out.push(need("/vms".to_string(), &["VM.Clone"], true));
        }
        None => out.push(need("/vms".to_string(), &vm, false)),
    }
    const STORAGE: &[&str] = &["Datastore.AllocateSpace", "Datastore.Audit"];
    if declared.storages.is_empty() {
        out.push(need("/storage".to_string(), STORAGE, true));
    }
    for s in &declared.storages {
        out.push(need(format!("/storage/{s}"), STORAGE, false));
    }
    for m in &declared.mappings {
        out.push(need(format!("/mapping/pci/{m}"), &["Mapping.Use"], false));
    }
    out.push(need("/nodes".to_string(), &["Sys.Audit"], true));
    out.push(need("/sdn".to_string(), &["SDN.Use"], true));
    out
}

/// Missing privileges by path.
pub type Missing = BTreeMap<String, Vec<&'static str>>;

/// What is missing.
pub fn missing(held: &Permissions, declared: &Declared, version: &str) -> Missing {
    let mut out = Missing::new();
    for need in needs(declared, version) {
        let below = format!("{}/", need.path);
        let lacks = |privilege: &&'static str| {
            let here = held.missing(&need.path, &[*privilege]).is_empty();
            let elsewhere = need.somewhere
                && held
                    .0
                    .iter()
                    .any(|(path, list)| path.starts_with(&below) && list.contains_key(*privilege));
            !here && !elsewhere
        };
        let list: Vec<&'static str> = need.privileges.into_iter().filter(|p| lacks(p)).collect();
        if !list.is_empty() {
            out.insert(need.path, list);
        }
    }
    out
}

/// What is missing where, and the commands that grant it.
pub fn told(missing: &Missing, login: &str, declared: &Declared, version: &str) -> String {
    let list: Vec<String> = missing
        .iter()
        .map(|(path, list)| format!("{} on {path}", list.join(", ")))
        .collect();
    // The role has everything: a role on a path takes the place of what is passed down from above.
    let all: BTreeSet<&str> = needs(declared, version)
        .into_iter()
        .flat_map(|n| n.privileges)
        .collect();
    let all: Vec<&str> = all.into_iter().collect();
    let who = match login.split_once('!') {
        // With privilege separation a token never has more than its user.
        Some((user, _)) => format!("--users '{user}' --tokens '{login}'"),
        None => format!("--users '{login}'"),
    };
    let grants: Vec<String> = missing
        .keys()
        .map(|path| format!("pveum acl modify {path} {who} --roles {ROLE}"))
        .collect();
    format!(
        "{login} lacks {}. On a node of the cluster run: pveum role add {ROLE} --privs '{}' && {} (if the role exists: pveum role modify, with --append 1)",
        list.join("; "),
        all.join(" "),
        grants.join(" && ")
    )
}
