//! What a guest that is restarted answers.

use async_trait::async_trait;
use mosdat::guest::{Command, Error, Exit, Guest, Output, What, reboot};
use mosdat::proxmox::{self, ErrorKind};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// A guest whose answers after the restart are these, the last one from then on.
struct Restarted {
    before: Mutex<bool>,
    answers: Mutex<Vec<Result<&'static str, ErrorKind>>>,
}

fn said(text: &str) -> Output {
    Output {
        exit: Exit::Code(0),
        stdout: text.into(),
        stderr: String::new(),
        truncated: false,
    }
}

fn link(kind: ErrorKind) -> Error {
    Error::Link {
        guest: "lab/100".into(),
        doing: "starting a command".into(),
        source: Box::new(proxmox::Error {
            kind,
            endpoint: "https://pve".into(),
            method: "POST",
            path: "/nodes/lab/qemu/100/agent/exec".into(),
            status: None,
            message: "no".into(),
            fields: Default::default(),
        }),
    }
}

#[async_trait]
impl Guest for Restarted {
    async fn exec(&self, command: Command) -> Result<Output, Error> {
        let What::Script(script) = &command.what else {
            panic!("{command:?}")
        };
        if !script.contains("boot_id") {
            *self.before.lock().unwrap() = false;
            return Ok(said(""));
        }
        if *self.before.lock().unwrap() {
            return Ok(said("first\n"));
        }
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            1 => answers[0],
            _ => answers.remove(0),
        };
        answer.map(said).map_err(link)
    }
    async fn read_file(&self, _: &str) -> Result<Vec<u8>, Error> {
        unreachable!()
    }
    async fn write_file(&self, _: &str, _: &[u8]) -> Result<(), Error> {
        unreachable!()
    }
}

/// By SSH, a guest that stays away looks like a network that does: nobody knows whether it was started again, so that it is
/// blamed for nothing. With the agent Proxmox answers, and says which of them it is.
#[tokio::test(flavor = "multi_thread")]
async fn by_ssh_a_guest_that_stays_away_is_an_outage() {
    let sshd = super::sshd::Sshd::start().await;
    let guest = OnceAway {
        guest: sshd.guest(),
        sshd: Mutex::new(Some(sshd)),
        asked: Mutex::new(false),
    };
    let error = reboot(&guest, Instant::now() + Duration::from_secs(5))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Ssh { .. } | Error::ResultLost { .. }), "{error}");
}

/// A machine whose SSH server ends with the restart, which this machine is spared, and does not come again. Before that it
/// answers once more: a restart takes a moment to begin.
struct OnceAway {
    guest: mosdat::guest::SshGuest,
    sshd: Mutex<Option<super::sshd::Sshd>>,
    /// The restart was asked for.
    asked: Mutex<bool>,
}

#[async_trait]
impl Guest for OnceAway {
    async fn exec(&self, command: Command) -> Result<Output, Error> {
        let What::Script(script) = &command.what else {
            panic!("{command:?}")
        };
        if script.contains("systemctl reboot") {
            *self.asked.lock().unwrap() = true;
            return Ok(said(""));
        }
        let answer = self.guest.exec(command).await;
        if *self.asked.lock().unwrap() {
            drop(self.sshd.lock().unwrap().take());
        }
        answer
    }
    async fn read_file(&self, _: &str) -> Result<Vec<u8>, Error> {
        unreachable!()
    }
    async fn write_file(&self, _: &str, _: &[u8]) -> Result<(), Error> {
        unreachable!()
    }
}

async fn after(answers: &[Result<&'static str, ErrorKind>]) -> Result<bool, Error> {
    let guest = Restarted {
        before: Mutex::new(true),
        answers: Mutex::new(answers.to_vec()),
    };
    reboot(&guest, Instant::now() + Duration::from_millis(2500)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_no_restart_that_did_not_come() {
    use ErrorKind::*;
    for away in [AgentNotRunning, NotRunning] {
        assert!(!after(&[Err(away)]).await.unwrap(), "{away:?}");
        assert!(after(&[Err(away), Ok("second\n")]).await.unwrap(), "{away:?}");
    }
    assert!(!after(&[Ok("first\n")]).await.unwrap(), "it was never restarted");
    for outage in [Transport, Auth, NodeOffline, Permission] {
        let error = after(&[Err(AgentNotRunning), Err(outage)]).await.unwrap_err();
        assert!(
            matches!(&error, Error::Link { source, .. } if source.kind == outage),
            "{error}"
        );
        // One that passes is none.
        assert!(!after(&[Err(outage), Err(AgentNotRunning)]).await.unwrap());
        assert!(after(&[Err(outage), Ok("second\n")]).await.unwrap());
    }
}

/// A guest that answers once more, and then has an API that takes its time and fails.
struct Hanging(Mutex<u32>);

#[async_trait]
impl Guest for Hanging {
    async fn exec(&self, command: Command) -> Result<Output, Error> {
        let What::Script(script) = &command.what else {
            panic!("{command:?}")
        };
        if !script.contains("boot_id") {
            return Ok(said(""));
        }
        let asked = {
            let mut asked = self.0.lock().unwrap();
            *asked += 1;
            *asked
        };
        if asked <= 2 {
            return Ok(said("first\n"));
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
        Err(link(ErrorKind::Transport))
    }
    async fn read_file(&self, _: &str) -> Result<Vec<u8>, Error> {
        unreachable!()
    }
    async fn write_file(&self, _: &str, _: &[u8]) -> Result<(), Error> {
        unreachable!()
    }
}

/// What a guest says before it goes down is not that it stays up.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_cut_off_is_put_again() {
    let guest = Hanging(Mutex::new(0));
    let error = reboot(&guest, Instant::now() + Duration::from_millis(2500))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Link { source, .. } if source.kind == ErrorKind::Transport),
        "{error}"
    );
}
