//! Cluster-wide reads: version, nodes, resources, free VMIDs.

use super::client::Client;
use super::{Error, ErrorKind, lenient};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

/// `GET /version`.
#[derive(Clone, Debug, Deserialize)]
pub struct Version {
    /// Such as `9.1.7`.
    pub version: String,
    /// Such as `9.1`.
    #[serde(default)]
    pub release: String,
}

/// One row of `GET /nodes`.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// Name of the node.
    pub node: String,
    /// `online`, `offline` or `unknown`.
    #[serde(default)]
    pub status: String,
    /// Processors; missing while it is offline or the token may not see it, like the others below.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub maxcpu: Option<u64>,
    /// Memory in bytes.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub maxmem: Option<u64>,
    /// Memory in use, in bytes.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub mem: Option<u64>,
    /// SHA-256 of its certificate, good for [`super::Tls::Fingerprint`].
    #[serde(default)]
    pub ssl_fingerprint: Option<String>,
}

/// One row of `GET /cluster/resources?type=storage`. Sizes are in bytes.
#[derive(Clone, Debug, Deserialize)]
pub struct StorageResource {
    /// Its name.
    pub storage: String,
    /// Node that sees it; a shared one has a row for each.
    pub node: String,
    /// `available`, or why not.
    #[serde(default)]
    pub status: String,
    /// What it may hold.
    #[serde(default, deserialize_with = "lenient::de_tags")]
    pub content: Vec<String>,
    /// Whether all nodes see the same.
    #[serde(default, deserialize_with = "lenient::de_boolean")]
    pub shared: bool,
    /// In use.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub disk: Option<u64>,
    /// Size.
    #[serde(default, deserialize_with = "lenient::de_optional")]
    pub maxdisk: Option<u64>,
}

/// One row of `GET /cluster/resources?type=vm`. Name and status lag up to 10 s behind.
#[derive(Clone, Debug, Deserialize)]
pub struct VmResource {
    /// VMID.
    #[serde(deserialize_with = "lenient::de_vmid")]
    pub vmid: u32,
    /// Node that has it.
    pub node: String,
    /// `qemu` or `lxc`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Name, once known.
    #[serde(default)]
    pub name: Option<String>,
    /// `running`, `stopped` or `unknown`.
    #[serde(default)]
    pub status: String,
    /// Whether it is a template.
    #[serde(default, deserialize_with = "lenient::de_boolean")]
    pub template: bool,
    /// Tags.
    #[serde(default, deserialize_with = "lenient::de_tags")]
    pub tags: Vec<String>,
}

impl VmResource {
    /// A virtual machine, no container.
    pub fn is_vm(&self) -> bool {
        self.kind == "qemu" || self.kind.is_empty()
    }
}

impl Client {
    /// The API's version; also the cheapest proof that address, trust and token are right.
    pub async fn version(&self) -> Result<Version, Error> {
        self.get("/version", vec![]).await
    }

    /// The cluster's nodes.
    pub async fn nodes(&self) -> Result<Vec<Node>, Error> {
        self.get("/nodes", vec![]).await
    }

    /// All guests that the token may see, containers too: they share the VMIDs. Missing rights leave rows out silently.
    pub async fn cluster_guests(&self) -> Result<Vec<VmResource>, Error> {
        let rows: Vec<Value> = self.get("/cluster/resources", vec![("type", "vm".to_string())]).await?;
        Ok(rows
            .into_iter()
            .filter_map(|r| serde_json::from_value::<VmResource>(r).ok())
            .collect())
    }

    /// All virtual machines that the token may see.
    pub async fn cluster_vms(&self) -> Result<Vec<VmResource>, Error> {
        let mut all = self.cluster_guests().await?;
        all.retain(VmResource::is_vm);
        Ok(all)
    }

    /// All storages that the token may see, on all nodes.
    pub async fn cluster_storages(&self) -> Result<Vec<StorageResource>, Error> {
        let query = vec![("type", "storage".to_string())];
        self.get("/cluster/resources", query).await
    }

    /// A VMID that nobody had a moment ago. It is not reserved: only creating or cloning decides.
    pub async fn next_id(&self) -> Result<u32, Error> {
        let (v, at) = self.call(Method::GET, "/cluster/nextid", vec![]).await?;
        let id = lenient::number(&v).and_then(|n| u32::try_from(n).ok());
        id.ok_or_else(|| {
            let m = format!("expected a VMID, got {v}");
            self.error(at, "GET", "/cluster/nextid", ErrorKind::Other, m)
        })
    }

    /// Whether a VMID is free now. A hint only: the clone call decides.
    pub async fn next_id_free(&self, vmid: u32) -> Result<bool, Error> {
        match self
            .get::<Value>("/cluster/nextid", vec![("vmid", vmid.to_string())])
            .await
        {
            Ok(_) => Ok(true),
            Err(e) if e.kind == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }
}
