//! All policy of a GpuProfile: who gets which device, who waits in which place, what becomes of a device. Pure.

use super::super::conditions::Verdict;
use crate::api::{
    GpuDevice, GpuDeviceState, GpuDeviceStatus, GpuHealth, GpuLease, GpuProfile, GpuProfileSpec, GpuProfileStatus,
    GpuWaiter, Holder,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet};

/// Waiting VMs that status lists; more are only counted.
const MAX_QUEUE: usize = 128;
/// A device that Proxmox said is in use elsewhere is tried again after so long, whatever is known of its holder.
const ELSEWHERE: SignedDuration = SignedDuration::from_secs(60);
/// Lists of VMs lag 10 s behind: so long a foreign holder is not asked for.
pub const ELSEWHERE_LAG: SignedDuration = SignedDuration::from_secs(12);
/// Longest text kept of a check's output.
const MAX_REASON: usize = 300;

/// A device lent to a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Name within the profile.
    pub name: String,
    /// Value of `hostpci0`.
    pub hostpci: String,
    /// Nodes that have it; empty when that is not known.
    pub nodes: Vec<String>,
}

/// What a VM that asks is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    Held(Device),
    /// Why not now.
    Waiting(String),
}

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

/// What is known of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Why devices by address cannot be used, if so.
    pub no_address: Option<String>,
    /// Nodes per mapping, where they were looked up.
    pub mappings: Option<BTreeMap<String, Vec<String>>>,
    /// Why the cluster cannot be asked, if so.
    pub unavailable: Option<String>,
}

/// Value of `hostpci0` for a device.
fn hostpci(spec: &GpuProfileSpec, device: &GpuDevice) -> String {
    let mut out = match (&device.mapping, &device.address) {
        (Some(mapping), _) => format!("mapping={mapping}"),
        (None, address) => address.clone().unwrap_or_default(),
    };
    for (on, option) in [
        (spec.pcie, ",pcie=1"),
        (spec.x_vga, ",x-vga=1"),
        (!spec.rombar, ",rombar=0"),
    ] {
        if on {
            out.push_str(option);
        }
    }
    out
}

fn device(profile: &GpuProfile, name: &str) -> Option<Device> {
    let spec = profile.spec.devices.iter().find(|d| d.name == name)?;
    let listed = profile.status.iter().flat_map(|s| &s.devices).find(|d| d.name == name);
    Some(Device {
        name: spec.name.clone(),
        hostpci: hostpci(&profile.spec, spec),
        nodes: match &spec.node {
            Some(node) => vec![node.clone()],
            None => listed.map(|d| d.nodes.clone()).unwrap_or_default(),
        },
    })
}

/// Why a device cannot be lent as it is declared.
fn unusable(spec: &GpuProfileSpec, at: usize, facts: &Facts) -> Option<String> {
    let this = &spec.devices[at];
    let Some(address) = &this.address else {
        return super::cluster::no_mapping(this, facts);
    };
    // The function may be left out, which means all of them: 0000:01:00 and 0000:01:00.1 overlap.
    let same = |d: &GpuDevice| {
        d.node == this.node
            && d.address
                .as_ref()
                .is_some_and(|a| a.starts_with(address.as_str()) || address.starts_with(a.as_str()))
    };
    if let Some(first) = spec.devices[..at].iter().find(|d| same(d)) {
        return Some(format!(
            "{address} on node {} is device {} already",
            this.node.as_deref().unwrap_or_default(),
            first.name
        ));
    }
    facts.no_address.clone()
}

/// Brings the list of devices, the numbers and the conditions in line with spec, leases, queue and time.
pub fn settle(profile: &mut GpuProfile, facts: &Facts, now: Timestamp) {
    let spec = profile.spec.clone();
    let generation = profile.metadata.generation;
    let deleting = profile.metadata.deletion_timestamp.is_some();
    let status = profile.status.get_or_insert_default();
    let old = std::mem::take(&mut status.devices);
    for (at, d) in spec.devices.iter().enumerate() {
        let before = old.iter().find(|o| o.name == d.name).cloned().unwrap_or_default();
        let nodes = match (&d.node, &d.mapping, &facts.mappings) {
            (Some(node), ..) => vec![node.clone()],
            (None, Some(mapping), Some(known)) => known.get(mapping).cloned().unwrap_or_default(),
            _ => before.nodes.clone(),
        };
        let lasts = before.until.as_ref().is_some_and(|t| t.0 > now);
        let leased = status.leases.iter().find(|l| l.device == d.name);
        let refused = unusable(&spec, at, facts);
        let simple = |state, reason, since| GpuDeviceStatus {
            name: d.name.clone(),
            state,
            reason,
            since,
            nodes: nodes.clone(),
            ..GpuDeviceStatus::default()
        };
        use GpuDeviceState::*;
        let next = match (before.state, leased, refused) {
            (Quarantined, ..) => GpuDeviceStatus { nodes, ..before },
            (_, Some(lease), _) => simple(Leased, None, Some(lease.acquired_at.clone())),
            (_, None, Some(why)) => simple(Unusable, Some(why), None),
            (CoolingDown | InUseElsewhere, None, None) if lasts => GpuDeviceStatus { nodes, ..before },
            (_, None, None) => simple(Free, None, None),
        };
        status.devices.push(next);
    }
    status.capacity = spec.devices.len() as u32;
    status.free = count(status, GpuDeviceState::Free);
    status.observed_generation = generation;
    let unseen = super::cluster::unavailable(&spec, facts).filter(|_| !deleting);
    let verdict = unseen.unwrap_or_else(|| verdict(&spec, status, deleting));
    verdict.apply(&mut status.conditions, now, generation);
}

