//! Tables for `decide`: one row per situation.

use super::decide::*;
use super::names;
use super::seen::*;
use super::step::Step;
use crate::api::{
    CloneSource, DeletionPolicy, LocalRef, ProxmoxVM, ProxmoxVMSpec, ProxmoxVMStatus, VmAction, VmDisplay, VmHardware,
    VmIntent, VmPhase, VmSource,
};
use crate::controller::gpu::Device;
use crate::proxmox::{ErrorKind, VmConfig};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

pub(super) const UID: &str = "u-1";

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).expect("time")
}

pub(super) fn object(status: ProxmoxVMStatus) -> ProxmoxVM {
    let mut vm = ProxmoxVM::new(
        "a",
        ProxmoxVMSpec {
            cluster_ref: LocalRef { name: "c".to_string() },
            source: VmSource {
                clone: Some(CloneSource {
                    template: Some("desktop".to_string()),
                    ..CloneSource::default()
                }),
                adopt: None,
            },
            power: Default::default(),
            hardware: None,
            tags: vec![],
            gpu_profile_ref: None,
            deletion_policy: DeletionPolicy::Delete,
            ttl_seconds: None,
            keyboard_layout: None,
            guest: None,
        },
    );
    vm.metadata.uid = Some(UID.to_string());
    vm.status = Some(status);
    vm
}

/// Status in the middle of an action that was asked for `secs` ago.
pub(super) fn doing(action: VmAction, upid: bool, secs: i64) -> ProxmoxVMStatus {
    ProxmoxVMStatus {
        vmid: Some(20000),
        node: Some("n1".to_string()),
        intent: Some(VmIntent {
            settings: None,
            after: None,
            action,
            at: Time(now() - SignedDuration::from_secs(secs)),
            upid: upid.then(|| "UPID:...".to_string()),
            operation: None,
        }),
        ..ProxmoxVMStatus::default()
    }
}

pub(super) fn deleted(mut vm: ProxmoxVM) -> ProxmoxVM {
    vm.metadata.deletion_timestamp = Some(Time(now()));
    vm
}

pub(super) fn config(extra: &[(&str, &str)]) -> VmConfig {
    let mut c: std::collections::BTreeMap<String, String> = [
        ("vga".to_string(), "std".to_string()),
        ("tags".to_string(), format!("mosdat;{}", names::uid_tag(UID))),
    ]
    .into();
    for (k, v) in extra {
        c.insert(k.to_string(), v.to_string());
    }
    VmConfig(c)
}

pub(super) fn present(extra: &[(&str, &str)], running: Option<bool>) -> Vm {
    Vm::Present {
        config: config(extra),
        ours: true,
        running,
    }
}

pub(super) fn foreign() -> Vm {
    Vm::Present {
        config: VmConfig::default(),
        ours: false,
        running: None,
    }
}

pub(super) fn seen(vm: Vm, task: Task) -> Observed {
    Observed {
        template: Some(Ok(Template {
            vmid: 100,
            node: "n1".to_string(),
        })),
        placement: Placement {
            range: (20000, 20002),
            parallel_clones: 2,
            clone_grace: super::clone::grace(15),
            ..Placement::default()
        },
        vm,
        task,
        ..Observed::default()
    }
}

/// A short word for a step, with the reason of a wait.
pub(super) fn word(step: &Step) -> String {
    match step {
        Step::Wait { phase, verdict, .. } => {
            let stalled = if verdict.stalled { "!" } else { "" };
            format!("wait {phase:?} {}{stalled}", verdict.reason)
        }
        Step::Clone { vmid, .. } => format!("clone {vmid}"),
        Step::Learn { .. } => "learn".to_string(),
        Step::Plan { vmid, node } => format!("plan {vmid} {node}"),
        Step::Moved { node } => format!("moved {node}"),
        Step::Readdressed { ip } => format!("readdressed {ip}"),
        Step::Rollback { snapshot } => format!("rollback {snapshot}"),
        Step::RolledBack { snapshot } => format!("rolled back {snapshot}"),
        Step::Shutdown => "shutdown".to_string(),
        Step::Expire => "expire".to_string(),
        Step::Failed { kind, .. } => format!("failed {kind:?}"),
        Step::Configure { change } => format!("configure {}", change.keys()),
        Step::Start => "start".to_string(),
        Step::Ready { .. } => "ready".to_string(),
        Step::Stop => "stop".to_string(),
        Step::Destroy => "destroy".to_string(),
        Step::Release => "release".to_string(),
        Step::Snapshot { name } => format!("snapshot {name}"),
        Step::DropSnapshot { name } => format!("drop snapshot {name}"),
        Step::Dropped { name } => format!("dropped {name}"),
        Step::Operated { failed: None } => "operated".to_string(),
        Step::Operated { failed: Some(why) } => format!("operated: {why}"),
    }
}

#[track_caller]
pub(super) fn check(vm: &ProxmoxVM, seen: &Observed, want: &str) {
    assert_eq!(word(&decide(vm, seen, now())), want);
}

