//! The lab: a Proxmox-compatible API over local QEMU.
