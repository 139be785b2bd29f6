//! An object is deleted and made again under its name while the controllers' watch still shows the old one.

use crate::fake::Fake;
use crate::gate::Gate;
use crate::invariants;
use crate::rig::{Incarnation, Rig, uid, vm_spec};
use kube::api::{Patch, PatchParams};
use mosdat::api::ProxmoxVM;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

async fn rig() -> Rig {
    let fake = tokio::task::spawn_blocking(|| Arc::new(Fake::start()))
        .await
        .expect("fake");
    Rig::new(fake).await
}

/// Controllers that see VMs as they are now, until they are told otherwise.
async fn frozen(rig: &Rig) -> impl FnOnce(&Rig) -> Incarnation + use<> {
    let list = http::Request::get("/apis/mosdat.dev/v1alpha1/namespaces/default/proxmoxvms");
    let list = rig
        .client
        .request_text(list.body(vec![]).expect("request"))
        .await
        .expect("list");
    move |rig| {
        let gate = Gate::open();
        gate.stale_lists
            .lock()
            .expect("lock")
            .insert("proxmoxvms".to_string(), list.into_bytes());
        gate.watches_held.send_replace(true);
        rig.start(gate)
    }
}

fn thaw(running: &Incarnation) {
    running.gate.stale_lists.lock().expect("lock").clear();
    running.gate.watches_held.send_replace(false);
}

/// VMIDs that carry a UID.
async fn made_for(rig: &Rig, uid: &str) -> Vec<u32> {
    let code =
        format!("[v.vmid for v in pve.vms if '{uid}' in str(v.config.get('description')) + str(v.config.get('tags'))]");
    serde_json::from_value(rig.py(&code).await).expect("list")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_one_gets_a_vm_of_its_own() {
    let rig = rig().await;
    let running = rig.start(Gate::open());
    rig.create::<ProxmoxVM>("a", vm_spec()).await;
    let old = rig.until_ready("a").await.expect("ready");
    let start = frozen(&rig).await;
    rig.delete("a").await;
    rig.until_gone("a").await.expect("gone");
    drop(running);
    rig.create::<ProxmoxVM>("a", vm_spec()).await;
    let running = start(&rig);
    let new = tokio::select! {
        new = rig.until_ready("a") => new.expect("ready"),
        broken = invariants::watch(&rig, Default::default()) => panic!("{broken}"),
    };
    assert_ne!(uid(&old), uid(&new));
    assert_eq!(made_for(&rig, &uid(&old)).await, [0; 0]);
    assert_eq!(made_for(&rig, &uid(&new)).await.len(), 1);
    assert_eq!(
        rig.py("sum(1 for r in pve.requests if r[1].endswith('/clone'))").await,
        2
    );
    thaw(&running);
    rig.delete("a").await;
    rig.until_gone("a").await.expect("gone");
    assert_eq!(rig.py("[v.vmid for v in pve.vms if not v.template]").await, json!([]));
}

/// The old object's finalizer was torn off: its VM is still there, and nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn the_old_ones_vm_is_never_adopted() {
    let rig = rig().await;
    let running = rig.start(Gate::open());
    rig.create::<ProxmoxVM>("a", vm_spec()).await;
    let old = rig.until_ready("a").await.expect("ready");
    let start = frozen(&rig).await;
    drop(running);
    rig.delete("a").await;
    let torn = json!({"metadata": {"finalizers": null}});
    let api = rig.api::<ProxmoxVM>();
    api.patch("a", &PatchParams::default(), &Patch::Merge(&torn))
        .await
        .expect("patch");
    rig.until_gone("a").await.expect("gone");
    rig.create::<ProxmoxVM>("a", vm_spec()).await;
    let left = "[[v.vmid, v.status, v.config] for v in pve.vms if v.vmid == 20000]";
    let before = rig.py(left).await;
    rig.py("pve.requests.clear()").await;
    let running = start(&rig);
    let new = rig.until_ready("a").await.expect("ready");
    invariants::check(&rig, &BTreeSet::from([20000]))
        .await
        .expect("invariants");
    let own = new.status.as_ref().and_then(|s| s.vmid).expect("vmid");
    assert_ne!(own, 20000);
    assert_eq!(made_for(&rig, &uid(&new)).await, [own]);
    thaw(&running);
    rig.delete("a").await;
    rig.until_gone("a").await.expect("gone");
    assert_eq!(made_for(&rig, &uid(&old)).await, [20000]);
    assert_eq!(rig.py(left).await, before);
    let touched = "sum(1 for r in pve.requests if r[0] != 'GET' and '/20000/' in r[1])";
    assert_eq!(rig.py(touched).await, 0);
}

/// A predecessor that should be dead still acts on what it saw long ago.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_predecessor_doubles_nothing() {
    let rig = rig().await;
    let first = rig.start(Gate::open());
    rig.create::<ProxmoxVM>("a", vm_spec()).await;
    rig.until_ready("a").await.expect("ready");
    let start = frozen(&rig).await;
    let second = start(&rig);
    let life = async {
        for _ in 0..3 {
            rig.delete("a").await;
            rig.until_gone("a").await?;
            rig.create::<ProxmoxVM>("a", vm_spec()).await;
            let new = rig.until_ready("a").await?;
            assert_eq!(made_for(&rig, &uid(&new)).await.len(), 1);
        }
        thaw(&second);
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.delete("a").await;
        rig.until_gone("a").await
    };
    tokio::select! {
        done = life => done.expect("life"),
        broken = invariants::watch(&rig, Default::default()) => panic!("{broken}"),
    }
    drop(first);
    assert_eq!(rig.py("[v.vmid for v in pve.vms if not v.template]").await, json!([]));
}
