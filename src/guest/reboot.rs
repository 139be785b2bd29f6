//! Restarting the guest from within, so that nothing of the hypervisor's has to change.

use super::session::failed;
use super::{Command, Error, Exit, Guest};
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
    let output = guest.exec(Command::script(BOOT_ID, TIMEOUT)).await?;
    match output.exit {
        Exit::Code(0) => Ok(output.stdout.trim().to_string()),
        _ => Err(failed("asking when the guest was started", &output)),
    }
}

/// Restarts the guest and waits until its agent answers from the new start; false where that did not come by `until`.
///
/// # Errors
/// The restart could not be asked for.
pub async fn reboot(guest: &dyn Guest, until: Instant) -> Result<bool, Error> {
    let before = boot_id(guest).await?;
    let output = guest.exec(Command::script(REBOOT, TIMEOUT)).await?;
    if output.exit != Exit::Code(0) {
        return Err(failed("restarting the guest", &output));
    }
    while Instant::now() < until {
        // That it gives no answer is what a restart looks like from here.
        if let Ok(Ok(now)) = tokio::time::timeout_at(until, boot_id(guest)).await
            && now != before
        {
            return Ok(true);
        }
        sleep(PAUSE).await;
    }
    Ok(false)
}
