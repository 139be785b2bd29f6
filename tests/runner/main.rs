//! The runner's truth table: what happened in the world, and the one right outcome.
//!
//! The screen and the vision backend are doubles that share one drawn world; the guest is this machine: shells,
//! programs and their deaths are real.

mod blame;
mod cores;
mod doubles;
mod doubt;
mod evidence;
// Shared with tests/proxmox, which uses more of it.
#[allow(dead_code)]
#[path = "../proxmox/fake.rs"]
mod fake;
#[path = "../support/windows.rs"]
mod far;
mod feasible;
mod flow;
mod gestures;
mod guest;
mod killed;
mod late;
mod machine;
mod mutation;
mod never;
mod nodes;
mod passes;
mod references;
mod table;
mod trace;
#[path = "../support/sshd.rs"]
mod sshd;
mod video;
mod wayland;
mod windows;

// A real screen, as the desktop's own tests have it.
#[allow(dead_code)]
#[path = "../desktop/processes.rs"]
mod processes;
#[allow(dead_code)]
#[path = "../desktop/xserver.rs"]
mod xserver;
