//! The end of a ProxmoxVM: destroy it, or stop it, or leave it, and only then let the object go.

use super::super::conditions::Verdict;
use super::decide::View;
use super::seen::{Task, Vm};
use super::step::{Step, wait};
use super::{config, operate};
use crate::api::{DeletionPolicy, VmAction, VmPhase};
use crate::proxmox::VmConfig;
use std::time::Duration;

impl View<'_> {
    /// What becomes of the VM. One that was not made by us is never destroyed, whatever an old object says.
    fn policy(&self) -> DeletionPolicy {
        match self.vm.spec.deletion_policy {
            DeletionPolicy::Delete if self.vm.spec.source.adopt.is_some() => DeletionPolicy::Stop,
            policy => policy,
        }
    }

    pub(super) fn delete(&self) -> Step {
        if self.seen.force_delete {
            return Step::Release;
        }
        let Some(vmid) = self.status.vmid else {
            return Step::Release;
        };
        if let Some(e) = &self.seen.cluster_error {
            return wait(
                VmPhase::Deleting,
                Verdict::stalled(
                    "ClusterUnavailable",
                    format!(
                        "{e}. VM {vmid} cannot be removed or given back; to give it up, annotate this object with {}=true",
                        super::FORCE_DELETE
                    ),
                ),
                Duration::from_secs(5),
            );
        }
        if let Task::Found(upid) = &self.seen.task {
            return Step::Learn { upid: upid.clone() };
        }
        if let Some(node) = &self.seen.moved {
            return Step::Moved { node: node.clone() };
        }
        if self.seen.task == Task::Running {
            return self.doing(match self.action() {
                Some(VmAction::Clone) => "still being cloned",
                Some(VmAction::Rollback) => "still being rolled back",
                Some(VmAction::Stop) => "being stopped",
                Some(VmAction::Shutdown) => "being shut down",
                Some(VmAction::Destroy) => "being destroyed",
                _ => "busy",
            });
        }
        match &self.seen.vm {
            Vm::Unknown => self.doing("being looked at"),
            // A clone that was asked for may be on its way to its task; leaving now would leave its VM behind.
            Vm::Absent if self.clone_unheard_of() => self.doing("looked for"),
            Vm::Absent => Step::Release,
            Vm::Present { config, ours, running } => self.end(config, *ours, *running),
        }
    }

    fn doing(&self, what: &str) -> Step {
        let text = format!("VM {} is {what}", self.vmid());
        self.task_wait(VmPhase::Deleting, "Deleting", text)
    }

    fn end(&self, config: &VmConfig, ours: bool, running: Option<bool>) -> Step {
        if config.lock() == Some("clone") {
            return self.clone_lock(VmPhase::Deleting);
        }
        if !ours {
            return Step::Release;
        }
        if let Some(lock) = config.lock().filter(|l| *l != "destroyed") {
            return self.locked(VmPhase::Deleting, lock);
        }
        let policy = self.policy();
        if policy != DeletionPolicy::Delete
            && let Some(name) = operate::leftover(self.vm)
        {
            return self.drop_snapshot(name);
        }
        let (action, step) = match (policy, running) {
            (DeletionPolicy::Delete | DeletionPolicy::Stop, None) => return self.doing("being looked at"),
            (DeletionPolicy::Delete, Some(true)) => (VmAction::Stop, Step::Stop),
            (DeletionPolicy::Delete, Some(false)) => (VmAction::Destroy, Step::Destroy),
            (DeletionPolicy::Stop, Some(true)) => (VmAction::Shutdown, Step::Shutdown),
            (DeletionPolicy::Stop, Some(false)) | (DeletionPolicy::Retain, _) => {
                let change = config::give_back(self.vm, config);
                match change.is_empty() {
                    true => return Step::Release,
                    false => (VmAction::Configure, Step::Configure { change }),
                }
            }
        };
        if self.asked(action) {
            if let Task::Failed(kind, text) = &self.seen.task {
                return Step::Failed {
                    kind: *kind,
                    message: text.clone(),
                };
            }
            if let Some(left) = self.pause() {
                return self.paused(left, VmPhase::Deleting);
            }
        }
        step
    }
}
