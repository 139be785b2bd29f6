//! `mosdat controller`: reconcile a real cluster's objects.

use super::{exit, local, session, shutdown_signal};
use crate::{controller, server};
use std::net::SocketAddr;
use std::path::PathBuf;

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
}

pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = args.cluster.client().await?;
    let artifacts = std::path::absolute(&args.artifacts)?;
    let page = server::serve(server::Options {
        client: client.clone(),
        namespace: args.namespace.clone(),
        artifacts: artifacts.clone(),
        addr: args.listen,
    })
    .await?;
    eprintln!("mosdat: controller started; page http://{}", page.local_addr);
    let ctx = local::context(client, artifacts, args.namespace);
    controller::run(ctx, shutdown_signal()).await?;
    page.shutdown().await;
    Ok(exit::PASSED)
}
