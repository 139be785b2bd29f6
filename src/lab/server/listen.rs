//! The HTTPS listener: HTTP/1.1 only, with a certificate that is kept, so that it can be pinned.

use super::Node;
use super::access::TOKEN_ID;
use super::answer::{Answer, Refusal, response};
use super::params::{Kind, Params};
use crate::lab::{Error, Result};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Largest body that is taken.
const BODY_LIMIT: usize = 512 << 10;
/// Every 401 is held back this long, as Proxmox does against guessing.
const DELAY_401: Duration = Duration::from_secs(3);

/// The served lab. Dropping it pulls the plug of every machine; [`Serving::shutdown`] does so in order.
pub struct Serving {
    /// Base URL, `https://127.0.0.1:PORT`.
    pub url: String,
    /// SHA-256 of the certificate, as `AB:CD:...`.
    pub fingerprint: String,
    /// Id of the API token.
    pub token_id: String,
    /// Secret of the API token.
    pub token_secret: SecretString,
    /// File that holds the secret.
    pub token_secret_file: PathBuf,
    node: Arc<Node>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Serving {
    /// Stops every machine and the listener.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if (&mut self.task).await.is_err() {
            tracing::warn!("the lab's listener ended badly");
        }
        // A start that is under way would outlive the machines that are stopped next.
        self.node.tasks.abort_all();
        self.node.stop_all().await;
        self.node.unlock();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The listener and the tasks hold the machines, each of which ends with its last holder.
        self.stop.cancel();
        self.node.tasks.abort_all();
        self.node.kill_all();
    }
}

