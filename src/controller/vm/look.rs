//! Lookups in the whole cluster: templates, free VMIDs, VMs to adopt or that moved, what others are doing.

use super::super::Error;
use super::super::context::{Cluster, Context};
use super::seen::{Adoptee, Observed, Template};
use super::slots::Kind;
use super::{config, names};
use crate::api::{CloneMode, ProxmoxVM, ProxmoxVMStatus, VmAction, VmPhase};
use crate::proxmox::{Client, ErrorKind, VmConfig, VmResource};
use kube::ResourceExt;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The other VMs of the cluster, as the watch knows them.
fn others(ctx: &Context, vm: &ProxmoxVM) -> Vec<Arc<ProxmoxVM>> {
    let ns = vm.namespace();
    let same = |o: &Arc<ProxmoxVM>| {
        o.metadata.uid != vm.metadata.uid && o.namespace() == ns && o.spec.cluster_ref.name == vm.spec.cluster_ref.name
    };
    ctx.known_vms().into_iter().filter(same).collect()
}

/// UIDs of the other VMs whose status fits.
pub(super) fn others_in(ctx: &Context, vm: &ProxmoxVM, fits: fn(&ProxmoxVMStatus) -> bool) -> BTreeSet<String> {
    others(ctx, vm)
        .iter()
        .filter(|o| o.status.as_ref().is_some_and(fits))
        .filter_map(|o| o.uid())
        .collect()
}

/// Whether a start is under way.
pub(super) fn starting(status: &ProxmoxVMStatus) -> bool {
    status.phase == Some(VmPhase::Starting) && under_way(status, VmAction::Start)
}

/// Whether an action was asked for and not refused. An intent by itself does not say so: it outlives a refusal, and VMs
/// that wait for each other's refused actions would wait for ever.
fn under_way(status: &ProxmoxVMStatus, action: VmAction) -> bool {
    let refused = status.failures.is_some() || status.next_attempt_at.is_some();
    status
        .intent
        .as_ref()
        .is_some_and(|i| i.action == action && (i.upid.is_some() || !refused))
}

pub(super) fn adoptee(all: &[VmResource], vmid: u32) -> Result<Adoptee, String> {
    match all.iter().find(|v| v.vmid == vmid) {
        Some(found) => Ok(Adoptee {
            node: found.node.clone(),
            template: found.template,
        }),
        None => Err(format!(
            "the cluster has no VM {vmid}, or the token may not see it (VM.Audit on /vms/{vmid})"
        )),
    }
}

