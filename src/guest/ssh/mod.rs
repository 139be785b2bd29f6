//! SSH into the guest. One connection for all commands, each on a channel of its own.
//!
//! The server starts `/bin/sh`, which tells its process id and then reads what to do: so the process is known before the
//! command begins, and it can be killed with its group by a second command, also after the link was lost. Who logs in is
//! root, or somebody whom sudo makes root without a password.

mod host_key;
mod link;
mod running;
mod shell;

pub use host_key::{HOST_KEY_FILES, HostKey};

use super::command::whole_lines;
use super::underway::Underway;
use super::{Command, Error, Exit, Guest, Output, System, quote};
use async_trait::async_trait;
use base64::Engine;
use link::{Failure, Link, private_key};
use running::{Process, Running};
use russh::keys::PrivateKey;
use secrecy::{ExposeSecret, SecretString};
use shell::BEGIN;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long the server may take to take a script.
const HAND_OVER: Duration = Duration::from_secs(10);
/// How long a killed command may take to end.
const KILL_GRACE: Duration = Duration::from_secs(15);
/// Limit for reading or writing a file.
const FILE: Duration = Duration::from_secs(60);
/// Bytes of a file that go with one command.
const PIECE: usize = 36 * 1024;

/// How to get into a guest.
#[derive(Clone, Debug)]
pub struct SshLogin {
    /// Name of the ProxmoxVM.
    pub vm: String,
    /// Address or name of the guest.
    pub host: String,
    /// TCP port of its SSH server.
    pub port: u16,
    /// Login name: root, or one whom sudo makes root without a password.
    pub user: String,
    /// Who proves that it is us.
    pub key: SshKey,
    /// Keys of which the server must have one; any is taken at the first contact where there are none.
    pub host_keys: Vec<HostKey>,
}

/// What the login is proved with.
#[derive(Clone, Debug)]
pub enum SshKey {
    /// A private key, as `ssh-keygen` writes it, without a passphrase.
    Secret(SecretString),
    /// An ssh-agent, by its socket.
    Agent(PathBuf),
}

impl SshKey {
    /// The ssh-agent of this process; none where `SSH_AUTH_SOCK` is not set.
    pub fn agent() -> Option<SshKey> {
        std::env::var_os("SSH_AUTH_SOCK").map(|path| SshKey::Agent(path.into()))
    }
}

impl SshLogin {
    fn name(&self) -> String {
        let SshLogin {
            vm, user, host, port, ..
        } = self;
        format!("{vm} ({user}@{host}:{port})")
    }
}

/// A guest that is reached by SSH.
#[derive(Clone)]
pub struct SshGuest {
    login: Arc<SshLogin>,
    key: Option<Arc<PrivateKey>>,
    link: Arc<tokio::sync::Mutex<Slot>>,
    underway: Underway,
    /// Processes whose link was lost before they ended.
    lost: Arc<Mutex<Vec<Process>>>,
}

#[derive(Default)]
struct Slot {
    open: Option<Arc<Link>>,
    /// The key of the first contact: who answers later must have it, too.
    met: Option<HostKey>,
}

impl SshGuest {
    /// The guest of a login. Nothing is connected yet.
    ///
    /// # Errors
    /// The private key cannot be used.
    pub fn new(login: SshLogin) -> Result<SshGuest, Error> {
        Ok(SshGuest {
            key: private_key(&login)?.map(Arc::new),
            login: Arc::new(login),
            link: Arc::default(),
            underway: Underway::default(),
            lost: Arc::default(),
        })
    }

    /// Logs in, once, and makes sure that commands run as root. The key that the server proved itself with.
    ///
    /// # Errors
    /// It does not answer now, has another key, does not let us in, or does not let us be root.
    pub async fn meet(&self) -> Result<HostKey, Error> {
        let link = self.open_link().await.map_err(|f| self.failure("logging in", f))?;
        let root = "[ \"$(id -u)\" = 0 ]";
        let output = self.exec(Command::script(root, BEGIN)).await?;
        match output.exit {
            Exit::Code(0) => Ok(link.host_key.clone()),
            _ => Err(self.refused(format!("'{}' is not root there", self.login.user))),
        }
    }

    fn refused(&self, why: String) -> Error {
        Error::Refused {
            guest: self.login.name(),
            why,
        }
    }

    fn failure(&self, doing: &str, failure: Failure) -> Error {
        match failure {
            Failure::Final(error) => error,
            Failure::Passing(why) => Error::Ssh {
                guest: self.login.name(),
                doing: doing.to_string(),
                why,
            },
        }
    }

    fn result_lost(&self) -> Error {
        Error::ResultLost {
            guest: self.login.name(),
        }
    }

