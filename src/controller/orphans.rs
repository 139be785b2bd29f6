//! VMs that mosdat made and whose ProxmoxVM is gone: named in the ProxmoxCluster's status, removed only when its
//! `orphanPolicy` says so.
//!
//! A VM counts only if its description says that it was made (not adopted) under this VMID for this very
//! ProxmoxCluster object: another installation's VMs, and copies that people make, are never touched. VMs are listed
//! before their owners, and an owner exists before its VM, so that a new VM is never without one. A VM of a living owner
//! that has settled on another VMID (a clone that came after it was given up) is an orphan too.

use super::vm::names;
use super::vm::refusal::with_advice;
use super::{Context, Error, backoff};
use crate::api::{OrphanPolicy, OrphanVm, ProxmoxCluster, ProxmoxVM, VmidRange};
use crate::proxmox::{Client, ErrorKind, VmConfig, VmResource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// First look after the start, when the watches are filled.
const FIRST: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_secs(60);
/// How long a VM must have been without an owner before it is removed.
const GRACE: SignedDuration = SignedDuration::from_secs(120);
/// How many are named.
const MOST: usize = 32;
/// How many descriptions are read in a round; those of known orphans come first, the others in turn.
const READ: usize = 128;
const TASK_LIMIT: Duration = Duration::from_secs(120);

/// Looks again and again until `stop`.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) {
    let mut pause = FIRST;
    let mut round = 0;
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = backoff::jitter(PAUSE);
        round += 1;
        let Some(clusters) = stop
            .run_until_cancelled(ctx.scope::<ProxmoxCluster>().list(&ListParams::default()))
            .await
        else {
            return;
        };
        for cluster in clusters.map(|l| l.items).unwrap_or_default() {
            match stop.run_until_cancelled(collect(&ctx, &cluster, round)).await {
                Some(Ok(())) => {}
                Some(Err(e)) => {
                    tracing::debug!(cluster = %cluster.name_any(), error = %e, "orphans were not looked for")
                }
                None => return,
            }
        }
    }
}

async fn collect(ctx: &Context, object: &ProxmoxCluster, round: usize) -> Result<(), Error> {
    let (ns, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let cluster = ctx.cluster(&ns, &name).await?;
    let rows = cluster.client.cluster_vms().await?;
    let living = owners(ctx, &ns).await?;
    let before = object.status.clone().unwrap_or_default().orphans;
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    let all = candidates(&rows, &object.spec.vmid_range, &living);
    for row in turn(&all, &before, round) {
        match cluster.client.vm_config(&row.node, row.vmid).await {
            Ok(config) => found.push((row, config)),
            Err(e) if matches!(e.kind, ErrorKind::NotFound | ErrorKind::Permission) => {}
            // One node that does not answer says nothing about the VMs of the others.
            Err(e) if e.kind != ErrorKind::Auth => {
                tracing::debug!(vmid = row.vmid, error = %e, "description not read");
                unread.push(row.vmid);
            }
            Err(e) => return Err(e.into()),
        }
    }
    let now = Timestamp::now();
    let mut orphans = orphans(&found, &cluster.uid, &living, &before, now);
    orphans.extend(before.iter().filter(|o| unread.contains(&o.vmid)).cloned());
    orphans.sort_by_key(|o| (before.iter().all(|b| b.vmid != o.vmid), o.vmid));
    orphans.truncate(MOST);
    orphans.sort_by_key(|o| o.vmid);
    if orphans != before {
        let patch = json!({"metadata": {"uid": object.metadata.uid}, "status": {"orphans": orphans}});
        ctx.api::<ProxmoxCluster>(&ns)
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map_err(Error::kube(format!("writing orphans of ProxmoxCluster {ns}/{name}")))?;
        let new: Vec<String> = orphans
            .iter()
            .filter(|o| before.iter().all(|b| b.vmid != o.vmid))
            .map(|o| format!("{} on {}", o.vmid, o.node))
            .collect();
        if !new.is_empty() {
            let note = format!("no ProxmoxVM owns these VMs that mosdat made: {}", new.join(", "));
            ctx.event(&object.object_ref(&()), true, "OrphansFound", &note).await;
        }
    }
    if object.spec.orphan_policy == OrphanPolicy::Delete {
        for orphan in due(&orphans, now) {
            let (vmid, node) = (orphan.vmid, &orphan.node);
            let (warning, reason, note) = match remove(&cluster.client, orphan, &cluster.uid).await {
                // It has turned out to be somebody else's, or is gone.
                Ok(false) => continue,
                Ok(true) => (
                    false,
                    "OrphanRemoved",
                    format!("VM {vmid} on {node}, which no ProxmoxVM owned, is destroyed"),
                ),
                // The others are not to wait for it.
                Err(e) => (
                    true,
                    "OrphanNotRemoved",
                    format!("VM {vmid} on {node}: {}", with_advice(&e.to_string(), vmid, node)),
                ),
            };
            ctx.event(&object.object_ref(&()), warning, reason, &note).await;
        }
    }
    Ok(())
}

/// UIDs of the ProxmoxVMs of a namespace, and the VMID that each has settled on: while something is under way, it may
/// have any.
type Owners = BTreeMap<String, Option<u32>>;

/// The owners, asked of the API server: the watch may be late.
async fn owners(ctx: &Context, ns: &str) -> Result<Owners, Error> {
    let list = ctx.api::<ProxmoxVM>(ns).list(&ListParams::default()).await;
    let list = list.map_err(Error::kube(format!("listing ProxmoxVMs of {ns}")))?;
    let owner = |vm: ProxmoxVM| {
        let settled = vm.status.filter(|s| s.intent.is_none()).and_then(|s| s.vmid);
        Some((vm.metadata.uid?, settled))
    };
    Ok(list.items.into_iter().filter_map(owner).collect())
}

/// Whether an owner is there that has this VM, or may have it.
fn owned(living: &Owners, uid: &str, vmid: u32) -> bool {
    living
        .get(uid)
        .is_some_and(|settled| settled.is_none_or(|own| own == vmid))
}

/// VMs whose description is worth reading: in our range, no template, without the tag of a living owner.
fn candidates<'a>(rows: &'a [VmResource], range: &VmidRange, living: &Owners) -> Vec<&'a VmResource> {
    let tags: BTreeMap<String, &String> = living.keys().map(|uid| (names::uid_tag(uid), uid)).collect();
    let has_owner = |r: &VmResource| {
        let mut uids = r.tags.iter().filter_map(|t| tags.get(t));
        uids.any(|uid| owned(living, uid, r.vmid))
    };
    rows.iter()
        .filter(|r| (range.start..=range.end).contains(&r.vmid) && !r.template)
        .filter(|r| !has_owner(r))
        .collect()
}

