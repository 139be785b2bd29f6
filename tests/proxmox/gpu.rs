//! The GpuProfile controller and the leases of VMs, against fakepve.

use crate::world::{World, ready};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use mosdat::api::{GpuDeviceState, GpuProfile, ProxmoxVM};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

on_both!(
    vms_wait_in_order_and_the_order_survives_a_restart,
    a_device_in_use_elsewhere_is_passed_over,
    a_device_that_fails_its_check_is_not_lent_again,
    a_guest_that_cannot_check_is_no_broken_device,
    devices_by_address_need_root,
    a_profile_goes_away_after_its_leases,
    every_option_reaches_the_vm,
    a_profile_is_not_ready_before_its_cluster_has_answered,
    a_mapping_that_is_not_there_is_told_before_a_vm_wants_it,
);

async fn profile(world: &World, devices: Value, more: Value) {
    let mut spec = json!({"clusterRef": {"name": "lab"}, "devices": devices});
    for (k, v) in more.as_object().expect("object") {
        spec[k] = v.clone();
    }
    world
        .create::<GpuProfile>(json!({"metadata": {"name": "pool"}, "spec": spec}))
        .await;
}

async fn vm(world: &World, name: &str) {
    let mut spec = world.vm_spec();
    spec["gpuProfileRef"] = json!({"name": "pool"});
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": name}, "spec": spec}))
        .await;
}

