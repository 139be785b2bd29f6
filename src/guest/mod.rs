//! Commands and files inside the VM, the desktop session there, and programs started in it.
//!
//! Promises: a lost link, a missing tool or a lost result is an [`Error`], never an exit code; a command that nobody
//! waits for any more is killed before the next one starts; a command's time limit is kept in the guest too (its
//! whole process group is killed); values of environment variables are in no process list. Both ways in, the QEMU guest
//! agent and SSH, keep them, with the same script around a command.
//!
//! In a guest that is Windows the scripts are PowerShell's (`windows/`); they print and end as those of `sh` do. One promise is
//! weaker there: what runs in the user's session has another parent than the command that is killed, and ends by itself within
//! a moment of it, not before the next command starts.

mod agent;
mod app;
mod clipboard;
mod command;
mod cores;
mod diagnose;
mod error;
mod log;
mod look;
mod nodes;
mod package;
mod put;
mod reboot;
mod session;
mod ssh;
mod system;
mod underway;
mod windows;

pub use agent::AgentGuest;
pub use app::{App, AppState, Tail, launch, launch_command};
pub use clipboard::{clipboard, clipboard_command, put_clipboard};
pub use command::{Command, Exit, Output, What, bootstrap, quote, refused};
pub use cores::Died;
pub use diagnose::diagnose;
pub use error::Error;
pub use log::{Log, LogMarks, log_marks, log_since};
pub use look::{MOST, Read, listens, read_text};
pub use nodes::{Node, Query, Tree, beneath_pointer, nodes};
pub use package::{Installed, PackageError, install, is_version, uninstall};
pub use put::{File, put};
pub use reboot::reboot;
pub use session::{
    Session, Sight, Windows, awaits_window, discover, has_window, process_runs, window_places, windows_now,
};
pub use ssh::{HOST_KEY_FILES, HostKey, SshGuest, SshKey, SshLogin};
pub use system::System;
pub use underway::MAX_SCRIPT;

use async_trait::async_trait;

/// A way into the guest.
#[async_trait]
pub trait Guest: Send + Sync {
    /// What runs there.
    fn system(&self) -> System {
        System::Linux
    }

    /// Runs a command to its end or to its time limit.
    ///
    /// # Errors
    /// The command could not be started, or nobody knows how it ended.
    async fn exec(&self, command: Command) -> Result<Output, Error>;

    /// Reads a file.
    ///
    /// # Errors
    /// The link failed, or there is no such file.
    async fn read_file(&self, path: &str) -> Result<Vec<u8>, Error>;

    /// Writes a file.
    ///
    /// # Errors
    /// The link failed, or the file cannot be written.
    async fn write_file(&self, path: &str, content: &[u8]) -> Result<(), Error>;
}
