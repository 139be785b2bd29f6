//! All policy of a ProxmoxVM: from the object and what was observed to one next step. Pure.

use super::super::backoff;
use super::super::conditions::Verdict;
use super::super::gpu::Device;
use super::names;
use crate::api::{CloneMode, DeletionPolicy, ProxmoxVM, VmAction, VmDisplay, VmPhase};
use crate::proxmox::{ErrorKind, VmConfig};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::collections::BTreeSet;
use std::time::Duration;

/// After so many failures of one action in a row the VM is `Stalled`; it is still tried now and then.
pub const MANY_FAILURES: u32 = 5;
/// A guest that does not answer for so long after the start is reported as `Stalled`.
const BOOT_LIMIT: Duration = Duration::from_secs(600);
/// How long a clone's lock may stand without a running task before a person is asked for.
const LOCK_GRACE: Duration = Duration::from_secs(20);
/// How long after asking for a clone, without an answer, its VM may still turn up.
const CLONE_GRACE: Duration = Duration::from_secs(10);
const STALLED_PAUSE: Duration = Duration::from_secs(60);
/// How often a ready VM is looked at.
pub const READY_PAUSE: Duration = Duration::from_secs(15);

/// What was seen of the world; only what the decision needs.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Why the cluster cannot be used, if so.
    pub cluster_error: Option<String>,
    /// The template, looked up while a clone may have to be made.
    pub template: Option<Result<Template, String>>,
    /// Where new VMs go and which VMIDs are ours.
    pub placement: Placement,
    /// VMIDs that are in use or planned by others.
    pub taken: BTreeSet<u32>,
    /// Clones of this cluster in flight, this one not counted.
    pub clones_in_flight: u32,
    /// The device: not wanted, waited for, or held.
    pub device: Lease,
    /// The VM under the planned VMID.
    pub vm: Vm,
    /// The task of the present intent, or one that was found to be ours after a lost answer.
    pub task: Task,
    /// Guest and console, looked at while the VM runs and is not known to be ready.
    pub guest: Guest,
    /// `mosdat.dev/force-delete: "true"`.
    pub force_delete: bool,
}

/// Cluster-wide settings.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// Inclusive VMID range.
    pub range: (u32, u32),
    /// Clones allowed at once.
    pub parallel_clones: u32,
    /// Node for new VMs.
    pub node: Option<String>,
    /// Storage for full clones.
    pub storage: Option<String>,
    /// Pool for new VMs.
    pub pool: Option<String>,
}

/// A template to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub vmid: u32,
    pub node: String,
}

/// The passthrough device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lease {
    #[default]
    NotWanted,
    /// Every device is lent, or the profile cannot be used.
    Waiting(String),
    Held(Device),
}

/// What stands under the VMID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Vm {
    /// No VMID is planned, or it was not looked at because a task runs.
    #[default]
    Unknown,
    Absent,
    Present {
        config: VmConfig,
        /// Carries our UID.
        ours: bool,
        /// `None` when it was not asked for.
        running: Option<bool>,
    },
}

/// A Proxmox task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Task {
    #[default]
    None,
    /// Running although status does not know its UPID.
    Found(String),
    Running,
    Ok,
    Failed(ErrorKind, String),
}

/// Guest and console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guest {
    /// Whether the agent answers, or why not.
    pub agent: Option<Result<(), String>>,
    /// Address of the VM's own card.
    pub ip: Option<String>,
    /// Size of the first frame, or why there is none.
    pub display: Option<Result<VmDisplay, String>>,
}

