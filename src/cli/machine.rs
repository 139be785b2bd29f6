//! A VM by the name of its ProxmoxVM, for commands that work on it by hand.

use super::session::ClusterArgs;
use crate::api::{ProxmoxCluster, ProxmoxVM};
use crate::controller::client_config;
use crate::proxmox;
use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};
use std::path::PathBuf;
use std::time::Duration;

/// How long a control plane may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a ProxmoxVM is looked for.
#[derive(clap::Args)]
pub struct Plane {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Namespace of the ProxmoxVM.
    #[arg(long, short = 'n')]
    namespace: Option<String>,
    /// Folder of `mosdat up`.
    #[arg(long, default_value = ".mosdat", env = "MOSDAT_STATE")]
    state: PathBuf,
}

/// A VM, and the API that has it.
pub struct Machine {
    /// Client of its Proxmox VE.
    pub client: proxmox::Client,
    /// The node that it is on.
    pub node: String,
    /// Its number.
    pub vmid: u32,
}

impl Plane {
    /// The control plane that is named, else the one of `mosdat up`. None is started: it would have no VM.
    async fn client(&self) -> anyhow::Result<Client> {
        let kubeconfig = self.state.join("kubeconfig");
        let cluster = match self.cluster.named() || !kubeconfig.exists() {
            true => self.cluster.clone(),
            false => ClusterArgs {
                context: None,
                kubeconfig: Some(kubeconfig),
            },
        };
        let client = cluster.client().await?;
        let answer = tokio::time::timeout(PATIENCE, client.apiserver_version()).await;
        match answer {
            Ok(Ok(_)) => Ok(client),
            _ if self.cluster.named() => bail!("the cluster does not answer"),
            _ => bail!(
                "no control plane answers: start 'mosdat up' (in {}), or name a cluster with --context or --kubeconfig",
                self.state.display()
            ),
        }
    }

    /// The VM of a ProxmoxVM.
    ///
    /// # Errors
    /// No control plane answers, there is no such ProxmoxVM (the others are named), or it has no VM yet.
    pub async fn machine(&self, name: &str) -> anyhow::Result<Machine> {
        let client = &self.client().await?;
        let ns = self.namespace.as_deref().unwrap_or(client.default_namespace());
        let vms = Api::<ProxmoxVM>::namespaced(client.clone(), ns);
        let Some(vm) = vms
            .get_opt(name)
            .await
            .with_context(|| format!("reading ProxmoxVM {ns}/{name}"))?
        else {
            let there: Vec<String> = vms
                .list(&Default::default())
                .await?
                .iter()
                .map(|vm| vm.name_any())
                .collect();
            match there.is_empty() {
                true => bail!("ProxmoxVM {ns}/{name} does not exist, and there is no other in this namespace"),
                false => bail!("ProxmoxVM {ns}/{name} does not exist; there are {}", there.join(", ")),
            }
        };
        let status = vm.status.unwrap_or_default();
        let (Some(node), Some(vmid)) = (status.node, status.vmid) else {
            bail!("ProxmoxVM {ns}/{name} is not made yet: 'kubectl get pvm {name}' tells how far it is");
        };
        let cluster_name = vm.spec.cluster_ref.name;
        let cluster = Api::<ProxmoxCluster>::namespaced(client.clone(), ns)
            .get(&cluster_name)
            .await
            .with_context(|| format!("reading ProxmoxCluster {ns}/{cluster_name}"))?;
        let secret_name = cluster.spec.credentials_secret_ref.name.clone();
        let secret = Api::<Secret>::namespaced(client.clone(), ns)
            .get(&secret_name)
            .await
            .with_context(|| format!("reading Secret {ns}/{secret_name}"))?;
        let config = client_config(&cluster, &secret).map_err(anyhow::Error::msg)?;
        Ok(Machine {
            client: proxmox::Client::new(config)?,
            node,
            vmid,
        })
    }
}
