//! `GpuProfile`: devices lent to one VM each. A lease is a line in status, written with a resourceVersion check.

use super::conditions::Verdict;
use super::{Context, Error, backoff};
use crate::api::{GpuLease, GpuProfile, GpuProfileSpec, Holder, ProxmoxVM};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::PostParams;
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::time::Duration;

/// A device lent to a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name within the profile.
    pub name: String,
    /// Value of `hostpci0`.
    pub hostpci: String,
}

fn device(spec: &GpuProfileSpec, name: &str) -> Option<Device> {
    let d = spec.devices.iter().find(|d| d.name == name)?;
    let pcie = if spec.pcie { ",pcie=1" } else { "" };
    Some(Device {
        name: d.name.clone(),
        hostpci: format!("mapping={}{pcie}", d.mapping),
    })
}

/// The first device that nobody holds.
fn free<'a>(spec: &'a GpuProfileSpec, leases: &[GpuLease]) -> Option<&'a str> {
    spec.devices
        .iter()
        .map(|d| d.name.as_str())
        .find(|name| leases.iter().all(|l| l.device != *name))
}

fn count(profile: &mut GpuProfile) {
    let capacity = profile.spec.devices.len() as u32;
    let generation = profile.metadata.generation;
    let spec = profile.spec.clone();
    let status = profile.status.get_or_insert_default();
    let used = spec
        .devices
        .iter()
        .filter(|d| status.leases.iter().any(|l| l.device == d.name));
    status.capacity = capacity;
    status.free = capacity - used.count() as u32;
    status.observed_generation = generation;
    Verdict::ready("Counted", format!("{} of {capacity} device(s) free", status.free)).apply(
        &mut status.conditions,
        Timestamp::now(),
        generation,
    );
}

/// The lease of a VM: an existing one, else a new one, else `None` when every device is lent.
pub async fn acquire(ctx: &Context, ns: &str, profile: &str, vm: &ProxmoxVM) -> Result<Option<Device>, Error> {
    let api = ctx.api::<GpuProfile>(ns);
    let mut object = api
        .get(profile)
        .await
        .map_err(Error::kube(format!("reading GpuProfile {ns}/{profile}")))?;
    let uid = vm.metadata.uid.clone().unwrap_or_default();
    let leases = object.status.clone().unwrap_or_default().leases;
    if let Some(lease) = leases.iter().find(|l| l.holder.uid == uid) {
        return device(&object.spec, &lease.device).map(Some).ok_or_else(|| {
            Error::Cluster(format!(
                "GpuProfile {ns}/{profile} no longer has device {}, which this VM holds",
                lease.device
            ))
        });
    }
    let Some(name) = free(&object.spec, &leases).map(str::to_string) else {
        return Ok(None);
    };
    let got = device(&object.spec, &name);
    object.status.get_or_insert_default().leases.push(GpuLease {
        device: name,
        holder: Holder {
            kind: "ProxmoxVM".to_string(),
            name: vm.name_any(),
            uid,
        },
        acquired_at: Time(Timestamp::now()),
    });
    count(&mut object);
    // The resourceVersion in the object makes this fail if anybody else took a lease meanwhile.
    api.replace_status(profile, &PostParams::default(), &object)
        .await
        .map_err(Error::kube(format!("taking a lease of GpuProfile {ns}/{profile}")))?;
    Ok(got)
}

/// Gives a VM's lease back. Nothing to give back is fine.
pub async fn release(ctx: &Context, ns: &str, profile: &str, uid: &str) -> Result<(), Error> {
    let api = ctx.api::<GpuProfile>(ns);
    let what = || format!("returning a lease of GpuProfile {ns}/{profile}");
    let Some(mut object) = api.get_opt(profile).await.map_err(Error::kube(what()))? else {
        return Ok(());
    };
    let Some(status) = object.status.as_mut() else {
        return Ok(());
    };
    let before = status.leases.len();
    status.leases.retain(|l| l.holder.uid != uid);
    if status.leases.len() == before {
        return Ok(());
    }
    count(&mut object);
    api.replace_status(profile, &PostParams::default(), &object)
        .await
        .map_err(Error::kube(what()))?;
    Ok(())
}

pub async fn reconcile(object: Arc<GpuProfile>, ctx: Arc<Context>) -> Result<Action, Error> {
    let (ns, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api = ctx.api::<GpuProfile>(&ns);
    let Some(mut fresh) = api
        .get_opt(&name)
        .await
        .map_err(Error::kube(format!("reading GpuProfile {ns}/{name}")))?
    else {
        return Ok(Action::await_change());
    };
    if fresh.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let before = fresh.status.clone();
    let vms = ctx.api::<ProxmoxVM>(&ns);
    let mut kept = Vec::new();
    for lease in before.clone().unwrap_or_default().leases {
        // A VM object goes away only after its VM is gone (finalizer), so a holder that is gone has no device.
        let holder = vms
            .get_opt(&lease.holder.name)
            .await
            .map_err(Error::kube(format!("reading ProxmoxVM {ns}/{}", lease.holder.name)))?;
        if holder.is_some_and(|vm| vm.metadata.uid.as_deref() == Some(&lease.holder.uid)) {
            kept.push(lease);
        } else {
            tracing::info!(profile = %name, device = %lease.device, holder = %lease.holder.name, "lease of a VM that is gone");
        }
    }
    fresh.status.get_or_insert_default().leases = kept;
    count(&mut fresh);
    if fresh.status != before {
        api.replace_status(&name, &PostParams::default(), &fresh)
            .await
            .map_err(Error::kube(format!("writing status of GpuProfile {ns}/{name}")))?;
    }
    ctx.succeeded(&object.metadata.uid);
    Ok(Action::requeue(backoff::jitter(Duration::from_secs(30))))
}

pub fn on_error(object: Arc<GpuProfile>, error: &Error, ctx: Arc<Context>) -> Action {
    if error.is_conflict() {
        return Action::requeue(Duration::from_millis(50));
    }
    tracing::warn!(profile = %object.name_any(), %error, "reconcile failed");
    Action::requeue(ctx.failed(object.metadata.uid.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{GpuDevice, LocalRef};

    fn spec() -> GpuProfileSpec {
        let dev = |n: &str| GpuDevice {
            name: n.to_string(),
            mapping: format!("map-{n}"),
        };
        GpuProfileSpec {
            cluster_ref: LocalRef { name: "c".to_string() },
            devices: vec![dev("a"), dev("b")],
            pcie: true,
        }
    }

    fn lease(device: &str, uid: &str) -> GpuLease {
        GpuLease {
            device: device.to_string(),
            holder: Holder {
                kind: "ProxmoxVM".to_string(),
                name: "vm".to_string(),
                uid: uid.to_string(),
            },
            acquired_at: Time(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn one_holder_per_device() {
        let s = spec();
        assert_eq!(free(&s, &[]), Some("a"));
        assert_eq!(free(&s, &[lease("a", "1")]), Some("b"));
        assert_eq!(free(&s, &[lease("a", "1"), lease("b", "2")]), None);
        assert_eq!(
            device(&s, "b").map(|d| d.hostpci).as_deref(),
            Some("mapping=map-b,pcie=1")
        );
    }

    #[test]
    fn counting_ignores_leases_of_removed_devices() {
        let mut p = GpuProfile::new("p", spec());
        p.status.get_or_insert_default().leases = vec![lease("a", "1"), lease("removed", "2")];
        count(&mut p);
        let status = p.status.expect("status");
        assert_eq!((status.capacity, status.free), (2, 1));
    }
}
