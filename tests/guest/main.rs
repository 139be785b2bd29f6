//! The agent's guest over a small API that runs the commands on this machine.

mod api;
mod clipboard;
mod commands;
mod interrupted;
mod looks;
mod programs;
mod reboot;
mod refusals;
mod windows;
