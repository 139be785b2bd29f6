//! What is lived again and again: each a course of events from outside, and what has to come of it.

use crate::asked;
use crate::rig::{Failed, Rig, uid, vm_spec};
use kube::api::{Patch, PatchParams};
use mosdat::api::{GpuProfile, ProxmoxCluster, ProxmoxVM};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A course of events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Story {
    /// A VM is cloned, gets its device, becomes ready and is deleted.
    Made,
    /// Somebody's VM is taken over, rolled back, becomes ready and is given back.
    Adopted,
    /// Two VMs want the one device; the second gets it after the first.
    Queued,
    /// A VM that mosdat made and nobody owns is removed.
    Orphaned,
    /// Whoever has a VM asks for checkpoints, goes back to them, and lets go.
    Checkpoints,
    /// Whoever has a VM asks for power.
    Power,
    /// A run on somebody's VM asks for checkpoints and power while it is carried out; killed, it is taken up again.
    Ran,
}

/// What is kept of an object that became ready, and of its VM.
pub type Ready = (Value, Value);

impl Story {
    /// VMs that may be without an owner meanwhile.
    pub fn orphans(self) -> BTreeSet<u32> {
        match self {
            Story::Orphaned => [20_000].into(),
            _ => BTreeSet::new(),
        }
    }

    /// Goes through it; what became ready on the way.
    pub async fn live(self, rig: &Rig) -> Result<Vec<Ready>, Failed> {
        let seen = match self {
            Story::Made => made(rig).await?,
            Story::Adopted => adopted(rig).await?,
            Story::Queued => queued(rig).await?,
            Story::Orphaned => orphaned(rig).await?,
            Story::Checkpoints => asked::checkpoints(rig).await?,
            Story::Power => asked::power(rig).await?,
            Story::Ran => asked::ran(rig).await?,
        };
        rig.until("the cluster is looked at", || async {
            let c = rig.api::<ProxmoxCluster>().get("lab").await.ok()?;
            c.status.and_then(|s| s.version).map(|_| ())
        })
        .await?;
        Ok(seen)
    }
}

fn with_gpu() -> Value {
    let mut spec = vm_spec();
    spec["gpuProfileRef"] = json!({"name": "gpu"});
    spec["hardware"] = json!({"cores": 3});
    spec
}

async fn made(rig: &Rig) -> Result<Vec<Ready>, Failed> {
    rig.gpu().await;
    rig.create::<ProxmoxVM>("a", with_gpu()).await;
    let seen = ready(rig, "a").await?;
    rig.delete("a").await;
    rig.until_gone("a").await?;
    no_leases(rig).await?;
    Ok(vec![seen])
}

async fn adopted(rig: &Rig) -> Result<Vec<Ready>, Failed> {
    rig.py(concat!(
        "vm = pve.add_vm(150, 'theirs', status='running', config={'cores': 2, 'memory': '1024', 'agent': '1', ",
        "'vga': 'std', 'tags': 'prod', 'description': 'my words', 'net0': 'virtio=BC:24:11:00:00:AA,bridge=vmbr0'})\n",
        "vm.snapshots['clean'] = dict(vm.config, snaptime=1)\n",
    ))
    .await;
    let spec = json!({
        "clusterRef": {"name": "lab"}, "source": {"adopt": {"vmid": 150, "snapshot": "clean"}},
        "deletionPolicy": "Stop", "hardware": {"cores": 3},
    });
    rig.create::<ProxmoxVM>("a", spec).await;
    let seen = ready(rig, "a").await?;
    rig.delete("a").await;
    rig.until_gone("a").await?;
    // What it was given back as counts too.
    let given = rig
        .py("[dict(v.config, status=v.status) for v in pve.vms if v.vmid == 150][0]")
        .await;
    rig.py("pve.remove_vm(150) if hasattr(pve, 'remove_vm') else pve.vms.remove([v for v in pve.vms if v.vmid == 150][0])\nNone")
        .await;
    Ok(vec![
        seen,
        (masked(given, &["digest", "meta", "parent"], ""), Value::Null),
    ])
}

