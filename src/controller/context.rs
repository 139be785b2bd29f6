//! What all reconcilers share: clients, settings, the tasks of running runs.

use super::error::code;
use super::run::Tasks;
use super::{Error, Metrics};
use crate::api::{FunctionalTestRun, ProxmoxCluster, ProxmoxVM};
use crate::executor::Executor;
use crate::proxmox::{self, Auth, Tls, VncStream};
use futures::Stream;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use secrecy::SecretString;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder below which evidence is stored, as `<namespace>/<run>-<uid>/attempt-<n>/`.
    pub artifacts_dir: PathBuf,
    /// Folder that holds the OCR models.
    pub models_dir: PathBuf,
    /// Unique per process start; a run carried out by another identity counts as interrupted.
    pub identity: String,
    /// The only namespace to look at; `None` for all.
    pub namespace: Option<String>,
}

/// Proves that a console shows something.
#[async_trait::async_trait]
pub trait DisplayProbe: Send + Sync {
    /// Opens the console and waits for a frame: width and height in pixels, or why there is none.
    async fn probe(&self, stream: Box<dyn VncStream>, password: SecretString) -> Result<(u32, u32), String>;
}

/// A Proxmox cluster as the other reconcilers use it.
#[derive(Clone)]
pub struct Cluster {
    /// The API.
    pub client: proxmox::Client,
    /// UID of the object: tells the VMs of this installation from those of another one.
    pub uid: String,
    /// The object's spec.
    pub spec: crate::api::ProxmoxClusterSpec,
    /// Who logs in: a user (`USER@REALM`) or a token (`USER@REALM!ID`).
    pub login: String,
}

impl Cluster {
    /// Whether it is root with a password: the only login that may name PCI devices by their address.
    pub fn is_root(&self) -> bool {
        self.login == "root@pam"
    }
}

struct Cached {
    key: String,
    /// When it was last compared with the objects; `None` when they are known to have changed.
    checked: Option<Instant>,
    generation: Option<i64>,
    cluster: Cluster,
}

/// Shared by all reconcilers.
pub struct Context {
    /// Kubernetes API.
    pub client: kube::Client,
    /// From the command line.
    pub settings: Settings,
    pub(super) probe: Arc<dyn DisplayProbe>,
    pub(super) executor: Arc<dyn Executor>,
    pub(super) tasks: Tasks,
    pub(super) slots: super::vm::Slots,
    pub(super) vmids: super::vm::Vmids,
    pub(super) templates: super::vm::Checked,
    /// Failures in a row by UID, and when the last one was.
    pub(super) failures: Mutex<HashMap<String, (u32, Instant)>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) mappings: super::gpu::Mappings,
    recorder: Recorder,
    clusters: Mutex<HashMap<(String, String), Cached>>,
    vms: OnceLock<Store<ProxmoxVM>>,
    trigger: mpsc::UnboundedSender<ObjectRef<FunctionalTestRun>>,
    triggers: Mutex<Option<mpsc::UnboundedReceiver<ObjectRef<FunctionalTestRun>>>>,
}

