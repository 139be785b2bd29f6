//! Which accelerator to use: KVM only when a guest really boots with it, else TCG.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::process::Process;

/// How the guest's CPU is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Accel {
    /// The processor's own virtualisation.
    Kvm,
    /// QEMU's translator: works everywhere, some ten times slower.
    Tcg,
}

impl Accel {
    /// The value of `-accel`.
    pub(super) fn argument(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg,thread=multi,tb-size=256",
        }
    }

    /// Words for the guest's kernel. QEMU before 8 translates code anew for each address that it stands at: with addresses
    /// at random, each process's libraries. What guards a real processor against its own guesses only costs time here.
    pub(super) fn kernel_words(self) -> &'static str {
        match self {
            Accel::Kvm => "",
            Accel::Tcg => "norandmaps mitigations=off",
        }
    }

    /// The CPU model that goes with it when none is asked for.
    pub fn default_cpu(self) -> &'static str {
        match self {
            Accel::Kvm => "host",
            Accel::Tcg => "qemu64",
        }
    }

    /// Whether this machine may have a usable KVM: its processor says so, and the device opens. Only a trial tells.
    pub fn may_virtualise() -> bool {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let device = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm");
        has_virtualisation(&cpuinfo) && device.is_ok()
    }

    /// Finds out what works here. `/dev/kvm` opening, and even creating a VM, proves nothing (a host may have a KVM that
    /// only runs kernels made for it), so a trial guest must reach user space. The answer is kept in `cache` per QEMU
    /// version and kernel.
    pub async fn probe(cache: &Path, qemu_version: &str, kernel: &Path, initrd: &Path) -> Accel {
        if !Accel::may_virtualise() {
            return Accel::Tcg;
        }
        let key = format!("{qemu_version} {}", kernel.display());
        let path = cache.join("accel.json");
        if let Ok(text) = std::fs::read_to_string(&path)
            && let Ok((k, accel)) = serde_json::from_str::<(String, Accel)>(&text)
            && k == key
        {
            return accel;
        }
        let accel = if boots_with_kvm(kernel, initrd).await {
            Accel::Kvm
        } else {
            Accel::Tcg
        };
        if let Ok(text) = serde_json::to_string(&(key, accel)) {
            // Only a cache: without it the probe runs again.
            let _ = std::fs::write(path, text);
        }
        accel
    }
}

fn has_virtualisation(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|l| l.starts_with("flags"))
        .any(|l| l.split_whitespace().any(|f| f == "vmx" || f == "svm"))
}

async fn boots_with_kvm(kernel: &Path, initrd: &Path) -> bool {
    let Ok(dir) = tempfile::tempdir() else { return false };
    let (kernel, initrd) = (kernel.to_string_lossy(), initrd.to_string_lossy());
    let args: Vec<String> = [
        "-accel",
        "kvm",
        "-cpu",
        "host",
        "-machine",
        "q35",
        "-m",
        "256",
        "-nodefaults",
        "-no-reboot",
        "-display",
        "none",
        "-kernel",
        &kernel,
        "-initrd",
        &initrd,
        "-append",
        "console=ttyS0 panic=-1 rdinit=/probe",
        "-serial",
        "file:serial.log",
    ]
    .map(String::from)
    .to_vec();
    let Ok(process) = Process::start(dir.path(), &args).await else {
        return false;
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), process.wait())
        .await
        .is_ok();
    let said = std::fs::read_to_string(dir.path().join("serial.log")).unwrap_or_default();
    ended && said.contains("mosdat-lab: probe ok")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processor_flags_count() {
        assert!(has_virtualisation("flags\t\t: fpu svm sse\n"));
        assert!(has_virtualisation("flags : vmx"));
        assert!(!has_virtualisation(
            "model name : svm vmx\nflags : fpu hypervisor svm_lock\n"
        ));
    }
}
