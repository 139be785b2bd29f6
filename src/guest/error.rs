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
        source: Box<proxmox::Error>,
    },
    /// The guest's SSH server does not answer, or the link to it is lost.
    #[error("guest {guest}: {doing}: {why}")]
    Ssh {
        /// Name, user, address and port.
        guest: String,
        /// What was being done.
        doing: String,
        /// What happened.
        why: String,
    },
    /// The guest's SSH server answers, and does not let us do what is needed.
    #[error("guest {guest}: {why}")]
    Refused {
        /// Name, user, address and port.
        guest: String,
        /// What it does not let us do, and what to do about it.
        why: String,
    },
    /// Somebody answers who is not the guest, or whose guest has a new key.
    #[error(
        "guest {guest}: the SSH server there has the host key {found}, and {trusted} is pinned: another machine answers at \
         this address, or the guest has new keys. If you know that it is the latter, have it pinned anew: kubectl patch pvm \
         {vm} --subresource=status --type=merge -p '{{\"status\":{{\"ssh\":null}}}}' (or correct spec.guest.ssh.hostKeys)"
    )]
    HostKey {
        /// Name, user, address and port.
        guest: String,
        /// Name of its ProxmoxVM.
        vm: String,
        /// Fingerprint of the key that it has.
        found: String,
        /// Fingerprints of those that are trusted.
        trusted: String,
    },
    /// The command ran, but its result was lost on the way.
    #[error("guest {guest}: the result of a command was lost; whether it did its work is not known")]
    ResultLost {
        /// Which one.
        guest: String,
    },
    /// A killed command did not end.
    #[error("guest {guest}: a command did not end {after:?} after it was killed; the guest may hang")]
    Stuck {
        /// Which one.
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
    /// A program that mosdat needs is in the guest and does not work.
    #[error("{tool}, which is needed to {purpose}, does not work in the guest: {why}; mend it in the template")]
    BrokenTool {
        /// The program.
        tool: String,
        /// What for.
        purpose: String,
        /// What it said.
        why: String,
    },
    /// The program that is to be started is not there.
    #[error("{detail}; install it first, or name it by its whole path")]
    NoProgram {
        /// What was looked for, and where.
        detail: String,
    },
    /// A command is to run as somebody whom the guest does not know.
    #[error("the guest has no user '{user}'; name one that the template has, or leave the user out")]
    NoUser {
        /// The name.
        user: String,
    },
    /// A command is to run as somebody who has no session on the desktop of Windows.
    #[error(
        "'{user}' is not logged on at the guest's desktop, and Windows runs a command as somebody only there; leave the user out, \
         name SYSTEM, or have the template log '{user}' on"
    )]
    NotLoggedOn {
        /// The name.
        user: String,
    },
    /// A command that is too long for the way into the guest.
    #[error(
        "the command with its variables has {length} bytes, and the way into a guest takes {most}; put it into a file of \
         the template, or write it in parts"
    )]
    TooLong {
        /// Bytes, with what mosdat adds.
        length: usize,
        /// The limit.
        most: usize,
    },
    /// Nothing lists the windows of a Wayland session.
    #[error(
        "no window titled '{title}' is known to the X server, and the session led by {leader} is a Wayland session, \
         whose own windows cannot be listed; leave 'window' out and check the window with 'verify' or 'expect'"
    )]
    UnseenWindow {
        /// Part of the title that was looked for.
        title: String,
        /// Program that leads the session.
        leader: String,
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

impl Error {
    /// True where the scenario asks for what cannot be: doing it again, on any VM, would end the same.
    pub fn is_the_authors(&self) -> bool {
        matches!(self, Error::NoUser { .. } | Error::TooLong { .. })
    }
}
