//! Rules about commands in the guest.

use super::super::model::{Action, Check, Section, Shell, Step};
use super::checks::short;
use super::script::{Command, Join, Script};
use super::subject::{Purpose, Subject, demands, shell_action, shells};
use super::{Found, Place, Severity};

/// Where in its step a command's text stands.
fn place(subject: &Subject<'_>, step: &Step, shell: &Shell, purpose: Purpose) -> Place {
    subject.spot_of(step, purpose, &["shell", "command"], &shell.script)
}

/// `sleep`: a time that is too long on one machine and too short on another.
pub(super) fn sleep(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in subject.all() {
        for (shell, purpose) in shells(step) {
            let script = Script::of(&shell.script);
            let all = script.all();
            let naps = |c: &&&Command| {
                ["sleep", "usleep"].contains(&c.name()) && c.words.last().is_some_and(|w| w != "infinity")
            };
            let Some(command) = all.iter().find(naps) else { continue };
            let place = place(subject, step, shell, purpose);
            let words = short(&command.words.join(" "));
            match script.polls() {
                // It ends when it should; only nobody sees for what it waits.
                true => found.add_as(
                    Severity::Note,
                    place,
                    step,
                    format!("'{words}' in a loop waits for something that the report does not show"),
                ),
                false => found.add(
                    place,
                    step,
                    format!("'{words}' waits for a time, not for what it is waited for"),
                ),
            }
        }
    }
}

/// The pointer or the keyboard moved by a program in the guest.
pub(super) fn pointer_in_shell(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in subject.all() {
        for (shell, purpose) in shells(step) {
            let script = Script::of(&shell.script);
            if let Some(command) = script.all().into_iter().find(|c| drives_input(c)) {
                let message = format!(
                    "{} makes input that no user makes: it goes past the display's own devices, and the report does not \
                     show it",
                    command.name()
                );
                found.add(place(subject, step, shell, purpose), step, message);
            }
        }
    }
}

fn drives_input(command: &Command) -> bool {
    const ACTS: [&str; 11] = [
        "key",
        "keydown",
        "keyup",
        "type",
        "mousemove",
        "mousemove_relative",
        "click",
        "mousedown",
        "mouseup",
        "pointer",
        "keyboard",
    ];
    match command.name() {
        // They can also only look: `xdotool search`.
        "xdotool" | "ydotool" | "wlrctl" => command.words.iter().any(|w| ACTS.contains(&w.as_str())),
        "wtype" | "xte" | "dotool" | "dotoolc" => true,
        _ => false,
    }
}

/// A text within the command's text.
pub(super) fn heredoc(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in subject.all() {
        for (shell, purpose) in shells(step) {
            if Script::of(&shell.script).has_heredoc() {
                let message = "a here-document makes a file within a command: quotes and '$' in it are the shell's";
                found.add(place(subject, step, shell, purpose), step, message.into());
            }
        }
    }
}

/// A process that is told to end, and nobody looks whether it did.
pub(super) fn kill_without_check(subject: &Subject<'_>, found: &mut Found<'_>) {
    for section in subject.sections() {
        for (i, step) in section.iter().enumerate() {
            let Some(shell) = shell_action(step) else { continue };
            let script = Script::of(&shell.script);
            let all = script.all();
            let Some(at) = all.iter().position(|c| kills(c)) else {
                continue;
            };
            let waits = |c: &&Command| {
                ["wait", "pgrep", "pidof", "tail"].contains(&c.name()) || c.name() == "kill" && !kills(c)
            };
            if all[at..].iter().any(waits) || section[i..].iter().any(|s| asks_what_runs(s)) {
                continue;
            }
            let message = format!(
                "'{}' ends a process, and no step after it looks whether it is gone",
                short(&all[at].words.join(" "))
            );
            found.add(place(subject, step, shell, Purpose::Acting), step, message);
        }
    }
}

fn kills(command: &Command) -> bool {
    match command.name() {
        "pkill" | "killall" | "xkill" | "skill" => true,
        // `kill -0` only asks, `kill -l` only lists.
        "kill" => !command.words.iter().any(|w| ["-0", "-l", "-L"].contains(&w.as_str())),
        _ => false,
    }
}

/// True where a condition of the step is about something that runs in the guest.
fn asks_what_runs(step: &Step) -> bool {
    let about = |check: &&Check| {
        matches!(
            check,
            Check::Process(_) | Check::Exited(_) | Check::Window(_) | Check::Port(_) | Check::Shell(_)
        )
    };
    matches!(step.action, Action::WaitGone(_)) || demands(step).iter().any(|d| d.check.parts().iter().any(about))
}

/// A command whose failure nobody sees.
pub(super) fn swallowed_exit(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in subject.all() {
        let Some(shell) = shell_action(step) else { continue };
        let Some(why) = swallowed(shell) else { continue };
        let message = format!("a failure of this command is never seen: {why}");
        let place = place(subject, step, shell, Purpose::Acting);
        // Before and after the test it is often right: what is to be ended or removed may not be there.
        match step.section {
            Section::Steps => found.add(place, step, message),
            Section::Setup | Section::Cleanup => found.add_as(Severity::Note, place, step, message),
        }
    }
}

fn swallowed(shell: &Shell) -> Option<String> {
    let script = Script::of(&shell.script);
    let commands = &script.commands;
    let last = commands.last()?;
    if commands.len() > 1 && script.constant_exit() == Some(shell.exit) {
        let last = last.words.join(" ");
        return Some(format!(
            "it ends with '{last}', so that its exit code is always {}",
            shell.exit
        ));
    }
    let fails = |c: &Command| match (c.name(), c.words.get(1).map(String::as_str)) {
        ("false", _) => true,
        ("exit" | "return", code) => code != Some("0"),
        _ => false,
    };
    if last.join == Join::Or && ["echo", "printf"].contains(&last.name()) {
        return Some(format!("'|| {}' takes its place, which succeeds", last.name()));
    }
    let pairs = commands.windows(2).enumerate();
    let mut hidden = pairs.filter(|(i, pair)| {
        pair[0].quiet && !pair[0].looks() && pair[1].join == Join::Or && !commands[i + 1..].iter().any(fails)
    });
    hidden
        .next()
        .map(|(_, pair)| format!("what {} says is thrown away, and '||' goes on", pair[0].name()))
}

/// A pipe ends with the code of its last command.
pub(super) fn pipe_hides_exit(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in subject.all() {
        if let Some(shell) = shell_action(step)
            && swallowed(shell).is_none()
            && Script::of(&shell.script).hides_in_a_pipe()
        {
            let message = "the exit code of a pipe is that of its last command; a failure before it is not seen";
            found.add(place(subject, step, shell, Purpose::Acting), step, message.into());
        }
    }
}
