//! `mosdat bundle`: scenarios with what they take from other files, for a cluster that has none of those.

use super::apply::{Body, read};
use super::exit;
use std::path::PathBuf;

/// Arguments of `mosdat bundle`.
#[derive(clap::Args)]
pub struct Args {
    /// Scenario files and manifests, or folders of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Prints every document, one after the other, with imported routines and staged files in it.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let found = read(&args.files, false);
    if !found.problems.is_empty() {
        for problem in &found.problems {
            eprintln!("{problem}");
        }
        return Ok(exit::INVALID);
    }
    for document in &found.documents {
        let text = match &document.body {
            Body::Object(object) => serde_saphyr::to_string(object)?,
            Body::Scenario(spec) => serde_saphyr::to_string(spec)?,
            // They are in what imports them.
            Body::Routines => continue,
        };
        println!("---\n{}", text.trim_end());
    }
    Ok(exit::PASSED)
}
