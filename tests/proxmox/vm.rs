//! The ProxmoxVM controller against fakepve and a real kube-apiserver.

use crate::world::{World, ready, stalled};
use mosdat::api::{GpuProfile, ProxmoxCluster, ProxmoxVM, VmPhase};
use serde_json::json;
use std::time::{Duration, Instant};

on_both!(
    life_cycle_with_a_gpu,
    killed_at_random_points,
    a_foreign_vm_under_the_planned_vmid_is_left_alone,
    what_cannot_work_says_why,
    lost_answers_are_resolved_by_looking,
    busy_locks_are_waited_for,
    a_vm_that_stops_is_started_again_and_one_that_vanishes_is_reported,
    a_cluster_that_is_not_there_is_told_once,
);

/// A profile with one device, which the fake has a mapping for.
async fn gpu(world: &World) {
    world
        .create::<GpuProfile>(json!({
            "metadata": {"name": "gpu"},
            "spec": {"clusterRef": {"name": "lab"}, "devices": [{"name": "one", "mapping": "gpu0"}]},
        }))
        .await;
}

async fn life_cycle_with_a_gpu(world: World) {
    let _running = world.controllers("a");
    gpu(&world).await;
    let mut spec = world.vm_spec();
    spec["gpuProfileRef"] = json!({"name": "gpu"});
    spec["hardware"] = json!({"cores": 3});
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": spec}))
        .await;
    let begun = Instant::now();
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    eprintln!("ready after {:?}", begun.elapsed());
    let status = vm.status.clone().expect("status");
    assert_eq!(status.phase, Some(VmPhase::Ready));
    assert_eq!((status.vmid, status.node.as_deref()), (Some(20000), Some("pve1")));
    assert_eq!(status.gpu.as_deref(), Some("one"));
    assert!(status.intent.is_none() && status.ready_at.is_some());
    let config = world.fake.py("[v for v in pve.vms if v.vmid == 20000][0].config");
    assert_eq!(config["cores"].to_string().trim_matches('"'), "3");
    assert_eq!(config["hostpci0"], "mapping=gpu0");
    assert_eq!(config["name"], "a");
    let uid = vm.metadata.uid.clone().expect("uid");
    assert!(
        config["tags"]
            .as_str()
            .expect("tags")
            .contains(&format!("mosdat-uid-{uid}"))
    );
    let events: kube::Api<k8s_openapi::api::events::v1::Event> = kube::Api::namespaced(world.client.clone(), &world.ns);
    // An Event is published after the status that it tells of.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let told: Vec<String> = events
            .list(&Default::default())
            .await
            .expect("events")
            .into_iter()
            .filter(|e| e.regarding.as_ref().is_some_and(|r| r.uid.as_deref() == Some(&uid)))
            .filter_map(|e| e.reason)
            .collect();
        if ["Cloning", "Starting", "Ready"]
            .iter()
            .all(|r| told.iter().any(|t| t == r))
        {
            break;
        }
        assert!(Instant::now() < deadline, "only these events: {told:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let calls = world.fake.py("len(pve.requests)").as_u64().expect("number");
    assert!(calls < 28, "{calls} requests to Proxmox for one VM");
    let cluster = world.api::<ProxmoxCluster>().get("lab").await.expect("cluster");
    assert!(cluster.status.expect("status").version.is_some());

    // The only device is lent: another VM waits, and nothing is cloned for it.
    let mut spec = world.vm_spec();
    spec["gpuProfileRef"] = json!({"name": "gpu"});
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "b"}, "spec": spec}))
        .await;
    world
        .until::<ProxmoxVM>("b", "waiting for the GPU", |vm| {
            let s = vm.status.clone().unwrap_or_default();
            s.conditions.iter().any(|c| c.reason == "WaitingForGpu") && s.vmid.is_none()
        })
        .await;
    world
        .api::<ProxmoxVM>()
        .delete("a", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("a").await;
    world.until::<ProxmoxVM>("b", "ready", ready).await;
    world
        .api::<ProxmoxVM>()
        .delete("b", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("b").await;
    assert!(world.fake.clones().is_empty());
    let profile = world.api::<GpuProfile>().get("gpu").await.expect("profile");
    assert!(profile.status.expect("status").leases.is_empty());
    assert_eq!(world.fake.count("POST", "/clone"), 2);
}

/// Controllers are killed after random times again and again; every write happens once.
async fn killed_at_random_points(world: World) {
    gpu(&world).await;
    let mut spec = world.vm_spec();
    spec["gpuProfileRef"] = json!({"name": "gpu"});
    for round in 0..4 {
        let name = format!("c{round}");
        world
            .create::<ProxmoxVM>(json!({"metadata": {"name": name}, "spec": spec}))
            .await;
        let before = ["/clone", "/status/start", "/status/stop"].map(|p| world.fake.count("POST", p));
        let destroyed = world.fake.py("sum(1 for r in pve.requests if r[0] == 'DELETE')");
        let mut lives = 0;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let running = world.controllers(&format!("{name}-{lives}"));
            lives += 1;
            tokio::time::sleep(Duration::from_millis(20 + rand::random::<u64>() % 250)).await;
            drop(running);
            let Some(vm) = world.api::<ProxmoxVM>().get_opt(&name).await.expect("get") else {
                break;
            };
            if ready(&vm) && vm.metadata.deletion_timestamp.is_none() {
                world
                    .api::<ProxmoxVM>()
                    .delete(&name, &Default::default())
                    .await
                    .expect("delete");
            }
            assert!(
                Instant::now() < deadline,
                "after {lives} lives: {}",
                serde_json::to_string_pretty(&vm).unwrap_or_default()
            );
        }
        let after = ["/clone", "/status/start", "/status/stop"].map(|p| world.fake.count("POST", p));
        let done: Vec<u64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        let gone = world.fake.py("sum(1 for r in pve.requests if r[0] == 'DELETE')");
        eprintln!("{lives} lives: {done:?}");
        assert_eq!(done, [1, 1, 1], "clones, starts, stops after {lives} lives");
        assert_eq!(gone.as_u64().zip(destroyed.as_u64()).map(|(a, b)| a - b), Some(1));
        assert!(world.fake.clones().is_empty());
    }
    let profile = world.api::<GpuProfile>().get("gpu").await.expect("profile");
    assert!(profile.status.unwrap_or_default().leases.is_empty());
}

