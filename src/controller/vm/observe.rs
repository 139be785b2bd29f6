//! Looks at what the decision needs, with as few calls as the situation allows.

use super::super::context::{Cluster, Context};
use super::super::{Error, gpu};
use super::look::{Elsewhere, adoptee, clone_needs, elsewhere, moved, others_in, starting};
use super::lost::lost_answer;
use super::seen::{Guest, Lease, NoSsh, Observed, Placement, Task, Vm};
use super::slots::Kind;
use super::{FORCE_DELETE, config, names, operate, ssh};
use crate::api::{ProxmoxVM, VmAction, VmDisplay, VmPhase, VmPower};
use crate::proxmox::{self, Client, ErrorKind, TaskStatus, Upid, VmConfig};
use kube::ResourceExt;
use std::sync::Arc;
use std::time::Duration;

/// Observes. Transport failures are errors (nothing is known); refusals of single calls become part of the picture.
/// `known` is the configuration when the caller has just written it.
pub async fn observe(ctx: &Context, vm: &ProxmoxVM, known: Option<VmConfig>) -> Result<Observed, Error> {
    let ns = vm.namespace().unwrap_or_default();
    let mut seen = Observed {
        force_delete: vm.annotations().get(FORCE_DELETE).is_some_and(|v| v == "true"),
        ..Observed::default()
    };
    let status = vm.status.clone().unwrap_or_default();
    let deleting = vm.metadata.deletion_timestamp.is_some();
    if deleting && (seen.force_delete || status.vmid.is_none()) {
        return Ok(seen);
    }
    let name = &vm.spec.cluster_ref.name;
    let cluster = match deleting {
        true => ctx.cluster_to_clean_up(&ns, name).await,
        false => ctx.cluster(&ns, name).await,
    };
    let cluster = match cluster {
        Ok(c) => c,
        Err(e @ (Error::Cluster(_) | Error::SecretGone(_) | Error::Proxmox(_))) => {
            seen.cluster_error = Some(e.to_string());
            return Ok(seen);
        }
        Err(e) => return Err(e),
    };
    seen.placement = placement(&cluster);
    match look(ctx, &cluster, vm, known, &mut seen).await {
        Ok(()) => Ok(seen),
        Err(Error::Proxmox(e))
            if matches!(
                e.kind,
                ErrorKind::Transport | ErrorKind::NodeOffline | ErrorKind::Auth | ErrorKind::Permission
            ) =>
        {
            seen.cluster_error = Some(e.to_string());
            Ok(seen)
        }
        Err(e) => Err(e),
    }
}

