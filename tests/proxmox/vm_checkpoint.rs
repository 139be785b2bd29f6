//! What a run asks of its VM: checkpoints and power, carried out by the ProxmoxVM's controller.

use crate::world::{World, ready};
use k8s_openapi::api::events::v1::Event;
use kube::api::PostParams;
use mosdat::api::{Holder, ProxmoxVM, VmOperation, VmOperationState, VmPhase, VmRequest};
use serde_json::json;

on_both!(
    checkpoints_are_taken_gone_back_to_and_removed,
    what_a_run_switched_off_stays_off_until_it_lets_go,
    an_answer_that_is_lost_is_not_asked_for_twice,
    what_cannot_be_done_says_why,
);

/// A VM of somebody's with a snapshot of theirs, adopted, and held by a run.
async fn held(world: &World) {
    world.fake.py(concat!(
        "vm = pve.add_vm(150, 'theirs', status='running', config={'cores': 2, 'memory': '1024', 'agent': '1', ",
        "'vga': 'std', 'net0': 'virtio=BC:24:11:00:00:AA,bridge=vmbr0'})\n",
        "vm.snapshots['theirs'] = dict(vm.config, snaptime=1)\n",
    ));
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": {
            "clusterRef": {"name": "lab"}, "source": {"adopt": {"vmid": 150}}, "deletionPolicy": "Stop"}}))
        .await;
    world.until::<ProxmoxVM>("a", "ready", ready).await;
    change(world, |vm| {
        vm.status.as_mut().expect("status").holder = Some(Holder {
            kind: "FunctionalTestRun".to_string(),
            name: "r".to_string(),
            uid: "r-1".to_string(),
        });
    })
    .await;
}

async fn change(world: &World, f: impl Fn(&mut ProxmoxVM)) {
    let api = world.api::<ProxmoxVM>();
    for _ in 0..20 {
        let mut vm = api.get("a").await.expect("the VM");
        f(&mut vm);
        match api.replace_status("a", &PostParams::default(), &vm).await {
            Ok(_) => return,
            Err(kube::Error::Api(e)) if e.code == 409 => {}
            Err(e) => panic!("{e}"),
        }
    }
    panic!("the status changes all the time");
}

async fn ask(world: &World, id: &str, action: VmRequest, snapshot: Option<&str>) -> VmOperation {
    let request = VmOperation {
        id: id.to_string(),
        action,
        snapshot: snapshot.map(str::to_string),
        memory: false,
        seconds: None,
        state: VmOperationState::Asked,
        message: None,
    };
    change(world, |vm| {
        vm.status.as_mut().expect("status").operation = Some(request.clone())
    })
    .await;
    let done = |vm: &ProxmoxVM| {
        let operation = vm.status.as_ref().and_then(|s| s.operation.as_ref());
        operation.is_some_and(|o| o.id == id && !o.unfinished())
    };
    let vm = world.until::<ProxmoxVM>("a", id, done).await;
    vm.status.and_then(|s| s.operation).expect("operation")
}

async fn done(world: &World, id: &str, action: VmRequest, snapshot: Option<&str>) {
    let operation = ask(world, id, action, snapshot).await;
    assert_eq!(operation.state, VmOperationState::Done, "{operation:?}");
}

async fn let_go(world: &World) {
    change(world, |vm| {
        let status = vm.status.as_mut().expect("status");
        (status.holder, status.operation, status.held_off) = (None, None, false);
    })
    .await;
}

fn snapshots(world: &World) -> serde_json::Value {
    world
        .fake
        .py("sorted([v for v in pve.vms if v.vmid == 150][0].snapshots)")
}

fn power(world: &World) -> serde_json::Value {
    world.fake.py("[v for v in pve.vms if v.vmid == 150][0].status")
}

