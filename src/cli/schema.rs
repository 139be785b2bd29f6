//! `mosdat schema`: what mosdat reads and writes, for editors, programs and people.

use super::exit;
use crate::{results, scenario};
use clap::ValueEnum;

/// Arguments of `mosdat schema`.
#[derive(clap::Args)]
pub struct Args {
    /// Which language.
    what: What,
    /// Print the reference page, as Markdown, instead of the JSON Schema.
    #[arg(long)]
    page: bool,
}

/// A language.
#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Scenario files, and the `spec` of a Scenario.
    Scenario,
    /// The lines of `events.jsonl`, which a run leaves.
    Events,
}

/// Prints it.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let schema = match args.what {
        What::Scenario if args.page => {
            print!("{}", scenario::page());
            return Ok(exit::PASSED);
        }
        What::Events if args.page => anyhow::bail!("only 'mosdat schema scenario' has a page"),
        What::Scenario => serde_json::to_string_pretty(&scenario::json_schema())?,
        What::Events => serde_json::to_string_pretty(&results::event_schema())?,
    };
    println!("{schema}");
    Ok(exit::PASSED)
}
