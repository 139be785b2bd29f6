//! Writing status and finalizers: always with a resourceVersion check.

use super::super::conditions;
use super::super::context::Context;
use super::super::{Error, backoff};
use super::seen::{Lease, Observed, Vm};
use super::{config, decide};
use crate::api::{FINALIZER, ProxmoxVM, ProxmoxVMStatus, VmAction, VmIntent};
use crate::proxmox::Upid;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde_json::json;

/// Condition that says that changes wait for a restart, which is not forced on whoever uses the VM.
const RESTART: &str = "RestartRequired";

pub(super) async fn add_finalizer(ctx: &Context, vm: &ProxmoxVM) -> Result<(), Error> {
    set_finalizers(ctx, vm, |f| f.push(FINALIZER.to_string())).await
}

pub(super) async fn set_finalizers(
    ctx: &Context,
    vm: &ProxmoxVM,
    change: impl FnOnce(&mut Vec<String>),
) -> Result<(), Error> {
    let mut list = vm.finalizers().to_vec();
    change(&mut list);
    let patch = json!({"metadata": {"finalizers": list, "resourceVersion": vm.metadata.resource_version}});
    let api = ctx.api::<ProxmoxVM>(&vm.namespace().unwrap_or_default());
    api.patch(&vm.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map_err(Error::kube(format!("finalizers of ProxmoxVM {}", decide::describe(vm))))?;
    Ok(())
}

pub(super) fn intent(action: VmAction) -> VmIntent {
    VmIntent {
        action,
        at: Time(Timestamp::now()),
        upid: None,
        operation: None,
        settings: None,
        after: None,
    }
}

/// Writes down that settings are about to be written. The same ones again, though no edit came between, show that
/// Proxmox took them and has something else all the same: the next try waits, longer each time. The number of times that
/// this was so.
pub(super) fn begin_settings(s: &mut ProxmoxVMStatus, keys: &str, generation: Option<i64>) -> u32 {
    let same = |i: &VmIntent| i.action == VmAction::Configure && i.settings.as_deref() == Some(keys);
    let again = s.observed_generation == generation && s.intent.as_ref().is_some_and(same);
    let vain = if again { s.failures.unwrap_or(0) + 1 } else { 0 };
    begin(s, VmAction::Configure);
    s.failures = (vain > 0).then_some(vain);
    if let Some(i) = s.intent.as_mut() {
        i.settings = Some(keys.to_string());
    }
    if vain > 0 {
        let pause = match vain >= decide::MANY_FAILURES {
            true => super::step::STALLED_PAUSE,
            false => backoff::after_failures(vain),
        };
        s.next_attempt_at = Some(Time(backoff::later(Timestamp::now(), backoff::jitter(pause))));
    }
    vain
}

/// Writes the intent down; another action begins without failures.
pub(super) fn begin(s: &mut ProxmoxVMStatus, action: VmAction) {
    let request = s.operation.as_ref().filter(|o| o.unfinished()).map(|o| o.id.clone());
    let same = |i: &VmIntent| i.action == action && i.operation == request;
    if !s.intent.as_ref().is_some_and(same) {
        s.failures = None;
    }
    s.next_attempt_at = None;
    s.intent = Some(VmIntent {
        operation: request,
        ..intent(action)
    });
}

/// As `begin`, for a write that cannot be seen on the VM: what was the latest task of its kind before.
pub(super) fn begin_after(s: &mut ProxmoxVMStatus, action: VmAction, after: Option<String>) {
    begin(s, action);
    if let Some(intent) = s.intent.as_mut() {
        intent.after = after;
    }
}

/// Nothing is being done any more.
pub(super) fn settle(s: &mut ProxmoxVMStatus) {
    s.intent = None;
    s.failures = None;
    s.next_attempt_at = None;
}

/// Says which settings wait for a restart, where that was looked at.
pub(super) fn note_restart(s: &mut ProxmoxVMStatus, seen: &Observed, generation: Option<i64>) {
    let Some(pending) = &seen.pending else {
        if matches!(
            seen.vm,
            Vm::Present {
                running: Some(false),
                ..
            }
        ) {
            conditions::clear(&mut s.conditions, RESTART);
        }
        return;
    };
    let keys = config::restart_for(pending);
    if keys.is_empty() {
        conditions::clear(&mut s.conditions, RESTART);
        return;
    }
    let text = format!(
        "{} differ(s) from what the running VM has; stop it in Proxmox, or set spec.power to Stopped and back, for them to count",
        keys.join(", ")
    );
    let now = Timestamp::now();
    conditions::set(
        &mut s.conditions,
        now,
        generation,
        RESTART,
        "True",
        "PendingChanges",
        &text,
    );
}

pub(super) fn restart_required(vm: &ProxmoxVM) -> bool {
    vm.status
        .as_ref()
        .is_some_and(|s| conditions::is_true(&s.conditions, RESTART))
}

pub(super) async fn tell_restart(ctx: &Context, vm: &ProxmoxVM, before: bool) {
    let list = vm.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    if !before && let Some(c) = conditions::get(list, RESTART) {
        event(ctx, vm, true, RESTART, &c.message).await;
    }
}

pub(super) fn note_device(s: &mut ProxmoxVMStatus, lease: &Lease) {
    if let Lease::Held(d) = lease {
        s.gpu = Some(d.name.clone());
    }
}

/// Notes the UPID of a task that was just started.
pub(super) async fn started(ctx: &Context, vm: ProxmoxVM, upid: &Upid) -> Result<ProxmoxVM, Error> {
    let text = upid.to_string();
    learn(ctx, vm, |s| {
        if let Some(i) = s.intent.as_mut() {
            i.upid = Some(text.clone());
        }
    })
    .await
}

/// Writes status if it changes; fails with a conflict when the object changed since it was read.
pub(super) async fn write(
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
pub(super) async fn learn(
    ctx: &Context,
    vm: ProxmoxVM,
    change: impl Fn(&mut ProxmoxVMStatus),
) -> Result<ProxmoxVM, Error> {
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

pub(super) async fn event(ctx: &Context, vm: &ProxmoxVM, warning: bool, reason: &str, note: &str) {
    ctx.event(&vm.object_ref(&()), warning, reason, note).await;
}
