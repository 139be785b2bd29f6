//! The desktop template: a Debian guest with a desktop, made once per machine and cached by its content address.
//!
//! A template directory is complete or absent (it is renamed into place) and never changes afterwards: linked clones
//! stand on its files. The RAM state of the booted desktop lies beside it, per QEMU version and machine.

mod build;
mod kernel;
mod mirror;
mod ram;
mod recipe;
mod run;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use build::build;
pub use ram::RamState;

use super::{Error, Result};

/// How to build the template.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Cache directory; [`super::default_cache_dir`] if not given.
    pub cache_dir: Option<PathBuf>,
    /// Do not boot the template once to keep its RAM: clones then always boot, which takes about half a minute.
    pub no_ram_state: bool,
}

/// How far a build is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// What is being done.
    pub phase: &'static str,
    /// A detail of it, or empty when the phase begins.
    pub detail: String,
    /// Time since the build began.
    pub elapsed: Duration,
}

/// A template that is ready for use.
#[derive(Debug, Clone)]
pub struct Template {
    /// Its directory.
    pub dir: PathBuf,
    /// What was recorded when it was made.
    pub manifest: Manifest,
}

/// What is recorded about a template when it is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Content address of the recipe, 16 hexadecimal digits.
    pub key: String,
    /// Debian suite of the guest.
    pub suite: String,
    /// Version of the guest's kernel.
    pub kernel: String,
    /// SHA-256 of the disk image, hexadecimal.
    pub image_sha256: String,
    /// Size of the disk image's file, bytes.
    pub image_bytes: u64,
    /// Size of the guest's disk, MiB.
    pub disk_mib: u64,
    /// Time the build took, seconds.
    pub build_seconds: f64,
    /// When it was made, seconds since the epoch.
    pub created: i64,
}

impl Template {
    /// The template of the present recipe in a cache directory, if it has been built.
    pub fn find(cache_dir: &Path) -> Result<Option<Template>> {
        let dir = directory(cache_dir)?;
        let path = dir.join("manifest.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(t) => t,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", &path)(e)),
        };
        let manifest = serde_json::from_str(&text).map_err(|e| Error::BadFile {
            path: dir.clone(),
            why: e.to_string(),
        })?;
        Ok(Some(Template { dir, manifest }))
    }

    /// Disk image of the template, never booted (qcow2).
    pub fn disk(&self) -> PathBuf {
        self.dir.join("base.qcow2")
    }

    /// The guest's kernel, uncompressed (ELF with a PVH entry).
    pub fn kernel(&self) -> PathBuf {
        self.dir.join("vmlinux")
    }

    /// The guest's initramfs.
    pub fn initrd(&self) -> PathBuf {
        self.dir.join("initrd.gz")
    }
}

/// Where the template of the present recipe lies or will lie.
fn directory(cache_dir: &Path) -> Result<PathBuf> {
    let path = Path::new("/etc/os-release");
    let suite = mirror::suite(&std::fs::read_to_string(path).map_err(Error::io("read", path))?)?;
    Ok(cache_dir.join("templates").join(recipe::key(&suite)))
}
