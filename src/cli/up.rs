//! `mosdat up`: everything on this machine.

use super::{exit, local, shutdown_signal};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Folder for the state, the kubeconfig and the artifacts.
    #[arg(long, default_value = ".mosdat", env = "MOSDAT_STATE")]
    state: PathBuf,
    /// Do not start the lab; runs then need a ProxmoxCluster of your own.
    #[arg(long)]
    no_lab: bool,
    /// Port of the Kubernetes API on 127.0.0.1; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    api_port: u16,
    /// Port of the page on 127.0.0.1; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    page_port: u16,
}

pub async fn run(args: Args) -> anyhow::Result<u8> {
    let mut local = local::Local::start(local::Options {
        state: args.state.clone(),
        lab: !args.no_lab,
        api_port: args.api_port,
        page_port: args.page_port,
    })
    .await?;
    println!("mosdat is ready");
    println!("  Kubernetes API  {}", local.api_url);
    println!("  kubeconfig      {}", local.kubeconfig.display());
    println!("  page            {}", local.page_url);
    match local.template_ready {
        Some(true) => println!("  lab             ready; its cluster is named '{}'", local::LAB),
        Some(false) => println!("  lab             has no desktop template yet: run 'mosdat lab template build'"),
        None => println!("  lab             off"),
    }
    println!("Next, in another terminal:");
    println!("  export KUBECONFIG={}", local.kubeconfig.display());
    match local.template_ready {
        Some(_) => println!(
            "  mosdat run examples/quickstart/scenario.yaml examples/quickstart/passing.yaml\n  # or: kubectl apply -f FILE, kubectl get ftr -w"
        ),
        None => println!(
            "  kubectl apply -f FILE   # a ProxmoxCluster of your own first: docs/proxmox-setup.md\n  kubectl get pxc,pvm,ftr -w"
        ),
    }
    println!("Ctrl-C ends it.");
    let broken = tokio::select! {
        () = shutdown_signal() => None,
        error = local.broken() => Some(error),
    };
    eprintln!("mosdat: stopping");
    local.stop().await;
    broken.map_or(Ok(exit::PASSED), Err)
}
