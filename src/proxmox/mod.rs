//! Proxmox VE client: authentication, typed endpoints, tasks, guest agent, console.
//!
//! Promises: every call has a time limit; a GET is retried once when the connection dies, a write never is (but for a
//! configuration change that carries a digest); an error says which endpoint, method and path, and is classified from
//! Proxmox's own texts (see `patterns.rs`); credentials are never shown.
//! A write whose answer was lost is [`ErrorKind::Transport`]: look at the world before doing it again, with
//! [`Client::find_task`] and then at the VM itself.

mod access;
mod agent;
mod auth;
mod authorities;
mod chain;
mod client;
mod cluster;
mod config;
mod console;
mod error;
mod lenient;
mod observer;
mod patterns;
mod pci;
mod qemu;
mod snapshot;
mod status;
mod storage;
mod task;
mod tls;
mod upid;
mod wire;

pub use access::Permissions;
pub use agent::{AgentExecStatus, Interface, MAX_INPUT, OsInfo};
pub use auth::Auth;
pub(crate) use chain::chain;
pub use client::{Client, Config};
pub use cluster::{Node, StorageResource, Version, VmResource};
pub use config::{ConfigChange, PendingKey};
pub use console::{VncConnection, VncStream};
pub use error::{Denied, Error, ErrorKind};
pub use observer::{Observer, Seen};
pub use patterns::classify;
pub use pci::{MappedDevice, MappingCheck, PciDevice, PciMapping};
pub use qemu::{CloneParams, Vm, VmConfig, VmStatus};
pub use snapshot::Snapshot;
pub use storage::{Storage, Upload, Volume};
pub use task::TaskStatus;
pub use tls::{Tls, parse_fingerprint};
pub use upid::Upid;
