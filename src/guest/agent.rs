//! The QEMU guest agent, reached through the hypervisor's API.

use super::command::whole_lines;
use super::underway::Underway;
use super::{Command, Error, Exit, Guest, Output, System, windows};
use crate::proxmox::{self, AgentExecStatus, Client, ErrorKind};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long a link may be away before a command counts as lost.
const LINK_GRACE: Duration = Duration::from_secs(20);
/// How long a killed command may take to end.
const KILL_GRACE: Duration = Duration::from_secs(15);

/// A guest that is reached through its agent.
#[derive(Clone)]
pub struct AgentGuest {
    client: Client,
    node: String,
    vmid: u32,
    system: System,
    underway: Underway,
}

impl AgentGuest {
    /// The guest of the VM `vmid` on `node`, in which this system runs.
    pub fn new(client: Client, node: String, vmid: u32, system: System) -> AgentGuest {
        AgentGuest {
            client,
            node,
            vmid,
            system,
            underway: Underway::default(),
        }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.node, self.vmid)
    }

    fn link(&self, doing: &str) -> impl FnOnce(proxmox::Error) -> Error {
        let (guest, doing) = (self.name(), doing.to_string());
        move |source| Error::Link {
            guest,
            doing,
            source: Box::new(source),
        }
    }

    /// Starts what takes a script on its standard input.
    async fn start_script(&self, script: &SecretString) -> Result<u64, Error> {
        let argv = match self.system {
            System::Linux => vec!["/bin/sh".to_string()],
            System::Windows => windows::start(),
        };
        self.start(&argv, Some(script.expose_secret().as_bytes())).await
    }

    /// Starts a command. Only an agent that did not answer is asked again: then nothing was started.
    async fn start(&self, argv: &[String], input: Option<&[u8]>) -> Result<u64, Error> {
        let until = Instant::now() + LINK_GRACE;
        loop {
            match self.client.agent_exec(&self.node, self.vmid, argv, input).await {
                Err(error) if error.kind == ErrorKind::AgentNotRunning && Instant::now() < until => {
                    sleep(Duration::from_millis(500)).await;
                }
                other => return other.map_err(self.link("starting a command")),
            }
        }
    }

    /// The state of a started command. A link that is away for a moment is waited for.
    async fn status(&self, pid: u64) -> Result<AgentExecStatus, Error> {
        let until = Instant::now() + LINK_GRACE;
        loop {
            match self.client.agent_exec_status(&self.node, self.vmid, pid).await {
                Ok(status) => return Ok(status),
                // The answer that tells the end is given once. That the process is not known says that it was lost on
                // the way: to this client's own second try, or to nobody.
                Err(error) if error.kind == ErrorKind::NotFound => {
                    return Err(Error::ResultLost { guest: self.name() });
                }
                Err(error) if error.is_transient() && Instant::now() < until => {
                    sleep(Duration::from_millis(300)).await;
                }
                Err(error) => return Err(self.link("asking for a command's result")(error)),
            }
        }
    }

    /// Waits until the command ends or the time is up.
    async fn wait(&self, pid: u64, until: Instant) -> Result<Option<AgentExecStatus>, Error> {
        let mut pause = Duration::from_millis(15);
        loop {
            let status = self.status(pid).await?;
            if status.exited {
                return Ok(Some(status));
            }
            let now = Instant::now();
            if now >= until {
                return Ok(None);
            }
            sleep(pause.min(until - now)).await;
            pause = (pause * 3 / 2).min(Duration::from_millis(400));
        }
    }
}

impl AgentGuest {
    /// Runs a script to its end, or kills it: when its time is up, and when its caller is gone.
    async fn carry_out(&self, script: SecretString, limit: Duration, gone: CancellationToken) -> Result<Output, Error> {
        let lost = || Error::ResultLost { guest: self.name() };
        let pid = self.start_script(&script).await?;
        // Its time, not the agent's: that may have been away before.
        let until = Instant::now() + limit;
        let waited = tokio::select! {
            biased;
            status = self.wait(pid, until) => status?,
            () = gone.cancelled() => None,
        };
        if let Some(status) = waited {
            return output(self.system, status, false).ok_or_else(lost);
        }
        // Not `kill -KILL -- -PID`: dash takes no `--` there.
        let killer = match self.system {
            System::Linux => {
                let kill = format!("kill -9 -{pid} || kill -9 {pid}");
                self.start_script(&kill.into()).await?
            }
            System::Windows => self.start(&windows::kill(pid), None).await?,
        };
        self.wait(killer, Instant::now() + KILL_GRACE).await?;
        match self.wait(pid, Instant::now() + KILL_GRACE).await? {
            Some(status) => output(self.system, status, true).ok_or_else(lost),
            None => Err(Error::Stuck {
                guest: self.name(),
                after: KILL_GRACE,
            }),
        }
    }
}

/// What an ended command left; nothing where it is not told how it ended: that is no success.
fn output(system: System, status: AgentExecStatus, killed: bool) -> Option<Output> {
    let exit = match (killed, status.signal, status.exitcode) {
        (true, ..) => Exit::TimedOut,
        // The agent of Windows tells exit codes from 0xC0000000 on so (qga/commands.c, guest-exec-status).
        (false, Some(code), _) if code != 0 && system == System::Windows => Exit::Code(code),
        (false, Some(signal), _) if signal != 0 => Exit::Signal(signal),
        (false, _, code) => Exit::Code(code?),
    };
    Some(Output {
        exit,
        stdout: whole_lines(status.out_data, status.out_truncated),
        stderr: whole_lines(status.err_data, status.err_truncated),
        truncated: status.out_truncated || status.err_truncated,
    })
}

#[async_trait]
impl Guest for AgentGuest {
    fn system(&self) -> System {
        self.system
    }

    async fn exec(&self, command: Command) -> Result<Output, Error> {
        let (guest, limit) = (self.clone(), command.timeout);
        let carry_out = |script, gone| async move { guest.carry_out(script, limit, gone).await };
        let mut output = self
            .underway
            .exec(&self.name(), self.system, &command, carry_out)
            .await?;
        if command.of_scenario {
            output.stdout = self.system.lines(output.stdout);
            output.stderr = self.system.lines(output.stderr);
        }
        Ok(output)
    }

    async fn read_file(&self, path: &str) -> Result<Vec<u8>, Error> {
        let read = self.client.agent_file_read(&self.node, self.vmid, path).await;
        read.map_err(self.link(&format!("reading {path}")))
    }

    async fn write_file(&self, path: &str, content: &[u8]) -> Result<(), Error> {
        let written = self.client.agent_file_write(&self.node, self.vmid, path, content).await;
        written.map_err(self.link(&format!("writing {path}")))
    }
}
