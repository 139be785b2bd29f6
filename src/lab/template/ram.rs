//! The RAM state of the booted desktop, from which clones resume.
//!
//! It is bound to the disk image, the QEMU version and the machine; its directory's name is the hash of these. The disk
//! that was in use when the RAM was saved is frozen beside it: resumed clones stand on that one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Template;
use super::run::Run;
use crate::lab::qemu::{Accel, Machine, Vga, Vm, qemu_img, version};
use crate::lab::{Error, Result};

/// Longest time for the first boot, seconds (TCG on a busy machine).
const BOOT_SECONDS: u64 = 300;

/// What the guest writes to its serial console when the desktop is there.
pub const READY: &str = "mosdat-lab: desktop-ready";

/// A saved RAM state that fits this machine's QEMU.
#[derive(Debug, Clone)]
pub struct RamState {
    /// The stream that QEMU reads.
    pub ram: PathBuf,
    /// The disk that belongs to it (qcow2, frozen).
    pub disk: PathBuf,
    /// The machine that was saved.
    pub machine: Machine,
    /// Its measurements.
    pub record: Record,
}

/// Measurements of the boot that was saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Start of QEMU to desktop, seconds.
    pub boot_seconds: f64,
    /// Time to write the state, seconds.
    pub save_seconds: f64,
    /// Size of the state, bytes.
    pub ram_bytes: u64,
}

impl Template {
    /// The template's machine: what a clone is if its configuration is not changed.
    pub fn machine(&self, accel: Accel) -> Machine {
        Machine {
            memory_mib: 512,
            cores: 2,
            cpu: accel.default_cpu().into(),
            vga: Vga::Std,
            mac: Some("BC:24:11:00:90:00".into()),
            outside: false,
            agent: true,
            vmgenid: "90009000-0000-4000-8000-000000009000".into(),
            uuid: "90009000-0000-4000-8000-000000009001".into(),
            kernel: self.kernel(),
            initrd: self.initrd(),
            passed: Vec::new(),
            accel,
        }
    }

    /// The RAM state for a QEMU version and accelerator, if it has been saved.
    pub fn ram_state(&self, qemu_version: &str, accel: Accel) -> Option<RamState> {
        let machine = self.machine(accel);
        let dir = self
            .dir
            .join(directory(&self.manifest.image_sha256, qemu_version, &machine));
        let record = serde_json::from_slice(&std::fs::read(dir.join("record.json")).ok()?).ok()?;
        Some(RamState {
            ram: dir.join("ram"),
            disk: dir.join(Machine::DISK),
            machine,
            record,
        })
    }
}

fn directory(image: &str, qemu_version: &str, machine: &Machine) -> String {
    let mut h = Sha256::new();
    h.update(image);
    h.update([0]);
    h.update(qemu_version);
    for a in machine.argv(None) {
        h.update([0]);
        h.update(a);
    }
    format!("ram-{}", hex::encode(&h.finalize()[..8]))
}

/// Boots the template once and saves its RAM, unless that is cached.
pub(super) async fn ensure(template: &Template, run: &Run<'_>) -> Result<RamState> {
    run.enter("boot once");
    sweep(&template.dir)?;
    let qemu = version().await?;
    let accel = Accel::probe(&template.dir, &qemu, &template.kernel(), &template.initrd()).await;
    if let Some(state) = template.ram_state(&qemu, accel) {
        run.tell("the RAM state is cached");
        return Ok(state);
    }
    super::build::check_space(&template.dir, 1024)?;
    let machine = template.machine(accel);
    let work = tempfile::Builder::new()
        .prefix(".ram-")
        .tempdir_in(&template.dir)
        .map_err(Error::io("create a directory in", &template.dir))?;
    // Relative to the overlay, so that the cache may be moved.
    let args = [
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        "../base.qcow2",
        "-F",
        "qcow2",
        Machine::DISK,
    ];
    qemu_img(work.path(), &args).await?;
    let vm = Vm::start(0, work.path(), &machine, None).await?;
    let boot_seconds = until_ready(&vm, work.path()).await?;
    run.tell(&format!("desktop after {boot_seconds:.1} s"));
    warm_up(&vm).await?;
    run.enter("save RAM");
    let begun = Instant::now();
    let ram = work.path().join("ram");
    vm.save_and_quit(&ram).await?;
    drop(vm);
    let ram_bytes = std::fs::metadata(&ram).map_err(Error::io("read", &ram))?.len();
    let record = Record {
        boot_seconds,
        save_seconds: begun.elapsed().as_secs_f64(),
        ram_bytes,
    };
    let path = work.path().join("record.json");
    std::fs::write(&path, json!(record).to_string()).map_err(Error::io("write", &path))?;
    let dir = template
        .dir
        .join(directory(&template.manifest.image_sha256, &qemu, &machine));
    std::fs::rename(work.keep(), &dir).map_err(Error::io("rename to", &dir))?;
    run.tell(&format!("{} MiB", ram_bytes >> 20));
    let disk = dir.join(Machine::DISK);
    Ok(RamState {
        ram: dir.join("ram"),
        disk,
        machine,
        record,
    })
}

