//! 200 ProxmoxVMs applied at once against fakepve with instant tasks (`make bench`).
//!
//! Prints the time until all are Ready, Proxmox calls and Kubernetes writes per VM, and the memory of this process (which
//! holds controllers, control plane and proxy). Times mean little by themselves: they are set against what a plain client
//! needs that makes one VM after the other in the same run, and against how fast the fake answers at best.

#[path = "../tests/sweep/asks.rs"]
mod asks;
#[allow(dead_code)]
#[path = "../tests/proxmox/fake.rs"]
mod fake;
#[allow(dead_code)]
#[path = "../tests/sweep/gate.rs"]
mod gate;
#[path = "../tests/sweep/kube_side.rs"]
mod kube_side;
#[path = "../tests/sweep/pve_side.rs"]
mod pve_side;
#[allow(dead_code)]
#[path = "../tests/sweep/rig.rs"]
mod rig;

use futures::StreamExt;
use gate::Gate;
use mosdat::api::ProxmoxVM;
use mosdat::proxmox::{Client, CloneParams, TaskStatus, Upid};
use rig::{Rig, ready, vm_spec};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// VMs applied at once.
const VMS: usize = 200;
/// VMs that the plain client makes; its time is scaled to `VMS`.
const PLAIN: usize = 20;

#[tokio::main]
async fn main() {
    let fake = Arc::new(fake::Fake::start());
    fake.py("pve.time_scale = 0");
    let client = fake.client();

    let begun = Instant::now();
    for n in 0..PLAIN {
        by_hand(&client, 10_000 + n as u32).await;
    }
    let plain = begun.elapsed().mul_f64(VMS as f64 / PLAIN as f64);
    fake.py("pve.vms[:] = [v for v in pve.vms if v.template]");

    let calls = 400;
    let begun = Instant::now();
    futures::stream::iter(0..calls)
        .for_each_concurrent(16, |_| async { drop(client.version().await.expect("version")) })
        .await;
    let rate = f64::from(calls) / begun.elapsed().as_secs_f64();

    fake.py("pve.requests.clear()");
    let rig = Rig::new(fake.clone()).await;
    rig.limits(64).await;
    let before = resident();
    let gate = Gate::open();
    let running = rig.start(gate.clone());
    let begun = Instant::now();
    futures::stream::iter(0..VMS)
        .for_each_concurrent(32, |n| {
            let rig = &rig;
            async move { drop(rig.create::<ProxmoxVM>(&format!("vm-{n}"), vm_spec()).await) }
        })
        .await;
    let applied = begun.elapsed();
    let (mut done, mut most) = (0, before);
    while done < VMS {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let vms = rig.api::<ProxmoxVM>().list(&Default::default()).await.expect("list");
        done = vms.iter().filter(|vm| ready(vm)).count();
        most = most.max(resident());
        assert!(
            begun.elapsed() < Duration::from_secs(600),
            "only {done} of {VMS} are ready"
        );
    }
    let took = begun.elapsed();
    drop(running);

    let per_vm = |n: usize| n as f64 / VMS as f64;
    let writes = gate.writes();
    let side = |side: &str| writes.iter().filter(|w| w.label.starts_with(side)).count();
    let others = gate.others();
    let other = |kind: &str| others.get(kind).copied().unwrap_or(0);
    let pve = side("pve") + other("pve reads");
    let line = |what: &str, value: String| println!("{what:<58} {value:>12}");
    line(
        &format!("{VMS} ProxmoxVMs: all applied"),
        format!("{:.2} s", applied.as_secs_f64()),
    );
    line(
        &format!("{VMS} ProxmoxVMs: all Ready"),
        format!("{:.2} s", took.as_secs_f64()),
    );
    line(
        "  a plain client, one after the other, same fake",
        format!("{:.2} s", plain.as_secs_f64()),
    );
    line(
        "  ratio plain / mosdat",
        format!("{:.2}", plain.as_secs_f64() / took.as_secs_f64()),
    );
    line(
        "  the fake alone at its best rate, for as many calls",
        format!("{:.2} s", pve as f64 / rate),
    );
    line(
        "  share of the time that the fake needs",
        format!("{:.0} %", 100.0 * pve as f64 / rate / took.as_secs_f64()),
    );
    line("Proxmox calls per VM (at most 15)", format!("{:.2}", per_vm(pve)));
    line("  of them writes", format!("{:.2}", per_vm(side("pve"))));
    let by_path = fake.py(
        "__import__('collections').Counter(r[0] + ' ' + __import__('re').sub(r'/(UPID[^/]*|[0-9]+)', '/*', r[1]) \
         for r in pve.requests).most_common(12)",
    );
    for row in by_path.as_array().into_iter().flatten() {
        let (path, n) = (row[0].as_str().unwrap_or_default(), row[1].as_u64().unwrap_or(0));
        line(
            &format!("    {}", path.replace("/api2/json", "")),
            format!("{:.2}", per_vm(n as usize)),
        );
    }
    let clones = writes.iter().filter(|w| w.label.ends_with("/clone")).count();
    line(
        "  of them clones, lost races for a VMID included",
        format!("{:.2}", per_vm(clones)),
    );
    line(
        "Kubernetes writes per VM (at most 12)",
        format!("{:.2}", per_vm(side("kube"))),
    );
    line(
        "  Events, not counted above",
        format!("{:.2}", per_vm(other("kube events"))),
    );
    line("Kubernetes reads per VM", format!("{:.2}", per_vm(other("kube reads"))));
    line("memory before / at most (process)", format!("{before} / {most} MB"));
}

/// What a person with a script would call for one VM.
async fn by_hand(client: &Client, vmid: u32) {
    let params = CloneParams {
        newid: vmid,
        name: Some(format!("plain-{vmid}")),
        ..CloneParams::default()
    };
    client.cluster_vms().await.expect("resources");
    let upid = client.clone_vm("pve1", 100, &params).await.expect("clone");
    finished(client, &upid).await;
    client.vm_config("pve1", vmid).await.expect("config");
    client
        .set_config("pve1", vmid, &[("tags", "plain".to_string())])
        .await
        .expect("config");
    let upid = client.start("pve1", vmid).await.expect("start");
    finished(client, &upid).await;
    client.vm_status("pve1", vmid).await.expect("status");
    client.agent_ping("pve1", vmid).await.expect("ping");
    client.agent_network("pve1", vmid).await.expect("network");
    drop(client.vnc("pve1", vmid).await.expect("console"));
}

async fn finished(client: &Client, upid: &Upid) {
    while client.task_status(upid).await.expect("task") == TaskStatus::Running {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Resident memory of this process in MB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(0)
        / 1000
}
