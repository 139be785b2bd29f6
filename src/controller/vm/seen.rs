//! What a decision is made from: the world as far as it was looked at.

use super::super::gpu::Device;
use crate::api::{HostKeySource, VmDisplay};
use crate::proxmox::{ErrorKind, VmConfig};
use std::collections::BTreeSet;
use std::time::Duration;

/// What was seen of the world; only what the decision needs.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Why the cluster cannot be used, if so.
    pub cluster_error: Option<String>,
    /// The template, looked up while a clone may have to be made.
    pub template: Option<Result<Template, String>>,
    /// Where new VMs go and which VMIDs are ours.
    pub placement: Placement,
    /// VMIDs that are in use or planned by others.
    pub taken: BTreeSet<u32>,
    /// Clones of this cluster in flight, this one not counted.
    pub clones_in_flight: u32,
    /// The VM to adopt, looked up while its place is not known.
    pub adoptee: Option<Result<Adoptee, String>>,
    /// Whether the other owner that a VM to adopt is marked for exists.
    pub owner_alive: bool,
    /// Names of the snapshots of a VM to roll back.
    pub snapshots: Option<Vec<String>>,
    /// Node that the VM has moved to.
    pub moved: Option<String>,
    /// Keys of a running VM's configuration that wait for its next start; `None` when they were not asked for.
    pub pending: Option<BTreeSet<String>>,
    /// Starts of this cluster in flight, this one not counted.
    pub starts_in_flight: u32,
    /// The device: not wanted, waited for, or held.
    pub device: Lease,
    /// The VM under the planned VMID.
    pub vm: Vm,
    /// The task of the present intent, or one that was found to be ours after a lost answer.
    pub task: Task,
    /// Guest and console, looked at while the VM runs and is not known to be ready.
    pub guest: Guest,
    /// `mosdat.dev/force-delete: "true"`.
    pub force_delete: bool,
}

/// Cluster-wide settings.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// Inclusive VMID range.
    pub range: (u32, u32),
    /// How long after asking for a clone, without an answer, its VM may still turn up.
    pub clone_grace: Duration,
    /// Clones allowed at once.
    pub parallel_clones: u32,
    /// Starts allowed at once.
    pub parallel_starts: u32,
    /// UID of the ProxmoxCluster: tells our VMs from those of another installation.
    pub installation: String,
    /// Node for new VMs.
    pub node: Option<String>,
    /// Storage for full clones.
    pub storage: Option<String>,
    /// Pool for new VMs.
    pub pool: Option<String>,
}

/// A template to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub vmid: u32,
    pub node: String,
}

/// A VM that exists, to be adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoptee {
    pub node: String,
    pub template: bool,
}

/// The passthrough device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lease {
    #[default]
    NotWanted,
    /// Every device is lent, or the profile cannot be used.
    Waiting(String),
    Held(Device),
}

/// What stands under the VMID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Vm {
    /// No VMID is planned, or it was not looked at because a task runs.
    #[default]
    Unknown,
    Absent,
    Present {
        /// As it will be after the next start.
        config: VmConfig,
        /// Carries our UID.
        ours: bool,
        /// `None` when it was not asked for.
        running: Option<bool>,
    },
}

/// A Proxmox task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Task {
    #[default]
    None,
    /// Running although status does not know its UPID.
    Found(String),
    Running,
    Ok,
    Failed(ErrorKind, String),
}

/// Guest and console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guest {
    /// Whether the agent answers, or why not.
    pub agent: Option<Result<(), String>>,
    /// Address of the VM's own card.
    pub ip: Option<String>,
    /// What its SSH server proved itself with, or why it cannot be used; where commands go that way.
    pub ssh: Option<Result<Pinned, NoSsh>>,
    /// Size of the first frame, or why there is none.
    pub display: Option<Result<VmDisplay, String>>,
}

/// Host keys of a guest that lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    pub host_keys: Vec<String>,
    pub source: HostKeySource,
}

/// Why there is no way in by SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSsh {
    /// It may come while the guest boots.
    NotYet(String),
    /// Somebody else answers than the guest whose key is pinned.
    HostKey(String),
}
