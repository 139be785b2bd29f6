//! A shell's text as far as the rules have to understand it: which commands it runs, and what joins them.
//!
//! It is not a shell's grammar. What it does not understand it leaves out, so that a remark is missing rather than
//! wrong.

mod read;
#[cfg(test)]
mod tests;
mod variables;

pub(super) use variables::is_usual;

/// What stands between a command and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Join {
    /// `;`, `&`, the end of a line, a bracket, or nothing.
    #[default]
    Then,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `|`
    Pipe,
}

/// One command with its arguments.
#[derive(Debug, Default)]
pub(super) struct Command {
    /// Name and arguments, without quotes, redirections, assignments, keywords before it (`if`, `then`, ...) and programs
    /// that only run another (`sudo`, `env`, ...). Empty for a mere assignment.
    pub words: Vec<String>,
    pub join: Join,
    /// What it says about its failure is thrown away.
    pub quiet: bool,
    /// `!` before it.
    pub negated: bool,
}

impl Command {
    /// The program's name without its folder; empty where there is none.
    pub fn name(&self) -> &str {
        base_name(self.words.first().map_or("", String::as_str))
    }

    /// True for a command that looks whether something is so, and says it by its exit code.
    pub fn looks(&self) -> bool {
        const LOOKING: [&str; 15] = [
            "test", "[", "[[", "grep", "egrep", "fgrep", "zgrep", "rg", "cmp", "diff", "pgrep", "pidof", "which",
            "type", "command",
        ];
        LOOKING.contains(&self.name()) || self.name() == "kill" && self.words.get(1).is_some_and(|w| w == "-0")
    }

    /// The code of a command that always ends with the same one.
    fn code(&self) -> Option<i32> {
        if self.negated {
            return None;
        }
        match (self.name(), self.words.get(1)) {
            ("true" | ":", _) => Some(0),
            ("false", _) => Some(1),
            ("exit", Some(code)) => code.parse().ok(),
            _ => None,
        }
    }

    /// True where the command may end the whole script, or changes with which code it ends.
    fn leaves(&self) -> bool {
        let stops = |w: &String| w.starts_with('-') && w.contains('e') || w == "errexit" || w == "pipefail";
        ["exit", "return", "exec", "trap"].contains(&self.name())
            || self.name() == "set" && self.words.iter().any(stops)
    }
}

/// What a shell's text does.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Its own commands, in order.
    pub commands: Vec<Command>,
    /// Texts that it runs as shells of their own: `$(...)`, `sh -c '...'`.
    inner: Vec<Script>,
    /// There is a here-document.
    heredoc: bool,
    /// There is a loop, which may end when what it waits for is there.
    polls: bool,
    /// There are round brackets around commands.
    brackets: bool,
    /// Variables whose values it takes, without those for which it says what is to be where there is none.
    used: Vec<String>,
    /// Variables that it sets.
    set: Vec<String>,
}

impl Script {
    pub fn of(text: &str) -> Script {
        read::script(text, 0)
    }

    /// All commands, those of inner texts included.
    pub fn all(&self) -> Vec<&Command> {
        let inner = self.inner.iter().flat_map(Script::all);
        self.commands.iter().chain(inner).collect()
    }

    /// Variables that it uses and does not set, in order; none where it runs a text that is not known (`.`, `eval`), which may
    /// set any.
    pub fn unset(&self) -> Vec<&str> {
        let (mut used, mut set) = (Vec::new(), Vec::new());
        self.variables(&mut used, &mut set);
        if self.all().iter().any(|c| [".", "source", "eval"].contains(&c.name())) {
            return Vec::new();
        }
        used.retain(|name| !set.contains(name));
        used
    }

    /// An inner text knows what the outer one sets, or may: whether it is exported is not looked at.
    fn variables<'s>(&'s self, used: &mut Vec<&'s str>, set: &mut Vec<&'s str>) {
        for name in &self.used {
            if !used.contains(&name.as_str()) {
                used.push(name);
            }
        }
        set.extend(self.set.iter().map(String::as_str));
        self.inner.iter().for_each(|inner| inner.variables(used, set));
    }

    pub fn has_heredoc(&self) -> bool {
        self.heredoc || self.inner.iter().any(Script::has_heredoc)
    }

    pub fn polls(&self) -> bool {
        self.polls || self.inner.iter().any(Script::polls)
    }

    /// The exit code, where it does not depend on anything that the script does.
    pub fn constant_exit(&self) -> Option<i32> {
        let (last, before) = self.commands.split_last()?;
        if self.brackets || before.iter().any(Command::leaves) {
            return None;
        }
        match (last.code()?, last.join) {
            (code, Join::Then | Join::Pipe) => Some(code),
            (0, Join::Or) => Some(0),
            _ => None,
        }
    }

    /// True where a pipe's exit code is that of its last command alone.
    pub fn hides_in_a_pipe(&self) -> bool {
        let pipefail = |c: &Command| c.name() == "set" && c.words.iter().any(|w| w == "pipefail");
        // What only prints hardly fails; and what looks at the text before it is what decides.
        let sure = |c: &Command| ["echo", "printf", "yes", "seq", "true", ":"].contains(&c.name());
        let pairs = self.commands.windows(2);
        let mut hidden = pairs.filter(|pair| pair[1].join == Join::Pipe && !sure(&pair[0]) && !pair[1].looks());
        !self.commands.iter().any(pipefail) && hidden.next().is_some()
    }
}

pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