async fn look(
    ctx: &Context,
    cluster: &Cluster,
    vm: &ProxmoxVM,
    known: Option<VmConfig>,
    seen: &mut Observed,
) -> Result<(), Error> {
    let ns = vm.namespace().unwrap_or_default();
    let status = vm.status.clone().unwrap_or_default();
    let deleting = vm.metadata.deletion_timestamp.is_some();
    let pve = &cluster.client;
    if deleting || status.intent.as_ref().is_none_or(|i| i.action != VmAction::Clone) {
        let uid = vm.metadata.uid.as_deref().unwrap_or_default();
        ctx.slots.give(&cluster.uid, Kind::Clone, uid);
    }
    if let Some(profile) = &vm.spec.gpu_profile_ref
        && !deleting
        // One that is adopted gets a device of the node that it turns out to be on.
        && (vm.spec.source.adopt.is_none() || status.vmid.is_some())
    {
        seen.device = match gpu::acquire(ctx, &ns, &profile.name, vm).await? {
            gpu::Grant::Held(d) => Lease::Held(d),
            gpu::Grant::Waiting(why) => Lease::Waiting(why),
        };
        if matches!(seen.device, Lease::Waiting(_)) {
            return Ok(());
        }
    }
    let (Some(vmid), Some(node)) = (status.vmid, status.node.clone()) else {
        return match &vm.spec.source.adopt {
            Some(adopt) => {
                seen.adoptee = Some(adoptee(&pve.cluster_vms().await?, adopt.vmid));
                Ok(())
            }
            None => clone_needs(ctx, cluster, vm, seen).await,
        };
    };
    seen.task = task(pve, &status).await?;
    if seen.task == Task::Running {
        return Ok(());
    }
    let mut config = match known {
        Some(c) => Some(c),
        None => match pve.vm_config_if_any(&node, vmid).await {
            Ok(c) => c,
            // A VM that we may not even look at while our clone is not known to exist: somebody else has the VMID.
            Err(e) if e.kind == ErrorKind::Permission && unconfirmed(&status) => Some(VmConfig::default()),
            Err(e) => return Err(e.into()),
        },
    };
    let uid = vm.metadata.uid.as_deref().unwrap_or_default();
    let locked = config.as_ref().is_some_and(|c| c.lock().is_some());
    if let Some(intent) = &status.intent
        && intent.upid.is_none()
    {
        seen.task = lost_answer(pve, vm, intent.action, &node, vmid).await?;
        if matches!(seen.task, Task::Found(_)) {
            return Ok(());
        }
    }
    let cloning = status.intent.as_ref().is_some_and(|i| i.action == VmAction::Clone);
    let mut locked = locked;
    if config.is_none() && cloning {
        match elsewhere(pve, vmid, unconfirmed(&status)).await? {
            Elsewhere::Nowhere => {}
            // Neither there nor not there: nothing may be made or given up until the two agree.
            Elsewhere::Listed => return Ok(()),
            Elsewhere::On(found, c) => {
                // A clone to another node stands on the template's node until its end, and for ever if it is cut off.
                if found != node && (names::is_ours(&c, uid) || c.lock() == Some("clone")) {
                    seen.moved = Some(found);
                    return Ok(());
                }
                locked = c.lock().is_some();
                config = Some(c);
            }
        }
    }
    let ours = config.as_ref().is_some_and(|c| names::is_ours(c, uid));
    let Some(mut config) = config else {
        if !cloning {
            seen.moved = moved(pve, &node, vmid, uid).await?;
        }
        seen.vm = Vm::Absent;
        if cloning && !deleting {
            clone_needs(ctx, cluster, vm, seen).await?;
        }
        return Ok(());
    };
    if !ours && !locked && cloning && !deleting {
        seen.taken.insert(vmid);
        clone_needs(ctx, cluster, vm, seen).await?;
    }
    let adopt = vm.spec.source.adopt.as_ref();
    if adopt.is_some() && !ours {
        let other = names::other_owner(&config, uid);
        let alive = |o: &Arc<ProxmoxVM>| {
            o.uid()
                .is_some_and(|u| other.as_deref().is_some_and(|x| x.eq_ignore_ascii_case(&u)))
        };
        seen.owner_alive = ctx.known_vms().iter().any(alive);
    }
    if let Some(adopt) = adopt
        && ours
        && !deleting
        && adopt.snapshot.is_some()
        && adopt.snapshot != status.rolled_back_to
    {
        let all = pve.snapshots(&node, vmid).await?;
        seen.snapshots = Some(all.into_iter().map(|s| s.name).collect());
    }
    if ours && !locked && operate::needs_snapshots(vm) && seen.snapshots.is_none() {
        let all = pve.snapshots(&node, vmid).await?;
        seen.snapshots = Some(all.into_iter().map(|s| s.name).collect());
    }
    let mut running = None;
    let device = match &seen.device {
        Lease::Held(d) => Some(d.hostpci.clone()),
        _ => None,
    };
    let differs = !config::differences(vm, &config, device.as_deref()).is_empty();
    // A fresh clone is configured next, whether it runs or not.
    if ours && !locked && (!differs || deleting || adopt.is_some() || status.ready_at.is_some()) {
        let power = pve.vm_status(&node, vmid).await?.running();
        running = Some(power);
        if power || deleting {
            ctx.slots.give(&cluster.uid, Kind::Start, uid);
        }
        if power && !deleting && (differs || status.ready_at.is_some()) {
            match pve.vm_pending(&node, vmid).await {
                Ok(keys) => {
                    let digest = config.0.remove("digest");
                    config = config::next(&keys);
                    config.0.extend(digest.map(|d| ("digest".to_string(), d)));
                    seen.pending = Some(keys.into_iter().filter(|k| k.waits()).map(|k| k.key).collect());
                }
                Err(e) if e.kind == ErrorKind::Transport => return Err(e.into()),
                // It only tells more than the configuration does.
                Err(e) => tracing::debug!(error = %e, vmid, "pending changes"),
            }
        }
        if power && !deleting && operate::wanted_power(vm) == VmPower::Running {
            seen.guest = match status.phase {
                Some(VmPhase::Ready) if vm.spec.ssh().is_none() || status.ssh.is_some() => Guest {
                    ip: present_address(pve, &node, vmid, &config).await?,
                    ..Guest::default()
                },
                _ => guest(ctx, pve, vm, (&node, vmid), &config).await?,
            };
        }
        if !power && !deleting {
            let watched = others_in(ctx, vm, starting);
            let limit = seen.placement.parallel_starts;
            seen.starts_in_flight = ctx.slots.take(&cluster.uid, Kind::Start, uid, limit, watched);
        }
    }
    seen.vm = Vm::Present { config, ours, running };
    Ok(())
}

