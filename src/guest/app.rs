//! A program started in the desktop session and watched to its end.

use super::session::failed;
use super::{Command, Error, Exit, Guest, Session, System, quote, windows};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);
/// How much of each of the program's outputs is looked at when it dies, in bytes. Far more than anybody is told: what is
/// shown is cut only after secrets are masked, since half a secret is found by no mask.
const TAIL: usize = 64 * 1024;

/// A started program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Name for messages: the program without its folder.
    pub name: String,
    /// Folder in the guest with `pid`, `exit`, `out`, `err`, and `begun`: where it was started, and its limit for cores.
    pub dir: String,
    /// Process id.
    pub pid: u32,
}

/// Whether a started program still runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppState {
    /// It runs.
    Running,
    /// It has ended.
    Ended {
        /// How.
        exit: Exit,
        /// End of its standard output.
        stdout: Tail,
        /// End of its standard error.
        stderr: Tail,
    },
}

/// The end of a text, whose beginning may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// It begins where a line begins: a secret within a line is there in full, or not at all.
    Lines(String),
    /// The end of one line, longer than anything that is looked at; it may begin in the middle of a secret.
    Piece(String),
}

impl Tail {
    /// What `tail -c` with this limit gave.
    fn of(text: &str, most: usize) -> Tail {
        let text = text.trim_end();
        // Bytes that are not UTF-8 only make the text longer.
        if text.len() + 1 < most {
            return Tail::Lines(text.to_string());
        }
        match text.split_once('\n') {
            Some((_, lines)) => Tail::Lines(lines.to_string()),
            None => Tail::Piece(text.to_string()),
        }
    }
}

// The supervisor is the program's parent and waits for it, so that the exit status is known and not guessed. It is
// detached from the agent's command, which ends at once. Each file appears with its whole content.
// Its command line holds no word of the program's, so that `pkill -f PROGRAM` ends the program and leaves the one who
// tells of it; the other signals it outlives.
const SUPERVISOR: &str = r#"
trap : HUP INT TERM
d=$1
sh "$d/run" >"$d/out" 2>"$d/err" </dev/null &
pid=$!
echo "$pid" >"$d/pid.new" && mv "$d/pid.new" "$d/pid"
wait "$pid"; code=$?
while [ "$code" -gt 128 ] && kill -0 "$pid" 2>/dev/null; do wait "$pid"; code=$?; done
echo "$code" >"$d/exit.new" && mv "$d/exit.new" "$d/exit"
"#;

/// The command that starts a program as this user.
pub fn launch_command(system: System, user: &str, argv: &[String]) -> Command {
    let script = match system {
        System::Linux => shell(argv),
        System::Windows => windows::launch(argv),
    };
    Command::script(script, TIMEOUT).as_user(user)
}

fn shell(argv: &[String]) -> String {
    let program = argv.first().map(String::as_str).unwrap_or_default();
    let words: Vec<String> = argv.iter().map(|w| quote(w)).collect();
    format!(
        "command -v {program} >/dev/null || {{ echo \"no program {shown} in PATH=$PATH\" >&2; exit 127; }}\n\
         d=$(mktemp -d \"${{TMPDIR:-/tmp}}/mosdat-app.XXXXXX\") || exit 1\n\
         {{ pwd; ulimit -c; }} >\"$d/begun\"\n\
         printf '%s\\n' {run} >\"$d/run\" || exit 1\n\
         setsid /bin/sh -c {supervisor} supervisor \"$d\" >/dev/null 2>&1 </dev/null &\n\
         n=0; while [ ! -e \"$d/pid\" ]; do n=$((n + 1)); [ $n -gt 100 ] && exit 1; sleep 0.1; done\n\
         read -r pid <\"$d/pid\"; echo \"$pid $d\"",
        program = quote(program),
        shown = program.replace(['"', '$', '`', '\\'], "?"),
        supervisor = quote(SUPERVISOR),
        run = quote(&format!("exec {}", words.join(" "))),
    )
}

