//! Proxmox client and the controllers that use it, against fakepve on loopback.

mod client;
mod fake;
