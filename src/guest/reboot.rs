//! Restarting the guest from within, so that nothing of the hypervisor's has to change.

use super::session::failed;
use super::{Command, Error, Exit, Guest, windows};
use crate::proxmox::ErrorKind;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_secs(1);

// The kernel makes a new one each time it starts.
const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";

// Detached, so that the agent can still answer. What systemd cannot do, the tool of the other init systems can.
const REBOOT: &str = r#"
command -v systemctl >/dev/null || command -v reboot >/dev/null || command -v shutdown >/dev/null || {
  echo "no systemctl, reboot or shutdown in PATH=$PATH" >&2; exit 127; }
setsid /bin/sh -c 'sleep 0.5; systemctl reboot 2>/dev/null || shutdown -r now 2>/dev/null || reboot' \
  >/dev/null 2>&1 </dev/null &
"#;

async fn boot_id(guest: &dyn Guest) -> Result<String, Error> {
    let output = guest
        .exec(Command::script(guest.system().script(BOOT_ID, windows::BOOT), TIMEOUT))
        .await?;
    match output.exit {
        Exit::Code(0) => Ok(output.stdout.trim().to_string()),
        _ => Err(failed("asking when the guest was started", &output)),
    }
}

/// True where an error is what a guest between two starts looks like: the agent does not answer, or ends with what it ran.
/// By SSH the guest looks no different from a network that is away, so that it is blamed for nothing; and a result that is
/// lost may be either.
fn is_away(error: &Error) -> bool {
    match error {
        Error::Link { source, .. } => matches!(source.kind, ErrorKind::AgentNotRunning | ErrorKind::NotRunning),
        Error::Script { .. } | Error::Stuck { .. } => true,
        _ => false,
    }
}

/// Restarts the guest and waits until its agent answers from the new start; false where that did not come by `until`.
///
/// # Errors
/// The restart could not be asked for, or in the end nobody could ask the guest: the way to it is away.
pub async fn reboot(guest: &dyn Guest, until: Instant) -> Result<bool, Error> {
    let before = boot_id(guest).await?;
    let script = guest.system().script(REBOOT, windows::REBOOT);
    let output = guest.exec(Command::script(script, TIMEOUT)).await?;
    if output.exit != Exit::Code(0) {
        return Err(failed("restarting the guest", &output));
    }
    let mut last: Option<Result<(), Error>> = None;
    while Instant::now() < until {
        match tokio::time::timeout_at(until, boot_id(guest)).await {
            Ok(Ok(now)) if now != before => return Ok(true),
            Ok(answer) => last = Some(answer.map(|_| ())),
            // What was said before that is not what there was in the end.
            Err(_) => {
                last = None;
                break;
            }
        }
        sleep(PAUSE).await;
    }
    let last = match last {
        Some(last) => last,
        // The last question was cut off: who it is that does not answer shows only when it is put to the end.
        None => match boot_id(guest).await {
            Ok(now) if now != before => return Ok(true),
            answer => answer.map(|_| ()),
        },
    };
    match last {
        Err(error) if !is_away(&error) => Err(error),
        _ => Ok(false),
    }
}
