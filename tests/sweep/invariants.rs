//! What must be true at every moment, looked at again and again while something else happens.

use crate::rig::Rig;
use kube::ResourceExt;
use mosdat::api::{GpuProfile, ProxmoxVM};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Debug, Deserialize)]
struct Machine {
    vmid: u32,
    running: bool,
    tags: String,
    description: String,
    hostpci: Vec<String>,
}

impl Machine {
    /// UID of the object that it was made for.
    fn owner(&self) -> Option<String> {
        let tag = self
            .tags
            .split([';', ',', ' '])
            .find_map(|t| t.strip_prefix("mosdat-uid-"));
        let line = self
            .description
            .lines()
            .find_map(|l| l.trim().strip_prefix("mosdat-uid: "));
        tag.or(line).map(str::to_string)
    }
}

const LOOK: &str = "[{'vmid': v.vmid, 'running': v.status == 'running', 'tags': str(v.config.get('tags', '')), \
    'description': str(v.config.get('description', '')), \
    'hostpci': [str(x) for k, x in v.config.items() if k.startswith('hostpci')]} for v in pve.vms if not v.template]";

async fn machines(rig: &Rig) -> Vec<Machine> {
    serde_json::from_value(rig.py(LOOK).await).expect("machines")
}

fn mapping(hostpci: &str) -> String {
    let found = hostpci.split(',').find_map(|p| p.strip_prefix("mapping="));
    found.unwrap_or(hostpci).to_string()
}

/// Looks once. The two far sides cannot be seen at one moment: what concerns both must hold for machines that are there
/// both before and after the objects were read.
pub async fn check(rig: &Rig, orphans_allowed: &BTreeSet<u32>) -> Result<(), String> {
    let before = machines(rig).await;
    let vms = rig
        .api::<ProxmoxVM>()
        .list(&Default::default())
        .await
        .map_err(|e| e.to_string())?;
    let profiles = rig
        .api::<GpuProfile>()
        .list(&Default::default())
        .await
        .map_err(|e| e.to_string())?;
    let after: BTreeMap<u32, Machine> = machines(rig).await.into_iter().map(|m| (m.vmid, m)).collect();

    let mut by_owner: BTreeMap<String, u32> = BTreeMap::new();
    let mut device_users: BTreeMap<String, u32> = BTreeMap::new();
    for m in &before {
        if let Some(owner) = m.owner()
            && let Some(other) = by_owner.insert(owner.clone(), m.vmid)
        {
            return Err(format!("VMs {other} and {} are both for {owner}", m.vmid));
        }
        for device in m.hostpci.iter().filter(|_| m.running).map(|h| mapping(h)) {
            if let Some(other) = device_users.insert(device.clone(), m.vmid) {
                return Err(format!("VMs {other} and {} both run with {device}", m.vmid));
            }
        }
    }
    let living: BTreeSet<String> = vms.iter().filter_map(ResourceExt::uid).collect();
    let mut lent: BTreeMap<String, String> = BTreeMap::new();
    for p in &profiles {
        let mut devices = BTreeSet::new();
        for lease in p.status.iter().flat_map(|s| &s.leases) {
            if !devices.insert(lease.device.clone()) {
                return Err(format!("device {} of {} has two leases", lease.device, p.name_any()));
            }
            if let Some(d) = p.spec.devices.iter().find(|d| d.name == lease.device) {
                let d = serde_json::to_value(d).expect("device");
                lent.insert(
                    d["mapping"].as_str().unwrap_or_default().to_string(),
                    lease.holder.uid.clone(),
                );
            }
        }
    }
    for m in &before {
        let still = after.get(&m.vmid).filter(|a| a.owner() == m.owner());
        let (Some(owner), Some(still)) = (m.owner(), still) else {
            continue;
        };
        if !living.contains(&owner) && !orphans_allowed.contains(&m.vmid) {
            return Err(format!("VM {} is for {owner}, which is gone", m.vmid));
        }
        for device in m
            .hostpci
            .iter()
            .filter(|_| m.running && still.running)
            .map(|h| mapping(h))
        {
            if lent.get(&device) != Some(&owner) {
                return Err(format!(
                    "VM {} runs with {device}, whose lease is with {:?}",
                    m.vmid,
                    lent.get(&device)
                ));
            }
        }
    }
    for vm in &vms {
        for c in vm.status.iter().flat_map(|s| &s.conditions) {
            if (c.type_ == "Stalled" || c.status == "False") && (c.reason.is_empty() || c.message.is_empty()) {
                return Err(format!("{}: {c:?} does not say why", vm.name_any()));
            }
        }
    }
    Ok(())
}

/// Looks until the first violation.
pub async fn watch(rig: &Rig, orphans_allowed: BTreeSet<u32>) -> String {
    loop {
        if let Err(e) = check(rig, &orphans_allowed).await {
            return e;
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}
