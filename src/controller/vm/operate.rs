//! What a run asks of its VM: snapshots, going back to them, power. Carried out here, by the one who writes to the VM,
//! so that nobody switches on what a run has switched off.

use super::super::conditions::Verdict;
use super::decide::View;
use super::seen::Task;
use super::step::{Step, wait};
use crate::api::{ProxmoxVM, VmAction, VmOperation, VmOperationState, VmPhase, VmPower, VmRequest};
use crate::proxmox::ErrorKind;
use kube::ResourceExt;
use std::time::Duration;

/// The request that is not finished.
pub(super) fn unfinished(vm: &ProxmoxVM) -> Option<&VmOperation> {
    let operation = vm.status.as_ref()?.operation.as_ref()?;
    operation.unfinished().then_some(operation)
}

/// Whether the VM should run: what its run asked for last, else what is declared.
pub(super) fn wanted_power(vm: &ProxmoxVM) -> VmPower {
    match vm.status.as_ref().and_then(|s| s.operation.as_ref()) {
        Some(o) if o.keeps_off() => VmPower::Stopped,
        Some(o) if o.action != VmRequest::Snapshot => VmPower::Running,
        _ => vm.spec.power,
    }
}

/// Whether a rollback was asked for and is not carried out.
pub(super) fn going_back(vm: &ProxmoxVM) -> bool {
    unfinished(vm).is_some_and(|o| o.action == VmRequest::Rollback && o.state == VmOperationState::Asked)
}

/// A snapshot that nobody will go back to: no run has the VM any more.
pub(super) fn leftover(vm: &ProxmoxVM) -> Option<&str> {
    let status = vm.status.as_ref()?;
    let used = status.holder.is_some() || vm.owner_references().iter().any(|o| o.kind == "FunctionalTestRun");
    let free = !used || vm.metadata.deletion_timestamp.is_some();
    status.checkpoints.first().map(String::as_str).filter(|_| free)
}

/// Whether the decision needs to know which snapshots there are.
pub(super) fn needs_snapshots(vm: &ProxmoxVM) -> bool {
    let about = |o: &VmOperation| {
        o.state == VmOperationState::Asked && matches!(o.action, VmRequest::Snapshot | VmRequest::Rollback)
    };
    unfinished(vm).is_some_and(about) || leftover(vm).is_some()
}

impl View<'_> {
    /// The next step of what was asked for, or of tidying up after it.
    pub(super) fn operate(&self, running: Option<bool>) -> Option<Step> {
        let Some(operation) = unfinished(self.vm) else {
            return leftover(self.vm).map(|name| self.drop_snapshot(name));
        };
        if operation.state == VmOperationState::Returning {
            return None;
        }
        let name = operation.snapshot.as_deref().unwrap_or_default();
        match operation.action {
            VmRequest::Snapshot => Some(self.take_snapshot(name)),
            VmRequest::Rollback => Some(self.go_back(name)),
            VmRequest::Shutdown | VmRequest::Stop => match running {
                Some(false) => Some(Step::Operated { failed: None }),
                Some(true) if operation.action == VmRequest::Stop => Some(self.cut()),
                // The way of `spec.power`.
                _ => None,
            },
            VmRequest::Start => {
                let there = running == Some(true) && self.status.phase == Some(VmPhase::Ready);
                there.then_some(Step::Operated { failed: None })
            }
        }
    }

    fn take_snapshot(&self, name: &str) -> Step {
        let Some(names) = &self.seen.snapshots else {
            return self.observing();
        };
        let there = names.iter().any(|n| n == name);
        let ours = self.status.checkpoints.iter().any(|n| n == name);
        if self.asked(VmAction::Snapshot) {
            match &self.seen.task {
                Task::Failed(_, why) => return failed(format!("snapshot {name} of VM {}: {why}", self.vmid())),
                // A task that is not known any more has left its snapshot, or none.
                _ if there => return Step::Operated { failed: None },
                _ => {
                    if let Some(left) = self.pause() {
                        return self.paused(left, VmPhase::Configuring);
                    }
                }
            }
        } else if there && ours {
            // Taken again: the later one counts.
            return self.drop_snapshot(name);
        } else if there {
            return failed(format!(
                "VM {} has a snapshot {name} that no step of this run took; give this one another name",
                self.vmid()
            ));
        }
        Step::Snapshot { name: name.to_string() }
    }

    fn go_back(&self, name: &str) -> Step {
        let Some(names) = &self.seen.snapshots else {
            return self.observing();
        };
        if self.asked(VmAction::Rollback) {
            match &self.seen.task {
                Task::Failed(_, why) => return failed(format!("rollback of VM {} to {name}: {why}", self.vmid())),
                _ => {
                    if let Some(left) = self.pause() {
                        return self.paused(left, VmPhase::Configuring);
                    }
                }
            }
        }
        if !names.iter().any(|n| n == name) {
            let has = match names.is_empty() {
                true => "none".to_string(),
                false => names.join(", "),
            };
            return failed(format!("VM {} has no snapshot {name}; it has {has}", self.vmid()));
        }
        Step::Rollback {
            snapshot: name.to_string(),
        }
    }

    /// Pulls the plug.
    fn cut(&self) -> Step {
        match (&self.seen.task, self.pause()) {
            (Task::Failed(_, why), _) if self.asked(VmAction::Stop) => {
                failed(format!("VM {} could not be stopped: {why}", self.vmid()))
            }
            (_, Some(left)) if self.asked(VmAction::Stop) => self.paused(left, VmPhase::Stopped),
            _ => Step::Stop,
        }
    }

    /// Removes a snapshot that was taken for a run; one that is gone is forgotten.
    pub(super) fn drop_snapshot(&self, name: &str) -> Step {
        let phase = self.status.phase.unwrap_or(VmPhase::Configuring);
        let Some(names) = &self.seen.snapshots else {
            return self.observing();
        };
        if !names.iter().any(|n| n == name) {
            return Step::Dropped { name: name.to_string() };
        }
        if self.asked(VmAction::DeleteSnapshot) {
            if let Task::Failed(kind, text) = &self.seen.task {
                return Step::Failed {
                    kind: *kind,
                    message: text.clone(),
                };
            }
            if let Some(left) = self.pause() {
                return self.paused(left, phase);
            }
        }
        Step::DropSnapshot { name: name.to_string() }
    }

    fn observing(&self) -> Step {
        let phase = self.status.phase.unwrap_or(VmPhase::Configuring);
        let verdict = Verdict::progressing("Observing", "the snapshots are being looked up");
        wait(phase, verdict, Duration::from_millis(500))
    }
}

fn failed(why: String) -> Step {
    Step::Operated { failed: Some(why) }
}

/// Whether a refusal passes by itself, so that the request is made again.
pub(super) fn passes(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Busy | ErrorKind::Locked | ErrorKind::NodeOffline)
}
