//! What the runner needs of the hypervisor: the VM as a whole, from outside of the guest.

use async_trait::async_trait;
use tokio::time::Instant;

/// Something done to the VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Take a snapshot; with `memory` one that a rollback resumes.
    Snapshot {
        /// Its name.
        name: String,
        /// With what is in the memory.
        memory: bool,
    },
    /// Go back to a snapshot; the VM runs afterwards.
    Rollback {
        /// Its name.
        name: String,
    },
    /// Switch it on.
    Start,
    /// Have the guest end by itself; the plug is not pulled.
    Shutdown,
    /// Pull the plug.
    Stop,
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// The hypervisor refuses.
    #[error("{0}")]
    Refused(String),
    /// The guest did not end, or did not come up, in time.
    #[error("{0}")]
    GuestDidNot(String),
    /// It took too long.
    #[error("not done in time: {0}")]
    Late(String),
    /// Nobody knows.
    #[error("{0}")]
    Lost(String),
}

/// Works on the run's VM from outside.
#[async_trait]
pub trait Hypervisor: Send + Sync + std::fmt::Debug {
    /// Does it, and waits until guest and console answer where the VM runs afterwards.
    ///
    /// # Errors
    /// It was refused, was not done by `until`, or nobody knows.
    async fn carry_out(&self, operation: Operation, until: Instant) -> Result<(), NotDone>;
}