/// A panic elsewhere must not take every reconcile down: the maps stay consistent between operations.
pub(super) fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
    /// Nothing is sent yet.
    pub fn new(
        client: kube::Client,
        settings: Settings,
        probe: Arc<dyn DisplayProbe>,
        executor: Arc<dyn Executor>,
    ) -> Context {
        let reporter = Reporter {
            controller: "mosdat.dev/controller".to_string(),
            instance: Some(settings.identity.clone()),
        };
        let (trigger, triggers) = mpsc::unbounded_channel();
        Context {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            settings,
            probe,
            executor,
            tasks: Tasks::default(),
            slots: super::vm::Slots::default(),
            vmids: super::vm::Vmids::default(),
            templates: super::vm::Checked::default(),
            failures: Mutex::default(),
            metrics: Arc::new(Metrics::default()),
            mappings: Mutex::default(),
            clusters: Mutex::default(),
            vms: OnceLock::new(),
            trigger,
            triggers: Mutex::new(Some(triggers)),
        }
    }

    /// Counts into these metrics, which somebody serves.
    pub fn with_metrics(mut self, metrics: Arc<Metrics>) -> Context {
        self.metrics = metrics;
        self
    }

    /// The objects that the controllers look after.
    pub(super) fn scope<K>(&self) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match &self.settings.namespace {
            Some(ns) => Api::namespaced(self.client.clone(), ns),
            None => Api::all(self.client.clone()),
        }
    }

    pub(super) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub(super) fn set_vms(&self, store: Store<ProxmoxVM>) {
        let _ = self.vms.set(store);
    }

    /// All VMs as last seen by the watch; may be stale, so only for hints and soft limits.
    pub(super) fn known_vms(&self) -> Vec<Arc<ProxmoxVM>> {
        self.vms.get().map(Store::state).unwrap_or_default()
    }

    /// Runs whose task has news. The first caller gets them.
    pub(super) fn run_triggers(&self) -> impl Stream<Item = ObjectRef<FunctionalTestRun>> + Send + 'static {
        let taken = lock(&self.triggers).take();
        futures::stream::unfold(taken, |mut rx| async move {
            let next = match rx.as_mut() {
                Some(r) => r.recv().await,
                None => None,
            };
            match next {
                Some(o) => Some((o, rx)),
                // An ended trigger stream would end the controller.
                None => std::future::pending().await,
            }
        })
    }

    pub(super) fn trigger(&self) -> mpsc::UnboundedSender<ObjectRef<FunctionalTestRun>> {
        self.trigger.clone()
    }

    /// Ends the tasks of all runs; their status is taken up by the next process as interrupted.
    pub(super) fn cancel_runs(&self) {
        self.tasks.abort_all();
    }

    /// Publishes an Event. Failing to do so is not worth failing a reconcile.
    pub(super) async fn event(&self, about: &ObjectReference, warning: bool, reason: &str, note: &str) {
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_string(),
            note: Some(note.chars().take(1000).collect()),
            action: reason.to_string(),
            secondary: None,
        };
        if let Err(e) = self.recorder.publish(&event, about).await {
            tracing::debug!(error = %e, reason, "the event could not be published");
        }
    }

    /// The same as [`Context::cluster`], for ending what was begun: when nothing but the Secret is gone, as in a
    /// namespace that is being deleted, the login that this process remembers goes on.
    pub(super) async fn cluster_to_clean_up(&self, namespace: &str, name: &str) -> Result<Cluster, Error> {
        match self.cluster(namespace, name).await {
            Err(Error::SecretGone(text)) => {
                let id = (namespace.to_string(), name.to_string());
                let uid = self
                    .api::<ProxmoxCluster>(namespace)
                    .get_metadata(name)
                    .await
                    .map_err(Error::kube(format!("reading ProxmoxCluster {namespace}/{name}")))?
                    .metadata
                    .uid;
                let known = lock(&self.clusters).get(&id).map(|c| c.cluster.clone());
                known
                    .filter(|c| uid.as_deref() == Some(&c.uid))
                    .ok_or(Error::SecretGone(text))
            }
            other => other,
        }
    }

    /// The client of a ProxmoxCluster. Rebuilt when the object or its Secret changes.
    pub(super) async fn cluster(&self, namespace: &str, name: &str) -> Result<Cluster, Error> {
        let id = (namespace.to_string(), name.to_string());
        if let Some(c) = lock(&self.clusters).get(&id)
            && c.checked.is_some_and(|at| at.elapsed() < Duration::from_secs(5))
        {
            return Ok(c.cluster.clone());
        }
        let absent = |kind: &str, name: &str, e: kube::Error| match code(&e) {
            Some(404) => Error::Cluster(format!("{kind} {namespace}/{name} does not exist")),
            _ => Error::kube(format!("reading {kind} {namespace}/{name}"))(e),
        };
        let object = self
            .api::<ProxmoxCluster>(namespace)
            .get(name)
            .await
            .map_err(|e| absent("ProxmoxCluster", name, e))?;
        let secret_name = object.spec.credentials_secret_ref.name.clone();
        let secret = self
            .api::<Secret>(namespace)
            .get(&secret_name)
            .await
            .map_err(|e| match code(&e) {
                Some(404) => Error::SecretGone(format!(
                    "Secret {namespace}/{secret_name} does not exist; create it (again) for ProxmoxCluster {name} to be used"
                )),
                _ => absent("Secret", &secret_name, e),
            })?;
        let key = format!(
            "{:?}/{:?}/{:?}",
            object.metadata.uid, object.metadata.generation, secret.metadata.resource_version
        );
        if let Some(c) = lock(&self.clusters).get_mut(&id)
            && c.key == key
        {
            c.checked = Some(Instant::now());
            return Ok(c.cluster.clone());
        }
        let config = client_config(&object, &secret).map_err(Error::Cluster)?;
        let login = match &config.auth {
            Auth::Token { id, .. } => id.clone(),
            Auth::Password { username, .. } => username.clone(),
        };
        let cluster = Cluster {
            client: proxmox::Client::new(config)?.observed(self.metrics.clone()),
            uid: object.metadata.uid.unwrap_or_default(),
            spec: object.spec,
            login,
        };
        let cached = Cached {
            key,
            checked: Some(Instant::now()),
            generation: object.metadata.generation,
            cluster: cluster.clone(),
        };
        lock(&self.clusters).insert(id, cached);
        Ok(cluster)
    }

    /// A ProxmoxCluster as the watch sees it: what is remembered of an older one is asked anew, and nothing is kept
    /// of another object of this name.
    pub(super) fn cluster_seen(&self, namespace: &str, name: &str, uid: Option<&str>, generation: Option<i64>) {
        let id = (namespace.to_string(), name.to_string());
        let mut clusters = lock(&self.clusters);
        match clusters.get_mut(&id) {
            Some(c) if uid != Some(&c.cluster.uid) => {
                clusters.remove(&id);
                lock(&self.mappings).remove(&id);
            }
            Some(c) if c.generation != generation => {
                c.checked = None;
                lock(&self.mappings).remove(&id);
            }
            _ => {}
        }
    }

    /// Counts a failed reconcile; the pause before the next.
    pub(super) fn failed(&self, uid: Option<String>) -> Duration {
        let (mut map, now) = (lock(&self.failures), Instant::now());
        // Of an object that went away nobody says that it got through. The longest pause is a minute.
        map.retain(|_, (_, at)| now.duration_since(*at) < Duration::from_secs(600));
        let (n, at) = map.entry(uid.unwrap_or_default()).or_insert((0, now));
        *n += 1;
        *at = now;
        super::backoff::jitter(super::backoff::after_failures(*n))
    }

    /// A reconcile got through.
    pub(super) fn succeeded(&self, uid: &Option<String>) {
        lock(&self.failures).remove(uid.as_deref().unwrap_or_default());
    }
}

