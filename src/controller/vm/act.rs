//! Carries a step out: the intent first, with a resourceVersion check, then the write.

use super::super::conditions::Verdict;
use super::super::context::Context;
use super::super::{Error, backoff, gpu};
use super::config::Change;
use super::decide;
use super::names;
use super::refusal::{refusal, with_advice};
use super::seen::{Observed, Template};
use super::status::{
    begin, begin_after, begin_settings, event, intent, learn, note_device, note_restart, restart_required,
    set_finalizers, settle, started, tell_restart, write,
};
use super::step::Step;
use super::{lost, operate, operation, ssh};
use crate::api::{FINALIZER, ProxmoxVM, VmAction, VmPhase};
use crate::proxmox::{CloneParams, ErrorKind, VmConfig};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DeleteParams, Preconditions};
use std::time::Duration;

/// Seconds that a guest gets to shut down.
const SHUTDOWN_SECONDS: u32 = 60;

/// What comes after a step.
pub enum Next {
    /// Look again at once.
    Again,
    /// Look again at once; the configuration of the stopped VM is known.
    Configured(VmConfig),
    /// Look again later.
    After(Duration),
    /// Nothing is left to do.
    Done,
}

pub async fn act(ctx: &Context, vm: ProxmoxVM, seen: &Observed, step: Step) -> Result<Next, Error> {
    match step {
        Step::Wait { phase, verdict, after } => {
            let lease = seen.device.clone();
            let before = restart_required(&vm);
            let known = vm.status.iter().flat_map(|s| &s.conditions);
            let known = known
                .into_iter()
                .any(|c| c.type_ == "Ready" && c.reason == verdict.reason);
            let fresh = write(ctx, vm, |s, generation| {
                s.phase = Some(phase);
                if verdict.ready {
                    settle(s);
                }
                note_device(s, &lease);
                note_restart(s, seen, generation);
                verdict.apply(&mut s.conditions, Timestamp::now(), generation);
            })
            .await?;
            tell_restart(ctx, &fresh, before).await;
            if verdict.stalled || (verdict.reason == "ClusterUnavailable" && !known) {
                event(ctx, &fresh, true, &verdict.reason, &verdict.message).await;
            }
            Ok(Next::After(backoff::jitter(after)))
        }
        Step::Clone {
            source,
            vmid,
            target,
            full,
        } => clone(ctx, vm, seen, source, vmid, target, full).await,
        Step::Plan { vmid, node } => {
            write(ctx, vm, |s, generation| {
                s.vmid = Some(vmid);
                s.phase = Some(VmPhase::Configuring);
                let text = format!("VM {vmid} is on node {node}");
                s.node = Some(node);
                Verdict::progressing("Adopting", text).apply(&mut s.conditions, Timestamp::now(), generation);
            })
            .await?;
            Ok(Next::Again)
        }
        Step::Moved { node } => {
            let text = format!("the VM is on node {node} now");
            let fresh = write(ctx, vm, |s, _| s.node = Some(node)).await?;
            event(ctx, &fresh, false, "Moved", &text).await;
            Ok(Next::Again)
        }
        Step::Readdressed { ip } => {
            let text = format!("the guest's address is {ip} now");
            let fresh = write(ctx, vm, |s, _| s.ip = Some(ip)).await?;
            event(ctx, &fresh, false, "Readdressed", &text).await;
            Ok(Next::Again)
        }
        Step::RolledBack { snapshot } => {
            let text = format!("rolled back to snapshot {snapshot}");
            let fresh = write(ctx, vm, |s, _| {
                s.rolled_back_to = Some(snapshot);
                // The time since then is that of the boot, when the snapshot had the VM running.
                s.intent = Some(intent(VmAction::Configure));
                s.failures = None;
                s.next_attempt_at = None;
            })
            .await?;
            event(ctx, &fresh, false, "RolledBack", &text).await;
            Ok(Next::Again)
        }
        Step::Snapshot { name } => operation::snapshot(ctx, vm, &name).await,
        Step::DropSnapshot { name } => operation::drop_snapshot(ctx, vm, &name).await,
        Step::Dropped { name } => operation::dropped(ctx, vm, &name).await,
        Step::Operated { failed } => operation::operated(ctx, vm, failed).await,
        Step::Expire => expire(ctx, vm).await,
        Step::Learn { upid } => {
            learn(ctx, vm, |s| {
                if let Some(i) = s.intent.as_mut() {
                    i.upid = Some(upid.clone());
                }
            })
            .await?;
            Ok(Next::Again)
        }
        Step::Failed { kind, message } => failed(ctx, vm, kind, &message).await,
        Step::Configure { change } => configure(ctx, vm, seen, change).await,
        Step::Rollback { snapshot } => power(ctx, vm, seen, VmAction::Rollback, &snapshot).await,
        Step::Start => power(ctx, vm, seen, VmAction::Start, "").await,
        Step::Shutdown => power(ctx, vm, seen, VmAction::Shutdown, "").await,
        Step::Stop => power(ctx, vm, seen, VmAction::Stop, "").await,
        Step::Destroy => power(ctx, vm, seen, VmAction::Destroy, "").await,
        Step::Ready { ip, display, ssh } => {
            let first = vm.status.as_ref().is_none_or(|s| s.ready_at.is_none());
            let before = restart_required(&vm);
            let pinned = ssh.filter(|p| vm.status.as_ref().is_none_or(|s| !ssh::is_pinned(s, p)));
            let verdict = decide::ready_verdict(&vm);
            let fresh = write(ctx, vm, |s, generation| {
                s.phase = Some(VmPhase::Ready);
                if let Some(p) = &pinned {
                    s.ssh = Some(ssh::pin(p, Timestamp::now()));
                }
                s.ip = ip;
                s.display = Some(display);
                settle(s);
                operation::returned(s);
                note_restart(s, seen, generation);
                s.ready_at.get_or_insert(Time(Timestamp::now()));
                verdict.apply(&mut s.conditions, Timestamp::now(), generation);
            })
            .await?;
            tell_restart(ctx, &fresh, before).await;
            if let Some(p) = &pinned {
                let (warning, reason, text) = ssh::told(p);
                event(ctx, &fresh, warning, reason, &text).await;
            }
            if first {
                let size = format!("guest answers, console is {}x{}", display.width, display.height);
                event(ctx, &fresh, false, "Ready", &size).await;
            }
            Ok(Next::After(decide::READY_PAUSE))
        }
        Step::Release => release(ctx, vm).await,
    }
}

