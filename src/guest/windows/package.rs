//! Installers of Windows programs. What they install they tell the system (the registry's Uninstall keys), by which it is found
//! and removed again.

use crate::guest::package::{Installed, PackageError};
use crate::guest::session::failed;
use crate::guest::{Command, Exit, Guest, Output};
use std::time::Duration;

const INSTALL: &str = concat!(include_str!("package_kind.ps1"), include_str!("install.ps1"));
const UNINSTALL: &str = concat!(include_str!("package_kind.ps1"), include_str!("uninstall.ps1"));

/// Runs an installer silently, and reads back what is there then.
///
/// # Errors
/// As [`install`](crate::guest::install).
pub async fn install(guest: &dyn Guest, package: &str, limit: Duration) -> Result<Installed, PackageError> {
    let doing = format!("installing {package}");
    let command = Command::script(INSTALL, limit).with_env([("package".to_string(), package.into())]);
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => installed(&doing, &output),
        Exit::Code(3) => Err(PackageError::NoFile(package.to_string())),
        Exit::Code(4) => Err(PackageError::Unsupported(format!(
            "{package} is an installer of a kind that mosdat does not know (it knows NSIS, Inno Setup and msi), so that nobody \
             knows how it installs silently; run it by a step 'shell' with its own arguments, such as & '{package}' /quiet | Out-Null"
        ))),
        Exit::Code(5) => Err(refusal(&doing, &output)),
        Exit::Code(6) => Err(PackageError::Refused(format!(
            "{package} was installed without an error, and no program is registered as installed that was not there before"
        ))),
        Exit::Code(7) => Err(PackageError::Unsupported(format!(
            "{package} installs only for the user who runs it, and packages are installed by the system: it is now where nobody \
             finds it. Run it by a step 'shell', which runs as the session's user: & '{package}' /S | Out-Null"
        ))),
        Exit::Code(8) => Err(PackageError::Unsupported(format!(
            "{package} was installed without an error and changed nothing, and several programs are installed that it could be: {}; \
             remove them first",
            output.stderr.trim()
        ))),
        Exit::TimedOut => Err(late(&doing, &output)),
        _ => Err(failed(&doing, &output).into()),
    }
}

/// Removes a program silently, and makes sure that it is gone.
///
/// # Errors
/// As [`uninstall`](crate::guest::uninstall).
pub async fn uninstall(guest: &dyn Guest, name: &str, limit: Duration) -> Result<Installed, PackageError> {
    let doing = format!("removing {name}");
    let command = Command::script(UNINSTALL, limit).with_env([("name".to_string(), name.into())]);
    let output = guest.exec(command).await?;
    let told = output.stderr.trim();
    let why = match output.exit {
        Exit::Code(0) => return installed(&doing, &output),
        Exit::Code(3) => format!("no program {name} is installed"),
        Exit::Code(4) => {
            format!("several programs are installed whose names begin with {name}: {told}; name the one that is meant")
        }
        Exit::Code(5) => return Err(refusal(&doing, &output)),
        Exit::Code(6) => format!("{name} was removed without an error, and is still there"),
        Exit::Code(7) => format!(
            "nobody knows how {name} is removed silently (it says: {told}); remove it by a step 'shell' with the arguments that its \
             maker names"
        ),
        Exit::Code(8) => format!(
            "{name} is installed for one user alone, and packages are removed by the system; remove it by a step 'shell', which runs as \
             the session's user (it says: {told})"
        ),
        Exit::TimedOut => return Err(late(&doing, &output)),
        _ => return Err(failed(&doing, &output).into()),
    };
    // What it is called, or how it is removed, is the scenario's to say.
    match output.exit {
        Exit::Code(4 | 7 | 8) => Err(PackageError::Unsupported(why)),
        _ => Err(PackageError::Refused(why)),
    }
}

/// What an installer that said no says: its kind and its exit code on standard output, a sentence on the other.
fn refusal(doing: &str, output: &Output) -> PackageError {
    let told = format!("{doing}: {}", output.stderr.trim());
    let (kind, code) = output.stdout.trim().split_once(' ').unwrap_or_default();
    match code.parse().ok().filter(|_| kind == "msi").and_then(trouble) {
        Some(trouble) => PackageError::Surroundings { trouble, told },
        None => PackageError::Refused(told),
    }
}

/// One whose time was up: its own, or that of another installation, which it waited for to the end.
fn late(doing: &str, output: &Output) -> PackageError {
    let waited = output.stderr.trim_end().ends_with("(1618)");
    match trouble(1618).filter(|_| waited) {
        Some(trouble) => PackageError::Surroundings {
            trouble,
            told: format!("{doing} did not begin in time"),
        },
        None => PackageError::Late(doing.to_string()),
    }
}

/// The trouble behind a code of Windows Installer, where no package is to blame for it (Windows Installer, error codes).
fn trouble(code: i32) -> Option<&'static str> {
    match code {
        112 => Some("no space is left"),
        1601 => Some("the service Windows Installer does not answer"),
        1618 => Some("another installation is under way"),
        1632 => Some("the folder for temporary files is full, or cannot be used"),
        _ => None,
    }
}

/// Name and version, line by line, and whether the guest has to be started anew.
fn installed(doing: &str, output: &Output) -> Result<Installed, PackageError> {
    let mut lines = output.stdout.lines().map(str::trim);
    match (lines.next(), lines.next()) {
        (Some(name), Some(version)) if !name.is_empty() => Ok(Installed {
            name: name.to_string(),
            version: version.to_string(),
            restart: lines.next() == Some("restart"),
        }),
        _ => Err(failed(&format!("{doing} (it printed '{}')", output.stdout.trim()), output).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_late() {
        let killed = |stderr: &str| Output {
            exit: Exit::TimedOut,
            stdout: String::new(),
            stderr: stderr.into(),
            truncated: false,
        };
        let waits = "another installation is under way (1618)\n";
        assert!(INSTALL.contains(waits.trim()) && UNINSTALL.contains(waits.trim()));
        let error = late("installing x", &killed(&format!("{waits}once more\n{waits}")));
        assert!(matches!(error, PackageError::Surroundings { .. }), "{error}");
        // It is its turn, and it hangs.
        for stderr in ["", &format!("{waits}once more\n")] {
            let error = late("installing x", &killed(stderr));
            assert!(matches!(error, PackageError::Late(_)), "{error}");
        }
    }
}