/// How to talk to a cluster with the login in a Secret.
///
/// # Errors
/// The Secret or a setting cannot be used; the message says why.
pub fn client_config(object: &ProxmoxCluster, secret: &Secret) -> Result<proxmox::Config, String> {
    let spec = &object.spec;
    let name = object.name_any();
    let endpoints = spec
        .endpoints
        .iter()
        .map(|e| {
            e.parse()
                .map_err(|x| format!("ProxmoxCluster {name}: endpoint {e}: {x}"))
        })
        .collect::<Result<_, _>>()?;
    let tls = match &spec.tls {
        None => Tls::SystemRoots,
        Some(t) => match (&t.ca_bundle, &t.fingerprint, t.insecure_skip_verify) {
            (Some(pem), _, _) => Tls::Ca(pem.clone()),
            (_, Some(f), _) => Tls::Fingerprint(
                proxmox::parse_fingerprint(f)
                    .ok_or_else(|| format!("ProxmoxCluster {name}: the fingerprint is no SHA-256"))?,
            ),
            (_, _, Some(true)) => Tls::InsecureSkipVerify,
            _ => Tls::SystemRoots,
        },
    };
    Ok(proxmox::Config {
        endpoints,
        auth: auth(secret)?,
        tls,
        timeout: Duration::from_secs(spec.limits.request_timeout_seconds.into()),
    })
}

/// The login: an API token or a user's password, never both.
fn auth(secret: &Secret) -> Result<Auth, String> {
    let name = secret.name_any();
    let has = |key: &str| secret.data.as_ref().is_some_and(|d| d.contains_key(key));
    let value = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|d| d.get(key));
        let text = bytes.and_then(|b| String::from_utf8(b.0.clone()).ok());
        text.map(|t| t.trim().to_string())
            .filter(|t| !t.is_empty())
            .ok_or_else(|| format!("Secret {name} has no text under key {key}"))
    };
    match (has("tokenId") || has("tokenSecret"), has("username") || has("password")) {
        (true, true) => Err(format!(
            "Secret {name} has a token and a user's password; keep tokenId and tokenSecret, or username and password"
        )),
        (true, false) => {
            let id = value("tokenId")?;
            if !id.contains('@') || !id.contains('!') {
                return Err(format!("Secret {name}: tokenId is not of the form USER@REALM!ID"));
            }
            Ok(Auth::Token {
                id,
                secret: value("tokenSecret")?.into(),
            })
        }
        (false, true) => Ok(Auth::password(value("username")?, value("password")?.into())),
        (false, false) => Err(format!(
            "Secret {name} has neither tokenId and tokenSecret nor username and password"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(keys: &[(&str, &str)]) -> Secret {
        let data = keys
            .iter()
            .map(|(k, v)| (k.to_string(), ByteString(v.as_bytes().to_vec())))
            .collect();
        let mut secret = Secret {
            data: Some(data),
            ..Secret::default()
        };
        secret.metadata.name = Some("s".to_string());
        secret
    }

    #[test]
    fn one_way_to_log_in() {
        let (id, user) = (("tokenId", "a@pve!b"), ("username", "root@pam"));
        assert!(matches!(
            auth(&secret(&[id, ("tokenSecret", "x")])),
            Ok(Auth::Token { .. })
        ));
        assert!(matches!(
            auth(&secret(&[user, ("password", "x")])),
            Ok(Auth::Password { .. })
        ));
        for (keys, want) in [
            (vec![id, ("tokenSecret", "x"), user, ("password", "x")], "keep tokenId"),
            (vec![id, ("password", "x")], "keep tokenId"),
            (vec![id], "no text under key tokenSecret"),
            (vec![("tokenId", "a@pve"), ("tokenSecret", "x")], "USER@REALM!ID"),
            (vec![user, ("password", " ")], "no text under key password"),
            (vec![], "neither tokenId"),
        ] {
            let why = auth(&secret(&keys)).expect_err("refused");
            assert!(why.contains(want), "{why}");
        }
    }
}
