//! Commands whose caller may go away before their end. What the ways into the guest have in common.

use super::{Command, Error, Output, System, bootstrap, refused};
use crate::proxmox;
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Most bytes of a script: what the QEMU guest agent takes. The same for every way into the guest, so that a scenario that
/// runs on one VM does not end as too long on the next.
pub const MAX_SCRIPT: usize = proxmox::MAX_INPUT;

/// A command that is carried out. It goes on when its caller is gone: a command could be under way to the guest, with
/// a process id that is not known yet.
type Work = JoinHandle<Result<Output, Error>>;

/// Commands that nobody waits for any more; each ends by itself, within bounds.
#[derive(Clone, Default)]
pub(super) struct Underway(Arc<Mutex<Vec<Work>>>);

/// The caller of a command. When it goes away before the end, the command is killed.
struct Caller {
    gone: CancellationToken,
    work: Option<Work>,
    left: Underway,
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(work) = self.work.take().filter(|work| !work.is_finished()) {
            self.gone.cancel();
            self.left.lock().push(work);
        }
    }
}

impl Underway {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `carry_out` run the command's script to its end, or kill it when its caller is gone, which the token tells. First
    /// it waits for what earlier callers left.
    pub(super) async fn exec<F, W>(
        &self,
        guest: &str,
        system: System,
        command: &Command,
        carry_out: F,
    ) -> Result<Output, Error>
    where
        F: FnOnce(SecretString, CancellationToken) -> W,
        W: Future<Output = Result<Output, Error>> + Send + 'static,
    {
        let script = bootstrap(system, command);
        let length = script.expose_secret().len();
        if length > MAX_SCRIPT {
            let most = MAX_SCRIPT;
            return Err(Error::TooLong { length, most });
        }
        // One by one: whoever goes away while waiting here leaves it to the next one.
        loop {
            let Some(work) = self.lock().pop() else { break };
            let mut waiting = Caller {
                gone: CancellationToken::new(),
                work: Some(work),
                left: self.clone(),
            };
            if let Some(work) = waiting.work.as_mut() {
                // How it ended is told to nobody any more.
                let _ = work.await;
            }
            waiting.work = None;
        }
        let gone = CancellationToken::new();
        let mut caller = Caller {
            work: Some(tokio::spawn(carry_out(script, gone.clone()))),
            gone,
            left: self.clone(),
        };
        let lost = || Error::ResultLost {
            guest: guest.to_string(),
        };
        let work = caller.work.as_mut().ok_or_else(lost)?;
        // A task that ended without a result: the process is being stopped.
        let output = work.await.map_err(|_| lost())??;
        match refused(command, &output) {
            Some(error) => Err(error),
            None => Ok(output),
        }
    }
}
