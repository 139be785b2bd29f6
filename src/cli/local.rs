//! Everything on one machine: the embedded control plane, the controller, the lab and the page, in this process.
//!
//! This is the one place that knows about "embedded mode": it builds the two clients that the rest is given.

use crate::api::{
    ClusterDefaults, ClusterTls, GpuDevice, GpuProfile, GpuProfileSpec, LocalRef, ProxmoxCluster, ProxmoxClusterSpec,
    VmidRange,
};
use crate::{controller, controlplane, lab, server};
use anyhow::Context;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use secrecy::{ExposeSecret, SecretString};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Name of the objects that stand for the built-in lab.
pub const LAB: &str = "lab";
const NAMESPACE: &str = "default";
const FIELD_MANAGER: &str = "mosdat-up";

/// What to start.
pub struct Options {
    /// Folder of everything that outlives the process.
    pub state: PathBuf,
    /// Whether the lab is started too.
    pub lab: bool,
    /// Port of the Kubernetes API; 0 lets the system choose.
    pub api_port: u16,
    /// Port of the page; 0 lets the system choose.
    pub page_port: u16,
}

/// The running parts. [`Local::stop`] ends them in order.
pub struct Local {
    /// Client of the embedded control plane.
    pub client: kube::Client,
    /// Kubeconfig for kubectl and other programs.
    pub kubeconfig: PathBuf,
    /// Address of the Kubernetes API.
    pub api_url: String,
    /// Address of the page.
    pub page_url: String,
    /// Whether a desktop template is there to be cloned; `None` without the lab.
    pub template_ready: Option<bool>,
    stop: CancellationToken,
    controller: tokio::task::JoinHandle<Result<(), controller::Error>>,
    serving: controlplane::Serving,
    lab: Option<lab::Serving>,
    page: server::Serving,
}

impl Local {
    /// Starts the parts. What fails is named, and what had been started is stopped.
    pub async fn start(opts: Options) -> anyhow::Result<Local> {
        let state = std::path::absolute(&opts.state)?;
        std::fs::create_dir_all(&state).with_context(|| format!("cannot create {}", state.display()))?;
        let plane = controlplane::ControlPlane::open(controlplane::Options {
            state_file: state.join("controlplane.redb"),
            kinds: super::kinds::kinds()?,
        })?;
        let token = token(&state.join("token"))?;
        let serving = plane
            .serve(controlplane::ServeOptions {
                addr: loopback(opts.api_port),
                token: token.clone(),
                tls_dir: state.join("tls"),
            })
            .await?;
        let kubeconfig = state.join("kubeconfig");
        plane.write_kubeconfig(&kubeconfig, &serving, &token, NAMESPACE)?;
        let client = plane.client(NAMESPACE);

        // Before the lab and the controller: when the port is taken, nothing has begun to work on the state.
        let artifacts = state.join("artifacts");
        let metrics = Arc::new(controller::Metrics::default());
        let page = server::serve(server::Options {
            client: client.clone(),
            namespace: None,
            artifacts: artifacts.clone(),
            addr: loopback(opts.page_port),
            metrics: Some(metrics.clone()),
        })
        .await?;
        let page_url = format!("http://{}", page.local_addr);

        let (mut lab_serving, mut template_ready) = (None, None);
        if opts.lab {
            let what = "the lab cannot start ('mosdat up --no-lab' does without it)";
            let lab = lab::Lab::open(lab::Options::in_state(&state.join("lab"))).context(what)?;
            template_ready = Some(lab.template_ready());
            let s = lab.serve().await.context(what)?;
            declare_lab(&client, &s)
                .await
                .context("cannot declare the lab to the control plane")?;
            lab_serving = Some(s);
        }

        let stop = CancellationToken::new();
        let ctx = context(client.clone(), artifacts, None).with_metrics(metrics);
        let url_file = state.join("page.url");
        std::fs::write(&url_file, format!("{page_url}\n"))
            .with_context(|| format!("cannot write {}", url_file.display()))?;
        let controller = tokio::spawn(controller::run(ctx, stop.clone().cancelled_owned()));
        Ok(Local {
            client,
            kubeconfig,
            api_url: format!("https://{}", serving.local_addr),
            page_url,
            template_ready,
            stop,
            controller,
            serving,
            lab: lab_serving,
            page,
        })
    }

