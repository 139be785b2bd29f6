//! The ways into a guest that is this machine: its agent over a small API, and a real sshd.

#[macro_use]
mod ways;

mod api;
mod clipboard;
mod commands;
mod interrupted;
#[path = "../support/windows.rs"]
mod far;
mod looks;
mod on_windows;
mod packages;
mod programs;
mod reboot;
mod refusals;
mod ssh;
#[path = "../support/sshd.rs"]
mod sshd;
mod windows;
