//! QEMU's command line as a pure function of a machine's description.

use std::path::PathBuf;

use super::Accel;

/// The emulated display adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vga {
    /// Proxmox's `std`: the Bochs adapter.
    Std,
    /// virtio-vga.
    Virtio,
    /// No adapter and so no VNC server.
    None,
}

/// A stand-in for a passed-through PCI device: one that QEMU emulates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedDevice {
    /// The `N` of `hostpciN`.
    pub index: u8,
    /// QEMU's name of the device.
    pub driver: String,
}

/// What the guest sees and where its parts lie. Paths of sockets and the disk are relative to the VM's directory,
/// in which QEMU runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Memory, MiB.
    pub memory_mib: u32,
    /// Virtual CPUs.
    pub cores: u32,
    /// CPU model.
    pub cpu: String,
    /// Display adapter.
    pub vga: Vga,
    /// Link address of the one NIC (user-mode network), or no NIC.
    pub mac: Option<String>,
    /// Whether the guest may reach the outside through the user-mode network.
    pub outside: bool,
    /// Whether there is a guest agent channel.
    pub agent: bool,
    /// VM generation id (UUID): the guest's kernel reseeds its randomness when it changes.
    pub vmgenid: String,
    /// SMBIOS system UUID.
    pub uuid: String,
    /// Kernel for direct boot.
    pub kernel: PathBuf,
    /// Its initramfs.
    pub initrd: PathBuf,
    /// Stand-ins for passed-through devices, at most [`Machine::PORTS`].
    pub passed: Vec<PassedDevice>,
    /// How the CPU is run.
    pub accel: Accel,
}

impl Machine {
    /// PCIe root ports for passed-through devices. Every machine has them, so that a device can be added to a guest
    /// that was resumed from RAM.
    pub const PORTS: u8 = 4;

    /// The disk's file name in the VM's directory.
    pub const DISK: &str = "disk-0.qcow2";

    /// Whether the state of a running `self` can be loaded into a new `other`: everything that the guest has seen must
    /// be equal, except the identity, which it is told about, and passed-through devices, which are plugged in.
    pub fn same_hardware(&self, other: &Machine) -> bool {
        let plain = |m: &Machine| Machine {
            mac: m.mac.as_ref().map(|_| String::new()),
            vmgenid: String::new(),
            uuid: String::new(),
            passed: Vec::new(),
            outside: false,
            ..m.clone()
        };
        plain(self) == plain(other)
    }

