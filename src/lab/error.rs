//! What can go wrong in the lab, with what to do about it in the text.

use std::path::{Path, PathBuf};

/// An error of the lab: building the template, running QEMU, or serving the API.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template builder needs root for `mmdebstrap` and `chroot`.
    #[error("{what} needs root: run it as root or with sudo")]
    NotRoot {
        /// What was asked for.
        what: &'static str,
    },
    /// A program that the lab calls is not installed.
    #[error("{tool} is not installed: run `apt-get install --no-install-recommends {package}`")]
    MissingTool {
        /// Program name.
        tool: String,
        /// Debian package that holds it.
        package: &'static str,
    },
    /// Too little disk space below the cache.
    #[error("{} has {have_mib} MiB free, the lab needs {need_mib} MiB: free some space or choose another cache directory", path.display())]
    NoSpace {
        /// Directory that was checked.
        path: PathBuf,
        /// Free space, MiB.
        have_mib: u64,
        /// Needed space, MiB.
        need_mib: u64,
    },
    /// The machine's package sources cannot be used for a guest.
    #[error(
        "no package mirror for the guest: {why}; the template is made from Debian packages of this machine's own mirror"
    )]
    NoMirror {
        /// What is missing.
        why: String,
    },
    /// The desktop template has not been built on this machine.
    #[error("the desktop template is not built: run `mosdat lab template build` (about two minutes, once per machine)")]
    TemplateMissing,
    /// Another process holds the state directory.
    #[error("{} is in use by another mosdat: stop it, or choose another state directory", path.display())]
    StateInUse {
        /// State directory.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb phrase.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A file of the lab does not hold what it should.
    #[error("{}: {why}; delete it and try again", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A program that the lab called failed.
    #[error("{program} failed ({status}): {tail}")]
    Command {
        /// Program name.
        program: String,
        /// Exit status.
        status: String,
        /// The last lines it wrote.
        tail: String,
    },
    /// QEMU ended or would not start.
    #[error("QEMU of VM {vmid} ended ({status}): {tail}")]
    QemuExited {
        /// VM, as Proxmox numbers it (0 while the template is made).
        vmid: u32,
        /// Exit status.
        status: String,
        /// The last lines it wrote.
        tail: String,
    },
    /// QEMU refused a QMP command.
    #[error("QMP {command}: {desc}")]
    Qmp {
        /// The command.
        command: String,
        /// QEMU's description.
        desc: String,
    },
    /// The guest agent does not answer.
    #[error("QEMU guest agent is not running")]
    AgentDown,
    /// The guest agent refused a command.
    #[error("Agent error: {desc}")]
    Agent {
        /// The agent's description.
        desc: String,
    },
    /// Something took longer than it may.
    #[error("{what} not done after {seconds} s{detail}")]
    Timeout {
        /// What was awaited.
        what: String,
        /// The limit.
        seconds: u64,
        /// What was seen instead, with its own punctuation, or empty.
        detail: String,
    },
    /// The API's listening address cannot be used.
    #[error("cannot listen on {addr}: {source}; choose another port")]
    Listen {
        /// Address.
        addr: std::net::SocketAddr,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// Making or reading the API's certificate failed.
    #[error("the lab's TLS certificate: {0}")]
    Tls(String),
}

impl Error {
    /// Wraps an I/O error with what was attempted and where.
    pub(crate) fn io(what: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { what, path, source }
    }
}

/// Result of the lab's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
