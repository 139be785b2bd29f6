//! Calling the programs that the builder needs.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::Progress;
use crate::lab::{Error, Result};

/// Programs of the builder and the Debian package of each.
const TOOLS: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("depmod", "kmod"),
    ("modprobe", "kmod"),
    ("busybox", "busybox-static"),
    ("xz", "xz-utils"),
    ("mke2fs", "e2fsprogs"),
    ("unshare", "util-linux"),
    ("chroot", "coreutils"),
    ("qemu-img", "qemu-utils"),
    ("qemu-system-x86_64", "qemu-system-x86"),
];

/// The first tool that is not installed, as an error that names its package.
pub(super) fn check_tools() -> Result<()> {
    for &(tool, package) in TOOLS {
        crate::lab::qemu::find_program(tool, package)?;
    }
    Ok(())
}

/// Names of the entries of a directory, sorted.
pub(super) fn read_dir_names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("read", dir))? {
        names.push(
            entry
                .map_err(Error::io("read", dir))?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort();
    Ok(names)
}

/// Runs programs and tells how far the build is.
pub(super) struct Run<'a> {
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
    pub started: Instant,
    pub phase: std::sync::Mutex<&'static str>,
}

impl Run<'_> {
    /// Reports the beginning of a phase.
    pub fn enter(&self, phase: &'static str) {
        *self.phase.lock().unwrap_or_else(|e| e.into_inner()) = phase;
        self.tell("");
    }

    /// Reports a detail of the present phase.
    pub fn tell(&self, detail: &str) {
        let phase = *self.phase.lock().unwrap_or_else(|e| e.into_inner());
        (self.progress)(Progress {
            phase,
            detail: detail.to_owned(),
            elapsed: self.started.elapsed(),
        });
    }

    /// Runs a program to its end and returns its standard output. Its lines on standard error that begin with
    /// `I: ` (mmdebstrap) are reported; the last of the others are the error's text.
    pub async fn command(&self, program: &str, args: &[&str]) -> Result<String> {
        let mut child = tokio::process::Command::new(program)
            .args(args)
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("PATH", crate::lab::qemu::search_path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io("run", program))?;
        let (Some(mut out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::Command {
                program: program.into(),
                status: "no pipes".into(),
                tail: String::new(),
            });
        };
        let mut tail: Vec<String> = Vec::new();
        let mut text = Vec::new();
        let lines = async {
            let mut lines = BufReader::new(err).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if let Some(info) = line.strip_prefix("I: ") {
                    self.tell(info);
                } else if !line.is_empty() {
                    tracing::debug!(program, line);
                    tail.push(line);
                    if tail.len() > 12 {
                        tail.remove(0);
                    }
                }
            }
        };
        let (_, read) = tokio::join!(lines, out.read_to_end(&mut text));
        read.map_err(Error::io("read the output of", program))?;
        let status = child.wait().await.map_err(Error::io("wait for", program))?;
        if !status.success() {
            return Err(Error::Command {
                program: program.into(),
                status: status.to_string(),
                tail: tail.join("; "),
            });
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Pipes bytes through a program; what it wrote counts, not how it ended.
    pub async fn filter(&self, program: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let mut child = tokio::process::Command::new(program[0])
            .args(&program[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io("run", program[0]))?;
        let mut stdin = child.stdin.take();
        let feed = async {
            if let Some(stdin) = &mut stdin {
                // A closed pipe only says that the program has had enough.
                let _ = stdin.write_all(input).await;
            }
            drop(stdin.take());
        };
        let mut plain = Vec::new();
        let mut stdout = child.stdout.take();
        let drain = async {
            match &mut stdout {
                Some(o) => o.read_to_end(&mut plain).await.map(drop),
                None => Ok(()),
            }
        };
        let (_, read) = tokio::join!(feed, drain);
        read.map_err(Error::io("read the output of", program[0]))?;
        child.wait().await.map_err(Error::io("wait for", program[0]))?;
        Ok(plain)
    }
}
