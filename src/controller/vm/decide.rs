//! All policy of a ProxmoxVM: from the object and what was observed to one next step. Pure.

use super::super::backoff;
use super::super::conditions::Verdict;
use super::seen::{Lease, NoSsh, Observed, Task, Vm};
use super::step::{STALLED_PAUSE, Step, stalled, wait};
use super::{config, operate};
use crate::api::{ProxmoxVM, VmAction, VmPhase, VmPower};
use crate::proxmox::{ErrorKind, VmConfig};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::time::Duration;

/// After so many failures of one action in a row the VM is `Stalled`; it is still tried now and then.
pub const MANY_FAILURES: u32 = 5;
/// A guest that does not answer for so long after the start is reported as `Stalled`.
const BOOT_LIMIT: Duration = Duration::from_secs(600);
/// How often a ready VM is looked at.
pub const READY_PAUSE: Duration = Duration::from_secs(15);
/// So soon after the last look at a VM that is ready there is nothing new: what wakes us up is our own status.
const RESTING: SignedDuration = SignedDuration::from_secs(2);

/// How long to leave a VM alone that has just become ready and whose object has not been changed since.
pub fn resting(vm: &ProxmoxVM, now: Timestamp) -> Option<Duration> {
    let status = vm.status.as_ref()?;
    let told = status.observed_generation == vm.metadata.generation && status.phase == Some(VmPhase::Ready);
    let ready = status
        .conditions
        .iter()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    let asked = operate::unfinished(vm).is_some() || operate::leftover(vm).is_some();
    let untouched = vm.metadata.deletion_timestamp.is_none() && vm.spec.ttl_seconds.is_none() && !asked;
    let since = now.duration_since(status.ready_at.as_ref()?.0);
    let soon = !since.is_negative() && since < RESTING;
    (told && ready && untouched && soon).then_some(READY_PAUSE)
}

/// Decides.
pub fn decide(vm: &ProxmoxVM, seen: &Observed, now: Timestamp) -> Step {
    let view = View::new(vm, seen, now);
    if vm.metadata.deletion_timestamp.is_some() {
        view.delete()
    } else {
        view.make()
    }
}

pub(super) struct View<'a> {
    pub(super) vm: &'a ProxmoxVM,
    pub(super) seen: &'a Observed,
    pub(super) status: crate::api::ProxmoxVMStatus,
    pub(super) now: Timestamp,
    /// Time since the present intent was noted.
    pub(super) since: Duration,
}