#[test]
fn making() {
    use VmAction::*;
    let fresh = || object(ProxmoxVMStatus::default());
    let failed = || Task::Failed(ErrorKind::Other, "bridge 'vmbr0' does not exist".to_string());
    let lock = [("lock", "clone")];
    let rows: Vec<(ProxmoxVM, Observed, &str)> = vec![
        (fresh(), seen(Vm::Unknown, Task::None), "clone 20000"),
        (
            object(doing(Clone, false, 0)),
            seen(Vm::Absent, Task::None),
            "clone 20000",
        ),
        (
            object(doing(Clone, false, 0)),
            seen(Vm::Absent, Task::Found("UPID".to_string())),
            "learn",
        ),
        (
            object(doing(Clone, true, 1)),
            seen(Vm::Unknown, Task::Running),
            "wait Cloning Cloning",
        ),
        (
            object(doing(Clone, false, 1)),
            seen(present(&lock, None), Task::None),
            "wait Cloning Cloning",
        ),
        (
            object(doing(Clone, false, 60)),
            seen(present(&lock, None), Task::None),
            "wait Failed CloneLockLeft!",
        ),
        (
            object(doing(Clone, true, 1)),
            seen(Vm::Absent, failed()),
            "failed Other",
        ),
        (
            object(doing(Clone, true, 1)),
            seen(Vm::Absent, Task::Ok),
            "wait Failed VmLost!",
        ),
        (
            object(doing(Configure, true, 1)),
            seen(foreign(), Task::Ok),
            "wait Failed NotOurs!",
        ),
        (
            object(doing(Clone, true, 1)),
            seen(present(&[("tags", "")], Some(false)), Task::Ok),
            "configure tags",
        ),
        (
            object(doing(Clone, true, 1)),
            seen(present(&[("vga", "qxl")], Some(false)), Task::Ok),
            "configure vga",
        ),
        (
            object(doing(Configure, false, 1)),
            seen(present(&[], Some(false)), Task::None),
            "start",
        ),
        (
            object(doing(Configure, false, 1)),
            seen(present(&[("lock", "backup")], None), Task::None),
            "wait Configuring Locked",
        ),
        (
            object(doing(Start, true, 1)),
            seen(Vm::Unknown, Task::Running),
            "wait Starting Starting",
        ),
        (
            object(doing(Start, true, 1)),
            seen(present(&[], Some(false)), failed()),
            "failed Other",
        ),
        // A start task can fail although the VM runs.
        (
            object(doing(Start, true, 1)),
            seen(present(&[], Some(true)), failed()),
            "wait Booting WaitingForGuest",
        ),
        (
            object(doing(Start, true, 700)),
            seen(present(&[], Some(true)), Task::Ok),
            "wait Failed GuestUnreachable!",
        ),
        (
            object(doing(Start, false, 1)),
            seen(present(&[], Some(false)), Task::None),
            "start",
        ),
        (
            object(doing(Start, true, 1)),
            seen(present(&[], Some(false)), Task::Ok),
            "failed Other",
        ),
        (
            object(doing(Start, true, 1)),
            seen(Vm::Absent, Task::Ok),
            "wait Failed VmLost!",
        ),
    ];
    for (vm, observed, want) in &rows {
        check(vm, observed, want);
    }
}

#[test]
fn choosing_a_vmid() {
    let vm = object(ProxmoxVMStatus::default());
    let mut s = seen(Vm::Unknown, Task::None);
    s.taken = [20000].into();
    check(&vm, &s, "clone 20001");
    s.taken = [20000, 20001, 20002].into();
    check(&vm, &s, "wait Pending NoFreeVmid!");
    s.taken.clear();
    s.clones_in_flight = 2;
    check(&vm, &s, "wait Pending WaitingForClones");
    // Lost the race for the planned one.
    let mut s = seen(foreign(), Task::None);
    s.taken = [20000].into();
    check(&object(doing(VmAction::Clone, false, 0)), &s, "clone 20001");
    // A list by itself does not say whose it is: a late clone of ours may be what it shows.
    s.vm = Vm::Absent;
    check(&object(doing(VmAction::Clone, false, 0)), &s, "clone 20000");
    s.vm = Vm::Unknown;
    check(&object(doing(VmAction::Clone, false, 0)), &s, "wait Pending Observing");
    // The task that was found was theirs.
    s.vm = foreign();
    s.task = Task::Ok;
    check(&object(doing(VmAction::Clone, true, 1)), &s, "clone 20001");
    s.vm = Vm::Unknown;
    s.task = Task::None;
    s.template = Some(Err("no template".to_string()));
    check(&vm, &s, "wait Pending TemplateNotUsable!");
}

#[test]
fn failures_slow_down_and_then_stall() {
    let mut status = doing(VmAction::Start, false, 0);
    status.failures = Some(2);
    let s = seen(present(&[], Some(false)), Task::None);
    check(&object(status.clone()), &s, "wait Starting Retrying");
    status.failures = Some(MANY_FAILURES);
    check(&object(status.clone()), &s, "wait Failed ActionFailed!");
    // An edit may be what was missing.
    let mut edited = object(status.clone());
    edited.status.as_mut().expect("status").observed_generation = Some(1);
    edited.metadata.generation = Some(1);
    check(&edited, &s, "wait Failed ActionFailed!");
    edited.metadata.generation = Some(2);
    check(&edited, &s, "start");
    // After the pause it is tried again, so that a repaired cluster is noticed.
    status.intent.as_mut().expect("intent").at = Time(now() - SignedDuration::from_secs(120));
    check(&object(status), &s, "start");
}

