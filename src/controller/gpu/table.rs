//! Tables for the decisions about devices: one row or test per situation.

use super::decide::*;
use super::devices::{Facts, settle};
use super::health::healthy;
use super::queue::Asker;
use crate::api::{
    GpuDevice, GpuDeviceState, GpuHealth, GpuHealthCheck, GpuProfile, GpuProfileSpec, GpuProfileStatus, Holder,
    LocalRef,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + secs).expect("time")
}

fn mapped(name: &str) -> GpuDevice {
    GpuDevice {
        name: name.to_string(),
        mapping: Some(format!("map-{name}")),
        ..GpuDevice::default()
    }
}

fn addressed(name: &str, node: &str, address: &str) -> GpuDevice {
    GpuDevice {
        name: name.to_string(),
        node: Some(node.to_string()),
        address: Some(address.to_string()),
        ..GpuDevice::default()
    }
}

fn profile(devices: Vec<GpuDevice>) -> GpuProfile {
    GpuProfile::new(
        "pool",
        GpuProfileSpec {
            cluster_ref: LocalRef { name: "c".to_string() },
            devices,
            pcie: false,
            x_vga: false,
            rombar: true,
            cool_down_seconds: 0,
            health_check: None,
        },
    )
}

/// A VM created `secs` after the beginning.
fn vm(name: &str, secs: i64) -> Asker {
    Asker {
        holder: Holder {
            kind: "ProxmoxVM".to_string(),
            name: name.to_string(),
            uid: format!("uid-{name}"),
        },
        since: Time(at(secs)),
        cluster: "c".to_string(),
        node: None,
        last: None,
    }
}

fn status(p: &GpuProfile) -> GpuProfileStatus {
    p.status.clone().expect("status")
}

fn ask(p: &mut GpuProfile, asker: &Asker, others: &[Asker], now: i64) -> Grant {
    lend(p, asker, others, &Facts::default(), at(now))
}

fn name(g: Grant) -> String {
    match g {
        Grant::Held(d) => d.name,
        Grant::Waiting(why) => format!("waits: {why}"),
    }
}

fn state(p: &GpuProfile, device: &str) -> GpuDeviceState {
    let s = status(p);
    s.devices.iter().find(|d| d.name == device).expect("device").state
}

fn ready(p: &GpuProfile) -> String {
    let c = status(p)
        .conditions
        .into_iter()
        .find(|c| c.type_ == "Ready")
        .expect("condition");
    format!("{} {}: {}", c.status, c.reason, c.message)
}

#[test]
fn every_option_goes_into_hostpci() {
    let mut p = profile(vec![mapped("a"), addressed("b", "n1", "0000:01:00.0")]);
    let hostpci = |p: &mut GpuProfile, who: &str| match ask(p, &vm(who, 0), &[], 1) {
        Grant::Held(d) => d.hostpci,
        Grant::Waiting(why) => panic!("{why}"),
    };
    assert_eq!(hostpci(&mut p, "x"), "mapping=map-a");
    assert_eq!(hostpci(&mut p, "y"), "0000:01:00.0");
    (p.spec.pcie, p.spec.x_vga, p.spec.rombar) = (true, true, false);
    assert_eq!(hostpci(&mut p, "x"), "mapping=map-a,pcie=1,x-vga=1,rombar=0");
    assert_eq!(hostpci(&mut p, "y"), "0000:01:00.0,pcie=1,x-vga=1,rombar=0");
}

#[test]
fn one_holder_per_device_and_the_same_answer_to_the_same_vm() {
    let mut p = profile(vec![mapped("a"), mapped("b")]);
    assert_eq!(name(ask(&mut p, &vm("x", 0), &[], 1)), "a");
    assert_eq!(name(ask(&mut p, &vm("x", 0), &[], 2)), "a");
    assert_eq!(name(ask(&mut p, &vm("y", 1), &[], 3)), "b");
    assert_eq!(status(&p).leases.len(), 2);
    // A new object of an old name is another VM.
    let mut again = vm("x", 9);
    again.holder.uid = "uid-new".to_string();
    assert!(name(ask(&mut p, &again, &[], 9)).starts_with("waits: "));
}

