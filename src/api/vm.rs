//! `ProxmoxVM`: a virtual machine, cloned from a template or adopted.

use super::{GuestSpec, Holder, LocalRef, SshSpec, VmOperation, VmSsh};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A virtual machine on a Proxmox VE cluster, cloned from a template or adopted, with a GPU where asked.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "mosdat.dev",
    version = "v1alpha1",
    kind = "ProxmoxVM",
    plural = "proxmoxvms",
    singular = "proxmoxvm",
    shortname = "pvm",
    category = "mosdat",
    namespaced,
    status = "ProxmoxVMStatus",
    derive = "PartialEq",
    doc = "A virtual machine on a Proxmox VE cluster, cloned from a template or adopted, with a GPU where asked.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "VMID", type_ = "integer", json_path = ".status.vmid"),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.node"),
    printcolumn(name = "IP", type_ = "string", json_path = ".status.ip"),
    printcolumn(name = "GPU", type_ = "string", json_path = ".status.gpu"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.gpuProfileRef) == has(oldSelf.gpuProfileRef)").message("gpuProfileRef is immutable: it can be neither added nor taken away"),
    validation = Rule::new("has(self.guest) == has(oldSelf.guest)").message("guest is immutable: it can be neither added nor taken away"),
    validation = Rule::new("!has(self.gpuProfileRef) || self.deletionPolicy != 'Retain'")
        .message("a VM with gpuProfileRef cannot have deletionPolicy Retain: its lease ends with this object while the device would stay in use; take Delete or Stop"),
    validation = Rule::new("!has(self.source.adopt) || self.deletionPolicy != 'Delete'")
        .message("an adopted VM is never destroyed: set deletionPolicy to Stop or Retain")
)]
pub struct ProxmoxVMSpec {
    /// The cluster that runs it.
    #[x_kube(validation = Rule::new("self == oldSelf").message("clusterRef is immutable"))]
    pub cluster_ref: LocalRef,
    /// Where the VM comes from.
    #[x_kube(validation = Rule::new("self == oldSelf").message("source is immutable"))]
    pub source: VmSource,
    /// Whether the VM should run. A VM that is found in the other state is brought back.
    #[serde(default)]
    pub power: VmPower,
    /// What differs from the template's hardware. A field that is taken away again gets back the value from before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<VmHardware>,
    /// Tags in Proxmox, besides those that the VM has and mosdat's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 60), regex(pattern = r"^[a-z0-9_][a-z0-9_+.-]*$")), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.all(t, t != 'mosdat' && !t.startsWith('mosdat-'))").message("tags that begin with mosdat are mosdat's own"))]
    pub tags: Vec<String>,
    /// Pool from which the VM gets a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("gpuProfileRef is immutable"))]
    pub gpu_profile_ref: Option<LocalRef>,
    /// How the guest is reached; without it by the QEMU guest agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("guest is immutable"))]
    pub guest: Option<GuestSpec>,
    /// What becomes of the VM when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Seconds after its creation at which this object is deleted, whatever it is used for; without it, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 31536000))]
    pub ttl_seconds: Option<u32>,
    /// Keyboard layout that the guest is set to: texts are typed with its keys. Without it they are sent as characters, which QEMU turns into
    /// the keys of Proxmox's own `keyboard` setting. Holds for runs that begin after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyboard_layout: Option<KeyboardLayout>,
}

impl ProxmoxVMSpec {
    /// The login by SSH, where commands go that way.
    pub fn ssh(&self) -> Option<&SshSpec> {
        self.guest.as_ref()?.ssh.as_ref()
    }
}

/// A keyboard layout, named as Proxmox and QEMU do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyboardLayout {
    /// English (US).
    EnUs,
    /// English (UK).
    EnGb,
    /// German.
    De,
    /// French (AZERTY).
    Fr,
}

/// Where a VM comes from. Exactly one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.clone) != has(self.adopt)").message("set exactly one of clone, adopt"))]
pub struct VmSource {
    /// Clone a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone: Option<CloneSource>,
    /// Take over a VM that exists. It is never destroyed, and given back as it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<AdoptSource>,
}

/// A VM to take over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptSource {
    /// VMID of the VM; no template.
    #[schemars(range(min = 100, max = 999999999))]
    pub vmid: u32,
    /// Snapshot to roll back to, once, before the VM is used. What is on its disks now is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 40), regex(pattern = r"^[a-zA-Z][a-zA-Z0-9_-]*$"))]
    pub snapshot: Option<String>,
}