async fn clone(
    ctx: &Context,
    vm: ProxmoxVM,
    seen: &Observed,
    source: Template,
    vmid: u32,
    target: Option<String>,
    full: bool,
) -> Result<Next, Error> {
    let uid = vm.uid().unwrap_or_default();
    let params = CloneParams {
        newid: vmid,
        name: Some(names::vm_name(&vm)),
        description: Some(names::description(&vm, &uid, &seen.placement.installation, vmid)),
        full,
        storage: vm
            .spec
            .source
            .clone
            .clone()
            .and_then(|c| c.storage)
            .or_else(|| seen.placement.storage.clone())
            .filter(|_| full),
        pool: seen.placement.pool.clone(),
        target: target.clone(),
    };
    let pve = client(ctx, &vm).await?;
    let node = target.unwrap_or_else(|| source.node.clone());
    let lease = seen.device.clone();
    let vm = write(ctx, vm, |s, generation| {
        s.vmid = Some(vmid);
        s.node = Some(node);
        s.phase = Some(VmPhase::Cloning);
        begin(s, VmAction::Clone);
        note_device(s, &lease);
        Verdict::progressing("Cloning", format!("cloning VM {} to VMID {vmid}", source.vmid)).apply(
            &mut s.conditions,
            Timestamp::now(),
            generation,
        );
    })
    .await?;
    match pve.clone_vm(&source.node, source.vmid, &params).await {
        Ok(upid) => {
            let text = format!("cloning VM {} to VMID {vmid}", source.vmid);
            let vm = started(ctx, vm, &upid).await?;
            event(ctx, &vm, false, "Cloning", &text).await;
            Ok(Next::After(backoff::polling(Duration::ZERO)))
        }
        // Somebody else has the id, or a call of ours whose answer was lost made it: look again.
        Err(e) if e.kind == ErrorKind::AlreadyExists => Ok(Next::Again),
        Err(e) => refused(ctx, vm, e).await,
    }
}