    /// Runs a script to its end, or kills it: when its time is up, and when its caller is gone.
    async fn carry_out(&self, script: SecretString, limit: Duration, gone: CancellationToken) -> Result<Output, Error> {
        self.kill_lost().await?;
        let (mut running, process) = self.begin().await?;
        if gone.is_cancelled() {
            return Err(self.result_lost());
        }
        // The time of a link that was away is not the command's.
        let until = Instant::now() + limit;
        // In braces, so that a shell that got a part of it does nothing.
        let text = format!("{{\n{}\n}}\n", script.expose_secret());
        let sent = async {
            running.write.data_bytes(text.into_bytes()).await?;
            running.write.eof().await
        };
        let sent = match timeout(HAND_OVER, sent).await {
            Ok(sent) => sent.is_ok(),
            Err(_) => false,
        };
        if !sent {
            return Err(self.lose(process));
        }
        let waited = tokio::select! {
            biased;
            ended = timeout_at(until, wait(&mut running)) => ended.ok(),
            () = gone.cancelled() => None,
        };
        match waited {
            Some(true) => return self.output(&running, false),
            Some(false) => return Err(self.lose(process)),
            None => {}
        }
        if let Err(error) = self.kill(&process).await {
            self.remember(process);
            return Err(error);
        }
        match timeout(KILL_GRACE, wait(&mut running)).await {
            Ok(true) => self.output(&running, true),
            Ok(false) => Err(self.result_lost()),
            Err(_) => Err(Error::Stuck {
                guest: self.login.name(),
                after: KILL_GRACE,
            }),
        }
    }

    fn remember(&self, process: Process) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(process);
    }

    /// The link to a process is lost: it is killed when there is one again.
    fn lose(&self, process: Process) -> Error {
        self.remember(process);
        self.result_lost()
    }

    async fn kill_lost(&self) -> Result<(), Error> {
        loop {
            let next = self.lost.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(process) = next else { return Ok(()) };
            if let Err(error) = self.kill(&process).await {
                self.remember(process);
                return Err(error);
            }
        }
    }

    /// Kills a process with its group; one that is gone is no error.
    async fn kill(&self, process: &Process) -> Result<(), Error> {
        let (mut running, _) = self.begin().await?;
        let script = kill_script(process);
        let lost = |e: russh::Error| self.failure("killing a command", Failure::Passing(e.to_string()));
        running.write.data_bytes(script.into_bytes()).await.map_err(lost)?;
        running.write.eof().await.map_err(lost)?;
        match timeout(KILL_GRACE, wait(&mut running)).await {
            Ok(true) => Ok(()),
            _ => Err(lost(russh::Error::Disconnect)),
        }
    }

    fn output(&self, running: &Running, killed: bool) -> Result<Output, Error> {
        let exit = match running.ended() {
            None => return Err(self.result_lost()),
            Some(_) if killed => Exit::TimedOut,
            Some(Ok(exit)) => *exit,
            Some(Err(name)) => {
                let why = format!("it was killed by a signal whose name the SSH server does not tell ({name})");
                return Err(self.failure("running a command", Failure::Passing(why)));
            }
        };
        let (out, err) = (&running.out, &running.err);
        Ok(Output {
            exit,
            stdout: whole_lines(out.text(), out.truncated),
            stderr: whole_lines(err.text(), err.truncated),
            truncated: out.truncated || err.truncated,
        })
    }
}

/// Waits for the end; false where the link is lost before.
async fn wait(running: &mut Running) -> bool {
    while running.next().await {}
    running.ended().is_some()
}

/// Not `kill -KILL -- -ID`: dash takes no `--` there. Whoever has the id now and began at another time is somebody else.
fn kill_script(process: &Process) -> String {
    let Process { id, since } = process;
    format!(
        "s=; [ ! -r /proc/{id}/stat ] || read -r s </proc/{id}/stat; set -- ${{s##*) }}\n\
         [ -z \"$s\" ] || [ \"${{20}}\" = {} ] || exit 0\n\
         kill -9 -{id} 2>/dev/null || kill -9 {id} 2>/dev/null; exit 0\n",
        quote(since)
    )
}

#[async_trait]
impl Guest for SshGuest {
    async fn exec(&self, command: Command) -> Result<Output, Error> {
        let (guest, limit) = (self.clone(), command.timeout);
        let carry_out = |script, gone| async move { guest.carry_out(script, limit, gone).await };
        self.underway
            .exec(&self.login.name(), System::Linux, &command, carry_out)
            .await
    }

    async fn read_file(&self, path: &str) -> Result<Vec<u8>, Error> {
        let doing = format!("reading {path}");
        let script = format!("base64 <{}", quote(path));
        let output = self.exec(Command::script(script, FILE)).await?;
        if output.exit != Exit::Code(0) {
            return Err(super::session::failed(&doing, &output));
        }
        let text: String = output.stdout.split_whitespace().collect();
        let content = base64::engine::general_purpose::STANDARD.decode(text);
        match content {
            Ok(content) if !output.truncated => Ok(content),
            _ => Err(self.failure(&doing, Failure::Passing("it is larger than 12 MiB".to_string()))),
        }
    }

    async fn write_file(&self, path: &str, content: &[u8]) -> Result<(), Error> {
        let (doing, file) = (format!("writing {path}"), quote(path));
        let run = async |script: String| {
            let output = self.exec(Command::script(script, FILE)).await?;
            match output.exit {
                Exit::Code(0) => Ok(()),
                _ => Err(super::session::failed(&doing, &output)),
            }
        };
        run(format!(": >{file}")).await?;
        for piece in content.chunks(PIECE) {
            let data = base64::engine::general_purpose::STANDARD.encode(piece);
            run(format!("printf %s {} | base64 -d >>{file}", quote(&data))).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_killed_and_not_who_came_later() {
        let script = kill_script(&Process {
            id: 812,
            since: "4711".into(),
        });
        assert!(script.contains("= '4711' ] || exit 0\nkill -9 -812 "), "{script}");
    }
}
