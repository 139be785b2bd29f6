//! kill -9 of the process that carries a run out, at moments that nobody chose. The next process takes the run up: no
//! step of the interrupted attempt is without an end, its VM is gone with what it left there, and the run is carried out
//! on a clean one, cleanup and all.
//!
//! The controllers, the control plane and the runner are the real ones, in a process of their own; Proxmox is fakepve,
//! screen and guest are the doubles. A guest's files are in a folder of its VM.

use super::doubles::{Double, check_log};
use super::fake::{Fake, TOKEN_ID, TOKEN_SECRET};
use async_trait::async_trait;
use kube::api::{Api, PostParams};
use kube::{Resource, ResourceExt};
use mosdat::api::{FunctionalTestRun, FunctionalTestRunStatus, ProxmoxCluster, ProxmoxVM, RunPhase, RunResult};
use mosdat::controller::{self, Context, DisplayProbe, Settings};
use mosdat::controlplane::{ControlPlane, Options};
use mosdat::executor::{Candidate, Checked, Executor, Job, Outcome, Progress};
use mosdat::proxmox::VncStream;
use mosdat::results::{Body, Recorder, RunMeta, StepOutcome, read_events};
use mosdat::runner::{Limits, Rig};
use mosdat::scenario::Scenario;
use secrecy::SecretString;
use serde_json::json;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const MOMENTS: u32 = 20;
/// Runs that go on side by side, each on a Proxmox of its own: they wait more than they compute.
const LANES: u32 = 4;
/// A run that is not over by then will never be.
const LONGEST: Duration = Duration::from_secs(90);

/// The file is what the scenario leaves in the guest until its cleanup: one from before would fail it.
const SCENARIO: &str = "name: killed\nsetup:\n  - shell: '[ ! -e $TMPDIR/dirt ] && touch $TMPDIR/dirt'\nsteps:\n  \
    - launch: [sleep, \"20\"]\n  - click: Save\n  \
    - repeat: {times: 3, steps: [{key: escape}, {shell: sleep 0.05}, {if: {text: Base, then: [{note: a}, {shell: sleep 0.05}], \
    else: [{note: b}]}}]}\n  - {expect: {text: Absent}, timeout: 300ms, soft: true}\n  - {never: {text: Absent, for: 300ms}}\n  \
    - {expect: {text: Base}}\ncleanup:\n  - shell: sleep 0.05\n  - shell: rm $TMPDIR/dirt\n";

/// Carries runs out on the doubles.
struct OnDoubles(PathBuf);

/// The console of fakepve speaks no RFB.
struct Anything;

#[async_trait]
impl DisplayProbe for Anything {
    async fn probe(&self, _: Box<dyn VncStream>, _: SecretString) -> Result<(u32, u32), String> {
        Ok((320, 240))
    }
}

#[async_trait]
impl Executor for OnDoubles {
    fn check(&self, candidate: &Candidate<'_>) -> Result<Checked, Vec<String>> {
        let scenario = Scenario::from_spec(candidate.scenario, candidate.origin).map_err(|e| vec![e.to_string()])?;
        let digest = scenario.digest();
        Ok(Checked { digest })
    }

    async fn run(&self, job: Job, _: watch::Sender<Progress>, cancel: CancellationToken) -> Outcome {
        let scenario = Scenario::from_spec(&job.scenario, &job.origin).unwrap();
        let plan = scenario.plan(&job.variables, &job.secrets).unwrap();
        let meta = RunMeta {
            namespace: job.namespace,
            name: job.name,
            uid: job.uid,
            attempt: job.attempt,
            vm: job.machine.name.clone(),
            node: job.machine.node,
            vmid: job.machine.vmid,
            vision: "double".into(),
            version: "0".into(),
        };
        let files = self.0.join(format!("files of {}", job.machine.name).replace(' ', "-"));
        std::fs::create_dir_all(&files).unwrap();
        let double = Double::default();
        *double.tmp.lock().unwrap() = Some(files);
        double.world.lock().unwrap().show("Base");
        double.world.lock().unwrap().show("Save");
        let recorder = Recorder::create(&job.artifacts, meta, Some(&plan)).unwrap();
        let rig = Rig {
            desktop: Arc::new(double.clone()),
            guest: Arc::new(double.clone()),
            hypervisor: job.machine.hypervisor,
            vision: Arc::new(double),
            film: None,
        };
        let limits = Limits { timeout: job.timeout };
        let outcome = mosdat::runner::run(plan, rig, recorder, limits, cancel).await;
        Outcome {
            result: outcome.result,
            failure: outcome.failure,
            steps: outcome.steps,
            outputs: outcome.outputs,
            finished: vec![],
        }
    }
}

