//! Keeps an eye on the programs that the scenario started.

use super::failure::{Failure, Kind};
use super::record;
use crate::guest::{App, AppState, Died, Exit, Guest, Tail};
use crate::results::{Evidence, Recorder};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How often the guest is asked while a step waits: each question costs the guest a process.
const INTERVAL: Duration = Duration::from_secs(2);

/// The programs that run.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    apps: Vec<App>,
    /// Exit codes that some step of the scenario asks for: ending so is no crash.
    expected: BTreeSet<i32>,
    /// The program that was launched last.
    latest: Option<u32>,
    /// How programs have ended, by process id.
    ended: BTreeMap<u32, Exit>,
    /// Those that a signal has ended.
    died: Vec<Died>,
    last: Option<Instant>,
}

impl Watch {
    /// A watch to which ending with one of these codes is no crash.
    pub fn expecting(expected: BTreeSet<i32>) -> Watch {
        Watch {
            expected,
            ..Watch::default()
        }
    }

    pub fn add(&mut self, app: App) {
        self.latest = Some(app.pid);
        // Process ids come again after a restart.
        self.ended.remove(&app.pid);
        self.apps.push(app);
    }

    /// Programs that were killed by a signal.
    pub fn died(&self) -> &[Died] {
        &self.died
    }

    /// How the program that was launched last has ended; none while it runs, or where there was none.
    pub fn latest_end(&self) -> Result<Option<Exit>, &'static str> {
        match self.latest {
            None => Err("no program was launched, or what was launched is gone"),
            Some(pid) => Ok(self.ended.get(&pid).copied()),
        }
    }

    /// Programs that are gone for a reason.
    pub fn forget(&mut self) {
        self.apps.clear();
        self.ended.clear();
        self.died.clear();
        self.latest = None;
    }

    /// True while this program is known to run.
    pub fn knows(&self, pid: u32) -> bool {
        self.apps.iter().any(|app| app.pid == pid)
    }

    /// Asks about all programs unless that was done a moment ago.
    pub async fn glance(&mut self, guest: &dyn Guest, recorder: &Recorder, step: &str) -> Result<(), Failure> {
        match self.last {
            Some(last) if last.elapsed() < INTERVAL => Ok(()),
            _ => self.look(guest, recorder, step).await,
        }
    }

    /// Asks about all programs. A program that died by a signal or with an error code is a crash; one that ended well
    /// is noted, and whatever misses it will say so.
    pub async fn look(&mut self, guest: &dyn Guest, recorder: &Recorder, step: &str) -> Result<(), Failure> {
        let mut crash = None;
        // Of a copy: a step whose time is up ends in the middle of this, and loses no program.
        for app in self.apps.clone() {
            match app.state(guest).await {
                Ok(AppState::Running) => {}
                Ok(AppState::Ended { exit, stdout, stderr }) => {
                    self.apps.retain(|known| *known != app);
                    let output = [&stdout, &stderr].map(|tail| kept(tail, recorder));
                    let output = output.iter().filter(|text| !text.is_empty()).cloned();
                    let output = output.collect::<Vec<_>>().join("\n");
                    recorder.evidence(
                        step,
                        Evidence::App {
                            name: app.name.clone(),
                            pid: app.pid,
                            state: format!("ended with {}", describe(exit)),
                            output: output.clone(),
                        },
                    );
                    self.ended.insert(app.pid, exit);
                    if let Exit::Signal(_) = exit {
                        let (pid, dir) = (app.pid, app.dir.clone());
                        self.died.push(Died { pid, dir });
                    }
                    let expected = code(exit).is_some_and(|code| code == 0 || self.expected.contains(&code));
                    if !expected {
                        crash.get_or_insert(crashed(&app, exit, &output));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.last = Some(Instant::now());
        crash.map_or(Ok(()), Err)
    }
}

/// What is kept of a program's output. Masked before it is cut: a secret that the cut divides would not be found any more.
fn kept(tail: &Tail, recorder: &Recorder) -> String {
    match tail {
        Tail::Lines(text) => record::tail(&recorder.masked(text)).0,
        Tail::Piece(text) => {
            // It may begin with half a secret. The cut takes that away, unless masks have made the text short.
            let masked = recorder.masked(text);
            if masked == *text {
                record::tail(text).0
            } else {
                "(one long line, left out because it holds a secret)".to_string()
            }
        }
    }
}

fn crashed(app: &App, exit: Exit, output: &str) -> Failure {
    let last = record::last_lines(output);
    let tail = match last.is_empty() {
        true => " It printed nothing.".to_string(),
        false => format!(" Its last output: {last}"),
    };
    Failure {
        kind: Kind::Crashed,
        reason: "ApplicationDied",
        message: format!("{} (process {}) died with {}.{tail}", app.name, app.pid, describe(exit)),
    }
}

/// The exit code as a shell tells it: 128 and its number for a signal.
pub(super) fn code(exit: Exit) -> Option<i32> {
    match exit {
        Exit::Code(code) => Some(code),
        Exit::Signal(number) => Some(128 + number),
        Exit::TimedOut => None,
    }
}

/// `signal 11 (SIGSEGV)`.
pub(super) fn describe(exit: Exit) -> String {
    let Exit::Signal(number) = exit else {
        return exit.to_string();
    };
    let name = match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return exit.to_string(),
    };
    format!("{exit} ({name})")
}
