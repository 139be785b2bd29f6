//! The predecessor's command line and its TOML file, read and said in this project's kinds.
//!
//! Promises: every error of a file is told at once, each with line and column; a key that nobody knows is an error with
//! the nearest one; a key that means nothing any more is told in a remark that names what took its place; no value of a
//! secret reaches a resource or a remark. Files are only read: the TOML file by the caller, scenarios by [`files`].
//!
//! `table` has every key and `flags` every flag of the old tool; the manual shows both. `tree` reads TOML, `reader`
//! checks its keys, `values` takes out of it what `config` has, `fleet` and `runs` make resources of that.

mod config;
mod fleet;
pub mod flags;
mod names;
mod reader;
mod runs;
mod table;
pub mod files;
mod tree;
mod values;

pub use config::{App, Config, Package, Proxmox, SecretValue, Vlm, Vm};
pub use fleet::{Fleet, Need, fleet};
pub use reader::read;
pub use runs::{Machine, Options, Runs, runs, standing_secret};
pub use table::{Row, rows};

use crate::scenario::{Fate, Place, Problem};
use std::fmt;

/// What became of one key of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The file.
    pub origin: String,
    /// Where in it.
    pub place: Place,
    /// What became of it.
    pub fate: Fate,
    /// What that means here, and what to do.
    pub message: String,
}

/// `FILE:LINE:COLUMN: changed: message`, as `mosdat import` has it.
impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = Problem {
            origin: self.origin.clone(),
            place: self.place.clone(),
            message: format!("{}: {}", self.fate, self.message),
        };
        problem.fmt(f)
    }
}
