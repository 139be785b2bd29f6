//! `ProxmoxCluster`: is the API reachable with this trust and these credentials, may we do there what is declared,
//! and what does it have?
//!
//! While a ProxmoxVM or a lease names it, the object stays, with a condition that says which: they need it for their own
//! end.
//!
//! A look costs five requests, made at once; it is repeated every minute, sooner while something is wrong.

mod decide;
mod end;
mod observe;
pub mod privileges;
#[cfg(test)]
mod table;

use super::{Context, Error, backoff, conditions};
use crate::api::ProxmoxCluster;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use std::sync::Arc;

pub async fn reconcile(object: Arc<ProxmoxCluster>, ctx: Arc<Context>) -> Result<Action, Error> {
    let (ns, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let meta = &object.metadata;
    ctx.cluster_seen(&ns, &name, meta.uid.as_deref(), meta.generation);
    if object.metadata.deletion_timestamp.is_some() {
        return end::end(&ctx, &ns, &name).await;
    }
    // Before anything is made there: without this object nobody could remove it any more.
    end::hold(&ctx, &object).await?;
    let seen = observe::observe(&ctx, &ns, &name).await;
    let (verdict, after) = decide::decide(&seen);
    let api = ctx.api::<ProxmoxCluster>(&ns);
    let Some(mut fresh) = api
        .get_opt(&name)
        .await
        .map_err(Error::kube(format!("reading ProxmoxCluster {ns}/{name}")))?
    else {
        return Ok(Action::await_change());
    };
    let before = fresh.status.clone().unwrap_or_default();
    let mut status = before.clone();
    if let Ok(seen) = seen {
        status.version = Some(seen.version);
        status.nodes = seen.nodes;
        status.quorate = seen.quorate;
        status.storages = seen.storages;
    }
    status.observed_generation = fresh.metadata.generation;
    verdict.apply(&mut status.conditions, Timestamp::now(), fresh.metadata.generation);
    if status != before {
        fresh.status = Some(status);
        api.replace_status(&name, &PostParams::default(), &fresh)
            .await
            .map_err(Error::kube(format!("writing status of ProxmoxCluster {ns}/{name}")))?;
        let was = conditions::get(&before.conditions, "Ready");
        if was.is_none_or(|c| (c.status == "True") != verdict.ready || c.reason != verdict.reason) {
            let about = fresh.object_ref(&());
            ctx.event(&about, !verdict.ready, &verdict.reason, &verdict.message)
                .await;
        }
    }
    ctx.succeeded(&object.metadata.uid);
    Ok(Action::requeue(backoff::jitter(after)))
}

pub fn on_error(object: Arc<ProxmoxCluster>, error: &Error, ctx: Arc<Context>) -> Action {
    if !error.is_conflict() {
        tracing::warn!(cluster = %object.name_any(), %error, "reconcile failed");
    }
    Action::requeue(ctx.failed(object.metadata.uid.clone()))
}
