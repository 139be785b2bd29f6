//! Clones whose answer never came and whose VM turns up late, or in another place than the one that was asked for.

use crate::world::{World, ready};
use kube::api::{Patch, PatchParams};
use mosdat::api::{ProxmoxCluster, ProxmoxVM};
use serde_json::json;
use std::time::{Duration, Instant};

on_both!(
    one_that_is_listed_and_not_yet_there_is_waited_for,
    one_that_comes_after_the_object_was_deleted_is_removed,
    one_that_was_cut_off_on_the_templates_node_is_seen,
    the_vmid_of_a_container_is_taken,
);

async fn asked(world: &World) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.fake.count("POST", "/clone") == 0 {
        assert!(Instant::now() < deadline, "no clone was asked for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn the_vmid_of_a_container_is_taken(world: World) {
    world.fake.py("pve.add_ct(20000, 'a-container')\nNone");
    let _running = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": world.vm_spec()}))
        .await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    assert_eq!(vm.status.and_then(|s| s.vmid), Some(20001));
    assert_eq!(world.fake.count("POST", "/clone"), 1);
}

async fn one_that_is_listed_and_not_yet_there_is_waited_for(world: World) {
    world.fake.py(concat!(
        "pve.lost = [('POST', '/qemu/100/clone')]\n",
        "pve.fail('GET', '/qemu/20000/config', 500, \"Configuration file 'nodes/pve1/qemu-server/20000.conf' does not exist\", times=6)\n",
    ));
    let _running = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": world.vm_spec()}))
        .await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    assert_eq!(vm.status.and_then(|s| s.vmid), Some(20000));
    assert_eq!(world.fake.clones(), [20000]);
    assert_eq!(world.fake.count("POST", "/clone"), 1);
}

async fn one_that_comes_after_the_object_was_deleted_is_removed(world: World) {
    let limits = json!({"spec": {"limits": {"requestTimeoutSeconds": 1}}});
    world
        .api::<ProxmoxCluster>()
        .patch("lab", &PatchParams::default(), &Patch::Merge(limits))
        .await
        .expect("patch");
    // Later than 10 s, which once was thought to be enough.
    world.fake.py("pve.slow = [('POST', '/qemu/100/clone', 12)]\n");
    let running = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": world.vm_spec()}))
        .await;
    asked(&world).await;
    drop(running);
    world
        .api::<ProxmoxVM>()
        .delete("a", &Default::default())
        .await
        .expect("delete");
    let _running = world.controllers("b");
    world.gone::<ProxmoxVM>("a").await;
    assert_eq!(world.fake.count("DELETE", "/qemu/20000"), 1, "it was waited for");
    assert!(world.fake.clones().is_empty());
}

async fn one_that_was_cut_off_on_the_templates_node_is_seen(world: World) {
    world
        .fake
        .py("pve.nodes['pve2'] = {'online': True}\npve.slow = [('POST', '/qemu/100/clone', 600)]\n");
    let mut spec = world.vm_spec();
    spec["source"]["clone"]["node"] = "pve2".into();
    let running = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": spec}))
        .await;
    asked(&world).await;
    drop(running);
    world
        .fake
        .py("pve.add_vm(20000, 'half', node='pve1', config={'lock': 'clone'})\nNone");
    world
        .api::<ProxmoxVM>()
        .delete("a", &Default::default())
        .await
        .expect("delete");
    let _running = world.controllers("b");
    let vm = world
        .until::<ProxmoxVM>("a", "on the template's node", |vm| {
            vm.status.as_ref().and_then(|s| s.node.as_deref()) == Some("pve1")
        })
        .await;
    assert!(vm.metadata.deletion_timestamp.is_some());
    // Somebody finishes off what was left.
    world
        .fake
        .py("pve.vms.remove([v for v in pve.vms if v.vmid == 20000][0])");
    let give_up = json!({"metadata": {"annotations": {"mosdat.dev/force-delete": "true"}}});
    world
        .api::<ProxmoxVM>()
        .patch("a", &PatchParams::default(), &Patch::Merge(give_up))
        .await
        .expect("patch");
    world.gone::<ProxmoxVM>("a").await;
}
