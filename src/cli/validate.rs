//! `mosdat validate FILE...`: nothing is touched, nothing is contacted.

use super::{apply, check, exit};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Manifests, scenario files, or folders of them, with their subfolders (not hidden ones).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub async fn run(args: Args) -> anyhow::Result<u8> {
    let apply::Read {
        documents,
        mut problems,
        files,
    } = apply::read(&args.files, true);
    if problems.is_empty() {
        problems = check::problems(&documents).await?;
    }
    let many = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let read = many(files, "file");
    if problems.is_empty() {
        documents.iter().for_each(|d| println!("{}: ok", d.place));
        println!("{read} read, {} ok", many(documents.len(), "document"));
        return Ok(exit::PASSED);
    }
    problems.iter().for_each(|p| eprintln!("{p}"));
    eprintln!("{read} read, {}", many(problems.len(), "problem"));
    Ok(exit::INVALID)
}
