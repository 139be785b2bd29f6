//! One small world: a fake behind the proxy, a control plane of its own, and incarnations of the controllers.

use crate::asks::Asks;
use crate::fake::{Fake, TOKEN_ID, TOKEN_SECRET};
use crate::gate::Gate;
use crate::kube_side;
use crate::pve_side::Proxy;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use mosdat::api::{GpuProfile, ProxmoxCluster, ProxmoxVM};
use mosdat::controller::{self, Context, DisplayProbe, Settings};
use mosdat::controlplane::{ControlPlane, Kinds, Options};
use mosdat::proxmox::VncStream;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

/// Compiled once for all tests, as it takes longer than many of them.
static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds::new(mosdat::api::crds()).expect("kinds"));

pub struct Rig {
    pub fake: Arc<Fake>,
    /// Straight to the control plane, past every gate.
    pub client: kube::Client,
    proxy: Proxy,
    dir: tempfile::TempDir,
    _plane: ControlPlane,
}

/// Proves that RFB bytes arrive; the size is made up.
struct Hello;

#[async_trait::async_trait]
impl DisplayProbe for Hello {
    async fn probe(&self, mut stream: Box<dyn VncStream>, _password: SecretString) -> Result<(u32, u32), String> {
        let mut hello = [0; 12];
        stream.read_exact(&mut hello).await.map_err(|e| e.to_string())?;
        Ok((1024, 768))
    }
}

/// Controllers that die with their value, as if the process had been killed.
pub struct Incarnation {
    pub gate: Arc<Gate>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Incarnation {
    fn drop(&mut self) {
        self.gate.die();
        self.task.abort();
    }
}

pub type Failed = String;

impl Rig {
    pub async fn new(fake: Arc<Fake>) -> Rig {
        let dir = tempfile::tempdir().expect("temporary directory");
        let plane = ControlPlane::open(Options {
            state_file: dir.path().join("state.redb"),
            kinds: KINDS.clone(),
        })
        .expect("control plane");
        let client = plane.client("default");
        let proxy = Proxy::start(fake.port, &fake.cert_pem).await;
        let rig = Rig {
            fake,
            client,
            proxy,
            dir,
            _plane: plane,
        };
        let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(json!({
            "metadata": {"name": "pve"},
            "stringData": {"tokenId": TOKEN_ID, "tokenSecret": TOKEN_SECRET},
        }))
        .expect("secret");
        rig.api().create(&PostParams::default(), &secret).await.expect("secret");
        rig.cluster().await;
        rig
    }

    async fn cluster(&self) {
        let spec = json!({
            "endpoints": [format!("http://127.0.0.1:{}", self.proxy.port)],
            "credentialsSecretRef": {"name": "pve"},
        });
        self.create::<ProxmoxCluster>("lab", spec).await;
    }

    /// Allows so many clones and starts at once.
    #[allow(dead_code)] // for the bench
    pub async fn limits(&self, n: u32) {
        let patch = json!({"spec": {"limits": {"parallelClones": n, "parallelStarts": n}}});
        let api = self.api::<ProxmoxCluster>();
        api.patch("lab", &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .expect("patch");
    }

    /// A profile with one device, which the fake has a mapping for.
    pub async fn gpu(&self) {
        let devices = json!([{"name": "one", "mapping": "gpu0"}]);
        self.create::<GpuProfile>("gpu", json!({"clusterRef": {"name": "lab"}, "devices": devices}))
            .await;
    }

    /// Starts controllers whose every request passes this gate.
    pub fn start(&self, gate: Arc<Gate>) -> Incarnation {
        self.proxy.use_gate(gate.clone());
        let settings = Settings {
            artifacts_dir: self.dir.path().to_path_buf(),
            models_dir: self.dir.path().to_path_buf(),
            identity: format!("{:x}", rand::random::<u64>()),
            namespace: Some("default".to_string()),
        };
        let client = kube_side::client(self.client.clone(), gate.clone());
        let context = Context::new(client, settings, Arc::new(Hello), Arc::new(Asks));
        let task = tokio::spawn(async move {
            controller::run(context, std::future::pending())
                .await
                .expect("controllers");
        });
        Incarnation { gate, task }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    pub async fn create<K>(&self, name: &str, spec: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug,
        K::DynamicType: Default,
    {
        let object: K = serde_json::from_value(json!({
            "apiVersion": "mosdat.dev/v1alpha1", "kind": K::kind(&Default::default()),
            "metadata": {"name": name}, "spec": spec,
        }))
        .expect("object");
        self.api()
            .create(&PostParams::default(), &object)
            .await
            .expect("create")
    }

    /// Polls until `f` has something.
    pub async fn until<T, F: Future<Output = Option<T>>>(&self, what: &str, f: impl Fn() -> F) -> Result<T, Failed> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(x) = f().await {
                return Ok(x);
            }
            if Instant::now() > deadline {
                let vms = self.api::<ProxmoxVM>().list(&Default::default()).await;
                let vms = vms.map(|l| serde_json::to_string_pretty(&l.items).unwrap_or_default());
                return Err(format!(
                    "not within a minute: {what}; the VMs: {}",
                    vms.unwrap_or_default()
                ));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    pub async fn until_ready(&self, name: &str) -> Result<ProxmoxVM, Failed> {
        self.until(&format!("{name} ready"), || async {
            self.api::<ProxmoxVM>().get(name).await.ok().filter(ready)
        })
        .await
    }

    pub async fn delete(&self, name: &str) {
        let api = self.api::<ProxmoxVM>();
        api.delete(name, &Default::default()).await.expect("delete");
    }

    pub async fn until_gone(&self, name: &str) -> Result<(), Failed> {
        self.until(&format!("{name} gone"), || async {
            let left = self.api::<ProxmoxVM>().get_opt(name).await.expect("get");
            left.is_none().then_some(())
        })
        .await
    }

    /// `fake.py` without holding up the runtime.
    pub async fn py(&self, code: &str) -> Value {
        let (fake, code) = (self.fake.clone(), code.to_string());
        tokio::task::spawn_blocking(move || fake.py(&code))
            .await
            .expect("python")
    }
}

pub fn ready(vm: &ProxmoxVM) -> bool {
    let status = vm.status.clone().unwrap_or_default();
    status
        .conditions
        .iter()
        .any(|c| c.type_ == "Ready" && c.status == "True" && c.observed_generation == vm.meta().generation)
}

pub fn vm_spec() -> Value {
    json!({"clusterRef": {"name": "lab"}, "source": {"clone": {"template": "desktop"}}})
}

pub fn uid(vm: &ProxmoxVM) -> String {
    vm.uid().expect("uid")
}