/// Those whose turn it is: the orphans that are known, and a part of the others that is another one in each round.
fn turn<'a>(all: &[&'a VmResource], before: &[OrphanVm], round: usize) -> Vec<&'a VmResource> {
    let (mut out, others): (Vec<_>, Vec<_>) = all.iter().partition(|r| before.iter().any(|o| o.vmid == r.vmid));
    let room = READ.saturating_sub(out.len()).min(others.len());
    let first = (round * room).checked_rem(others.len()).unwrap_or(0);
    out.extend(others.iter().cycle().skip(first).take(room));
    out
}

/// The VMs that are ours by their description and whose owner is gone.
fn orphans(
    found: &[(&VmResource, VmConfig)],
    installation: &str,
    living: &Owners,
    before: &[OrphanVm],
    now: Timestamp,
) -> Vec<OrphanVm> {
    let orphan = |(row, config): &(&VmResource, VmConfig)| {
        let owner = names::made_by(config, row.vmid, installation)?;
        if owned(living, &owner, row.vmid) {
            return None;
        }
        let known = before.iter().find(|o| o.vmid == row.vmid && o.owner_uid == owner);
        // Somebody is at work on it: no new find, but its time goes on.
        if config.lock().is_some() && known.is_none() {
            return None;
        }
        Some(OrphanVm {
            vmid: row.vmid,
            node: row.node.clone(),
            owner_uid: owner,
            since: known.map_or(Time(now), |o| o.since.clone()),
        })
    };
    found.iter().filter_map(orphan).collect()
}

/// Orphans that have been so long enough.
fn due(orphans: &[OrphanVm], now: Timestamp) -> impl Iterator<Item = &OrphanVm> {
    orphans.iter().filter(move |o| now.duration_since(o.since.0) >= GRACE)
}

/// Stops and destroys; status names the VM until it is gone, so a kill in between is made good in the next round.
/// False if it is not there any more, or somebody else's.
async fn remove(pve: &Client, orphan: &OrphanVm, installation: &str) -> Result<bool, Error> {
    let (node, vmid) = (&orphan.node, orphan.vmid);
    // Read before each step: the last moment at which it can turn out to be somebody else's.
    if !is_still(pve, orphan, installation).await? {
        return Ok(false);
    }
    let deadline = || tokio::time::Instant::now() + TASK_LIMIT;
    if pve.vm_status(node, vmid).await?.running() {
        let upid = pve.stop(node, vmid).await?;
        pve.wait_task(&upid, deadline()).await?;
        if !is_still(pve, orphan, installation).await? {
            return Ok(false);
        }
    }
    let upid = pve.delete(node, vmid).await?;
    pve.wait_task(&upid, deadline()).await?;
    Ok(true)
}

