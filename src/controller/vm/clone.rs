//! Cloning: to a planned VMID, with a race for it, answers that get lost, and locks that stay.

use super::super::conditions::{self, Verdict};
use super::decide::View;
use super::seen::{Lease, Task, Vm};
use super::step::{Step, stalled, wait};
use crate::api::{CloneMode, VmAction, VmPhase};
use std::time::Duration;

/// How long a clone's lock may stand without a running task before a person is asked for.
const LOCK_GRACE: Duration = Duration::from_secs(20);
/// How long Proxmox may go on with a request that nobody waits for any more: its proxy's own limit for a worker.
const LATE: Duration = Duration::from_secs(30);
/// How long a VM that was ready may be missing: one that moves to another node is nowhere for a moment.
const MISSING_GRACE: Duration = Duration::from_secs(15);

/// How long after asking for a clone, without an answer, its VM may still turn up.
pub fn grace(request_timeout_seconds: u32) -> Duration {
    Duration::from_secs(request_timeout_seconds.into()) + LATE
}

impl View<'_> {
    pub(super) fn absent(&self) -> Step {
        if self.asked(VmAction::Clone) {
            return match &self.seen.task {
                Task::Failed(kind, text) => Step::Failed {
                    kind: *kind,
                    message: text.clone(),
                },
                Task::Ok => stalled(
                    VmPhase::Failed,
                    "VmLost",
                    format!(
                        "the clone to VMID {} was made and then removed by somebody else; delete this object and make a new one",
                        self.vmid()
                    ),
                ),
                _ => match self.pause() {
                    Some(left) => self.paused(left, VmPhase::Cloning),
                    None => self.clone_anew(),
                },
            };
        }
        let ready = conditions::get(&self.status.conditions, "Ready");
        let unseen = ready.map(|c| {
            let since = Duration::try_from(self.now.duration_since(c.last_transition_time.0)).unwrap_or_default();
            c.status == "True" || (c.reason == "VmMissing" && since < MISSING_GRACE)
        });
        if unseen == Some(true) {
            return wait(
                self.status.phase.unwrap_or(VmPhase::Pending),
                Verdict::progressing(
                    "VmMissing",
                    format!("VM {} is not on node {}", self.vmid(), self.node()),
                ),
                Duration::from_secs(2),
            );
        }
        stalled(
            VmPhase::Failed,
            "VmLost",
            format!(
                "VM {} no longer exists; somebody else removed it. Delete this object and make a new one",
                self.vmid()
            ),
        )
    }

    /// Clones to the planned VMID, or to the next free one.
    pub(super) fn clone_anew(&self) -> Step {
        let p = &self.seen.placement;
        if self.seen.clones_in_flight >= p.parallel_clones.max(1) {
            return wait(
                VmPhase::Pending,
                Verdict::progressing(
                    "WaitingForClones",
                    // The same words as long as it waits: each other text would be a write.
                    format!("limits.parallelClones allows {} at a time", p.parallel_clones.max(1)),
                ),
                Duration::from_millis(500),
            );
        }
        let source = match &self.seen.template {
            Some(Ok(t)) => t.clone(),
            Some(Err(why)) => return stalled(VmPhase::Pending, "TemplateNotUsable", why),
            None => return self.task_wait(VmPhase::Pending, "Observing", "the template is being looked up"),
        };
        // While a clone may be on its way to the planned VMID no other is asked for: Proxmox lets only one through.
        let kept = self.asked(VmAction::Clone) && self.seen.vm == Vm::Absent;
        let planned = self.status.vmid.filter(|id| kept || !self.seen.taken.contains(id));
        let next = || (p.range.0..=p.range.1).find(|id| !self.seen.taken.contains(id));
        let Some(vmid) = planned.or_else(next) else {
            return stalled(
                VmPhase::Pending,
                "NoFreeVmid",
                format!(
                    "every VMID from {} to {} is in use; widen vmidRange of the ProxmoxCluster",
                    p.range.0, p.range.1
                ),
            );
        };
        let clone = self.vm.spec.source.clone.clone().unwrap_or_default();
        let mut wanted = clone.node.clone().or_else(|| p.node.clone());
        // The VM has to be where its device is.
        if let Lease::Held(d) = &self.seen.device
            && !d.nodes.is_empty()
            && !d.nodes.contains(wanted.as_ref().unwrap_or(&source.node))
        {
            wanted = d.nodes.first().cloned();
        }
        Step::Clone {
            target: wanted.filter(|n| *n != source.node),
            source,
            vmid,
            full: clone.mode == CloneMode::Full,
        }
    }

    pub(super) fn clone_lock(&self, phase: VmPhase) -> Step {
        if self.since < LOCK_GRACE {
            return self.task_wait(phase, "Cloning", format!("cloning to VMID {}", self.vmid()));
        }
        stalled(
            VmPhase::Failed,
            "CloneLockLeft",
            format!(
                "VM {0} is locked (clone) and no clone task is running; run `qm unlock {0}` on node {1}",
                self.vmid(),
                self.node()
            ),
        )
    }

    /// Whether a clone was asked for just now and nothing is known of an answer.
    pub(super) fn clone_unheard_of(&self) -> bool {
        let unanswered = self.status.intent.as_ref().is_some_and(|i| i.upid.is_none());
        // A refusal is an answer, and notes when to try again; the next try takes that note away.
        let refused = self.status.next_attempt_at.is_some();
        unanswered && self.asked(VmAction::Clone) && !refused && self.since < self.seen.placement.clone_grace
    }
}
