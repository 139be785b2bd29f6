//! What changes after a VM is ready: its spec, or the VM behind our back; and VMs without an owner.

use crate::world::{World, ready};
use kube::api::{Patch, PatchParams};
use mosdat::api::{ProxmoxCluster, ProxmoxVM, VmPhase};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

on_both!(
    power_and_hardware_follow_the_spec,
    edits_and_moves_behind_our_back,
    an_address_that_changes_is_told,
    a_setting_that_proxmox_does_not_keep_is_not_written_for_ever,
    an_object_whose_time_is_over_goes_away,
    vms_without_an_owner_are_reported_and_removed_on_demand,
    a_vm_costs_few_calls,
    limits_hold_in_a_burst,
);

async fn patch(world: &World, name: &str, spec: Value) {
    world
        .api::<ProxmoxVM>()
        .patch(name, &PatchParams::default(), &Patch::Merge(json!({"spec": spec})))
        .await
        .expect("patch");
}

async fn made(world: &World, extra: Value) -> ProxmoxVM {
    let mut spec = world.vm_spec();
    for (k, v) in extra.as_object().expect("object") {
        spec[k] = v.clone();
    }
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": spec}))
        .await;
    world.until::<ProxmoxVM>("a", "ready", ready).await
}

fn vm_value(world: &World, what: &str) -> Value {
    world
        .fake
        .py(&format!("[v for v in pve.vms if v.vmid == 20000][0].{what}"))
}

fn text(v: &Value) -> String {
    v.to_string().trim_matches('"').to_string()
}

