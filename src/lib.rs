//! mosdat tests desktop applications on real virtual machines.
//!
//! The folders are layers; a folder uses only what stands below it in this list
//! (`tests/layers.rs` checks it). `docs/architecture.md` says what each is for.

pub mod cli;
pub mod server;
pub mod controller;
pub mod executor;
pub mod runner;
pub mod results;
pub mod seed;
pub mod vision;
pub mod guest;
pub mod desktop;
pub mod scenario;
pub mod lab;
pub mod proxmox;
pub mod controlplane;
pub mod api;
