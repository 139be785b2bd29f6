//! The policy of a GpuProfile's leases: who gets which device, when it comes back, what ends a quarantine. Pure.

use super::devices::{Device, Facts, device, mark, settle, short};
use super::queue::{Asker, fits, forget_waiter, note_queue, queue, waits};
use crate::api::{GpuDeviceState, GpuDeviceStatus, GpuHealth, GpuLease, GpuProfile, GpuProfileStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::collections::BTreeSet;

/// A device that Proxmox said is in use elsewhere is tried again after so long, whatever is known of its holder.
const ELSEWHERE: SignedDuration = SignedDuration::from_secs(60);
/// Lists of VMs lag 10 s behind: so long a foreign holder is not asked for.
pub const ELSEWHERE_LAG: SignedDuration = SignedDuration::from_secs(12);

/// What a VM that asks is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    Held(Device),
    /// Why not now.
    Waiting(String),
}

/// Answers a VM that asks: the lease that it has, a new one if it is its turn, or its place in the queue.
///
/// `others` are the VMs that are known to want a device. They go first when they are older, even if they have not
/// asked yet: after a restart of the controller the order is the same as before.
pub fn lend(profile: &mut GpuProfile, asker: &Asker, others: &[Asker], facts: &Facts, now: Timestamp) -> Grant {
    let name = profile.name_any();
    let leases = profile.status.iter().flat_map(|s| &s.leases);
    if let Some(lease) = leases.clone().find(|l| l.holder.uid == asker.holder.uid) {
        return match device(profile, &lease.device) {
            Some(d) => Grant::Held(d),
            None => Grant::Waiting(format!(
                "GpuProfile {name} no longer has device {}, which this VM holds",
                lease.device
            )),
        };
    }
    if profile.spec.cluster_ref.name != asker.cluster {
        return Grant::Waiting(format!(
            "GpuProfile {name} is of ProxmoxCluster {}, this VM is of {}",
            profile.spec.cluster_ref.name, asker.cluster
        ));
    }
    if profile.metadata.deletion_timestamp.is_some() {
        return Grant::Waiting(format!("GpuProfile {name} is being deleted and lends nothing any more"));
    }
    settle(profile, facts, now);
    let waiters = queue(profile, asker, others);
    let status = profile.status.get_or_insert_default();
    let mut free: Vec<GpuDeviceStatus> = status.devices.clone();
    let mut got = None;
    for w in &waiters {
        let node = w.node.as_deref();
        let again = free
            .iter()
            .position(|d| Some(&d.name) == w.last.as_ref() && fits(d, node));
        let Some(at) = again.or_else(|| free.iter().position(|d| fits(d, node))) else {
            continue;
        };
        let taken = free.remove(at);
        if w.holder.uid == asker.holder.uid {
            got = Some(taken.name);
            break;
        }
    }
    if let Some(got) = &got {
        status.leases.push(GpuLease {
            device: got.clone(),
            holder: asker.holder.clone(),
            acquired_at: Time(now),
            health: None,
        });
    }
    let waiting: Vec<&Asker> = waiters
        .iter()
        .filter(|w| got.is_none() || w.holder.uid != asker.holder.uid)
        .collect();
    note_queue(status, &waiting);
    settle(profile, facts, now);
    if let Some(device) = got.and_then(|n| device(profile, &n)) {
        return Grant::Held(device);
    }
    let place = waiting.iter().position(|w| w.holder.uid == asker.holder.uid);
    let place = place.map_or(waiting.len(), |p| p + 1);
    Grant::Waiting(waits(profile, asker, place, waiting.len()))
}

/// Takes back what a VM had and its place in the queue; the device's name.
pub fn give_back(profile: &mut GpuProfile, uid: &str, facts: &Facts, now: Timestamp) -> Option<String> {
    let rest = SignedDuration::from_secs(profile.spec.cool_down_seconds.into());
    let status = profile.status.get_or_insert_default();
    forget_waiter(status, uid);
    let device = drop_lease(status, uid);
    if let Some(name) = &device
        && !rest.is_zero()
    {
        mark(status, name, now, |d| {
            d.state = GpuDeviceState::CoolingDown;
            d.reason = Some(format!("rests for {} s", rest.as_secs()));
            d.until = Some(Time(now + rest));
        });
    }
    settle(profile, facts, now);
    device
}

