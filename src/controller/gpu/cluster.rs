//! What the cluster of a profile says about it: whether it answers, and whether it has the mappings. Pure.

use super::super::conditions::{self, Verdict};
use super::devices::Facts;
use crate::api::{GpuDevice, GpuProfile, GpuProfileSpec};

/// Reason of a profile with a mapping that its cluster does not have.
pub(super) const NO_MAPPING: &str = "MappingNotFound";
/// Reason of a profile whose cluster cannot be asked.
pub(super) const UNAVAILABLE: &str = "ClusterUnavailable";

/// Reason of the profile's `Ready`.
pub(super) fn reason(profile: &GpuProfile) -> Option<String> {
    let conditions = &profile.status.as_ref()?.conditions;
    conditions::get(conditions, "Ready").map(|c| c.reason.clone())
}

/// Devices that nobody has looked at are not called free.
pub(super) fn unavailable(spec: &GpuProfileSpec, facts: &Facts) -> Option<Verdict> {
    let why = facts.unavailable.as_ref()?;
    let name = &spec.cluster_ref.name;
    Some(Verdict::progressing(
        UNAVAILABLE,
        format!("ProxmoxCluster {name} cannot be asked about its devices: {why}"),
    ))
}

/// Why a device by mapping cannot be lent: a VM with it would not start.
pub(super) fn no_mapping(device: &GpuDevice, facts: &Facts) -> Option<String> {
    let mapping = device.mapping.as_ref()?;
    let known = facts.mappings.as_ref()?;
    if known.contains_key(mapping) {
        return None;
    }
    let have = match known.is_empty() {
        true => "none".to_string(),
        false => known.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
    };
    Some(format!(
        "the cluster has no PCI resource mapping {mapping}, or the login may not see it (Mapping.Use on /mapping/pci/{mapping}); it shows {have}; make it on a node: pvesh create /cluster/mapping/pci --id {mapping} --map node=NODE,path=ADDRESS,id=VENDOR:DEVICE,iommugroup=N,subsystem-id=VENDOR:DEVICE"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_mapping_is_missed_only_where_they_were_listed() {
        let device = GpuDevice {
            name: "card0".to_string(),
            mapping: Some("gpu-a".to_string()),
            ..GpuDevice::default()
        };
        let mut facts = Facts::default();
        assert_eq!(no_mapping(&device, &facts), None);
        facts.mappings = Some(BTreeMap::from([("gpu-b".to_string(), vec![])]));
        let why = no_mapping(&device, &facts).expect("missed");
        for part in [
            "no PCI resource mapping gpu-a",
            "it shows gpu-b",
            "--id gpu-a --map node=",
        ] {
            assert!(why.contains(part), "{why}");
        }
        facts.mappings = Some(BTreeMap::from([("gpu-a".to_string(), vec![])]));
        assert_eq!(no_mapping(&device, &facts), None);
    }
}
