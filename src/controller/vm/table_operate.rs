//! Tables for what a run asks of its VM.

use super::decide::decide;
use super::seen::*;
use super::step::Step;
use super::table::{check, config, deleted, doing, now, object, present, seen, word};
use crate::api::{
    AdoptSource, DeletionPolicy, Holder, ProxmoxVM, ProxmoxVMStatus, VmAction, VmOperation, VmOperationState, VmPhase,
    VmPower, VmRequest, VmSource,
};
use crate::proxmox::{ErrorKind, VmConfig};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};

fn asked(action: VmRequest, state: VmOperationState, intent: Option<VmAction>) -> ProxmoxVM {
    let mut status = match intent {
        Some(action) => doing(action, true, 1),
        None => ProxmoxVMStatus {
            intent: None,
            ..doing(VmAction::Start, true, 1)
        },
    };
    if let Some(intent) = &mut status.intent {
        intent.operation = Some("1".to_string());
    }
    status.phase = Some(VmPhase::Ready);
    status.ready_at = Some(Time(now()));
    let snapshot = matches!(action, VmRequest::Snapshot | VmRequest::Rollback).then(|| "clean".to_string());
    status.operation = Some(VmOperation {
        id: "1".to_string(),
        action,
        snapshot,
        memory: true,
        seconds: None,
        state,
        message: None,
    });
    status.holder = Some(Holder {
        kind: "FunctionalTestRun".to_string(),
        name: "r".to_string(),
        uid: "r-1".to_string(),
    });
    object(status)
}

fn of_run(mut vm: ProxmoxVM) -> ProxmoxVM {
    vm.metadata.owner_references = Some(vec![OwnerReference {
        kind: "FunctionalTestRun".to_string(),
        ..OwnerReference::default()
    }]);
    vm
}

fn with(running: bool, task: Task, snapshots: &[&str]) -> Observed {
    Observed {
        snapshots: Some(snapshots.iter().map(ToString::to_string).collect()),
        ..seen(present(&[], Some(running)), task)
    }
}

fn wrong() -> Task {
    Task::Failed(ErrorKind::Other, "no space".to_string())
}

/// The task's failure is what the run is told.
#[track_caller]
fn fails(vm: &ProxmoxVM, seen: &Observed, want: &str) {
    match decide(vm, seen, now()) {
        Step::Failed { message, .. } => assert_eq!(message, want),
        other => panic!("{}", word(&other)),
    }
}

#[test]
fn snapshots() {
    use VmOperationState::{Asked, Done};
    use VmRequest::Snapshot;
    let begun = || asked(Snapshot, Asked, Some(VmAction::Snapshot));
    let new = || asked(Snapshot, Asked, None);
    check(&new(), &with(true, Task::None, &[]), "snapshot clean");
    check(&begun(), &with(true, Task::Ok, &["clean"]), "operated");
    fails(
        &begun(),
        &with(true, wrong(), &[]),
        "snapshot clean of VM 20000: no space",
    );
    // The answer was lost: the list tells.
    check(&begun(), &with(true, Task::None, &["clean"]), "operated");
    check(&begun(), &with(true, Task::None, &[]), "snapshot clean");
    // Somebody else's is left alone, one of this run is replaced.
    check(
        &new(),
        &with(true, Task::None, &["clean"]),
        "operated: VM 20000 has a snapshot clean that no step of this run took; give this one another name",
    );
    let mut again = new();
    again.status.as_mut().expect("status").checkpoints = vec!["clean".to_string()];
    check(&again, &with(true, Task::None, &["clean"]), "drop snapshot clean");
    check(&again, &with(true, Task::None, &[]), "snapshot clean");
    // A finished one is not done again.
    check(
        &asked(Snapshot, Done, None),
        &with(true, Task::None, &["clean"]),
        "wait Ready GuestReachable",
    );
}

#[test]
fn going_back() {
    use VmOperationState::{Asked, Returning};
    use VmRequest::Rollback;
    let begun = || asked(Rollback, Asked, Some(VmAction::Rollback));
    check(
        &asked(Rollback, Asked, None),
        &with(true, Task::None, &["clean"]),
        "rollback clean",
    );
    check(
        &asked(Rollback, Asked, None),
        &with(true, Task::None, &["other"]),
        "operated: VM 20000 has no snapshot clean; it has other",
    );
    check(&begun(), &with(false, Task::Ok, &["clean"]), "operated");
    fails(
        &begun(),
        &with(true, wrong(), &["clean"]),
        "rollback to clean of VM 20000: no space",
    );
    // A snapshot from before the adoption lacks our mark; that it was gone back to is noted first.
    let mut unmarked = with(false, Task::Ok, &["clean"]);
    unmarked.vm = Vm::Present {
        config: VmConfig::default(),
        ours: false,
        running: None,
    };
    check(&begun(), &unmarked, "operated");
    // One without memory leaves the VM off: it is started, also in the middle of a run.
    let back = || of_run(asked(Rollback, Returning, Some(VmAction::Configure)));
    check(&back(), &with(false, Task::None, &["clean"]), "start");
}

