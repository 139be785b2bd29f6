//! The predecessor's TOML file: what is read, what is refused, what it becomes, and the commands that take it. Nothing here
//! talks to anything; tests/proxmox/functional.rs runs it.

mod commands;
mod faults;
mod fleet;

use mosdat::scenario::Errors;
use mosdat::seed::{Config, read};

/// The least that is a file.
pub const LEAST: &str = "[app]\nname = 'Demo App'\nversion = '1.2'\nbinary = '/opt/demo'\n\
    [proxmox]\nhost = 'pve.example'\n[[vm]]\nname = 'one'\nvmid = 100\n";

pub fn with_env(text: &str, env: &[(&str, &str)]) -> Result<Config, Errors> {
    let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string());
    read("f.toml", text, &env)
}

pub fn good(text: &str) -> Config {
    with_env(text, &[]).unwrap_or_else(|e| panic!("{e}"))
}
