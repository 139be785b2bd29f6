//! `mosdat validate FILE...`: nothing is touched, nothing is contacted.

use super::{apply, check, exit};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Manifests, scenario files, or folders of them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub async fn run(args: Args) -> anyhow::Result<u8> {
    let (documents, problems) = match apply::read(&args.files) {
        Ok(d) => {
            let found = check::problems(&d).await?;
            (d, found)
        }
        Err(problems) => (Vec::new(), problems),
    };
    if problems.is_empty() {
        documents.iter().for_each(|d| println!("{}: ok", d.place));
        return Ok(exit::PASSED);
    }
    problems.iter().for_each(|p| eprintln!("{p}"));
    Ok(exit::INVALID)
}
