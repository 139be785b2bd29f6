//! `GpuProfile`: a pool of passthrough devices, lent to one VM each.

use super::{Holder, LocalRef};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pool of PCI devices for passthrough. A VM that refers to it gets one device for its whole life.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "mosdat.dev",
    version = "v1alpha1",
    kind = "GpuProfile",
    plural = "gpuprofiles",
    shortname = "gpu",
    category = "mosdat",
    namespaced,
    status = "GpuProfileStatus",
    derive = "PartialEq",
    doc = "A pool of PCI devices for passthrough. A VM that refers to it gets one device for its whole life.",
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
    printcolumn(name = "Capacity", type_ = "integer", json_path = ".status.capacity"),
    printcolumn(name = "Free", type_ = "integer", json_path = ".status.free"),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.waiting"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterRef.name"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GpuProfileSpec {
    /// The cluster that has the devices.
    pub cluster_ref: LocalRef,
    /// The devices, one lease each.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub devices: Vec<GpuDevice>,
    /// Present the device on a PCI Express port. Needs machine type q35.
    #[serde(default)]
    pub pcie: bool,
    /// Make the device the guest's primary graphics adapter. The console keeps its own (`vga: std`).
    #[serde(default)]
    pub x_vga: bool,
    /// Show the device's option ROM to the guest.
    #[serde(default = "yes")]
    pub rombar: bool,
    /// Seconds that a device rests between two VMs.
    #[serde(default)]
    #[schemars(range(max = 86400))]
    pub cool_down_seconds: u32,
    /// Run in the guest of every VM that got a device and became ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<GpuHealthCheck>,
}

fn yes() -> bool {
    true
}

/// One device of the pool: by mapping, or by address and node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.mapping) != has(self.address)").message("set exactly one of mapping, address"),
    validation = Rule::new("has(self.address) == has(self.node)").message("address and node go together")
)]
pub struct GpuDevice {
    /// Name of the device within this profile.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Id of the cluster's PCI resource mapping; the only form that an API token may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 64), regex(pattern = r"^[A-Za-z][A-Za-z0-9_-]+$"))]
    pub mapping: Option<String>,
    /// PCI address on `node`, such as `0000:01:00.0`; without the function it means all of them. Proxmox takes it
    /// only from `root@pam` logged in with its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 12),
        regex(pattern = r"^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}(\.[0-7])?$")
    )]
    pub address: Option<String>,
    /// Node that has the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub node: Option<String>,
}

/// A command in the guest that tells whether a device works. A device that fails is not lent again until a person
/// says so with the annotation `mosdat.dev/release-quarantine: NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GpuHealthCheck {
    /// Program and arguments; no shell is involved. It must end with exit code 0.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 4096)))]
    pub command: Vec<String>,
    /// Regular expression that the output has to match somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: Option<String>,
    /// Seconds that the command may take.
    #[serde(default = "default_health_timeout")]
    #[schemars(range(min = 1, max = 600))]
    pub timeout_seconds: u32,
}

fn default_health_timeout() -> u32 {
    60
}

/// What is lent to whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuProfileStatus {
    /// Generation of the spec that this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Number of devices.
    #[serde(default)]
    pub capacity: u32,
    /// Devices that can be lent now.
    #[serde(default)]
    pub free: u32,
    /// VMs that wait for a device.
    #[serde(default)]
    pub waiting: u32,
    /// Where each device stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub devices: Vec<GpuDeviceStatus>,
    /// Who holds which device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<GpuLease>,
    /// VMs that wait, the next one first; at most 128 are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queue: Vec<GpuWaiter>,
}

/// Where a device stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuDeviceStatus {
    /// Name of the device, as in `spec.devices`.
    pub name: String,
    /// Summary.
    pub state: GpuDeviceState,
    /// Why it is not to be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When it is to be had again, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// VMID of the foreign VM that has it, where Proxmox said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmid: Option<u32>,
    /// Nodes that have it; empty when that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

/// Summary of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum GpuDeviceState {
    /// To be had.
    #[default]
    Free,
    /// Lent; `status.leases` says to whom.
    Leased,
    /// Rests after its last VM.
    CoolingDown,
    /// Proxmox says that somebody else has it.
    InUseElsewhere,
    /// Failed its check; waits for a person.
    Quarantined,
    /// Cannot be lent as it is declared.
    Unusable,
}

/// A VM that waits for a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuWaiter {
    /// The VM.
    pub holder: Holder,
    /// Its turn: when it was created.
    pub since: Time,
    /// The node that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// A device in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuLease {
    /// Name of the device, as in `spec.devices`.
    pub device: String,
    /// The VM that has it.
    pub holder: Holder,
    /// Since when.
    pub acquired_at: Time,
    /// What the health check said of the device in this VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<GpuHealth>,
}

/// Outcome of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GpuHealth {
    /// As expected.
    Passed,
    /// Not as expected; the device is in quarantine.
    Failed,
}
