//! `mosdat validate FILE...`: nothing is touched, nothing is contacted.

use super::{apply, check, exit, seed, steps};
use crate::scenario::OLD_DIALECT;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Manifests, scenario files, or folders of them, with their subfolders (not hidden ones); TOML files of the
    /// predecessor.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the steps of each scenario with their ids, as `mosdat run --from` and `--until` take them.
    #[arg(long)]
    steps: bool,
}

pub async fn run(args: Args) -> anyhow::Result<u8> {
    let (tomls, files): (Vec<PathBuf>, Vec<PathBuf>) = args.files.into_iter().partition(|f| seed::is_toml(f));
    let apply::Read {
        documents,
        mut problems,
        aside,
        files,
    } = apply::read(&files, true);
    // What is wrong with an object beside its scenario is told with that.
    problems.extend(check::problems(&documents).await?);
    let mut good = Vec::new();
    for toml in &tomls {
        let found = seed::problems(toml).await?;
        match found.is_empty() {
            true => good.push(toml.display()),
            false => problems.extend(found),
        }
    }
    let many = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut read = many(files + tomls.len(), "file");
    let old = aside.iter().filter(|left| left.rule.id == OLD_DIALECT.id).count();
    for (count, whose) in [(aside.len() - old, "other tools"), (old, "the predecessor")] {
        if count > 0 {
            read = format!("{} of {whose} left aside, {read}", many(count, "file"));
        }
    }
    aside
        .iter()
        .for_each(|left| eprintln!("{}: left aside: {}", left.origin, left.message));
    if problems.is_empty() {
        if args.steps {
            let list = steps::list(&documents);
            if list.is_empty() {
                let of_tests = match tomls.is_empty() {
                    true => "",
                    false => "; those of a TOML file's tests are in its `tests_dir`",
                };
                eprintln!("no scenario in these files, so there are no steps: give --steps the file of one{of_tests}");
                return Ok(exit::INVALID);
            }
            print!("{list}");
            return Ok(exit::PASSED);
        }
        documents.iter().for_each(|d| println!("{}: ok", d.place));
        good.iter().for_each(|t| println!("{t}: ok"));
        println!("{read} read, {} ok", many(documents.len() + good.len(), "document"));
        return Ok(exit::PASSED);
    }
    problems.iter().for_each(|p| eprintln!("{p}"));
    eprintln!("{read} read, {}", many(problems.len(), "problem"));
    Ok(exit::INVALID)
}