#[test]
fn hardware_is_written_only_where_it_differs() {
    let mut vm = object(doing(VmAction::Clone, true, 1));
    vm.spec.hardware = Some(VmHardware {
        cores: Some(2),
        memory_mib: Some(4096),
        ..VmHardware::default()
    });
    let same = [("cores", "2"), ("memory", "4096")];
    check(&vm, &seen(present(&same, Some(false)), Task::Ok), "start");
    let other = [("cores", "2"), ("memory", "2048")];
    check(&vm, &seen(present(&other, Some(false)), Task::Ok), "configure memory");
    let mut s = seen(present(&same, Some(false)), Task::Ok);
    s.device = Lease::Held(Device {
        name: "one".to_string(),
        hostpci: "mapping=gpu0,pcie=1".to_string(),
        nodes: vec![],
    });
    check(&vm, &s, "configure hostpci0");
    s.vm = present(
        &[("cores", "2"), ("memory", "4096"), ("hostpci0", "pcie=1,mapping=gpu0")],
        Some(false),
    );
    check(&vm, &s, "start");
    s.device = Lease::Waiting("all lent".to_string());
    check(&vm, &s, "wait Pending WaitingForGpu");
    for (phase, want) in [
        (VmPhase::Starting, "wait Pending WaitingForGpu"),
        (VmPhase::Ready, "wait Ready WaitingForGpu"),
    ] {
        vm.status.get_or_insert_default().phase = Some(phase);
        check(&vm, &s, want);
    }
}

#[test]
fn a_vm_is_cloned_to_the_node_of_its_device() {
    let target = |clone_node: Option<&str>, nodes: &[&str]| {
        let mut vm = object(ProxmoxVMStatus::default());
        if let Some(clone) = vm.spec.source.clone.as_mut() {
            clone.node = clone_node.map(str::to_string);
        }
        let mut s = seen(Vm::Unknown, Task::None);
        s.device = Lease::Held(Device {
            nodes: nodes.iter().map(|n| n.to_string()).collect(),
            ..Device::default()
        });
        match decide(&vm, &s, now()) {
            Step::Clone { target, .. } => target,
            other => panic!("{other:?}"),
        }
    };
    // The template is on n1.
    assert_eq!(target(None, &[]), None);
    assert_eq!(target(None, &["n1", "n2"]), None);
    assert_eq!(target(None, &["n2", "n3"]).as_deref(), Some("n2"));
    assert_eq!(target(Some("n3"), &["n2", "n3"]).as_deref(), Some("n3"));
}

#[test]
fn readiness() {
    let vm = object(doing(VmAction::Start, true, 5));
    let mut s = seen(present(&[], Some(true)), Task::Ok);
    s.guest.agent = Some(Err("QEMU guest agent is not running".to_string()));
    check(&vm, &s, "wait Booting WaitingForGuest");
    s.guest.agent = Some(Err("No QEMU guest agent configured".to_string()));
    check(&vm, &s, "wait Failed AgentNotConfigured!");
    s.guest.agent = Some(Ok(()));
    s.guest.display = Some(Err("black".to_string()));
    check(&vm, &s, "wait Booting WaitingForConsole");
    s.guest.display = Some(Ok(VmDisplay {
        width: 1024,
        height: 768,
    }));
    check(&vm, &s, "ready");
    // Later only power is watched.
    let mut ready = object(ProxmoxVMStatus {
        phase: Some(VmPhase::Ready),
        vmid: Some(20000),
        node: Some("n1".to_string()),
        ..ProxmoxVMStatus::default()
    });
    s.guest = Guest::default();
    s.task = Task::None;
    check(&ready, &s, "wait Ready GuestReachable");
    s.guest.ip = Some("10.0.0.7".to_string());
    check(&ready, &s, "readdressed 10.0.0.7");
    ready.status.as_mut().expect("status").ip = s.guest.ip.clone();
    check(&ready, &s, "wait Ready GuestReachable");
    s.vm = present(&[], Some(false));
    check(&ready, &s, "start");
    // A run's VM is not booted again under the run.
    let mut held = ready.clone();
    held.metadata.owner_references = Some(vec![OwnerReference {
        kind: "FunctionalTestRun".to_string(),
        ..OwnerReference::default()
    }]);
    held.status.get_or_insert_default().ready_at = Some(Time(now()));
    check(&held, &s, "wait Stopped Stopped!");
    s.vm = Vm::Absent;
    check(&ready, &s, "wait Failed VmLost!");
    s.cluster_error = Some("no route".to_string());
    check(&ready, &s, "wait Ready ClusterUnavailable");
    // Its marks would make it an orphan to be collected.
    ready.spec.deletion_policy = DeletionPolicy::Retain;
    check(&deleted(ready), &s, "wait Deleting ClusterUnavailable!");
}