async fn a_foreign_vm_under_the_planned_vmid_is_left_alone(world: World) {
    // The token may not see it, so lists leave it out and only the clone call finds out.
    world.fake.py(concat!(
        "from fakepve import shapes\n",
        "for path in ['/vms/100', '/vms/20001', '/vms/20002', '/nodes', '/storage', '/sdn']:\n",
        "    pve.grant('mosdat@pve!test', path, *shapes.PRIVILEGES)\n",
        "pve.grant('mosdat@pve!test', '/vms/20000', 'VM.Allocate', 'VM.Clone')\n",
    ));
    world.fake.py("pve.add_vm(20000, 'theirs', status='running')\nNone");
    let _running = world.controllers("a");
    for name in ["a", "b"] {
        world
            .create::<ProxmoxVM>(json!({"metadata": {"name": name}, "spec": world.vm_spec()}))
            .await;
    }
    let mut ids = vec![];
    for name in ["a", "b"] {
        let vm = world.until::<ProxmoxVM>(name, "ready", ready).await;
        ids.push(vm.status.and_then(|s| s.vmid).expect("vmid"));
    }
    ids.sort();
    assert!(ids[0] > 20000 && ids[1] > ids[0], "{ids:?}");
    for name in ["a", "b"] {
        world
            .api::<ProxmoxVM>()
            .delete(name, &Default::default())
            .await
            .expect("delete");
        world.gone::<ProxmoxVM>(name).await;
    }
    assert_eq!(world.fake.clones(), [20000]);
}

async fn what_cannot_work_says_why(world: World) {
    let _running = world.controllers("a");
    let mut spec = world.vm_spec();
    spec["source"]["clone"]["template"] = "desktpo".into();
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "typo"}, "spec": spec}))
        .await;
    let vm = world
        .until::<ProxmoxVM>("typo", "stalled", |vm| stalled(vm).is_some())
        .await;
    let why = stalled(&vm).expect("message");
    assert!(why.contains("desktpo") && why.contains("desktop (100)"), "{why}");
    world
        .api::<ProxmoxVM>()
        .delete("typo", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("typo").await;

    world.fake.py("pve.fail('POST', '/nodes/pve1/qemu/100/clone', 403, 'Permission check failed (/vms/20000, VM.Allocate)')\nNone");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "denied"}, "spec": world.vm_spec()}))
        .await;
    let vm = world
        .until::<ProxmoxVM>("denied", "stalled", |vm| stalled(vm).is_some())
        .await;
    let why = stalled(&vm).expect("message");
    assert!(why.contains("PermissionDenied") && why.contains("VM.Allocate"), "{why}");
    world
        .api::<ProxmoxVM>()
        .delete("denied", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("denied").await;
    assert!(world.fake.clones().is_empty());
}

