//! A namespace with a ProxmoxCluster on a fake of its own, and controllers that can be killed.

use crate::fake::{Fake, TOKEN_ID, TOKEN_SECRET};
use crate::kube::Kube;
use kube::api::{Api, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use mosdat::api::{ProxmoxCluster, ProxmoxVM, RunResult, StepCounts};
use mosdat::controller::{self, Context, DisplayProbe, Settings};
use mosdat::controlplane::{ControlPlane, Kinds, Options};
use mosdat::executor::{Candidate, Checked, Executor, Job, Outcome, Progress};
use mosdat::proxmox::VncStream;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Compiled once for all tests, as it takes longer than many of them.
static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds::new(mosdat::api::crds()).expect("kinds"));

pub struct World {
    pub fake: Fake,
    pub client: kube::Client,
    pub ns: String,
    pub executor: Arc<Scripted>,
    artifacts: tempfile::TempDir,
    _keep: Box<dyn std::any::Any + Send + Sync>,
}

/// Proves that RFB bytes arrive; the size is made up.
struct Hello;

#[async_trait::async_trait]
impl DisplayProbe for Hello {
    async fn probe(&self, mut stream: Box<dyn VncStream>, _password: SecretString) -> Result<(u32, u32), String> {
        let mut hello = [0; 12];
        stream.read_exact(&mut hello).await.map_err(|e| e.to_string())?;
        match &hello {
            b"RFB 003.008\n" => Ok((1024, 768)),
            other => Err(format!("{other:?}")),
        }
    }
}

/// What the scripted executor does with an attempt.
#[derive(Clone)]
pub enum Play {
    End(Outcome),
    /// Until it is cancelled.
    Hang,
}

/// Plays outcomes in order, the last for ever.
pub struct Scripted {
    pub plays: Mutex<Vec<Play>>,
    pub started: AtomicU32,
    pub jobs: Mutex<Vec<Job>>,
}

#[async_trait::async_trait]
impl Executor for Scripted {
    fn check(&self, candidate: &Candidate<'_>) -> Result<Checked, Vec<String>> {
        let origin = candidate.origin;
        if candidate.scenario.name == "bad" {
            return Err(vec![format!("{origin}: first"), format!("{origin}: second")]);
        }
        Ok(Checked {
            digest: "d1".to_string(),
        })
    }

    async fn run(&self, job: Job, progress: watch::Sender<Progress>, cancel: CancellationToken) -> Outcome {
        self.started.fetch_add(1, Ordering::SeqCst);
        self.jobs.lock().expect("lock").push(job);
        let play = {
            let mut plays = self.plays.lock().expect("lock");
            if plays.len() > 1 {
                plays.remove(0)
            } else {
                plays[0].clone()
            }
        };
        let mut p = Progress::default();
        p.steps.total = 2;
        p.steps.passed = 1;
        progress.send_replace(p.clone());
        match play {
            Play::End(o) => o,
            Play::Hang => {
                cancel.cancelled().await;
                outcome(RunResult::Cancelled)
            }
        }
    }
}

pub fn outcome(result: RunResult) -> Outcome {
    let failure = (result != RunResult::Passed).then(|| mosdat::api::RunFailure {
        class: (result == RunResult::Error).then_some(mosdat::api::FailureClass::Guest),
        reason: "Scripted".to_string(),
        message: "as the test wants".to_string(),
        step: None,
    });
    Outcome {
        result,
        failure,
        steps: StepCounts {
            total: 2,
            passed: 2,
            ..StepCounts::default()
        },
        finished: vec![],
        outputs: [("version".to_string(), "1.2".to_string())].into(),
    }
}

