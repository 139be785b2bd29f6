//! `mosdat trace`: looking at what a run has left.

use super::exit;
use crate::desktop::Frame;
use crate::results::{self, Allure, Attachment, Content, REPORT_FILE, Trace, summary};
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
    /// Write the runs as Allure 2 reads them.
    Allure(AllureArgs),
}

#[derive(clap::Args)]
struct AllureArgs {
    /// A run's `report.html`, its `events.jsonl`, or the folder of an attempt; several make one report.
    #[arg(value_name = "TRACE", required = true)]
    traces: Vec<PathBuf>,
    /// Folder for the results; it is made if need be.
    #[arg(long, value_name = "FOLDER", default_value = "allure-results")]
    out: PathBuf,
}

#[derive(clap::Args)]
struct Where {
    /// A run's `report.html`, its `events.jsonl`, or the folder of an attempt.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    match &args.what {
        What::Open(Where { trace }) => match read(trace) {
            Some(read) => open(trace, &read),
            None => Ok(exit::INVALID),
        },
        What::Show(Where { trace }) => {
            let Some(trace) = read(trace) else {
                return Ok(exit::INVALID);
            };
            print!("{}", summary(&trace.events));
            Ok(exit::PASSED)
        }
        What::Allure(args) => {
            // All are read before anything is written.
            let traces: Option<Vec<Trace>> = args.traces.iter().map(|path| read(path)).collect();
            let Some(traces) = traces else {
                return Ok(exit::INVALID);
            };
            std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
            for trace in &traces {
                write_allure(trace, &args.out)?;
            }
            Ok(exit::PASSED)
        }
    }
}

fn read(path: &Path) -> Option<Trace> {
    let trace = Trace::open(path);
    trace
        .inspect_err(|e| eprintln!("{}", super::plain(&e.to_string())))
        .ok()
}

/// Writes one run; a picture that is missing is told, and the others are written all the same.
fn write_allure(trace: &Trace, out: &Path) -> anyhow::Result<()> {
    let Allure {
        name,
        result,
        attachments,
    } = results::allure(&trace.events);
    for Attachment { source, content } in attachments {
        let bytes = match content {
            Content::Text(text) => text.into_bytes(),
            Content::Page => trace.report().into_bytes(),
            Content::Picture(file) => match trace.picture(&file) {
                Ok(picture) => Frame::from_image(picture.image).png()?,
                Err(e) => {
                    eprintln!("{}", super::plain(&e.to_string()));
                    continue;
                }
            },
        };
        let path = out.join(source);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    // Last: what it names is there.
    let path = out.join(name);
    std::fs::write(&path, serde_json::to_vec(&result)?).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
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
