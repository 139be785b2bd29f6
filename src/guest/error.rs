//! What can go wrong on the way into the guest.

use crate::proxmox;
use std::time::Duration;

/// The guest could not be asked, or did not answer as it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The hypervisor's API or its link to the agent failed.
    #[error("guest {guest}: {doing}: {source}")]
    Link {
        /// Node and VMID.
        guest: String,
        /// What was being done.
        doing: String,
        /// The API's error.
        source: proxmox::Error,
    },
    /// The command ran, but its result was lost on the way.
    #[error("guest {guest}: the result of a command was lost; whether it did its work is not known")]
    ResultLost {
        /// Node and VMID.
        guest: String,
    },
    /// A killed command did not end.
    #[error("guest {guest}: a command did not end {after:?} after it was killed; the guest may hang")]
    Stuck {
        /// Node and VMID.
        guest: String,
        /// How long was waited.
        after: Duration,
    },
    /// Nobody is logged in on the desktop.
    #[error(
        "no desktop session was found within {waited:?}: no window manager or compositor runs as a user ({looked_for})"
    )]
    NoSession {
        /// How long was waited.
        waited: Duration,
        /// Programs that lead a session.
        looked_for: String,
    },
    /// A program that mosdat needs is not in the guest.
    #[error("the guest lacks {tool}, which is needed to {purpose}; install it in the template")]
    NoTool {
        /// The program.
        tool: String,
        /// What for.
        purpose: String,
    },
    /// One of mosdat's own scripts failed.
    #[error("{doing} failed in the guest: {detail}")]
    Script {
        /// What was being done.
        doing: String,
        /// Exit and error output.
        detail: String,
    },
}