async fn queued(rig: &Rig) -> Result<Vec<Ready>, Failed> {
    rig.gpu().await;
    rig.create::<ProxmoxVM>("a", with_gpu()).await;
    let first = ready(rig, "a").await?;
    rig.create::<ProxmoxVM>("b", with_gpu()).await;
    rig.until("b waits", || async {
        let p = rig.api::<GpuProfile>().get("gpu").await.ok()?;
        (p.status?.queue.len() == 1).then_some(())
    })
    .await?;
    rig.delete("a").await;
    rig.until_gone("a").await?;
    let second = ready(rig, "b").await?;
    rig.delete("b").await;
    rig.until_gone("b").await?;
    no_leases(rig).await?;
    Ok(vec![first, second])
}

async fn orphaned(rig: &Rig) -> Result<Vec<Ready>, Failed> {
    let api = rig.api::<ProxmoxCluster>();
    let cluster = api.get("lab").await.map_err(|e| e.to_string())?;
    let id = cluster.metadata.uid.unwrap_or_default();
    let dead = "00000000-0000-4000-8000-00000000dead";
    rig.py(&format!(
        "pve.add_vm(20000, 'left', status='running', config={{'cores': 2, 'tags': 'mosdat;mosdat-uid-{dead}', 'description': \
         'Made by mosdat for ProxmoxVM default/left.\\nmosdat-uid: {dead}\\nmosdat-cluster: {id}/20000\\n'}})\nNone"
    ))
    .await;
    // It has been known for long.
    let known = json!({"status": {"orphans": [{
        "vmid": 20000, "node": "pve1", "ownerUid": dead, "since": "2020-01-01T00:00:00Z",
    }]}});
    api.patch_status("lab", &PatchParams::default(), &Patch::Merge(&known))
        .await
        .map_err(|e| e.to_string())?;
    let policy = json!({"spec": {"orphanPolicy": "Delete"}});
    api.patch("lab", &PatchParams::default(), &Patch::Merge(&policy))
        .await
        .map_err(|e| e.to_string())?;
    rig.until("the orphan is gone", || async {
        (rig.py("len([v for v in pve.vms if v.vmid == 20000])").await == 0).then_some(())
    })
    .await?;
    Ok(vec![])
}

/// Waits for an object to be ready; its VM's configuration and its status, without what is another in each life.
pub async fn ready(rig: &Rig, name: &str) -> Result<Ready, Failed> {
    let vm = rig.until_ready(name).await?;
    let id = uid(&vm);
    let vmid = vm.status.as_ref().and_then(|s| s.vmid).unwrap_or_default();
    let config = rig
        .py(&format!("[v.config for v in pve.vms if v.vmid == {vmid}][0]"))
        .await;
    // Which one it is may depend on what a controller remembers of the VMs before.
    let number = |v: Value| -> Value {
        let text = v.to_string().replace(&vmid.to_string(), "0");
        serde_json::from_str(&text).expect("json")
    };
    let config = number(masked(config, &["net0", "smbios1", "vmgenid", "digest", "meta"], &id));
    let mut status = serde_json::to_value(&vm.status).unwrap_or_default();
    for c in status["conditions"].as_array_mut().into_iter().flatten() {
        c["lastTransitionTime"] = Value::Null;
    }
    Ok((config, number(masked(status, &["readyAt", "ip"], &id))))
}

/// The lease goes with the last write but one; whoever was killed there is not needed for it.
async fn no_leases(rig: &Rig) -> Result<(), Failed> {
    rig.until("no leases", || async {
        let p = rig.api::<GpuProfile>().get("gpu").await.ok()?;
        p.status.unwrap_or_default().leases.is_empty().then_some(())
    })
    .await
}

fn masked(mut v: Value, keys: &[&str], id: &str) -> Value {
    for k in keys {
        if let Some(o) = v.as_object_mut() {
            o.remove(*k);
        }
    }
    let mut text = v.to_string();
    if !id.is_empty() {
        text = text.replace(id, "UID");
    }
    // The cluster's, which is another in each life.
    let uuid = regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").expect("pattern");
    serde_json::from_str(&uuid.replace_all(&text, "UUID")).expect("json")
}
