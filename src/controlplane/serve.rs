//! HTTPS on loopback with a bearer token, and the kubeconfig for it.

use super::service::{ApiService, error};
use super::status::ApiError;
use super::{Error, Inner, tls};
use base64::Engine as _;
use http::{Request, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

/// How to listen.
pub struct ServeOptions {
    /// A loopback address; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// What clients must send as `Authorization: Bearer`.
    pub token: SecretString,
    /// Where the certificates are kept.
    pub tls_dir: PathBuf,
}

/// A running listener. Dropping it stops it; open connections are closed.
pub struct Serving {
    pub local_addr: SocketAddr,
    /// The CA that clients trust (PEM).
    pub ca_pem: String,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Serving {
    /// Stops listening and waits until all connections are closed.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub async fn serve(inner: Arc<Inner>, opts: ServeOptions) -> Result<Serving, Error> {
    let addr = opts.addr;
    if !addr.ip().is_loopback() {
        let why = "the embedded control plane listens on loopback only";
        return Err(Error::Listen { addr, source: std::io::Error::new(std::io::ErrorKind::InvalidInput, why) });
    }
    let certificates = tls::load_or_make(&opts.tls_dir)?;
    let listener = TcpListener::bind(addr).await.map_err(|source| Error::Listen { addr, source })?;
    let local_addr = listener.local_addr().map_err(|source| Error::Listen { addr, source })?;
    let acceptor = tokio_rustls::TlsAcceptor::from(certificates.config);
    let stop = CancellationToken::new();
    let service = ApiService::new(inner);
    let task = tokio::spawn(accept(listener, acceptor, service, Arc::new(opts.token), stop.clone()));
    Ok(Serving { local_addr, ca_pem: certificates.ca_pem, stop, task: Some(task) })
}

async fn accept(
    listener: TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
    service: ApiService,
    token: Arc<SecretString>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(e) => {
                    // Out of file descriptors, mostly: wait rather than spin.
                    tracing::warn!("control plane: accept: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (acceptor, service, token, stop) = (acceptor.clone(), service.clone(), token.clone(), stop.clone());
        connections.spawn(async move {
            let handshake = tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream));
            let Ok(Ok(tls)) = handshake.await else { return };
            let handler = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                let (mut service, token) = (service.clone(), token.clone());
                async move {
                    if !authorized(&request, &token) {
                        return Ok(error(&ApiError::unauthorized()));
                    }
                    service.call(request).await
                }
            });
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(tls), handler);
            tokio::select! {
                r = connection => if let Err(e) = r { tracing::debug!("control plane: connection: {e}") },
                () = stop.cancelled() => {}
            }
        });
    }
    connections.shutdown().await;
}

/// The bearer token, compared in constant time.
fn authorized<B>(request: &Request<B>, token: &SecretString) -> bool {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(sent) = sent.and_then(|v| v.strip_prefix("Bearer ")) else { return false };
    let (a, b) = (sent.trim().as_bytes(), token.expose_secret().as_bytes());
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

/// Writes a kubeconfig with one context, `mosdat`.
pub fn write_kubeconfig(path: &Path, serving: &Serving, token: &SecretString, namespace: &str) -> Result<(), Error> {
    let ca = base64::engine::general_purpose::STANDARD.encode(&serving.ca_pem);
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "mosdat", "preferences": {},
        "clusters": [{"name": "mosdat", "cluster":
            {"server": format!("https://{}", serving.local_addr), "certificate-authority-data": ca}}],
        "users": [{"name": "mosdat", "user": {"token": token.expose_secret()}}],
        "contexts": [{"name": "mosdat", "context": {"cluster": "mosdat", "user": "mosdat", "namespace": namespace}}],
    });
    // JSON is YAML; kubectl and kube-rs read it as such.
    let text = serde_json::to_string_pretty(&config).unwrap_or_default();
    tls::write_private(path, text.as_bytes())
}
