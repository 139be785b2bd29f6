//! `mosdat trace`: looking at what a run has left.

use super::exit;
use crate::results::{REPORT_FILE, Trace, summary};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Open the page in the desktop's browser; without a desktop, print where it is.
    Open(Where),
    /// Print the verdict and the steps.
    Show(Where),
}

#[derive(clap::Args)]
struct Where {
    /// A run's `report.html`, its `events.jsonl`, or the folder of an attempt.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let (What::Open(Where { trace: path }) | What::Show(Where { trace: path })) = &args.what;
    let trace = match Trace::open(path) {
        Ok(trace) => trace,
        Err(e) => {
            eprintln!("{}", super::plain(&e.to_string()));
            return Ok(exit::INVALID);
        }
    };
    match &args.what {
        What::Open(_) => open(path, &trace),
        What::Show(_) => {
            print!("{}", summary(&trace.events));
            Ok(exit::PASSED)
        }
    }
}

/// Where the page is, or is to be.
fn page_of(path: &Path) -> PathBuf {
    match (path.is_dir(), path.extension().is_some_and(|end| end == "jsonl")) {
        (true, _) => path.join(REPORT_FILE),
        (_, true) => path.with_file_name(REPORT_FILE),
        _ => path.to_path_buf(),
    }
}

fn open(path: &Path, trace: &Trace) -> anyhow::Result<u8> {
    let page = page_of(path);
    if !page.exists() {
        // A run that was killed has none yet.
        std::fs::write(&page, trace.report()).with_context(|| format!("cannot write {}", page.display()))?;
    }
    let page = std::fs::canonicalize(&page).with_context(|| format!("cannot find {}", page.display()))?;
    println!("{}", page.display());
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !(set("DISPLAY") || set("WAYLAND_DISPLAY")) {
        eprintln!("there is no desktop here (neither DISPLAY nor WAYLAND_DISPLAY is set); open that file in a browser");
        return Ok(exit::PASSED);
    }
    let opened = Command::new("xdg-open")
        .arg(&page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match opened {
        Ok(status) if status.success() => {}
        Ok(status) => eprintln!("xdg-open ended with {status}; open that file in a browser"),
        Err(e) => eprintln!(
            "xdg-open: {}; open that file in a browser",
            super::plain(&e.to_string())
        ),
    }
    Ok(exit::PASSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_beside_the_events() {
        assert_eq!(page_of(Path::new("a/events.jsonl")), Path::new("a/report.html"));
        assert_eq!(page_of(Path::new("a/report.html")), Path::new("a/report.html"));
        let dir = tempfile::tempdir().expect("folder");
        assert_eq!(page_of(dir.path()), dir.path().join("report.html"));
    }
}