impl View<'_> {
    fn new<'a>(vm: &'a ProxmoxVM, seen: &'a Observed, now: Timestamp) -> View<'a> {
        let status = vm.status.clone().unwrap_or_default();
        let since = status
            .intent
            .as_ref()
            .map(|i| Duration::try_from(now.duration_since(i.at.0)).unwrap_or_default())
            .unwrap_or_default();
        View {
            vm,
            seen,
            status,
            now,
            since,
        }
    }

    pub(super) fn action(&self) -> Option<VmAction> {
        self.status.intent.as_ref().map(|i| i.action)
    }

    pub(super) fn asked(&self, action: VmAction) -> bool {
        self.action() == Some(action)
    }

    pub(super) fn vmid(&self) -> u32 {
        self.status.vmid.unwrap_or_default()
    }

    pub(super) fn node(&self) -> &str {
        self.status.node.as_deref().unwrap_or_default()
    }

    /// What is left of the pause that failures ask for. An edit ends it: it may be what was missing.
    pub(super) fn pause(&self) -> Option<Duration> {
        let judged = self.status.observed_generation;
        if judged.is_some() && judged != self.vm.metadata.generation {
            return None;
        }
        let failures = self.status.failures.unwrap_or(0);
        let left = match &self.status.next_attempt_at {
            Some(at) => Duration::try_from(at.0.duration_since(self.now)).unwrap_or_default(),
            None if failures >= MANY_FAILURES => STALLED_PAUSE.saturating_sub(self.since),
            None => backoff::after_failures(failures).saturating_sub(self.since),
        };
        (failures > 0 && self.status.intent.is_some() && left > Duration::from_millis(50)).then_some(left)
    }

    /// Keeps what status says until the pause is over.
    pub(super) fn paused(&self, left: Duration, phase: VmPhase) -> Step {
        let condition = super::super::conditions::get(&self.status.conditions, "Ready");
        let message = condition.map(|c| c.message.clone()).unwrap_or_default();
        let reason = condition.map(|c| c.reason.clone());
        let verdict = if self.status.failures.unwrap_or(0) >= MANY_FAILURES {
            Verdict::stalled(reason.unwrap_or_else(|| "ActionFailed".to_string()), message)
        } else {
            Verdict::progressing(reason.unwrap_or_else(|| "Retrying".to_string()), message)
        };
        let phase = if verdict.stalled { VmPhase::Failed } else { phase };
        wait(phase, verdict, left)
    }

    pub(super) fn task_wait(&self, phase: VmPhase, reason: &'static str, message: impl Into<String>) -> Step {
        wait(
            phase,
            Verdict::progressing(reason, message),
            backoff::polling(self.since),
        )
    }

    /// What is left of the object's time.
    fn time_left(&self) -> Option<Duration> {
        let ttl = self.vm.spec.ttl_seconds?;
        let age = self.now.duration_since(self.vm.metadata.creation_timestamp.as_ref()?.0);
        Some(Duration::from_secs(ttl.into()).saturating_sub(Duration::try_from(age).unwrap_or_default()))
    }

    fn make(&self) -> Step {
        let left = self.time_left();
        if left == Some(Duration::ZERO) {
            return Step::Expire;
        }
        let mut step = self.go_on();
        if let Step::Wait { verdict, after, .. } = &mut step {
            *after = left.map_or(*after, |left| left.min(*after));
            if verdict.message.is_empty() {
                verdict.message = format!("VMID {} on node {}", self.vmid(), self.node());
            }
        }
        step
    }

    fn go_on(&self) -> Step {
        if let Some(e) = &self.seen.cluster_error {
            // Keep the phase: an unreachable API says nothing about the VM.
            let phase = self.status.phase.unwrap_or(VmPhase::Pending);
            return wait(
                phase,
                Verdict::progressing("ClusterUnavailable", e),
                Duration::from_secs(3),
            );
        }
        if let Lease::Waiting(why) = &self.seen.device {
            // A VM that runs keeps its phase: it is the pool that cannot be used. One that waits does not start.
            let phase = match self.status.vmid.and(self.status.phase) {
                None | Some(VmPhase::Starting | VmPhase::Cloning) => VmPhase::Pending,
                Some(phase) => phase,
            };
            return wait(
                phase,
                Verdict::progressing("WaitingForGpu", why),
                Duration::from_secs(1),
            );
        }
        if let Task::Found(upid) = &self.seen.task {
            return Step::Learn { upid: upid.clone() };
        }
        if let Some(node) = &self.seen.moved {
            return Step::Moved { node: node.clone() };
        }
        if self.status.vmid.is_none() {
            return match self.vm.spec.source.adopt {
                Some(_) => self.plan_adoption(),
                None => self.clone_anew(),
            };
        }
        match (&self.seen.task, self.action()) {
            (Task::Running, Some(VmAction::Clone)) => {
                self.task_wait(VmPhase::Cloning, "Cloning", format!("cloning to VMID {}", self.vmid()))
            }
            (Task::Running, Some(VmAction::Start)) => self.starting(),
            (Task::Running, Some(VmAction::Shutdown)) => {
                self.task_wait(VmPhase::Stopped, "ShuttingDown", "the guest is shutting down")
            }
            (Task::Running, Some(VmAction::Snapshot | VmAction::DeleteSnapshot)) => {
                let phase = self.status.phase.unwrap_or(VmPhase::Configuring);
                self.task_wait(phase, "Snapshot", "a snapshot is being taken or removed")
            }
            (Task::Running, Some(VmAction::Rollback)) => {
                self.task_wait(VmPhase::Configuring, "RollingBack", "the VM is being rolled back")
            }
            (Task::Running, _) => self.task_wait(VmPhase::Configuring, "Working", "a task is running"),
            _ => match &self.seen.vm {
                Vm::Unknown => self.task_wait(VmPhase::Pending, "Observing", "the VM is being looked at"),
                Vm::Absent => self.absent(),
                Vm::Present { config, ours, running } => self.present(config, *ours, *running),
            },
        }
    }

    fn starting(&self) -> Step {
        let memory = self.vm.spec.hardware.as_ref().and_then(|h| h.memory_mib);
        let limit = start_limit(memory.unwrap_or(0), self.vm.spec.gpu_profile_ref.is_some());
        if self.since > limit + Duration::from_secs(20) {
            let text = format!(
                "the start task has been running for {} s, Proxmox's own limit is {} s; its log on node {} tells more",
                self.since.as_secs(),
                limit.as_secs(),
                self.node()
            );
            return self.task_wait(VmPhase::Starting, "StartSlow", text);
        }
        let text = format!("the VM is being started, which may take {} s", limit.as_secs());
        self.task_wait(VmPhase::Starting, "Starting", text)
    }

    fn present(&self, config: &VmConfig, ours: bool, running: Option<bool>) -> Step {
        if config.lock() == Some("clone") {
            return self.clone_lock(VmPhase::Cloning);
        }
        if let (true, Some(snapshot)) = (
            self.asked(VmAction::Rollback) && self.seen.task == Task::Ok,
            self.snapshot(),
        ) {
            return Step::RolledBack {
                snapshot: snapshot.to_string(),
            };
        }
        // Before anything else is written: a snapshot from before the adoption does not bear our mark.
        if self.went_back() {
            return Step::Operated { failed: None };
        }
        if !ours {
            // Lost the race for the VMID: whoever has it, it is not us. A task that was found for it was theirs, too: ours
            // would have written our UID into the description.
            if self.asked(VmAction::Clone) {
                return match self.pause() {
                    Some(left) => self.paused(left, VmPhase::Cloning),
                    None => self.clone_anew(),
                };
            }
            if self.vm.spec.source.adopt.is_some() {
                return self.mark(config);
            }
            return stalled(
                VmPhase::Failed,
                "NotOurs",
                format!(
                    "VM {} does not carry this object's UID in description or tags; it is left alone",
                    self.vmid()
                ),
            );
        }
        if let Some(lock) = config.lock() {
            return self.locked(self.status.phase.unwrap_or(VmPhase::Configuring), lock);
        }
        if let Some(snapshot) = self.snapshot() {
            return self.roll_back(snapshot);
        }
        let device = match &self.seen.device {
            Lease::Held(device) => Some(device.hostpci.as_str()),
            _ => None,
        };
        let change = config::differences(self.vm, config, device);
        if !change.is_empty() {
            return match self.pause().filter(|_| self.asked(VmAction::Configure)) {
                Some(left) => self.paused(left, VmPhase::Configuring),
                None => Step::Configure { change },
            };
        }
        if let Some(step) = self.operate(running) {
            return step;
        }
        match (running, operate::wanted_power(self.vm)) {
            (None, _) => self.task_wait(VmPhase::Configuring, "Observing", "power state is being looked at"),
            (Some(true), VmPower::Stopped) => self.switch_off(),
            (Some(false), VmPower::Stopped) => {
                wait(VmPhase::Stopped, Verdict::ready("PoweredOff", self.off()), READY_PAUSE)
            }
            // A start task may fail although the VM runs: the VM decides, not the task.
            (Some(true), VmPower::Running) => self.running(),
            (Some(false), VmPower::Running) => self.stopped(),
        }
    }

    pub(super) fn locked(&self, phase: VmPhase, lock: &str) -> Step {
        let (vmid, node) = (self.vmid(), self.node());
        let text = format!(
            "VM {vmid} is locked ({lock}); if nothing works on it any more, run `qm unlock {vmid}` on node {node}"
        );
        wait(phase, Verdict::progressing("Locked", text), Duration::from_secs(1))
    }

    fn off(&self) -> &'static str {
        match self.vm.spec.power {
            VmPower::Stopped => "the VM is off, as spec.power says",
            VmPower::Running => "the VM is off, as its run asked",
        }
    }

    fn switch_off(&self) -> Step {
        if self.asked(VmAction::Shutdown) {
            if let Task::Failed(kind, text) = &self.seen.task {
                return Step::Failed {
                    kind: *kind,
                    message: text.clone(),
                };
            }
            if let Some(left) = self.pause() {
                return self.paused(left, VmPhase::Stopped);
            }
        }
        Step::Shutdown
    }

    fn stopped(&self) -> Step {
        if self.asked(VmAction::Start) {
            if let Task::Failed(kind, text) = &self.seen.task {
                return Step::Failed {
                    kind: *kind,
                    message: text.clone(),
                };
            }
            // Counted as a failure, or a guest that dies while booting would be started again without a pause, for ever.
            if self.seen.task == Task::Ok {
                return Step::Failed {
                    kind: ErrorKind::Other,
                    message: format!("VM {} started and stopped again before its guest answered", self.vmid()),
                };
            }
            if let Some(left) = self.pause() {
                return self.paused(left, VmPhase::Starting);
            }
        }
        // A fresh boot in the middle of a run would only confuse it; the run takes a clean VM instead.
        let run = self.vm.owner_references().iter().any(|o| o.kind == "FunctionalTestRun");
        if run && self.status.ready_at.is_some() && operate::unfinished(self.vm).is_none() {
            return stalled(
                VmPhase::Stopped,
                "Stopped",
                format!("VM {} stopped while a run had it; it is not started again", self.vmid()),
            );
        }
        let allowed = self.seen.placement.parallel_starts.max(1);
        if self.seen.starts_in_flight >= allowed {
            let text = format!("limits.parallelStarts allows {allowed} at a time");
            return wait(
                VmPhase::Starting,
                Verdict::progressing("WaitingForStarts", text),
                Duration::from_millis(500),
            );
        }
        Step::Start
    }

    fn running(&self) -> Step {
        // An adopted VM, or one that was rolled back to a running state, was not started by us.
        let since_start = self.since;
        let late = since_start > BOOT_LIMIT;
        let booting = |reason: &'static str, message: String| {
            if late {
                return stalled(
                    VmPhase::Failed,
                    "GuestUnreachable",
                    format!("{} minutes after the start: {message}", since_start.as_secs() / 60),
                );
            }
            wait(
                VmPhase::Booting,
                Verdict::progressing(reason, message),
                backoff::polling(since_start),
            )
        };
        if self.status.phase == Some(VmPhase::Ready) && self.seen.guest.agent.is_none() {
            return match &self.seen.guest.ip {
                Some(ip) if self.status.ip.as_ref() != Some(ip) => Step::Readdressed { ip: ip.clone() },
                _ => wait(VmPhase::Ready, ready_verdict(self.vm), READY_PAUSE),
            };
        }
        let guest = &self.seen.guest;
        match &guest.ssh {
            Some(Err(NoSsh::HostKey(why))) => return stalled(VmPhase::Failed, "HostKeyChanged", why.clone()),
            Some(Err(NoSsh::NotYet(why))) => return booting("WaitingForSsh", why.clone()),
            Some(Ok(_)) | None => {}
        }
        match &guest.agent {
            // Commands go another way, and the address is known without it.
            _ if guest.ssh.is_some() => {}
            None => return booting("WaitingForGuest", "the guest agent was not asked yet".to_string()),
            Some(Err(why)) if why.contains("No QEMU guest agent configured") => {
                return stalled(
                    VmPhase::Failed,
                    "AgentNotConfigured",
                    "the template has no guest agent configured; set `agent: 1` in it and install qemu-guest-agent in the guest",
                );
            }
            Some(Err(why)) => return booting("WaitingForGuest", why.clone()),
            Some(Ok(())) => {}
        }
        match &guest.display {
            None => booting("WaitingForConsole", "the console was not opened yet".to_string()),
            Some(Err(why)) => booting("WaitingForConsole", why.clone()),
            Some(Ok(display)) => Step::Ready {
                ip: guest.ip.clone(),
                display: *display,
                ssh: guest.ssh.clone().and_then(Result::ok),
            },
        }
    }
}

/// What a ready VM says.
pub fn ready_verdict(vm: &ProxmoxVM) -> Verdict {
    let guest = match vm.spec.ssh() {
        Some(_) => "the guest lets mosdat in by SSH",
        None => "the guest agent answers",
    };
    Verdict::ready("GuestReachable", format!("{guest} and the console shows a frame"))
}

/// How long Proxmox lets a start take: 30 s, a second per GiB above 30 GiB, four times that with a passthrough device.
pub fn start_limit(memory_mib: u32, hostpci: bool) -> Duration {
    let seconds = (memory_mib / 1024).max(30);
    Duration::from_secs(u64::from(seconds) * if hostpci { 4 } else { 1 })
}

/// Name for messages.
pub fn describe(vm: &ProxmoxVM) -> String {
    format!("{}/{}", vm.namespace().unwrap_or_default(), vm.name_any())
}