/// Starts a program as the session's user in the session's environment.
///
/// # Errors
/// The link failed, or the program does not exist.
pub async fn launch(guest: &dyn Guest, session: &Session, argv: &[String]) -> Result<App, Error> {
    let program = argv.first().map(String::as_str).unwrap_or_default();
    let command = launch_command(guest.system(), &session.user, argv).with_env(session.environment());
    let output = guest.exec(command).await?;
    let started = output.stdout.trim().split_once(' ');
    match (output.exit, started) {
        (Exit::Code(0), Some((pid, dir))) if pid.parse::<u32>().is_ok() => Ok(App {
            name: program
                .rsplit(separators(guest.system()))
                .next()
                .unwrap_or(program)
                .to_string(),
            dir: dir.to_string(),
            pid: pid.parse().unwrap_or_default(),
        }),
        (exit, _) => Err(match no_program(&output.stderr).filter(|_| exit != Exit::Code(0)) {
            Some(detail) => Error::NoProgram { detail },
            None => failed(&format!("starting {program}"), &output),
        }),
    }
}

/// What the scripts of both systems say of a program that is not there.
fn no_program(stderr: &str) -> Option<String> {
    let line = stderr
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("no program "));
    line.map(String::from)
}

/// What stands between the parts of a path.
fn separators(system: System) -> &'static [char] {
    match system {
        System::Linux => &['/'],
        System::Windows => &['/', '\\'],
    }
}

impl App {
    /// The file that is there once the program has ended.
    pub(super) fn exit_file(&self) -> String {
        format!("{}/exit", self.dir)
    }

    /// Whether the program still runs.
    ///
    /// # Errors
    /// The link failed, or the supervisor is gone with its knowledge.
    pub async fn state(&self, guest: &dyn Guest) -> Result<AppState, Error> {
        let sh = format!(
            "cd {dir} || exit 3\n\
             if [ ! -e exit ]; then kill -0 {pid} 2>/dev/null && {{ echo running; exit 0; }}; sleep 0.3; fi\n\
             read -r code 2>/dev/null <exit || exit 4\n\
             echo \"ended $code\"; tail -c {TAIL} out; tail -c {TAIL} err >&2",
            dir = quote(&self.dir),
            pid = self.pid,
        );
        let command = match guest.system() {
            System::Linux => Command::script(sh, TIMEOUT),
            System::Windows => Command::script(windows::STATE, TIMEOUT).with_env([
                ("dir".to_string(), self.dir.as_str().into()),
                ("pid_of".to_string(), self.pid.to_string().into()),
                ("tail".to_string(), TAIL.to_string().into()),
            ]),
        };
        let output = guest.exec(command).await?;
        let (first, rest) = output.stdout.split_once('\n').unwrap_or((output.stdout.as_str(), ""));
        if output.exit == Exit::Code(0) {
            if first == "running" {
                return Ok(AppState::Running);
            }
            if let Some(code) = first.strip_prefix("ended ").and_then(|c| c.parse().ok()) {
                return Ok(AppState::Ended {
                    exit: exit(guest.system(), code),
                    stdout: Tail::of(rest, TAIL),
                    stderr: Tail::of(&output.stderr, TAIL),
                });
            }
        }
        Err(failed(&format!("asking for the state of {}", self.name), &output))
    }
}

/// A shell tells a signal as 128 and its number.
fn exit(system: System, code: i32) -> Exit {
    match code {
        129..=192 if system == System::Linux => Exit::Signal(code - 128),
        code => Exit::Code(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_that_is_full_begins_with_a_line() {
        assert_eq!(Tail::of("half\nwhole\n", 100), Tail::Lines("half\nwhole".into()));
        assert_eq!(Tail::of("alf\nwhole\n", 10), Tail::Lines("whole".into()));
        assert_eq!(Tail::of("alf of a line", 13), Tail::Piece("alf of a line".into()));
    }
}
