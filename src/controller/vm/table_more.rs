//! Tables for adoption, power, drift, hardware and time limits.

use super::config::{self, differences, give_back, template_problem};
use super::decide::start_limit;
use super::names;
use super::seen::*;
use super::step::Step;
use super::table::*;
use crate::api::{AdoptSource, DeletionPolicy, ProxmoxVM, ProxmoxVMStatus, VmAction, VmHardware, VmPhase, VmPower};
use crate::controller::conditions;
use crate::proxmox::{ErrorKind, VmConfig};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;

fn adopting(status: ProxmoxVMStatus, snapshot: Option<&str>) -> ProxmoxVM {
    let mut vm = object(status);
    vm.spec.source.clone = None;
    vm.spec.source.adopt = Some(AdoptSource {
        vmid: 20000,
        snapshot: snapshot.map(str::to_string),
    });
    vm.spec.deletion_policy = DeletionPolicy::Stop;
    vm
}

fn placed(phase: VmPhase) -> ProxmoxVMStatus {
    ProxmoxVMStatus {
        vmid: Some(20000),
        node: Some("n1".to_string()),
        phase: Some(phase),
        ..ProxmoxVMStatus::default()
    }
}

fn plain(entries: &[(&str, &str)]) -> VmConfig {
    VmConfig(entries.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
}

fn theirs(entries: &[(&str, &str)]) -> Vm {
    Vm::Present {
        config: plain(entries),
        ours: false,
        running: None,
    }
}

#[test]
fn adopting_a_vm() {
    let vm = adopting(ProxmoxVMStatus::default(), None);
    let mut s = seen(Vm::Unknown, Task::None);
    check(&vm, &s, "wait Pending Observing");
    s.adoptee = Some(Err("there is none".to_string()));
    check(&vm, &s, "wait Pending NotAdoptable!");
    let found = |template| {
        Some(Ok(Adoptee {
            node: "n2".to_string(),
            template,
        }))
    };
    s.adoptee = found(true);
    check(&vm, &s, "wait Pending NotAdoptable!");
    s.adoptee = found(false);
    check(&vm, &s, "plan 20000 n2");

    let vm = adopting(placed(VmPhase::Configuring), None);
    let mark = "configure tags, description";
    check(
        &vm,
        &seen(theirs(&[("tags", "prod"), ("digest", "abc")]), Task::None),
        mark,
    );
    check(
        &vm,
        &seen(theirs(&[("lock", "backup")]), Task::None),
        "wait Pending Locked",
    );
    check(
        &vm,
        &seen(theirs(&[("template", "1")]), Task::None),
        "wait Failed NotAdoptable!",
    );
    for by in [("tags", "mosdat-uid-other"), ("description", "x\nmosdat-uid: other")] {
        let mut s = seen(theirs(&[by]), Task::None);
        check(&vm, &s, "wait Failed NotOurs!");
        s.owner_alive = true;
        check(&vm, &s, "wait Pending WaitingForVm");
    }
    check(&vm, &seen(Vm::Absent, Task::None), "wait Failed VmLost!");
    // It runs already: nobody starts it.
    let mut s = seen(present(&[], Some(true)), Task::None);
    s.guest.agent = Some(Err("not running".to_string()));
    check(&vm, &s, "wait Booting WaitingForGuest");
    check(&vm, &seen(present(&[], Some(false)), Task::None), "start");
}

#[test]
fn the_mark_is_refused_when_the_vm_changes_meanwhile() {
    let vm = adopting(placed(VmPhase::Configuring), None);
    let change = config::mark(&vm, &plain(&[("digest", "abc"), ("description", "my words")]));
    assert!(change.values.contains(&("digest".to_string(), "abc".to_string())));
    let text = &change
        .values
        .iter()
        .find(|(k, _)| k == "description")
        .expect("description")
        .1;
    assert!(
        text.starts_with("my words\n") && text.contains("mosdat-uid: u-1"),
        "{text}"
    );
}

#[test]
fn rolling_back_once() {
    let vm = adopting(placed(VmPhase::Configuring), Some("clean"));
    let mut s = seen(present(&[], Some(true)), Task::None);
    check(&vm, &s, "wait Configuring Observing");
    s.snapshots = Some(vec!["other".to_string()]);
    check(&vm, &s, "wait Failed SnapshotNotFound!");
    s.snapshots = Some(vec!["clean".to_string()]);
    check(&vm, &s, "rollback clean");
    let mut vm = adopting(doing(VmAction::Rollback, true, 1), Some("clean"));
    s.task = Task::Running;
    check(&vm, &s, "wait Configuring RollingBack");
    s.task = Task::Failed(ErrorKind::Other, "no".to_string());
    check(&vm, &s, "failed Other");
    // The snapshot's configuration has other tags.
    s.vm = foreign();
    s.task = Task::Ok;
    check(&vm, &s, "rolled back clean");
    vm.status.get_or_insert_default().rolled_back_to = Some("clean".to_string());
    s.task = Task::None;
    s.vm = present(&[], Some(false));
    check(&vm, &s, "start");
}

#[test]
fn giving_back_an_adopted_vm() {
    let mut status = placed(VmPhase::Ready);
    status.original = [
        ("cores", "2"),
        ("sockets", ""),
        ("net0.bridge", "vmbr0"),
        ("tags.added", "x"),
    ]
    .map(|(k, v)| (k.to_string(), v.to_string()))
    .into();
    let mut vm = deleted(adopting(status, None));
    let now = [
        ("cores", "8"),
        ("sockets", "2"),
        ("net0", "virtio=AA,bridge=vmbr1,firewall=1"),
        ("tags", "mosdat;prod;x;mosdat-uid-u-1"),
        ("description", "mine\nmosdat-uid: u-1"),
    ];
    let s = seen(
        Vm::Present {
            config: plain(&now),
            ours: true,
            running: Some(false),
        },
        Task::None,
    );
    check(&vm, &s, "configure cores, net0, -sockets, tags, description");
    let change = give_back(&vm, &plain(&now));
    let after = change.applied(&plain(&now));
    assert_eq!(after.get("net0"), Some("virtio=AA,firewall=1,bridge=vmbr0"));
    assert_eq!(
        (after.get("tags"), after.get("description")),
        (Some("prod"), Some("mine"))
    );
    assert!(give_back(&vm, &after).is_empty(), "once is enough");
    // An object that the schema would no longer let through.
    vm.spec.deletion_policy = DeletionPolicy::Delete;
    check(&vm, &seen(present(&[], Some(true)), Task::None), "shutdown");
    check(&vm, &seen(foreign(), Task::None), "release");
}

#[test]
fn power() {
    let mut vm = object(placed(VmPhase::Ready));
    vm.spec.power = VmPower::Stopped;
    check(&vm, &seen(present(&[], Some(true)), Task::None), "shutdown");
    check(
        &vm,
        &seen(present(&[], Some(false)), Task::None),
        "wait Stopped PoweredOff",
    );
    vm.status = Some(doing(VmAction::Shutdown, true, 2));
    check(&vm, &seen(Vm::Unknown, Task::Running), "wait Stopped ShuttingDown");
    let failed = Task::Failed(ErrorKind::Other, "got timeout".to_string());
    check(&vm, &seen(present(&[], Some(true)), failed.clone()), "failed Other");
    // It went off although the task failed.
    check(&vm, &seen(present(&[], Some(false)), failed), "wait Stopped PoweredOff");
    vm.spec.power = VmPower::Running;
    check(&vm, &seen(present(&[], Some(false)), Task::Ok), "start");
    let mut s = seen(present(&[], Some(false)), Task::None);
    s.placement.parallel_starts = 2;
    s.starts_in_flight = 2;
    check(&vm, &s, "wait Starting WaitingForStarts");
}

#[test]
fn drift() {
    let mut vm = object(placed(VmPhase::Ready));
    vm.spec.hardware = Some(VmHardware {
        cores: Some(4),
        ..VmHardware::default()
    });
    let edited = [("cores", "2"), ("vga", "qxl"), ("tags", "")];
    check(
        &vm,
        &seen(present(&edited, Some(true)), Task::None),
        "configure tags, cores, vga",
    );
    let mut s = seen(Vm::Absent, Task::None);
    s.moved = Some("n2".to_string());
    check(&vm, &s, "moved n2");
    check(&deleted(vm.clone()), &s, "moved n2");
    // On its way to another node it is nowhere for a moment.
    s.moved = None;
    let list = &mut vm.status.get_or_insert_default().conditions;
    let ago = |secs| now() - SignedDuration::from_secs(secs);
    conditions::set(list, ago(60), None, "Ready", "True", "GuestReachable", "");
    check(&vm, &s, "wait Ready VmMissing");
    let list = &mut vm.status.get_or_insert_default().conditions;
    conditions::set(list, ago(5), None, "Ready", "False", "VmMissing", "");
    check(&vm, &s, "wait Ready VmMissing");
    check(&deleted(vm.clone()), &s, "release");
    vm.status.get_or_insert_default().conditions[0].last_transition_time = Time(ago(20));
    check(&vm, &s, "wait Failed VmLost!");
}

#[test]
fn a_field_taken_away_gives_the_old_value_back() {
    let template = [
        ("cores", "2"),
        ("cpu", "kvm64,flags=+aes"),
        ("net0", "virtio=AA:BB,bridge=vmbr0"),
        ("vga", "std"),
        ("tags", "linux"),
    ];
    let mut vm = object(placed(VmPhase::Configuring));
    vm.spec.hardware = Some(VmHardware {
        cores: Some(4),
        sockets: Some(2),
        memory_mib: Some(1024),
        cpu: Some("host".to_string()),
        machine: Some("q35".to_string()),
        bridge: Some("vmbr7".to_string()),
    });
    vm.spec.tags = vec!["extra".to_string(), "linux".to_string()];
    let change = differences(&vm, &plain(&template), None);
    assert_eq!(change.keys(), "tags, cores, cpu, machine, memory, net0, sockets");
    let there = change.applied(&plain(&template));
    assert_eq!(there.get("net0"), Some("virtio=AA:BB,bridge=vmbr7"));
    assert_eq!(there.get("tags"), Some("linux;extra;mosdat;mosdat-uid-u-1"));
    vm.status.get_or_insert_default().original = change.remember;
    assert!(differences(&vm, &there, None).is_empty());
    // A later edit keeps what was remembered first.
    if let Some(h) = vm.spec.hardware.as_mut() {
        h.cores = Some(8);
    }
    let change = differences(&vm, &there, None);
    assert_eq!((change.keys().as_str(), change.remember.len()), ("cores", 0));

    vm.spec.hardware = None;
    vm.spec.tags.clear();
    let change = differences(&vm, &there, None);
    let back = change.applied(&there);
    assert_eq!(back.get("tags"), Some("linux;mosdat;mosdat-uid-u-1"));
    for key in ["cores", "sockets", "memory", "cpu", "machine", "net0", "vga"] {
        assert_eq!(back.get(key), plain(&template).get(key), "{key}");
    }
    assert!(differences(&vm, &back, None).is_empty());
}

#[test]
fn spellings_of_one_setting() {
    let mut vm = object(placed(VmPhase::Configuring));
    vm.spec.hardware = Some(VmHardware {
        cpu: Some("host".to_string()),
        machine: Some("q35".to_string()),
        ..VmHardware::default()
    });
    let tags = format!("mosdat-uid-{UID};mosdat");
    let same = [
        ("cpu", "cputype=host,flags=+aes"),
        ("machine", "type=q35,viommu=intel"),
        ("vga", "std,memory=32"),
        ("tags", tags.as_str()),
        ("hostpci0", "pcie=1,mapping=g"),
    ];
    let change = differences(&vm, &plain(&same), Some("mapping=g,pcie=1"));
    assert!(change.is_empty(), "{change:?}");
}

#[test]
fn templates_that_a_token_cannot_clone() {
    let good = [("agent", "enabled=1,fstrim_cloned_disks=1"), ("hostpci0", "mapping=g")];
    assert_eq!(template_problem(&plain(&good), 100, "n1"), None);
    let rows = [
        (
            vec![("agent", "1"), ("hostpci1", "0000:01:00.0,pcie=1")],
            "hostpci1",
            "--delete hostpci1",
        ),
        (vec![("agent", "1"), ("args", "-device x")], "args", "--delete args"),
        (
            vec![("agent", "1"), ("hookscript", "local:x")],
            "hookscript",
            "--delete hookscript",
        ),
        (vec![("agent", "0")], "agent", "--agent 1"),
        (vec![], "agent", "--agent 1"),
    ];
    for (entries, key, command) in rows {
        let why = template_problem(&plain(&entries), 100, "n1").expect("a problem");
        assert!(
            why.contains(key) && why.contains(command) && why.contains("node n1"),
            "{why}"
        );
    }
}

#[test]
fn limits_of_time() {
    for (memory, hostpci, seconds) in [
        (0, false, 30),
        (8192, false, 30),
        (65536, false, 64),
        (65536, true, 256),
    ] {
        assert_eq!(start_limit(memory, hostpci).as_secs(), seconds);
    }
    let slow = object(doing(VmAction::Start, true, 100));
    check(&slow, &seen(Vm::Unknown, Task::Running), "wait Starting StartSlow");

    let mut vm = object(placed(VmPhase::Ready));
    vm.spec.ttl_seconds = Some(60);
    vm.metadata.creation_timestamp = Some(Time(now() - SignedDuration::from_secs(55)));
    let s = seen(present(&[], Some(true)), Task::None);
    match super::decide::decide(&vm, &s, now()) {
        Step::Wait { after, .. } => assert_eq!(after.as_secs(), 5),
        other => panic!("{other:?}"),
    }
    vm.metadata.creation_timestamp = Some(Time(now() - SignedDuration::from_secs(60)));
    check(&vm, &s, "expire");
    let status = vm.status.get_or_insert_default();
    *status = doing(VmAction::Start, false, 0);
    status.failures = Some(3);
    status.next_attempt_at = Some(Time(now() + SignedDuration::from_secs(7)));
    vm.spec.ttl_seconds = None;
    match super::decide::decide(&vm, &seen(present(&[], Some(false)), Task::None), now()) {
        Step::Wait { after, .. } => assert_eq!(after.as_secs(), 7),
        other => panic!("{other:?}"),
    }
    assert_eq!(names::vm_name(&vm), "a");
}