/// The process that is killed, and the one that comes after it: begun by the test below. It ends when the run is over and
/// tells what there is then.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a child of kill_at_any_moment"]
async fn child() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = PathBuf::from(std::env::var("MOSDAT_KILLED").unwrap());
    let plane = ControlPlane::open(Options {
        state_file: folder.join("state.redb"),
        kinds: mosdat::controlplane::Kinds::new(mosdat::api::crds()).expect("kinds"),
    })
    .unwrap();
    let client = plane.client("default");
    let url = std::env::var("MOSDAT_KILLED_PVE").unwrap();
    let ca = std::fs::read_to_string(folder.join("ca.pem")).unwrap();
    create::<k8s_openapi::api::core::v1::Secret>(
        &client,
        json!({"metadata": {"name": "pve"}, "stringData": {"tokenId": TOKEN_ID, "tokenSecret": TOKEN_SECRET}}),
    )
    .await;
    create::<ProxmoxCluster>(
        &client,
        json!({"metadata": {"name": "lab"}, "spec": {
            "endpoints": [url], "tls": {"caBundle": ca}, "credentialsSecretRef": {"name": "pve"}}}),
    )
    .await;
    let scenario = Scenario::from_str("killed.yaml", SCENARIO).unwrap();
    create::<FunctionalTestRun>(
        &client,
        json!({"metadata": {"name": "r"}, "spec": {
            "vm": {"template": {"clusterRef": {"name": "lab"}, "source": {"clone": {"template": "desktop"}}}},
            "scenario": {"inline": scenario.to_spec().unwrap()}}}),
    )
    .await;
    let settings = Settings {
        artifacts_dir: folder.join("artifacts"),
        models_dir: folder.clone(),
        identity: format!("{:x}", rand::random::<u64>()),
        namespace: Some("default".to_string()),
    };
    let executor = Arc::new(OnDoubles(folder.clone()));
    let context = Context::new(client.clone(), settings, Arc::new(Anything), executor);
    tokio::spawn(async move { controller::run(context, std::future::pending()).await });
    let runs: Api<FunctionalTestRun> = Api::namespaced(client.clone(), "default");
    let over = loop {
        let run = runs.get("r").await.unwrap();
        let status = run.status.clone().unwrap_or_default();
        if status.phase == Some(RunPhase::Done) && run.finalizers().is_empty() {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let vms: Api<ProxmoxVM> = Api::namespaced(client, "default");
    let vms = vms.list(&Default::default()).await.unwrap().items.len();
    // All of it or nothing: this is killed, too.
    std::fs::write(folder.join("over"), json!([over, vms]).to_string()).unwrap();
    std::fs::rename(folder.join("over"), folder.join("over.json")).unwrap();
}

/// Makes an object unless an earlier life of this process has made it.
async fn create<K>(client: &kube::Client, object: serde_json::Value)
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let mut object = object;
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    let api: Api<K> = Api::namespaced(client.clone(), "default");
    let object = serde_json::from_value(object).unwrap();
    match api.create(&PostParams::default(), &object).await {
        Ok(_) => {}
        Err(kube::Error::Api(e)) if e.code == 409 => {}
        Err(e) => panic!("{e}"),
    }
}

/// Its group: the programs that it starts are of it.
struct Life(Child);