    /// The arguments after the program's name. With `incoming`, QEMU waits for the state from that file
    /// (`exec:cat`, which every QEMU since 2.0 knows).
    pub fn argv(&self, incoming: Option<&std::path::Path>) -> Vec<String> {
        let mut a = Vec::new();
        let mut add = |s: &str, value: &str| {
            a.push(s.to_owned());
            a.push(value.to_owned());
        };
        add("-accel", self.accel.argument());
        add("-machine", "q35,hpet=off");
        add("-cpu", &self.cpu);
        add("-smp", &self.cores.to_string());
        add("-m", &self.memory_mib.to_string());
        add("-smbios", &format!("type=1,uuid={}", self.uuid));
        add("-kernel", &self.kernel.to_string_lossy());
        add("-initrd", &self.initrd.to_string_lossy());
        let base = "console=ttyS0 quiet panic=10 net.ifnames=0";
        add("-append", format!("{base} {}", self.accel.kernel_words()).trim_end());
        add("-display", "none");
        add("-device", &format!("vmgenid,guid={}", self.vmgenid));
        match self.vga {
            Vga::Std => add("-device", "VGA,id=vga,addr=0x02,vgamem_mb=16,xres=1280,yres=800"),
            Vga::Virtio => add("-device", "virtio-vga,id=vga,addr=0x02,xres=1280,yres=800"),
            Vga::None => {}
        }
        if self.vga != Vga::None {
            add("-vnc", "unix:vnc.sock,password=on");
        }
        add("-device", "virtio-keyboard-pci,id=keyboard,addr=0x03");
        add("-device", "virtio-tablet-pci,id=tablet,addr=0x04");
        add("-device", "virtio-rng-pci,id=rng,addr=0x05");
        // Test disks: losing the last writes in a power cut of the host does no harm.
        let disk = format!(
            "driver=qcow2,node-name=disk0,discard=unmap,cache.no-flush=on,file.driver=file,file.filename={},file.cache.no-flush=on",
            Machine::DISK
        );
        add("-blockdev", &disk);
        add("-device", "virtio-blk-pci,id=virtio0,drive=disk0,addr=0x06");
        if let Some(mac) = &self.mac {
            let restrict = if self.outside { "off" } else { "on" };
            add("-netdev", &format!("user,id=net0,restrict={restrict},ipv6=off"));
            add(
                "-device",
                &format!("virtio-net-pci,id=nic0,netdev=net0,mac={mac},addr=0x07,romfile="),
            );
        }
        if self.agent {
            add("-device", "virtio-serial-pci,id=serial0,addr=0x08");
            add("-chardev", "socket,id=agent,path=agent.sock,server=on,wait=off");
            add("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0");
        }
        for n in 0..Machine::PORTS {
            let (chassis, slot) = (n + 1, 0x10 + n);
            add(
                "-device",
                &format!("pcie-root-port,id=port{n},chassis={chassis},slot={chassis},addr={slot:#04x}"),
            );
        }
        for (n, d) in self.passed.iter().enumerate() {
            add("-device", &format!("{},id=hostpci{},bus=port{n}", d.driver, d.index));
        }
        add("-qmp", "unix:qmp.sock,server=on,wait=off");
        add("-serial", "file:serial.log");
        if let Some(file) = incoming {
            add(
                "-incoming",
                &format!("exec:cat {}", shell_quote(&file.to_string_lossy())),
            );
        }
        a.push("-nodefaults".into());
        a.push("-no-user-config".into());
        a
    }
}

/// Quotes a word for /bin/sh, through which QEMU runs `exec:` addresses.
pub(super) fn shell_quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            memory_mib: 512,
            cores: 2,
            cpu: "qemu64".into(),
            vga: Vga::Std,
            mac: Some("BC:24:11:00:00:01".into()),
            outside: false,
            agent: true,
            vmgenid: "a".into(),
            uuid: "b".into(),
            kernel: "/k".into(),
            initrd: "/i".into(),
            passed: vec![],
            accel: Accel::Tcg,
        }
    }

    #[test]
    fn argv_is_deterministic_and_isolated_from_the_host() {
        let a = machine().argv(None).join(" ");
        assert_eq!(a, machine().argv(None).join(" "));
        assert!(a.contains("restrict=on"));
        assert!(a.contains("mac=BC:24:11:00:00:01"));
        assert!(a.contains("-nodefaults"));
        assert!(!a.contains("-incoming"));
        assert!(!a.contains("hostfwd"));
    }

    #[test]
    fn no_display_means_no_vnc() {
        let a = Machine {
            vga: Vga::None,
            ..machine()
        }
        .argv(None)
        .join(" ");
        assert!(!a.contains("-vnc") && !a.contains("VGA"));
    }

    #[test]
    fn incoming_path_is_quoted_for_the_shell() {
        let a = machine().argv(Some(std::path::Path::new("/a b/it's")));
        assert!(a.contains(&r"exec:cat '/a b/it'\''s'".to_owned()));
    }

    #[test]
    fn identity_and_passed_devices_do_not_forbid_a_resume_but_hardware_does() {
        let m = machine();
        let clone = Machine {
            mac: Some("BC:24:11:00:00:02".into()),
            uuid: "c".into(),
            vmgenid: "d".into(),
            passed: vec![PassedDevice {
                index: 0,
                driver: "edu".into(),
            }],
            ..m.clone()
        };
        assert!(m.same_hardware(&clone));
        assert!(!m.same_hardware(&Machine {
            memory_mib: 1024,
            ..m.clone()
        }));
        assert!(!m.same_hardware(&Machine {
            vga: Vga::Virtio,
            ..m.clone()
        }));
        assert!(!m.same_hardware(&Machine { mac: None, ..m.clone() }));
    }
}
