//! Embedded control plane: the Kubernetes REST API in this process.
//!
//! It serves the custom resource definitions it is given, and Namespace, Secret, ConfigMap, Event and Lease, from one
//! redb file. The same service answers an in-process `kube::Client` and, behind TLS and a bearer token on loopback,
//! kubectl. A real kube-apiserver is the judge of every answer; what is not done is refused by name (404, 405, 501).

mod apply;
mod discovery;
mod disk;
mod events;
mod field;
mod gc;
mod handlers;
mod object;
mod openapi;
mod patch;
mod protobuf;
mod resource;
mod schema;
mod selectors;
mod serve;
mod service;
mod status;
mod store;
mod table;
mod tls;

pub use serve::{ServeOptions, Serving};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use resource::Registry;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Store;

/// Why the control plane could not be opened or served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the state file {} is in use by another mosdat; stop that one, or give this one a state folder of its own",
        path.display()
    )]
    Locked { path: PathBuf },
    #[error(
        "the state file {} cannot be read: {why}; move it away to start with an empty control plane",
        path.display()
    )]
    Corrupt { path: PathBuf, why: String },
    #[error("{}: cannot {what}: {source}", path.display())]
    Storage {
        path: PathBuf,
        what: &'static str,
        source: Box<redb::Error>,
    },
    #[error("{}: cannot {what}: {source}", path.display())]
    Io {
        path: PathBuf,
        what: &'static str,
        source: std::io::Error,
    },
    #[error("the schema of {kind} at {path:?}: {why}")]
    Schema { kind: String, path: String, why: String },
    #[error("the CEL rule of {kind} at {path}: {rule:?}: {why}")]
    Rule {
        kind: String,
        path: String,
        rule: String,
        why: String,
    },
    #[error("the definition of {name}: {why}")]
    Definition { name: String, why: String },
    #[error("cannot listen on {addr}: {source}; choose another port or stop what uses it")]
    Listen {
        addr: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error("the control plane must be opened within a tokio runtime")]
    NoRuntime,
    #[error("TLS in {}: {why}; remove the folder to make new certificates", dir.display())]
    Tls { dir: PathBuf, why: String },
}

/// The kinds that a control plane serves: the built-in ones and custom resources, with their schemas and rules compiled.
/// That takes a good part of a second without optimisation; cloning is cheap.
#[derive(Clone)]
pub struct Kinds(Arc<Registry>);

impl Kinds {
    /// Compiles the definitions.
    ///
    /// # Errors
    /// [`Error::Definition`] where one is there twice, or says what is not served here.
    pub fn new(crds: Vec<CustomResourceDefinition>) -> Result<Kinds, Error> {
        Ok(Kinds(Arc::new(Registry::new(crds)?)))
    }
}

/// What `ControlPlane::open` needs.
pub struct Options {
    /// The redb file; made if it is not there.
    pub state_file: PathBuf,
    /// The kinds to serve.
    pub kinds: Kinds,
}

/// The control plane. Cloning is cheap; all clones share one state. The garbage collector runs as long as a clone of
/// it, a client or a listener lives.
#[derive(Clone)]
pub struct ControlPlane {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub store: Store,
    pub registry: Arc<Registry>,
    /// Stops the garbage collector when the last user is gone.
    gc: std::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.gc.get_mut().ok().and_then(Option::take) {
            task.abort();
        }
    }
}

impl ControlPlane {
    /// Opens the state, makes the namespace `default` at first, and starts the garbage collector. Must be called
    /// within a tokio runtime (on which the collector then runs); blocks for the time of reading the file. The file is
    /// free again some moments after the last clone, client, watch and listener is dropped.
    pub fn open(opts: Options) -> Result<ControlPlane, Error> {
        tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let store = Store::open(&opts.state_file)?;
        let inner = Arc::new(Inner {
            store,
            registry: opts.kinds.0,
            gc: std::sync::Mutex::new(None),
        });
        handlers::bootstrap(&inner).map_err(|e| Error::Corrupt {
            path: opts.state_file.clone(),
            why: e.message,
        })?;
        let task = gc::start(&inner);
        if let Ok(mut slot) = inner.gc.lock() {
            *slot = Some(task);
        }
        Ok(ControlPlane { inner })
    }

    /// A client that talks to this control plane in process, without a socket.
    pub fn client(&self, default_namespace: &str) -> kube::Client {
        kube::Client::new(service::ApiService::new(self.inner.clone()), default_namespace)
    }

    /// Listens with HTTPS on loopback; every request needs the bearer token.
    pub async fn serve(&self, opts: ServeOptions) -> Result<Serving, Error> {
        serve::serve(self.inner.clone(), opts).await
    }

    /// Writes a kubeconfig (mode 0600) for a listener. It stays valid over restarts with the same address and TLS folder.
    pub fn write_kubeconfig(
        &self,
        path: &Path,
        serving: &Serving,
        token: &secrecy::SecretString,
        namespace: &str,
    ) -> Result<(), Error> {
        serve::write_kubeconfig(path, serving, token, namespace)
    }
}
