//! A machine's configuration: Proxmox's keys and values, and what they mean for QEMU.

use super::answer::Refusal;
use super::params::is_dns_name;
use super::pci::Hostpci;
use crate::lab::qemu::{Accel, Machine, PassedDevice, Vga};
use crate::lab::template::Template;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Keys and values as Proxmox writes them.
pub(super) type Config = BTreeMap<String, String>;

/// Keys that can be set. `hostpciN` is told apart.
const SETTABLE: [&str; 16] = [
    "name",
    "description",
    "tags",
    "cores",
    "sockets",
    "memory",
    "balloon",
    "vga",
    "agent",
    "machine",
    "ostype",
    "onboot",
    "boot",
    "cpu",
    "net0",
    "scsihw",
];

/// The template's own configuration.
pub(super) fn template() -> Config {
    [
        ("name", "desktop"),
        ("template", "1"),
        ("agent", "1"),
        ("boot", "order=virtio0"),
        ("cores", "2"),
        ("machine", "q35"),
        ("memory", "512"),
        ("net0", "virtio=BC:24:11:00:90:00,bridge=vmbr0"),
        ("ostype", "l26"),
        ("smbios1", "uuid=90009000-0000-4000-8000-000000009001"),
        ("tags", "mosdat-lab"),
        ("vga", "std"),
        ("virtio0", "local:9000/base-9000-disk-0.qcow2"),
        ("vmgenid", "90009000-0000-4000-8000-000000009000"),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_string(), v.to_string()))
    .collect()
}

/// A clone's configuration: everything of the template, with an identity of its own.
pub(super) fn cloned(source: &Config, vmid: u32, name: Option<&str>, description: Option<&str>) -> Config {
    let mut c = source.clone();
    c.remove("template");
    c.remove("tags");
    c.insert(
        "name".into(),
        name.map_or_else(
            || format!("Copy-of-VM-{}", source.get("name").map_or("x", String::as_str)),
            String::from,
        ),
    );
    match description {
        Some(d) => c.insert("description".into(), d.into()),
        None => c.remove("description"),
    };
    c.insert("smbios1".into(), format!("uuid={}", uuid()));
    c.insert("vmgenid".into(), uuid());
    let r: [u8; 3] = rand::random();
    c.insert(
        "net0".into(),
        format!("virtio=BC:24:11:{:02X}:{:02X}:{:02X},bridge=vmbr0", r[0], r[1], r[2]),
    );
    c.insert(
        "virtio0".into(),
        format!("local:9000/base-9000-disk-0.qcow2/{vmid}/vm-{vmid}-disk-0.qcow2"),
    );
    c
}

fn uuid() -> String {
    let mut b: [u8; 16] = rand::random();
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let h = hex::encode(b);
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}

/// What GET config answers: numbers mixed with strings, as Proxmox mixes them, and the digest.
pub(super) fn shown(c: &Config) -> Value {
    let mut out = Map::new();
    for (k, v) in c {
        let number = matches!(k.as_str(), "cores" | "sockets" | "template" | "onboot" | "balloon");
        let value = match v.parse::<i64>() {
            Ok(n) if number => json!(n),
            _ => json!(v),
        };
        out.insert(k.clone(), value);
    }
    out.insert("digest".into(), json!(digest(c)));
    Value::Object(out)
}

/// Changes when anything in the configuration does; 40 hexadecimal digits as Proxmox's.
pub(super) fn digest(c: &Config) -> String {
    let mut h = Sha256::new();
    for (k, v) in c {
        h.update(format!("{k}: {v}\n"));
    }
    hex::encode(&h.finalize()[..20])
}

/// Applies `set` and `delete` to a configuration. All wrong parameters are told at once.
pub(super) fn change(c: &mut Config, set: &[(String, String)], delete: &[String], root: bool) -> Result<(), Refusal> {
    let mut errors = Map::new();
    for (k, v) in set {
        if let Err(text) = check(k, v) {
            errors.insert(k.clone(), Value::String(text));
        }
    }
    for k in delete {
        if !SETTABLE.contains(&k.as_str()) && !is_hostpci(k) {
            errors.insert("delete".into(), Value::String(format!("unknown setting '{k}'\n")));
        }
    }
    if !errors.is_empty() {
        return Err(Refusal::parameters(errors));
    }
    for (k, v) in set.iter().filter(|(k, _)| is_hostpci(k)) {
        if Hostpci::parse(v).is_ok_and(|h| h.mapping.is_none()) && !root {
            return Err(Refusal::die(format!(
                "only root can set '{k}' config for non-mapped devices"
            )));
        }
    }
    for k in delete {
        let raw = c
            .get(k)
            .is_some_and(|v| is_hostpci(k) && Hostpci::parse(v).is_ok_and(|h| h.mapping.is_none()));
        if raw && !root {
            return Err(Refusal::die(format!(
                "only root can set '{k}' config for non-mapped devices"
            )));
        }
    }
    for k in delete {
        c.remove(k);
    }
    for (k, v) in set {
        c.insert(k.clone(), v.clone());
    }
    Ok(())
}

pub(super) fn is_hostpci(k: &str) -> bool {
    k.strip_prefix("hostpci")
        .is_some_and(|n| n.parse::<u8>().is_ok_and(|n| n < 16))
}

