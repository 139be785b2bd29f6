//! Proxmox VE client.
