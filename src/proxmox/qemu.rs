//! Virtual machines: listing, cloning, power, deletion.

use super::client::Client;
use super::wire::esc;
use super::{Error, Upid, lenient};
use reqwest::Method;
use serde::Deserialize;
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
    /// Digest of the file, for [`super::ConfigChange::digest`].
    pub fn digest(&self) -> Option<&str> {
        self.get("digest")
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

/// One row of `GET /nodes/{node}/qemu`.
#[derive(Clone, Debug, Deserialize)]
pub struct Vm {
    /// VMID.
    #[serde(deserialize_with = "lenient::de_vmid")]
    pub vmid: u32,
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
    /// `running` or `stopped`.
    #[serde(default)]
    pub status: String,
    /// Whether it is a template.
    #[serde(default, deserialize_with = "lenient::de_boolean")]
    pub template: bool,
    /// Lock of the configuration.
    #[serde(default)]
    pub lock: Option<String>,
    /// Tags.
    #[serde(default, deserialize_with = "lenient::de_tags")]
    pub tags: Vec<String>,
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
    /// The virtual machines of a node that the token may see, live (unlike [`Client::cluster_vms`]).
    pub async fn vms(&self, node: &str) -> Result<Vec<Vm>, Error> {
        self.get(&format!("/nodes/{}/qemu", esc(node)), vec![]).await
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

    /// Creates a VM with these configuration keys.
    pub async fn create_vm(&self, node: &str, vmid: u32, values: &[(&str, String)]) -> Result<Upid, Error> {
        let mut form = vec![("vmid", vmid.to_string())];
        form.extend(values.iter().cloned());
        self.task(Method::POST, &format!("/nodes/{}/qemu", esc(node)), form)
            .await
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

    /// Pulls the plug although a shutdown task may hold the VM: that task is aborted. Plain [`Client::stop`] would
    /// wait for it for 10 s and fail.
    pub async fn stop_overruling(&self, node: &str, vmid: u32) -> Result<Upid, Error> {
        let form = vec![("overrule-shutdown", "1".to_string())];
        self.task(Method::POST, &vm_path(node, vmid, "/status/stop"), form)
            .await
    }

    /// Presses the reset button. The QEMU process and its uptime go on. A VM that does not run refuses at once.
    pub async fn reset(&self, node: &str, vmid: u32) -> Result<Upid, Error> {
        self.task(Method::POST, &vm_path(node, vmid, "/status/reset"), vec![])
            .await
    }

    /// Asks the guest to shut down within `timeout` seconds, and starts the VM again: pending changes come into
    /// effect.
    pub async fn reboot(&self, node: &str, vmid: u32, timeout: u32) -> Result<Upid, Error> {
        let form = vec![("timeout", timeout.to_string())];
        self.task(Method::POST, &vm_path(node, vmid, "/status/reboot"), form)
            .await
    }

    /// Presses keys in QEMU's own notation, such as `ctrl-alt-delete`: works without a console.
    pub async fn sendkey(&self, node: &str, vmid: u32, key: &str) -> Result<(), Error> {
        let form = vec![("key", key.to_string())];
        self.call(Method::PUT, &vm_path(node, vmid, "/sendkey"), form)
            .await
            .map(|_| ())
    }

    /// Asks the guest to shut down; after `timeout` seconds the plug is pulled with `force`, else the task fails.
    pub async fn shutdown(&self, node: &str, vmid: u32, timeout: u32, force: bool) -> Result<Upid, Error> {
        let mut form = vec![("timeout", timeout.to_string())];
        if force {
            form.push(("forceStop", "1".to_string()));
        }
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