fn check(k: &str, v: &str) -> Result<(), String> {
    let number = |low: u64, high: u64| match v.parse::<u64>() {
        Err(_) => Err(format!("type check ('integer') failed - got '{v}'")),
        Ok(n) if n < low => Err(format!("value must have a minimum value of {low}")),
        Ok(n) if n > high => Err(format!("value must have a maximum value of {high}")),
        Ok(_) => Ok(()),
    };
    match k {
        "cores" => number(1, 64),
        "sockets" => number(1, 1),
        "memory" => number(128, 65536),
        "balloon" => number(0, 0),
        "onboot" => number(0, 1),
        "vga" => match v.split(',').next().unwrap_or_default() {
            "std" | "virtio" | "none" => Ok(()),
            other => Err(format!(
                "invalid format - vga type '{other}' is not one of std, virtio, none in the lab"
            )),
        },
        "machine" if v != "q35" && v != "type=q35" => {
            Err("the lab's machines are q35, of QEMU's newest version and without options".into())
        }
        "name" if !is_dns_name(v) => Err("invalid format - value does not look like a valid DNS name\n".into()),
        "net0" if mac(v).is_none() => Err("invalid format - format error\n".into()),
        _ if is_hostpci(k) => Hostpci::parse(v).map(|_| ()),
        _ if SETTABLE.contains(&k) => Ok(()),
        _ => Err("property is not defined in schema and the schema does not allow additional properties".into()),
    }
}

fn mac(net: &str) -> Option<&str> {
    let mac = net.split(',').next()?.split_once('=')?.1;
    let good = mac.len() == 17
        && mac
            .split(':')
            .all(|p| p.len() == 2 && u8::from_str_radix(p, 16).is_ok());
    good.then_some(mac)
}

/// The machine that a configuration describes; `passed` are the reserved stand-ins.
pub(super) fn machine(c: &Config, template: &Template, accel: Accel, passed: Vec<PassedDevice>) -> Machine {
    let base = template.machine(accel);
    let number = |k: &str, other: u32| c.get(k).and_then(|v| v.parse().ok()).unwrap_or(other);
    let uuid = c
        .get("smbios1")
        .and_then(|s| s.split(',').find_map(|p| p.strip_prefix("uuid=")));
    Machine {
        memory_mib: number("memory", 512),
        cores: number("cores", 1),
        cpu: match c.get("cpu").map(String::as_str) {
            None => base.cpu.clone(),
            // Without KVM, all that QEMU's translator can do is the nearest to it.
            Some("host") if accel == Accel::Tcg => "max".into(),
            Some(model) => model.into(),
        },
        vga: match c.get("vga").and_then(|v| v.split(',').next()) {
            Some("virtio") => Vga::Virtio,
            Some("none") => Vga::None,
            _ => Vga::Std,
        },
        mac: c.get("net0").and_then(|n| mac(n)).map(String::from),
        agent: c
            .get("agent")
            .is_some_and(|a| a.split(',').any(|p| p == "1" || p == "enabled=1")),
        vmgenid: c.get("vmgenid").cloned().unwrap_or(base.vmgenid.clone()),
        uuid: uuid.map(String::from).unwrap_or(base.uuid.clone()),
        passed,
        ..base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_has_everything_but_the_identity() {
        let t = template();
        let c = cloned(&t, 101, Some("a"), Some("uid: 1"));
        for k in ["cores", "memory", "vga", "agent"] {
            assert_eq!(c.get(k), t.get(k), "{k}");
        }
        for k in ["smbios1", "vmgenid", "net0", "virtio0", "name"] {
            assert_ne!(c.get(k), t.get(k), "{k}");
        }
        assert!(!c.contains_key("template"));
    }

    #[test]
    fn wrong_values_are_named_and_nothing_is_changed() {
        let mut c = template();
        let before = c.clone();
        let set = [
            ("cores".to_string(), "many".to_string()),
            ("frobnicate".into(), "1".into()),
        ];
        let r = change(&mut c, &set, &[], false).expect_err("refused");
        assert_eq!(r.errors.len(), 2);
        assert_eq!(c, before);
    }

    #[test]
    fn machine_types_that_the_lab_has_not_are_refused() {
        for (v, good) in [
            ("q35", true),
            ("q35,viommu=intel", false),
            ("q35-x", false),
            ("pc", false),
        ] {
            let set = [("machine".to_string(), v.to_string())];
            assert_eq!(change(&mut template(), &set, &[], false).is_ok(), good, "{v}");
        }
    }

    #[test]
    fn raw_devices_are_for_root_alone() {
        let mut c = template();
        let raw = [("hostpci0".to_string(), "0000:01:00.0".to_string())];
        let r = change(&mut c, &raw, &[], false).expect_err("refused");
        assert_eq!(r.reason, "only root can set 'hostpci0' config for non-mapped devices");
        assert_eq!(r.status, 500);
        change(&mut c, &raw, &[], true).expect("root may");
        let mapped = [("hostpci1".to_string(), "mapping=labgpu,pcie=1".to_string())];
        change(&mut c, &mapped, &[], false).expect("a mapping");
    }
}
