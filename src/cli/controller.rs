//! `mosdat controller`: reconcile a real cluster's objects.

use super::{exit, local, session, shutdown_signal};
use crate::{controller, server};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: session::ClusterArgs,
    /// Watch one namespace instead of all.
    #[arg(long, short = 'n')]
    namespace: Option<String>,
    /// Folder for the runs' evidence.
    #[arg(long, default_value = ".mosdat/artifacts", env = "MOSDAT_ARTIFACTS")]
    artifacts: PathBuf,
    /// Address of the page, /healthz and /readyz.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address of /metrics; without it the page's server has them, on loopback only.
    #[arg(long)]
    metrics_address: Option<SocketAddr>,
}

pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.cluster.client().await?;
    let artifacts = std::path::absolute(&args.artifacts)?;
    let metrics = Arc::new(controller::Metrics::default());
    let apart = match args.metrics_address {
        Some(addr) => Some(server::serve_metrics(addr, metrics.clone()).await?),
        None => None,
    };
    let page = server::serve(server::Options {
        client: client.clone(),
        namespace: args.namespace.clone(),
        artifacts: artifacts.clone(),
        addr: args.listen,
        metrics: apart
            .is_none()
            .then(|| metrics.clone())
            .filter(|_| args.listen.ip().is_loopback()),
    })
    .await?;
    eprintln!("mosdat: controller started; page http://{}", page.local_addr);
    if let Some(m) = &apart {
        eprintln!("mosdat: metrics http://{}/metrics", m.local_addr);
    }
    let ctx = local::context(client, artifacts, args.namespace).with_metrics(metrics);
    controller::run(ctx, shutdown_signal()).await?;
    page.shutdown().await;
    if let Some(m) = apart {
        m.shutdown().await;
    }
    Ok(exit::PASSED)
}
