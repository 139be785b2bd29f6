//! `mosdat schema`: the languages that mosdat reads, for editors and for people.

use super::exit;
use crate::scenario;
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
}

/// Prints it.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let What::Scenario = args.what;
    match args.page {
        true => print!("{}", scenario::page()),
        false => println!("{}", serde_json::to_string_pretty(&scenario::json_schema())?),
    }
    Ok(exit::PASSED)
}