#[test]
fn the_queue_is_in_order_of_creation() {
    let mut p = profile(vec![mapped("a")]);
    ask(&mut p, &vm("first", 0), &[], 1);
    // The younger one asks before the older one.
    assert_eq!(
        name(ask(&mut p, &vm("young", 8), &[], 10)),
        "waits: waiting for a device of GpuProfile pool: position 1 of 1; held by first (a)"
    );
    let older = name(ask(&mut p, &vm("old", 5), &[], 11));
    assert!(older.contains("position 1 of 2"), "{older}");
    assert_eq!(status(&p).waiting, 2);
    let names: Vec<String> = status(&p).queue.into_iter().map(|w| w.holder.name).collect();
    assert_eq!(names, ["old", "young"]);
    // When the device comes back, asking first does not help.
    give_back(&mut p, "uid-first", &Facts::default(), at(20));
    let young = name(ask(&mut p, &vm("young", 8), &[], 21));
    assert!(young.contains("position 2 of 2"), "{young}");
    assert_eq!(name(ask(&mut p, &vm("old", 5), &[], 22)), "a");
    let names: Vec<String> = status(&p).queue.into_iter().map(|w| w.holder.name).collect();
    assert_eq!(names, ["young"]);
}

#[test]
fn one_that_did_not_ask_yet_has_its_turn_too() {
    let mut p = profile(vec![mapped("a")]);
    let old = vm("old", 0);
    let told = name(ask(&mut p, &vm("young", 5), std::slice::from_ref(&old), 6));
    assert!(told.contains("position 2 of 2"), "{told}");
    assert_eq!(name(ask(&mut p, &old, &[], 7)), "a");
}

#[test]
fn a_long_queue_is_counted_and_bounded() {
    let mut p = profile(vec![mapped("a")]);
    ask(&mut p, &vm("holder", 0), &[], 1);
    let others: Vec<Asker> = (0..300).map(|n| vm(&format!("w{n}"), 10 + n)).collect();
    let told = name(ask(&mut p, &vm("last", 1000), &others, 1001));
    assert!(told.contains("position 301 of 301"), "{told}");
    assert_eq!((status(&p).queue.len(), status(&p).waiting), (128, 301));
}

#[test]
fn nodes() {
    // Two nodes have the same address: two devices, and each VM gets the one of its node.
    let mut p = profile(vec![
        addressed("a", "n1", "0000:01:00.0"),
        addressed("b", "n2", "0000:01:00.0"),
        mapped("c"),
    ]);
    let facts = Facts {
        no_address: None,
        mappings: Some([("map-c".to_string(), vec!["n2".to_string()])].into()),
        ..Facts::default()
    };
    let bound = |who: &str, node: &str| Asker {
        node: Some(node.to_string()),
        ..vm(who, 0)
    };
    let mut go = |who: &str, node: &str| name(lend(&mut p, &bound(who, node), &[], &facts, at(1)));
    assert_eq!(go("x", "n2"), "b");
    assert_eq!(go("y", "n2"), "c");
    assert!(go("z", "n2").starts_with("waits: waiting"));
    // One that waits for another node does not stop this.
    assert_eq!(go("zz", "n1"), "a");
    assert_eq!(
        go("w", "n9"),
        "waits: GpuProfile pool has no device on node n9, where this VM has to be"
    );
}

#[test]
fn the_device_that_it_had_is_preferred() {
    let mut p = profile(vec![mapped("a"), mapped("b")]);
    let mut x = vm("x", 0);
    x.last = Some("b".to_string());
    assert_eq!(name(ask(&mut p, &x, &[], 1)), "b");
}