async fn checkpoints_are_taken_gone_back_to_and_removed(world: World) {
    let _running = world.controllers("a");
    held(&world).await;
    done(&world, "1", VmRequest::Snapshot, Some("before")).await;
    assert_eq!(snapshots(&world), json!(["before", "theirs"]));
    // The same name again: the later one counts.
    done(&world, "2", VmRequest::Snapshot, Some("before")).await;
    assert_eq!(world.fake.count("POST", "/snapshot"), 2);
    assert_eq!(snapshots(&world), json!(["before", "theirs"]));
    let starts = world.fake.count("POST", "/status/start");
    done(&world, "3", VmRequest::Rollback, Some("before")).await;
    // A snapshot without memory leaves the VM off: it was started, and answers again.
    assert_eq!(world.fake.count("POST", "/status/start"), starts + 1);
    assert_eq!(power(&world), "running");
    // One from before the adoption does not bear our mark; it is ours again afterwards.
    done(&world, "4", VmRequest::Rollback, Some("theirs")).await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    let uid = vm.metadata.uid.clone().expect("uid");
    let tags = world.fake.py("[v for v in pve.vms if v.vmid == 150][0].config['tags']");
    assert!(tags.as_str().expect("tags").contains(&uid), "{tags}");
    assert_eq!(vm.status.expect("status").checkpoints, ["before"]);
    let_go(&world).await;
    world
        .until::<ProxmoxVM>("a", "tidy", |vm| {
            vm.status.as_ref().is_some_and(|s| s.checkpoints.is_empty()) && ready(vm)
        })
        .await;
    assert_eq!(snapshots(&world), json!(["theirs"]));
}

async fn what_a_run_switched_off_stays_off_until_it_lets_go(world: World) {
    let running = world.controllers("a");
    held(&world).await;
    let starts = world.fake.count("POST", "/status/start");
    done(&world, "1", VmRequest::Shutdown, None).await;
    assert_eq!(power(&world), "stopped");
    // Nor does another life of the controller switch it on.
    drop(running);
    let _running = world.controllers("b");
    let off = |vm: &ProxmoxVM| vm.status.as_ref().is_some_and(|s| s.phase == Some(VmPhase::Stopped));
    world.until::<ProxmoxVM>("a", "off", off).await;
    assert_eq!(world.fake.count("POST", "/status/start"), starts);
    done(&world, "2", VmRequest::Start, None).await;
    assert_eq!(power(&world), "running");
    done(&world, "3", VmRequest::Stop, None).await;
    assert_eq!(power(&world), "stopped");
    let_go(&world).await;
    let on = |vm: &ProxmoxVM| vm.status.as_ref().is_some_and(|s| s.phase == Some(VmPhase::Ready));
    world.until::<ProxmoxVM>("a", "on", on).await;
    assert_eq!(power(&world), "running");
}

async fn an_answer_that_is_lost_is_not_asked_for_twice(world: World) {
    let _running = world.controllers("a");
    held(&world).await;
    world.fake.py(
        "pve.lost = [('POST', '/snapshot'), ('POST', '/rollback'), ('POST', '/status/stop'), ('DELETE', '/snapshot/before')]\n",
    );
    done(&world, "1", VmRequest::Snapshot, Some("before")).await;
    done(&world, "2", VmRequest::Rollback, Some("before")).await;
    done(&world, "3", VmRequest::Stop, None).await;
    done(&world, "4", VmRequest::Start, None).await;
    let_go(&world).await;
    world
        .until::<ProxmoxVM>("a", "tidy", |vm| {
            vm.status.as_ref().is_some_and(|s| s.checkpoints.is_empty())
        })
        .await;
    assert_eq!(world.fake.py("len(pve.lost)"), 0);
    assert_eq!(world.fake.count("POST", "/snapshot"), 1);
    assert_eq!(world.fake.count("POST", "/rollback"), 1);
    assert_eq!(snapshots(&world), json!(["theirs"]));
}

async fn what_cannot_be_done_says_why(world: World) {
    let _running = world.controllers("a");
    held(&world).await;
    for (id, action, name, word) in [
        (
            "1",
            VmRequest::Rollback,
            "befor",
            "VM 150 has no snapshot befor; it has theirs",
        ),
        ("2", VmRequest::Snapshot, "theirs", "that no step of this run took"),
        ("3", VmRequest::Snapshot, "pending", "reserved name"),
    ] {
        let operation = ask(&world, id, action, Some(name)).await;
        assert_eq!(operation.state, VmOperationState::Failed);
        let message = operation.message.expect("message");
        assert!(message.contains(word), "{message}");
    }
    // Nothing of it harms the VM, nor what it had.
    world.until::<ProxmoxVM>("a", "ready", ready).await;
    assert_eq!(snapshots(&world), json!(["theirs"]));
    let told = |e: &Event| e.reason.as_deref() == Some("OperationFailed");
    let events = world.api::<Event>().list(&Default::default()).await.expect("events");
    assert!(events.items.iter().any(told));
}
