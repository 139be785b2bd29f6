//! VMs that exist: taken over, rolled back, given back.

use crate::world::{World, ready, stalled};
use mosdat::api::ProxmoxVM;
use serde_json::{Value, json};

on_both!(
    an_adopted_vm_is_rolled_back_once_and_given_back,
    two_objects_take_turns,
    what_cannot_be_adopted_says_why,
);

fn spec(adopt: Value) -> Value {
    json!({
        "clusterRef": {"name": "lab"}, "source": {"adopt": adopt}, "deletionPolicy": "Stop",
        "hardware": {"cores": 3, "bridge": "vmbr1"},
    })
}

/// A VM of somebody's, with a snapshot `clean`.
fn theirs(world: &World) {
    world.fake.py(concat!(
        "vm = pve.add_vm(150, 'theirs', status='running', config={'cores': 2, 'memory': '1024', 'agent': '1', ",
        "'vga': 'std', 'tags': 'prod', 'description': 'my words', 'net0': 'virtio=BC:24:11:00:00:AA,bridge=vmbr0'})\n",
        "vm.snapshots['clean'] = dict(vm.config, snaptime=1)\n",
    ));
}

fn their_config(world: &World) -> Value {
    world.fake.py("[v for v in pve.vms if v.vmid == 150][0].config")
}

async fn delete(world: &World, name: &str) {
    world
        .api::<ProxmoxVM>()
        .delete(name, &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>(name).await;
}

async fn an_adopted_vm_is_rolled_back_once_and_given_back(world: World) {
    theirs(&world);
    let before = their_config(&world);
    world.fake.py(
        "pve.lost = [('PUT', '/qemu/150/config'), ('POST', '/rollback'), ('POST', '/status/start'), ('POST', '/status/shutdown')]\n",
    );
    let running = world.controllers("a");
    let spec = spec(json!({"vmid": 150, "snapshot": "clean"}));
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": spec}))
        .await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    let status = vm.status.expect("status");
    assert_eq!(
        (status.vmid, status.rolled_back_to.as_deref()),
        (Some(150), Some("clean"))
    );
    let config = their_config(&world);
    assert_eq!(config["net0"], "virtio=BC:24:11:00:00:AA,bridge=vmbr1");
    assert_eq!(config["cores"].to_string().trim_matches('"'), "3");
    let uid = vm.metadata.uid.expect("uid");
    let tags = config["tags"].as_str().expect("tags").to_string();
    assert!(
        tags.contains("prod") && tags.contains(&format!("mosdat-uid-{uid}")),
        "{tags}"
    );
    drop(running);
    // Another life of the controller does not roll back again.
    let _running = world.controllers("b");
    world.until::<ProxmoxVM>("a", "ready", ready).await;
    assert_eq!(world.fake.count("POST", "/rollback"), 1);
    assert_eq!(world.fake.count("POST", "/status/start"), 1);
    delete(&world, "a").await;
    assert_eq!(world.fake.py("len(pve.lost)"), 0);
    let mut after = their_config(&world);
    after.as_object_mut().expect("object").remove("parent");
    assert_eq!(after["cores"].to_string().trim_matches('"'), "2");
    after["cores"] = before["cores"].clone();
    // Whose line is whose: a VM is given back as it was.
    assert_eq!(after, before);
    assert_eq!(
        world.fake.py("[v for v in pve.vms if v.vmid == 150][0].status"),
        "stopped"
    );
    assert_eq!(world.fake.py("sum(1 for r in pve.requests if r[0] == 'DELETE')"), 0);
    assert_eq!(world.fake.count("POST", "/clone"), 0);
}

async fn two_objects_take_turns(world: World) {
    theirs(&world);
    let _running = world.controllers("a");
    for name in ["a", "b"] {
        world
            .create::<ProxmoxVM>(json!({"metadata": {"name": name}, "spec": spec(json!({"vmid": 150}))}))
            .await;
        if name == "a" {
            world.until::<ProxmoxVM>("a", "ready", ready).await;
        }
    }
    world
        .until::<ProxmoxVM>("b", "waiting for the VM", |vm| {
            let s = vm.status.clone().unwrap_or_default();
            s.conditions.iter().any(|c| c.reason == "WaitingForVm")
        })
        .await;
    delete(&world, "a").await;
    world.until::<ProxmoxVM>("b", "ready", ready).await;
    delete(&world, "b").await;
    assert_eq!(their_config(&world)["tags"], "prod");
}

async fn what_cannot_be_adopted_says_why(world: World) {
    theirs(&world);
    let _running = world.controllers("a");
    let refused = serde_json::from_value::<ProxmoxVM>(json!({
        "apiVersion": "mosdat.dev/v1alpha1", "kind": "ProxmoxVM", "metadata": {"name": "x"},
        "spec": {"clusterRef": {"name": "lab"}, "source": {"adopt": {"vmid": 150}}},
    }))
    .expect("object");
    let e = world.api::<ProxmoxVM>().create(&Default::default(), &refused).await;
    let e = e.expect_err("deletionPolicy Delete").to_string();
    assert!(e.contains("never destroyed"), "{e}");
    for (name, adopt, word) in [
        ("none", json!({"vmid": 151}), "no VM 151"),
        ("template", json!({"vmid": 100}), "is a template"),
        ("snapshot", json!({"vmid": 150, "snapshot": "cleen"}), "it has clean"),
    ] {
        world
            .create::<ProxmoxVM>(json!({"metadata": {"name": name}, "spec": spec(adopt)}))
            .await;
        let vm = world
            .until::<ProxmoxVM>(name, "stalled", |vm| stalled(vm).is_some())
            .await;
        let why = stalled(&vm).expect("message");
        assert!(why.contains(word), "{why}");
        delete(&world, name).await;
    }
    world.fake.py("setattr([v for v in pve.vms if v.vmid == 150][0], 'config', dict([v for v in pve.vms if v.vmid == 150][0].config, tags='mosdat-uid-elsewhere'))");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "foreign"}, "spec": spec(json!({"vmid": 150}))}))
        .await;
    let vm = world
        .until::<ProxmoxVM>("foreign", "stalled", |vm| stalled(vm).is_some())
        .await;
    assert!(stalled(&vm).expect("message").contains("NotOurs"));
    delete(&world, "foreign").await;
    assert_eq!(their_config(&world)["tags"], "mosdat-uid-elsewhere");
}
