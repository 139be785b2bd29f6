//! `ProxmoxCluster`: a Proxmox VE API and how to use it.

use super::LocalRef;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Proxmox VE cluster: where its API is, how to log in, which VMIDs are ours, and limits.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "mosdat.dev",
    version = "v1alpha1",
    kind = "ProxmoxCluster",
    plural = "proxmoxclusters",
    shortname = "pxc",
    category = "mosdat",
    namespaced,
    status = "ProxmoxClusterStatus",
    derive = "PartialEq",
    doc = "A Proxmox VE cluster: where its API is, how to log in, which VMIDs are ours, and limits.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".spec.endpoints[0]"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxmoxClusterSpec {
    /// Base URLs of the API, for example `https://pve1.example:8006`, tried in order.
    #[schemars(length(min = 1, max = 16))]
    pub endpoints: Vec<String>,
    /// Secret with `tokenId` (USER@REALM!ID) and `tokenSecret` of an API token, or with `username` (USER@REALM) and
    /// `password`.
    pub credentials_secret_ref: LocalRef,
    /// How the server's certificate is trusted; without it the system's roots are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClusterTls>,
    /// VMIDs that mosdat may use for its clones.
    #[serde(default)]
    pub vmid_range: VmidRange,
    /// Used where a VM names nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<ClusterDefaults>,
    /// Bounds on what is asked of the cluster.
    #[serde(default)]
    pub limits: ClusterLimits,
    /// What becomes of VMs that this object made and whose ProxmoxVM no longer exists.
    #[serde(default)]
    pub orphan_policy: OrphanPolicy,
}

/// What becomes of VMs without an owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OrphanPolicy {
    /// Name them in status and in an Event.
    #[default]
    Report,
    /// Stop and destroy them as well, two minutes after they were first seen.
    Delete,
}

/// Trust in the API's certificate. Exactly one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("(has(self.caBundle) ? 1 : 0) + (has(self.fingerprint) ? 1 : 0) + (has(self.insecureSkipVerify) && self.insecureSkipVerify ? 1 : 0) == 1")
        .message("set exactly one of caBundle, fingerprint, insecureSkipVerify: true")
)]
pub struct ClusterTls {
    /// PEM certificates of the authorities to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub ca_bundle: Option<String>,
    /// SHA-256 of the server's leaf certificate, as `AB:CD:...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$"))]
    pub fingerprint: Option<String>,
    /// Trust any certificate. Anyone on the way can then read the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
}

/// An inclusive range of VMIDs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.start <= self.end").message("start must not be greater than end"))]
pub struct VmidRange {
    /// First VMID.
    #[schemars(range(min = 100, max = 999999999))]
    pub start: u32,
    /// Last VMID.
    #[schemars(range(min = 100, max = 999999999))]
    pub end: u32,
}

impl Default for VmidRange {
    fn default() -> Self {
        VmidRange {
            start: 20000,
            end: 29999,
        }
    }
}

/// Where clones go when the VM does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterDefaults {
    /// Node for new VMs; without it the node that holds the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub node: Option<String>,
    /// Storage for the disks of full clones; without it the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub storage: Option<String>,
    /// Resource pool that new VMs join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub pool: Option<String>,
}

/// Bounds on what is asked of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterLimits {
    /// Clones in flight at once.
    #[serde(default = "default_parallel_clones")]
    #[schemars(range(min = 1, max = 64))]
    pub parallel_clones: u32,
    /// Starts in flight at once.
    #[serde(default = "default_parallel_starts")]
    #[schemars(range(min = 1, max = 64))]
    pub parallel_starts: u32,
    /// Seconds that one API request may take.
    #[serde(default = "default_request_timeout")]
    #[schemars(range(min = 1, max = 600))]
    pub request_timeout_seconds: u32,
}

fn default_parallel_clones() -> u32 {
    4
}
fn default_parallel_starts() -> u32 {
    8
}
fn default_request_timeout() -> u32 {
    60
}

impl Default for ClusterLimits {
    fn default() -> Self {
        ClusterLimits {
            parallel_clones: default_parallel_clones(),
            parallel_starts: default_parallel_starts(),
            request_timeout_seconds: default_request_timeout(),
        }
    }
}

/// What was last seen of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxmoxClusterStatus {
    /// Generation of the spec that this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Version of Proxmox VE that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Nodes of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<ClusterNode>,
    /// VMs that this object made and whose ProxmoxVM no longer exists; at most 32 are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<OrphanVm>,
    /// Whether the cluster can be written to; missing when the API does not tell us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorate: Option<bool>,
    /// Storages that we may see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storages: Vec<ClusterStorage>,
}

/// A VM without an owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanVm {
    /// VMID.
    pub vmid: u32,
    /// Node that has it.
    pub node: String,
    /// UID of the ProxmoxVM that it was made for.
    pub owner_uid: String,
    /// When it was first seen without an owner.
    pub since: Time,
}

/// One node. Sizes are whole GiB, so that status does not change all the time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterNode {
    /// Name of the node.
    pub name: String,
    /// Whether the cluster says it is online.
    pub online: bool,
    /// Processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u64>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "memoryGiB")]
    pub memory_gib: Option<u64>,
    /// Memory that is not in use.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "memoryFreeGiB")]
    pub memory_free_gib: Option<u64>,
}

/// One storage; a shared one is listed once, without a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStorage {
    /// Name of the storage.
    pub name: String,
    /// The node that has it; missing when all share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Size in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "sizeGiB")]
    pub size_gib: Option<u64>,
    /// What is left, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "freeGiB")]
    pub free_gib: Option<u64>,
}
