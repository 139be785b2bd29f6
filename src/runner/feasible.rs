//! What cannot be carried out on any VM, found before one exists: texts that cannot be typed in time, and commands that
//! the guest's agent does not take. Both depend on the values of inputs, so that only a plan can tell.

use super::act::command;
use super::ahead::will_run;
use crate::desktop::Options;
use crate::guest::{self, Command, MAX_SCRIPT, System, bootstrap};
use crate::scenario::{Action, Check, Plan, Platform, Shell, Step, Type, Words};
use secrecy::ExposeSecret;
use std::time::Duration;

/// Bytes kept for what is known only in the guest: the session's user and its environment.
const SESSION: usize = 4096;
/// Time beside the typing that is proposed: finding the field, and the desktop coming to rest.
const BESIDE: Duration = Duration::from_secs(20);

/// Why the plan cannot be carried out: every reason, with its step; empty where it can. Steps that will not run are asked for
/// nothing.
pub fn infeasible(plan: &Plan) -> Vec<String> {
    // Where it may be either, the guest refuses what is too long for it.
    let system = match plan.platforms.as_slice() {
        [Platform::Windows] => System::Windows,
        _ => System::Linux,
    };
    let steps = will_run(plan).into_iter().filter(|step| step.late.is_none());
    steps.flat_map(|step| problems(step, system)).collect()
}

pub(super) fn problems(step: &Step, system: System) -> Vec<String> {
    let mut found = Vec::new();
    match &step.action {
        Action::Type(typing) => {
            found.extend(match (&typing.paste, &typing.text) {
                (Some(_), Words::Plain(text)) => long(system, &guest::clipboard_command(system, text)),
                _ => slow(typing, step),
            });
            typing.canary.iter().for_each(|check| commands(system, check, &mut found));
        }
        Action::Shell(shell) => found.extend(long(system, &of_shell(shell))),
        Action::Launch(launch) => found.extend(long(system, &guest::launch_command(system, "", &launch.argv))),
        Action::Expect(check) | Action::WaitFor(check) | Action::WaitGone(check) => commands(system, check, &mut found),
        Action::Never(never) => commands(system, &never.check, &mut found),
        Action::If(branch) => commands(system, &branch.condition, &mut found),
        Action::Repeat(repeat) => repeat.until.iter().for_each(|check| commands(system, check, &mut found)),
        Action::Click(_)
        | Action::Hover(_)
        | Action::Drag(_)
        | Action::Scroll(_)
        | Action::Key(_)
        | Action::Screenshot(_)
        | Action::Reboot(_)
        | Action::Install(_)
        | Action::Uninstall(_)
        | Action::Snapshot(_)
        | Action::Rollback(_)
        | Action::Power(_)
        | Action::Stage(_)
        // The steps within come by themselves.
        | Action::Use(_)
        | Action::Note(_) => {}
    }
    if let Some(check) = &step.verify {
        commands(system, check, &mut found);
    }
    found.iter().map(|why| format!("step {}: {why}", step.id)).collect()
}

fn commands(system: System, check: &Check, found: &mut Vec<String>) {
    for part in check.parts() {
        if let Check::Shell(check) = part {
            found.extend(long(system, &of_shell(&check.shell)));
        }
    }
}

fn of_shell(shell: &Shell) -> Command {
    command(shell, shell.user.as_deref().unwrap_or_default(), Duration::ZERO)
}

fn long(system: System, command: &Command) -> Option<String> {
    let length = bootstrap(system, command).expose_secret().len() + SESSION;
    let most = MAX_SCRIPT;
    (length > most).then(|| guest::Error::TooLong { length, most }.to_string())
}

fn slow(typing: &Type, step: &Step) -> Option<String> {
    let (text, what) = match &typing.text {
        Words::Plain(text) => (text.as_str(), format!("{} characters", text.chars().count())),
        // Nor is the length of a secret told.
        Words::Secret(secret) => (secret.expose_secret(), "the secret text".to_string()),
    };
    let options = Options::default();
    let needed = options.typing_time(text);
    let all = needed * step.attempts;
    if all <= step.timeout {
        return None;
    }
    let tries = match step.attempts {
        1 => String::new(),
        n => format!(", {n} times"),
    };
    Some(format!(
        "typing {what} takes {}s{tries}, at {} characters a second, and the step has {:?}; write 'timeout: {}s'",
        needed.as_secs_f64().ceil(),
        options.keys_per_second,
        step.timeout,
        (all + BESIDE).as_secs_f64().ceil(),
    ))
}
