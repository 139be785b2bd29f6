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

/// Whether the VM should run: what its run asks for, else what it has asked for, else what is declared.
pub(super) fn wanted_power(vm: &ProxmoxVM) -> VmPower {
    match unfinished(vm).map(|o| o.action) {
        Some(VmRequest::Shutdown | VmRequest::Stop) => VmPower::Stopped,
        Some(VmRequest::Start | VmRequest::Rollback) => VmPower::Running,
        Some(VmRequest::Snapshot) | None => match vm.status.as_ref().is_some_and(|s| s.held_off) {
            true => VmPower::Stopped,
            false => vm.spec.power,
        },
    }
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
    /// Whether this write was begun for the present request: that of an earlier one proves nothing about it.
    fn begun(&self, action: VmAction) -> bool {
        let id = unfinished(self.vm).map(|o| &o.id);
        let intent = self.status.intent.as_ref();
        id.is_some() && intent.is_some_and(|i| i.action == action && i.operation.as_ref() == id)
    }

    /// Whether the rollback that the run asks for is carried out.
    pub(super) fn went_back(&self) -> bool {
        let asked = |o: &VmOperation| o.action == VmRequest::Rollback && o.state == VmOperationState::Asked;
        unfinished(self.vm).is_some_and(asked) && self.begun(VmAction::Rollback) && self.seen.task == Task::Ok
    }

    /// The next step of what was asked for, or of tidying up after it.
    pub(super) fn operate(&self, running: Option<bool>) -> Option<Step> {
        let Some(operation) = unfinished(self.vm) else {
            return leftover(self.vm).map(|name| self.drop_snapshot(name));
        };
        if operation.state == VmOperationState::Returning {
            return None;
        }
        let name = operation.snapshot.as_deref().unwrap_or_default();
        match (operation.action, running) {
            (VmRequest::Snapshot, _) => Some(self.take_snapshot(name)),
            (VmRequest::Rollback, _) => Some(self.go_back(name)),
            (VmRequest::Shutdown | VmRequest::Stop, Some(false)) => Some(DONE),
            (VmRequest::Shutdown, Some(true)) => {
                Some(self.again(VmAction::Shutdown, "shutdown").unwrap_or(Step::Shutdown))
            }
            (VmRequest::Stop, Some(true)) => Some(self.again(VmAction::Stop, "stop").unwrap_or(Step::Stop)),
            (VmRequest::Start, Some(true)) if self.status.phase == Some(VmPhase::Ready) => Some(DONE),
            (VmRequest::Start | VmRequest::Shutdown | VmRequest::Stop, _) => None,
        }
    }

    /// What comes before the write is made again: its failure is noted, or its pause is not over.
    fn again(&self, action: VmAction, what: &str) -> Option<Step> {
        if !self.begun(action) {
            return None;
        }
        if let Task::Failed(kind, text) = &self.seen.task {
            return Some(Step::Failed {
                kind: *kind,
                message: format!("{what} of VM {}: {text}", self.vmid()),
            });
        }
        let phase = self.status.phase.unwrap_or(VmPhase::Configuring);
        self.pause().map(|left| self.paused(left, phase))
    }

    fn take_snapshot(&self, name: &str) -> Step {
        let Some(names) = &self.seen.snapshots else {
            return self.observing();
        };
        let there = names.iter().any(|n| n == name);
        let ours = self.status.checkpoints.iter().any(|n| n == name);
        match (self.again(VmAction::Snapshot, &format!("snapshot {name}")), there) {
            (Some(step), _) => step,
            // A task that is not known any more has left its snapshot, or none.
            (None, true) if self.begun(VmAction::Snapshot) => DONE,
            // Taken again: the later one counts.
            (None, true) if ours => self.drop_snapshot(name),
            (None, true) => failed(format!(
                "VM {} has a snapshot {name} that no step of this run took; give this one another name",
                self.vmid()
            )),
            (None, false) => Step::Snapshot { name: name.to_string() },
        }
    }

    fn go_back(&self, name: &str) -> Step {
        let Some(names) = &self.seen.snapshots else {
            return self.observing();
        };
        if let Some(step) = self.again(VmAction::Rollback, &format!("rollback to {name}")) {
            return step;
        }
        match self.lacks(names, name) {
            Some(why) => failed(why),
            None => Step::Rollback {
                snapshot: name.to_string(),
            },
        }
    }

    /// Why the VM cannot go back to this snapshot.
    pub(super) fn lacks(&self, names: &[String], name: &str) -> Option<String> {
        let has = match names.is_empty() {
            true => "none".to_string(),
            false => names.join(", "),
        };
        let there = names.iter().any(|n| n == name);
        (!there).then(|| format!("VM {} has no snapshot {name}; it has {has}", self.vmid()))
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

const DONE: Step = Step::Operated { failed: None };

fn failed(why: String) -> Step {
    Step::Operated { failed: Some(why) }
}

/// Whether a refusal passes by itself, so that the request is made again.
pub(super) fn passes(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Busy | ErrorKind::Locked | ErrorKind::NodeOffline | ErrorKind::NoGpu
    )
}
