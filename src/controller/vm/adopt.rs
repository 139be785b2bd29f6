//! Taking over a VM that exists: find it, mark it, roll it back once.

use super::super::conditions::Verdict;
use super::decide::View;
use super::seen::Task;
use super::step::{Step, stalled, wait};
use super::{config, names};
use crate::api::{VmAction, VmPhase};
use crate::proxmox::VmConfig;
use std::time::Duration;

impl View<'_> {
    /// The snapshot that the VM still has to be rolled back to.
    pub(super) fn snapshot(&self) -> Option<&str> {
        let wanted = self.vm.spec.source.adopt.as_ref()?.snapshot.as_deref()?;
        (self.status.rolled_back_to.as_deref() != Some(wanted)).then_some(wanted)
    }

    /// Where the VM is; a template is no machine to run.
    pub(super) fn plan_adoption(&self) -> Step {
        let vmid = self.vm.spec.source.adopt.as_ref().map(|a| a.vmid).unwrap_or_default();
        match &self.seen.adoptee {
            None => self.task_wait(VmPhase::Pending, "Observing", format!("VM {vmid} is being looked up")),
            Some(Err(why)) => stalled(VmPhase::Pending, "NotAdoptable", why),
            Some(Ok(found)) if found.template => stalled(
                VmPhase::Pending,
                "NotAdoptable",
                format!("VM {vmid} is a template; clone it with source.clone.vmid instead"),
            ),
            Some(Ok(found)) => Step::Plan {
                vmid,
                node: found.node.clone(),
            },
        }
    }

    /// Puts our UID on the VM, unless another's is there.
    pub(super) fn mark(&self, config: &VmConfig) -> Step {
        let vmid = self.vmid();
        let uid = self.vm.metadata.uid.as_deref().unwrap_or_default();
        if let Some(other) = names::other_owner(config, uid) {
            if self.seen.owner_alive {
                return wait(
                    VmPhase::Pending,
                    Verdict::progressing(
                        "WaitingForVm",
                        format!("VM {vmid} is used by another ProxmoxVM (uid {other})"),
                    ),
                    Duration::from_secs(2),
                );
            }
            return stalled(
                VmPhase::Failed,
                "NotOurs",
                format!(
                    "VM {vmid} is marked for uid {other}, which no ProxmoxVM here has: another installation may use it. \
                     If nothing does, take the tag {} and the lines that begin with mosdat- in its notes away",
                    names::uid_tag(&other)
                ),
            );
        }
        if config.get("template").is_some_and(|t| t == "1") {
            return stalled(
                VmPhase::Failed,
                "NotAdoptable",
                format!("VM {vmid} was made a template; clone it with source.clone.vmid instead"),
            );
        }
        if let Some(lock) = config.lock() {
            return self.locked(VmPhase::Pending, lock);
        }
        if let Some(left) = self.pause().filter(|_| self.asked(VmAction::Configure)) {
            return self.paused(left, VmPhase::Pending);
        }
        Step::Configure {
            change: config::mark(self.vm, config),
        }
    }

    pub(super) fn roll_back(&self, snapshot: &str) -> Step {
        if self.asked(VmAction::Rollback) {
            if let Task::Failed(kind, text) = &self.seen.task {
                return Step::Failed {
                    kind: *kind,
                    message: text.clone(),
                };
            }
            if let Some(left) = self.pause() {
                return self.paused(left, VmPhase::Configuring);
            }
        }
        let Some(names) = &self.seen.snapshots else {
            return self.task_wait(VmPhase::Configuring, "Observing", "the snapshots are being looked up");
        };
        if let Some(why) = self.lacks(names, snapshot) {
            return stalled(VmPhase::Failed, "SnapshotNotFound", why);
        }
        Step::Rollback {
            snapshot: snapshot.to_string(),
        }
    }
}
