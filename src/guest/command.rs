//! A command, its result, and the script that starts it.

use super::{Error, System, windows};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::time::Duration;

/// A command for the guest.
#[derive(Clone, Debug)]
pub struct Command {
    /// What runs.
    pub what: What,
    /// Variables added to its environment. Treated as secret, all of them.
    pub env: BTreeMap<String, SecretString>,
    /// Text for its standard input, ended by a newline.
    pub input: Option<SecretString>,
    /// User that it runs as; none: root, or the system of Windows.
    pub user: Option<String>,
    /// Wall-clock limit.
    pub timeout: Duration,
    /// True for what a scenario says: where PowerShell does not handle an error, that is how it ends, and no fault of mosdat's.
    pub of_scenario: bool,
}

/// What runs.
#[derive(Clone, Debug)]
pub enum What {
    /// A program and its arguments; no shell.
    Argv(Vec<String>),
    /// Text for `sh -c`; in a guest that is Windows, for PowerShell.
    Script(String),
}

impl Command {
    /// A script as root without further environment.
    pub fn script(text: impl Into<String>, timeout: Duration) -> Command {
        Command {
            what: What::Script(text.into()),
            env: BTreeMap::new(),
            input: None,
            user: None,
            timeout,
            of_scenario: false,
        }
    }

    /// The same command as this user.
    pub fn as_user(mut self, user: &str) -> Command {
        self.user = Some(user.to_string());
        self
    }

    /// The same command as one that a scenario says.
    pub fn of_scenario(mut self) -> Command {
        self.of_scenario = true;
        self
    }

    /// The same command with these variables added.
    pub fn with_env(mut self, env: impl IntoIterator<Item = (String, SecretString)>) -> Command {
        self.env.extend(env);
        self
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
    /// Killed because its time was up.
    TimedOut,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => match windows::ntstatus(*code) {
                Some(name) => write!(f, "exit code 0x{code:08X} ({name})"),
                None => write!(f, "exit code {code}"),
            },
            Exit::Signal(signal) => write!(f, "signal {signal}"),
            Exit::TimedOut => f.write_str("time-out"),
        }
    }
}

/// What a command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// True where output was cut off on the way.
    pub truncated: bool,
}

/// A word for a POSIX shell, whatever it holds.
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Half a line at the end of output that was cut off could be half a secret, which no mask finds.
pub(super) fn whole_lines(mut text: String, truncated: bool) -> String {
    if truncated {
        text.truncate(text.rfind('\n').map_or(0, |at| at + 1));
    }
    text
}

/// First word of what the bootstrap says when it does not come to the command.
const MARK: &str = "mosdat-bootstrap: ";
/// Its exit code then.
const REFUSED: i32 = 127;
/// The prefix of a command line that runs it as the user.
const AS_USER: &str = "\"$_mosdat_setpriv\" --reuid \"$_mosdat_user\" --regid \"$_mosdat_gid\" --init-groups --";

/// What to give on standard input to what starts a command in a guest of this system, so that no value stands in an argument
/// list.
pub fn bootstrap(system: System, command: &Command) -> SecretString {
    match system {
        System::Linux => shell(command),
        System::Windows => windows::bootstrap(command),
    }
}

/// The script to give to `/bin/sh` on its standard input, so that no value stands in an argument list. The shell
/// replaces itself by the command, which leads a process group with the shell's process id.
fn shell(command: &Command) -> SecretString {
    let mut script = String::new();
    let mut line = |text: String| {
        script += &text;
        script.push('\n');
    };
    // Names that no variable of the command has: those are set after these.
    line(format!("_mosdat_stop() {{ echo \"{MARK}$*\" >&2; exit {REFUSED}; }}"));
    line("_mosdat_setsid=$(command -v setsid) || _mosdat_stop tool setsid".into());
    // The command itself stands once in the script, whose length is limited. Whoever leads a group already, as behind sshd,
    // keeps it: setsid would start another process there, and end. (proc(5): the fifth field is the group.)
    line("_mosdat_stat=; [ ! -r \"/proc/$$/stat\" ] || read -r _mosdat_stat <\"/proc/$$/stat\"".into());
    line(
        "set -- ${_mosdat_stat##*) }; if [ \"$3\" = \"$$\" ]; then set --; else set -- \"$_mosdat_setsid\"; fi".into(),
    );
    if let Some(user) = &command.user {
        line(format!("_mosdat_user={}", quote(user)));
        line("for _mosdat_tool in id getent; do command -v \"$_mosdat_tool\" >/dev/null || _mosdat_stop tool \"$_mosdat_tool\"; done".into());
        line("_mosdat_me=$(id -un 2>/dev/null)".into());
        // 2: there is no such entry. Anything else is a directory that does not answer.
        line(
            "_mosdat_entry=$(getent passwd \"$_mosdat_user\" 2>/dev/null) || case $? in 2) _mosdat_stop user ;; \
             *) _mosdat_stop broken getent \"exit code $?\" ;; esac"
                .into(),
        );
        line("_mosdat_gid=${_mosdat_entry#*:*:*:}; _mosdat_gid=${_mosdat_gid%%:*}".into());
        line("if [ \"$_mosdat_me\" != \"$_mosdat_user\" ]; then".into());
        line("_mosdat_setpriv=$(command -v setpriv) || _mosdat_stop tool setpriv".into());
        // Tried first: setpriv's own exit codes are also those of a command.
        line(format!(
            "_mosdat_said=$({AS_USER} /bin/sh -c : 2>&1 </dev/null) || _mosdat_stop broken setpriv \"$_mosdat_said\""
        ));
        line(format!("set -- \"$@\" {AS_USER}"));
        line("fi".into());
        line("HOME=${_mosdat_entry#*:*:*:*:*:}; HOME=${HOME%%:*}".into());
        line("USER=$_mosdat_user LOGNAME=$_mosdat_user; export HOME USER LOGNAME".into());
        line("cd \"$HOME\" 2>/dev/null || cd /".into());
    }
    for (name, value) in &command.env {
        line(format!("export {name}={}", quote(value.expose_secret())));
    }
    let words = match &command.what {
        What::Argv(argv) => argv.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" "),
        // Its text is in no command line: `pkill -f PROGRAM` would find the shell that says so.
        What::Script(text) => {
            line(format!("export _mosdat_script={}", quote(text)));
            r#"/bin/sh -c 'eval "unset _mosdat_script; $_mosdat_script"'"#.to_string()
        }
    };
    let input = match &command.input {
        None => "</dev/null".to_string(),
        Some(text) => format!("<<'MOSDAT_INPUT_ENDS'\n{}\nMOSDAT_INPUT_ENDS", text.expose_secret()),
    };
    line(format!("exec \"$@\" {words} {input}"));
    script.into()
}

