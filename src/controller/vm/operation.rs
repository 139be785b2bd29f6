//! Carries out what a run asks of its VM: the intent first, then the write.

use super::super::conditions::Verdict;
use super::super::context::Context;
use super::super::{Error, backoff};
use super::act::{Next, client, place, refused};
use super::status::{begin, begin_after, event, intent, settle, started, write};
use super::{lost, names};
use crate::api::{ProxmoxVM, ProxmoxVMStatus, VmAction, VmOperationState, VmPhase, VmRequest};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::time::Duration;

/// Takes the snapshot that the run asks for.
pub(super) async fn snapshot(ctx: &Context, vm: ProxmoxVM, name: &str) -> Result<Next, Error> {
    let pve = client(ctx, &vm).await?;
    let (node, vmid) = place(&vm)?;
    let memory = vm
        .status
        .as_ref()
        .and_then(|s| s.operation.as_ref())
        .is_some_and(|o| o.memory);
    let text = format!("taking snapshot {name} of VM {vmid}");
    let after = lost::latest(&pve, &node, "qmsnapshot", vmid).await?;
    let vm = write(ctx, vm, |s, generation| {
        begin_after(s, VmAction::Snapshot, after);
        // It is ours from now on, whatever becomes of the call.
        if !s.checkpoints.iter().any(|n| n == name) {
            s.checkpoints.push(name.to_string());
        }
        Verdict::progressing("Snapshot", text.clone()).apply(&mut s.conditions, Timestamp::now(), generation);
    })
    .await?;
    let note = names::checkpoint(&vm);
    match pve.create_snapshot(&node, vmid, name, &note, memory).await {
        Ok(upid) => {
            let vm = started(ctx, vm, &upid).await?;
            event(ctx, &vm, false, "Snapshot", &text).await;
            Ok(Next::After(backoff::polling(Duration::ZERO)))
        }
        Err(e) => refused(ctx, vm, e).await,
    }
}

/// Removes a snapshot that was taken for a run.
pub(super) async fn drop_snapshot(ctx: &Context, vm: ProxmoxVM, name: &str) -> Result<Next, Error> {
    let pve = client(ctx, &vm).await?;
    let (node, vmid) = place(&vm)?;
    let text = format!("removing snapshot {name} of VM {vmid}");
    let vm = write(ctx, vm, |s, generation| {
        begin(s, VmAction::DeleteSnapshot);
        Verdict::progressing("Snapshot", text.clone()).apply(&mut s.conditions, Timestamp::now(), generation);
    })
    .await?;
    match pve.delete_snapshot(&node, vmid, name).await {
        Ok(upid) => {
            let vm = started(ctx, vm, &upid).await?;
            event(ctx, &vm, false, "SnapshotRemoved", &text).await;
            Ok(Next::After(backoff::polling(Duration::ZERO)))
        }
        Err(e) => refused(ctx, vm, e).await,
    }
}

/// Notes that a snapshot is gone.
pub(super) async fn dropped(ctx: &Context, vm: ProxmoxVM, name: &str) -> Result<Next, Error> {
    write(ctx, vm, |s, _| {
        s.checkpoints.retain(|n| n != name);
        settle(s);
    })
    .await?;
    Ok(Next::Again)
}

/// Notes that what the run asked for is carried out, or why it cannot be.
pub(super) async fn operated(ctx: &Context, vm: ProxmoxVM, failed: Option<String>) -> Result<Next, Error> {
    let warning = failed.is_some();
    let mut told = String::new();
    let vm = write(ctx, vm, |s, _| {
        told = note_end(s, failed);
    })
    .await?;
    tracing::debug!(vm = %vm.name_any(), told, "operation");
    if warning {
        event(ctx, &vm, true, "OperationFailed", &told).await;
    }
    Ok(Next::Again)
}

fn note_end(s: &mut ProxmoxVMStatus, failed: Option<String>) -> String {
    let Some(operation) = s.operation.as_mut() else {
        return String::new();
    };
    let back = operation.action == VmRequest::Rollback && failed.is_none();
    operation.state = match (&failed, operation.action) {
        // So the task ends when the guest was asked and is still there (proxmox-observed.md).
        (Some(why), VmRequest::Shutdown) if why.contains("powerdown failed - got timeout") => {
            VmOperationState::GuestDidNot
        }
        (Some(_), _) => VmOperationState::Failed,
        (None, VmRequest::Rollback) => VmOperationState::Returning,
        (None, _) => VmOperationState::Done,
    };
    if failed.is_none() && operation.action != VmRequest::Snapshot {
        s.held_off = matches!(operation.action, VmRequest::Shutdown | VmRequest::Stop);
    }
    operation.message.clone_from(&failed);
    if let (VmRequest::Snapshot, Some(_), Some(name)) = (operation.action, &failed, &operation.snapshot) {
        // One of that name was there before, or none came to be: if half of one did, it is found and removed.
        let intended = s.intent.as_ref().is_some_and(|i| i.action == VmAction::Snapshot);
        if !intended {
            s.checkpoints.retain(|n| n != name);
        }
    }
    settle(s);
    if back {
        // Guest and console have to answer anew; the time since then is that of the boot, where there is one.
        s.intent = Some(intent(VmAction::Configure));
        s.phase = Some(VmPhase::Configuring);
    }
    failed.unwrap_or_default()
}

/// Guest and console answer: what waited for that is done.
pub(super) fn returned(s: &mut ProxmoxVMStatus) {
    if let Some(operation) = s.operation.as_mut()
        && (operation.state == VmOperationState::Returning
            || (operation.state == VmOperationState::Asked && operation.action == VmRequest::Start))
    {
        operation.state = VmOperationState::Done;
        s.held_off = false;
    }
}
