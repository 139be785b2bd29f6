//! `mosdat bundle`: scenarios with what they take from other files, for a cluster that has none of those.

use super::apply::{Body, read, slug};
use super::{crds, exit};
use crate::api::Scenario;
use std::path::PathBuf;

/// Arguments of `mosdat bundle`.
#[derive(clap::Args)]
pub struct Args {
    /// Scenario files and manifests, or folders of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Prints every document, one after the other, with imported routines, staged files and reference images in it; a
/// stand-alone scenario as a Scenario.
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
            Body::Object(object) => crds::yaml(object)?,
            Body::Scenario(spec) => crds::yaml(&Scenario::new(&slug(&spec.name), spec.as_ref().clone()))?,
            // They are in what imports them.
            Body::Routines => continue,
        };
        print!("---\n{text}");
    }
    Ok(exit::PASSED)
}
