//! Sieve's method: a life cycle is recorded, then lived again once per write and moment of death.

use crate::fake::Fake;
use crate::gate::{Gate, When, Write};
use crate::invariants;
use crate::rig::{Failed, Rig};
use crate::stories::{Ready, Story};
use futures::StreamExt;
use mosdat::api::ProxmoxVM;
use serde_json::Value;
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
    /// What became ready on the way, with its VM's configuration.
    seen: Vec<Ready>,
    /// Requests that reached Proxmox, by what they do.
    reached: BTreeMap<&'static str, u64>,
    /// VMs other than templates.
    left: Value,
    objects: usize,
}

impl Trace {
    /// The same; only a run that is carried out a second time asks for everything once more.
    fn is_right(&self, reference: &Trace, story: Story) -> bool {
        let twice = |(what, n): (&&str, &u64)| *n <= 2 * reference.reached[what];
        match story {
            Story::Ran => {
                let reached = reference.reached.clone();
                self.reached.iter().all(twice)
                    && Trace {
                        reached,
                        ..self.clone()
                    } == *reference
            }
            _ => self == reference,
        }
    }
}

/// Method, and how the path ends.
const COUNTED: [(&str, &str, &str); 8] = [
    ("clone", "POST", "/clone"),
    ("snapshot", "POST", "/snapshot"),
    ("unsnapshot", "DELETE", "/snapshot/[a-z]+"),
    ("start", "POST", "/status/start"),
    ("stop", "POST", "/status/stop"),
    ("shutdown", "POST", "/status/shutdown"),
    ("rollback", "POST", "/rollback"),
    ("destroy", "DELETE", "/qemu/[0-9]+"),
];

async fn reached(rig: &Rig) -> BTreeMap<&'static str, u64> {
    let mut out = BTreeMap::new();
    for (what, method, end) in COUNTED {
        let code =
            format!("sum(1 for r in pve.requests if r[0] == '{method}' and __import__('re').search('{end}$', r[1]))");
        out.insert(what, rig.py(&code).await.as_u64().expect("number"));
    }
    out
}

/// Lives a story once; nobody controls for `down` after a death. Returns what came of it and the first incarnation's
/// writes.
async fn life(story: Story, fake: Arc<Fake>, gate: Arc<Gate>, down: Duration) -> Result<(Trace, Vec<Write>), Failed> {
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
        done = live(story, &rig, &gate, down) => Ok((done?, gate.writes())),
        broken = invariants::watch(&rig, story.orphans()) => Err(format!("invariant: {broken}")),
        () = supervise => unreachable!("it goes on"),
    }
}

async fn live(story: Story, rig: &Rig, gate: &Gate, down: Duration) -> Result<Trace, Failed> {
    let seen = story.live(rig).await?;
    // A second incarnation that would do more than it should gets the time to do it.
    if gate.is_dead() {
        tokio::time::sleep(down + Duration::from_millis(400)).await;
    }
    Ok(Trace {
        seen,
        reached: reached(rig).await,
        left: rig.py("[v.vmid for v in pve.vms if not v.template]").await,
        objects: rig
            .api::<ProxmoxVM>()
            .list(&Default::default())
            .await
            .map_err(|e| e.to_string())?
            .items
            .len(),
    })
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
    sweep(Story::Made, &DOWN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_vm_is_taken_over_and_given_back() {
    sweep(Story::Adopted, &DOWN[1..]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_two_want_one_device() {
    sweep(Story::Queued, &DOWN[1..]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_an_orphan_is_removed() {
    sweep(Story::Orphaned, &DOWN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_checkpoints_are_asked_for() {
    sweep(Story::Checkpoints, &DOWN[1..]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_power_is_asked_for() {
    sweep(Story::Power, &DOWN[1..]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_a_run_asks() {
    sweep(Story::Ran, &DOWN[1..]).await;
}

/// Lives a story undisturbed, and then once for each write, moment and time down.
async fn sweep(story: Story, downs: &[Duration]) {
    // One sweep after the other: their lives are timed.
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one = ONE.lock().await;
    let begun = Instant::now();
    let fakes = Fakes::default();
    // Twice: what is not in both depends on timing and may not come in a third either.
    let mut recorded = vec![];
    for _ in 0..2 {
        let fake = fakes.get().await;
        let gate = Gate::open();
        let (trace, writes) = life(story, fake.clone(), gate.clone(), DOWN[0])
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
            points.extend(downs.iter().map(|down| (write.clone(), when, *down)));
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
                    let (trace, _) = life(story, fake.clone(), gate.clone(), down)
                        .await
                        .map_err(|e| format!("{what}: {e}"))?;
                    if !trace.is_right(reference, story) {
                        return Err(format!("{what}: {}", difference(reference, &trace)));
                    }
                    fakes.give_back(fake);
                    if gate.is_dead() {
                        missed = false;
                        break;
                    }
                }
                let n = done.fetch_add(1, Ordering::Relaxed) + 1;
                eprintln!(
                    "{story:?} [{n}/{all}] {what}{}",
                    if missed { ": never got there" } else { "" }
                );
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
            ("seen", serde_json::to_string(&t.seen).unwrap_or_default()),
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
