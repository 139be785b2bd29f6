//! Virtual machines: QEMU's arguments, its process, its control sockets.
//!
//! Promises: a QEMU process never outlives the process that started it (not even when that is killed with SIGKILL),
//! and every wait has a deadline.

mod accel;
mod agent;
mod argv;
mod process;
mod qmp;
mod vm;

use std::ffi::OsString;
use std::path::PathBuf;

pub use accel::Accel;
pub use agent::Agent;
pub use argv::{Machine, PassedDevice, Vga};
pub use process::{RunDir, sweep};
pub use qmp::Qmp;
pub use vm::{SNAPSHOT_DEADLINE, Vm, stand_in};

use super::{Error, Result};

/// The emulator.
pub(crate) const EMULATOR: &str = "qemu-system-x86_64";

/// `$PATH` with the directories for administrators, which an ordinary user's lacks on Debian.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

/// Where a program lies.
///
/// # Errors
/// [`Error::MissingTool`] with the Debian package to install.
pub(crate) fn find_program(tool: &str, package: &'static str) -> Result<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|dir| dir.join(tool))
        .find(|p| p.is_file())
        .ok_or_else(|| Error::MissingTool {
            tool: tool.into(),
            package,
        })
}

/// QEMU's version line, e.g. `QEMU emulator version 7.2.22 (Debian ...)`.
pub async fn version() -> Result<String> {
    let program = find_program(EMULATOR, "qemu-system-x86")?;
    let out = tokio::process::Command::new(&program)
        .arg("--version")
        .output()
        .await
        .map_err(Error::io("run", &program))?;
    Ok(String::from_utf8_lossy(&out.stdout)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// Runs `qemu-img` in a directory.
pub(crate) async fn qemu_img(dir: &std::path::Path, args: &[&str]) -> Result<String> {
    let program = find_program("qemu-img", "qemu-utils")?;
    let out = tokio::process::Command::new(&program)
        .args(args)
        .current_dir(dir)
        .env("LC_ALL", "C.UTF-8")
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Error::io("run", &program))?;
    if !out.status.success() {
        return Err(Error::Command {
            program: format!("qemu-img {}", args.first().unwrap_or(&"")),
            status: out.status.to_string(),
            tail: String::from_utf8_lossy(&out.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
