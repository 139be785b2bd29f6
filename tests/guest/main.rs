//! The ways into a guest that is this machine: its agent over a small API, and a real sshd.

#[macro_use]
mod ways;

mod api;
mod commands;
mod interrupted;
mod programs;
mod refusals;
mod ssh;
#[path = "../support/sshd.rs"]
mod sshd;
mod windows;
