//! `ProxmoxVM`: clone or adopt, configure, start, wait for guest and console; then keep it so. On deletion destroy it,
//! or stop it, or give it back.
//!
//! Promises: `observe` only reads, `decide` (with `clone`, `adopt`, `config`, `delete`) is pure, `act` writes the
//! intent down before every write to Proxmox. Only VMs that carry the object's UID are written to.

mod act;
mod adopt;
mod checked;
mod clone;
mod config;
mod decide;
mod delete;
pub(super) mod names;
mod observe;
mod operate;
mod operation;
pub(super) mod refusal;
mod look;
mod lost;
mod seen;
mod slots;
mod ssh;
mod status;
mod step;
mod vmids;
#[cfg(test)]
mod table;
#[cfg(test)]
mod table_delete;
#[cfg(test)]
mod table_more;
#[cfg(test)]
mod table_operate;

pub(super) use checked::Checked;
pub(super) use slots::Slots;
pub(super) use ssh::of_run as ssh_login;
pub(super) use vmids::Vmids;

use super::{Context, Error, backoff};
use crate::api::{FINALIZER, ProxmoxVM};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::time::Duration;

/// Annotation that drops the finalizer without proof that the VM is gone.
pub const FORCE_DELETE: &str = "mosdat.dev/force-delete";

/// Steps in one reconcile before other objects get their turn.
const STEPS: usize = 12;

pub async fn reconcile(seen: Arc<ProxmoxVM>, ctx: Arc<Context>) -> Result<Action, Error> {
    let (ns, name) = (seen.namespace().unwrap_or_default(), seen.name_any());
    let mut known = None;
    for _ in 0..STEPS {
        // The watch's copy may be old; a decision to write is made on a fresh one only.
        let Some(vm) = ctx
            .api::<ProxmoxVM>(&ns)
            .get_opt(&name)
            .await
            .map_err(Error::kube(format!("reading ProxmoxVM {ns}/{name}")))?
        else {
            ctx.succeeded(&seen.metadata.uid);
            return Ok(Action::await_change());
        };
        let ours = vm.finalizers().iter().any(|f| f == FINALIZER);
        if vm.metadata.deletion_timestamp.is_some() && !ours {
            return Ok(Action::await_change());
        }
        if !ours {
            status::add_finalizer(&ctx, &vm).await?;
            continue;
        }
        if let Some(rest) = decide::resting(&vm, Timestamp::now()) {
            return Ok(Action::requeue(rest));
        }
        let observed = observe::observe(&ctx, &vm, known.take()).await?;
        let step = decide::decide(&vm, &observed, Timestamp::now());
        tracing::debug!(vm = %name, ?step, "decided");
        match act::act(&ctx, vm, &observed, step).await? {
            act::Next::Again => {}
            act::Next::Configured(config) => known = Some(config),
            act::Next::After(pause) => {
                ctx.succeeded(&seen.metadata.uid);
                return Ok(Action::requeue(pause));
            }
            act::Next::Done => {
                ctx.succeeded(&seen.metadata.uid);
                return Ok(Action::await_change());
            }
        }
    }
    Ok(Action::requeue(Duration::from_millis(100)))
}

pub fn on_error(vm: Arc<ProxmoxVM>, error: &Error, ctx: Arc<Context>) -> Action {
    if error.is_conflict() {
        return Action::requeue(backoff::jitter(Duration::from_millis(50)));
    }
    tracing::warn!(vm = %vm.name_any(), %error, "reconcile failed");
    Action::requeue(ctx.failed(vm.metadata.uid.clone()))
}
