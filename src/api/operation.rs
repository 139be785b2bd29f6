//! What a run asks of the VM that it has, from outside of the guest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request of the run that has the VM, and how it ended. One at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmOperation {
    /// Tells this request from those before it.
    pub id: String,
    /// What is asked for.
    pub action: VmRequest,
    /// Name of the snapshot, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Whether a snapshot is to hold the memory too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub memory: bool,
    /// Seconds that the guest has to end by itself, where that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// How far it is.
    pub state: VmOperationState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a run may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VmRequest {
    /// Take a snapshot.
    Snapshot,
    /// Go back to a snapshot, and run from there.
    Rollback,
    /// Switch it on, as Proxmox's `start`.
    Start,
    /// Ask the guest to end, as Proxmox's `shutdown`; it stays off until the run asks otherwise or is over. The plug is not pulled.
    Shutdown,
    /// Pull the plug, as Proxmox's `stop`; it stays off until the run asks otherwise or is over.
    Stop,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VmOperationState {
    /// Waits to be carried out, or is being carried out.
    Asked,
    /// Carried out; guest and console do not answer yet.
    Returning,
    /// Done.
    Done,
    /// Not done; the message says why.
    Failed,
    /// Not done because the guest did not do its part.
    GuestDidNot,
}

impl VmOperation {
    /// Whether something is still to be done for it.
    pub fn unfinished(&self) -> bool {
        matches!(self.state, VmOperationState::Asked | VmOperationState::Returning)
    }
}
