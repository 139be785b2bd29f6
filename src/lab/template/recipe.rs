//! What goes into the desktop template. Everything here is part of its content address.

use sha2::{Digest, Sha256};

/// Packages of the guest, for Debian bookworm and later.
pub(super) const PACKAGES: &[&str] = &[
    // base
    "busybox-static",
    "kmod",
    "ca-certificates",
    "procps",
    "iproute2",
    "sudo",
    "login",
    "passwd",
    // remote hands
    "qemu-guest-agent",
    "openssh-server",
    "openssh-sftp-server",
    // X desktop
    "xserver-xorg-core",
    "xserver-xorg-input-evdev",
    "openbox",
    "xterm",
    "fonts-dejavu-core",
    "adwaita-icon-theme",
    "x11-utils",
    "x11-xserver-utils",
    "xdotool",
    "xclip",
    "xsel",
    // buses and accessibility
    "dbus",
    "dbus-x11",
    "at-spi2-core",
    "gir1.2-atspi-2.0",
    "python3-pyatspi",
    // Lab Demo
    "python3",
    "python3-gi",
    "gir1.2-gtk-3.0",
    // A Qt program beside the GTK one, for the accessibility tree
    "speedcrunch",
    // Wayland, for later: a compositor that can draw with pixman, and its hands and eyes
    "cage",
    "wtype",
    "grim",
];

/// Kernel modules that the initramfs loads, in this order (dependencies are added).
pub(super) const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "ext4",
    "crc32c_generic",
    "evdev",
    "button",
    "virtio_input",
    "virtio_console",
    "virtio_net",
    "virtio_rng",
    "bochs",
    "virtio_gpu",
    "uinput",
];

/// Paths that packages may not install: documentation, and OpenGL drivers that nothing in the guest uses.
pub(super) const EXCLUDED: &[&str] = &[
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/lib/gcc/*",
    "/usr/lib/x86_64-linux-gnu/libLLVM*",
    "/usr/lib/x86_64-linux-gnu/dri/*",
    "/usr/lib/x86_64-linux-gnu/libz3*",
];

/// Size of the guest's disk, MiB (the image file holds only what is used).
pub(super) const DISK_MIB: u64 = 3072;

/// A file of our own in the guest: path, mode, content.
pub(super) struct GuestFile {
    pub path: &'static str,
    pub mode: u32,
    pub content: &'static str,
}

/// First program of the initramfs.
pub(super) const INITRAMFS_INIT: &str = include_str!("guest/initramfs-init");

/// Program of the initramfs that the accelerator probe runs instead.
pub(super) const INITRAMFS_PROBE: &str = include_str!("guest/initramfs-probe");

/// Our own files in the guest.
pub(super) const FILES: &[GuestFile] = &[
    file("sbin/labinit", 0o755, include_str!("guest/labinit")),
    file("sbin/shutdown", 0o755, include_str!("guest/shutdown")),
    file("etc/acpi/PWRF/00000080", 0o755, include_str!("guest/power-button")),
    file("usr/lib/lab/session", 0o755, include_str!("guest/session")),
    file("usr/lib/lab/xorg-conf", 0o755, include_str!("guest/xorg-conf")),
    file("usr/lib/lab/identity", 0o755, include_str!("guest/identity")),
    file("usr/bin/labdemo", 0o755, include_str!("guest/labdemo")),
    file(
        "usr/share/applications/labdemo.desktop",
        0o644,
        include_str!("guest/labdemo.desktop"),
    ),
    file(
        "etc/gtk-3.0/settings.ini",
        0o644,
        include_str!("guest/gtk-settings.ini"),
    ),
    file("etc/hostname", 0o644, "labguest\n"),
    file("etc/hosts", 0o644, "127.0.0.1 localhost labguest\n::1 localhost\n"),
    file("etc/resolv.conf", 0o644, "nameserver 10.0.2.3\n"),
    file("etc/fstab", 0o644, "/dev/vda / ext4 rw,noatime 0 1\n"),
    file("etc/machine-id", 0o644, ""),
    file("etc/sudoers.d/tester", 0o440, "tester ALL=(ALL) NOPASSWD: ALL\n"),
    // Nobody has a password in the guest: a key written by the agent is the only way in.
    file(
        "etc/ssh/sshd_config.d/lab.conf",
        0o644,
        "PasswordAuthentication no\nUsePAM no\nUseDNS no\n",
    ),
];

const fn file(path: &'static str, mode: u32, content: &'static str) -> GuestFile {
    GuestFile { path, mode, content }
}

/// Commands that finish the root directory, run in it with `chroot`.
pub(super) const FINISH: &str = "set -e
useradd --create-home --uid 1000 --shell /bin/bash tester
# An account locked by `!` is refused by sshd without PAM even with a key; `*` only means: no password.
usermod --password '*' tester
install -d -o tester -g tester -m 700 /home/tester/.ssh
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /etc/apt/apt.conf.d/99mmdebstrap
";

/// The template's content address for a Debian suite: 16 hexadecimal digits.
pub(super) fn key(suite: &str) -> String {
    let mut h = Sha256::new();
    let mut add = |s: &str| {
        h.update((s.len() as u64).to_le_bytes());
        h.update(s.as_bytes());
    };
    add("mosdat lab template 1");
    add(suite);
    for list in [PACKAGES, MODULES, EXCLUDED] {
        add(&list.join(" "));
    }
    add(&DISK_MIB.to_string());
    add(INITRAMFS_INIT);
    add(INITRAMFS_PROBE);
    add(FINISH);
    for f in FILES {
        add(f.path);
        add(&f.mode.to_string());
        add(f.content);
    }
    hex::encode(&h.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_stable_and_depends_on_the_suite() {
        assert_eq!(key("bookworm"), key("bookworm"));
        assert_ne!(key("bookworm"), key("trixie"));
        assert_eq!(key("bookworm").len(), 16);
    }

    #[test]
    fn guest_scripts_name_their_interpreter() {
        for f in FILES.iter().filter(|f| f.mode & 0o111 != 0) {
            assert!(f.content.starts_with("#!"), "{} has no interpreter line", f.path);
        }
    }
}
