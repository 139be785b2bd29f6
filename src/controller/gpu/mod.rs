//! `GpuProfile`: devices lent to one VM each, for the VM's whole life.
//!
//! A lease is a line in status, written with a resourceVersion check, so that two VMs never get one device. The queue
//! is in status too, ordered by the VMs' creation: a restart changes nothing. A device comes back when its VM is
//! confirmed stopped or gone, rests, and is taken out of the pool when its check in the guest fails.

mod act;
mod cluster;
mod decide;
mod devices;
mod health;
mod observe;
mod queue;
#[cfg(test)]
mod table;

pub use act::{acquire, refused, release};
pub use decide::Grant;
pub use devices::Device;
pub use observe::Mappings;

use super::{Context, Error, backoff, conditions};
use crate::api::{FINALIZER, GpuDeviceState, GpuProfile, ProxmoxVM, VmPhase};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;
use std::time::Duration;

/// Annotation that ends the quarantine of the named devices (comma-separated, `*` for all).
pub const RELEASE_QUARANTINE: &str = "mosdat.dev/release-quarantine";

/// How often a profile is looked at when nothing happens.
const PAUSE: Duration = Duration::from_secs(30);
/// The same while its cluster does not answer, or lacks a mapping: somebody is likely to be repairing it.
const SOON: Duration = Duration::from_secs(6);

/// The profile that a VM takes its device from, when the VM is such that the profile has something to do: a check
/// in a guest that is ready. All else comes from the VM's own reconciler.
pub fn of_vm(vm: ProxmoxVM) -> Option<ObjectRef<GpuProfile>> {
    let profile = vm.spec.gpu_profile_ref.as_ref()?;
    if vm.status.as_ref().and_then(|s| s.phase) != Some(VmPhase::Ready) {
        return None;
    }
    Some(ObjectRef::new(&profile.name).within(&vm.namespace()?))
}

pub async fn reconcile(object: Arc<GpuProfile>, ctx: Arc<Context>) -> Result<Action, Error> {
    let (ns, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let Some(fresh) = ctx
        .api::<GpuProfile>(&ns)
        .get_opt(&name)
        .await
        .map_err(Error::kube(format!("reading GpuProfile {ns}/{name}")))?
    else {
        ctx.metrics.forget_gpus(&ns, &name);
        return Ok(Action::await_change());
    };
    let facts = observe::facts(&ctx, &fresh).await;
    let world = observe::world(&ctx, &fresh).await?;
    let was = cluster::reason(&fresh);
    let (fresh, gone) = act::change(&ctx, fresh, "looking after", |p| {
        decide::tidy(p, &world, &facts, Timestamp::now())
    })
    .await?;
    for lease in &gone {
        act::event(
            &ctx,
            &fresh,
            false,
            "Released",
            &format!("{} of {}, which is gone", lease.device, lease.holder.name),
        )
        .await;
    }
    let status = fresh.status.clone().unwrap_or_default();
    ctx.metrics.gpus(&ns, &name, &status);
    let is = cluster::reason(&fresh);
    if is != was && matches!(is.as_deref(), Some(cluster::NO_MAPPING | cluster::UNAVAILABLE)) {
        let ready = conditions::get(&status.conditions, "Ready");
        let message = ready.map(|c| c.message.clone()).unwrap_or_default();
        act::event(&ctx, &fresh, true, &is.unwrap_or_default(), &message).await;
    }
    if fresh.metadata.deletion_timestamp.is_some() {
        if status.leases.is_empty() && fresh.finalizers().iter().any(|f| f == FINALIZER) {
            act::set_finalizer(&ctx, fresh, false).await?;
        }
        return Ok(Action::requeue(Duration::from_secs(2)));
    }
    if !world.released.is_empty() {
        act::end_release(&ctx, &fresh).await?;
    }
    health::check(&ctx, &fresh, &facts).await?;
    ctx.succeeded(&object.metadata.uid);
    let soon = decide::next_change(&status, Timestamp::now()).and_then(|d| Duration::try_from(d).ok());
    // A little later than the change, so that it has happened.
    let unusable = status.devices.iter().any(|d| d.state == GpuDeviceState::Unusable);
    let pause = if facts.unavailable.is_some() || unusable {
        SOON
    } else {
        PAUSE
    };
    let soon = soon.map_or(pause, |d| pause.min(d + Duration::from_millis(50)));
    Ok(Action::requeue(backoff::jitter(soon)))
}

pub fn on_error(object: Arc<GpuProfile>, error: &Error, ctx: Arc<Context>) -> Action {
    if error.is_conflict() {
        return Action::requeue(Duration::from_millis(50));
    }
    tracing::warn!(profile = %object.name_any(), %error, "reconcile failed");
    Action::requeue(ctx.failed(object.metadata.uid.clone()))
}