async fn poll(what: &str, f: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(45);
    while !f() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn condition(vm: &ProxmoxVM, type_: &str) -> bool {
    let status = vm.status.clone().unwrap_or_default();
    status.conditions.iter().any(|c| c.type_ == type_ && c.status == "True")
}

async fn power_and_hardware_follow_the_spec(world: World) {
    let _running = world.controllers("a");
    made(&world, json!({"tags": ["blue"]})).await;
    // A running VM is not restarted for new hardware; it is told.
    patch(
        &world,
        "a",
        json!({"hardware": {"cores": 4, "cpu": "host"}, "tags": ["green"]}),
    )
    .await;
    let vm = world
        .until::<ProxmoxVM>("a", "in need of a restart", |vm| condition(vm, "RestartRequired"))
        .await;
    assert!(condition(&vm, "Ready"));
    assert_eq!(text(&vm_value(&world, "config['cores']")), "2");
    let tags = text(&vm_value(&world, "config['tags']"));
    assert!(tags.contains("green") && !tags.contains("blue"), "{tags}");
    patch(&world, "a", json!({"power": "Stopped"})).await;
    let off = |vm: &ProxmoxVM| ready(vm) && vm.status.as_ref().is_some_and(|s| s.phase == Some(VmPhase::Stopped));
    world.until::<ProxmoxVM>("a", "off", off).await;
    assert_eq!(vm_value(&world, "status"), "stopped");
    patch(&world, "a", json!({"power": "Running"})).await;
    let on = |vm: &ProxmoxVM| ready(vm) && vm.status.as_ref().is_some_and(|s| s.phase == Some(VmPhase::Ready));
    let vm = world.until::<ProxmoxVM>("a", "on", on).await;
    assert!(!condition(&vm, "RestartRequired"));
    assert_eq!(text(&vm_value(&world, "config['cores']")), "4");
    // Taken away again: the template's values are back.
    patch(&world, "a", json!({"hardware": null, "tags": null, "power": "Stopped"})).await;
    world.until::<ProxmoxVM>("a", "off", off).await;
    poll("the template's cores come back", || {
        text(&vm_value(&world, "config['cores']")) == "2" && vm_value(&world, "config.get('cpu')") == Value::Null
    })
    .await;
    assert!(!text(&vm_value(&world, "config['tags']")).contains("green"));
    world
        .api::<ProxmoxVM>()
        .delete("a", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("a").await;
    assert!(world.fake.clones().is_empty());
}

async fn edits_and_moves_behind_our_back(world: World) {
    let first = world.controllers("a");
    made(&world, json!({})).await;
    drop(first);
    let uid_tags = text(&vm_value(&world, "config['tags']"));
    world.fake.py(concat!(
        "vm = [v for v in pve.vms if v.vmid == 20000][0]\n",
        "vm.config['tags'] = 'mine'\n",
        "pve.nodes.setdefault('pve2', {'online': True})\n",
        "vm.node = 'pve2'\n",
    ));
    let _second = world.controllers("b");
    let moved = |vm: &ProxmoxVM| ready(vm) && vm.status.as_ref().is_some_and(|s| s.node.as_deref() == Some("pve2"));
    world.until::<ProxmoxVM>("a", "on the other node", moved).await;
    poll("our tags come back", || {
        let tags = text(&vm_value(&world, "config['tags']"));
        tags.contains("mine") && uid_tags.split(';').all(|t| tags.contains(t))
    })
    .await;
    assert_eq!(world.fake.count("POST", "/status/start"), 1);
    world
        .api::<ProxmoxVM>()
        .delete("a", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("a").await;
    assert!(world.fake.clones().is_empty());
}

async fn a_setting_that_proxmox_does_not_keep_is_not_written_for_ever(world: World) {
    let _running = world.controllers("a");
    // A guest that is still booting: nothing says that its VM is off, or what waits for its next start.
    world.fake.py("setattr(type(template), 'silent', True)");
    let object = json!({"metadata": {"name": "a"}, "spec": world.vm_spec()});
    world.create::<ProxmoxVM>(object).await;
    let phase = |vm: &ProxmoxVM| vm.status.as_ref().and_then(|s| s.phase);
    world
        .until::<ProxmoxVM>("a", "booting", |vm| phase(vm) == Some(VmPhase::Booting))
        .await;
    let before = world.fake.count("PUT", "/qemu/20000/config");
    // This fake answers 200 and shows the old value, as it does not show what is pending.
    patch(&world, "a", json!({"hardware": {"cores": 3}})).await;
    let vm = world
        .until::<ProxmoxVM>("a", "stalled", |vm| crate::world::stalled(vm).is_some())
        .await;
    let told = crate::world::stalled(&vm).unwrap_or_default();
    assert!(
        told.contains("SettingsNotTaken") && told.contains("still has cores=2"),
        "{told}"
    );
    let writes = world.fake.count("PUT", "/qemu/20000/config") - before;
    assert!((2..=8).contains(&writes), "{writes} writes");
    // An edit is carried out at once.
    world
        .fake
        .py("setattr([v for v in pve.vms if v.vmid == 20000][0], 'agent', {})");
    patch(&world, "a", json!({"hardware": {"cores": 2}})).await;
    world.until::<ProxmoxVM>("a", "ready", ready).await;
}

async fn an_address_that_changes_is_told(world: World) {
    let _running = world.controllers("a");
    made(&world, json!({})).await;
    // DHCP gave the guest another one.
    world.fake.py(concat!(
        "vm = [v for v in pve.vms if v.vmid == 20000][0]\n",
        "mac = vm.config['net0'].split('=')[1].split(',')[0].lower()\n",
        "vm.agent['interfaces'] = [{'name': 'eth0', 'hardware-address': mac, ",
        "'ip-addresses': [{'ip-address': '10.9.8.7', 'ip-address-type': 'ipv4', 'prefix': 24}]}]\n",
    ));
    let vm = world
        .until::<ProxmoxVM>("a", "told of the address", |vm| {
            vm.status.as_ref().and_then(|s| s.ip.as_deref()) == Some("10.9.8.7")
        })
        .await;
    assert_eq!(vm.status.and_then(|s| s.phase), Some(mosdat::api::VmPhase::Ready));
}

async fn an_object_whose_time_is_over_goes_away(world: World) {
    let _running = world.controllers("a");
    made(&world, json!({})).await;
    patch(&world, "a", json!({"ttlSeconds": 10})).await;
    let vm = world.api::<ProxmoxVM>().get("a").await.expect("get");
    assert_eq!(vm.spec.ttl_seconds, Some(10));
    let low = json!({"spec": {"ttlSeconds": 1}});
    let refused = world
        .api::<ProxmoxVM>()
        .patch("a", &PatchParams::default(), &Patch::Merge(low))
        .await;
    assert!(refused.is_err());
    let deadline = Instant::now() + Duration::from_secs(60);
    while world.api::<ProxmoxVM>().get_opt("a").await.expect("get").is_some() {
        assert!(Instant::now() < deadline, "still there");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(world.fake.clones().is_empty());
}

async fn vms_without_an_owner_are_reported_and_removed_on_demand(world: World) {
    let first = world.controllers("a");
    made(&world, json!({})).await;
    drop(first);
    // Somebody takes the finalizer away; and a copy of ours, made by hand, is nobody's business.
    world
        .api::<ProxmoxVM>()
        .patch(
            "a",
            &PatchParams::default(),
            &Patch::Merge(json!({"metadata": {"finalizers": null}})),
        )
        .await
        .expect("patch");
    world
        .api::<ProxmoxVM>()
        .delete("a", &Default::default())
        .await
        .expect("delete");
    world
        .fake
        .py("pve.add_vm(20007, 'copy', config=dict([v for v in pve.vms if v.vmid == 20000][0].config))\nNone");
    let second = world.controllers("b");
    let cluster = world
        .until::<ProxmoxCluster>("lab", "reporting the orphan", |c| {
            !c.status.clone().unwrap_or_default().orphans.is_empty()
        })
        .await;
    let orphans = cluster.status.expect("status").orphans;
    assert_eq!(orphans.iter().map(|o| o.vmid).collect::<Vec<_>>(), [20000]);
    drop(second);
    let old = json!({"status": {"orphans": [{
        "vmid": 20000, "node": "pve1", "ownerUid": orphans[0].owner_uid, "since": "2020-01-01T00:00:00Z",
    }]}});
    world
        .api::<ProxmoxCluster>()
        .patch_status("lab", &PatchParams::default(), &Patch::Merge(old))
        .await
        .expect("patch");
    assert_eq!(world.fake.clones(), [20000, 20007], "Report removes nothing");
    world
        .api::<ProxmoxCluster>()
        .patch(
            "lab",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"orphanPolicy": "Delete"}})),
        )
        .await
        .expect("patch");
    // A removal that fails says why, and is tried again in the next round; here, by the next controller.
    world
        .fake
        .py("setattr([v for v in pve.vms if v.vmid == 20000][0], 'lock', 'backup')");
    let third = world.controllers("c");
    let events: kube::Api<k8s_openapi::api::events::v1::Event> = kube::Api::namespaced(world.client.clone(), &world.ns);
    let deadline = Instant::now() + Duration::from_secs(30);
    let note = loop {
        let all = events.list(&Default::default()).await.expect("events");
        let mut told = all
            .into_iter()
            .filter(|e| e.reason.as_deref() == Some("OrphanNotRemoved"));
        if let Some(event) = told.next() {
            break event.note.unwrap_or_default();
        }
        assert!(
            Instant::now() < deadline,
            "no Event says that the orphan was not removed"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(
        note.contains("VM 20000 on pve1") && note.contains("VM is locked (backup)"),
        "{note}"
    );
    assert_eq!(world.fake.clones(), [20000, 20007]);
    drop(third);
    world
        .fake
        .py("setattr([v for v in pve.vms if v.vmid == 20000][0], 'lock', None)");
    let _fourth = world.controllers("d");
    poll("the orphan is removed", || world.fake.clones() == [20007]).await;
}

/// Proxmox calls and writes to Kubernetes from apply to Ready.
async fn a_vm_costs_few_calls(world: World) {
    world.fake.py("pve.time_scale = 0\n");
    let _running = world.controllers("a");
    world
        .until::<ProxmoxCluster>("lab", "reachable", |c| {
            c.status.as_ref().is_some_and(|s| s.version.is_some())
        })
        .await;
    let before = world.fake.py("len(pve.requests)").as_u64().expect("number") as usize;
    let api = world.api::<ProxmoxVM>();
    let mut spec = world.vm_spec();
    spec["hardware"] = json!({"cores": 3});
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": spec}))
        .await;
    let (mut versions, deadline) = (
        std::collections::BTreeSet::new(),
        Instant::now() + Duration::from_secs(60),
    );
    loop {
        let vm = api.get("a").await.expect("get");
        versions.insert(vm.metadata.resource_version.clone());
        if ready(&vm) {
            break;
        }
        assert!(Instant::now() < deadline, "never ready");
    }
    let calls = world
        .fake
        .py(&format!("[r[0] + ' ' + r[1] for r in pve.requests[{before}:]]"));
    let calls: Vec<String> = serde_json::from_value(calls).expect("list");
    // Cluster-wide looks belong to no VM.
    let own: Vec<&String> = calls
        .iter()
        .filter(|c| !c.ends_with("/version") && !c.ends_with("/nodes") && !c.ends_with("/permissions"))
        .collect();
    // Events come on top: Cloning, Starting, Ready. The first version is the user's.
    let writes = versions.len() - 1 + 3;
    eprintln!(
        "{} Proxmox calls, about {writes} Kubernetes writes: {own:#?}",
        own.len()
    );
    assert!(own.len() <= 18, "{own:#?}");
    assert!(writes <= 12, "{writes} writes");
}

/// Many at once: never more clones and starts than the limits allow.
async fn limits_hold_in_a_burst(world: World) {
    world
        .api::<ProxmoxCluster>()
        .patch(
            "lab",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"limits": {"parallelClones": 2, "parallelStarts": 1}}})),
        )
        .await
        .expect("patch");
    world.fake.py(concat!(
        "pve.most = {}\n",
        "pristine_task = pve.task\n",
        "running = {}\n",
        "async def task(node, ttype, tid, user, body, **kw):\n",
        "    async def slow():\n",
        "        running[ttype] = running.get(ttype, 0) + 1\n",
        "        pve.most[ttype] = max(pve.most.get(ttype, 0), running[ttype])\n",
        "        try:\n",
        "            await asyncio.sleep(0.2)\n",
        "            return await body()\n",
        "        finally:\n",
        "            running[ttype] -= 1\n",
        "    return await pristine_task(node, ttype, tid, user, slow, **kw)\n",
        "pve.task = task\n",
    ));
    let names: Vec<String> = (0..8).map(|i| format!("v{i}")).collect();
    for name in &names {
        world
            .create::<ProxmoxVM>(json!({"metadata": {"name": name}, "spec": world.vm_spec()}))
            .await;
    }
    let _running = world.controllers("a");
    for name in &names {
        world.until::<ProxmoxVM>(name, "ready", ready).await;
    }
    let most = world.fake.py("pve.most");
    assert_eq!((&most["qmclone"], &most["qmstart"]), (&json!(2), &json!(1)), "{most}");
}
