//! What the commands tell a person who has nothing but a terminal: what is refused before anything is started, which exit
//! code that has, and what to do.

mod asks;
mod files;
mod help;
mod refused;
mod told;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder for one test, in which the commands run.
pub struct Place(tempfile::TempDir);

/// How a command ended.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Both outputs.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

impl Place {
    pub fn empty() -> Place {
        Place(tempfile::tempdir().expect("folder"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, with the folders above it.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        std::fs::write(&path, text).expect("file");
        path
    }

    /// Runs `mosdat` there, with a state folder `state` of its own.
    pub fn mosdat(&self, args: &[&str]) -> Ran {
        let out = self.command(args).output().expect("mosdat");
        Ran {
            code: out.status.code(),
            out: String::from_utf8(out.stdout).expect("text"),
            err: String::from_utf8(out.stderr).expect("text"),
        }
    }

    /// The same, to be changed before it is run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosdat"));
        command
            .args(args)
            .current_dir(self.path())
            .env("MOSDAT_STATE", "state")
            .env("PROXMOX_PASSWORD", "x")
            .env_remove("KUBECONFIG")
            .env_remove("MOSDAT_VNC")
            .stdin(std::process::Stdio::null());
        command
    }

    /// True where a command has started something, or left anything.
    pub fn is_touched(&self) -> bool {
        self.path().join("state").exists()
    }
}
