//! Proxmox VE client: authentication, typed endpoints, tasks, guest agent, console.
//!
//! Promises: every call has a time limit; a GET is retried once when the connection dies, a write never is; an error
//! says which endpoint, method and path, and is classified from Proxmox's own texts (see `patterns.rs`).
//! A write whose answer was lost is [`ErrorKind::Transport`]: look at the world before doing it again.

mod agent;
mod auth;
mod client;
mod cluster;
mod console;
mod error;
mod lenient;
mod observer;
mod patterns;
mod qemu;
mod task;
mod tls;
mod upid;
mod wire;

pub use agent::{AgentExecStatus, Interface};
pub use auth::Auth;
pub use client::{Client, Config};
pub use cluster::{Node, Version, VmResource};
pub use console::{VncConnection, VncStream};
pub use error::{Error, ErrorKind};
pub use observer::{Observer, Seen};
pub use patterns::classify;
pub use qemu::{CloneParams, VmConfig, VmStatus};
pub use task::TaskStatus;
pub use tls::{Tls, parse_fingerprint};
pub use upid::Upid;
