//! Sieve's method: a life cycle is recorded, then lived again once per write and moment of death.

use crate::fake::Fake;
use crate::gate::{Gate, When, Write};
use crate::invariants;
use crate::rig::{Failed, Rig, uid, vm_spec};
use futures::StreamExt;
use mosdat::api::{GpuProfile, ProxmoxCluster, ProxmoxVM};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Time between two incarnations: Proxmox's tasks still run after the first, and are over after the second.
const DOWN: [Duration; 2] = [Duration::ZERO, Duration::from_millis(600)];

/// Lives that are lived at the same time.
const SIDE_BY_SIDE: usize = 6;

/// What must come out the same, wherever the controllers were killed.
#[derive(Clone, Debug, PartialEq)]
struct Trace {
    /// Configuration of the ready VM, the object's UID and what Proxmox invents masked.
    config: Value,
    /// Status of the ready object without times.
    status: Value,
    /// Requests that reached Proxmox, by what they do.
    reached: BTreeMap<&'static str, u64>,
    /// VMs other than templates.
    left: Value,
    leases: usize,
    objects: usize,
}

const COUNTED: [(&str, &str, &str); 5] = [
    ("clone", "POST", "/clone"),
    ("start", "POST", "/status/start"),
    ("stop", "POST", "/status/stop"),
    ("shutdown", "POST", "/status/shutdown"),
    ("destroy", "DELETE", "/qemu/20000"),
];

async fn reached(rig: &Rig) -> BTreeMap<&'static str, u64> {
    let mut out = BTreeMap::new();
    for (what, method, suffix) in COUNTED {
        let code = format!("sum(1 for r in pve.requests if r[0] == '{method}' and r[1].endswith('{suffix}'))");
        out.insert(what, rig.py(&code).await.as_u64().expect("number"));
    }
    out
}

/// One life: create, ready, delete, gone; nobody controls for `down` after a death. Returns what came of it and the first incarnation's writes.
async fn life(fake: Arc<Fake>, gate: Arc<Gate>, down: Duration) -> Result<(Trace, Vec<Write>), Failed> {
    let rig = Rig::new(fake).await;
    rig.py("pve.requests.clear()").await;
    let supervise = async {
        let first = rig.start(gate.clone());
        gate.death().await;
        drop(first);
        tokio::time::sleep(down).await;
        let _second = rig.start(Gate::open());
        std::future::pending::<()>().await
    };
    tokio::select! {
        done = live(&rig, &gate, down) => Ok((done?, gate.writes())),
        broken = invariants::watch(&rig) => Err(format!("invariant: {broken}")),
        () = supervise => unreachable!("it goes on"),
    }
}

async fn live(rig: &Rig, gate: &Gate, down: Duration) -> Result<Trace, Failed> {
    rig.gpu().await;
    let mut spec = vm_spec();
    spec["gpuProfileRef"] = json!({"name": "gpu"});
    spec["hardware"] = json!({"cores": 3});
    rig.create::<ProxmoxVM>("a", spec).await;
    let vm = rig.until_ready("a").await?;
    let id = uid(&vm);
    let config = rig.py("[v.config for v in pve.vms if v.vmid == 20000][0]").await;
    let config = without(config, &["net0", "smbios1", "vmgenid", "digest", "meta"], &id);
    let mut status = serde_json::to_value(&vm.status).expect("status");
    for c in status["conditions"].as_array_mut().into_iter().flatten() {
        c["lastTransitionTime"] = Value::Null;
    }
    let status = without(status, &["readyAt", "ip"], &id);
    rig.delete("a").await;
    rig.until_gone("a").await?;
    // The lease goes with the last write but one; whoever was killed there is not needed for it.
    rig.until("no leases", || async {
        let p = rig.api::<GpuProfile>().get("gpu").await.ok()?;
        p.status.unwrap_or_default().leases.is_empty().then_some(())
    })
    .await?;
    rig.until("the cluster is looked at", || async {
        let c = rig.api::<ProxmoxCluster>().get("lab").await.ok()?;
        c.status.and_then(|s| s.version).map(|_| ())
    })
    .await?;
    // A second incarnation that would do more than it should gets the time to do it.
    if gate.is_dead() {
        tokio::time::sleep(down + Duration::from_millis(400)).await;
    }
    Ok(Trace {
        config,
        status,
        reached: reached(rig).await,
        left: rig.py("[v.vmid for v in pve.vms if not v.template]").await,
        leases: 0,
        objects: rig
            .api::<ProxmoxVM>()
            .list(&Default::default())
            .await
            .map_err(|e| e.to_string())?
            .items
            .len(),
    })
}

