//! A real Kubernetes control plane for tests: etcd, kube-apiserver (RBAC on) and kube-controller-manager
//! (garbage collector, namespaces, service accounts), as `make kube` builds them.
//!
//! Use it from a test binary with `#[path = "../support/kube.rs"] mod real_kube;`.
//! `RealKube::start` gives a server of one's own; `RealKube::shared` one per test binary, for tests that
//! keep to a namespace of their own. Both end with the test process, however that ends.
//!
//! The garbage collector learns about new CRDs only every 30 s (fixed in Kubernetes), so a cascade over
//! custom resources may take that long after the CRDs were applied. A namespace takes 5-10 s to go.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use rand::Rng;
use serde_json::{Value, json};

/// How long the whole control plane may take to answer; it needs 3-5 s on a quiet machine.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// A running control plane. Dropping it kills its processes and removes its folder; when the test panicked
/// the folder stays and its path is printed, with the ends of the logs.
pub struct RealKube {
    dir: PathBuf,
    server: String,
    ca_pem: String,
    admin: PathBuf,
    tester: PathBuf,
    bin: PathBuf,
    // Ended in this order: clients of the API first, its storage last.
    children: Vec<(&'static str, Child)>,
}

impl RealKube {
    /// Starts a control plane of the caller's own and returns once it is ready, namespace `default` included.
    pub async fn start() -> RealKube {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bin = binaries();
        // The ports are free when chosen, and may be taken a moment later by somebody else: then once more.
        let mut last = String::new();
        for _ in 0..3 {
            match RealKube::try_start(&bin).await {
                Ok(kube) => return kube,
                Err(error) => last = error,
            }
        }
        panic!("no Kubernetes control plane: {last}");
    }

    /// The control plane that all tests of this binary share, started by the first one that asks.
    pub async fn shared() -> &'static RealKube {
        static SHARED: tokio::sync::OnceCell<RealKube> = tokio::sync::OnceCell::const_new();
        static AT_EXIT: Mutex<Option<(PathBuf, Vec<i32>)>> = Mutex::new(None);
        // Statics are never dropped. Should the process be killed before this runs, its children's death signal
        // ends them and only the folder stays.
        extern "C" fn end() {
            let Some((dir, pids)) = AT_EXIT.lock().ok().and_then(|mut shared| shared.take()) else {
                return;
            };
            for pid in pids {
                // SAFETY: these are our own children, which nobody else waits for.
                unsafe {
                    libc::kill(pid, libc::SIGKILL);
                    libc::waitpid(pid, std::ptr::null_mut(), 0);
                }
            }
            let _ = fs::remove_dir_all(dir);
        }
        SHARED
            .get_or_init(|| async {
                let kube = RealKube::start().await;
                let pids = kube.children.iter().map(|(_, child)| child.id() as i32).collect();
                *AT_EXIT.lock().unwrap() = Some((kube.dir.clone(), pids));
                // SAFETY: the handler touches only its own static, its own children and the file system.
                unsafe { libc::atexit(end) };
                kube
            })
            .await
    }

    /// Kubeconfig of the administrator (`system:masters`).
    pub fn kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// Kubeconfig of the token user `tester`, who may do nothing until a test binds a role to it.
    pub fn tester_kubeconfig(&self) -> &Path {
        &self.tester
    }

    /// The folder with the logs (`etcd.log`, `kube-apiserver.log`, `kube-controller-manager.log`).
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The API's address, `https://127.0.0.1:PORT`.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The kubectl of the same version as the server.
    pub fn kubectl_path(&self) -> PathBuf {
        self.bin.join("kubectl")
    }

    /// A client for the administrator. Belongs to the runtime that asks: make one per test.
    pub async fn client(&self) -> kube::Client {
        client_for(&self.admin).await
    }

