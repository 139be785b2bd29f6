//! `mosdat convert CONFIG.toml`: a file of the predecessor as resources, on standard output; what became of each key of
//! it, on standard error. Nothing is contacted, and no secret is printed.

use super::seed::{Form, imported, read, tell, tell_errors};
use super::{crds, exit};
use crate::scenario::Fate;
use crate::seed::{self, Machine, Need, Options, Runs};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `mosdat convert`.
#[derive(clap::Args)]
pub struct Args {
    /// A TOML file of the predecessor.
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// These VMs only.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    vms: Vec<String>,
    /// Also the scenario of this test and a run of it for each VM.
    #[arg(long, value_name = "NAME")]
    test: Option<String>,
    /// Value of an input of the scenario.
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = super::functional::variable, requires = "test")]
    variables: Vec<(String, String)>,
    /// Form of the remarks.
    #[arg(long, default_value = "text")]
    format: Form,
    /// Leave out the remarks about what is kept as it was.
    #[arg(long)]
    quiet: bool,
}

/// Prints both.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let config = match read(&args.config) {
        Ok(config) => config,
        Err(errors) => {
            tell_errors(&errors, args.format);
            return Ok(exit::INVALID);
        }
    };
    let mut remarks = config.remarks.clone();
    let made = (|| {
        let vms = config.choose(&args.vms)?;
        let fleet = seed::fleet(&config, &vms)?;
        let runs = match &args.test {
            None => Runs::default(),
            Some(test) => {
                let options = Options {
                    test: test.clone(),
                    variables: super::functional::variables(&config, &args.variables)?,
                    ..Options::default()
                };
                seed::runs(&config, &vms, &options, &|_| Machine::Standing)?
            }
        };
        Ok((fleet, runs))
    })();
    let (fleet, runs) = match made {
        Ok(made) => made,
        Err(errors) => {
            tell_errors(&errors, args.format);
            return Ok(exit::INVALID);
        }
    };
    let needs: Vec<&Need> = fleet.needs.iter().chain(&runs.needs).collect();
    print!("{}", head(&config.origin, &needs));
    document(&fleet.cluster)?;
    fleet.vms.iter().try_for_each(document)?;
    fleet.vision.iter().try_for_each(document)?;
    runs.scenarios.iter().try_for_each(document)?;
    runs.runs.iter().try_for_each(document)?;
    remarks.extend(fleet.remarks);
    remarks.extend(imported(&runs.loaded));
    tell(&remarks, args.format, args.quiet);
    let count = |fate: Fate| remarks.iter().filter(|r| r.fate == fate).count();
    if args.format == Form::Text {
        let all = [Fate::Kept, Fate::Changed, Fate::Dropped, Fate::ByHand];
        let told: Vec<String> = all.iter().map(|fate| format!("{} {fate}", count(*fate))).collect();
        eprintln!("{}", told.join(", "));
    }
    Ok(match count(Fate::ByHand) {
        0 => exit::PASSED,
        _ => exit::INVALID,
    })
}

fn document(object: &impl Serialize) -> anyhow::Result<()> {
    print!("---\n{}", crds::yaml(object)?);
    Ok(())
}

/// Comments that tell how to make the Secrets.
fn head(origin: &str, needs: &[&Need]) -> String {
    let mut out = format!("# Made of {origin} by 'mosdat convert'.\n");
    if !needs.is_empty() {
        out += "# These refer to Secrets, whose values belong in no file:\n";
    }
    for need in needs {
        let keys: Vec<String> = need
            .keys
            .iter()
            .map(|(k, _)| format!("--from-literal={k}=..."))
            .collect();
        out += &format!("#   kubectl create secret generic {} {}\n", need.secret, keys.join(" "));
    }
    out
}
