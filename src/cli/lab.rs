//! `mosdat lab`: the built-in lab by itself.

use super::{exit, shutdown_signal};
use crate::lab::{self, template};
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The desktop template that machines are cloned from.
    Template {
        #[command(subcommand)]
        command: TemplateCommand,
    },
    /// Serve the Proxmox-compatible API until Ctrl-C.
    Serve {
        /// Folder of the machines.
        #[arg(long, default_value = ".mosdat/lab")]
        state: PathBuf,
    },
}

#[derive(clap::Subcommand)]
enum TemplateCommand {
    /// Build it from Debian packages; does nothing when it is there. Needs root.
    Build,
}

pub async fn run(args: Args) -> anyhow::Result<u8> {
    match args.command {
        Command::Template {
            command: TemplateCommand::Build,
        } => {
            let tell = |p: template::Progress| match p.detail.as_str() {
                "" => println!("{:6.1}s  {}", p.elapsed.as_secs_f64(), p.phase),
                detail => println!("{:6.1}s  {}: {detail}", p.elapsed.as_secs_f64(), p.phase),
            };
            let start = std::time::Instant::now();
            let template = template::build(template::BuildOptions::default(), tell).await?;
            let (took, m) = (start.elapsed().as_secs_f64(), &template.manifest);
            println!(
                "{took:6.1}s  the template is ready: Debian {}, {} MB",
                m.suite,
                m.image_bytes / 1_000_000
            );
        }
        Command::Serve { state } => {
            let serving = lab::Lab::open(lab::Options::in_state(&state))?.serve().await?;
            println!("url           {}", serving.url);
            println!("fingerprint   {}", serving.fingerprint);
            println!("token id      {}", serving.token_id);
            // The secret goes to a file that only its owner can read, not to the terminal.
            println!("token secret  {}", serving.token_secret_file.display());
            std::io::stdout().flush()?;
            shutdown_signal().await;
            serving.shutdown().await;
        }
    }
    Ok(exit::PASSED)
}
