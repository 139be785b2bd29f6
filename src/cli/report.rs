//! `mosdat report FOLDER`: makes report.html and junit.xml anew from the log of a run, and tells the verdict.

use super::{exit, follow};
use crate::results::{self, Body, EVENTS_FILE, Event, JUNIT_FILE, REPORT_FILE, Trace};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Arguments of `mosdat report`.
#[derive(clap::Args)]
pub struct Args {
    /// Folders of attempts, each with an events.jsonl, or the report.html or events.jsonl in one; a run's folder stands for
    /// its latest attempt.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
}

/// Makes them, and answers as `mosdat run` would have.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut rows = vec![["RUN", "RESULT", "STEPS", "REPORT"].map(String::from)];
    let (mut ended, mut wrong) = (Vec::new(), Vec::new());
    for folder in &args.folders {
        // As `trace` and `replay` take them.
        let is_file = |name: &str| folder.file_name().is_some_and(|given| given == name) && !folder.is_dir();
        let folder = match is_file(REPORT_FILE) || is_file(EVENTS_FILE) {
            true => folder
                .parent()
                .filter(|f| !f.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
            false => folder.as_path(),
        };
        let folder = &results::attempt_of(folder);
        let log = folder.join(EVENTS_FILE);
        let events = match results::read_events(&log) {
            Ok(events) if !events.is_empty() => events,
            Ok(_) => {
                wrong.push(format!("{}: there is no event in this log", log.display()));
                continue;
            }
            Err(e) => {
                let message = super::told(&e.into());
                wrong.push(match folder.is_dir() && !log.exists() {
                    true => format!(
                        "{}: no {EVENTS_FILE} in this folder: give the folder of a run or of an attempt",
                        folder.display()
                    ),
                    false => message,
                });
                continue;
            }
        };
        page(folder, &events)?;
        write(folder, JUNIT_FILE, &results::junit(&events))?;
        let name = events.iter().find_map(|e| match &e.body {
            Body::RunStart { run, .. } => Some(run.name.clone()),
            _ => None,
        });
        let end = events.iter().rev().find_map(|e| match &e.body {
            Body::RunEnd {
                result,
                failure,
                counts,
                ..
            } => Some((*result, failure.clone(), counts.told())),
            _ => None,
        });
        let (result, failure, steps) = match end {
            Some((result, failure, steps)) => (Some(result), failure, steps),
            None => (None, None, "-".into()),
        };
        rows.push([
            name.unwrap_or_else(|| folder.display().to_string()),
            result.map_or("unfinished", |r| r.as_str()).to_string(),
            steps,
            folder.join(REPORT_FILE).display().to_string(),
        ]);
        if let Some(failure) = failure {
            eprintln!("{}: {}", folder.display(), results::visible(&failure.message));
        }
        ended.push(result);
    }
    if rows.len() > 1 {
        print!("{}", follow::aligned(&rows));
    }
    wrong.iter().for_each(|w| eprintln!("{w}"));
    Ok(match (follow::exit_code(ended), wrong.is_empty()) {
        (exit::FAILED, _) => exit::FAILED,
        (_, false) => exit::INVALID,
        (code, true) => code,
    })
}

/// Makes the page anew. Where pictures are no longer in the folder, those of the page that is there are taken; and if that
/// cannot be read either, it stays as it is, since it may be all that is left of them.
fn page(folder: &Path, events: &[Event]) -> anyhow::Result<()> {
    let there = folder.join(REPORT_FILE);
    let earlier = match there.exists() {
        true => Trace::open(&there).ok().filter(|t| t.events.first() == events.first()),
        false => None,
    };
    let missing = results::missing(events, folder, earlier.as_ref());
    if !missing.is_empty() {
        let count = missing.len();
        if there.exists() && earlier.is_none() {
            eprintln!(
                "{}: left as it is: {count} picture(s) of the run are no longer in its folder, and this page may have them; \
                 move it away to have one made without them",
                there.display()
            );
            return Ok(());
        }
        eprintln!(
            "{}: {count} picture(s) of the run are missing, such as {}",
            folder.display(),
            results::visible(&missing[0])
        );
    }
    write(
        folder,
        REPORT_FILE,
        &results::report_with(events, folder, earlier.as_ref()),
    )
}

/// Whole or not at all: somebody may have the old one open.
fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    let failed = || format!("cannot write {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).with_context(failed)?;
    // A temporary file is its owner's alone; a report is for whoever may read the folder.
    use std::os::unix::fs::PermissionsExt;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o644))
        .with_context(failed)?;
    file.persist(&path).with_context(failed)?;
    Ok(())
}
