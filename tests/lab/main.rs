//! The lab, end to end: a template, clones of it, and the API that serves them.

mod access;
mod client;
mod desktop;
mod machines;
mod passthrough;
mod proxmoxer;
mod restart;
mod rig;
mod template;
mod typing;
