//! The beginning of a command: a link that is open, and a shell that waits for what to do.

use super::link::{Failure, Link, connect};
use super::running::{Process, Running};
use super::{SshGuest, host_key::HostKey};
use crate::guest::{Error, quote};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a link may be away before a command counts as lost.
const LINK_GRACE: Duration = Duration::from_secs(20);
/// How long an open link may take for a new channel. Then it is taken for dead: nothing was started on it.
const OPEN: Duration = Duration::from_secs(5);
/// How long a shell may take to begin. An emulated CPU takes seconds for a login shell's files.
pub(super) const BEGIN: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(300);

impl SshGuest {
    pub(super) async fn open_link(&self) -> Result<Arc<Link>, Failure> {
        let mut slot = self.link.lock().await;
        if let Some(link) = slot.open.as_ref().filter(|link| !link.handle.is_closed()) {
            return Ok(link.clone());
        }
        let met: Vec<HostKey> = slot.met.iter().cloned().collect();
        let trusted = match self.login.host_keys.is_empty() {
            true => &met,
            false => &self.login.host_keys,
        };
        let link = Arc::new(connect(&self.login, self.key.as_deref(), trusted).await?);
        slot.met = Some(link.host_key.clone());
        slot.open = Some(link.clone());
        Ok(link)
    }

    async fn drop_link(&self, dead: &Arc<Link>) {
        let mut slot = self.link.lock().await;
        if slot.open.as_ref().is_some_and(|link| Arc::ptr_eq(link, dead)) {
            slot.open = None;
        }
    }

    /// Begins a shell that waits for what to do, with the process that it is. A link that is away for a moment is waited for:
    /// a shell that was told nothing does nothing.
    pub(super) async fn begin(&self) -> Result<(Running, Process), Error> {
        let until = Instant::now() + LINK_GRACE;
        loop {
            let failure = match self.open_link().await {
                Ok(link) => match self.shell(&link).await {
                    Ok(begun) => return Ok(begun),
                    Err(failure) => {
                        if let Failure::Passing(_) = failure {
                            self.drop_link(&link).await;
                        }
                        failure
                    }
                },
                Err(failure) => failure,
            };
            match failure {
                Failure::Passing(_) if Instant::now() < until => sleep(PAUSE).await,
                failure => return Err(self.failure("starting a command", failure)),
            }
        }
    }

    async fn shell(&self, link: &Link) -> Result<(Running, Process), Failure> {
        let passing = |e: russh::Error| Failure::Passing(e.to_string());
        let silent = || Failure::Passing("the link is silent".to_string());
        let channel = match timeout(OPEN, link.handle.channel_open_session()).await {
            Ok(Err(russh::Error::ChannelOpenFailure(why))) => {
                let why = format!(
                    "the SSH server opens no session ({why:?}); look at MaxSessions and PermitOpen in its sshd_config"
                );
                return Err(Failure::Final(self.refused(why)));
            }
            Ok(channel) => channel.map_err(passing)?,
            Err(_) => return Err(silent()),
        };
        // `exec`, so that a signal's death is the server's to tell and not a login shell's.
        let shell = match self.login.user.as_str() {
            "root" => "exec /bin/sh",
            _ => "exec sudo -n /bin/sh",
        };
        let mark = format!("@mosdat-{:016x}@ ", rand::random::<u64>());
        channel.exec(true, shell).await.map_err(passing)?;
        let mut running = Running::new(channel);
        running
            .write
            .data_bytes(announcement(&mark).into_bytes())
            .await
            .map_err(passing)?;
        let until = Instant::now() + BEGIN;
        let (mut told, mut quiet) = (None, None);
        loop {
            told = told.or_else(|| running.out.after_line(&mark));
            quiet = quiet.or_else(|| running.err.after_line(&mark));
            if let (Some(line), Some(_)) = (&told, &quiet) {
                let process = process(line);
                let odd = || Failure::Final(self.refused(format!("its shell says '{line}' instead of its process id")));
                return process.map(|p| (running, p)).ok_or_else(odd);
            }
            if running.accepted == Some(false) {
                let why = "the SSH server runs no commands; look at ForceCommand in its sshd_config".to_string();
                return Err(Failure::Final(self.refused(why)));
            }
            match timeout_at(until, running.next()).await {
                Err(_) => return Err(Failure::Passing(format!("no shell began within {} s", BEGIN.as_secs()))),
                Ok(true) => {}
                Ok(false) if running.ended().is_some() => return Err(Failure::Final(self.no_shell(&running))),
                Ok(false) => return Err(Failure::Passing("the link was lost".to_string())),
            }
        }
    }

    /// Why no shell began, from what was said instead.
    fn no_shell(&self, running: &Running) -> Error {
        let user = &self.login.user;
        let said = format!("{}{}", running.out.text(), running.err.text());
        let said = said.trim();
        self.refused(match user.as_str() {
            "root" => format!("/bin/sh does not start for '{user}': {said}"),
            _ => format!(
                "'{user}' cannot become root, as which mosdat installs and looks ({said}); let it by a file in /etc/sudoers.d: {user} ALL=(ALL) NOPASSWD: ALL"
            ),
        })
    }
}

/// First line for the shell: tells which process it is, on both outputs, as a login shell may have said something on either.
/// What a login has set is taken away: commands find the same environment as behind the guest's agent, and programs are not
/// told that they run in a session of SSH. Of /proc/$$/stat what follows the name, which may hold spaces, is 20 words to the time of the start.
fn announcement(mark: &str) -> String {
    let mark = quote(mark);
    format!(
        "_mosdat_stat=; [ ! -r \"/proc/$$/stat\" ] || read -r _mosdat_stat <\"/proc/$$/stat\"; set -- ${{_mosdat_stat##*) }}; \
         unset SSH_CLIENT SSH_CONNECTION SSH_TTY SSH_ORIGINAL_COMMAND SSH_AUTH_SOCK XDG_SESSION_ID XDG_SESSION_CLASS \
         XDG_SESSION_TYPE XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS; \
         printf '%s%s %s\\n' {mark} \"$$\" \"${{20}}\"; printf '%s\\n' {mark} >&2\n"
    )
}

fn process(told: &str) -> Option<Process> {
    let (id, since) = told.split_once(' ')?;
    Some(Process {
        id: id.parse().ok()?,
        since: since.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_beginning() {
        let known = process("812 4711").unwrap();
        assert_eq!((known.id, known.since.as_str()), (812, "4711"));
        // No /proc there.
        assert_eq!(process("812 ").unwrap().since, "");
        assert_eq!(process("Welcome"), None);
        assert_eq!(process("x 1"), None);
    }
}