/// Whether a VM runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VmPower {
    /// On, with guest and console reachable.
    #[default]
    Running,
    /// Off; the guest is asked to shut down, after a minute the plug is pulled.
    Stopped,
}

/// A template to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.template) != has(self.vmid)").message("set exactly one of template, vmid"))]
pub struct CloneSource {
    /// Name of the template; must be unique in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub template: Option<String>,
    /// VMID of the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 999999999))]
    pub vmid: Option<u32>,
    /// `Linked` shares the template's disk, `Full` copies it.
    #[serde(default)]
    pub mode: CloneMode,
    /// Storage for a full clone's disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub storage: Option<String>,
    /// Node for the clone; without it the cluster's default, else the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub node: Option<String>,
}

/// How disks are cloned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CloneMode {
    /// Share the template's disk and write only what differs.
    #[default]
    Linked,
    /// Copy everything.
    Full,
}

/// What differs from the template's hardware.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmHardware {
    /// CPU cores per socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 512))]
    pub cores: Option<u32>,
    /// CPU sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub sockets: Option<u32>,
    /// CPU type as Proxmox names it, such as `host` or `x86-64-v2-AES`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub cpu: Option<String>,
    /// Machine type, such as `q35`, which devices with `pcie` need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9.+-]+$"))]
    pub machine: Option<String>,
    /// Bridge of the first network card; the card keeps its MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[A-Za-z][A-Za-z0-9_.-]*$"))]
    pub bridge: Option<String>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "memoryMiB")]
    #[schemars(range(min = 128, max = 4194304))]
    pub memory_mib: Option<u32>,
}

/// What becomes of the VM when the object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Stop and destroy it.
    #[default]
    Delete,
    /// Stop it, take mosdat's marks and devices out of it, and leave it.
    Stop,
    /// Take mosdat's marks out of it and leave it as it is.
    Retain,
}

/// What is known of the VM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxmoxVMStatus {
    /// Generation of the spec that this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Summary of the conditions for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<VmPhase>,
    /// VMID; planned before the clone is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmid: Option<u32>,
    /// Node that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Address of the guest, as its agent reports it for the VM's own network card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Host keys of the guest, once it was reached by SSH. Taken away, they are pinned anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<VmSsh>,
    /// Name of the leased device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// The write that is about to be made or being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<VmIntent>,
    /// Screen of the console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<VmDisplay>,
    /// Who uses the VM now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// When the VM was first `Ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Time>,
    /// Consecutive failures of the present action; drives the back-off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// When a failed action is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,
    /// What the run that has the VM asked for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<VmOperation>,
    /// True while the run that has the VM wants it off, whatever is declared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_off: bool,
    /// Snapshots that were taken for the run that has the VM; removed when it gives the VM back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub checkpoints: Vec<String>,
    /// Snapshot that an adopted VM was rolled back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<String>,
    /// Settings that mosdat changed, with what they were before; an empty text stands for a setting that was not there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub original: BTreeMap<String, String>,
}

/// Where a VM stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VmPhase {
    /// Waits for something: the cluster, a GPU.
    Pending,
    /// Being cloned.
    Cloning,
    /// Being configured.
    Configuring,
    /// Being started.
    Starting,
    /// Started; the guest does not answer yet.
    Booting,
    /// The guest and the console answer.
    Ready,
    /// Not running, as declared or although it should be.
    Stopped,
    /// Being stopped or destroyed.
    Deleting,
    /// Cannot go on without help; the `Stalled` condition says why.
    Failed,
}

/// A write to Proxmox, noted before it is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmIntent {
    /// What is being done.
    pub action: VmAction,
    /// When it was decided.
    pub at: Time,
    /// The Proxmox task, once its UPID is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upid: Option<String>,
    /// Id of the run's request that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The settings that are written, where that is the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// The latest task of its kind that there was before, which is not the one that this intent is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Writes that are made to a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VmAction {
    /// Clone the template to the planned VMID.
    Clone,
    /// Write name, tags, hardware and devices.
    Configure,
    /// Roll the VM back to a snapshot.
    Rollback,
    /// Take a snapshot for a run.
    Snapshot,
    /// Remove a snapshot that was taken for a run.
    DeleteSnapshot,
    /// Start the VM.
    Start,
    /// Shut the guest down.
    Shutdown,
    /// Stop the VM.
    Stop,
    /// Destroy the VM.
    Destroy,
}

/// Screen of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VmDisplay {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}