/// Why the bootstrap did not come to the command, if it did not: its exit code is then not the command's.
pub fn refused(command: &Command, output: &Output) -> Option<Error> {
    if output.exit != Exit::Code(REFUSED) {
        return None;
    }
    // In Windows the command may have said something before the way to it broke.
    let after = || Some(output.stderr.rsplit_once(&format!("\n{MARK}"))?.1);
    let said = output.stderr.strip_prefix(MARK).or_else(after)?.trim_end();
    let purpose = match &command.user {
        Some(user) => format!("run commands as {user}"),
        None => "run commands".to_string(),
    };
    let mut words = said.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("tool"), Some(tool), None) => Some(Error::NoTool {
            tool: tool.to_string(),
            purpose,
        }),
        (Some("broken"), Some(tool), why) => Some(Error::BrokenTool {
            tool: tool.to_string(),
            purpose,
            why: why.unwrap_or("it says nothing").to_string(),
        }),
        (Some("session"), None, None) => Some(Error::NotLoggedOn {
            user: command.user.clone().unwrap_or_default(),
        }),
        (Some("user"), None, None) => Some(Error::NoUser {
            user: command.user.clone().unwrap_or_default(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bootstrap_refuses() {
        let command = Command::script("x", Duration::from_secs(1)).as_user("tester");
        let output = |code, stderr: &str| Output {
            exit: Exit::Code(code),
            stdout: String::new(),
            stderr: stderr.into(),
            truncated: false,
        };
        assert!(refused(&command, &output(127, "sh: x: not found\n")).is_none());
        assert!(refused(&command, &output(1, "mosdat-bootstrap: tool setsid\n")).is_none());
        let error = refused(&command, &output(127, "mosdat-bootstrap: tool setsid\n")).unwrap();
        assert!(
            matches!(&error, Error::NoTool { tool, .. } if tool == "setsid"),
            "{error}"
        );
        let error = refused(&command, &output(127, "mosdat-bootstrap: user\n")).unwrap();
        assert!(error.to_string().contains("tester"), "{error}");
        let error = refused(
            &command,
            &output(127, "mosdat-bootstrap: broken setpriv not permitted\n"),
        )
        .unwrap();
        assert!(error.to_string().contains("not permitted"), "{error}");
    }

    #[test]
    fn who_is_not_logged_on_is_told() {
        let command = Command::script("x", Duration::from_secs(1)).as_user("WIN\\other");
        let output = |stderr: &str| Output {
            exit: Exit::Code(127),
            stdout: String::new(),
            stderr: stderr.into(),
            truncated: false,
        };
        let error = refused(&command, &output("mosdat-bootstrap: session\n")).unwrap();
        assert!(
            matches!(&error, Error::NotLoggedOn { user } if user == "WIN\\other"),
            "{error}"
        );
        let said = "mosdat-bootstrap: broken Task-Scheduler Access is denied.\n";
        let error = refused(&command, &output(said)).unwrap();
        assert!(error.to_string().contains("Access is denied."), "{error}");
        let said = "half of what it says\nmosdat-bootstrap: broken Task-Scheduler ended by somebody else\n";
        let error = refused(&command, &output(said)).unwrap();
        assert!(error.to_string().contains("ended by somebody else"), "{error}");
        assert!(refused(&command, &output("it says mosdat-bootstrap: user\n")).is_none());
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quote("a'b $x"), r"'a'\''b $x'");
    }

    #[test]
    fn values_are_on_standard_input_and_in_no_argument() {
        let command = Command::script("echo \"$A\"", Duration::from_secs(1))
            .as_user("tester")
            .with_env([("A".to_string(), SecretString::from("it's"))]);
        let script = bootstrap(System::Linux, &command);
        let script = script.expose_secret();
        let last = script.lines().last().unwrap();
        assert!(!last.contains("it"), "{last}");
        assert!(script.contains(r"export A='it'\''s'"), "{script}");
    }
}
