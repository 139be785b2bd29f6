//! What whoever has a VM asks of it: checkpoints and power, by way of `status.operation`; and a run that does.

use crate::rig::{Failed, Rig};
use crate::stories::{Ready, ready};
use kube::ResourceExt;
use kube::api::PostParams;
use mosdat::api::{FunctionalTestRun, Holder, ProxmoxVM, RunPhase, VmOperation, VmOperationState, VmPhase, VmRequest};
use serde_json::{Value, json};

/// A VM of somebody's that runs and has a snapshot of theirs, taken over.
async fn theirs(rig: &Rig) -> Result<Ready, Failed> {
    rig.py(concat!(
        "vm = pve.add_vm(150, 'theirs', status='running', config={'cores': 2, 'memory': '1024', 'agent': '1', ",
        "'vga': 'std', 'net0': 'virtio=BC:24:11:00:00:AA,bridge=vmbr0'})\n",
        "vm.snapshots['theirs'] = dict(vm.config, snaptime=1)\n",
    ))
    .await;
    let spec = json!({"clusterRef": {"name": "lab"}, "source": {"adopt": {"vmid": 150}}, "deletionPolicy": "Stop"});
    rig.create::<ProxmoxVM>("a", spec).await;
    ready(rig, "a").await
}

/// Snapshots and power of the VM, and which of its snapshots it stands on.
async fn look(rig: &Rig) -> Value {
    rig.py("[[sorted(v.snapshots), v.status, v.config.get('parent')] for v in pve.vms if v.vmid == 150][0]")
        .await
}

/// Writes to the status of the VM's object, from outside.
async fn change(rig: &Rig, f: impl Fn(&mut mosdat::api::ProxmoxVMStatus)) {
    let api = rig.api::<ProxmoxVM>();
    loop {
        let mut vm = api.get("a").await.expect("the VM");
        f(vm.status.get_or_insert_default());
        match api.replace_status("a", &PostParams::default(), &vm).await {
            Ok(_) => return,
            Err(kube::Error::Api(e)) if e.code == 409 => {}
            Err(e) => panic!("{e}"),
        }
    }
}

async fn hold(rig: &Rig) {
    change(rig, |s| {
        s.holder = Some(Holder {
            kind: "FunctionalTestRun".to_string(),
            name: "r".to_string(),
            uid: "r-1".to_string(),
        });
    })
    .await;
}

/// Asks for something and waits for its end; what the VM is like then.
async fn ask(rig: &Rig, id: u32, action: VmRequest, snapshot: Option<&str>) -> Result<Ready, Failed> {
    let id = id.to_string();
    let request = VmOperation {
        id: id.clone(),
        action,
        snapshot: snapshot.map(str::to_string),
        memory: false,
        seconds: (action == VmRequest::Shutdown).then_some(30),
        state: VmOperationState::Asked,
        message: None,
    };
    change(rig, |s| s.operation = Some(request.clone())).await;
    let what = format!("{action:?} {snapshot:?}");
    let operation = rig
        .until(&format!("{what} done"), || async {
            let vm = rig.api::<ProxmoxVM>().get("a").await.ok()?;
            let operation = vm.status?.operation?;
            (operation.id == id && !operation.unfinished()).then_some(operation)
        })
        .await?;
    if operation.state != VmOperationState::Done {
        return Err(format!("{what}: {operation:?}"));
    }
    Ok((json!(what), look(rig).await))
}

async fn let_go(rig: &Rig) {
    change(rig, |s| (s.holder, s.operation, s.held_off) = (None, None, false)).await;
}

/// Nobody has the VM any more: it runs, with the snapshots that were there before. It is given back.
async fn tidy(rig: &Rig) -> Result<Vec<Ready>, Failed> {
    rig.until("tidy", || async {
        let vm = rig.api::<ProxmoxVM>().get("a").await.ok()?;
        let s = vm.status.clone()?;
        let free = s.holder.is_none() && s.operation.is_none() && !s.held_off && s.checkpoints.is_empty();
        let still = s.intent.is_none() && s.phase == Some(VmPhase::Ready);
        (free && still && look(rig).await[0] == json!(["theirs"])).then_some(())
    })
    .await?;
    let seen = ready(rig, "a").await?;
    let tidy = look(rig).await;
    rig.delete("a").await;
    rig.until_gone("a").await?;
    let back = look(rig).await;
    rig.py("pve.remove_vm(150) if hasattr(pve, 'remove_vm') else pve.vms.remove([v for v in pve.vms if v.vmid == 150][0])\nNone")
        .await;
    Ok(vec![seen, (tidy, back)])
}

pub async fn checkpoints(rig: &Rig) -> Result<Vec<Ready>, Failed> {
    use VmRequest::{Rollback, Snapshot};
    let mut seen = vec![theirs(rig).await?];
    hold(rig).await;
    // The same name again: the later one counts. Back to one and at once to another: each is gone to.
    for (id, action, name) in [
        (1, Snapshot, "before"),
        (2, Snapshot, "before"),
        (3, Rollback, "before"),
        (4, Rollback, "theirs"),
    ] {
        seen.push(ask(rig, id, action, Some(name)).await?);
    }
    let_go(rig).await;
    seen.extend(tidy(rig).await?);
    Ok(seen)
}

pub async fn power(rig: &Rig) -> Result<Vec<Ready>, Failed> {
    use VmRequest::{Shutdown, Start, Stop};
    let mut seen = vec![theirs(rig).await?];
    hold(rig).await;
    for (id, action) in [(1, Shutdown), (2, Start), (3, Stop), (4, Start), (5, Stop)] {
        seen.push(ask(rig, id, action, None).await?);
    }
    let_go(rig).await;
    seen.extend(tidy(rig).await?);
    Ok(seen)
}

/// A run whose steps are `Asks`'s.
pub async fn ran(rig: &Rig) -> Result<Vec<Ready>, Failed> {
    let mut seen = vec![theirs(rig).await?];
    let spec = json!({
        "vm": {"ref": {"name": "a"}},
        "scenario": {"inline": {"name": "asks", "steps": [{"note": "scripted"}]}},
        "retries": {"infrastructure": 3},
    });
    rig.create::<FunctionalTestRun>("r", spec).await;
    let run = rig
        .until("the run done", || async {
            let run = rig.api::<FunctionalTestRun>().get("r").await.ok()?;
            let done = run.status.as_ref()?.phase == Some(RunPhase::Done) && run.finalizers().is_empty();
            done.then_some(run)
        })
        .await?;
    let status = run.status.unwrap_or_default();
    let interrupted = |a: &mosdat::api::RunAttempt| a.failure.reason == "Interrupted";
    if status.attempts.len() > 1 || !status.attempts.iter().all(interrupted) {
        return Err(format!("one death interrupts one attempt: {:?}", status.attempts));
    }
    seen.push((json!(status.result), json!(status.failure.map(|f| f.message))));
    let delete = rig.api::<FunctionalTestRun>().delete("r", &Default::default()).await;
    delete.map_err(|e| e.to_string())?;
    seen.extend(tidy(rig).await?);
    Ok(seen)
}
