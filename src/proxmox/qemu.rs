//! Virtual machines: configuration, cloning, power, deletion.

use super::client::Client;
use super::wire::esc;
use super::{Error, Upid, lenient};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A VM's configuration: keys of the configuration file and their texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VmConfig(pub BTreeMap<String, String>);

impl VmConfig {
    /// The text of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
    /// `lock`, such as `clone` or `backup`.
    pub fn lock(&self) -> Option<&str> {
        self.get("lock")
    }
    /// Tags.
    pub fn tags(&self) -> Vec<String> {
        self.get("tags").map(lenient::tags).unwrap_or_default()
    }
    /// MAC address of the first network card, in lower case.
    pub fn net0_mac(&self) -> Option<String> {
        self.get("net0")?
            .split(',')
            .filter_map(|p| p.split_once('='))
            .map(|(_, v)| v)
            .find(|v| v.len() == 17 && v.bytes().filter(|b| *b == b':').count() == 5)
            .map(str::to_ascii_lowercase)
    }
    /// Keys of passthrough devices.
    pub fn hostpci(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(|(k, _)| k.starts_with("hostpci"))
            .map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

/// `GET .../status/current`.
#[derive(Clone, Debug, Deserialize)]
pub struct VmStatus {
    /// `running` or `stopped`.
    pub status: String,
    /// QEMU's own word: `running`, `paused`, ...
    #[serde(default)]
    pub qmpstatus: Option<String>,
    /// Lock of the configuration.
    #[serde(default)]
    pub lock: Option<String>,
}

impl VmStatus {
    /// Whether its QEMU process exists.
    pub fn running(&self) -> bool {
        self.status == "running"
    }
}

/// Parameters of a clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloneParams {
    /// VMID of the new VM.
    pub newid: u32,
    /// Name of the new VM, a DNS name.
    pub name: Option<String>,
    /// Description; it appears when the first disk is done.
    pub description: Option<String>,
    /// Copy the disks instead of sharing the template's.
    pub full: bool,
    /// Storage for a full clone.
    pub storage: Option<String>,
    /// Resource pool.
    pub pool: Option<String>,
    /// Node for the new VM when it is not the template's.
    pub target: Option<String>,
}

pub(super) fn vm_path(node: &str, vmid: u32, rest: &str) -> String {
    format!("/nodes/{}/qemu/{vmid}{rest}", esc(node))
}

impl Client {
    /// The configuration, pending changes included.
    pub async fn vm_config(&self, node: &str, vmid: u32) -> Result<VmConfig, Error> {
        let raw: BTreeMap<String, Value> = self.get(&vm_path(node, vmid, "/config"), vec![]).await?;
        Ok(VmConfig(
            raw.into_iter()
                .filter_map(|(k, v)| lenient::text(&v).map(|t| (k, t)))
                .collect(),
        ))
    }

    /// Power state, live.
    pub async fn vm_status(&self, node: &str, vmid: u32) -> Result<VmStatus, Error> {
        self.get(&vm_path(node, vmid, "/status/current"), vec![]).await
    }

    /// Clones `source`, which is on `node`.
    pub async fn clone_vm(&self, node: &str, source: u32, p: &CloneParams) -> Result<Upid, Error> {
        let mut form = vec![
            ("newid", p.newid.to_string()),
            ("full", if p.full { "1" } else { "0" }.to_string()),
        ];
        let optional = [
            ("name", &p.name),
            ("description", &p.description),
            ("storage", &p.storage),
            ("pool", &p.pool),
            ("target", &p.target),
        ];
        for (k, v) in optional {
            if let Some(v) = v {
                form.push((k, v.clone()));
            }
        }
        self.task(Method::POST, &vm_path(node, source, "/clone"), form).await
    }

    /// Writes configuration keys at once (PUT, synchronous).
    pub async fn set_config(&self, node: &str, vmid: u32, values: &[(&str, String)]) -> Result<(), Error> {
        let form = values.iter().map(|(k, v)| (*k, v.clone())).collect();
        self.call(Method::PUT, &vm_path(node, vmid, "/config"), form)
            .await
            .map(|_| ())
    }

    /// Starts the VM.
    pub async fn start(&self, node: &str, vmid: u32) -> Result<Upid, Error> {
        self.task(Method::POST, &vm_path(node, vmid, "/status/start"), vec![])
            .await
    }

    /// Pulls the plug.
    pub async fn stop(&self, node: &str, vmid: u32) -> Result<Upid, Error> {
        self.task(Method::POST, &vm_path(node, vmid, "/status/stop"), vec![])
            .await
    }

    /// Asks the guest to shut down; after `timeout` seconds the plug is pulled.
    pub async fn shutdown(&self, node: &str, vmid: u32, timeout: u32) -> Result<Upid, Error> {
        let form = vec![("timeout", timeout.to_string()), ("forceStop", "1".to_string())];
        self.task(Method::POST, &vm_path(node, vmid, "/status/shutdown"), form)
            .await
    }

    /// Destroys a stopped VM with its disks and its entries in jobs and pools.
    pub async fn delete(&self, node: &str, vmid: u32) -> Result<Upid, Error> {
        let query = vec![
            ("purge", "1".to_string()),
            ("destroy-unreferenced-disks", "1".to_string()),
        ];
        self.task(Method::DELETE, &vm_path(node, vmid, ""), query).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_of_net0() {
        let c = VmConfig([("net0".to_string(), "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0".to_string())].into());
        assert_eq!(c.net0_mac().as_deref(), Some("bc:24:11:aa:bb:cc"));
        assert_eq!(VmConfig::default().net0_mac(), None);
    }
}