/// Controllers that die with their value, as if the process had been killed.
pub struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl World {
    /// On the control plane that is part of mosdat.
    pub async fn embedded() -> World {
        let state = tempfile::tempdir().expect("temporary directory");
        let plane = ControlPlane::open(Options {
            state_file: state.path().join("state.redb"),
            kinds: KINDS.clone(),
        })
        .expect("control plane");
        let client = plane.client("default");
        World::on(client, "default".to_string(), Box::new((plane, state))).await
    }

    /// On a real kube-apiserver.
    pub async fn kubernetes() -> World {
        let kube = Kube::shared().await;
        let (client, ns) = kube.namespace().await;
        World::on(client, ns, Box::new(kube)).await
    }

    /// On a control plane of the test's; `keep` lives as long.
    pub async fn on(client: kube::Client, ns: String, keep: Box<dyn std::any::Any + Send + Sync>) -> World {
        let fake = Fake::start();
        let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(json!({
            "metadata": {"name": "pve"},
            "stringData": {"tokenId": TOKEN_ID, "tokenSecret": TOKEN_SECRET},
        }))
        .expect("secret");
        Api::namespaced(client.clone(), &ns)
            .create(&PostParams::default(), &secret)
            .await
            .expect("secret");
        let world = World {
            fake,
            client,
            ns,
            executor: Arc::new(Scripted {
                plays: Mutex::new(vec![Play::End(outcome(RunResult::Passed))]),
                started: AtomicU32::new(0),
                jobs: Mutex::default(),
            }),
            artifacts: tempfile::tempdir().expect("temporary directory"),
            _keep: keep,
        };
        world
            .create::<ProxmoxCluster>(json!({
                "metadata": {"name": "lab"},
                "spec": {
                    "endpoints": [world.fake.url()],
                    "credentialsSecretRef": {"name": "pve"},
                    "tls": {"caBundle": world.fake.cert_pem},
                },
            }))
            .await;
        world
    }

    /// Starts controllers under a new identity.
    pub fn controllers(&self, identity: &str) -> Running {
        self.controllers_with(identity, Arc::default())
    }

    /// The same, counting into these metrics.
    pub fn controllers_with(&self, identity: &str, metrics: Arc<controller::Metrics>) -> Running {
        let settings = Settings {
            artifacts_dir: self.artifacts.path().to_path_buf(),
            models_dir: self.artifacts.path().to_path_buf(),
            identity: identity.to_string(),
            namespace: Some(self.ns.clone()),
        };
        let context =
            Context::new(self.client.clone(), settings, Arc::new(Hello), self.executor.clone()).with_metrics(metrics);
        Running(tokio::spawn(async move {
            controller::run(context, std::future::pending())
                .await
                .expect("controllers");
        }))
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.ns)
    }

    pub async fn create<K>(&self, object: serde_json::Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug,
        K::DynamicType: Default,
    {
        let mut object = object;
        object["apiVersion"] = "mosdat.dev/v1alpha1".into();
        object["kind"] = K::kind(&Default::default()).into();
        let object: K = serde_json::from_value(object).expect("object");
        self.api()
            .create(&PostParams::default(), &object)
            .await
            .expect("create")
    }

    pub fn vm_spec(&self) -> serde_json::Value {
        json!({"clusterRef": {"name": "lab"}, "source": {"clone": {"template": "desktop"}}})
    }

    /// Polls an object until `f` likes it.
    pub async fn until<K>(&self, name: &str, what: &str, f: impl Fn(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + DeserializeOwned + Clone + std::fmt::Debug + serde::Serialize,
        K::DynamicType: Default,
    {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let object = self.api::<K>().get(name).await.expect("get");
            if f(&object) {
                return object;
            }
            assert!(
                Instant::now() < deadline,
                "{name} never became {what}: {}",
                serde_json::to_string_pretty(&object).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Deletes an object and polls until it is gone.
    pub async fn gone<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope> + DeserializeOwned + Clone + std::fmt::Debug + serde::Serialize,
        K::DynamicType: Default,
    {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Some(object) = self.api::<K>().get_opt(name).await.expect("get") {
            assert!(
                Instant::now() < deadline,
                "{name} does not go away: {}",
                serde_json::to_string_pretty(&object).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub fn ready(vm: &ProxmoxVM) -> bool {
    let status = vm.status.clone().unwrap_or_default();
    status
        .conditions
        .iter()
        .any(|c| c.type_ == "Ready" && c.status == "True" && c.observed_generation == vm.meta().generation)
}

pub fn stalled(vm: &ProxmoxVM) -> Option<String> {
    let status = vm.status.clone()?;
    let c = status.conditions.into_iter().find(|c| c.type_ == "Stalled")?;
    Some(format!("{} {}: {}", vm.name_any(), c.reason, c.message))
}
