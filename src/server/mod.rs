//! The web page: runs with their status, steps and screenshots. Read-only.
//!
//! It shows what the resources' status and the evidence folder say, and keeps no state of its own.
//! Bound to loopback it answers only requests for loopback names, so that no web site can read it through a
//! person's browser by DNS rebinding.

mod artifacts;
mod html;
mod metrics;
mod pages;
mod steps;

pub use metrics::serve as serve_metrics;

use crate::controller::Metrics;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the page needs.
pub struct Options {
    /// Where the runs are.
    pub client: kube::Client,
    /// The one namespace to show; `None` shows all.
    pub namespace: Option<String>,
    /// Root of the runs' evidence.
    pub artifacts: PathBuf,
    /// Where to listen.
    pub addr: SocketAddr,
    /// Served at `/metrics`, if given.
    pub metrics: Option<Arc<Metrics>>,
}

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is not to be had.
    #[error("cannot listen on {addr}: {source}; give another port, or 0 for any")]
    Listen {
        /// Address asked for.
        addr: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// A running page.
pub struct Serving {
    /// Address it listens on.
    pub local_addr: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Serving {
    /// Ends it; open requests get two seconds.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let abort = self.task.abort_handle();
        if tokio::time::timeout(Duration::from_secs(2), self.task).await.is_err() {
            abort.abort();
        }
    }
}

struct Shared {
    client: kube::Client,
    namespace: Option<String>,
    artifacts: PathBuf,
    loopback: bool,
}

/// Starts serving.
pub async fn serve(options: Options) -> Result<Serving, Error> {
    let addr = options.addr;
    let listener = tokio::net::TcpListener::bind(addr)
        .await
        .map_err(|source| Error::Listen { addr, source })?;
    let local_addr = listener.local_addr().map_err(|source| Error::Listen { addr, source })?;
    let shared = Arc::new(Shared {
        client: options.client,
        namespace: options.namespace,
        artifacts: options.artifacts,
        loopback: local_addr.ip().is_loopback(),
    });
    let counted = options.metrics.map(metrics::route).unwrap_or_default();
    let app = Router::new()
        .route("/", get(pages::runs))
        .route("/runs/{namespace}/{name}", get(pages::run))
        .route("/artifacts/{*path}", get(artifacts::file))
        .route("/readyz", get(ready))
        .merge(counted)
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
        // Probes come to the Pod's address by IP, whatever it is.
        .route("/healthz", get(|| async { "ok" }))
        .with_state(shared);
    Ok(run(listener, local_addr, app))
}

/// Serves until it is told to stop.
fn run(listener: tokio::net::TcpListener, local_addr: SocketAddr, app: Router) -> Serving {
    let stop = CancellationToken::new();
    let ended = stop.clone();
    let task = tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, app)
            .with_graceful_shutdown(ended.cancelled_owned())
            .await
        {
            tracing::error!("the server at {local_addr} ended: {e}");
        }
    });
    Serving { local_addr, stop, task }
}

async fn ready(State(s): State<Arc<Shared>>) -> Response {
    match s.client.apiserver_version().await {
        Ok(_) => "ok".into_response(),
        Err(e) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the Kubernetes API does not answer: {e}"),
        )
            .into_response(),
    }
}

/// Refuses foreign host names on loopback, and forbids scripts and framing everywhere.
async fn guard(State(s): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default();
    if s.loopback && !is_loopback_name(host) {
        return (StatusCode::FORBIDDEN, "this page answers only on localhost").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // Evidence (reports) brings its own inline style and script; nothing may come from elsewhere.
    const CSP: &str = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(CSP));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    response
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((n, port)) if port.chars().all(|c| c.is_ascii_digit()) => n,
        _ => host,
    };
    name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback_name;

    #[test]
    fn only_loopback_names_pass() {
        for yes in ["localhost", "localhost:80", "127.0.0.1:9", "[::1]:8080", "127.9.9.9"] {
            assert!(is_loopback_name(yes), "{yes}");
        }
        for no in [
            "",
            "evil.example",
            "evil.example:80",
            "10.0.0.1:80",
            "localhost.evil.example",
        ] {
            assert!(!is_loopback_name(no), "{no}");
        }
    }
}
