//! `mosdat completion` and `mosdat man`: made of the one definition that `--help` shows.

use super::{Cli, exit};
use clap::CommandFactory;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `mosdat completion`.
#[derive(clap::Args)]
pub struct CompletionArgs {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Arguments of `mosdat man`.
#[derive(clap::Args)]
pub struct ManArgs {
    /// Write a page for each command into this folder, instead of the page of mosdat itself to standard output.
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

/// Prints the completion script.
pub fn completion(args: CompletionArgs) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    // Flags of the predecessor are taken, and not offered.
    let mut command = Cli::command().mut_subcommand("functional", |c| {
        let shown = c.get_arguments().filter(|a| !a.is_hide_set()).cloned();
        let shown: Vec<clap::Arg> = shown.collect();
        let plain = clap::Command::new("functional").args(shown);
        match c.get_about() {
            Some(about) => plain.about(about.clone()),
            None => plain,
        }
    });
    clap_complete::generate(args.shell, &mut command, "mosdat", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(exit::PASSED)
}

/// Prints or writes the manual pages.
pub fn man(args: ManArgs) -> anyhow::Result<u8> {
    match args.output_dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            std::io::stdout().write_all(&page)?;
        }
        Some(dir) => {
            let failed = |e| anyhow::anyhow!("cannot write manual pages to {}: {e}", dir.display());
            std::fs::create_dir_all(&dir).map_err(failed)?;
            // In a folder of their own first: in this one other pages may be.
            let made = tempfile::tempdir_in(&dir).map_err(failed)?;
            clap_mangen::generate_to(Cli::command(), &made).map_err(failed)?;
            let (mut count, first) = (0, dir.join("mosdat.1"));
            for page in std::fs::read_dir(&made).map_err(failed)? {
                let page = page.map_err(failed)?;
                std::fs::rename(page.path(), dir.join(page.file_name())).map_err(failed)?;
                count += 1;
            }
            println!(
                "wrote the manual pages to {} ({count} files); to read the first: man {}",
                dir.display(),
                first.display()
            );
        }
    }
    Ok(exit::PASSED)
}
