//! `mosdat list-vms CONFIG.toml`: the VMs of a file of the predecessor. Nothing is contacted.

use super::seed::{Form, read, tell_errors};
use super::{exit, follow};
use crate::seed::Vm;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Arguments of `mosdat list-vms`.
#[derive(clap::Args)]
pub struct Args {
    /// A TOML file of the predecessor.
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// Form of the answer.
    #[arg(long, default_value = "text")]
    format: Form,
}

/// Prints them.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let config = match read(&args.config) {
        Ok(config) => config,
        Err(errors) => {
            tell_errors(&errors, args.format);
            return Ok(exit::INVALID);
        }
    };
    match args.format {
        Form::Text => print!("{}", table(&config.vms)),
        Form::Json => println!("{:#}", Value::Array(config.vms.iter().map(as_json).collect())),
    }
    Ok(exit::PASSED)
}

fn formats(vm: &Vm) -> Vec<&str> {
    vm.packages.iter().map(|p| p.format.as_str()).collect()
}

fn table(vms: &[Vm]) -> String {
    let mut rows = vec![
        ["NAME", "VMID", "IP", "DESKTOP", "SNAPSHOT", "PACKAGES"]
            .map(String::from)
            .to_vec(),
    ];
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    rows.extend(vms.iter().map(|vm| {
        vec![
            vm.name.clone(),
            vm.vmid.to_string(),
            or_none(&vm.ip),
            or_none(&vm.desktop),
            or_none(&vm.snapshot),
            formats(vm).join(", "),
        ]
    }));
    follow::aligned(&rows)
}

fn as_json(vm: &Vm) -> Value {
    json!({
        "name": vm.name,
        "vmid": vm.vmid,
        "ip": vm.ip,
        "desktop": vm.desktop,
        "osType": if vm.windows { "windows" } else { "linux" },
        "snapshot": vm.snapshot,
        "packages": formats(vm),
    })
}
