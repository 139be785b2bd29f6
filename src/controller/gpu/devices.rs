//! The devices of a profile: what is declared, what may be lent, and the profile's verdict on itself. Pure.

use super::super::conditions::Verdict;
use crate::api::{GpuDevice, GpuDeviceState, GpuDeviceStatus, GpuProfile, GpuProfileSpec, GpuProfileStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeMap;

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
pub(super) fn hostpci(spec: &GpuProfileSpec, device: &GpuDevice) -> String {
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

pub(super) fn device(profile: &GpuProfile, name: &str) -> Option<Device> {
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
pub(super) fn unusable(spec: &GpuProfileSpec, at: usize, facts: &Facts) -> Option<String> {
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

pub(super) fn count(status: &GpuProfileStatus, state: GpuDeviceState) -> u32 {
    status.devices.iter().filter(|d| d.state == state).count() as u32
}

pub(super) fn verdict(spec: &GpuProfileSpec, status: &GpuProfileStatus, deleting: bool) -> Verdict {
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
pub(super) fn held_by(status: &GpuProfileStatus) -> String {
    let leases = status.leases.iter();
    let list: Vec<String> = leases.map(|l| format!("{} ({})", l.holder.name, l.device)).collect();
    list.join(", ")
}

/// Changes a device's entry, unless it is in quarantine, which only a person ends.
pub(super) fn mark(
    status: &mut GpuProfileStatus,
    name: &str,
    now: Timestamp,
    change: impl FnOnce(&mut GpuDeviceStatus),
) {
    if let Some(d) = status.devices.iter_mut().find(|d| d.name == name)
        && d.state != GpuDeviceState::Quarantined
    {
        d.vmid = None;
        d.since = Some(Time(now));
        change(d);
    }
}

pub(super) fn short(text: &str) -> String {
    text.trim().chars().take(MAX_REASON).collect()
}