/// The one next step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Say so in status, come back later.
    Wait {
        phase: VmPhase,
        verdict: Verdict,
        after: Duration,
    },
    /// Note the intent, then clone.
    Clone {
        source: Template,
        vmid: u32,
        target: Option<String>,
        full: bool,
    },
    /// Note the UPID of a task whose answer was lost.
    Adopt { upid: String },
    /// The present action failed: count it, forget its task.
    Failed { kind: ErrorKind, message: String },
    /// Note the intent, then write these keys.
    Configure { values: Vec<(String, String)> },
    /// Note the intent, then start.
    Start,
    /// Note what the guest says; the VM is ready.
    Ready { ip: Option<String>, display: VmDisplay },
    /// Note the intent, then stop.
    Stop,
    /// Note the intent, then destroy.
    Destroy,
    /// Return the lease, drop the finalizer.
    Release,
}

fn wait(phase: VmPhase, verdict: Verdict, after: Duration) -> Step {
    Step::Wait { phase, verdict, after }
}

fn stalled(phase: VmPhase, reason: &'static str, message: impl Into<String>) -> Step {
    wait(phase, Verdict::stalled(reason, message), STALLED_PAUSE)
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

struct View<'a> {
    vm: &'a ProxmoxVM,
    seen: &'a Observed,
    status: crate::api::ProxmoxVMStatus,
    /// Time since the present intent was noted.
    since: Duration,
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
            since,
        }
    }

    fn action(&self) -> Option<VmAction> {
        self.status.intent.as_ref().map(|i| i.action)
    }

    fn asked(&self, action: VmAction) -> bool {
        self.action() == Some(action)
    }

    fn vmid(&self) -> u32 {
        self.status.vmid.unwrap_or_default()
    }

    fn node(&self) -> &str {
        self.status.node.as_deref().unwrap_or_default()
    }

    /// What is left of the pause that failures ask for.
    fn pause(&self) -> Option<Duration> {
        let failures = self.status.failures.unwrap_or(0);
        let pause = if failures >= MANY_FAILURES {
            STALLED_PAUSE
        } else {
            backoff::after_failures(failures)
        };
        let left = pause.saturating_sub(self.since);
        (failures > 0 && self.status.intent.is_some() && left > Duration::from_millis(50)).then_some(left)
    }

    /// Keeps what status says until the pause is over.
    fn paused(&self, left: Duration, phase: VmPhase) -> Step {
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

    fn task_wait(&self, phase: VmPhase, reason: &'static str, message: impl Into<String>) -> Step {
        wait(
            phase,
            Verdict::progressing(reason, message),
            backoff::polling(self.since),
        )
    }

    fn make(&self) -> Step {
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
            return wait(
                VmPhase::Pending,
                Verdict::progressing("WaitingForGpu", why),
                Duration::from_secs(1),
            );
        }
        if let Task::Found(upid) = &self.seen.task {
            return Step::Adopt { upid: upid.clone() };
        }
        if self.status.vmid.is_none() {
            return self.clone_anew();
        }
        let mut step = match (&self.seen.task, self.action()) {
            (Task::Running, Some(VmAction::Clone)) => {
                self.task_wait(VmPhase::Cloning, "Cloning", format!("cloning to VMID {}", self.vmid()))
            }
            (Task::Running, Some(VmAction::Start)) => {
                self.task_wait(VmPhase::Starting, "Starting", "the VM is being started")
            }
            (Task::Running, _) => self.task_wait(VmPhase::Configuring, "Working", "a task is running"),
            _ => match &self.seen.vm {
                Vm::Unknown => self.task_wait(VmPhase::Pending, "Observing", "the VM is being looked at"),
                Vm::Absent => self.absent(),
                Vm::Present { config, ours, running } => self.present(config, *ours, *running),
            },
        };
        // With many failures the world is still acted on, only slowly; say so while waiting.
        if let Step::Wait { verdict, .. } = &mut step
            && verdict.message.is_empty()
        {
            verdict.message = format!("VMID {} on node {}", self.vmid(), self.node());
        }
        step
    }

    fn absent(&self) -> Step {
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
    fn clone_anew(&self) -> Step {
        let source = match &self.seen.template {
            Some(Ok(t)) => t.clone(),
            Some(Err(why)) => return stalled(VmPhase::Pending, "TemplateNotUsable", why),
            None => return self.task_wait(VmPhase::Pending, "Observing", "the template is being looked up"),
        };
        let p = &self.seen.placement;
        if self.seen.clones_in_flight >= p.parallel_clones.max(1) {
            return wait(
                VmPhase::Pending,
                Verdict::progressing(
                    "WaitingForClones",
                    format!(
                        "{} clones are in flight, limits.parallelClones allows no more",
                        self.seen.clones_in_flight
                    ),
                ),
                Duration::from_millis(500),
            );
        }
        let planned = self.status.vmid.filter(|id| !self.seen.taken.contains(id));
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
        let clone = &self.vm.spec.source.clone;
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

    fn present(&self, config: &VmConfig, ours: bool, running: Option<bool>) -> Step {
        if config.lock() == Some("clone") {
            return self.clone_lock(VmPhase::Cloning);
        }
        if !ours {
            // Lost the race for the VMID: whoever has it, it is not us.
            if self.asked(VmAction::Clone) && self.seen.task != Task::Ok {
                return match self.pause() {
                    Some(left) => self.paused(left, VmPhase::Cloning),
                    None => self.clone_anew(),
                };
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
            return wait(
                self.status.phase.unwrap_or(VmPhase::Configuring),
                Verdict::progressing("Locked", format!("VM {} is locked ({lock})", self.vmid())),
                Duration::from_secs(1),
            );
        }
        let values = self.differences(config);
        if !values.is_empty() {
            return match self.pause().filter(|_| self.asked(VmAction::Configure)) {
                Some(left) => self.paused(left, VmPhase::Configuring),
                None => Step::Configure { values },
            };
        }
        match running {
            None => self.task_wait(VmPhase::Configuring, "Observing", "power state is being looked at"),
            // A start task may fail although the VM runs: the VM decides, not the task.
            Some(true) => self.running(),
            Some(false) => self.stopped(),
        }
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
        if run && self.status.ready_at.is_some() {
            return stalled(
                VmPhase::Stopped,
                "Stopped",
                format!("VM {} stopped while a run had it; it is not started again", self.vmid()),
            );
        }
        Step::Start
    }

    fn running(&self) -> Step {
        let since_start = if self.asked(VmAction::Start) {
            self.since
        } else {
            Duration::ZERO
        };
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
            return wait(VmPhase::Ready, ready_verdict(), READY_PAUSE);
        }
        match &self.seen.guest.agent {
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
        match &self.seen.guest.display {
            None => booting("WaitingForConsole", "the console was not opened yet".to_string()),
            Some(Err(why)) => booting("WaitingForConsole", why.clone()),
            Some(Ok(display)) => Step::Ready {
                ip: self.seen.guest.ip.clone(),
                display: *display,
            },
        }
    }

    fn clone_lock(&self, phase: VmPhase) -> Step {
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
    fn clone_unheard_of(&self) -> bool {
        let unanswered = self.status.intent.as_ref().is_some_and(|i| i.upid.is_none());
        unanswered && self.asked(VmAction::Clone) && self.status.failures.is_none() && self.since < CLONE_GRACE
    }

    /// Keys to write. What equals the template's is not written: the VM may be resumed from the template's memory.
    fn differences(&self, config: &VmConfig) -> Vec<(String, String)> {
        let uid = self.vm.metadata.uid.as_deref().unwrap_or_default();
        let mut out = Vec::new();
        if let Some(tags) = names::tags(config, uid) {
            out.push(("tags".to_string(), tags));
        }
        let mut want = |key: &str, value: String| {
            if config.get(key) != Some(value.as_str()) {
                out.push((key.to_string(), value));
            }
        };
        let hardware = self.vm.spec.hardware.clone().unwrap_or_default();
        if let Some(cores) = hardware.cores {
            want("cores", cores.to_string());
        }
        if let Some(memory) = hardware.memory_mib {
            want("memory", memory.to_string());
        }
        if !config.get("vga").is_some_and(|v| v == "std" || v.starts_with("std,")) {
            want("vga", "std".to_string());
        }
        if let Lease::Held(device) = &self.seen.device
            && !config
                .get("hostpci0")
                .is_some_and(|have| same_options(have, &device.hostpci))
        {
            want("hostpci0", device.hostpci.clone());
        }
        out
    }

    fn delete(&self) -> Step {
        if self.seen.force_delete || self.vm.spec.deletion_policy == DeletionPolicy::Retain {
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
                        "{e}. VM {vmid} cannot be removed; to give it up, annotate this object with {}=true",
                        super::FORCE_DELETE
                    ),
                ),
                Duration::from_secs(5),
            );
        }
        if let Task::Found(upid) = &self.seen.task {
            return Step::Adopt { upid: upid.clone() };
        }
        let doing = |what: &str| self.task_wait(VmPhase::Deleting, "Deleting", format!("VM {vmid} is {what}"));
        if self.seen.task == Task::Running {
            return doing(match self.action() {
                Some(VmAction::Clone) => "still being cloned",
                Some(VmAction::Stop) => "being stopped",
                Some(VmAction::Destroy) => "being destroyed",
                _ => "busy",
            });
        }
        let (config, ours, running) = match &self.seen.vm {
            Vm::Unknown => return doing("being looked at"),
            // A clone that was asked for may be on its way to its task; leaving now would leave its VM behind.
            Vm::Absent if self.clone_unheard_of() => return doing("looked for"),
            Vm::Absent => return Step::Release,
            Vm::Present { config, ours, running } => (config, *ours, *running),
        };
        if config.lock() == Some("clone") {
            return self.clone_lock(VmPhase::Deleting);
        }
        if !ours {
            return Step::Release;
        }
        if let Some(lock) = config.lock().filter(|l| *l != "destroyed") {
            return wait(
                VmPhase::Deleting,
                Verdict::progressing("Locked", format!("VM {vmid} is locked ({lock})")),
                Duration::from_secs(1),
            );
        }
        let asked = if running == Some(true) {
            VmAction::Stop
        } else {
            VmAction::Destroy
        };
        if self.asked(asked) {
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
        match (running, self.vm.spec.deletion_policy) {
            (None, _) => doing("being looked at"),
            (Some(true), _) => Step::Stop,
            (Some(false), DeletionPolicy::Stop) => Step::Release,
            (Some(false), _) => Step::Destroy,
        }
    }
}

/// What a ready VM says.
pub fn ready_verdict() -> Verdict {
    Verdict::ready(
        "GuestReachable",
        "the guest agent answers and the console shows a frame",
    )
}

/// Proxmox may write options in another order.
fn same_options(a: &str, b: &str) -> bool {
    let set = |s: &str| s.split(',').map(str::to_string).collect::<BTreeSet<_>>();
    set(a) == set(b)
}

/// The reason word of a refusal, and whether trying again without a change is hopeless.
pub fn refusal(kind: ErrorKind) -> (&'static str, bool) {
    match kind {
        ErrorKind::Permission => ("PermissionDenied", true),
        ErrorKind::Parameter => ("Refused", true),
        ErrorKind::Auth => ("AuthenticationFailed", true),
        ErrorKind::NoGpu => ("GpuInUse", false),
        ErrorKind::Busy => ("Busy", false),
        ErrorKind::Locked => ("Locked", false),
        ErrorKind::Transport => ("Unreachable", false),
        ErrorKind::NodeOffline => ("NodeOffline", false),
        _ => ("ActionFailed", false),
    }
}

/// Name for messages.
pub fn describe(vm: &ProxmoxVM) -> String {
    format!("{}/{}", vm.namespace().unwrap_or_default(), vm.name_any())
}
