//! The lab: a Proxmox-compatible API over local QEMU.
//!
//! [`template`] makes the desktop template from Debian packages, [`qemu`] runs virtual machines, and [`server`] speaks
//! the part of the Proxmox VE API that the product uses, with Proxmox's own names, encodings and error texts.
//! It promises that no QEMU outlives it, that it listens on loopback only, and that what it does not implement it
//! refuses by name.

mod error;
pub mod qemu;
pub mod server;
pub mod template;

pub use error::{Error, Result};
pub use server::{GPU_MAPPING, Lab, Options, Serving};

use std::path::PathBuf;

/// The default cache: `$XDG_CACHE_HOME/mosdat/lab`, else `~/.cache/mosdat/lab`.
pub fn default_cache_dir() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cache");
    std::env::var_os("XDG_CACHE_HOME")
        .filter(|v| !v.is_empty())
        .map_or_else(home, PathBuf::from)
        .join("mosdat/lab")
}
