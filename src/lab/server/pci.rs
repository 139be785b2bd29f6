//! PCI passthrough: two stand-in devices behind one resource mapping, reserved at start as Proxmox does.

use super::NODE;
use super::answer::{Answer, Refusal};
use super::config::{Config, is_hostpci};
use crate::lab::qemu::{PassedDevice, stand_in};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The resource mapping of the stand-in devices.
pub const GPU_MAPPING: &str = "labgpu";
/// Their addresses.
const DEVICES: [&str; 2] = ["0000:01:00.0", "0000:02:00.0"];

/// Which VM has which device, by address.
pub(super) type Reservations = HashMap<String, u32>;

/// A `hostpciN` value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hostpci {
    pub mapping: Option<String>,
    pub host: Option<String>,
}

impl Hostpci {
    pub fn parse(value: &str) -> Result<Hostpci, String> {
        let mut h = Hostpci { mapping: None, host: None };
        for (i, part) in value.split(',').enumerate() {
            match part.split_once('=') {
                Some(("mapping", v)) => h.mapping = Some(v.into()),
                Some(("host", v)) => h.host = Some(v.into()),
                Some(("pcie" | "rombar" | "x-vga", "0" | "1")) => {}
                None if i == 0 => h.host = Some(part.into()),
                _ => return Err(format!("invalid format - format error\nhostpci: '{part}' is not known in the lab\n")),
            }
        }
        if h.mapping.is_some() == h.host.is_some() {
            return Err("invalid format - exactly one of host, mapping\n".into());
        }
        Ok(h)
    }
}

/// Reserves what a configuration asks for. The texts are Proxmox's, from the start task.
pub(super) fn reserve(all: &mut Reservations, vmid: u32, config: &Config) -> Result<Vec<PassedDevice>, String> {
    let mut out = Vec::new();
    let mut taken = Vec::new();
    let free = |all: &Reservations, taken: &[String], d: &str| {
        all.get(d).is_none_or(|v| *v == vmid) && !taken.iter().any(|t| t == d)
    };
    for (key, value) in config.iter().filter(|(k, _)| is_hostpci(k)) {
        let wanted = Hostpci::parse(value)?;
        let device = match (&wanted.mapping, &wanted.host) {
            (Some(m), _) if m != GPU_MAPPING => return Err(format!("PCI device mapping not found for '{m}'")),
            (Some(_), _) => DEVICES
                .iter()
                .find(|d| free(all, &taken, d))
                .ok_or_else(|| format!("could not find a free device for '{key}'"))?
                .to_string(),
            (None, Some(host)) => {
                let full = if host.starts_with("0000:") { host.clone() } else { format!("0000:{host}") };
                if !DEVICES.contains(&full.as_str()) {
                    return Err(format!("no PCI device found for '{host}'"));
                }
                if let Some(other) = all.get(&full).filter(|v| **v != vmid) {
                    return Err(format!("PCI device '{full}' already in use by VMID '{other}'"));
                }
                full
            }
            (None, None) => continue,
        };
        let index = key.trim_start_matches("hostpci").parse().unwrap_or_default();
        out.push(stand_in(index));
        taken.push(device);
    }
    for d in taken {
        all.insert(d, vmid);
    }
    Ok(out)
}

/// Gives back what a VM had.
pub(super) fn release(all: &mut Reservations, vmid: u32) {
    all.retain(|_, v| *v != vmid);
}

/// `GET /cluster/mapping/pci`.
pub(super) fn mappings() -> Answer {
    Ok(json!([mapping_entry()]))
}

/// `GET /cluster/mapping/pci/{id}`.
pub(super) fn mapping(id: &str) -> Answer {
    if id != GPU_MAPPING {
        return Err(Refusal::die(format!("no such resource mapping '{id}'")));
    }
    Ok(mapping_entry())
}

fn mapping_entry() -> Value {
    let map: Vec<String> = DEVICES
        .iter()
        .enumerate()
        .map(|(i, d)| format!("node={NODE},path={d},id=1234:11e8,iommugroup={},subsystem-id=1af4:1100", i + 1))
        .collect();
    json!({"id": GPU_MAPPING, "description": "stand-in devices of the lab", "map": map})
}

/// `GET /nodes/{node}/hardware/pci`.
pub(super) fn hardware() -> Answer {
    Ok(DEVICES
        .iter()
        .enumerate()
        .map(|(i, d)| {
            json!({
                "id": d, "class": "0x00ff00", "vendor": "0x1234", "device": "0x11e8", "subsystem_vendor": "0x1af4",
                "subsystem_device": "0x1100", "vendor_name": "QEMU", "device_name": "educational device",
                "iommugroup": i + 1,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(values: &[(&str, &str)]) -> Config {
        values.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn a_pool_lends_each_device_once() {
        let mut all = Reservations::new();
        let c = config(&[("hostpci0", "mapping=labgpu")]);
        assert_eq!(reserve(&mut all, 101, &c).expect("first").len(), 1);
        assert_eq!(reserve(&mut all, 102, &c).expect("second").len(), 1);
        assert_eq!(reserve(&mut all, 103, &c).expect_err("none left"), "could not find a free device for 'hostpci0'");
        release(&mut all, 101);
        reserve(&mut all, 103, &c).expect("one came back");
        let raw = config(&[("hostpci0", "0000:02:00.0")]);
        assert_eq!(
            reserve(&mut all, 104, &raw).expect_err("taken"),
            "PCI device '0000:02:00.0' already in use by VMID '102'"
        );
    }
}
