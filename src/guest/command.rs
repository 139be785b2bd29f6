//! A command, its result, and the script that starts it.

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
    /// User that it runs as; none: the agent's, which is root.
    pub user: Option<String>,
    /// Wall-clock limit.
    pub timeout: Duration,
}

/// What runs.
#[derive(Clone, Debug)]
pub enum What {
    /// A program and its arguments; no shell.
    Argv(Vec<String>),
    /// Text for `sh -c`.
    Script(String),
}

impl Command {
    /// A shell script as root without further environment.
    pub fn script(text: impl Into<String>, timeout: Duration) -> Command {
        Command {
            what: What::Script(text.into()),
            env: BTreeMap::new(),
            input: None,
            user: None,
            timeout,
        }
    }

    /// The same command as this user.
    pub fn as_user(mut self, user: &str) -> Command {
        self.user = Some(user.to_string());
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
            Exit::Code(code) => write!(f, "exit code {code}"),
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

/// The script to give to `/bin/sh` on its standard input, so that no value stands in an argument list. The shell
/// replaces itself by the command, which leads a process group with the shell's process id.
pub fn bootstrap(command: &Command) -> SecretString {
    let mut script = String::new();
    let mut line = |text: String| {
        script += &text;
        script.push('\n');
    };
    // Names that no variable of the command has: those are set after these.
    line("_mosdat_setsid=$(command -v setsid) || { echo 'mosdat: no setsid in the guest' >&2; exit 127; }".into());
    if let Some(user) = &command.user {
        line(format!("_mosdat_user={}", quote(user)));
        line("_mosdat_setpriv=$(command -v setpriv)".into());
        line("_mosdat_me=$(id -un)".into());
        line(
            "_mosdat_entry=$(getent passwd \"$_mosdat_user\") || { echo \"mosdat: no user $_mosdat_user in the guest\" >&2; \
             exit 127; }"
                .into(),
        );
        line("_mosdat_gid=${_mosdat_entry#*:*:*:}; _mosdat_gid=${_mosdat_gid%%:*}".into());
        line("HOME=${_mosdat_entry#*:*:*:*:*:}; HOME=${HOME%%:*}".into());
        line("USER=$_mosdat_user LOGNAME=$_mosdat_user; export HOME USER LOGNAME".into());
        line("cd \"$HOME\" 2>/dev/null || cd /".into());
    }
    for (name, value) in &command.env {
        line(format!("export {name}={}", quote(value.expose_secret())));
    }
    let words = match &command.what {
        What::Argv(argv) => argv.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" "),
        What::Script(text) => format!("/bin/sh -c {}", quote(text)),
    };
    let input = match &command.input {
        None => "</dev/null".to_string(),
        Some(text) => format!("<<'MOSDAT_INPUT_ENDS'\n{}\nMOSDAT_INPUT_ENDS", text.expose_secret()),
    };
    if command.user.is_some() {
        line("if [ \"$_mosdat_me\" != \"$_mosdat_user\" ]; then".into());
        line(format!(
            "exec \"$_mosdat_setsid\" \"$_mosdat_setpriv\" --reuid \"$_mosdat_user\" --regid \"$_mosdat_gid\" --init-groups -- \
             {words} {input}"
        ));
        line("fi".into());
    }
    line(format!("exec \"$_mosdat_setsid\" {words} {input}"));
    script.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quote("a'b $x"), r"'a'\''b $x'");
    }

    #[test]
    fn values_are_on_standard_input_and_in_no_argument() {
        let command = Command::script("echo \"$A\"", Duration::from_secs(1))
            .as_user("tester")
            .with_env([("A".to_string(), SecretString::from("it's"))]);
        let script = bootstrap(&command);
        let script = script.expose_secret();
        let last = script.lines().last().unwrap();
        assert!(!last.contains("it"), "{last}");
        assert!(script.contains(r"export A='it'\''s'"), "{script}");
    }
}
