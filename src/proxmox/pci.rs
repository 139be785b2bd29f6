//! Devices for passing through: resource mappings of the cluster, and a node's hardware.

use super::client::Client;
use super::wire::esc;
use super::{Error, lenient};
use serde::Deserialize;

/// A resource mapping: a name for one device, or for a pool of which the first free one is taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PciMapping {
    /// Its name, for `hostpciN: mapping=NAME`. A single one's own answer leaves it out.
    #[serde(default)]
    pub id: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The devices.
    #[serde(default, rename = "map")]
    pub devices: Vec<MappedDevice>,
    /// What the checked node finds wrong with its devices.
    #[serde(default)]
    pub checks: Vec<MappingCheck>,
}

/// One device of a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct MappedDevice {
    /// Node that has it.
    pub node: String,
    /// Address (`0000:01:00.0`); without the function it means all of them.
    pub path: String,
    /// `vendor:device`, in hexadecimal.
    pub id: String,
    /// Without it a start fails.
    pub iommugroup: Option<u32>,
    /// `vendor:device` of the board.
    pub subsystem_id: Option<String>,
}

impl From<String> for MappedDevice {
    /// Reads `node=pve1,path=0000:01:00.0,id=10de:1eb8,iommugroup=1`. Keys of other versions are passed over.
    fn from(text: String) -> MappedDevice {
        let mut device = MappedDevice::default();
        for (key, value) in text.split(',').filter_map(|p| p.split_once('=')) {
            match key {
                "node" => device.node = value.to_string(),
                "path" => device.path = value.to_string(),
                "id" => device.id = value.to_string(),
                "iommugroup" => device.iommugroup = value.parse().ok(),
                "subsystem-id" => device.subsystem_id = Some(value.to_string()),
                _ => {}
            }
        }
        device
    }
}

/// A finding about a mapping on one node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MappingCheck {
    /// `warning` or `error`.
    pub severity: String,
    /// Proxmox's text.
    pub message: String,
}

/// A device of a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PciDevice {
    /// Address, `0000:01:00.0`.
    pub id: String,
    /// Class, such as `0x030000` for a VGA controller.
    #[serde(default)]
    pub class: String,
    /// Vendor, such as `0x10de`.
    #[serde(default)]
    pub vendor: String,
    /// Device, such as `0x1eb8`.
    #[serde(default)]
    pub device: String,
    /// Vendor for people.
    #[serde(default)]
    pub vendor_name: Option<String>,
    /// Device for people.
    #[serde(default)]
    pub device_name: Option<String>,
    /// IOMMU group; `None` when the node has no IOMMU (Proxmox says -1).
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub iommugroup: Option<u64>,
    /// Whether it can be split into mediated devices.
    #[serde(default, deserialize_with = "lenient::de_boolean")]
    pub mdev: bool,
}

impl Client {
    /// The mappings that the token may see (Mapping.Audit or Mapping.Use). With `check` the devices on that node are
    /// checked against its hardware.
    pub async fn pci_mappings(&self, check: Option<&str>) -> Result<Vec<PciMapping>, Error> {
        let query = check.map(|node| ("check-node", node.to_string()));
        self.get("/cluster/mapping/pci", query.into_iter().collect()).await
    }

    /// One mapping.
    pub async fn pci_mapping(&self, id: &str) -> Result<PciMapping, Error> {
        let mut mapping: PciMapping = self.get(&format!("/cluster/mapping/pci/{}", esc(id)), vec![]).await?;
        mapping.id = id.to_string();
        Ok(mapping)
    }

    /// A node's devices; without `all` those that nobody would pass through (bridges, memory, processors) are left
    /// out.
    pub async fn pci_devices(&self, node: &str, all: bool) -> Result<Vec<PciDevice>, Error> {
        let query = if all {
            vec![("pci-class-blacklist", String::new())]
        } else {
            vec![]
        };
        self.get(&format!("/nodes/{}/hardware/pci", esc(node)), query).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mappings() {
        let m: PciMapping = serde_json::from_value(json!({
            "id": "gpupool",
            "map": ["node=pve1,path=0000:01:00.0,id=10de:1eb8,iommugroup=1,subsystem-id=10de:12a2", "node=pve2,path=0000:02:00,id=10de:1eb8"],
            "checks": [{"severity": "error", "message": "no device"}],
        }))
        .expect("a mapping");
        assert_eq!((m.devices[0].node.as_str(), m.devices[0].iommugroup), ("pve1", Some(1)));
        assert_eq!(
            (m.devices[1].path.as_str(), m.devices[1].iommugroup),
            ("0000:02:00", None)
        );
        assert_eq!(m.checks[0].severity, "error");
    }

    #[test]
    fn no_iommu() {
        let d: PciDevice = serde_json::from_value(json!({"id": "0000:01:00.0", "iommugroup": -1})).expect("a device");
        assert_eq!((d.iommugroup, d.mdev), (None, false));
    }
}
