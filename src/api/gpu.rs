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
    printcolumn(name = "Capacity", type_ = "integer", json_path = ".status.capacity"),
    printcolumn(name = "Free", type_ = "integer", json_path = ".status.free"),
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
}

/// One device of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GpuDevice {
    /// Name of the device within this profile.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Id of the cluster's PCI resource mapping; the only form that an API token may use.
    #[schemars(length(min = 2, max = 64))]
    pub mapping: String,
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
    /// Devices that nobody holds.
    #[serde(default)]
    pub free: u32,
    /// Who holds which device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<GpuLease>,
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
}
