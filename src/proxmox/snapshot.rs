//! Snapshots of virtual machines.

use super::client::Client;
use super::qemu::vm_path;
use super::wire::esc;
use super::{Error, Upid, lenient};
use reqwest::Method;
use serde::Deserialize;

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// When it was taken, in seconds since 1970.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub snaptime: Option<u64>,
    /// Whether it has the RAM: then a rollback resumes the VM.
    #[serde(default, deserialize_with = "lenient::de_boolean")]
    pub vmstate: bool,
    /// The snapshot it was taken on.
    #[serde(default)]
    pub parent: Option<String>,
    /// `prepare` or `delete` while it is made or removed, and after that went wrong.
    #[serde(default)]
    pub snapstate: Option<String>,
}

impl Client {
    /// The VM's snapshots. Proxmox's entry for the present state is left out.
    pub async fn snapshots(&self, node: &str, vmid: u32) -> Result<Vec<Snapshot>, Error> {
        let mut all: Vec<Snapshot> = self.get(&vm_path(node, vmid, "/snapshot"), vec![]).await?;
        all.retain(|s| s.name != "current");
        Ok(all)
    }

    /// Takes a snapshot; with `ram` of a running VM's memory too. Names have at least 2 characters and begin with a
    /// letter. A name that is taken fails in the task, as [`super::ErrorKind::AlreadyExists`].
    pub async fn create_snapshot(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
        description: &str,
        ram: bool,
    ) -> Result<Upid, Error> {
        let mut form = vec![("snapname", name.to_string())];
        if ram {
            form.push(("vmstate", "1".to_string()));
        }
        if !description.is_empty() {
            form.push(("description", description.to_string()));
        }
        self.task(Method::POST, &vm_path(node, vmid, "/snapshot"), form).await
    }

    /// Goes back to a snapshot. One without RAM leaves the VM stopped unless `start`; one with RAM runs on at once.
    pub async fn rollback(&self, node: &str, vmid: u32, name: &str, start: bool) -> Result<Upid, Error> {
        let form = if start {
            vec![("start", "1".to_string())]
        } else {
            vec![]
        };
        let path = vm_path(node, vmid, &format!("/snapshot/{}/rollback", esc(name)));
        self.task(Method::POST, &path, form).await
    }

    /// Removes a snapshot.
    pub async fn delete_snapshot(&self, node: &str, vmid: u32, name: &str) -> Result<Upid, Error> {
        let path = vm_path(node, vmid, &format!("/snapshot/{}", esc(name)));
        self.task(Method::DELETE, &path, vec![]).await
    }
}
