//! Carries a step out: the intent first, with a resourceVersion check, then the write.

use super::super::conditions::Verdict;
use super::super::context::Context;
use super::super::{Error, backoff, gpu};
use super::decide::{self, Lease, Observed, Step, refusal};
use super::names;
use crate::api::{FINALIZER, ProxmoxVM, ProxmoxVMStatus, VmAction, VmIntent, VmPhase};
use crate::proxmox::{CloneParams, ErrorKind, Upid};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde_json::json;
use std::time::Duration;

/// What comes after a step.
pub enum Next {
    /// Look again at once.
    Again,
    /// Look again later.
    After(Duration),
    /// Nothing is left to do.
    Done,
}

pub async fn act(ctx: &Context, vm: ProxmoxVM, seen: &Observed, step: Step) -> Result<Next, Error> {
    match step {
        Step::Wait { phase, verdict, after } => {
            let lease = seen.device.clone();
            let fresh = write(ctx, vm, |s, generation| {
                s.phase = Some(phase);
                note_device(s, &lease);
                verdict.apply(&mut s.conditions, Timestamp::now(), generation);
            })
            .await?;
            if verdict.stalled {
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
        Step::Adopt { upid } => {
            learn(ctx, vm, |s| {
                if let Some(i) = s.intent.as_mut() {
                    i.upid = Some(upid.clone());
                }
            })
            .await?;
            Ok(Next::Again)
        }
        Step::Failed { kind, message } => failed(ctx, vm, kind, &message).await,
        Step::Configure { values } => configure(ctx, vm, seen, values).await,
        Step::Start => power(ctx, vm, seen, VmAction::Start).await,
        Step::Stop => power(ctx, vm, seen, VmAction::Stop).await,
        Step::Destroy => power(ctx, vm, seen, VmAction::Destroy).await,
        Step::Ready { ip, display } => {
            let first = vm.status.as_ref().is_none_or(|s| s.ready_at.is_none());
            let fresh = write(ctx, vm, |s, generation| {
                s.phase = Some(VmPhase::Ready);
                s.ip = ip;
                s.display = Some(display);
                s.intent = None;
                s.failures = None;
                s.ready_at.get_or_insert(Time(Timestamp::now()));
                decide::ready_verdict().apply(&mut s.conditions, Timestamp::now(), generation);
            })
            .await?;
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
    source: decide::Template,
    vmid: u32,
    target: Option<String>,
    full: bool,
) -> Result<Next, Error> {
    let uid = vm.uid().unwrap_or_default();
    let params = CloneParams {
        newid: vmid,
        name: Some(names::vm_name(&vm)),
        description: Some(names::description(&vm, &uid)),
        full,
        storage: vm
            .spec
            .source
            .clone
            .storage
            .clone()
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
        s.intent = Some(intent(VmAction::Clone));
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

async fn configure(
    ctx: &Context,
    vm: ProxmoxVM,
    seen: &Observed,
    values: Vec<(String, String)>,
) -> Result<Next, Error> {
    let pve = client(ctx, &vm).await?;
    let (node, vmid) = place(&vm)?;
    let lease = seen.device.clone();
    let ready = vm.status.as_ref().is_some_and(|s| s.phase == Some(VmPhase::Ready));
    let vm = write(ctx, vm, |s, generation| {
        s.intent = Some(intent(VmAction::Configure));
        note_device(s, &lease);
        if !ready {
            s.phase = Some(VmPhase::Configuring);
            let keys: Vec<&str> = values.iter().map(|(k, _)| k.as_str()).collect();
            Verdict::progressing("Configuring", format!("writing {}", keys.join(", "))).apply(
                &mut s.conditions,
                Timestamp::now(),
                generation,
            );
        }
    })
    .await?;
    let pairs: Vec<(&str, String)> = values.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
    match pve.set_config(&node, vmid, &pairs).await {
        Ok(()) => Ok(Next::Again),
        Err(e) => refused(ctx, vm, e).await,
    }
}

async fn power(ctx: &Context, vm: ProxmoxVM, seen: &Observed, action: VmAction) -> Result<Next, Error> {
    let pve = client(ctx, &vm).await?;
    let (node, vmid) = place(&vm)?;
    let (phase, reason, text) = match action {
        VmAction::Stop => (VmPhase::Deleting, "Stopping", format!("stopping VM {vmid}")),
        VmAction::Destroy => (VmPhase::Deleting, "Destroying", format!("destroying VM {vmid}")),
        _ => (VmPhase::Starting, "Starting", format!("starting VM {vmid}")),
    };
    let lease = seen.device.clone();
    let deleting = vm.metadata.deletion_timestamp.is_some();
    let vm = write(ctx, vm, |s, generation| {
        if s.intent.as_ref().is_some_and(|i| i.action != action) {
            s.failures = None;
        }
        s.intent = Some(intent(action));
        s.phase = Some(phase);
        if !deleting {
            note_device(s, &lease);
        }
        Verdict::progressing(reason, text.clone()).apply(&mut s.conditions, Timestamp::now(), generation);
    })
    .await?;
    let answer = match action {
        VmAction::Stop => pve.stop(&node, vmid).await,
        VmAction::Destroy => pve.delete(&node, vmid).await,
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

/// A call was refused, or its answer was lost. In the latter case the intent stays and the world is looked at.
async fn refused(ctx: &Context, vm: ProxmoxVM, e: crate::proxmox::Error) -> Result<Next, Error> {
    if e.kind == ErrorKind::Transport {
        return Err(e.into());
    }
    failed(ctx, vm, e.kind, &e.to_string()).await
}

async fn failed(ctx: &Context, vm: ProxmoxVM, kind: ErrorKind, message: &str) -> Result<Next, Error> {
    let (reason, hopeless) = refusal(kind);
    if kind == ErrorKind::NoGpu {
        gpu::refused(ctx, &vm, message).await?;
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
        if let Some(i) = s.intent.as_mut() {
            i.upid = None;
            i.at = Time(Timestamp::now());
        }
        let verdict = if failures >= decide::MANY_FAILURES {
            if s.phase != Some(VmPhase::Deleting) {
                s.phase = Some(VmPhase::Failed);
            }
            Verdict::stalled(reason, message)
        } else {
            Verdict::progressing(reason, message)
        };
        verdict.apply(&mut s.conditions, Timestamp::now(), generation);
    })
    .await?;
    event(ctx, &vm, true, reason, message).await;
    let failures = vm.status.as_ref().and_then(|s| s.failures).unwrap_or(1);
    Ok(Next::After(backoff::jitter(backoff::after_failures(failures))))
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

pub async fn add_finalizer(ctx: &Context, vm: &ProxmoxVM) -> Result<(), Error> {
    set_finalizers(ctx, vm, |f| f.push(FINALIZER.to_string())).await
}

async fn set_finalizers(ctx: &Context, vm: &ProxmoxVM, change: impl FnOnce(&mut Vec<String>)) -> Result<(), Error> {
    let mut list = vm.finalizers().to_vec();
    change(&mut list);
    let patch = json!({"metadata": {"finalizers": list, "resourceVersion": vm.metadata.resource_version}});
    let api = ctx.api::<ProxmoxVM>(&vm.namespace().unwrap_or_default());
    api.patch(&vm.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map_err(Error::kube(format!("finalizers of ProxmoxVM {}", decide::describe(vm))))?;
    Ok(())
}

async fn client(ctx: &Context, vm: &ProxmoxVM) -> Result<crate::proxmox::Client, Error> {
    let ns = vm.namespace().unwrap_or_default();
    Ok(ctx.cluster(&ns, &vm.spec.cluster_ref.name).await?.client)
}

fn place(vm: &ProxmoxVM) -> Result<(String, u32), Error> {
    let status = vm.status.as_ref();
    match (status.and_then(|s| s.node.clone()), status.and_then(|s| s.vmid)) {
        (Some(node), Some(vmid)) => Ok((node, vmid)),
        _ => Err(Error::Malformed(format!(
            "ProxmoxVM {} has no node and VMID in status",
            decide::describe(vm)
        ))),
    }
}

fn intent(action: VmAction) -> VmIntent {
    VmIntent {
        action,
        at: Time(Timestamp::now()),
        upid: None,
    }
}

fn note_device(s: &mut ProxmoxVMStatus, lease: &Lease) {
    if let Lease::Held(d) = lease {
        s.gpu = Some(d.name.clone());
    }
}

/// Notes the UPID of a task that was just started.
async fn started(ctx: &Context, vm: ProxmoxVM, upid: &Upid) -> Result<ProxmoxVM, Error> {
    let text = upid.to_string();
    learn(ctx, vm, |s| {
        if let Some(i) = s.intent.as_mut() {
            i.upid = Some(text.clone());
        }
    })
    .await
}

/// Writes status if it changes; fails with a conflict when the object changed since it was read.
async fn write(
    ctx: &Context,
    vm: ProxmoxVM,
    change: impl FnOnce(&mut ProxmoxVMStatus, Option<i64>),
) -> Result<ProxmoxVM, Error> {
    let generation = vm.metadata.generation;
    let mut status = vm.status.clone().unwrap_or_default();
    change(&mut status, generation);
    status.observed_generation = generation;
    if vm.status.as_ref() == Some(&status) {
        return Ok(vm);
    }
    let mut new = vm;
    new.status = Some(status);
    put(ctx, &new).await
}

async fn put(ctx: &Context, vm: &ProxmoxVM) -> Result<ProxmoxVM, Error> {
    ctx.api::<ProxmoxVM>(&vm.namespace().unwrap_or_default())
        .replace_status(&vm.name_any(), &PostParams::default(), vm)
        .await
        .map_err(Error::kube(format!(
            "writing status of ProxmoxVM {}",
            decide::describe(vm)
        )))
}

/// Writes something that is known and must not get lost; a conflict is resolved by writing it to the newer object.
async fn learn(ctx: &Context, vm: ProxmoxVM, change: impl Fn(&mut ProxmoxVMStatus)) -> Result<ProxmoxVM, Error> {
    let api = ctx.api::<ProxmoxVM>(&vm.namespace().unwrap_or_default());
    let (name, uid) = (vm.name_any(), vm.uid());
    let mut new = vm;
    for _ in 0..5 {
        change(new.status.get_or_insert_default());
        match put(ctx, &new).await {
            Ok(vm) => return Ok(vm),
            Err(e) if e.is_conflict() => {
                new = api
                    .get(&name)
                    .await
                    .map_err(Error::kube(format!("reading ProxmoxVM {name}")))?;
                if new.uid() != uid {
                    return Err(Error::Malformed(format!(
                        "ProxmoxVM {name} was replaced by another of that name"
                    )));
                }
            }
            Err(e) => return Err(e),
        }
    }
    Err(Error::Malformed(format!(
        "status of ProxmoxVM {name} changes faster than it can be written"
    )))
}

async fn event(ctx: &Context, vm: &ProxmoxVM, warning: bool, reason: &str, note: &str) {
    ctx.event(&vm.object_ref(&()), warning, reason, note).await;
}
