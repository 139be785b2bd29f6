//! Which control plane a command talks to.

use super::local;
use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The choice of a Kubernetes cluster.
#[derive(clap::Args, Clone)]
pub struct ClusterArgs {
    /// Context of the kubeconfig to use.
    #[arg(long)]
    pub context: Option<String>,
    /// Kubeconfig file; without it $KUBECONFIG, ~/.kube/config, or the service account in a Pod.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

impl ClusterArgs {
    /// Whether the person named a cluster.
    pub fn named(&self) -> bool {
        self.context.is_some() || self.kubeconfig.is_some()
    }

    /// A client of the named cluster, else of the one that the environment gives.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..Default::default()
        };
        let config = match &self.kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path)
                    .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
                kube::Config::from_custom_kubeconfig(file, &options).await
            }
            None if self.context.is_some() => kube::Config::from_kubeconfig(&options).await,
            None => {
                return kube::Client::try_default()
                    .await
                    .context("no usable kubeconfig; give --kubeconfig");
            }
        }
        .context("the kubeconfig cannot be used")?;
        Ok(kube::Client::try_from(config)?)
    }
}

/// A control plane to work with, started by us or found running.
pub struct Session {
    /// Client of the control plane.
    pub client: kube::Client,
    /// Namespace for objects that name none.
    pub namespace: String,
    local: Option<local::Local>,
}

impl Session {
    /// The named cluster; else a `mosdat up` that runs on `state`; else one started for this call.
    pub async fn open(cluster: &ClusterArgs, state: &Path) -> anyhow::Result<Session> {
        Session::open_with(cluster, state, true).await
    }

    /// As [`Session::open`]; what is started for this call has no lab where its machines are elsewhere.
    pub async fn open_with(cluster: &ClusterArgs, state: &Path, lab: bool) -> anyhow::Result<Session> {
        if cluster.named() {
            let client = cluster.client().await?;
            client
                .apiserver_version()
                .await
                .context("the cluster does not answer")?;
            return Ok(Session {
                namespace: client.default_namespace().to_string(),
                client,
                local: None,
            });
        }
        let kubeconfig = state.join("kubeconfig");
        if kubeconfig.exists() {
            let found = ClusterArgs {
                context: None,
                kubeconfig: Some(kubeconfig),
            }
            .client()
            .await?;
            let answer = tokio::time::timeout(Duration::from_secs(3), found.apiserver_version()).await;
            if matches!(answer, Ok(Ok(_))) {
                return Ok(Session {
                    namespace: found.default_namespace().to_string(),
                    client: found,
                    local: None,
                });
            }
        }
        let local = local::Local::start(local::Options {
            state: state.to_path_buf(),
            lab,
            api_port: 0,
            page_port: 0,
        })
        .await?;
        if local.template_ready == Some(false) {
            local.stop().await;
            anyhow::bail!("the lab has no desktop template yet; build it once with 'mosdat lab template build'");
        }
        Ok(Session {
            client: local.client.clone(),
            namespace: local.client.default_namespace().to_string(),
            local: Some(local),
        })
    }

    /// What becomes of runs when this command ends before them.
    pub fn afterwards(&self) -> &'static str {
        if self.local.is_some() {
            "what ran here is stopped, and taken up by the next 'mosdat up' or 'mosdat run' on this state; to be rid of a run, start \
             'mosdat up' and there: kubectl --kubeconfig .mosdat/kubeconfig delete ftr NAME"
        } else {
            "the runs go on; to end one, set spec.cancel or delete it"
        }
    }

    /// Ends only if what was started for this call breaks.
    pub async fn broken(&mut self) -> anyhow::Error {
        match &mut self.local {
            Some(local) => local.broken().await,
            None => std::future::pending().await,
        }
    }

    /// Ends what was started for this call.
    pub async fn close(self) {
        if let Some(local) = self.local {
            local.stop().await;
        }
    }
}
