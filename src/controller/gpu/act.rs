//! Writes leases, with a resourceVersion check and a fresh look after each conflict.

use super::super::{Context, Error};
use super::decide::{self, Grant};
use super::devices::Facts;
use super::observe;
use super::queue::Asker;
use crate::api::{FINALIZER, GpuProfile, ProxmoxVM};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde_json::json;

/// Tries of one change; each conflict means that somebody else got through.
const TRIES: usize = 8;

/// Changes a profile's status, beginning with what was just read. What `f` returns is that of the try that was
/// written.
pub async fn change<T>(
    ctx: &Context,
    read: GpuProfile,
    what: &str,
    f: impl Fn(&mut GpuProfile) -> T,
) -> Result<(GpuProfile, T), Error> {
    let (ns, name) = (read.namespace().unwrap_or_default(), read.name_any());
    let api = ctx.api::<GpuProfile>(&ns);
    let context = || format!("{what} GpuProfile {ns}/{name}");
    let mut object = read;
    let mut tries = 0;
    loop {
        let before = object.status.clone();
        let out = f(&mut object);
        if object.status == before {
            return Ok((object, out));
        }
        tries += 1;
        match api
            .replace_status(&name, &PostParams::default(), &object)
            .await
            .map_err(Error::kube(context()))
        {
            Ok(written) => return Ok((written, out)),
            Err(e) if e.is_conflict() && tries < TRIES => {
                object = api.get(&name).await.map_err(Error::kube(context()))?;
            }
            Err(e) => return Err(e),
        }
    }
}

/// The device of a VM: the one that it has, a new one if it is its turn, or its place in the queue.
pub async fn acquire(ctx: &Context, ns: &str, profile: &str, vm: &ProxmoxVM) -> Result<Grant, Error> {
    let asker = observe::asker(vm);
    let others: Vec<Asker> = ctx
        .known_vms()
        .iter()
        .filter(|o| o.namespace().as_deref() == Some(ns) && o.metadata.uid != vm.metadata.uid)
        .filter(|o| observe::wants(o, profile))
        .map(|o| observe::asker(o))
        .collect();
    let Some(mut object) = ctx
        .api::<GpuProfile>(ns)
        .get_opt(profile)
        .await
        .map_err(Error::kube(format!("reading GpuProfile {ns}/{profile}")))?
    else {
        return Ok(Grant::Waiting(format!("GpuProfile {ns}/{profile} does not exist")));
    };
    let had = holds(&object, &asker);
    let facts = observe::facts(ctx, &object).await;
    // A profile that went away with a lease in it would be made anew without: it stays until all are returned.
    if object.metadata.deletion_timestamp.is_none() && !object.finalizers().iter().any(|f| f == FINALIZER) {
        object = set_finalizer(ctx, object, true).await?;
    }
    let (object, grant) = change(ctx, object, "taking a lease of", |p| {
        decide::lend(p, &asker, &others, &facts, Timestamp::now())
    })
    .await?;
    if let Grant::Held(device) = &grant
        && !had
    {
        let note = format!("{} to ProxmoxVM {}", device.name, asker.holder.name);
        event(ctx, &object, false, "Leased", &note).await;
    }
    Ok(grant)
}

fn holds(profile: &GpuProfile, asker: &Asker) -> bool {
    let mut leases = profile.status.iter().flat_map(|s| &s.leases);
    leases.any(|l| l.holder.uid == asker.holder.uid)
}

/// Gives a VM's lease and its place in the queue back. Nothing to give back is fine.
pub async fn release(ctx: &Context, ns: &str, profile: &str, uid: &str) -> Result<(), Error> {
    let done = give_up(ctx, ns, profile, "returning a lease of", |p, facts| {
        decide::give_back(p, uid, facts, Timestamp::now())
    });
    if let Some((object, device)) = done.await? {
        event(ctx, &object, false, "Released", &device).await;
    }
    Ok(())
}

/// Proxmox did not start a VM for want of its device: somebody else has it. The VM asks anew.
pub async fn refused(ctx: &Context, vm: &ProxmoxVM, text: &str) -> Result<(), Error> {
    let Some(profile) = &vm.spec.gpu_profile_ref else {
        return Ok(());
    };
    let (ns, uid) = (
        vm.namespace().unwrap_or_default(),
        vm.metadata.uid.clone().unwrap_or_default(),
    );
    let holder = holder_in(text);
    let done = give_up(ctx, &ns, &profile.name, "noting a device in use of", |p, facts| {
        decide::elsewhere(p, &uid, holder, text, facts, Timestamp::now())
    });
    if let Some((object, device)) = done.await? {
        event(ctx, &object, true, "InUseElsewhere", &format!("{device}: {text}")).await;
    }
    Ok(())
}

async fn give_up(
    ctx: &Context,
    ns: &str,
    profile: &str,
    what: &str,
    f: impl Fn(&mut GpuProfile, &Facts) -> Option<String>,
) -> Result<Option<(GpuProfile, String)>, Error> {
    let object = ctx.api::<GpuProfile>(ns).get_opt(profile).await;
    let Some(object) = object.map_err(Error::kube(format!("{what} GpuProfile {ns}/{profile}")))? else {
        return Ok(None);
    };
    if object.status.is_none() {
        return Ok(None);
    }
    let facts = observe::facts(ctx, &object).await;
    let (object, device) = change(ctx, object, what, |p| f(p, &facts)).await?;
    Ok(device.map(|d| (object, d)))
}

/// VMID in `... already in use by VMID '102'`.
fn holder_in(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("already in use by VMID '")?;
    rest.split_once('\'')?.0.parse().ok()
}

/// Adds or drops our finalizer.
pub async fn set_finalizer(ctx: &Context, profile: GpuProfile, on: bool) -> Result<GpuProfile, Error> {
    let mut list = profile.finalizers().to_vec();
    list.retain(|f| f != FINALIZER);
    if on {
        list.push(FINALIZER.to_string());
    }
    let patch = json!({"metadata": {"finalizers": list, "resourceVersion": profile.metadata.resource_version}});
    metadata(ctx, &profile, patch).await
}

/// Drops the annotation that ended a quarantine: it is a command, not a state.
pub async fn end_release(ctx: &Context, profile: &GpuProfile) -> Result<(), Error> {
    let patch = json!({"metadata": {"annotations": {super::RELEASE_QUARANTINE: null}}});
    metadata(ctx, profile, patch).await.map(drop)
}

async fn metadata(ctx: &Context, profile: &GpuProfile, patch: serde_json::Value) -> Result<GpuProfile, Error> {
    let (ns, name) = (profile.namespace().unwrap_or_default(), profile.name_any());
    ctx.api::<GpuProfile>(&ns)
        .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map_err(Error::kube(format!("metadata of GpuProfile {ns}/{name}")))
}

pub async fn event(ctx: &Context, profile: &GpuProfile, warning: bool, reason: &str, note: &str) {
    ctx.event(&profile.object_ref(&()), warning, reason, note).await;
}

#[cfg(test)]
mod tests {
    use super::holder_in;

    #[test]
    fn holder_is_read_from_proxmox_text() {
        let text = "qmstart task failed: PCI device '0000:01:00.0' already in use by VMID '102'";
        assert_eq!(holder_in(text), Some(102));
        assert_eq!(holder_in("could not find a free device for 'hostpci0'"), None);
    }
}
