//! Who waits for a device, in which order, and what it is told. Pure.

use super::devices::held_by;
use crate::api::{GpuDeviceState, GpuDeviceStatus, GpuProfile, GpuProfileStatus, GpuWaiter, Holder};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use std::collections::BTreeSet;

/// Waiting VMs that status lists; more are only counted.
const MAX_QUEUE: usize = 128;

/// A VM that wants a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Asker {
    /// The VM.
    pub holder: Holder,
    /// Its turn.
    pub since: Time,
    /// Its cluster.
    pub cluster: String,
    /// The node that it is bound to.
    pub node: Option<String>,
    /// The device that it had before.
    pub last: Option<String>,
}

/// Whether a device may go to a VM that is bound to a node.
pub(super) fn fits(d: &GpuDeviceStatus, node: Option<&str>) -> bool {
    d.state == GpuDeviceState::Free && node.is_none_or(|n| d.nodes.is_empty() || d.nodes.iter().any(|have| have == n))
}

/// Everybody who waits, in order: those who are known, and those whom status has noted.
pub(super) fn queue(profile: &GpuProfile, asker: &Asker, others: &[Asker]) -> Vec<Asker> {
    let status = profile.status.clone().unwrap_or_default();
    let cluster = &profile.spec.cluster_ref.name;
    let served: BTreeSet<&str> = status.leases.iter().map(|l| l.holder.uid.as_str()).collect();
    let mut all = vec![asker.clone()];
    let known = others.iter().filter(|o| o.cluster == *cluster).cloned();
    let noted = status.queue.iter().map(|w| Asker {
        holder: w.holder.clone(),
        since: w.since.clone(),
        cluster: cluster.clone(),
        node: w.node.clone(),
        last: None,
    });
    for w in known.chain(noted) {
        if !served.contains(w.holder.uid.as_str()) && all.iter().all(|a| a.holder.uid != w.holder.uid) {
            all.push(w);
        }
    }
    all.sort_by(|a, b| (a.since.0, &a.holder.name).cmp(&(b.since.0, &b.holder.name)));
    all
}

pub(super) fn note_queue(status: &mut GpuProfileStatus, waiting: &[&Asker]) {
    status.waiting = waiting.len() as u32;
    let entry = |w: &&Asker| GpuWaiter {
        holder: w.holder.clone(),
        since: w.since.clone(),
        node: w.node.clone(),
    };
    status.queue = waiting.iter().take(MAX_QUEUE).map(entry).collect();
}

/// What a waiting VM is told.
pub(super) fn waits(profile: &GpuProfile, asker: &Asker, place: usize, of: usize) -> String {
    let name = profile.name_any();
    let status = profile.status.clone().unwrap_or_default();
    if let Some(node) = &asker.node
        && !status
            .devices
            .iter()
            .any(|d| d.nodes.is_empty() || d.nodes.contains(node))
    {
        return format!("GpuProfile {name} has no device on node {node}, where this VM has to be");
    }
    let mut text = format!("waiting for a device of GpuProfile {name}: position {place} of {of}");
    if !status.leases.is_empty() {
        text.push_str(&format!("; held by {}", held_by(&status)));
    }
    for d in &status.devices {
        let what = match d.state {
            GpuDeviceState::CoolingDown => "cools down",
            GpuDeviceState::InUseElsewhere => "is in use elsewhere",
            GpuDeviceState::Quarantined => "is in quarantine",
            GpuDeviceState::Unusable => "cannot be used",
            GpuDeviceState::Free | GpuDeviceState::Leased => continue,
        };
        text.push_str(&format!("; {} {what}", d.name));
        if let Some(why) = &d.reason {
            text.push_str(&format!(" ({why})"));
        }
    }
    text
}

pub(super) fn forget_waiter(status: &mut GpuProfileStatus, uid: &str) {
    let before = status.queue.len();
    status.queue.retain(|w| w.holder.uid != uid);
    status.waiting -= ((before - status.queue.len()) as u32).min(status.waiting);
}