#[test]
fn what_cannot_be_lent_says_why() {
    let mut p = profile(vec![addressed("a", "n1", "0000:01:00.0")]);
    let facts = Facts {
        no_address: Some("only root".to_string()),
        mappings: None,
        ..Facts::default()
    };
    let told = name(lend(&mut p, &vm("x", 0), &[], &facts, at(1)));
    assert!(told.contains("a cannot be used (only root)"), "{told}");
    assert_eq!(ready(&p), "False AddressNeedsRoot: device a: only root");
    // With other credentials it is good again.
    assert_eq!(name(ask(&mut p, &vm("x", 0), &[], 2)), "a");
    assert!(ready(&p).starts_with("True Counted"), "{}", ready(&p));

    let mut p = profile(vec![
        addressed("a", "n1", "0000:01:00.0"),
        addressed("b", "n1", "0000:01:00"),
    ]);
    settle(&mut p, &Facts::default(), at(1));
    assert_eq!(state(&p, "b"), GpuDeviceState::Unusable);
    assert!(
        ready(&p).starts_with("False DuplicateDevice: device b: 0000:01:00 on node n1"),
        "{}",
        ready(&p)
    );

    let mut p = profile(vec![mapped("a")]);
    let mut foreign = vm("x", 0);
    foreign.cluster = "other".to_string();
    let told = name(ask(&mut p, &foreign, &[], 1));
    assert!(told.contains("is of ProxmoxCluster c, this VM is of other"), "{told}");
    p.metadata.deletion_timestamp = Some(Time(at(1)));
    assert!(name(ask(&mut p, &vm("y", 0), &[], 2)).contains("being deleted"));
}

#[test]
fn cool_down() {
    let mut p = profile(vec![mapped("a")]);
    p.spec.cool_down_seconds = 30;
    ask(&mut p, &vm("x", 0), &[], 1);
    give_back(&mut p, "uid-x", &Facts::default(), at(10));
    assert_eq!(state(&p, "a"), GpuDeviceState::CoolingDown);
    assert_eq!(next_change(&status(&p), at(15)), Some(SignedDuration::from_secs(25)));
    let told = name(ask(&mut p, &vm("y", 1), &[], 39));
    assert!(told.contains("a cools down"), "{told}");
    assert_eq!(name(ask(&mut p, &vm("y", 1), &[], 41)), "a");
}

#[test]
fn a_holder_elsewhere_moves_the_lease() {
    let mut p = profile(vec![mapped("a"), mapped("b")]);
    let text = "PCI device '0000:01:00.0' already in use by VMID '102'";
    ask(&mut p, &vm("x", 0), &[], 1);
    let facts = Facts::default();
    assert_eq!(
        elsewhere(&mut p, "uid-x", Some(102), text, &facts, at(5)).as_deref(),
        Some("a")
    );
    assert_eq!(elsewhere(&mut p, "uid-x", Some(102), text, &facts, at(5)), None);
    assert_eq!(state(&p, "a"), GpuDeviceState::InUseElsewhere);
    assert_eq!(name(ask(&mut p, &vm("x", 0), &[], 6)), "b");
    let told = name(ask(&mut p, &vm("y", 1), &[], 7));
    assert!(told.contains(&format!("a is in use elsewhere ({text})")), "{told}");
    // Its holder is seen to have stopped, but not so soon that the list may be old.
    let mut world = World {
        waiting: vec![vm("y", 1)],
        stopped: [102].into(),
        ..World::default()
    };
    tidy(&mut p, &world, &facts, at(10));
    assert_eq!(state(&p, "a"), GpuDeviceState::InUseElsewhere);
    tidy(&mut p, &world, &facts, at(30));
    assert_eq!(state(&p, "a"), GpuDeviceState::Free);
    // Whatever is known of the holder, it is tried again some day.
    elsewhere(&mut p, "uid-x", None, "could not find a free device", &facts, at(40));
    world.stopped.clear();
    tidy(&mut p, &world, &facts, at(99));
    assert_eq!(state(&p, "b"), GpuDeviceState::InUseElsewhere);
    tidy(&mut p, &world, &facts, at(101));
    assert_eq!(state(&p, "b"), GpuDeviceState::Free);
}

