//! Conditions that only the guest can answer: processes, windows, files, the clipboard, ports.

use super::check::Finding;
use super::failure::{Failure, Kind};
use super::record;
use super::step::Stage;
use crate::guest::{self, Log, MOST, Read, Sight};
use crate::scenario::{Check, Fits, Section};
use crate::vision::Verdict;

impl Stage<'_> {
    /// Looks once.
    pub(super) async fn look_in_guest(&mut self, check: &Check) -> Result<Finding, Failure> {
        let link = self.run.rig.guest.clone();
        let link = link.as_ref();
        let yes_or_no = |yes: bool, what: String, not: String| match yes {
            true => Finding::new(Verdict::True, what),
            false => Finding::new(Verdict::False, not),
        };
        Ok(match check {
            Check::Process(name) => yes_or_no(
                guest::process_runs(link, name).await?,
                format!("a process {name} runs"),
                format!("no process {name} runs"),
            ),
            Check::Port(port) => yes_or_no(
                guest::listens(link, *port).await?,
                format!("something listens at port {port}"),
                format!("nothing listens at port {port}"),
            ),
            Check::Window(title) => {
                let session = self.session().await?;
                match guest::has_window(link, &session, title).await? {
                    Sight::Shown => Finding::new(Verdict::True, format!("a window '{title}' is shown")),
                    Sight::NotShown => Finding::new(Verdict::False, format!("no window's title contains '{title}'")),
                    Sight::Unknown | Sight::Never => Finding::new(
                        Verdict::CannotTell,
                        format!(
                            "the session of {} has windows that cannot be listed; check what is shown instead",
                            session.leader
                        ),
                    ),
                }
            }
            Check::File(file) => {
                let session = self.session().await?;
                match guest::read_text(link, &session, &file.path).await? {
                    None => Finding::new(Verdict::False, format!("there is no file {}", file.path)),
                    Some(read) => self.fitting(&file.fits, &read, &file.path),
                }
            }
            Check::Log(log) => {
                let session = self.session().await?;
                let marks = self.run.logs.clone()?;
                match guest::log_since(link, &session, &log.path, &marks).await? {
                    Log::Missing => Finding::new(Verdict::False, format!("there is no file {}", log.path)),
                    Log::Since(read) => self.line_of(&log.fits, &read, &log.path),
                    Log::Unmarked => Finding::new(
                        Verdict::CannotTell,
                        format!(
                            "{} was there before the run knew its name, so that old lines cannot be told from new ones; \
                             write its path into the scenario",
                            log.path
                        ),
                    ),
                }
            }
            Check::Clipboard(fits) => {
                let session = self.session().await?;
                let read = guest::clipboard(link, &session).await?;
                self.fitting(fits, &read, "the clipboard")
            }
            // The others are looked at elsewhere.
            _ => Finding::new(Verdict::CannotTell, "no condition about the guest"),
        })
    }

    /// Whether the program that was launched last has ended with this code.
    pub(super) async fn look_at_end(&mut self, code: i32) -> Result<Finding, Failure> {
        let run = &mut *self.run;
        let looked = run
            .watch
            .look(run.rig.guest.as_ref(), &run.recorder, &self.step.id)
            .await;
        match looked {
            // What cleanup ends is meant to end.
            Err(failure) if failure.kind == Kind::Crashed && self.step.section == Section::Cleanup => {}
            looked => looked?,
        }
        Ok(match run.watch.latest_end() {
            Err(why) => Finding::new(Verdict::False, why),
            Ok(None) => Finding::new(Verdict::False, "it runs"),
            Ok(Some(exit)) if super::watch::code(exit) == Some(code) => {
                Finding::new(Verdict::True, format!("it ended with {}", super::watch::describe(exit)))
            }
            Ok(Some(exit)) => Finding::new(
                Verdict::False,
                format!("it ended with {}", super::watch::describe(exit)),
            ),
        })
    }

    /// Whether one of the lines fits.
    fn line_of(&self, fits: &Fits, read: &Read, path: &str) -> Finding {
        if let Some(line) = read.text.lines().find(|line| fits.holds(line)) {
            let shown = record::cut(&self.masked(line), 200);
            return Finding::new(Verdict::True, format!("{path} has the line '{shown}'"));
        }
        let last = record::last_lines(&self.masked(&read.text));
        match (read.whole, last.as_str()) {
            (false, _) => Finding::new(
                Verdict::CannotTell,
                format!(
                    "more than the {} KiB that are read were written to {path} since the run began",
                    MOST / 1024
                ),
            ),
            (true, "") => Finding::new(
                Verdict::False,
                format!("nothing was written to {path} since the run began"),
            ),
            (true, last) => Finding::new(
                Verdict::False,
                format!("no line that was written to {path} since the run began fits; the last are '{last}'"),
            ),
        }
    }

    fn fitting(&self, fits: &Fits, read: &Read, what: &str) -> Finding {
        let shown = record::last_lines(&self.masked(&read.text));
        match fits.miss(&read.text, what, &shown) {
            // What was not read may hold what is missing, and is a part of what is compared as a whole.
            miss if !read.whole && (miss.is_some() || fits.needs_whole()) => {
                let most = MOST / 1024;
                Finding::new(
                    Verdict::CannotTell,
                    format!("{what} has more than the {most} KiB that are read"),
                )
            }
            Some(miss) => Finding::new(Verdict::False, miss),
            None => Finding::new(Verdict::True, format!("{what} is as it should be")),
        }
    }
}
