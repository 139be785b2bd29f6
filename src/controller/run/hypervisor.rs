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
use tokio::time::Instant;

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

    /// Writes the request down. Who lost the VM meanwhile asks for nothing.
    async fn ask(&self, request: &VmOperation, until: Instant) -> Result<(), NotDone> {
        let lost = |e: &dyn std::fmt::Display| NotDone::Lost(format!("ProxmoxVM {}: {e}", self.name));
        loop {
            let mut vm = self.api.get(&self.name).await.map_err(|e| lost(&e))?;
            if !self.has(&vm) {
                return Err(lost(&"another run has it now"));
            }
            let status = vm.status.get_or_insert_default();
            let before = status.operation.as_ref();
            status.operation = Some(VmOperation {
                off: request.action == VmRequest::Snapshot && before.is_some_and(VmOperation::keeps_off),
                ..request.clone()
            });
            match self.api.replace_status(&self.name, &PostParams::default(), &vm).await {
                Ok(_) => return Ok(()),
                Err(e) if code(&e) == Some(409) && Instant::now() < until => {}
                Err(e) => return Err(lost(&e)),
            }
        }
    }

    fn has(&self, vm: &ProxmoxVM) -> bool {
        let holds = vm.status.as_ref().and_then(|s| s.holder.as_ref());
        holds.is_some_and(|h| h.uid == self.run) || vm.owner_references().iter().any(|o| o.uid == self.run)
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
        let request = VmOperation {
            id: id.clone(),
            action,
            snapshot,
            memory,
            off: false,
            state: VmOperationState::Asked,
            message: None,
        };
        self.ask(&request, until).await?;
        let ended = {
            let id = id.clone();
            move |vm: Option<&ProxmoxVM>| finished(vm, &id).is_some() || hopeless(vm, &id)
        };
        let waited = tokio::time::timeout_at(until, await_condition(self.api.clone(), &self.name, ended)).await;
        let lost = |e: &dyn std::fmt::Display| NotDone::Lost(format!("ProxmoxVM {}: {e}", self.name));
        let vm = match waited {
            Ok(Ok(vm)) => vm,
            Ok(Err(e)) => return Err(lost(&e)),
            Err(_) => {
                let vm = self.api.get(&self.name).await.map_err(|e| lost(&e))?;
                let status = vm.status.unwrap_or_default();
                let said = conditions::get(&status.conditions, "Ready");
                let said = said.map(|c| c.message.clone()).unwrap_or_default();
                return Err(NotDone::Late(format!("ProxmoxVM {}: {said}", self.name)));
            }
        };
        match finished(vm.as_ref(), &id) {
            Some(o) if o.state == VmOperationState::Done => Ok(()),
            Some(o) => Err(NotDone::Refused(o.message.clone().unwrap_or_default())),
            None => Err(lost(&"the request was dropped before it was finished")),
        }
    }
}
