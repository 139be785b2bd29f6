//! What became of a write whose answer was lost, or whose controller was killed.

use super::seen::Task;
use crate::api::{ProxmoxVM, VmAction};
use crate::proxmox::{self, Client, Upid};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

/// Seconds by which the node's clock may be behind ours.
const SLACK: u64 = 60;

fn seconds(at: &Time) -> u64 {
    u64::try_from(at.0.as_second()).unwrap_or_default().max(SLACK)
}

/// The latest task of this kind on the VM, before another is begun: it is not to be taken for that one.
///
/// # Errors
/// Proxmox does not tell.
pub(super) async fn latest(pve: &Client, node: &str, kind: &str, vmid: u32) -> Result<Option<String>, proxmox::Error> {
    // A second more than is looked back later.
    let since = seconds(&Time(Timestamp::now())) - SLACK;
    let found = pve.find_task(node, kind, vmid, since.saturating_sub(1)).await?;
    Ok(found.map(|u| u.to_string()))
}

/// An intent without UPID: the answer was lost or the controller was killed. Is its task running?
pub(super) async fn lost_answer(
    pve: &Client,
    vm: &ProxmoxVM,
    action: VmAction,
    node: &str,
    vmid: u32,
) -> Result<Task, proxmox::Error> {
    let kind = match action {
        VmAction::Clone => {
            // A clone to another node runs on the template's.
            for n in pve.nodes().await? {
                for upid in pve.running_tasks(&n.node, "qmclone").await? {
                    if pve.clone_target(&upid).await? == Some(vmid) {
                        return Ok(Task::Found(upid.to_string()));
                    }
                }
            }
            return Ok(Task::None);
        }
        VmAction::Start => "qmstart",
        VmAction::Rollback => "qmrollback",
        VmAction::Snapshot => "qmsnapshot",
        VmAction::DeleteSnapshot => "qmdelsnapshot",
        VmAction::Shutdown => "qmshutdown",
        VmAction::Stop => "qmstop",
        VmAction::Destroy => "qmdestroy",
        VmAction::Configure => return Ok(Task::None),
    };
    // Whether a VM was rolled back cannot be seen on it, so a task that has ended counts too, unless it is a failed one
    // that was heard of.
    let status = vm.status.clone().unwrap_or_default();
    if matches!(action, VmAction::Rollback | VmAction::Snapshot)
        && status.failures.is_none()
        && let Some(intent) = &status.intent
    {
        let found = pve.find_task(node, kind, vmid, seconds(&intent.at) - SLACK).await?;
        let before = intent.after.as_deref().and_then(Upid::parse);
        // One from before the intent is that of an earlier request, which may have been for another snapshot.
        let found = found.filter(|u| before.is_none_or(|b| u.order() > b.order()));
        return Ok(found.map_or(Task::None, |u| Task::Found(u.to_string())));
    }
    let found = pve
        .running_tasks(node, kind)
        .await?
        .into_iter()
        .find(|u| u.id() == vmid.to_string());
    if found.is_some() {
        tracing::info!(vm = %vm.name_any(), kind, "found the task of a lost answer");
    }
    Ok(found.map_or(Task::None, |u| Task::Found(u.to_string())))
}
