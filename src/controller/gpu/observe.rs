//! What the decisions about devices need to know.

use super::super::context::lock;
use super::super::{Context, Error};
use super::decide::{Asker, Facts, World};
use crate::api::{GpuDeviceState, GpuProfile, Holder, ProxmoxVM};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Nodes per mapping, by namespace and name of the cluster, with when they were looked up.
pub type Mappings = Mutex<HashMap<(String, String), (Instant, Option<BTreeMap<String, Vec<String>>>)>>;

/// How long mappings are believed.
const MAPPINGS_LAST: Duration = Duration::from_secs(30);

/// What is known of the cluster: at most one request in half a minute.
pub async fn facts(ctx: &Context, profile: &GpuProfile) -> Facts {
    let ns = profile.namespace().unwrap_or_default();
    let spec = &profile.spec;
    let name = &spec.cluster_ref.name;
    let cluster = match ctx.cluster(&ns, name).await {
        Ok(c) => c,
        Err(e) => {
            return Facts {
                no_address: Some(format!("whether address may be used is not known: {e}")),
                mappings: None,
            };
        }
    };
    let no_address = (!cluster.is_root()).then(|| {
        format!(
            "Proxmox takes a device by address only from root@pam logged in with its password, and ProxmoxCluster {name} logs in as {}; make a PCI resource mapping of the device and name that",
            cluster.login
        )
    });
    let key = (ns, name.clone());
    let known = lock(&ctx.mappings).get(&key).cloned();
    let mappings = match known {
        Some((at, known)) if at.elapsed() < MAPPINGS_LAST => known,
        _ if spec.devices.iter().all(|d| d.mapping.is_none()) => None,
        // Without the right to see them they are used as they are.
        _ => {
            let list = cluster.client.pci_mappings(None).await.ok();
            let by_node = list.map(|list| {
                let nodes = |m: &crate::proxmox::PciMapping| {
                    let set: BTreeSet<String> = m.devices.iter().map(|d| d.node.clone()).collect();
                    set.into_iter().filter(|n| !n.is_empty()).collect()
                };
                list.iter().map(|m| (m.id.clone(), nodes(m))).collect()
            });
            lock(&ctx.mappings).insert(key, (Instant::now(), by_node.clone()));
            by_node
        }
    };
    Facts { no_address, mappings }
}

/// Whether a VM wants a device of a profile.
pub fn wants(vm: &ProxmoxVM, profile: &str) -> bool {
    vm.metadata.deletion_timestamp.is_none() && vm.spec.gpu_profile_ref.as_ref().is_some_and(|r| r.name == profile)
}

/// A VM as one that asks.
pub fn asker(vm: &ProxmoxVM) -> Asker {
    let status = vm.status.as_ref();
    let made = status.filter(|s| s.vmid.is_some()).and_then(|s| s.node.clone());
    Asker {
        holder: Holder {
            kind: "ProxmoxVM".to_string(),
            name: vm.name_any(),
            uid: vm.metadata.uid.clone().unwrap_or_default(),
        },
        since: vm
            .metadata
            .creation_timestamp
            .clone()
            .unwrap_or_else(|| Time(Timestamp::now())),
        cluster: vm.spec.cluster_ref.name.clone(),
        node: made.or_else(|| vm.spec.source.clone.as_ref().and_then(|c| c.node.clone())),
        last: status.and_then(|s| s.gpu.clone()),
    }
}

/// For the regular look.
pub async fn world(ctx: &Context, profile: &GpuProfile) -> Result<World, Error> {
    let (ns, name) = (profile.namespace().unwrap_or_default(), profile.name_any());
    let vms = ctx
        .api::<ProxmoxVM>(&ns)
        .list(&Default::default())
        .await
        .map_err(Error::kube(format!("listing the VMs of {ns}")))?
        .items;
    let status = profile.status.clone().unwrap_or_default();
    let foreign = status
        .devices
        .iter()
        .any(|d| d.state == GpuDeviceState::InUseElsewhere && d.vmid.is_some());
    let stopped = if foreign {
        stopped(ctx, profile, &ns).await
    } else {
        BTreeSet::new()
    };
    let released = profile.annotations().get(super::RELEASE_QUARANTINE);
    Ok(World {
        living: vms.iter().filter_map(|v| v.metadata.uid.clone()).collect(),
        waiting: vms.iter().filter(|v| wants(v, &name)).map(asker).collect(),
        stopped,
        released: released
            .map(|r| r.split(',').map(|d| d.trim().to_string()).collect())
            .unwrap_or_default(),
    })
}

/// VMs that are seen not to run. One that we may not see might run.
async fn stopped(ctx: &Context, profile: &GpuProfile, ns: &str) -> BTreeSet<u32> {
    let Ok(cluster) = ctx.cluster_to_clean_up(ns, &profile.spec.cluster_ref.name).await else {
        return BTreeSet::new();
    };
    let all = cluster.client.cluster_vms().await.unwrap_or_default();
    all.iter().filter(|v| v.status == "stopped").map(|v| v.vmid).collect()
}