#[test]
fn quarantine_ends_by_hand_only() {
    let mut p = profile(vec![mapped("a")]);
    p.spec.health_check = Some(GpuHealthCheck::default());
    let facts = Facts::default();
    ask(&mut p, &vm("x", 0), &[], 1);
    checked(&mut p, "uid-x", &Err("exit code 9".to_string()), &facts, at(5));
    assert_eq!(status(&p).leases[0].health, Some(GpuHealth::Failed));
    assert_eq!(state(&p, "a"), GpuDeviceState::Quarantined);
    give_back(&mut p, "uid-x", &facts, at(10));
    let told = name(ask(&mut p, &vm("y", 1), &[], 9999));
    assert!(
        told.contains("a is in quarantine (failed its health check in x: exit code 9)"),
        "{told}"
    );
    assert!(
        ready(&p).contains("annotate this object with mosdat.dev/release-quarantine=a"),
        "{}",
        ready(&p)
    );
    let world = World {
        waiting: vec![vm("y", 1)],
        released: ["a".to_string()].into(),
        ..World::default()
    };
    tidy(&mut p, &world, &facts, at(10000));
    assert_eq!(name(ask(&mut p, &vm("y", 1), &[], 10001)), "a");
    checked(&mut p, "uid-y", &Ok(()), &facts, at(10002));
    assert_eq!(
        (status(&p).leases[0].health, state(&p, "a")),
        (Some(GpuHealth::Passed), GpuDeviceState::Leased)
    );
}

#[test]
fn leases_and_places_of_vms_that_are_gone_end() {
    let mut p = profile(vec![mapped("a")]);
    ask(&mut p, &vm("x", 0), &[], 1);
    ask(&mut p, &vm("y", 1), &[], 2);
    // One that came after the look is not named by it, and keeps its lease.
    let mut newer = p.clone();
    assert!(tidy(&mut newer, &World::default(), &Facts::default(), at(3)).is_empty());
    assert_eq!(status(&newer).leases.len(), 1);
    let world = World {
        gone: ["uid-x".to_string()].into(),
        ..World::default()
    };
    let gone = tidy(&mut p, &world, &Facts::default(), at(3));
    assert_eq!(gone.len(), 1);
    let s = status(&p);
    assert_eq!(
        (s.leases.len(), s.queue.len(), s.waiting, s.capacity, s.free),
        (0, 0, 0, 1, 1)
    );
    // The lease of a device that was taken out of the profile stays, its VM still has it.
    ask(&mut p, &vm("x", 0), &[], 4);
    p.spec.devices = vec![mapped("b")];
    assert!(name(ask(&mut p, &vm("x", 0), &[], 5)).contains("no longer has device a"));
    assert_eq!(name(ask(&mut p, &vm("y", 1), &[], 6)), "b");
    assert_eq!(status(&p).leases.len(), 2);
}

#[test]
fn health() {
    let rows = [
        (None, Some(0), "", "ok"),
        (Some("RTX [0-9]+"), Some(0), "GPU 0: RTX 3060", "ok"),
        (
            Some("RTX"),
            Some(0),
            "No devices were found",
            "the output does not match 'RTX'; it printed: No devices were found",
        ),
        (Some("RTX"), Some(9), "RTX", "exit code 9; it printed: RTX"),
        (None, None, "", "it was killed; it printed nothing"),
    ];
    for (pattern, exit, output, want) in rows {
        let got = healthy(pattern, exit, output).err().unwrap_or_else(|| "ok".to_string());
        assert_eq!(got, want);
    }
    let mut p = profile(vec![mapped("a")]);
    p.spec.health_check = Some(GpuHealthCheck {
        pattern: Some("(".to_string()),
        ..GpuHealthCheck::default()
    });
    settle(&mut p, &Facts::default(), at(1));
    assert!(ready(&p).starts_with("False InvalidHealthCheck"), "{}", ready(&p));
}