/// Another node that has our VM.
pub(super) async fn moved(pve: &Client, node: &str, vmid: u32, uid: &str) -> Result<Option<String>, Error> {
    let all = pve.cluster_vms().await?;
    let Some(found) = all.iter().find(|v| v.vmid == vmid && v.node != node) else {
        return Ok(None);
    };
    match pve.vm_config(&found.node, vmid).await {
        Ok(c) => Ok(names::is_ours(&c, uid).then(|| found.node.clone())),
        Err(e) if e.kind == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Where the VMID of a clone that is not where it should be stands.
pub(super) enum Elsewhere {
    Nowhere,
    /// The cluster lists it, its node does not know it: it comes or goes just now.
    Listed,
    On(String, VmConfig),
}

/// Looks a VMID up in the whole cluster.
pub(super) async fn elsewhere(pve: &Client, vmid: u32, unconfirmed: bool) -> Result<Elsewhere, Error> {
    let all = pve.cluster_vms().await?;
    let Some(row) = all.into_iter().find(|v| v.vmid == vmid) else {
        return Ok(Elsewhere::Nowhere);
    };
    match pve.vm_config(&row.node, vmid).await {
        Ok(c) => Ok(Elsewhere::On(row.node, c)),
        Err(e) if e.kind == ErrorKind::NotFound => Ok(Elsewhere::Listed),
        // One that we may not look at is not ours.
        Err(e) if e.kind == ErrorKind::Permission && unconfirmed => Ok(Elsewhere::On(row.node, VmConfig::default())),
        Err(e) => Err(e.into()),
    }
}

/// Template, free VMIDs and the number of clones in flight.
pub(super) async fn clone_needs(
    ctx: &Context,
    cluster: &Cluster,
    vm: &ProxmoxVM,
    seen: &mut Observed,
) -> Result<(), Error> {
    let watched = others_in(ctx, vm, in_flight);
    let limit = seen.placement.parallel_clones;
    let uid = vm.metadata.uid.clone().unwrap_or_default();
    seen.clones_in_flight = ctx.slots.take(&cluster.uid, Kind::Clone, &uid, limit, watched);
    if seen.clones_in_flight >= limit.max(1) {
        // It has to wait, which shall not cost anything.
        return Ok(());
    }
    let mut all = cluster.client.cluster_guests().await?;
    seen.taken.extend(all.iter().map(|v| v.vmid));
    all.retain(VmResource::is_vm);
    let others = others(ctx, vm);
    seen.taken.extend(others.iter().filter_map(|o| o.status.as_ref()?.vmid));
    let planned = vm.status.as_ref().and_then(|s| s.vmid);
    ctx.vmids
        .keep(&cluster.uid, &uid, planned, seen.placement.range, &mut seen.taken);
    let mut found = template(vm, &all);
    if let Ok(t) = &found
        && !ctx.templates.is_good(&cluster.uid, t.vmid)
    {
        let config = cluster.client.vm_config(&t.node, t.vmid).await?;
        match config::template_problem(&config, t.vmid, &t.node) {
            Some(why) => found = Err(why),
            None => ctx.templates.good(&cluster.uid, t.vmid),
        }
    }
    seen.template = Some(found);
    Ok(())
}

/// Whether a clone is being made.
fn in_flight(status: &ProxmoxVMStatus) -> bool {
    match status.phase {
        Some(VmPhase::Cloning) => under_way(status, VmAction::Clone),
        Some(VmPhase::Deleting) => {
            under_way(status, VmAction::Clone) && status.intent.as_ref().is_some_and(|i| i.upid.is_some())
        }
        _ => false,
    }
}

fn template(vm: &ProxmoxVM, all: &[VmResource]) -> Result<Template, String> {
    let clone = vm.spec.source.clone.clone().unwrap_or_default();
    let found: Vec<&VmResource> = match (&clone.template, clone.vmid) {
        (_, Some(vmid)) => all.iter().filter(|v| v.vmid == vmid).collect(),
        (Some(name), None) => all
            .iter()
            .filter(|v| v.template && v.name.as_deref() == Some(name))
            .collect(),
        (None, None) => vec![],
    };
    let what = clone
        .template
        .clone()
        .unwrap_or_else(|| clone.vmid.unwrap_or_default().to_string());
    match found.as_slice() {
        [one] if one.template || clone.mode == CloneMode::Full => Ok(Template {
            vmid: one.vmid,
            node: one.node.clone(),
        }),
        [one] => Err(format!(
            "VM {} is no template, so it cannot be the source of a linked clone; use mode Full or convert it",
            one.vmid
        )),
        [] => {
            let names: BTreeSet<String> = all
                .iter()
                .filter(|v| v.template)
                .map(|v| format!("{} ({})", v.name.clone().unwrap_or_default(), v.vmid))
                .collect();
            let names = if names.is_empty() {
                "no template at all; is one built, and may the token see it (VM.Audit)?".to_string()
            } else {
                names.into_iter().collect::<Vec<_>>().join(", ")
            };
            Err(format!("the cluster has no template {what}; it has {names}"))
        }
        many => {
            let ids: Vec<String> = many.iter().map(|v| v.vmid.to_string()).collect();
            Err(format!(
                "several templates are called {what} (VMIDs {}); name one by source.clone.vmid",
                ids.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::doing;
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    #[test]
    fn what_was_refused_is_not_under_way() {
        let rows = [
            (
                VmAction::Start,
                VmPhase::Starting,
                starting as fn(&ProxmoxVMStatus) -> bool,
            ),
            (VmAction::Clone, VmPhase::Cloning, in_flight),
        ];
        for (action, phase, fits) in rows {
            let mut s = doing(action, false, 1);
            assert!(!fits(&s), "it waits for something else");
            s.phase = Some(phase);
            assert!(fits(&s), "asked for, not answered yet");
            s.failures = Some(1);
            s.next_attempt_at = Some(Time(super::super::table::now()));
            assert!(!fits(&s), "refused");
            s.intent = doing(action, true, 1).intent;
            assert!(fits(&s), "its task is known");
        }
        let mut gone = doing(VmAction::Clone, false, 1);
        gone.phase = Some(VmPhase::Deleting);
        assert!(!in_flight(&gone));
    }
}