async fn configure(ctx: &Context, vm: ProxmoxVM, seen: &Observed, change: Change) -> Result<Next, Error> {
    let pve = client(ctx, &vm).await?;
    let (node, vmid) = place(&vm)?;
    let lease = seen.device.clone();
    let was = vm.status.clone().unwrap_or_default();
    let deleting = vm.metadata.deletion_timestamp.is_some();
    let ready = was.phase == Some(VmPhase::Ready);
    // Made, and not started since.
    let last = was.intent.as_ref().map(|i| i.action);
    let fresh = vm.spec.source.adopt.is_none() && matches!(last, Some(VmAction::Clone | VmAction::Configure));
    let keys = change.keys();
    let (mut text, mut vain) = (format!("writing {keys}"), 0);
    let vm = write(ctx, vm, |s, generation| {
        vain = begin_settings(s, &keys, generation);
        if vain > 0 {
            text = format!(
                "writing {keys} again: Proxmox took it {vain} time(s) and still has {}",
                change.found(&seen.vm)
            );
        }
        s.original.extend(change.remember.clone());
        if !deleting {
            note_device(s, &lease);
        }
        if !ready || deleting || vain > 0 {
            s.phase = Some(match (deleting, vain >= decide::MANY_FAILURES) {
                (true, _) => VmPhase::Deleting,
                (false, true) => VmPhase::Failed,
                (false, false) => VmPhase::Configuring,
            });
            let reason = if deleting { "GivingBack" } else { "Configuring" };
            let verdict = match vain >= decide::MANY_FAILURES {
                true => Verdict::stalled("SettingsNotTaken", text.clone()),
                false => Verdict::progressing(reason, text.clone()),
            };
            verdict.apply(&mut s.conditions, Timestamp::now(), generation);
        }
    })
    .await?;
    if ready && !deleting {
        // The spec was edited, or the VM was.
        let drift = was.observed_generation == vm.metadata.generation;
        let reason = if drift { "ConfigDrift" } else { "Reconfiguring" };
        event(ctx, &vm, drift, reason, &text).await;
    }
    let pairs: Vec<(&str, String)> = change.values.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
    match pve.set_config(&node, vmid, &pairs).await {
        Ok(()) => match &seen.vm {
            // Only a fresh clone is known to be off and to be nobody else's to write to.
            super::seen::Vm::Present {
                config, running: None, ..
            } if vain == 0 && !deleting && fresh => Ok(Next::Configured(change.applied(config))),
            _ => Ok(Next::Again),
        },
        Err(e) => refused(ctx, vm, e).await,
    }
}

async fn power(ctx: &Context, vm: ProxmoxVM, seen: &Observed, action: VmAction, snapshot: &str) -> Result<Next, Error> {
    let pve = client(ctx, &vm).await?;
    let (node, vmid) = place(&vm)?;
    let deleting = vm.metadata.deletion_timestamp.is_some();
    let (phase, reason, text) = match action {
        VmAction::Stop if !deleting => (VmPhase::Stopped, "Stopping", format!("stopping VM {vmid}")),
        VmAction::Stop => (VmPhase::Deleting, "Stopping", format!("stopping VM {vmid}")),
        VmAction::Destroy => (VmPhase::Deleting, "Destroying", format!("destroying VM {vmid}")),
        VmAction::Shutdown if deleting => (VmPhase::Deleting, "ShuttingDown", format!("shutting VM {vmid} down")),
        VmAction::Shutdown => (VmPhase::Stopped, "ShuttingDown", format!("shutting VM {vmid} down")),
        VmAction::Rollback => (
            VmPhase::Configuring,
            "RollingBack",
            format!("rolling VM {vmid} back to snapshot {snapshot}"),
        ),
        _ => (VmPhase::Starting, "Starting", format!("starting VM {vmid}")),
    };
    let lease = seen.device.clone();
    let unexpected = action == VmAction::Start
        && operate::unfinished(&vm).is_none()
        && vm.status.as_ref().is_some_and(|s| s.phase == Some(VmPhase::Ready));
    let after = match action {
        VmAction::Rollback => lost::latest(&pve, &node, "qmrollback", vmid).await?,
        _ => None,
    };
    let vm = write(ctx, vm, |s, generation| {
        begin_after(s, action, after);
        s.phase = Some(phase);
        if !deleting {
            note_device(s, &lease);
        }
        Verdict::progressing(reason, text.clone()).apply(&mut s.conditions, Timestamp::now(), generation);
    })
    .await?;
    if unexpected {
        let text = format!("VM {vmid} was ready and is off; it is started again");
        event(ctx, &vm, true, "StoppedUnexpectedly", &text).await;
    }
    let answer = match action {
        VmAction::Stop => pve.stop(&node, vmid).await,
        VmAction::Shutdown => match operate::unfinished(&vm).and_then(|o| o.seconds) {
            // The run wants to know whether the guest ends by itself.
            Some(seconds) => pve.shutdown(&node, vmid, seconds, false).await,
            None => pve.shutdown(&node, vmid, SHUTDOWN_SECONDS, true).await,
        },
        VmAction::Destroy => pve.delete(&node, vmid).await,
        VmAction::Rollback => pve.rollback(&node, vmid, snapshot, false).await,
        _ => pve.start(&node, vmid).await,
    };
    match answer {
        Ok(upid) => {
            let vm = started(ctx, vm, &upid).await?;
            event(ctx, &vm, false, reason, &text).await;
            Ok(Next::After(backoff::polling(Duration::ZERO)))
        }
        Err(e) if action == VmAction::Destroy && e.kind == ErrorKind::NotFound => Ok(Next::Again),
        Err(e) => refused(ctx, vm, e).await,
    }
}

