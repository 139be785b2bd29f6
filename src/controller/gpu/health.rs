//! The check of a device in the guest that has it, once per lease.

use super::super::{Context, Error};
use super::act;
use super::decide;
use super::devices::{Facts, short};
use crate::api::{GpuHealthCheck, GpuLease, GpuProfile, ProxmoxVM, VmPhase};
use crate::proxmox::{Client, ErrorKind};
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};
use std::time::{Duration, Instant};

/// Checks the devices of all VMs that are ready and were not checked.
pub async fn check(ctx: &Context, profile: &GpuProfile, facts: &Facts) -> Result<(), Error> {
    let Some(check) = &profile.spec.health_check else {
        return Ok(());
    };
    if check.pattern.as_deref().is_some_and(|p| regex::Regex::new(p).is_err()) {
        return Ok(());
    }
    let leases = profile.status.iter().flat_map(|s| &s.leases);
    let due = leases
        .filter(|l| l.health.is_none())
        .map(|l| one(ctx, profile, check, l, facts));
    futures::future::try_join_all(due).await?;
    Ok(())
}

async fn one(
    ctx: &Context,
    profile: &GpuProfile,
    check: &GpuHealthCheck,
    lease: &GpuLease,
    facts: &Facts,
) -> Result<(), Error> {
    let (ns, name) = (profile.namespace().unwrap_or_default(), profile.name_any());
    let vm = ctx
        .api::<ProxmoxVM>(&ns)
        .get_opt(&lease.holder.name)
        .await
        .map_err(Error::kube(format!("reading ProxmoxVM {ns}/{}", lease.holder.name)))?;
    let Some(vm) = vm.filter(|v| v.metadata.uid.as_deref() == Some(&lease.holder.uid)) else {
        return Ok(());
    };
    let status = vm.status.clone().unwrap_or_default();
    let (Some(VmPhase::Ready), Some(node), Some(vmid)) = (status.phase, status.node, status.vmid) else {
        return Ok(());
    };
    let pve = ctx.cluster(&ns, &vm.spec.cluster_ref.name).await?.client;
    let result = match run(&pve, &node, vmid, check).await {
        Learnt::Health(result) => result,
        Learnt::Nothing => {
            tracing::info!(profile = %name, vm = %lease.holder.name, "the device could not be checked; trying again later");
            return Ok(());
        }
        // The guest's fault, not the device's: one bad template must not take card after card out of the pool.
        Learnt::NoCommand(why) => {
            let note = format!("{} in ProxmoxVM {}: {why}", lease.device, lease.holder.name);
            act::event(ctx, profile, true, "GpuNotChecked", &note).await;
            return Ok(());
        }
    };
    let (object, ()) = act::change(ctx, profile.clone(), "noting a health check of", |p| {
        decide::checked(p, &lease.holder.uid, &result, facts, Timestamp::now())
    })
    .await?;
    match result {
        Ok(()) => tracing::debug!(profile = %name, device = %lease.device, "healthy"),
        Err(why) => {
            let note = format!("{} in ProxmoxVM {}: {why}", lease.device, lease.holder.name);
            act::event(ctx, &object, true, "Quarantined", &note).await;
            let note = format!(
                "device {} of GpuProfile {name} failed its health check: {why}",
                lease.device
            );
            ctx.event(&vm.object_ref(&()), true, "GpuUnhealthy", &note).await;
        }
    }
    Ok(())
}

/// What a check brought to light.
enum Learnt {
    Health(Result<(), String>),
    /// The guest could not run the command, and why.
    NoCommand(String),
    /// The guest or Proxmox did not answer.
    Nothing,
}

/// Runs the command in the guest.
async fn run(pve: &Client, node: &str, vmid: u32, check: &GpuHealthCheck) -> Learnt {
    let limit = Duration::from_secs(check.timeout_seconds.into());
    let begun = Instant::now();
    let pid = match pve.agent_exec(node, vmid, &check.command, None).await {
        Ok(pid) => pid,
        Err(e) if e.kind == ErrorKind::CommandNotRun => {
            let program = check.command.first().cloned().unwrap_or_default();
            return Learnt::NoCommand(format!("the guest could not run {program}: {}", e.message));
        }
        Err(e) => {
            tracing::debug!(error = %e, "no health check now");
            return Learnt::Nothing;
        }
    };
    let mut pause = Duration::from_millis(100);
    loop {
        match pve.agent_exec_status(node, vmid, pid).await {
            Ok(s) if s.exited => {
                let output = format!("{}{}", s.out_data, s.err_data);
                return Learnt::Health(healthy(check.pattern.as_deref(), s.exitcode, &output));
            }
            Ok(_) => {}
            Err(e) => {
                tracing::debug!(error = %e, "no health check now");
                return Learnt::Nothing;
            }
        }
        if begun.elapsed() >= limit {
            // A driver that hangs on a dead device is the usual reason.
            return Learnt::Health(Err(format!("it did not end within {} s", limit.as_secs())));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Whether a health check's outcome is as declared.
pub fn healthy(pattern: Option<&str>, exit: Option<i32>, output: &str) -> Result<(), String> {
    let seen = || {
        let text = output.trim();
        if text.is_empty() {
            "it printed nothing".to_string()
        } else {
            format!("it printed: {}", short(text))
        }
    };
    match exit {
        Some(0) => {}
        Some(code) => return Err(format!("exit code {code}; {}", seen())),
        None => return Err(format!("it was killed; {}", seen())),
    }
    let Some(pattern) = pattern else { return Ok(()) };
    match regex::Regex::new(pattern) {
        Ok(r) if r.is_match(output) => Ok(()),
        Ok(_) => Err(format!("the output does not match '{pattern}'; {}", seen())),
        // Told by the profile's condition; it says nothing about the device.
        Err(_) => Ok(()),
    }
}