/// Whether a clone was meant to be asked for, without proof that it was.
fn unconfirmed(status: &crate::api::ProxmoxVMStatus) -> bool {
    status
        .intent
        .as_ref()
        .is_some_and(|i| i.action == VmAction::Clone && i.upid.is_none())
}

fn placement(cluster: &Cluster) -> Placement {
    let d = cluster.spec.defaults.clone().unwrap_or_default();
    Placement {
        range: (cluster.spec.vmid_range.start, cluster.spec.vmid_range.end),
        clone_grace: super::clone::grace(cluster.spec.limits.request_timeout_seconds),
        parallel_clones: cluster.spec.limits.parallel_clones,
        parallel_starts: cluster.spec.limits.parallel_starts,
        installation: cluster.uid.clone(),
        node: d.node,
        storage: d.storage,
        pool: d.pool,
    }
}

/// The task that status knows.
async fn task(pve: &Client, status: &crate::api::ProxmoxVMStatus) -> Result<Task, Error> {
    let Some(upid) = status
        .intent
        .as_ref()
        .and_then(|i| i.upid.as_deref())
        .and_then(Upid::parse)
    else {
        return Ok(Task::None);
    };
    match pve.task_status(&upid).await {
        Ok(TaskStatus::Running) => Ok(Task::Running),
        Ok(TaskStatus::Ok) => Ok(Task::Ok),
        Ok(TaskStatus::Failed(text)) => {
            let e = pve.task_error(&upid, &text).await;
            Ok(Task::Failed(e.kind, e.message))
        }
        // Task logs are rotated: the world decides then.
        Err(e) if e.kind == ErrorKind::NotFound => Ok(Task::None),
        Err(e) => Err(e.into()),
    }
}

async fn guest(
    ctx: &Context,
    pve: &Client,
    vm: &ProxmoxVM,
    (node, vmid): (&str, u32),
    config: &VmConfig,
) -> Result<Guest, Error> {
    let mut guest = agent(pve, node, vmid, config).await?;
    let answers = matches!(guest.agent, Some(Ok(())));
    if let Some(spec) = vm.spec.ssh() {
        let Some(host) = spec.host.clone().or_else(|| guest.ip.clone()) else {
            if answers {
                let why = "the guest agent does not tell the guest's address; set spec.guest.ssh.host";
                guest.ssh = Some(Err(NoSsh::NotYet(why.to_string())));
            }
            return Ok(guest);
        };
        let ssh = ssh::look(ctx, pve, vm, spec, host, answers).await?;
        let failed = ssh.is_err();
        guest.ssh = Some(ssh);
        if failed {
            return Ok(guest);
        }
    } else if !answers {
        return Ok(guest);
    }
    guest.display = Some(display(ctx, pve, node, vmid).await);
    Ok(guest)
}

