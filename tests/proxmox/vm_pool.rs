//! Rights that come through a pool: a VM that is gone is one that may not be looked at.

use crate::world::{World, ready};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use mosdat::api::{ProxmoxCluster, ProxmoxVM};
use mosdat::proxmox::ErrorKind;
use serde_json::json;

on_both!(
    a_life_with_rights_on_a_pool_only,
    a_clone_that_was_refused_is_made_again
);

/// What docs/proxmox-setup.md grants where the VMs are in a pool.
fn grant(world: &World) {
    let vm = "'VM.Allocate', 'VM.Audit', 'VM.Clone', 'VM.Config.CPU', 'VM.Config.Memory', 'VM.Config.HWType', \
              'VM.Config.Options', 'VM.Config.Disk', 'VM.Config.Network', 'VM.PowerMgmt', 'VM.Console', \
              'VM.Snapshot.Rollback', 'VM.GuestAgent.Audit', 'VM.GuestAgent.Unrestricted', 'VM.GuestAgent.FileRead', \
              'VM.GuestAgent.FileWrite', 'VM.Monitor', 'Pool.Allocate', 'Pool.Audit', 'Datastore.AllocateSpace', \
              'Datastore.Audit', 'Mapping.Use', 'SDN.Use', 'Sys.Audit'";
    let paths = "['/pool/mosdat', '/vms/100', '/storage', '/nodes', '/sdn', '/mapping/pci']";
    let acl = format!("[(p, {{{vm}}}) for p in {paths}]");
    world.fake.py(&format!(
        "setattr(pve, 'acl', {{'mosdat@pve!test': {acl}, 'mosdat@pve': {acl}}})"
    ));
}

async fn pooled(world: &World) {
    world
        .fake
        .py("pve.pools.setdefault('mosdat', set())\npve._pool_meta('mosdat')\nsetattr(pve, 'hidden', True)\nNone");
    grant(world);
    let patch = json!({"spec": {"defaults": {"pool": "mosdat"}}});
    world
        .api::<ProxmoxCluster>()
        .patch("lab", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .expect("the pool is set");
    let e = world
        .fake
        .client()
        .vm_config("pve1", 20000)
        .await
        .expect_err("nobody has it");
    assert_eq!(e.kind, ErrorKind::Permission, "the fake refuses as Proxmox does: {e}");
}

async fn a_life_with_rights_on_a_pool_only(world: World) {
    pooled(&world).await;
    let _running = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": world.vm_spec()}))
        .await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    let vmid = vm.status.as_ref().and_then(|s| s.vmid).expect("vmid");
    world
        .api::<ProxmoxVM>()
        .delete(&vm.name_any(), &Default::default())
        .await
        .expect("deleted");
    world.gone::<ProxmoxVM>("a").await;
    let left = world.fake.py(&format!("len([v for v in pve.vms if v.vmid == {vmid}])"));
    assert_eq!(left, 0);
}

async fn a_clone_that_was_refused_is_made_again(world: World) {
    pooled(&world).await;
    // The POST is refused once, after the intent has been written: nothing has been made.
    world
        .fake
        .py("pve.fail('POST', '/nodes/pve1/qemu/100/clone', 500, 'clone failed: out of luck', times=1)\nNone");
    let _running = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": world.vm_spec()}))
        .await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    assert_eq!(vm.status.and_then(|s| s.vmid), Some(20000));
}
