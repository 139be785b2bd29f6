//! `mosdat validate FILE...`: nothing is touched, nothing is contacted.

use super::{apply, exit};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Manifests, scenario files, or folders of them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    match apply::read(&args.files) {
        Ok(documents) => {
            for d in &documents {
                println!("{}: ok", d.place);
            }
            Ok(exit::PASSED)
        }
        Err(problems) => {
            for p in &problems {
                eprintln!("{p}");
            }
            Ok(exit::INVALID)
        }
    }
}
