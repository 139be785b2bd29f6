//! What is different in a guest that is Windows: PowerShell scripts instead of those of `sh`, with the same exit codes and the
//! same lines, so that they are read by the same functions. For Windows PowerShell 5.1, which every Windows has.
//!
//! The agent runs commands as the system in session 0, which has no desktop; what belongs to the user's session gets there
//! by a task of the Task Scheduler (`session.ps1`).

mod command;
mod line;
mod ntstatus;
mod package;

pub(super) use command::{bootstrap, kill, start};
pub(super) use line::{arguments, quote};
pub(super) use ntstatus::name as ntstatus;
pub(super) use package::{install, uninstall};

pub(super) const BENEATH: &str = concat!(include_str!("native.ps1"), include_str!("beneath.ps1"));
pub(super) const BOOT: &str = include_str!("boot.ps1");
pub(super) const CLIPBOARD: &str = include_str!("clipboard.ps1");
pub(super) const DIAGNOSE: &str = include_str!("diagnose.ps1");
pub(super) const DISCOVER: &str = include_str!("discover.ps1");
pub(super) const FILE: &str = include_str!("file.ps1");
pub(super) const LOG_MARK: &str = concat!(include_str!("log_sum.ps1"), include_str!("log_mark.ps1"));
pub(super) const LOG_SINCE: &str = concat!(
    include_str!("home.ps1"),
    include_str!("log_sum.ps1"),
    include_str!("log_since.ps1")
);
pub(super) const NODES: &str = concat!(include_str!("native.ps1"), include_str!("nodes.ps1"));
pub(super) const PORT: &str = include_str!("port.ps1");
pub(super) const PROCESS: &str = include_str!("process.ps1");
pub(super) const PUT_BEGIN: &str = concat!(include_str!("home.ps1"), include_str!("put_begin.ps1"));
pub(super) const PUT_CLIPBOARD: &str = include_str!("put_clipboard.ps1");
pub(super) const PUT_END: &str = include_str!("put_end.ps1");
pub(super) const PUT_PIECE: &str = include_str!("put_piece.ps1");
pub(super) const REBOOT: &str = include_str!("reboot.ps1");
pub(super) const STATE: &str = include_str!("state.ps1");
pub(super) const WINDOW: &str = concat!(include_str!("native.ps1"), include_str!("windows.ps1"));

/// Who leads the session of a user on the desktop of Windows.
pub(super) const LEADER: &str = "explorer.exe";

/// The script that starts a program.
pub(super) fn launch(argv: &[String]) -> String {
    let (file, words) = argv.split_first().map_or(("", [].as_slice()), |(f, w)| (f.as_str(), w));
    format!(
        "$mosdat_file = {}\n$mosdat_arguments = {}\n$mosdat_supervisor = {}\n{}{}",
        quote(file),
        quote(&arguments(words)),
        quote(include_str!("supervisor.ps1")),
        include_str!("program.ps1"),
        include_str!("launch.ps1"),
    )
}

#[cfg(test)]
mod tests;
