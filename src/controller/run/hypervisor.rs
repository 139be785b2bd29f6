//! What a run asks of its VM goes by way of the ProxmoxVM: its controller is the only one that writes to the VM.

use super::super::context::Context;
use super::super::error::code;
use crate::api::{FunctionalTestRun, ProxmoxVM, VmOperation, VmOperationState, VmRequest};
use crate::controller::conditions;
use crate::runner::{Hypervisor, NotDone, Operation};
use async_trait::async_trait;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Before the API server is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// Seconds that Proxmox has to say that a guest did not end.
const SAY: u64 = 5;

/// Asks the ProxmoxVM of a run.
pub struct Asking {
    api: Api<ProxmoxVM>,
    name: String,
    /// Tells the requests of this attempt from those of others.
    prefix: String,
    run: String,
    asked: AtomicU32,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Asking({})", self.name)
    }
}

impl Asking {
    pub fn new(ctx: &Context, run: &FunctionalTestRun, vm: &str) -> Asking {
        let uid = run.uid().unwrap_or_default();
        let attempt = run.status.as_ref().and_then(|s| s.attempt).unwrap_or(1);
        Asking {
            api: ctx.api(&run.namespace().unwrap_or_default()),
            name: vm.to_string(),
            prefix: format!("{}-{attempt}", uid.get(..8).unwrap_or(&uid)),
            run: uid,
            asked: AtomicU32::new(0),
        }
    }

    fn lost(&self, why: &dyn std::fmt::Display) -> NotDone {
        NotDone::Lost(format!("ProxmoxVM {}: {why}", self.name))
    }

    /// Writes the request down, again and again while the API server does not answer. Who lost the VM meanwhile asks for
    /// nothing.
    async fn ask(&self, request: &VmOperation, until: Instant) -> Result<(), NotDone> {
        loop {
            let asked = async {
                let mut vm = self.api.get(&self.name).await?;
                let status = vm.status.get_or_insert_default();
                // An answer that was lost: it is there already.
                if status.operation.as_ref().is_some_and(|o| o.id == request.id) {
                    return Ok(Ok(()));
                }
                status.operation = Some(request.clone());
                if !self.has(&vm) {
                    return Ok(Err(self.lost(&"another run has it now")));
                }
                self.api.replace_status(&self.name, &PostParams::default(), &vm).await?;
                Ok(Ok(()))
            };
            match asked.await {
                Ok(done) => return done,
                Err(e) => self.bear(&e, until).await?,
            }
        }
    }

    /// Waits a moment where another try may go better.
    async fn bear(&self, e: &kube::Error, until: Instant) -> Result<(), NotDone> {
        let hopeless = code(e).is_some_and(|c| (400..500).contains(&c) && ![409, 429].contains(&c));
        if hopeless || Instant::now() >= until {
            return Err(self.lost(e));
        }
        tokio::time::sleep(RETRY).await;
        Ok(())
    }