impl Life {
    fn begin(folder: &Path, pve: &str) -> Life {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"));
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["killed::child", "--exact", "--ignored", "--nocapture"])
            .env("MOSDAT_KILLED", folder)
            .env("MOSDAT_KILLED_PVE", pve)
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .process_group(0);
        Life(child.spawn().unwrap())
    }

    fn kill(&mut self) {
        // SAFETY: a plain system call on a group that this test has made.
        unsafe { libc::kill(-(self.0.id() as i32), libc::SIGKILL) };
        self.0.wait().unwrap();
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The folders of the run's attempts, the first first.
fn attempts(folder: &Path) -> Vec<PathBuf> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|e| e.path()).collect()
    };
    let runs = below(&folder.join("artifacts/default"));
    let mut attempts: Vec<_> = runs.iter().flat_map(|run| below(run)).collect();
    attempts.retain(|a| a.join("events.jsonl").exists());
    attempts.sort();
    attempts
}

/// One moment: whether the run was interrupted.
fn kill_after(fake: &Fake, delay: Duration) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    std::fs::write(folder.join("ca.pem"), &fake.cert_pem).unwrap();
    let said = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let begun = Instant::now();
    let mut life = Life::begin(folder, &fake.url());
    while attempts(folder).is_empty() && !life.has_ended() {
        assert!(begun.elapsed() < LONGEST, "the run does not begin: {}", said());
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(delay);
    life.kill();
    let interrupted = !folder.join("over.json").exists();
    if interrupted {
        let mut life = Life::begin(folder, &fake.url());
        while !life.has_ended() {
            assert!(begun.elapsed() < LONGEST, "the run is not taken up: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let over = std::fs::read_to_string(folder.join("over.json")).unwrap_or_else(|e| panic!("{e}: {}", said()));
    let (status, vms): (FunctionalTestRunStatus, usize) = serde_json::from_str(&over).unwrap();
    look_at(&status, &attempts(folder));

    // The VM is given back, and so is that of the attempt before.
    assert_eq!((vms, fake.clones()), (0, vec![]));
    let last = folder.join(format!("files-of-{}", status.vm_name.as_deref().unwrap()));
    assert!(last.exists() && !last.join("dirt").exists(), "what the cleanup removes");
    !status.attempts.is_empty()
}

/// Each attempt has a whole log; the one before the last was interrupted, the last has passed with its cleanup.
fn look_at(status: &FunctionalTestRunStatus, folders: &[PathBuf]) {
    assert_eq!(status.result, Some(RunResult::SoftFailed), "{status:?}");
    assert!(status.attempts.len() <= 1, "{:?}", status.attempts);
    let mut vms: Vec<_> = status.attempts.iter().map(|a| a.vm_name.clone()).collect();
    vms.push(status.vm_name.clone());
    assert!(vms.windows(2).all(|w| w[0] != w[1]), "a clean one each: {vms:?}");
    assert_eq!(folders.len(), vms.len(), "{folders:?}");
    for (number, folder) in folders.iter().enumerate() {
        let events = read_events(&folder.join("events.jsonl")).unwrap();
        if events.is_empty() {
            // Killed while the first line was written: nothing is known of the attempt.
            continue;
        }
        check_log(folder, &events);
        let Body::RunEnd { result, failure, .. } = &events.last().unwrap().body else {
            panic!("{:?}", events.last())
        };
        match status.attempts.get(number) {
            // The attempt may have had its end, which the killed process did not come to write into status.
            Some(attempt) => {
                assert_eq!(attempt.failure.reason, "Interrupted");
                let ended = *result == RunResult::SoftFailed;
                assert!(ended || failure.as_ref() == Some(&attempt.failure), "{failure:?}");
            }
            None => {
                assert_eq!(*result, RunResult::SoftFailed);
                let cleaned = events.iter().filter(|e| {
                    matches!(&e.body, Body::StepEnd { step, outcome: StepOutcome::Passed, .. } if step.starts_with('c'))
                });
                assert_eq!(cleaned.count(), 2, "{events:?}");
            }
        }
    }
}

#[test]
fn kill_at_any_moment() {
    let (left, interrupted) = (AtomicU32::new(MOMENTS), AtomicU32::new(0));
    let next = || {
        left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok()
    };
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let fake = Fake::start();
                while next() {
                    let delay = Duration::from_millis(rand::random_range(0..2500));
                    interrupted.fetch_add(u32::from(kill_after(&fake, delay)), Ordering::SeqCst);
                }
            });
        }
    });
    let interrupted = interrupted.into_inner();
    assert!(interrupted >= MOMENTS / 2, "only {interrupted} runs were interrupted");
}