/// The object's time is over. Its finalizer sees to the VM.
async fn expire(ctx: &Context, vm: ProxmoxVM) -> Result<Next, Error> {
    event(ctx, &vm, false, "Expired", "spec.ttlSeconds is over").await;
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: vm.uid(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let api = ctx.api::<ProxmoxVM>(&vm.namespace().unwrap_or_default());
    match api.delete(&vm.name_any(), &params).await {
        Ok(_) => Ok(Next::Again),
        Err(e) if matches!(super::super::error::code(&e), Some(404 | 409)) => Ok(Next::Again),
        Err(e) => Err(Error::kube(format!("deleting ProxmoxVM {}", decide::describe(&vm)))(e)),
    }
}

/// A call was refused, or its answer was lost. In the latter case the intent stays and the world is looked at.
pub(super) async fn refused(ctx: &Context, vm: ProxmoxVM, e: crate::proxmox::Error) -> Result<Next, Error> {
    if e.kind == ErrorKind::Transport {
        return Err(e.into());
    }
    failed(ctx, vm, e.kind, &e.to_string()).await
}

async fn failed(ctx: &Context, vm: ProxmoxVM, kind: ErrorKind, message: &str) -> Result<Next, Error> {
    let (reason, hopeless) = refusal(kind, message);
    let known = vm.status.clone().unwrap_or_default();
    let message = with_advice(
        message,
        known.vmid.unwrap_or_default(),
        known.node.as_deref().unwrap_or_default(),
    );
    let mut pause = Duration::ZERO;
    if kind == ErrorKind::NoGpu {
        gpu::refused(ctx, &vm, &message).await?;
    }
    if operate::unfinished(&vm).is_some() && !operate::passes(kind) {
        return operation::operated(ctx, vm, Some(message)).await;
    }
    let vm = write(ctx, vm, |s, generation| {
        let before = s.failures.unwrap_or(0);
        let failures = if hopeless {
            (before + 1).max(decide::MANY_FAILURES)
        } else if matches!(
            kind,
            ErrorKind::Busy | ErrorKind::Locked | ErrorKind::NoGpu | ErrorKind::NodeOffline
        ) {
            // Somebody else's doing: wait, but never give up.
            (before + 1).min(decide::MANY_FAILURES - 1)
        } else {
            before + 1
        };
        s.failures = Some(failures);
        pause = backoff::jitter(match failures >= decide::MANY_FAILURES {
            true => super::step::STALLED_PAUSE,
            false => backoff::after_failures(failures),
        });
        s.next_attempt_at = Some(Time(backoff::later(Timestamp::now(), pause)));
        if let Some(i) = s.intent.as_mut() {
            i.upid = None;
            i.at = Time(Timestamp::now());
        }
        let verdict = if failures >= decide::MANY_FAILURES {
            if s.phase != Some(VmPhase::Deleting) {
                s.phase = Some(VmPhase::Failed);
            }
            Verdict::stalled(reason, message.clone())
        } else {
            Verdict::progressing(reason, message.clone())
        };
        verdict.apply(&mut s.conditions, Timestamp::now(), generation);
    })
    .await?;
    event(ctx, &vm, true, reason, &message).await;
    Ok(Next::After(pause))
}

async fn release(ctx: &Context, vm: ProxmoxVM) -> Result<Next, Error> {
    let ns = vm.namespace().unwrap_or_default();
    if let Some(profile) = &vm.spec.gpu_profile_ref {
        gpu::release(ctx, &ns, &profile.name, vm.metadata.uid.as_deref().unwrap_or_default()).await?;
    }
    event(
        ctx,
        &vm,
        false,
        "Released",
        "nothing is left of this VM that mosdat would remove",
    )
    .await;
    set_finalizers(ctx, &vm, |f| f.retain(|x| x != FINALIZER)).await?;
    Ok(Next::Done)
}

pub(super) async fn client(ctx: &Context, vm: &ProxmoxVM) -> Result<crate::proxmox::Client, Error> {
    let ns = vm.namespace().unwrap_or_default();
    let name = &vm.spec.cluster_ref.name;
    let cluster = match vm.metadata.deletion_timestamp.is_some() {
        true => ctx.cluster_to_clean_up(&ns, name).await?,
        false => ctx.cluster(&ns, name).await?,
    };
    Ok(cluster.client)
}

pub(super) fn place(vm: &ProxmoxVM) -> Result<(String, u32), Error> {
    let status = vm.status.as_ref();
    match (status.and_then(|s| s.node.clone()), status.and_then(|s| s.vmid)) {
        (Some(node), Some(vmid)) => Ok((node, vmid)),
        _ => Err(Error::Malformed(format!(
            "ProxmoxVM {} has no node and VMID in status",
            decide::describe(vm)
        ))),
    }
}