#[test]
fn power() {
    use VmOperationState::{Asked, Done};
    use VmRequest::{Shutdown, Start, Stop};
    check(&asked(Shutdown, Asked, None), &with(true, Task::None, &[]), "shutdown");
    check(&asked(Stop, Asked, None), &with(true, Task::None, &[]), "stop");
    fails(
        &asked(Stop, Asked, Some(VmAction::Stop)),
        &with(true, wrong(), &[]),
        "stop of VM 20000: no space",
    );
    check(&asked(Stop, Asked, None), &with(false, Task::None, &[]), "operated");
    check(&asked(Shutdown, Asked, None), &with(false, Task::None, &[]), "operated");
    // What was begun for an earlier request proves nothing about this one.
    let mut later = asked(Shutdown, Asked, Some(VmAction::Shutdown));
    later
        .status
        .as_mut()
        .expect("status")
        .operation
        .as_mut()
        .expect("operation")
        .id = "2".to_string();
    check(&later, &with(true, wrong(), &[]), "shutdown");
    // It stays so, although it is declared to run.
    let held = |mut vm: ProxmoxVM| {
        vm.status.as_mut().expect("status").held_off = true;
        vm
    };
    check(
        &held(asked(Shutdown, Done, None)),
        &with(false, Task::None, &[]),
        "wait Stopped PoweredOff",
    );
    check(
        &of_run(asked(Start, Asked, None)),
        &with(false, Task::None, &[]),
        "start",
    );
    check(&asked(Start, Asked, None), &with(true, Task::None, &[]), "operated");
    // A snapshot of a VM that was switched off does not switch it on.
    for (state, want) in [(Asked, "snapshot clean"), (Done, "wait Stopped PoweredOff")] {
        let off = held(asked(VmRequest::Snapshot, state, None));
        check(&off, &with(false, Task::None, &[]), want);
    }
    // Without a request a run's VM that is off is lost.
    let mut lost = of_run(asked(Start, Done, None));
    lost.status.as_mut().expect("status").operation = None;
    check(&lost, &with(false, Task::None, &[]), "wait Stopped Stopped!");
    // What the run switched off comes back when it has given the VM back.
    let mut free = asked(Shutdown, Done, None);
    let status = free.status.as_mut().expect("status");
    (status.holder, status.operation) = (None, None);
    check(&free, &with(false, Task::None, &[]), "start");
    free.spec.power = VmPower::Stopped;
    check(&free, &with(false, Task::None, &[]), "wait Stopped PoweredOff");
}

#[test]
fn nothing_is_left_behind() {
    let left = |holder: bool| {
        let mut vm = asked(VmRequest::Snapshot, VmOperationState::Done, None);
        let status = vm.status.as_mut().expect("status");
        status.checkpoints = vec!["clean".to_string()];
        if !holder {
            (status.holder, status.operation) = (None, None);
        }
        vm
    };
    let ready = "wait Ready GuestReachable";
    check(&left(true), &with(true, Task::None, &["clean"]), ready);
    check(&left(false), &with(true, Task::None, &["clean"]), "drop snapshot clean");
    check(&left(false), &with(true, Task::None, &["mine"]), "dropped clean");
    // Destroyed VMs take theirs along; adopted ones are given back without them.
    check(&deleted(left(true)), &with(false, Task::None, &["clean"]), "destroy");
    let mut adopted = deleted(left(true));
    adopted.spec.source = VmSource {
        clone: None,
        adopt: Some(AdoptSource {
            vmid: 20000,
            snapshot: None,
        }),
    };
    adopted.spec.deletion_policy = DeletionPolicy::Stop;
    let marked = Observed {
        vm: Vm::Present {
            config: config(&[]),
            ours: true,
            running: Some(false),
        },
        ..with(false, Task::None, &["clean"])
    };
    check(&adopted, &marked, "drop snapshot clean");
}
