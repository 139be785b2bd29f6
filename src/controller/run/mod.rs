//! `FunctionalTestRun`: resolve, prepare a VM, carry the scenario out, give the VM back, say the verdict.

mod act;
mod decide;
mod hypervisor;
mod observe;
mod resolve;
#[cfg(test)]
mod table;
mod tasks;

pub use resolve::no_key;
pub(super) use resolve::secret;
pub use tasks::Tasks;

use super::{Context, Error, backoff};
use crate::api::{FINALIZER, FunctionalTestRun, RunPhase};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::time::Duration;

/// Label on the VMs of a run: the run's name.
pub const RUN_LABEL: &str = "mosdat.dev/run";

/// Steps in one reconcile before other objects get their turn.
const STEPS: usize = 12;

pub async fn reconcile(seen: Arc<FunctionalTestRun>, ctx: Arc<Context>) -> Result<Action, Error> {
    let (ns, name) = (seen.namespace().unwrap_or_default(), seen.name_any());
    for _ in 0..STEPS {
        let Some(run) = ctx
            .api::<FunctionalTestRun>(&ns)
            .get_opt(&name)
            .await
            .map_err(Error::kube(format!("reading FunctionalTestRun {ns}/{name}")))?
        else {
            // Without our finalizer nothing may be running for it.
            ctx.tasks.abort(seen.uid().as_deref().unwrap_or_default());
            ctx.succeeded(&seen.metadata.uid);
            return Ok(Action::await_change());
        };
        let ours = run.finalizers().iter().any(|f| f == FINALIZER);
        let done = run.status.as_ref().is_some_and(|s| s.phase == Some(RunPhase::Done));
        if run.metadata.deletion_timestamp.is_some() && !ours {
            return Ok(Action::await_change());
        }
        if !ours && !done {
            act::set_finalizer(&ctx, &run, true).await?;
            continue;
        }
        let observed = observe::observe(&ctx, &run).await?;
        let step = decide::decide(&run, &observed, Timestamp::now());
        tracing::debug!(run = %name, ?step, "decided");
        match act::act(&ctx, run, step).await? {
            act::Next::Again => {}
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

pub fn on_error(run: Arc<FunctionalTestRun>, error: &Error, ctx: Arc<Context>) -> Action {
    if error.is_conflict() {
        return Action::requeue(backoff::jitter(Duration::from_millis(50)));
    }
    tracing::warn!(run = %run.name_any(), %error, "reconcile failed");
    Action::requeue(ctx.failed(run.metadata.uid.clone()))
}
