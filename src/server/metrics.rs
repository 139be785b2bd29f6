//! `/metrics`, for Prometheus.

use super::{Error, Serving, run};
use crate::controller::Metrics;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;

/// OpenMetrics, as `prometheus-client` writes it.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The route, to be merged into a server's.
pub(super) fn route<S: Clone + Send + Sync + 'static>(metrics: Arc<Metrics>) -> Router<S> {
    Router::new().route(
        "/metrics",
        get(move || {
            let metrics = metrics.clone();
            async move { ([(CONTENT_TYPE, FORMAT)], metrics.text()) }
        }),
    )
}

/// A server of its own for the metrics, which a Prometheus elsewhere may reach without seeing the page.
pub async fn serve(addr: SocketAddr, metrics: Arc<Metrics>) -> Result<Serving, Error> {
    let listener = tokio::net::TcpListener::bind(addr)
        .await
        .map_err(|source| Error::Listen { addr, source })?;
    let local_addr = listener.local_addr().map_err(|source| Error::Listen { addr, source })?;
    Ok(run(listener, local_addr, route(metrics)))
}