/// Each write is carried out, its answer is not; none is made twice.
async fn a_cluster_that_is_not_there_is_told_once(world: World) {
    let _running = world.controllers("a");
    let mut spec = world.vm_spec();
    spec["clusterRef"] = json!({"name": "absent"});
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "early"}, "spec": spec}))
        .await;
    crate::gpu::event(&world, "ClusterUnavailable", "absent").await;
    // It looks every 3 s; it does not tell each time.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let api: kube::Api<k8s_openapi::api::events::v1::Event> = kube::Api::namespaced(world.client.clone(), &world.ns);
    let told = api.list(&Default::default()).await.expect("events").items;
    let told: Vec<_> = told
        .iter()
        .filter(|e| e.reason.as_deref() == Some("ClusterUnavailable"))
        .collect();
    assert!(told.len() == 1 && told[0].series.is_none(), "{told:?}");
}

async fn lost_answers_are_resolved_by_looking(world: World) {
    world.fake.py(concat!(
        "pve.lost = [('POST', '/qemu/100/clone'), ('PUT', '/qemu/20000/config'), ('POST', '/status/start'), ",
        "('POST', '/status/stop'), ('DELETE', '/qemu/20000')]\n",
    ));
    let _running = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": world.vm_spec()}))
        .await;
    world.until::<ProxmoxVM>("a", "ready", ready).await;
    world
        .api::<ProxmoxVM>()
        .delete("a", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("a").await;
    assert_eq!(world.fake.py("len(pve.lost)"), 0);
    for path in ["/clone", "/status/start", "/status/stop"] {
        assert_eq!(world.fake.count("POST", path), 1, "{path}");
    }
    assert_eq!(world.fake.count("PUT", "/config"), 1);
    assert_eq!(world.fake.count("DELETE", "/qemu/20000"), 1);
    assert!(world.fake.clones().is_empty());
}

async fn busy_locks_are_waited_for(world: World) {
    let lock = "can\\'t lock file \\'/var/lock/qemu-server/lock-20000.conf\\' - got timeout";
    world.fake.py(&format!(
        "pve.fail('POST', '/nodes/pve1/qemu/100/clone', 500, '{lock}', times=1)\npve.fail('POST', '/status/start', 500, '{lock}', times=2)\n"
    ));
    let _running = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": world.vm_spec()}))
        .await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    assert!(vm.status.and_then(|s| s.failures).is_none());
    assert_eq!(world.fake.clones().len(), 1);
    assert_eq!(world.fake.count("POST", "/status/start"), 3);
}

async fn a_vm_that_stops_is_started_again_and_one_that_vanishes_is_reported(world: World) {
    let first = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": world.vm_spec()}))
        .await;
    world.until::<ProxmoxVM>("a", "ready", ready).await;
    drop(first);
    world.fake.py(concat!(
        "vm = [v for v in pve.vms if v.vmid == 20000][0]\n",
        "vm.status = vm.qmpstatus = 'stopped'\n"
    ));
    let second = world.controllers("b");
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.fake.count("POST", "/status/start") < 2 {
        assert!(Instant::now() < deadline, "the VM was not started again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.until::<ProxmoxVM>("a", "ready again", ready).await;
    drop(second);
    world
        .fake
        .py("pve.vms.remove([v for v in pve.vms if v.vmid == 20000][0])");
    let _third = world.controllers("c");
    let vm = world
        .until::<ProxmoxVM>("a", "reported lost", |vm| stalled(vm).is_some())
        .await;
    let why = stalled(&vm).expect("message");
    assert!(why.contains("VmLost"), "{why}");
    world
        .api::<ProxmoxVM>()
        .delete("a", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("a").await;
    assert_eq!(world.fake.count("POST", "/clone"), 1);
}