    /// Ends only if the controller does, which by itself it never should.
    pub async fn broken(&mut self) -> anyhow::Error {
        match (&mut self.controller).await {
            Ok(Ok(())) => anyhow::anyhow!("the controller ended by itself"),
            Ok(Err(e)) => anyhow::Error::new(e).context("the controller ended"),
            Err(e) => anyhow::Error::new(e).context("the controller broke off; this is a defect of mosdat"),
        }
    }

    /// Stops the controller, then the lab with its machines, then the servers.
    pub async fn stop(self) {
        self.stop.cancel();
        // One that ended was awaited already.
        if !self.controller.is_finished()
            && tokio::time::timeout(std::time::Duration::from_secs(10), self.controller)
                .await
                .is_err()
        {
            tracing::warn!("the controller did not end within 10 s; going on");
        }
        if let Some(lab) = self.lab {
            lab.shutdown().await;
        }
        self.page.shutdown().await;
        self.serving.shutdown().await;
    }
}

/// The controller's context in this process, whichever control plane the client talks to.
pub fn context(client: kube::Client, artifacts_dir: PathBuf, namespace: Option<String>) -> controller::Context {
    let models_dir = crate::vision::models::default_dir();
    let settings = controller::Settings {
        artifacts_dir,
        models_dir: models_dir.clone(),
        identity: format!("{}-{:08x}", std::process::id(), rand::random::<u32>()),
        namespace,
    };
    let executor = Arc::new(crate::executor::Local::new(models_dir));
    controller::Context::new(client, settings, Arc::new(controller::DesktopProbe), executor)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The token of the Kubernetes API, made at the first start.
fn token(path: &Path) -> anyhow::Result<SecretString> {
    use std::io::Write;
    if let Ok(old) = std::fs::read_to_string(path)
        && !old.trim().is_empty()
    {
        return Ok(SecretString::from(old.trim().to_string()));
    }
    let new = hex::encode(rand::random::<[u8; 24]>());
    let mut f = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    f.write_all(new.as_bytes())?;
    Ok(SecretString::from(new))
}

/// Makes the objects by which runs refer to the lab: credentials, cluster, and the stand-in GPU's profile.
async fn declare_lab(client: &kube::Client, lab: &lab::Serving) -> anyhow::Result<()> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let credentials = format!("{LAB}-credentials");
    let secret = Secret {
        metadata: named(&credentials),
        string_data: Some(
            [
                ("tokenId".to_string(), lab.token_id.clone()),
                ("tokenSecret".to_string(), lab.token_secret.expose_secret().to_string()),
            ]
            .into(),
        ),
        ..Default::default()
    };
    Api::<Secret>::namespaced(client.clone(), NAMESPACE)
        .patch(&credentials, &params, &Patch::Apply(&secret))
        .await?;
    let cluster = ProxmoxCluster {
        metadata: named(LAB),
        spec: ProxmoxClusterSpec {
            endpoints: vec![lab.url.clone()],
            credentials_secret_ref: LocalRef { name: credentials },
            tls: Some(ClusterTls {
                fingerprint: Some(lab.fingerprint.clone()),
                ..Default::default()
            }),
            vmid_range: VmidRange { start: 100, end: 999 },
            defaults: Some(ClusterDefaults::default()),
            limits: Default::default(),
            orphan_policy: Default::default(),
        },
        status: None,
    };
    Api::<ProxmoxCluster>::namespaced(client.clone(), NAMESPACE)
        .patch(LAB, &params, &Patch::Apply(&cluster))
        .await?;
    let gpu = GpuProfile {
        metadata: named(LAB),
        spec: GpuProfileSpec {
            cluster_ref: LocalRef { name: LAB.into() },
            devices: vec![GpuDevice {
                name: "card0".into(),
                mapping: Some(lab::GPU_MAPPING.into()),
                ..GpuDevice::default()
            }],
            pcie: true,
            x_vga: false,
            rombar: true,
            cool_down_seconds: 0,
            health_check: None,
        },
        status: None,
    };
    Api::<GpuProfile>::namespaced(client.clone(), NAMESPACE)
        .patch(LAB, &params, &Patch::Apply(&gpu))
        .await?;
    Ok(())
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_string()),
        namespace: Some(NAMESPACE.to_string()),
        ..Default::default()
    }
}
