//! Reconcilers: one folder (or file) per kind, each `observe -> decide -> act`.
//!
//! Promises: `decide` is pure and holds all policy; every write to Proxmox is preceded by an intent in status, written
//! with a resourceVersion check; every reconcile reads the object afresh, so a stale watch never leads to a write.
//! A controller that is killed between any two lines picks up from status and the world.

mod backoff;
mod cluster;
mod conditions;
mod context;
mod error;
mod gpu;
mod metrics;
mod orphans;
mod probe;
pub mod rbac;
mod run;
mod scenario;
mod vision;
mod vm;

pub use cluster::privileges;
pub use context::client_config;
pub use context::{Context, DisplayProbe, Settings};
pub use error::Error;
pub use metrics::Metrics;
pub use probe::DesktopProbe;
pub use run::no_key;

use futures::StreamExt;
use kube::runtime::Controller;
use kube::runtime::controller::Action;
use kube::runtime::{WatchStreamExt, predicates, reflector, watcher};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs all controllers until `shutdown` is done. Watch errors are logged and retried with back-off.
pub async fn run(context: Context, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
    let ctx = Arc::new(context);
    let stop = CancellationToken::new();
    let config = || watcher::Config::default();

    // By generation: what a look writes into status is no reason for another.
    let (reader, writer) = reflector::store();
    let changes = watcher(ctx.scope::<crate::api::ProxmoxCluster>(), config())
        .default_backoff()
        .reflect(writer)
        .applied_objects()
        .predicate_filter(predicates::generation, Default::default());
    let clusters = Controller::for_stream(changes, reader)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(
            counted("ProxmoxCluster", cluster::reconcile),
            cluster::on_error,
            ctx.clone(),
        )
        .for_each(|r| log("ProxmoxCluster", r));
    let gpus = Controller::new(ctx.scope(), config())
        .watches(ctx.scope::<crate::api::ProxmoxVM>(), config(), gpu::of_vm)
        // One look for the many changes of a VM that comes up.
        .with_config(kube::runtime::controller::Config::default().debounce(Duration::from_millis(200)))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(counted("GpuProfile", gpu::reconcile), gpu::on_error, ctx.clone())
        .for_each(|r| log("GpuProfile", r));
    let scenarios = Controller::new(ctx.scope(), config())
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(
            counted("Scenario", scenario::reconcile),
            scenario::on_error,
            ctx.clone(),
        )
        .for_each(|r| log("Scenario", r));
    let visions = Controller::new(ctx.scope(), config())
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(
            counted("VisionProvider", vision::reconcile),
            vision::on_error,
            ctx.clone(),
        )
        .for_each(|r| log("VisionProvider", r));
    let vms = Controller::new(ctx.scope(), config());
    ctx.set_vms(vms.store());
    let vms = vms
        .with_config(kube::runtime::controller::Config::default().concurrency(64))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(counted("ProxmoxVM", vm::reconcile), vm::on_error, ctx.clone())
        .for_each(|r| log("ProxmoxVM", r));
    let runs = Controller::new(ctx.scope(), config())
        .owns(ctx.scope::<crate::api::ProxmoxVM>(), config())
        .reconcile_on(ctx.run_triggers())
        .with_config(kube::runtime::controller::Config::default().concurrency(64))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(counted("FunctionalTestRun", run::reconcile), run::on_error, ctx.clone())
        .for_each(|r| log("FunctionalTestRun", r));

    let orphans = orphans::run(ctx.clone(), stop.clone());
    let stopping = async {
        shutdown.await;
        stop.cancel();
    };
    tokio::join!(clusters, gpus, scenarios, visions, vms, runs, orphans, stopping);
    ctx.cancel_runs();
    Ok(())
}

/// A reconciler whose time and errors are counted.
fn counted<K, F, Fut>(
    kind: &'static str,
    reconcile: F,
) -> impl Fn(Arc<K>, Arc<Context>) -> futures::future::BoxFuture<'static, Result<Action, Error>>
where
    K: Send + Sync + 'static,
    F: Fn(Arc<K>, Arc<Context>) -> Fut,
    Fut: Future<Output = Result<Action, Error>> + Send + 'static,
{
    move |object, ctx| {
        let work = reconcile(object, ctx.clone());
        Box::pin(async move { ctx.metrics.reconcile(kind, work).await })
    }
}

type Reconciled<K, E> = Result<
    (
        kube::runtime::reflector::ObjectRef<K>,
        kube::runtime::controller::Action,
    ),
    kube::runtime::controller::Error<E, watcher::Error>,
>;

/// Reconcile errors are shown where they happen; what is left are errors of the watch.
async fn log<K>(kind: &'static str, result: Reconciled<K, Error>)
where
    K: kube::runtime::reflector::Lookup,
{
    use kube::runtime::controller::Error as E;
    match result {
        Ok(_) | Err(E::ReconcilerFailed(..)) | Err(E::ObjectNotFound(_)) => {}
        Err(E::QueueError(e)) => tracing::warn!(kind, error = %e, "watch failed; trying again"),
        Err(E::RunnerError(e)) => tracing::warn!(kind, error = %e, "the controller's queue failed"),
    }
}
