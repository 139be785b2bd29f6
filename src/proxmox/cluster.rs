//! Cluster-wide reads: version, nodes, resources, free VMIDs.

use super::client::Client;
use super::{Error, ErrorKind, lenient};
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

impl Client {
    /// The API's version; also the cheapest proof that address, trust and token are right.
    pub async fn version(&self) -> Result<Version, Error> {
        self.get("/version", vec![]).await
    }

    /// The cluster's nodes.
    pub async fn nodes(&self) -> Result<Vec<Node>, Error> {
        self.get("/nodes", vec![]).await
    }

    /// All virtual machines that the token may see. Missing rights leave rows out silently.
    pub async fn cluster_vms(&self) -> Result<Vec<VmResource>, Error> {
        let rows: Vec<Value> = self.get("/cluster/resources", vec![("type", "vm".to_string())]).await?;
        Ok(rows
            .into_iter()
            .filter_map(|r| serde_json::from_value::<VmResource>(r).ok())
            .filter(|r| r.kind == "qemu" || r.kind.is_empty())
            .collect())
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
