//! What is there in one system only, as far as a step tells it by itself.

use super::machine::is_of_drive;
use super::model::{Action, Check, Display, Platform, Step};

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
pub fn lacks(step: &Step, platform: Platform) -> Vec<String> {
    let windows = platform == Platform::Windows;
    let mut found = Vec::new();
    match &step.action {
        Action::Launch(launch) if windows && launch.display != Display::Session => {
            found.push(format!("display {}", launch.display.as_str()));
        }
        Action::Stage(file) if windows && file.mode.is_some() => {
            found.push("mode (files have no such permissions there; their owner may do everything)".to_string());
        }
        Action::Stage(file) if !windows && is_of_drive(&file.path) => found.push(format!("the path {}", file.path)),
        Action::Install(install) if install.format.is_of_windows() != windows => {
            found.push(format!("packages of format {}", install.format.as_str()));
        }
        Action::Uninstall(uninstall) => found.extend(
            (uninstall.format)
                .filter(|format| format.is_of_windows() != windows)
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
        found.extend(names.map(|name| reserved(name)));
    }
    found
}

/// What is wrong with a value of this name where commands are PowerShell's; none where nothing is.
pub(super) fn reserved_name(platform: Platform, name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    (platform == Platform::Windows && OF_WINDOWS.contains(&lower.as_str())).then(|| reserved(name))
}

fn reserved(name: &str) -> String {
    format!(
        "a variable '{name}' of its own (it is the same as {}, which Windows needs; call it otherwise)",
        name.to_uppercase()
    )
}