fn without(mut v: Value, keys: &[&str], id: &str) -> Value {
    for k in keys {
        if let Some(o) = v.as_object_mut() {
            o.remove(*k);
        }
    }
    let text = v.to_string().replace(id, "UID");
    // The cluster's, which is another in each life.
    let uuid = regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").expect("pattern");
    serde_json::from_str(&uuid.replace_all(&text, "UUID")).expect("json")
}

/// Fakes are slow to start, so they are lent from life to life; one that a failed life may have spoilt is not.
#[derive(Default)]
struct Fakes(Mutex<Vec<Arc<Fake>>>);

impl Fakes {
    async fn get(&self) -> Arc<Fake> {
        if let Some(f) = self.0.lock().expect("lock").pop() {
            return f;
        }
        tokio::task::spawn_blocking(|| Arc::new(Fake::start()))
            .await
            .expect("fake")
    }
    fn give_back(&self, fake: Arc<Fake>) {
        self.0.lock().expect("lock").push(fake);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_every_write() {
    let begun = Instant::now();
    let fakes = Fakes::default();
    // Twice: what is not in both depends on timing and may not come in a third either.
    let mut recorded = vec![];
    for _ in 0..2 {
        let fake = fakes.get().await;
        let gate = Gate::open();
        let (trace, writes) = life(fake.clone(), gate.clone(), DOWN[0])
            .await
            .expect("undisturbed life");
        fakes.give_back(fake);
        recorded.push((trace, writes, gate));
    }
    let (second_trace, second, _) = recorded.pop().expect("recorded");
    let (reference, first, gate) = recorded.pop().expect("recorded");
    assert_eq!(reference, second_trace, "two undisturbed lives differ");
    let counted = |side: &str| first.iter().filter(|w| w.label.starts_with(side)).count();
    let of_vm = first
        .iter()
        .filter(|w| w.label.starts_with("kube") && !w.label.contains("proxmoxclusters"));
    eprintln!("an undisturbed life, {:?}:\n{reference:#?}", begun.elapsed());
    for w in &first {
        eprintln!(
            "  {}{}",
            w.label,
            if w.nth > 0 {
                format!(" ({})", w.nth + 1)
            } else {
                String::new()
            }
        );
    }
    eprintln!(
        "writes: {} to Kubernetes ({} of them for the VM and its lease), {} to Proxmox; others: {:?}",
        counted("kube"),
        of_vm.count(),
        counted("pve"),
        gate.others()
    );
    let mut points = vec![];
    for write in &first {
        for when in [When::Before, When::After] {
            points.extend(DOWN.map(|down| (write.clone(), when, down)));
        }
    }
    let (done, all) = (AtomicUsize::new(0), points.len());
    let results: Vec<_> = futures::stream::iter(points)
        .map(|(write, when, down)| {
            let (fakes, reference, second, done) = (&fakes, &reference, &second, &done);
            async move {
                let what = format!("killed {when:?} {} #{}, down {down:?}", write.label, write.nth);
                let mut missed = true;
                // Timing may keep a write from being made; then once more.
                for _ in 0..3 {
                    let fake = fakes.get().await;
                    let gate = Gate::killing(write.clone(), when);
                    let (trace, _) = life(fake.clone(), gate.clone(), down)
                        .await
                        .map_err(|e| format!("{what}: {e}"))?;
                    if trace != *reference {
                        return Err(format!("{what}: {}", difference(reference, &trace)));
                    }
                    fakes.give_back(fake);
                    if gate.is_dead() {
                        missed = false;
                        break;
                    }
                }
                let n = done.fetch_add(1, Ordering::Relaxed) + 1;
                eprintln!("[{n}/{all}] {what}{}", if missed { ": never got there" } else { "" });
                if missed && second.contains(&write) {
                    return Err(format!("{what}: the write was not made"));
                }
                Ok(())
            }
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await;
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    eprintln!("{all} deaths in {:?}", begun.elapsed());
    assert!(
        failures.is_empty(),
        "{} of {all}:\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

fn difference(want: &Trace, got: &Trace) -> String {
    let fields = |t: &Trace| {
        [
            ("config", t.config.to_string()),
            ("status", t.status.to_string()),
            ("reached", format!("{:?}", t.reached)),
            ("left", t.left.to_string()),
            ("objects", t.objects.to_string()),
        ]
    };
    let differ = fields(want).into_iter().zip(fields(got)).filter(|(a, b)| a != b);
    differ
        .map(|((k, a), (_, b))| format!("{k}:\n  undisturbed {a}\n  now         {b}"))
        .collect::<Vec<_>>()
        .join("\n")
}