fn count(status: &GpuProfileStatus, state: GpuDeviceState) -> u32 {
    status.devices.iter().filter(|d| d.state == state).count() as u32
}

fn verdict(spec: &GpuProfileSpec, status: &GpuProfileStatus, deleting: bool) -> Verdict {
    let having = |state| status.devices.iter().filter(move |d| d.state == state);
    if deleting {
        return Verdict::progressing(
            "Deleting",
            format!("goes away when its devices are returned: {}", held_by(status)),
        );
    }
    if let Some(d) = having(GpuDeviceState::Unusable).next() {
        let by_address = spec.devices.iter().any(|s| s.name == d.name && s.address.is_some());
        let why = d.reason.clone().unwrap_or_default();
        let reason = match (by_address, why.contains("already")) {
            (_, true) => "DuplicateDevice",
            (true, _) => "AddressNeedsRoot",
            _ => super::cluster::NO_MAPPING,
        };
        return Verdict::stalled(reason, format!("device {}: {why}", d.name));
    }
    let pattern = spec.health_check.as_ref().and_then(|h| h.pattern.as_deref());
    if let Some(Err(e)) = pattern.map(regex::Regex::new) {
        return Verdict::stalled(
            "InvalidHealthCheck",
            format!("healthCheck.pattern is no regular expression, so nothing is checked: {e}"),
        );
    }
    let quarantined = having(GpuDeviceState::Quarantined).count();
    if quarantined == spec.devices.len() {
        let names: Vec<&str> = spec.devices.iter().map(|d| d.name.as_str()).collect();
        return Verdict::stalled(
            "Quarantined",
            format!(
                "every device is in quarantine; when one works again, annotate this object with {}={}",
                super::RELEASE_QUARANTINE,
                names.join(",")
            ),
        );
    }
    let mut text = format!("{} of {} device(s) free", status.free, status.capacity);
    for (state, what) in [
        (GpuDeviceState::CoolingDown, "cooling down"),
        (GpuDeviceState::InUseElsewhere, "in use elsewhere"),
        (GpuDeviceState::Quarantined, "in quarantine"),
    ] {
        match count(status, state) {
            0 => {}
            n => text.push_str(&format!(", {n} {what}")),
        }
    }
    if status.waiting > 0 {
        text.push_str(&format!(", {} VM(s) waiting", status.waiting));
    }
    Verdict::ready("Counted", text)
}

/// Who has what, for messages.
fn held_by(status: &GpuProfileStatus) -> String {
    let leases = status.leases.iter();
    let list: Vec<String> = leases.map(|l| format!("{} ({})", l.holder.name, l.device)).collect();
    list.join(", ")
}

/// Whether a device may go to a VM that is bound to a node.
fn fits(d: &GpuDeviceStatus, node: Option<&str>) -> bool {
    d.state == GpuDeviceState::Free && node.is_none_or(|n| d.nodes.is_empty() || d.nodes.iter().any(|have| have == n))
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

/// Everybody who waits, in order: those who are known, and those whom status has noted.
fn queue(profile: &GpuProfile, asker: &Asker, others: &[Asker]) -> Vec<Asker> {
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

fn note_queue(status: &mut GpuProfileStatus, waiting: &[&Asker]) {
    status.waiting = waiting.len() as u32;
    let entry = |w: &&Asker| GpuWaiter {
        holder: w.holder.clone(),
        since: w.since.clone(),
        node: w.node.clone(),
    };
    status.queue = waiting.iter().take(MAX_QUEUE).map(entry).collect();
}

/// What a waiting VM is told.
fn waits(profile: &GpuProfile, asker: &Asker, place: usize, of: usize) -> String {
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

fn forget_waiter(status: &mut GpuProfileStatus, uid: &str) {
    let before = status.queue.len();
    status.queue.retain(|w| w.holder.uid != uid);
    status.waiting -= ((before - status.queue.len()) as u32).min(status.waiting);
}

fn drop_lease(status: &mut GpuProfileStatus, uid: &str) -> Option<String> {
    let at = status.leases.iter().position(|l| l.holder.uid == uid)?;
    Some(status.leases.remove(at).device)
}

/// Changes a device's entry, unless it is in quarantine, which only a person ends.
fn mark(status: &mut GpuProfileStatus, name: &str, now: Timestamp, change: impl FnOnce(&mut GpuDeviceStatus)) {
    if let Some(d) = status.devices.iter_mut().find(|d| d.name == name)
        && d.state != GpuDeviceState::Quarantined
    {
        d.vmid = None;
        d.since = Some(Time(now));
        change(d);
    }
}

fn short(text: &str) -> String {
    text.trim().chars().take(MAX_REASON).collect()
}

/// Whether a health check's outcome is as declared.
pub fn healthy(pattern: Option<&str>, exit: Option<i32>, output: &str) -> Result<(), String> {
    let seen = || {
        let text = output.trim();
        if text.is_empty() {
            "it printed nothing".to_string()
        } else {
            format!("it printed: {}", short(text))
        }
    };
    match exit {
        Some(0) => {}
        Some(code) => return Err(format!("exit code {code}; {}", seen())),
        None => return Err(format!("it was killed; {}", seen())),
    }
    let Some(pattern) = pattern else { return Ok(()) };
    match regex::Regex::new(pattern) {
        Ok(r) if r.is_match(output) => Ok(()),
        Ok(_) => Err(format!("the output does not match '{pattern}'; {}", seen())),
        // Told by the profile's condition; it says nothing about the device.
        Err(_) => Ok(()),
    }
}
