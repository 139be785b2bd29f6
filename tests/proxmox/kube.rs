//! A real kube-apiserver with etcd, shared by the tests that run at the same time and killed after the last.

use kube::api::{Api, PostParams};
use mosdat::api;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

pub struct Kube {
    children: Vec<Child>,
    url: String,
    token: String,
    dir: tempfile::TempDir,
}

static SHARED: Mutex<Weak<Kube>> = Mutex::const_new(Weak::new());
static NAMESPACES: AtomicU32 = AtomicU32::new(0);

fn assets() -> PathBuf {
    if let Ok(dir) = std::env::var("KUBEBUILDER_ASSETS") {
        return dir.into();
    }
    let cache = std::env::var("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|_| Path::new(&std::env::var("HOME").expect("HOME")).join(".cache"));
    cache.join("mosdat/kube/v1.36.3")
}

fn port() -> u16 {
    let l = TcpListener::bind("127.0.0.1:0").expect("bind");
    l.local_addr().expect("address").port()
}

impl Kube {
    /// The shared server, started if none runs, with our CRDs in it.
    pub async fn shared() -> Arc<Kube> {
        let mut shared = SHARED.lock().await;
        if let Some(k) = shared.upgrade() {
            return k;
        }
        let kube = Arc::new(Kube::start());
        kube.wait_and_install().await;
        *shared = Arc::downgrade(&kube);
        kube
    }

    fn start() -> Kube {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let (client, peer, secure) = (port(), port(), port());
        let token = format!("{:032x}", rand::random::<u128>());
        std::fs::write(at("tokens.csv"), format!("{token},admin,admin,\"system:masters\"\n")).expect("write");
        let key = rcgen::KeyPair::generate().expect("key");
        std::fs::write(at("sa.key"), key.serialize_pem()).expect("write");
        std::fs::write(at("sa.pub"), key.public_key_pem()).expect("write");
        let assets = assets();
        let spawn = |name: &str, args: &[String]| {
            let log = std::fs::File::create(at(&format!("{name}.log"))).expect("log");
            Command::new(assets.join(name))
                .args(args)
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("log"))
                .stderr(log)
                .spawn()
                .unwrap_or_else(|e| panic!("{}: {e}; run `make kube`", assets.join(name).display()))
        };
        let etcd = spawn(
            "etcd",
            &[
                format!("--data-dir={}", at("etcd")),
                "--unsafe-no-fsync".to_string(),
                format!("--listen-client-urls=http://127.0.0.1:{client}"),
                format!("--advertise-client-urls=http://127.0.0.1:{client}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
            ],
        );
        let server = spawn(
            "kube-apiserver",
            &[
                format!("--etcd-servers=http://127.0.0.1:{client}"),
                format!("--cert-dir={}", at("pki")),
                "--bind-address=127.0.0.1".to_string(),
                format!("--secure-port={secure}"),
                "--service-cluster-ip-range=10.0.0.0/24".to_string(),
                format!("--token-auth-file={}", at("tokens.csv")),
                format!("--service-account-key-file={}", at("sa.pub")),
                format!("--service-account-signing-key-file={}", at("sa.key")),
                "--service-account-issuer=https://kubernetes.default.svc".to_string(),
                "--authorization-mode=RBAC".to_string(),
                "--disable-admission-plugins=ServiceAccount".to_string(),
            ],
        );
        Kube {
            children: vec![server, etcd],
            url: format!("https://127.0.0.1:{secure}"),
            token,
            dir,
        }
    }

    /// A client for a namespace of the test's own; made for the runtime that asks.
    pub async fn namespace(&self) -> (kube::Client, String) {
        let name = format!("t{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
        let client = self.client(&name);
        let ns: k8s_openapi::api::core::v1::Namespace =
            serde_json::from_value(serde_json::json!({"metadata": {"name": name}})).expect("namespace");
        Api::all(client.clone())
            .create(&PostParams::default(), &ns)
            .await
            .expect("namespace");
        (client, name)
    }

    fn client(&self, namespace: &str) -> kube::Client {
        let mut config = kube::Config::new(self.url.parse().expect("url"));
        config.accept_invalid_certs = true;
        config.auth_info.token = Some(self.token.clone().into());
        config.default_namespace = namespace.to_string();
        kube::Client::try_from(config).expect("client")
    }

    async fn wait_and_install(&self) {
        let client = self.client("default");
        let crds: Api<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> =
            Api::all(client.clone());
        let deadline = Instant::now() + Duration::from_secs(40);
        let mut left = api::crds();
        while let Some(crd) = left.last() {
            match crds.create(&PostParams::default(), crd).await {
                Ok(_) => {
                    left.pop();
                }
                Err(e) => {
                    assert!(
                        Instant::now() < deadline,
                        "kube-apiserver did not take {:?}: {e}\n{}",
                        crd.metadata.name,
                        std::fs::read_to_string(self.dir.path().join("kube-apiserver.log")).unwrap_or_default()
                    );
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        let runs: Api<api::FunctionalTestRun> = Api::all(client.clone());
        let vms: Api<api::ProxmoxVM> = Api::all(client.clone());
        while runs.list(&Default::default()).await.is_err() || vms.list(&Default::default()).await.is_err() {
            assert!(Instant::now() < deadline, "the CRDs are not served");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Kube {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
