//! Whether a scenario and a guest fit: the systems that the scenario is written for, and what is there in one system only. Looking
//! at the screen, clicking and typing need nothing of the guest.

use super::ahead::will_run;
use crate::guest::{System, is_of_windows};
use crate::scenario::{Action, Check, Display, Plan, Platform, Power, Step, Within, is_of_drive};

/// True where the plan runs commands in the guest, or says for which systems it is: then it matters what the guest is.
pub fn asks_for_system(plan: &Plan) -> bool {
    !plan.platforms.is_empty() || will_run(plan).into_iter().any(runs_commands)
}

/// Why the plan cannot be carried out on a guest of this system, which `name` tells people: a word for programs and a sentence.
pub fn unfit(plan: &Plan, system: System, name: &str) -> Option<(&'static str, String)> {
    let platform = match system {
        System::Linux => Platform::Linux,
        System::Windows => Platform::Windows,
    };
    if !plan.platforms.is_empty() && !plan.platforms.contains(&platform) {
        let wanted: Vec<&str> = plan.platforms.iter().map(|p| p.as_str()).collect();
        return Some((
            "OtherPlatform",
            format!(
                "the scenario is written for {} (platforms), and the guest is {name}; run it on another VM, or add {} to 'platforms' if \
                 it is for that, too",
                wanted.join(" and "),
                platform.as_str()
            ),
        ));
    }
    // What is filled in late is not known yet; the guest refuses it then.
    let known = will_run(plan).into_iter().filter(|step| step.late.is_none());
    let steps = known.map(|step| (step, lacks(step, system)));
    let wrong: Vec<String> = steps
        .filter(|(_, lacks)| !lacks.is_empty())
        .map(|(step, lacks)| format!("step {}: {}", step.id, lacks.join(", ")))
        .collect();
    let reason = match system {
        System::Linux => "NotOnLinux",
        System::Windows => "NotOnWindows",
    };
    (!wrong.is_empty()).then(|| {
        let system = system.name();
        (
            reason,
            format!("the guest is {name}, and {system} has not what these steps need; leave them out, or write them otherwise: {}", wrong.join("; ")),
        )
    })
}

/// Variables without which Windows or PowerShell do not work. Their names are the same in small letters, and inputs become
/// variables.
const OF_WINDOWS: &[&str] = &[
    "allusersprofile",
    "appdata",
    "computername",
    "comspec",
    "homedrive",
    "homepath",
    "localappdata",
    "os",
    "path",
    "pathext",
    "programdata",
    "programfiles",
    "psmodulepath",
    "public",
    "systemdrive",
    "systemroot",
    "temp",
    "tmp",
    "userdomain",
    "username",
    "userprofile",
    "windir",
];

/// What of the step this system has not.
fn lacks(step: &Step, system: System) -> Vec<String> {
    let windows = system == System::Windows;
    let mut found = Vec::new();
    match &step.action {
        Action::Launch(launch) if windows && launch.display != Display::Session => {
            found.push(format!("display {}", launch.display.as_str()));
        }
        Action::Stage(file) if windows && file.mode.is_some() => {
            found.push("mode (files have no such permissions there; their owner may do everything)".to_string());
        }
        Action::Stage(file) if !windows && is_of_drive(&file.path) => found.push(format!("the path {}", file.path)),
        Action::Install(install) if is_of_windows(install.format.as_str()) != windows => {
            found.push(format!("packages of format {}", install.format.as_str()));
        }
        Action::Uninstall(uninstall) => found.extend(
            (uninstall.format)
                .filter(|format| is_of_windows(format.as_str()) != windows)
                .map(|format| format!("packages of format {}", format.as_str())),
        ),
        _ => {}
    }
    let parts: Vec<&Check> = step.conditions().flat_map(Check::parts).collect();
    for check in &parts {
        if let Check::File(file) | Check::Log(file) = check
            && !windows
            && is_of_drive(&file.path)
        {
            found.push(format!("the path {}", file.path));
        }
    }
    let shells = parts.iter().filter_map(|check| match check {
        Check::Shell(check) => Some(&check.shell),
        _ => None,
    });
    let own = match &step.action {
        Action::Shell(shell) => Some(shell),
        _ => None,
    };
    for shell in own.into_iter().chain(shells).filter(|_| windows) {
        let names = shell.env.keys().filter(|name| OF_WINDOWS.contains(&name.as_str()));
        found.extend(names.map(|name| {
            format!(
                "a variable '{name}' of its own (it is the same as {}, which Windows needs; call it otherwise)",
                name.to_uppercase()
            )
        }));
    }
    found
}

fn runs_commands(step: &Step) -> bool {
    let acts = match &step.action {
        Action::Launch(_)
        | Action::Shell(_)
        | Action::Reboot(_)
        | Action::Stage(_)
        | Action::Install(_)
        | Action::Uninstall(_)
        // The desktop that is waited for afterwards is looked for in the guest.
        | Action::Rollback(_)
        | Action::Power(Power::Start) => true,
        Action::Type(typing) => typing.paste.is_some(),
        Action::Click(_)
        | Action::Key(_)
        | Action::Hover(_)
        | Action::Drag(_)
        | Action::Scroll(_)
        | Action::WaitFor(_)
        | Action::WaitGone(_)
        | Action::Never(_)
        | Action::Expect(_)
        | Action::Screenshot(_)
        | Action::Note(_)
        | Action::If(_)
        | Action::Repeat(_)
        | Action::Use(_)
        | Action::Snapshot(_)
        | Action::Power(_) => false,
    };
    let parts: Vec<&Check> = step.conditions().flat_map(Check::parts).collect();
    let texts = parts.iter().filter_map(|check| match check {
        Check::Text(target) => Some(target),
        _ => None,
    });
    let mut fields = step.targets().into_iter().chain(texts).filter_map(|t| t.fields());
    acts || parts.iter().any(|check| asks_guest(check))
        || fields.any(|f| f.element.is_some() || matches!(f.within, Some(Within::Window(_))))
}

fn asks_guest(check: &Check) -> bool {
    match check {
        Check::Shell(_)
        | Check::Process(_)
        | Check::Window(_)
        | Check::File(_)
        | Check::Log(_)
        | Check::Clipboard(_)
        | Check::Node(_)
        | Check::Port(_) => true,
        // What was launched is told of by the step that launches; what is within comes by itself.
        Check::See(_) | Check::Text(_) | Check::Exited(_) | Check::Fact(_) => false,
        Check::Not(_) | Check::Any(_) | Check::All(_) => false,
    }
}