    /// Runs kubectl as the administrator; its output whatever the exit code.
    pub async fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_as(&self.admin, arguments, "").await
    }

    /// Runs kubectl as the administrator and returns what it printed; panics with its message if it failed.
    pub async fn kubectl_ok(&self, arguments: &[&str]) -> String {
        succeeded(arguments, self.kubectl(arguments).await)
    }

    /// `kubectl apply --server-side -f -` of this text as the administrator; panics with the message if refused.
    pub async fn apply(&self, yaml: &str) -> String {
        let arguments = ["apply", "--server-side", "-f", "-"];
        succeeded(&arguments, self.kubectl_as(&self.admin, &arguments, yaml).await)
    }

    /// Runs kubectl with another kubeconfig and this standard input, for at most two minutes.
    pub async fn kubectl_as(&self, kubeconfig: &Path, arguments: &[&str], stdin: &str) -> Output {
        use tokio::io::AsyncWriteExt;
        let mut child = tokio::process::Command::new(self.kubectl_path())
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--cache-dir")
            .arg(self.dir.join("kubectl-cache"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("kubectl starts");
        let mut pipe = child.stdin.take().expect("stdin is piped");
        let text = stdin.to_owned();
        let feed = async move {
            // kubectl that refuses its arguments closes the pipe unread.
            let _ = pipe.write_all(text.as_bytes()).await;
            drop(pipe);
        };
        let (_, output) = tokio::time::timeout(Duration::from_secs(120), async {
            tokio::join!(feed, child.wait_with_output())
        })
        .await
        .unwrap_or_else(|_| panic!("kubectl {arguments:?} did not end within 120 s"));
        output.expect("kubectl's output")
    }

    /// Applies every CRD in the repository's `crds/` and waits until each is established. Returns how many.
    pub async fn apply_crds(&self) -> usize {
        let dir = repository().join("crds");
        let count = yaml_files(&dir).len();
        if count > 0 {
            let path = dir.to_string_lossy().into_owned();
            self.kubectl_ok(&["apply", "--server-side", "-f", &path]).await;
            let wait = ["wait", "--for=condition=Established", "--timeout=60s", "-f", &path];
            self.kubectl_ok(&wait).await;
        }
        count
    }

    /// Makes ServiceAccount `namespace/name`, bound to a ClusterRole with exactly the rules that the chart gives
    /// the controller, and returns a kubeconfig with a token of it: what an installed controller may do, no more.
    pub async fn controller_kubeconfig(&self, namespace: &str, name: &str) -> PathBuf {
        let path = repository().join("charts/mosdat/generated/rules.yaml");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let rules: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.service_account(namespace, name, &rules).await
    }

    /// Makes ServiceAccount `namespace/name` with these RBAC rules in the whole cluster; returns its kubeconfig.
    pub async fn service_account(&self, namespace: &str, name: &str, rules: &Value) -> PathBuf {
        let client = self.client().await;
        let role = format!("{namespace}-{name}");
        let apply = PatchParams::apply("mosdat-tests").force();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        namespaces
            .patch(namespace, &apply, &Patch::Apply(object))
            .await
            .expect("namespace");
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
        let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        accounts
            .patch(name, &apply, &Patch::Apply(object))
            .await
            .expect("service account");
        let roles: Api<ClusterRole> = Api::all(client.clone());
        let object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": role}, "rules": rules});
        roles
            .patch(&role, &apply, &Patch::Apply(object))
            .await
            .expect("cluster role");
        let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
        let object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}]});
        bindings
            .patch(&role, &apply, &Patch::Apply(object))
            .await
            .expect("cluster role binding");

        let spec = TokenRequestSpec {
            expiration_seconds: Some(6 * 3600),
            ..Default::default()
        };
        let request = TokenRequest {
            spec: Some(spec),
            ..Default::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .expect("token");
        let token = answer
            .status
            .and_then(|status| status.token)
            .expect("a token in the answer");
        let path = self.dir.join(format!("{role}.kubeconfig"));
        fs::write(&path, kubeconfig(&self.server, &self.ca_pem, &token)).expect("kubeconfig is written");
        path
    }

    async fn try_start(bin: &Path) -> Result<RealKube, String> {
        let dir = tempfile::Builder::new()
            .prefix("mosdat-kube-")
            .tempdir()
            .map_err(|error| format!("temporary folder: {error}"))?
            .keep();
        let [etcd, peer, secure, manager] = free_ports();
        let (ca_pem, cert_pem, key_pem) = certificates();
        let tokens = [random_token(), random_token()];
        let server = format!("https://127.0.0.1:{secure}");
        let account_key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text)
                .map_err(|error| format!("{}: {error}", path.display()))
                .map(|()| path)
        };
        let admin = file("admin.kubeconfig", &kubeconfig(&server, &ca_pem, &tokens[0]))?;
        let tester = file("tester.kubeconfig", &kubeconfig(&server, &ca_pem, &tokens[1]))?;
        let users = format!(
            "{},admin,admin,\"system:masters\"\n{},tester,tester\n",
            tokens[0], tokens[1]
        );
        let users = file("tokens.csv", &users)?;
        let cert = file("apiserver.crt", &cert_pem)?;
        let key = file("apiserver.key", &key_pem)?;
        let ca = file("ca.crt", &ca_pem)?;
        let account_private = file("accounts.key", &account_key.serialize_pem())?;
        let account_public = file("accounts.pub", &account_key.public_key_pem())?;
        let mut kube = RealKube {
            dir: dir.clone(),
            server,
            ca_pem,
            admin,
            tester,
            bin: bin.to_owned(),
            children: Vec::new(),
        };
        let at = |flag: &str, path: &Path| format!("--{flag}={}", path.display());

        kube.spawn(
            "etcd",
            &[
                at("data-dir", &dir.join("etcd")),
                "--unsafe-no-fsync".into(),
                "--log-level=warn".into(),
                format!("--listen-client-urls=http://127.0.0.1:{etcd}"),
                format!("--advertise-client-urls=http://127.0.0.1:{etcd}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
            ],
        )?;
        kube.spawn(
            "kube-apiserver",
            &[
                format!("--etcd-servers=http://127.0.0.1:{etcd}"),
                "--bind-address=127.0.0.1".into(),
                format!("--secure-port={secure}"),
                at("tls-cert-file", &cert),
                at("tls-private-key-file", &key),
                at("token-auth-file", &users),
                at("service-account-key-file", &account_public),
                at("service-account-signing-key-file", &account_private),
                "--service-account-issuer=https://kubernetes.default.svc".into(),
                "--service-cluster-ip-range=10.0.0.0/24".into(),
                "--authorization-mode=RBAC".into(),
                "--disable-admission-plugins=ServiceAccount".into(),
                "--allow-privileged=true".into(),
            ],
        )?;
        let begun = Instant::now();
        kube.until(begun, "kube-apiserver is not ready", &["get", "--raw", "/readyz"])
            .await?;
        kube.spawn(
            "kube-controller-manager",
            &[
                at("kubeconfig", &kube.admin.clone()),
                at("service-account-private-key-file", &account_private),
                at("root-ca-file", &ca),
                at("cert-dir", &dir.join("manager")),
                "--leader-elect=false".into(),
                "--bind-address=127.0.0.1".into(),
                format!("--secure-port={manager}"),
                "--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller".into(),
            ],
        )?;
        // Made by the serviceaccount controller, so the controller manager is at work.
        let account = ["get", "serviceaccount", "default", "--namespace=default"];
        kube.until(begun, "kube-controller-manager does not work", &account)
            .await?;
        Ok(kube)
    }

    fn spawn(&mut self, name: &'static str, arguments: &[String]) -> Result<(), String> {
        let log = self.dir.join(format!("{name}.log"));
        let out = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let copy = out.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
        let program = if name == "kube-controller-manager" {
            controller_manager()
        } else {
            self.bin.join(name)
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(copy);
        let child = spawn_for_life(command).map_err(|error| format!("{name} does not start: {error}"))?;
        self.children.insert(0, (name, child));
        Ok(())
    }

    /// Polls until kubectl succeeds; gives up at once when one of the processes has ended.
    async fn until(&mut self, begun: Instant, what: &str, arguments: &[&str]) -> Result<(), String> {
        loop {
            let output = self.kubectl(arguments).await;
            if output.status.success() {
                return Ok(());
            }
            for (name, child) in &mut self.children {
                if let Ok(Some(status)) = child.try_wait() {
                    let log = tail(&self.dir.join(format!("{name}.log")), 15);
                    return Err(format!("{name} ended ({status}):\n{log}"));
                }
            }
            if begun.elapsed() > START_DEADLINE {
                let message = String::from_utf8_lossy(&output.stderr).into_owned();
                let log = tail(&self.dir.join(format!("{}.log", self.children[0].0)), 15);
                return Err(format!("{what} after {} s: {message}\n{log}", START_DEADLINE.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
}

impl Drop for RealKube {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for (name, _) in &self.children {
                eprintln!(
                    "--- the end of {name}.log\n{}",
                    tail(&self.dir.join(format!("{name}.log")), 10)
                );
            }
            eprintln!("--- all of it is kept in {}", self.dir.display());
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A client for this kubeconfig. Belongs to the runtime that asks.
pub async fn client_for(kubeconfig: &Path) -> kube::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Kubeconfig::read_from(kubeconfig).expect("kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .expect("config");
    kube::Client::try_from(config).expect("client")
}

/// The folder with kube-apiserver, etcd and kubectl: `KUBEBUILDER_ASSETS`, or where `make kube` put them.
pub fn binaries() -> PathBuf {
    let dir = std::env::var_os("KUBEBUILDER_ASSETS")
        .map(PathBuf::from)
        .unwrap_or_else(built);
    ["etcd", "kube-apiserver", "kubectl"]
        .iter()
        .for_each(|name| present(&dir.join(name)));
    dir
}

/// kube-controller-manager, which `KUBEBUILDER_ASSETS` made for controller tests leave out.
fn controller_manager() -> PathBuf {
    let path = binaries().join("kube-controller-manager");
    let path = if path.is_file() {
        path
    } else {
        built().join("kube-controller-manager")
    };
    present(&path);
    path
}

fn built() -> PathBuf {
    cache().join("kube").join(version_in_script("KUBE_VERSION="))
}

fn present(path: &Path) {
    assert!(
        path.is_file(),
        "{} is missing: run `make kube` (once per machine, minutes)",
        path.display()
    );
}

/// The helm that `make kube` built.
pub fn helm() -> PathBuf {
    let path = cache()
        .join("helm")
        .join(version_in_script("HELM_VERSION="))
        .join("helm");
    present(&path);
    path
}

/// The repository's top folder.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The YAML files in a folder, sorted; none if it is not there.
pub fn yaml_files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn cache() -> PathBuf {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let caches = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    caches.expect("HOME is set").join("mosdat")
}

/// The script that builds the binaries is the one place that names their versions.
fn version_in_script(prefix: &str) -> &'static str {
    let script = include_str!("../../tools/kube.sh");
    script
        .lines()
        .find_map(|line| line.strip_prefix(prefix))
        .expect("tools/kube.sh names its versions")
}

fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until the last is chosen, so that they differ.
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound listener has an address").port())
}

fn random_token() -> String {
    let mut bytes = [0u8; 24];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// A CA, and a server certificate for 127.0.0.1 with its key, as PEM.
fn certificates() -> (String, String, String) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, "mosdat test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("CA");
    let key = KeyPair::generate().expect("key");
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    let cert = params.signed_by(&key, &ca).expect("certificate");
    (ca.pem(), cert.pem(), key.serialize_pem())
}

fn kubeconfig(server: &str, ca_pem: &str, token: &str) -> String {
    use base64::Engine;
    let ca = base64::engine::general_purpose::STANDARD.encode(ca_pem);
    // JSON is YAML; kubectl and kube-rs read it as such.
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    })
    .to_string()
}

fn succeeded(arguments: &[&str], output: Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {arguments:?}: {message}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Starts a child that the kernel kills when this process ends, even by SIGKILL.
///
/// The death signal is tied to the *thread* that forked, and a test's thread ends before a shared server should,
/// so all children come from one thread that lives as long as the process.
fn spawn_for_life(mut command: Command) -> std::io::Result<Child> {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    // SAFETY: prctl is async-signal-safe and changes only the child.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, result) = mpsc::channel();
    spawner
        .lock()
        .unwrap()
        .send((command, answer))
        .expect("the spawner thread lives as long as the process");
    result.recv().expect("the spawner thread answers every order")
}