async fn delete(world: &World, name: &str) {
    world
        .api::<ProxmoxVM>()
        .delete(name, &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>(name).await;
}

async fn a_profile_is_not_ready_before_its_cluster_has_answered(world: World) {
    let spec = json!({"clusterRef": {"name": "absent"}, "devices": [{"name": "a", "mapping": "gpu-a"}]});
    world
        .create::<GpuProfile>(json!({"metadata": {"name": "pool"}, "spec": spec}))
        .await;
    let _running = world.controllers("a");
    let p = world
        .until::<GpuProfile>("pool", "judged", |p| !condition(p).is_empty())
        .await;
    let text = condition(&p);
    assert!(
        text.starts_with("False ClusterUnavailable: ProxmoxCluster absent"),
        "{text}"
    );
    event(&world, "ClusterUnavailable", "absent").await;
}

async fn a_mapping_that_is_not_there_is_told_before_a_vm_wants_it(world: World) {
    let _running = world.controllers("a");
    profile(
        &world,
        json!([{"name": "a", "mapping": "gpu0"}, {"name": "b", "mapping": "gpu-typo"}]),
        json!({}),
    )
    .await;
    let p = world
        .until::<GpuProfile>("pool", "judged", |p| condition(p).contains("MappingNotFound"))
        .await;
    let text = condition(&p);
    for part in [
        "device b: ",
        "no PCI resource mapping gpu-typo",
        "pvesh create /cluster/mapping/pci --id gpu-typo",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(state(&p, "b"), Some(GpuDeviceState::Unusable));
    event(&world, "MappingNotFound", "gpu-typo").await;
    // The other device is as good as ever.
    vm(&world, "one").await;
    world.until::<ProxmoxVM>("one", "ready", ready).await;
}

/// Message of a VM that waits for a device.
fn waits(vm: &ProxmoxVM) -> Option<String> {
    let status = vm.status.clone()?;
    let c = status.conditions.into_iter().find(|c| c.reason == "WaitingForGpu")?;
    Some(c.message)
}

fn state(p: &GpuProfile, device: &str) -> Option<GpuDeviceState> {
    let status = p.status.as_ref()?;
    status.devices.iter().find(|d| d.name == device).map(|d| d.state)
}

fn condition(p: &GpuProfile) -> String {
    let c = p
        .status
        .clone()
        .unwrap_or_default()
        .conditions
        .into_iter()
        .find(|c| c.type_ == "Ready");
    c.map(|c| format!("{} {}: {}", c.status, c.reason, c.message))
        .unwrap_or_default()
}

fn config(world: &World, name: &str, key: &str) -> Value {
    world.fake.py(&format!(
        "[v for v in pve.vms if v.name == '{name}'][0].config.get('{key}')"
    ))
}

/// Polls the Events of the namespace for one with this reason and text.
pub async fn event(world: &World, reason: &str, text: &str) {
    let api: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(world.client.clone(), &world.ns);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let all = api.list(&Default::default()).await.expect("events");
        let told: Vec<String> = all
            .iter()
            .map(|e| {
                format!(
                    "{}: {}",
                    e.reason.clone().unwrap_or_default(),
                    e.note.clone().unwrap_or_default()
                )
            })
            .collect();
        if told.iter().any(|t| t.starts_with(reason) && t.contains(text)) {
            return;
        }
        assert!(Instant::now() < deadline, "no {reason} with {text} in {told:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn vms_wait_in_order_and_the_order_survives_a_restart(world: World) {
    profile(
        &world,
        json!([{"name": "one", "mapping": "gpu0"}]),
        json!({"coolDownSeconds": 2}),
    )
    .await;
    let first = world.controllers("a");
    vm(&world, "holder").await;
    world.until::<ProxmoxVM>("holder", "ready", ready).await;
    event(&world, "Leased", "one to ProxmoxVM holder").await;
    drop(first);
    // Created while nobody looks; creation times have whole seconds, names decide within one.
    for name in ["w1", "w2", "w3"] {
        vm(&world, name).await;
    }
    let second = world.controllers("b");
    for (place, name) in ["w1", "w2", "w3"].into_iter().enumerate() {
        let want = format!("position {} of 3; held by holder (one)", place + 1);
        world
            .until::<ProxmoxVM>(name, &want, |vm| waits(vm).is_some_and(|w| w.ends_with(&want)))
            .await;
    }
    let p = world
        .api::<GpuProfile>()
        .get("pool")
        .await
        .expect("profile")
        .status
        .expect("status");
    assert_eq!((p.waiting, p.free, p.leases.len()), (3, 0, 1));
    drop(second);
    world
        .api::<ProxmoxVM>()
        .delete("holder", &Default::default())
        .await
        .expect("delete");
    let _third = world.controllers("c");
    world.gone::<ProxmoxVM>("holder").await;
    event(&world, "Released", "one").await;
    let resting = world
        .until::<GpuProfile>("pool", "resting", |p| {
            state(p, "one") == Some(GpuDeviceState::CoolingDown)
        })
        .await;
    let rest = resting.status.expect("status").devices.remove(0);
    let (since, until) = (rest.since.expect("since").0, rest.until.expect("until").0);
    assert_eq!(until.duration_since(since).as_secs(), 2);
    for name in ["w1", "w2", "w3"] {
        let got = world.until::<ProxmoxVM>(name, "ready", ready).await;
        assert_eq!(got.status.expect("status").gpu.as_deref(), Some("one"));
        delete(&world, name).await;
    }
    let p = world
        .api::<GpuProfile>()
        .get("pool")
        .await
        .expect("profile")
        .status
        .expect("status");
    assert!(p.leases.is_empty() && p.queue.is_empty());
    assert_eq!(world.fake.count("POST", "/clone"), 4);
}

async fn a_device_in_use_elsewhere_is_passed_over(world: World) {
    profile(
        &world,
        json!([{"name": "one", "mapping": "gpu0"}, {"name": "two", "mapping": "gpu1"}]),
        json!({}),
    )
    .await;
    // The fake does not reserve devices; this start task ends as Proxmox's does.
    world.fake.py(concat!(
        "pve.add_vm(102, 'theirs', status='running')\n",
        "pristine_start = pve._do_start\n",
        "async def start(vm, user, p):\n",
        "    vm.start_error = None\n",
        "    if 'gpu0' in str(vm.config.get('hostpci0')):\n",
        "        vm.start_error = \"PCI device '0000:01:00.0' already in use by VMID '102'\"\n",
        "    return await pristine_start(vm, user, p)\n",
        "pve._do_start = start\n",
    ));
    let _running = world.controllers("a");
    vm(&world, "a").await;
    let got = world.until::<ProxmoxVM>("a", "ready", ready).await;
    let status = got.status.expect("status");
    assert_eq!(status.gpu.as_deref(), Some("two"));
    assert!(status.failures.is_none());
    assert_eq!(config(&world, "a", "hostpci0"), "mapping=gpu1");
    let p = world
        .api::<GpuProfile>()
        .get("pool")
        .await
        .expect("profile")
        .status
        .expect("status");
    let one = p.devices.iter().find(|d| d.name == "one").expect("device");
    assert_eq!((one.state, one.vmid), (GpuDeviceState::InUseElsewhere, Some(102)));
    assert!(
        one.reason
            .as_deref()
            .is_some_and(|r| r.contains("already in use by VMID '102'")),
        "{one:?}"
    );
    event(&world, "InUseElsewhere", "VMID '102'").await;
    // Nothing else is free: the next VM waits and is no failure.
    vm(&world, "b").await;
    world
        .until::<ProxmoxVM>("b", "waiting", |vm| {
            waits(vm).is_some_and(|w| w.contains("position 1 of 1; held by a (two); one is in use elsewhere"))
        })
        .await;
    // Its holder stops: the device is lent again long before it would be tried blindly.
    world.fake.py("v = [v for v in pve.vms if v.vmid == 102][0]\nv.status = v.qmpstatus = 'stopped'\npve._do_start = pristine_start\n");
    let b = world.until::<ProxmoxVM>("b", "ready", ready).await;
    assert_eq!(b.status.expect("status").gpu.as_deref(), Some("one"));
    for name in ["a", "b"] {
        delete(&world, name).await;
    }
}

async fn a_device_that_fails_its_check_is_not_lent_again(world: World) {
    profile(
        &world,
        json!([{"name": "one", "mapping": "gpu0"}, {"name": "two", "mapping": "gpu1"}]),
        json!({"healthCheck": {"command": ["nvidia-smi", "-L"], "pattern": "RTX [0-9]+", "timeoutSeconds": 20}}),
    )
    .await;
    // A guest answers by the device that it has.
    world.fake.py(concat!(
        "from fakepve import agent as guest_agent\n",
        "pristine_result = guest_agent.result\n",
        "def result(vm, command, values):\n",
        "    bad = 'gpu0' in str(vm.config.get('hostpci0'))\n",
        "    vm.agent['exec'] = {'nvidia-smi -L': {'out-data': 'No devices were found' if bad else 'GPU 0: RTX 3060'}}\n",
        "    return pristine_result(vm, command, values)\n",
        "guest_agent.result = result\n",
    ));
    let first = world.controllers("a");
    vm(&world, "a").await;
    let p = world
        .until::<GpuProfile>("pool", "in quarantine", |p| {
            state(p, "one") == Some(GpuDeviceState::Quarantined)
        })
        .await;
    let status = p.status.clone().expect("status");
    let why = status.devices[0].reason.clone().unwrap_or_default();
    assert!(
        why.contains("failed its health check in a") && why.contains("No devices were found"),
        "{why}"
    );
    assert_eq!(status.leases.len(), 1, "the VM keeps what it has");
    event(&world, "Quarantined", "one in ProxmoxVM a").await;
    event(&world, "GpuUnhealthy", "device one of GpuProfile pool").await;
    delete(&world, "a").await;
    drop(first);
    // It is remembered, and others get what is healthy.
    let _second = world.controllers("b");
    vm(&world, "b").await;
    let b = world.until::<ProxmoxVM>("b", "ready", ready).await;
    assert_eq!(b.status.expect("status").gpu.as_deref(), Some("two"));
    world
        .until::<GpuProfile>("pool", "checked", |p| {
            let leases = &p.status.as_ref().expect("status").leases;
            leases.len() == 1 && leases[0].health == Some(mosdat::api::GpuHealth::Passed)
        })
        .await;
    let patch = json!({"metadata": {"annotations": {"mosdat.dev/release-quarantine": "one"}}});
    world
        .api::<GpuProfile>()
        .patch("pool", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .expect("annotate");
    let p = world
        .until::<GpuProfile>("pool", "released", |p| {
            let annotated = p.metadata.annotations.as_ref().is_some_and(|a| !a.is_empty());
            state(p, "one") == Some(GpuDeviceState::Free) && !annotated
        })
        .await;
    assert!(condition(&p).starts_with("True Counted: 1 of 2"), "{}", condition(&p));
    delete(&world, "b").await;
}

/// A template without the tool says nothing about the device.
async fn a_guest_that_cannot_check_is_no_broken_device(world: World) {
    profile(
        &world,
        json!([{"name": "one", "mapping": "gpu0"}]),
        json!({"healthCheck": {"command": ["nvidia-smi", "-L"], "pattern": "RTX", "timeoutSeconds": 20}}),
    )
    .await;
    world.fake.py(
        "pve.fail('POST', '/agent/exec', 596, 'Agent error: Failed to execute child process (No such file or directory)')\nNone",
    );
    let _running = world.controllers("a");
    vm(&world, "a").await;
    event(&world, "GpuNotChecked", "the guest could not run nvidia-smi").await;
    let p = world.api::<GpuProfile>().get("pool").await.expect("profile");
    assert_eq!(state(&p, "one"), Some(GpuDeviceState::Leased));
    delete(&world, "a").await;
}

async fn devices_by_address_need_root(world: World) {
    profile(
        &world,
        json!([{"name": "one", "address": "0000:01:00.0", "node": "pve1"}]),
        json!({"pcie": true}),
    )
    .await;
    let _running = world.controllers("a");
    vm(&world, "a").await;
    let p = world
        .until::<GpuProfile>("pool", "refused", |p| condition(p).contains("AddressNeedsRoot"))
        .await;
    assert!(
        condition(&p).contains("logs in as mosdat@pve!test"),
        "{}",
        condition(&p)
    );
    world
        .until::<ProxmoxVM>("a", "told", |vm| {
            waits(vm).is_some_and(|w| w.contains("only from root@pam"))
        })
        .await;
    assert!(
        world.fake.clones().is_empty(),
        "nothing is made for a VM that cannot have its device"
    );
    // A root password makes it good, with nothing restarted.
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.ns);
    let patch = json!({"data": null, "stringData": {"username": "root@pam", "password": "secret"}});
    secrets
        .patch("pve", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .expect("patch");
    world.until::<ProxmoxVM>("a", "ready", ready).await;
    assert_eq!(config(&world, "a", "hostpci0"), "0000:01:00.0,pcie=1");
    delete(&world, "a").await;
}

async fn a_profile_goes_away_after_its_leases(world: World) {
    profile(&world, json!([{"name": "one", "mapping": "gpu0"}]), json!({})).await;
    let _running = world.controllers("a");
    vm(&world, "a").await;
    world.until::<ProxmoxVM>("a", "ready", ready).await;
    world
        .api::<GpuProfile>()
        .delete("pool", &Default::default())
        .await
        .expect("delete");
    let p = world
        .until::<GpuProfile>("pool", "waiting", |p| condition(p).contains("Deleting"))
        .await;
    assert!(condition(&p).ends_with("a (one)"), "{}", condition(&p));
    vm(&world, "b").await;
    world
        .until::<ProxmoxVM>("b", "told", |vm| waits(vm).is_some_and(|w| w.contains("being deleted")))
        .await;
    delete(&world, "a").await;
    world.gone::<GpuProfile>("pool").await;
    delete(&world, "b").await;
}

async fn every_option_reaches_the_vm(world: World) {
    profile(
        &world,
        json!([{"name": "one", "mapping": "gpu0"}]),
        json!({"pcie": true, "xVga": true, "rombar": false}),
    )
    .await;
    let _running = world.controllers("a");
    vm(&world, "a").await;
    world.until::<ProxmoxVM>("a", "ready", ready).await;
    assert_eq!(config(&world, "a", "hostpci0"), "mapping=gpu0,pcie=1,x-vga=1,rombar=0");
    assert_eq!(config(&world, "a", "vga"), "std");
    delete(&world, "a").await;
}