async fn agent(pve: &Client, node: &str, vmid: u32, config: &VmConfig) -> Result<Guest, Error> {
    let mut guest = Guest::default();
    // The question for the network is as good as a ping, and one call less.
    match pve.agent_network(node, vmid).await {
        Ok(cards) => guest.ip = address(&cards, config.net0_mac().as_deref()),
        Err(e) if matches!(e.kind, ErrorKind::Transport | ErrorKind::NodeOffline) => return Err(e.into()),
        Err(e)
            if matches!(
                e.kind,
                ErrorKind::AgentNotRunning | ErrorKind::NotRunning | ErrorKind::Permission
            ) =>
        {
            guest.agent = Some(Err(e.message));
            return Ok(guest);
        }
        // An agent that does not tell addresses may answer all the same.
        Err(_) => match pve.agent_ping(node, vmid).await {
            Ok(()) => {}
            Err(e) if matches!(e.kind, ErrorKind::Transport | ErrorKind::NodeOffline) => return Err(e.into()),
            Err(e) => {
                guest.agent = Some(Err(e.message));
                return Ok(guest);
            }
        },
    }
    guest.agent = Some(Ok(()));
    Ok(guest)
}

/// The address of a guest that has been ready. One that does not tell it now may be busy: nothing has changed then.
async fn present_address(pve: &Client, node: &str, vmid: u32, config: &VmConfig) -> Result<Option<String>, Error> {
    match pve.agent_network(node, vmid).await {
        Ok(cards) => Ok(address(&cards, config.net0_mac().as_deref())),
        Err(e) if matches!(e.kind, ErrorKind::Transport | ErrorKind::NodeOffline) => Err(e.into()),
        Err(e) => {
            tracing::debug!(error = %e, vmid, "address not told");
            Ok(None)
        }
    }
}

/// The address of the card with the VM's own MAC: the first in the list may be a bridge of containers.
fn address(cards: &[proxmox::Interface], mac: Option<&str>) -> Option<String> {
    let mac = mac?;
    let card = cards.iter().find(|c| c.mac.as_deref() == Some(mac))?;
    let usable: Vec<_> = card
        .addresses
        .iter()
        .filter(|a| !a.is_loopback() && !matches!(a, std::net::IpAddr::V6(v) if v.is_unicast_link_local()))
        .collect();
    let v4 = usable.iter().find(|a| a.is_ipv4());
    v4.or(usable.first()).map(|a| a.to_string())
}

async fn display(ctx: &Context, pve: &Client, node: &str, vmid: u32) -> Result<VmDisplay, String> {
    let probe = async {
        let vnc = pve.vnc(node, vmid).await.map_err(|e| e.to_string())?;
        ctx.probe.probe(vnc.stream, vnc.password).await
    };
    match tokio::time::timeout(Duration::from_secs(15), probe).await {
        Ok(Ok((width, height))) => Ok(VmDisplay { width, height }),
        Ok(Err(why)) => Err(format!("the console shows nothing: {why}")),
        Err(_) => Err("the console showed nothing for 15 s".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_by_mac() {
        let card = |mac: &str, a: &[&str]| proxmox::Interface {
            name: String::new(),
            mac: Some(mac.to_string()),
            addresses: a.iter().map(|x| x.parse().expect("address")).collect(),
        };
        let cards = [
            card("aa", &["172.17.0.1"]),
            card("bb", &["fe80::1", "fd00::2", "10.0.2.15"]),
        ];
        assert_eq!(address(&cards, Some("bb")).as_deref(), Some("10.0.2.15"));
        assert_eq!(address(&cards, Some("cc")), None);
        assert_eq!(address(&cards, None), None);
    }
}