/// Whether the VM under this VMID is the one that was found. One that is locked is refused by Proxmox, which says so.
async fn is_still(pve: &Client, orphan: &OrphanVm, installation: &str) -> Result<bool, Error> {
    let config = pve.vm_config_if_any(&orphan.node, orphan.vmid).await?;
    Ok(config.is_some_and(|config| {
        let maker = names::made_by(&config, orphan.vmid, installation);
        maker.as_deref() == Some(&orphan.owner_uid)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(uid: &str, vmid: Option<u32>) -> Owners {
        [(uid.to_string(), vmid)].into()
    }

    fn row(vmid: u32, tags: &str, template: bool) -> VmResource {
        let row = json!({"vmid": vmid, "node": "n1", "type": "qemu", "tags": tags, "template": u8::from(template)});
        serde_json::from_value(row).expect("row")
    }

    fn config(text: &str) -> VmConfig {
        VmConfig([("description".to_string(), text.to_string())].into())
    }

    #[test]
    fn only_vms_in_the_range_without_a_living_owner_are_read() {
        let rows = [
            row(100, "mosdat;mosdat-uid-dead", false),
            row(200, "mosdat;mosdat-uid-dead", false),
            row(201, "mosdat;mosdat-uid-alive", false),
            row(202, "", false),
            row(203, "mosdat", true),
            row(204, "mosdat;mosdat-uid-alive", false),
        ];
        let range = VmidRange { start: 200, end: 299 };
        let ids = |settled| -> Vec<u32> {
            let found = candidates(&rows, &range, &alive("alive", settled));
            found.iter().map(|r| r.vmid).collect()
        };
        assert_eq!(ids(None), [200, 202], "it may yet settle on any");
        assert_eq!(ids(Some(201)), [200, 202, 204], "it has one and not the other");
    }

    #[test]
    fn everyone_gets_a_turn() {
        let rows: Vec<VmResource> = (0..500).map(|i| row(200 + i, "", false)).collect();
        let all: Vec<&VmResource> = rows.iter().collect();
        let known = [OrphanVm {
            vmid: 690,
            node: "n1".to_string(),
            owner_uid: "dead".to_string(),
            since: Time(Timestamp::UNIX_EPOCH),
        }];
        let mut read = std::collections::BTreeSet::new();
        for round in 1..=4 {
            let ids: Vec<u32> = turn(&all, &known, round).iter().map(|r| r.vmid).collect();
            assert!(ids.len() == READ && ids[0] == 690);
            read.extend(ids);
        }
        assert_eq!(read.len(), 500);
        assert_eq!(turn(&all[..3], &[], 7).len(), 3);
        assert!(turn(&[], &[], 7).is_empty());
    }

    #[test]
    fn only_this_installations_own_vms_are_orphans() {
        let now = Timestamp::from_second(1_000_000).expect("time");
        let r = row(200, "", false);
        let made = "Made by mosdat for ProxmoxVM a/b.\nmosdat-uid: dead\nmosdat-cluster: C/200\n";
        let rows = [
            (made.to_string(), true),
            (made.replace("C/200", "OTHER/200"), false),
            // Somebody's copy of one of ours.
            (made.replace("C/200", "C/201"), false),
            (made.replace("dead", "alive"), false),
            // Adopted: not made by us.
            (
                "Adopted by mosdat for ProxmoxVM a/b.\nmosdat-uid: dead\n".to_string(),
                false,
            ),
            ("my own machine".to_string(), false),
            (String::new(), false),
        ];
        for (text, want) in rows {
            let got = orphans(&[(&r, config(&text))], "C", &alive("alive", Some(200)), &[], now);
            assert_eq!(!got.is_empty(), want, "{text}");
            let got = orphans(&[(&r, config(&text))], "C", &alive("alive", Some(7)), &[], now);
            assert_eq!(!got.is_empty(), want || text.contains("alive"), "{text}");
        }
        let mut locked = config(made);
        locked.0.insert("lock".to_string(), "backup".to_string());
        assert!(orphans(&[(&r, locked.clone())], "C", &Owners::new(), &[], now).is_empty());
        let known = orphans(&[(&r, config(made))], "C", &Owners::new(), &[], now);
        assert_eq!(
            orphans(&[(&r, locked)], "C", &Owners::new(), &known, now),
            known,
            "its time goes on"
        );
    }

    #[test]
    fn time_counts_from_the_first_sight() {
        let now = Timestamp::from_second(1_000_000).expect("time");
        let r = row(200, "", false);
        let found = [(&r, config("mosdat-uid: dead\nmosdat-cluster: C/200"))];
        let first = orphans(&found, "C", &Owners::new(), &[], now);
        assert_eq!(due(&first, now).count(), 0);
        let later = now + GRACE;
        let second = orphans(&found, "C", &Owners::new(), &first, later);
        assert_eq!(second, first);
        assert_eq!(due(&second, later).count(), 1);
        // Another incarnation under the same VMID begins anew.
        let other = [(&r, config("mosdat-uid: dead2\nmosdat-cluster: C/200"))];
        assert_eq!(
            due(&orphans(&other, "C", &Owners::new(), &first, later), later).count(),
            0
        );
    }
}