/// Proxmox would not start a VM because somebody else has its device: the lease ends, so that it may get another.
pub fn elsewhere(
    profile: &mut GpuProfile,
    uid: &str,
    vmid: Option<u32>,
    text: &str,
    facts: &Facts,
    now: Timestamp,
) -> Option<String> {
    let status = profile.status.get_or_insert_default();
    let name = drop_lease(status, uid)?;
    mark(status, &name, now, |d| {
        d.state = GpuDeviceState::InUseElsewhere;
        d.reason = Some(short(text));
        d.until = Some(Time(now + ELSEWHERE));
        d.vmid = vmid;
    });
    settle(profile, facts, now);
    Some(name)
}

/// Notes what a health check said of a lease.
pub fn checked(profile: &mut GpuProfile, uid: &str, result: &Result<(), String>, facts: &Facts, now: Timestamp) {
    let status = profile.status.get_or_insert_default();
    let Some(lease) = status.leases.iter_mut().find(|l| l.holder.uid == uid) else {
        return;
    };
    let (name, holder) = (lease.device.clone(), lease.holder.name.clone());
    lease.health = Some(if result.is_ok() {
        GpuHealth::Passed
    } else {
        GpuHealth::Failed
    });
    if let Err(why) = result {
        mark(status, &name, now, |d| {
            d.state = GpuDeviceState::Quarantined;
            d.reason = Some(short(&format!("failed its health check in {holder}: {why}")));
            d.until = None;
        });
    }
    settle(profile, facts, now);
}

/// What the reconciler looked up besides.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// UIDs of the leases' holders that do not exist any more. Who is not named here may have come since the look: a
    /// lease that a conflict brings to light is not judged by a list that is older.
    pub gone: BTreeSet<String>,
    /// VMs that want a device and have none.
    pub waiting: Vec<Asker>,
    /// VMIDs that are seen not to run.
    pub stopped: BTreeSet<u32>,
    /// Devices that a person released from quarantine.
    pub released: BTreeSet<String>,
}

/// The regular look: leases of VMs that are gone, holders elsewhere that stopped, quarantines that a person ended.
/// The names of the leases' holders that were dropped.
pub fn tidy(profile: &mut GpuProfile, world: &World, facts: &Facts, now: Timestamp) -> Vec<GpuLease> {
    let gone: Vec<GpuLease> = profile
        .status
        .iter()
        .flat_map(|s| &s.leases)
        .filter(|l| world.gone.contains(&l.holder.uid))
        .cloned()
        .collect();
    for lease in &gone {
        // A VM object goes away only after its VM is gone (finalizer), so a holder that is gone has no device.
        give_back(profile, &lease.holder.uid, facts, now);
    }
    let status = profile.status.get_or_insert_default();
    for d in &mut status.devices {
        let ended = match d.state {
            GpuDeviceState::Quarantined => world.released.contains(&d.name) || world.released.contains("*"),
            GpuDeviceState::InUseElsewhere => {
                let old = d.since.as_ref().is_none_or(|t| now.duration_since(t.0) > ELSEWHERE_LAG);
                old && d.vmid.is_some_and(|v| world.stopped.contains(&v))
            }
            _ => false,
        };
        if ended {
            *d = GpuDeviceStatus {
                name: d.name.clone(),
                nodes: std::mem::take(&mut d.nodes),
                ..GpuDeviceStatus::default()
            };
        }
    }
    let served: BTreeSet<&String> = status.leases.iter().map(|l| &l.holder.uid).collect();
    let cluster = &profile.spec.cluster_ref.name;
    let mut waiting: Vec<&Asker> = world
        .waiting
        .iter()
        .filter(|w| !served.contains(&w.holder.uid) && w.cluster == *cluster)
        .collect();
    waiting.sort_by(|a, b| (a.since.0, &a.holder.name).cmp(&(b.since.0, &b.holder.name)));
    note_queue(status, &waiting);
    settle(profile, facts, now);
    gone
}

/// Seconds until a device's state changes by itself.
pub fn next_change(status: &GpuProfileStatus, now: Timestamp) -> Option<SignedDuration> {
    let ends = status.devices.iter().filter_map(|d| d.until.as_ref());
    ends.map(|t| t.0.duration_since(now)).filter(|d| d.is_positive()).min()
}

fn drop_lease(status: &mut GpuProfileStatus, uid: &str) -> Option<String> {
    let at = status.leases.iter().position(|l| l.holder.uid == uid)?;
    Some(status.leases.remove(at).device)
}
