//! A VM's configuration: as it is, as it will be, and changing it.

use super::client::Client;
use super::qemu::vm_path;
use super::wire::Params;
use super::{Error, ErrorKind, Upid, VmConfig, lenient};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What to change, all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigChange {
    /// Keys and their new values.
    pub set: Vec<(String, String)>,
    /// Keys to remove; removing what is not set is fine.
    pub delete: Vec<String>,
    /// Keys whose pending change is dropped.
    pub revert: Vec<String>,
    /// Refuse the change when the configuration is not the one with this digest any more.
    pub digest: Option<String>,
}

impl ConfigChange {
    fn form(&self) -> Params<'_> {
        let mut form: Params<'_> = self.set.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
        for (key, list) in [("delete", &self.delete), ("revert", &self.revert)] {
            if !list.is_empty() {
                form.push((key, list.join(",")));
            }
        }
        form.extend(self.digest.iter().map(|d| ("digest", d.clone())));
        form
    }
}

/// A key of `GET .../pending`: what a running VM has, and what its next start will use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PendingKey {
    /// Configuration key.
    pub key: String,
    /// The value in effect; `None` when the key is new.
    #[serde(default, deserialize_with = "lenient::de_text")]
    pub value: Option<String>,
    /// The value that waits for the next start.
    #[serde(default, deserialize_with = "lenient::de_text")]
    pub pending: Option<String>,
    /// Whether the key goes away with the next start.
    #[serde(default, deserialize_with = "lenient::de_boolean")]
    pub delete: bool,
}

impl PendingKey {
    /// Whether anything waits.
    pub fn waits(&self) -> bool {
        self.delete || self.pending.is_some()
    }
}

impl Client {
    /// The configuration, pending changes included.
    pub async fn vm_config(&self, node: &str, vmid: u32) -> Result<VmConfig, Error> {
        self.config(node, vmid, vec![]).await
    }

    /// As [`Client::vm_config`], and `None` for a VM that does not exist. Where the rights come through a pool, Proxmox
    /// refuses to look at a VMID that nobody has, as it does with a stranger's; only the list of free VMIDs tells them
    /// apart.
    ///
    /// # Errors
    /// [`ErrorKind::Permission`] for a VM that exists and may not be looked at.
    pub async fn vm_config_if_any(&self, node: &str, vmid: u32) -> Result<Option<VmConfig>, Error> {
        match self.vm_config(node, vmid).await {
            Ok(config) => Ok(Some(config)),
            Err(e) if e.kind == ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind == ErrorKind::Permission && self.next_id_free(vmid).await? => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The configuration in effect, without pending changes.
    pub async fn vm_config_active(&self, node: &str, vmid: u32) -> Result<VmConfig, Error> {
        self.config(node, vmid, vec![("current", "1".to_string())]).await
    }

    async fn config(&self, node: &str, vmid: u32, query: Params<'_>) -> Result<VmConfig, Error> {
        let raw: BTreeMap<String, Value> = self.get(&vm_path(node, vmid, "/config"), query).await?;
        Ok(VmConfig(
            raw.into_iter()
                .filter_map(|(k, v)| lenient::text(&v).map(|t| (k, t)))
                .collect(),
        ))
    }

    /// All keys, with the changes that wait for the next start.
    pub async fn vm_pending(&self, node: &str, vmid: u32) -> Result<Vec<PendingKey>, Error> {
        self.get(&vm_path(node, vmid, "/pending"), vec![]).await
    }

    /// Writes configuration keys at once (PUT, synchronous).
    pub async fn set_config(&self, node: &str, vmid: u32, values: &[(&str, String)]) -> Result<(), Error> {
        let form = values.iter().map(|(k, v)| (*k, v.clone())).collect();
        self.call(Method::PUT, &vm_path(node, vmid, "/config"), form)
            .await
            .map(|_| ())
    }

    /// Changes the configuration at once (PUT, synchronous).
    ///
    /// With a digest the request is sent once more when its answer is lost. If the second one finds another digest,
    /// the first may have done it: that is [`ErrorKind::Transport`], as for any lost write.
    pub async fn update_config(&self, node: &str, vmid: u32, change: &ConfigChange) -> Result<(), Error> {
        let path = vm_path(node, vmid, "/config");
        let first = self.call(Method::PUT, &path, change.form()).await;
        let lost = match first {
            Err(e) if e.kind == ErrorKind::Transport && e.status.is_none() && change.digest.is_some() => e,
            other => return other.map(|_| ()),
        };
        match self.call(Method::PUT, &path, change.form()).await {
            Err(e) if e.message.contains("checksum mismatch") => Err(lost),
            other => other.map(|_| ()),
        }
    }

    /// Changes the configuration in a task (POST): for what takes time, such as allocating a disk.
    pub async fn update_config_task(&self, node: &str, vmid: u32, change: &ConfigChange) -> Result<Upid, Error> {
        self.task(Method::POST, &vm_path(node, vmid, "/config"), change.form())
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms() {
        let change = ConfigChange {
            set: vec![("cores".to_string(), "2".to_string())],
            delete: vec!["vga".to_string(), "balloon".to_string()],
            revert: vec![],
            digest: Some("abc".to_string()),
        };
        let pairs: Vec<String> = change.form().iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs, ["cores=2", "delete=vga,balloon", "digest=abc"]);
        assert!(ConfigChange::default().form().is_empty());
    }

    #[test]
    fn pending_keys() {
        let rows: Vec<PendingKey> = serde_json::from_value(json!([
            {"key": "cores", "value": 2, "pending": 4},
            {"key": "vga", "value": "std", "delete": 1},
            {"key": "name", "value": "a"},
        ]))
        .expect("rows");
        assert_eq!(rows[0].pending.as_deref(), Some("4"));
        assert_eq!(
            rows.iter().map(PendingKey::waits).collect::<Vec<_>>(),
            [true, true, false]
        );
    }
}