    /// Waits until the request is finished, or will never be.
    async fn wait(&self, id: &str, until: Instant) -> Result<Option<ProxmoxVM>, NotDone> {
        loop {
            let id = id.to_string();
            let ended = move |vm: Option<&ProxmoxVM>| finished(vm, &id).is_some() || hopeless(vm, &id);
            match await_condition(self.api.clone(), &self.name, ended).await {
                Ok(vm) => return Ok(vm),
                Err(e) => {
                    tracing::debug!(vm = %self.name, error = %e, "watching the request");
                    if Instant::now() >= until {
                        return Err(self.lost(&e));
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn has(&self, vm: &ProxmoxVM) -> bool {
        let holds = vm.status.as_ref().and_then(|s| s.holder.as_ref());
        holds.is_some_and(|h| h.uid == self.run) || vm.owner_references().iter().any(|o| o.uid == self.run)
    }
}

/// Takes the request back where nobody waits for it any more, so that it is not carried out in what comes after.
struct TakenBack {
    api: Api<ProxmoxVM>,
    name: String,
    id: Option<String>,
}

impl Drop for TakenBack {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (api, name) = (self.api.clone(), std::mem::take(&mut self.name));
        tokio::spawn(async move {
            for _ in 0..10 {
                let Ok(mut vm) = api.get(&name).await else { return };
                let status = vm.status.get_or_insert_default();
                if status.operation.as_ref().is_none_or(|o| o.id != id || !o.unfinished()) {
                    return;
                }
                status.operation = None;
                match api.replace_status(&name, &PostParams::default(), &vm).await {
                    Err(e) if code(&e) == Some(409) => {}
                    _ => return,
                }
            }
        });
    }
}

/// The request, once it is finished.
fn finished<'a>(vm: Option<&'a ProxmoxVM>, id: &str) -> Option<&'a VmOperation> {
    let operation = vm?.status.as_ref()?.operation.as_ref()?;
    (operation.id == id && !operation.unfinished()).then_some(operation)
}

/// Whether the VM will never finish the request: it is gone, or another request is there.
fn hopeless(vm: Option<&ProxmoxVM>, id: &str) -> bool {
    let operation = vm.and_then(|vm| vm.status.as_ref()?.operation.as_ref());
    operation.is_none_or(|o| o.id != id)
}

#[async_trait]
impl Hypervisor for Asking {
    async fn carry_out(&self, operation: Operation, until: Instant) -> Result<(), NotDone> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let (action, snapshot, memory) = match operation {
            Operation::Snapshot { name, memory } => (VmRequest::Snapshot, Some(name), memory),
            Operation::Rollback { name } => (VmRequest::Rollback, Some(name), false),
            Operation::Start => (VmRequest::Start, None, false),
            Operation::Shutdown => (VmRequest::Shutdown, None, false),
            Operation::Stop => (VmRequest::Stop, None, false),
        };
        let id = format!("{}-{number}", self.prefix);
        let left = until.saturating_duration_since(Instant::now()).as_secs();
        // What the task says comes before nobody waits for it any more.
        let seconds = u32::try_from(left.saturating_sub(SAY)).unwrap_or(u32::MAX).max(1);
        let request = VmOperation {
            id: id.clone(),
            action,
            snapshot,
            memory,
            seconds: (action == VmRequest::Shutdown).then_some(seconds),
            state: VmOperationState::Asked,
            message: None,
        };
        let mut taken_back = TakenBack {
            api: self.api.clone(),
            name: self.name.clone(),
            id: Some(id.clone()),
        };
        self.ask(&request, until).await?;
        let Ok(waited) = tokio::time::timeout_at(until, self.wait(&id, until)).await else {
            return Err(self.late(action).await);
        };
        let vm = waited?;
        taken_back.id = None;
        match finished(vm.as_ref(), &id) {
            Some(o) => {
                let message = o.message.clone().unwrap_or_default();
                match o.state {
                    VmOperationState::Done => Ok(()),
                    VmOperationState::GuestDidNot => Err(NotDone::GuestDidNot(message)),
                    _ => Err(NotDone::Refused(message)),
                }
            }
            None => Err(self.lost(&"the request was dropped before it was finished")),
        }
    }
}

impl Asking {
    /// Whose doing it is that it took too long: the guest's only where nothing else is waited for.
    async fn late(&self, action: VmRequest) -> NotDone {
        let vm = match self.api.get(&self.name).await {
            Ok(vm) => vm,
            Err(e) => return self.lost(&e),
        };
        let status = vm.status.unwrap_or_default();
        let ready = conditions::get(&status.conditions, "Ready");
        let (reason, said) = ready.map_or(("", ""), |c| (c.reason.as_str(), c.message.as_str()));
        let text = format!("ProxmoxVM {}: {said}", self.name);
        let boots = ["WaitingForGuest", "WaitingForConsole", "GuestUnreachable"].contains(&reason);
        match action == VmRequest::Start && boots {
            true => NotDone::GuestDidNot(text),
            false => NotDone::Late(text),
        }
    }
}
