//! What the decisions about devices need to know.

use super::super::context::lock;
use super::super::{Context, Error};
use super::decide::World;
use super::devices::Facts;
use super::queue::Asker;
use crate::api::{GpuDeviceState, GpuProfile, Holder, ProxmoxVM};
use crate::proxmox::{Client, ErrorKind, PciMapping};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a cluster answered, by its namespace and name, with when it was asked.
pub type Mappings = Mutex<HashMap<(String, String), (Instant, Answer)>>;

/// Nodes per mapping, `None` where we may not list them; or why the cluster did not answer.
pub type Answer = Result<Option<BTreeMap<String, Vec<String>>>, String>;

/// How long mappings are believed.
const MAPPINGS_LAST: Duration = Duration::from_secs(30);
/// The same while they are not all that is wanted, or were not to be had.
const LACK_LASTS: Duration = Duration::from_secs(5);

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
                unavailable: Some(e.to_string()),
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
    let answer = match known {
        Some((at, known)) if at.elapsed() < lasts(&known, profile) => known,
        _ => {
            let answer = ask(&cluster.client).await;
            lock(&ctx.mappings).insert(key, (Instant::now(), answer.clone()));
            answer
        }
    };
    let (mappings, unavailable) = match answer {
        Ok(mappings) => (mappings, None),
        Err(why) => (None, Some(why)),
    };
    Facts {
        no_address,
        mappings,
        unavailable,
    }
}

fn lasts(answer: &Answer, profile: &GpuProfile) -> Duration {
    let lack = match answer {
        Err(_) => true,
        Ok(None) => false,
        Ok(Some(known)) => {
            let mut wanted = profile.spec.devices.iter().filter_map(|d| d.mapping.as_ref());
            wanted.any(|m| !known.contains_key(m))
        }
    };
    if lack { LACK_LASTS } else { MAPPINGS_LAST }
}

async fn ask(client: &Client) -> Answer {
    match client.pci_mappings(None).await {
        Ok(list) => {
            let nodes = |m: &PciMapping| {
                let set: BTreeSet<String> = m.devices.iter().map(|d| d.node.clone()).collect();
                set.into_iter().filter(|n| !n.is_empty()).collect()
            };
            Ok(Some(list.iter().map(|m| (m.id.clone(), nodes(m))).collect()))
        }
        Err(e) if matches!(e.kind, ErrorKind::Transport | ErrorKind::NodeOffline | ErrorKind::Auth) => {
            Err(e.to_string())
        }
        // Without the right to see them they are used as they are.
        Err(_) => Ok(None),
    }
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
        gone: status
            .leases
            .iter()
            .map(|l| l.holder.uid.clone())
            .filter(|uid| !vms.iter().any(|v| v.metadata.uid.as_ref() == Some(uid)))
            .collect(),
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
