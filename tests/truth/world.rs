//! The lab, the models, and what happens from outside.

use crate::case::{Case, Ending, Outside};
use crate::harness::{Up, machines};
use crate::model;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use mosdat::api::{FunctionalTestRun, RunPhase, VisionProvider};
use mosdat::scenario::Scenario;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::SemaphorePermit;

/// A run that has no end by then is none.
const LONGEST: Duration = Duration::from_secs(420);

pub struct World {
    up: Up,
    client: Client,
}

impl World {
    pub async fn start(dir: &Path) -> World {
        let up = Up::start(dir, &[]);
        let config = Kubeconfig::read_from(up.kubeconfig()).expect("kubeconfig");
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(config.expect("config")).expect("client");
        let url = model::serve().await;
        let providers: Api<VisionProvider> = Api::namespaced(client.clone(), "default");
        for (name, coordinates, ocr) in model::MODELS {
            let provider = json!({
                "apiVersion": "mosdat.dev/v1alpha1", "kind": "VisionProvider", "metadata": {"name": name},
                "spec": {"ocr": ocr, "openai": {
                    "baseUrls": [format!("{url}/{name}")], "locateModel": "looks", "coordinates": coordinates,
                    "timeoutSeconds": model::PATIENCE,
                }},
            });
            let provider = serde_json::from_value(provider).expect("provider");
            providers
                .create(&PostParams::default(), &provider)
                .await
                .expect("created");
        }
        World { up, client }
    }

    /// Runs a case to its end. While its machine is given back the lane is another's.
    pub async fn run(&self, case: &Case, lane: SemaphorePermit<'_>) -> Ending {
        let mut lane = Some(lane);
        let scenario = Scenario::from_str(&case.path.display().to_string(), &case.scenario);
        let scenario = scenario.unwrap_or_else(|e| panic!("{e}"));
        let mut spec = json!({
            "vm": {"template": {"clusterRef": {"name": "lab"}, "source": {"clone": {"template": "desktop"}}}},
            "scenario": {"inline": scenario.to_spec().expect("spec")},
            "retries": {"infrastructure": 0},
        });
        // Where the scenario has a budget, that is what is tried.
        if let Some(seconds) = case.truth.seconds.or(scenario.budget.is_none().then_some(300)) {
            spec["timeoutSeconds"] = json!(seconds);
        }
        if let Some(vision) = &case.truth.vision {
            spec["visionRef"] = json!({"name": vision});
        }
        let run = json!({
            "apiVersion": "mosdat.dev/v1alpha1", "kind": "FunctionalTestRun", "metadata": {"name": case.name}, "spec": spec,
        });
        let runs: Api<FunctionalTestRun> = Api::namespaced(self.client.clone(), "default");
        let run = serde_json::from_value(run).expect("run");
        runs.create(&PostParams::default(), &run)
            .await
            .unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let begun = Instant::now();
        let mut outside = case.truth.outside.clone();
        let mut thaw = None;
        let (mut took, mut since) = ([Duration::ZERO; 3], Instant::now());
        loop {
            let run = runs.get(&case.name).await.expect("get");
            let status = run.status.clone().unwrap_or_default();
            let stage = match status.phase {
                Some(RunPhase::Running) => 1,
                Some(RunPhase::Finishing | RunPhase::Done) => 2,
                _ => 0,
            };
            if stage == 2 {
                drop(lane.take());
            }
            took[stage] += since.elapsed();
            since = Instant::now();
            if let Some(result) = status.result {
                let failure = status.failure.as_ref();
                return Ending {
                    result: result.as_str().to_string(),
                    class: failure.and_then(|f| f.class).map(|c| format!("{c:?}")),
                    reason: failure.map(|f| f.reason.clone()),
                    message: failure.map(|f| f.message.clone()).unwrap_or_default(),
                    took,
                };
            }
            let step = status.current_step.map(|s| s.id).unwrap_or_default();
            if let Some(wanted) = outside.take_if(|o| at(o) == Some(step.as_str())) {
                thaw = self
                    .interfere(&wanted, &case.name, status.vm_name.as_deref(), &runs)
                    .await;
            }
            if let Some((pid, until)) = thaw
                && Instant::now() >= until
            {
                signal(pid, libc::SIGCONT);
                thaw = None;
            }
            if begun.elapsed() > LONGEST {
                return Ending {
                    result: "none".into(),
                    message: format!("no end after {LONGEST:?}; in {step}"),
                    ..Ending::default()
                };
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Does what no step can do; the process to wake up again, and when.
    async fn interfere(
        &self,
        what: &Outside,
        run: &str,
        vm: Option<&str>,
        runs: &Api<FunctionalTestRun>,
    ) -> Option<(u32, Instant)> {
        if what.cancel.is_some() {
            let patch = Patch::Merge(json!({"spec": {"cancel": true}}));
            runs.patch(run, &PatchParams::default(), &patch)
                .await
                .expect("cancelled");
            return None;
        }
        let pid = self.machine(vm.expect("a VM")).await;
        if what.kill.is_some() {
            signal(pid, libc::SIGKILL);
            return None;
        }
        signal(pid, libc::SIGSTOP);
        Some((
            pid,
            Instant::now() + Duration::from_secs(what.seconds.expect("seconds")),
        ))
    }

    /// The QEMU process of a VM.
    async fn machine(&self, vm: &str) -> u32 {
        let vms: Api<mosdat::api::ProxmoxVM> = Api::namespaced(self.client.clone(), "default");
        let vmid = vms
            .get(vm)
            .await
            .expect("VM")
            .status
            .and_then(|s| s.vmid)
            .expect("a VMID");
        let all = machines(&self.up.state);
        // Each works in the folder of its VM.
        let of = |pid: &u32| {
            let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            folder
                .components()
                .any(|part| part.as_os_str() == vmid.to_string().as_str())
        };
        let found: Vec<u32> = all.iter().copied().filter(of).collect();
        assert_eq!(found.len(), 1, "processes of VM {vmid} among {all:?}");
        found[0]
    }

    /// Copies the evidence to where it outlives the test.
    pub fn keep(&self) -> PathBuf {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("truth");
        let _ = std::fs::remove_dir_all(&to);
        let from = self.up.state.join("artifacts");
        let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(&to).status();
        assert!(copied.is_ok_and(|s| s.success()));
        let _ = std::fs::copy(self.up.state.join("up.log"), to.join("up.log"));
        to
    }

    pub fn stop(self) {
        self.up.stop();
    }
}

fn at(outside: &Outside) -> Option<&str> {
    [&outside.freeze, &outside.kill, &outside.cancel]
        .into_iter()
        .find_map(|step| step.as_deref())
}

fn signal(pid: u32, number: i32) {
    // SAFETY: a plain system call on a process that the harness has started.
    unsafe { libc::kill(pid as i32, number) };
}
