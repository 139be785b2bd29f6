//! Looks at what the decision needs.

use super::super::conditions;
use super::super::context::Context;
use super::super::{Error, error::code};
use super::decide::{Observed, Vm, VmState, vm_message};
use super::resolve::{self, Wrong};
use crate::api::{FunctionalTestRun, ProxmoxVM, RunPhase, VmPhase};
use kube::{Resource, ResourceExt};

pub async fn observe(ctx: &Context, run: &FunctionalTestRun) -> Result<Observed, Error> {
    let uid = run.uid().unwrap_or_default();
    let status = run.status.clone().unwrap_or_default();
    let mut seen = Observed {
        identity: ctx.settings.identity.clone(),
        task: ctx.tasks.get(&uid),
        ..Observed::default()
    };
    match status.phase {
        None | Some(RunPhase::Pending) => {
            if run.metadata.deletion_timestamp.is_none() && !run.spec.cancel {
                seen.check = Some(check(ctx, run).await?);
            }
        }
        Some(RunPhase::Preparing | RunPhase::Finishing) => seen.vm = vm(ctx, run).await?,
        Some(RunPhase::Running) if run.metadata.deletion_timestamp.is_some() => seen.vm = vm(ctx, run).await?,
        Some(RunPhase::Running | RunPhase::Done) => {}
    }
    Ok(seen)
}

async fn check(ctx: &Context, run: &FunctionalTestRun) -> Result<Result<String, Wrong>, Error> {
    let resolved = match resolve::resolve(ctx, run).await? {
        Ok(r) => r,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let checked = super::act::check(ctx, run, &resolved);
    Ok(checked
        .map(|c| c.digest)
        .map_err(|texts| Wrong { texts, missing: false }))
}

async fn vm(ctx: &Context, run: &FunctionalTestRun) -> Result<Vm, Error> {
    let ns = run.namespace().unwrap_or_default();
    let status = run.status.clone().unwrap_or_default();
    let Some(name) = status.vm_name else {
        return Ok(Vm::Absent);
    };
    let found = match ctx.api::<ProxmoxVM>(&ns).get(&name).await {
        Ok(vm) => vm,
        Err(e) if code(&e) == Some(404) => return Ok(Vm::Absent),
        Err(e) => return Err(Error::kube(format!("reading ProxmoxVM {ns}/{name}"))(e)),
    };
    let uid = run.uid().unwrap_or_default();
    if run.spec.vm.reference.is_some() {
        match found.status.as_ref().and_then(|s| s.holder.as_ref()) {
            Some(h) if h.uid == uid => {}
            // Whoever took them next would find them under the names of its own.
            None if found.status.as_ref().is_some_and(|s| !s.checkpoints.is_empty()) => {
                let text = format!("snapshots of an earlier run are being removed from ProxmoxVM {name}");
                return Ok(Vm::Foreign(text));
            }
            None => return Ok(free(&found)),
            Some(h) => {
                let holder = match ctx.api::<FunctionalTestRun>(&ns).get(&h.name).await {
                    Ok(r) => Some(r),
                    Err(e) if code(&e) == Some(404) => None,
                    Err(e) => return Err(Error::kube(format!("reading FunctionalTestRun {ns}/{}", h.name))(e)),
                };
                let alive = holder.is_some_and(|r| {
                    r.uid().as_deref() == Some(&h.uid) && r.status.is_none_or(|s| s.phase != Some(RunPhase::Done))
                });
                return Ok(match alive {
                    true => Vm::Foreign(format!("ProxmoxVM {name} is used by {} {}", h.kind, h.name)),
                    false => free(&found),
                });
            }
        }
    } else if found.owner_references().iter().all(|o| o.uid != uid) {
        return Ok(Vm::Foreign(format!(
            "a ProxmoxVM {ns}/{name} exists that does not belong to this run; delete it or rename the run"
        )));
    }
    let mut state = state(&found);
    if let VmState::Failed(why) = &state
        && reason(&found) == TEMPLATE
        && all_nodes_answer(ctx, &ns, &found.spec.cluster_ref.name).await
    {
        state = VmState::Misconfigured(why.clone());
    }
    Ok(Vm::Ours {
        deleting: found.meta().deletion_timestamp.is_some(),
        state,
    })
}

/// Reason of a VM whose template is not there, is not the only one of its name, or cannot be cloned.
const TEMPLATE: &str = "TemplateNotUsable";

fn reason(vm: &ProxmoxVM) -> String {
    let conditions = vm.status.iter().flat_map(|s| &s.conditions);
    let ready = conditions.into_iter().find(|c| c.type_ == "Ready");
    ready.map(|c| c.reason.clone()).unwrap_or_default()
}

/// A node that is off takes the names of its templates off the cluster's list: then nobody wrote anything wrong.
async fn all_nodes_answer(ctx: &Context, ns: &str, cluster: &str) -> bool {
    let Ok(cluster) = ctx.cluster(ns, cluster).await else {
        return false;
    };
    let nodes = cluster.client.nodes().await.unwrap_or_default();
    !nodes.is_empty() && nodes.iter().all(|n| n.status == "online")
}

fn free(vm: &ProxmoxVM) -> Vm {
    Vm::Free {
        version: vm.resource_version().unwrap_or_default(),
    }
}

fn state(vm: &ProxmoxVM) -> VmState {
    let status = vm.status.clone().unwrap_or_default();
    let ready = conditions::get(&status.conditions, "Ready");
    let message = ready.map(|c| c.message.clone()).unwrap_or_default();
    if conditions::is_true(&status.conditions, "Stalled") || status.phase == Some(VmPhase::Failed) {
        let reason = ready.map(|c| c.reason.clone()).unwrap_or_default();
        return VmState::Failed(format!("ProxmoxVM {}: {reason}: {message}", vm.name_any()));
    }
    if status.phase == Some(VmPhase::Ready) && ready.is_some_and(|c| c.status == "True") {
        return VmState::Ready;
    }
    VmState::Pending(vm_message(&vm.name_any(), &message))
}