/// Removes what a killed build left (the caller holds the lock, so nobody builds now).
fn sweep(dir: &Path) -> Result<()> {
    for name in super::run::read_dir_names(dir)? {
        if name.starts_with(".ram-") {
            let path = dir.join(name);
            crate::lab::qemu::sweep(&path);
            std::fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Waits for the desktop; returns the seconds since QEMU's start.
async fn until_ready(vm: &Vm, dir: &Path) -> Result<f64> {
    loop {
        let serial = std::fs::read(dir.join("serial.log")).unwrap_or_default();
        let serial = String::from_utf8_lossy(&serial);
        if serial.contains(READY) {
            return Ok(vm.uptime().as_secs_f64());
        }
        if let Some(status) = vm.process().ended() {
            let tail = vm.process().last_words();
            return Err(Error::QemuExited {
                vmid: 0,
                status: status.to_string(),
                tail,
            });
        }
        if vm.uptime().as_secs() > BOOT_SECONDS || serial.contains("did not start") {
            let lines: Vec<_> = serial.lines().collect();
            let detail = format!(
                "; the console ends with: {}",
                lines[lines.len().saturating_sub(8)..].join(" | ")
            );
            return Err(Error::Timeout {
                what: "the template's desktop".into(),
                seconds: BOOT_SECONDS,
                detail,
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads what applications will need into the guest's page cache, and lets the desktop come to rest.
async fn warm_up(vm: &Vm) -> Result<()> {
    let Some(agent) = vm.agent() else { return Ok(()) };
    let script =
        "setpriv --reuid tester --regid tester --init-groups env HOME=/tmp DISPLAY=:0 XDG_RUNTIME_DIR=/run/user/1000 \
        DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus timeout 40 python3 -c 'import gi
gi.require_version(\"Gtk\",\"3.0\")
from gi.repository import Gtk, GLib
w = Gtk.Window(); w.add(Gtk.Entry()); w.show_all(); GLib.timeout_add(500, Gtk.main_quit); Gtk.main()'
        xterm -version; bash -c true; ip link show eth0; setpriv --version; pgrep -a openbox; sync";
    let deadline = Duration::from_secs(10);
    let exec = json!({"path": "/bin/sh", "arg": ["-c", script], "capture-output": false});
    let pid = agent.execute("guest-exec", exec, deadline).await?["pid"].clone();
    let begun = Instant::now();
    while agent
        .execute("guest-exec-status", json!({"pid": pid}), deadline)
        .await?["exited"]
        != true
    {
        if begun.elapsed() > Duration::from_secs(90) {
            let what = "warming up the template".into();
            return Err(Error::Timeout {
                what,
                seconds: 90,
                detail: String::new(),
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Nothing tells when the last daemon has settled; the state is saved once, so a fixed pause is cheap.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_build_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".ram-abc", "ram-0123"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("ram"), "x").unwrap();
        }
        sweep(dir.path()).unwrap();
        assert_eq!(super::super::run::read_dir_names(dir.path()).unwrap(), ["ram-0123"]);
    }
}
