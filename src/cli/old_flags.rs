//! The flags of the old `functional` that are something else now: they are taken, so that the person is told what.

use crate::seed::flags::{Flag, Then, flags};
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

/// Those that were given.
#[derive(Clone, Default)]
pub struct OldFlags(Vec<&'static Flag>);

impl OldFlags {
    /// Tells what became of each; true where one is refused.
    pub fn tell(&self) -> bool {
        for flag in &self.0 {
            let what = match flag.then {
                Then::Refused => "not taken any more; instead",
                _ => "dropped",
            };
            eprintln!("--{}: {what}: {}", flag.name, flag.now.replace('`', "'"));
        }
        self.0.iter().any(|f| f.then == Then::Refused)
    }
}

fn old() -> impl Iterator<Item = &'static Flag> {
    flags().iter().filter(|f| f.then != Then::Kept)
}

impl clap::Args for OldFlags {
    fn augment_args(command: Command) -> Command {
        old().fold(command, |command, flag| {
            let arg = Arg::new(flag.name).long(flag.name).hide(true).help(flag.now);
            command.arg(match flag.value {
                true => arg.action(ArgAction::Append).num_args(1),
                false => arg.action(ArgAction::SetTrue),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OldFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |f: &&Flag| matches.value_source(f.name) == Some(clap::parser::ValueSource::CommandLine);
        Ok(OldFlags(old().filter(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args;

    #[test]
    fn what_was_given_is_told() {
        let command = OldFlags::augment_args(Command::new("x"));
        let given = |args: &[&str]| {
            let matches = command.clone().try_get_matches_from(args).expect("flags");
            let flags = OldFlags::from_arg_matches(&matches).expect("flags");
            (flags.0.len(), flags.tell())
        };
        assert_eq!(given(&["x"]), (0, false));
        assert_eq!(
            given(&["x", "--save-screenshots", "--screenshots", "shots"]),
            (2, false)
        );
        assert_eq!(given(&["x", "--from-step", "3"]), (1, true));
    }
}