pub(super) async fn serve(node: Arc<Node>, addr: SocketAddr) -> Result<Serving> {
    let (cert, key) = certificate(&node.dir)?;
    let fingerprint: Vec<String> = Sha256::digest(&cert).iter().map(|b| format!("{b:02X}")).collect();
    let tls = |e: rustls::Error| Error::Tls(e.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .map_err(tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(addr)
        .await
        .map_err(|source| Error::Listen { addr, source })?;
    let local = listener.local_addr().map_err(|source| Error::Listen { addr, source })?;
    let stop = CancellationToken::new();
    let task = tokio::spawn(accept(node.clone(), listener, acceptor, stop.clone()));
    Ok(Serving {
        url: format!("https://{local}"),
        fingerprint: fingerprint.join(":"),
        token_id: TOKEN_ID.to_string(),
        token_secret: node.access.token.clone(),
        token_secret_file: node.access.token_file.clone(),
        node,
        stop,
        task,
    })
}

async fn accept(
    node: Arc<Node>,
    listener: tokio::net::TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
    stop: CancellationToken,
) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(e) => {
                    // Out of descriptors, say: the next may come through.
                    tracing::warn!("accepting a connection: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (node, acceptor, stop) = (node.clone(), acceptor.clone(), stop.clone());
        tokio::spawn(async move {
            // Frames of the console are small and wanted now.
            let _ = stream.set_nodelay(true);
            let handshake = tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream)).await;
            let Ok(Ok(stream)) = handshake else { return };
            let service = service_fn(move |request| {
                let node = node.clone();
                async move { Ok::<_, std::convert::Infallible>(handle(node, request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::select! {
                ended = connection => if let Err(e) = ended { tracing::debug!("connection: {e}") },
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn handle(node: Arc<Node>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let answer = match route(node, request).await {
        Ok(Routed::Switched(response)) => return response,
        Ok(Routed::Answered(answer)) => answer,
        Err(refusal) => Err(refusal),
    };
    if matches!(&answer, Err(r) if r.status == 401) {
        tokio::time::sleep(DELAY_401).await;
    }
    response(answer)
}

enum Routed {
    Answered(Answer),
    Switched(Response<Full<Bytes>>),
}

async fn route(node: Arc<Node>, request: Request<Incoming>) -> Result<Routed, Refusal> {
    let method = request.method().clone();
    let full = request.uri().path().to_string();
    if !matches!(method, Method::GET | Method::POST | Method::PUT | Method::DELETE) {
        return Err(Refusal::not_implemented(method.as_str(), &full));
    }
    let unknown = || Refusal::not_implemented(method.as_str(), &full);
    let Some(path) = full.strip_prefix("/api2/json/") else {
        return Err(unknown());
    };
    // UPIDs and snapshot names may come percent-encoded.
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8_lossy()
        .into_owned();
    let mut p = Params::form(request.uri().query().unwrap_or_default().as_bytes());
    if (&method, path.as_str()) == (&Method::POST, "access/ticket") {
        p.0.extend(body(request).await?.0);
        p.check(&[
            ("username", Kind::Text, true),
            ("password", Kind::Text, true),
            ("realm", Kind::Text, false),
        ])?;
        return Ok(Routed::Answered(node.access.log_in(&p)));
    }
    let user = node.access.authenticate(&method, request.headers())?;
    if let Some(vmid) = path
        .strip_prefix(&format!("nodes/{}/qemu/", super::NODE))
        .and_then(|r| r.strip_suffix("/vncwebsocket"))
        && let Ok(vmid) = vmid.parse::<u32>()
        && method == Method::GET
    {
        return node.vncwebsocket(vmid, &p, &user, request).await.map(Routed::Switched);
    }
    match method {
        Method::POST | Method::PUT => p.0.extend(body(request).await?.0),
        Method::GET | Method::DELETE => {
            let sent = request.headers().get(header::CONTENT_LENGTH).is_some_and(|l| l != "0");
            if sent || request.headers().contains_key(header::TRANSFER_ENCODING) {
                return Err(Refusal {
                    status: 501,
                    ..Refusal::die(format!("Unexpected content for method '{method}'"))
                });
            }
        }
        _ => return Err(unknown()),
    }
    Ok(Routed::Answered(node.dispatch(method.as_str(), &path, &p, &user).await))
}

async fn body(request: Request<Incoming>) -> Result<Params, Refusal> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .to_string();
    let bytes = Limited::new(request.into_body(), BODY_LIMIT)
        .collect()
        .await
        .map_err(|e| Refusal::die(format!("for the body: {e}")))?
        .to_bytes();
    match kind.split(';').next().map(str::trim) {
        _ if bytes.is_empty() => Ok(Params::default()),
        Some("application/x-www-form-urlencoded") => Ok(Params::form(&bytes)),
        Some("application/json") => Params::json(&bytes),
        _ => Err(Refusal {
            status: 506,
            ..Refusal::die(format!("Unknown content type '{kind}'"))
        }),
    }
}

/// The certificate and its key, made at the first start.
fn certificate(dir: &Path) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    use std::io::Write;
    let path = dir.join("tls.pem");
    if !path.exists() {
        let wrong = |e: rcgen::Error| Error::Tls(e.to_string());
        let names = vec![
            "127.0.0.1".to_string(),
            "localhost".to_string(),
            super::NODE.to_string(),
        ];
        let key = rcgen::KeyPair::generate().map_err(wrong)?;
        let cert = rcgen::CertificateParams::new(names)
            .map_err(wrong)?
            .self_signed(&key)
            .map_err(wrong)?;
        // Whole or not at all; a temporary file is made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(Error::io("create a file in", dir))?;
        let text = format!("{}{}", cert.pem(), key.serialize_pem());
        file.write_all(text.as_bytes()).map_err(Error::io("write", &path))?;
        file.as_file().sync_all().map_err(Error::io("write", &path))?;
        file.persist(&path).map_err(|e| Error::io("write", &path)(e.error))?;
    }
    let bad = |e: rustls::pki_types::pem::Error| Error::BadFile {
        path: path.clone(),
        why: e.to_string(),
    };
    Ok((
        CertificateDer::from_pem_file(&path).map_err(bad)?,
        PrivateKeyDer::from_pem_file(&path).map_err(bad)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_private_and_leaves_nothing_else() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (made, _) = certificate(dir.path()).unwrap();
        let mode = std::fs::metadata(dir.path().join("tls.pem"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(certificate(dir.path()).unwrap().0, made, "kept");
    }
}
