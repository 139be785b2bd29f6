//! `mosdat doctor`: whether what mosdat needs is there. Looks, and changes nothing.

use super::exit;
use super::session::ClusterArgs;
use crate::api::{GpuProfile, ProxmoxCluster, ProxmoxVM, VisionProvider};
use crate::lab::{self, qemu, template::Template};
use crate::vision::models;
use clap::ValueEnum;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the control plane has for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `mosdat doctor`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Namespace whose objects are looked at; without it all.
    #[arg(long, short = 'n')]
    namespace: Option<String>,
    /// Folder of `mosdat up`.
    #[arg(long, default_value = ".mosdat", env = "MOSDAT_STATE")]
    state: PathBuf,
    /// Form of the answer.
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Lines for people.
    Text,
    /// A list of objects with `area`, `about`, `state`, `says`.
    Json,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Works, but not as well as it could; or is not there, and may not be needed.
    Warning,
    /// Does not work.
    Failed,
}

/// What was looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) area: &'static str,
    pub(super) about: String,
    pub(super) state: State,
    pub(super) says: String,
}

/// Looks at everything, and tells.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let mut found = Vec::new();
    // A cluster has its own machines.
    if !args.cluster.named() {
        machine(&args.state, &mut found).await;
    }
    control_plane(&args, &mut found).await;
    answer(&found, args.format)
}

/// Prints what was found; the code is not 0 where something does not work.
pub(super) fn answer(found: &[Finding], format: Format) -> anyhow::Result<u8> {
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(found)?),
        Format::Text => print!("{}", text(found)),
    }
    Ok(match found.iter().any(|f| f.state == State::Failed) {
        true => exit::INFRASTRUCTURE,
        false => exit::PASSED,
    })
}

fn text(found: &[Finding]) -> String {
    let mut out = String::new();
    let mut area = "";
    for f in found {
        if f.area != area {
            area = f.area;
            out += &format!("{}{area}\n", if out.is_empty() { "" } else { "\n" });
        }
        let mark = match f.state {
            State::Ok => "ok  ",
            State::Warning => "warn",
            State::Failed => "FAIL",
        };
        out += &format!("  {mark}  {}: {}\n", f.about, f.says.replace('\n', "\n        "));
    }
    out
}

/// What the built-in lab and text recognition need of this machine.
async fn machine(state: &Path, found: &mut Vec<Finding>) {
    let area = "this machine";
    let mut tell = |about: &str, state: State, says: String| {
        found.push(Finding {
            area,
            about: about.to_string(),
            state,
            says,
        });
    };
    match qemu::version().await {
        Ok(version) => tell("QEMU", State::Ok, version),
        Err(e) => tell("QEMU", State::Failed, e.to_string()),
    }
    match qemu::Accel::may_virtualise() {
        true => tell(
            "virtualisation",
            State::Ok,
            "/dev/kvm opens; the lab tries it with its first guest".into(),
        ),
        false => tell(
            "virtualisation",
            State::Warning,
            "no usable KVM here: lab guests are emulated, some ten times slower".into(),
        ),
    }
    let models_dir = models::default_dir();
    match models::verify(&models_dir) {
        Ok(()) => tell(
            "text recognition",
            State::Ok,
            format!("models in {}", models_dir.display()),
        ),
        Err(e) => tell("text recognition", State::Failed, e.to_string()),
    }
    match Template::find(&lab::default_cache_dir()) {
        Ok(Some(t)) => tell(
            "desktop template",
            State::Ok,
            format!("Debian {} in {}", t.manifest.suite, t.dir.display()),
        ),
        Ok(None) => tell(
            "desktop template",
            State::Failed,
            "not built; 'mosdat lab template build' does it once".into(),
        ),
        Err(e) => tell("desktop template", State::Failed, e.to_string()),
    }
    // The folder itself may not be there before the first start.
    let folder = std::path::absolute(state).unwrap_or_else(|_| state.to_path_buf());
    let there = folder.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    match free_bytes(there) {
        Some(free) => {
            let gib = free / (1 << 30);
            let state = if gib >= 5 { State::Ok } else { State::Warning };
            let more = if gib >= 5 {
                ""
            } else {
                "; machines and pictures need some"
            };
            tell(
                "disk",
                state,
                format!("{gib} GiB are free in {}{more}", there.display()),
            );
        }
        None => tell(
            "disk",
            State::Warning,
            format!("nobody can tell what is free in {}", there.display()),
        ),
    }
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let path = std::ffi::CString::new(folder.as_os_str().as_encoded_bytes()).ok()?;
    // SAFETY: a plain old structure of numbers, which the call fills in.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a zero byte, and the structure outlives the call.
    let failed = unsafe { libc::statvfs(path.as_ptr(), &mut stat) } != 0;
    (!failed).then(|| stat.f_bavail * stat.f_frsize)
}

/// The control plane, its kinds, and what its objects say of themselves.
async fn control_plane(args: &Args, found: &mut Vec<Finding>) {
    let area = "control plane";
    let mut tell = |about: &str, state: State, says: String| {
        found.push(Finding {
            area,
            about: about.to_string(),
            state,
            says,
        });
    };
    let kubeconfig = args.state.join("kubeconfig");
    let cluster = match args.cluster.named() {
        true => args.cluster.clone(),
        false if kubeconfig.exists() => ClusterArgs {
            context: None,
            kubeconfig: Some(kubeconfig),
        },
        false => {
            let says = "'mosdat up' has not run here; 'mosdat run' starts what it needs by itself";
            return tell("embedded", State::Ok, says.into());
        }
    };
    let client = match cluster.client().await {
        Ok(client) => client,
        Err(e) => return tell("kubeconfig", State::Failed, super::plain(&format!("{e:#}"))),
    };
    match tokio::time::timeout(PATIENCE, client.apiserver_version()).await {
        Ok(Ok(version)) => tell("API server", State::Ok, version.git_version),
        _ if !args.cluster.named() => {
            let says = "'mosdat up' does not run now; 'mosdat run' starts what it needs by itself";
            return tell("embedded", State::Ok, says.into());
        }
        Ok(Err(e)) => {
            return tell(
                "API server",
                State::Failed,
                format!("does not answer: {:#}", anyhow::Error::from(e)),
            );
        }
        Err(_) => {
            return tell(
                "API server",
                State::Failed,
                format!("gave no answer within {PATIENCE:?}"),
            );
        }
    }
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in crate::api::crds() {
        let (name, kind) = (crd.name_any(), &crd.spec.names.kind);
        match crds.get_opt(&name).await {
            Ok(Some(there)) => {
                let serves = |v: &str| there.spec.versions.iter().any(|x| x.name == v && x.served);
                match crd.spec.versions.iter().all(|v| serves(&v.name)) {
                    true => tell(kind, State::Ok, "is served".into()),
                    false => tell(
                        kind,
                        State::Failed,
                        "is served in other versions; 'mosdat crds | kubectl apply --server-side -f -'".into(),
                    ),
                }
            }
            Ok(None) => tell(
                kind,
                State::Failed,
                "is not known; 'mosdat crds | kubectl apply --server-side -f -', or the Helm chart".into(),
            ),
            Err(e) => tell(kind, State::Warning, format!("cannot be looked up: {e}")),
        }
    }
    let ns = args.namespace.as_deref();
    for (area, kind) in [
        ("Proxmox clusters", ApiResource::erase::<ProxmoxCluster>(&())),
        ("vision", ApiResource::erase::<VisionProvider>(&())),
        ("GPUs", ApiResource::erase::<GpuProfile>(&())),
        ("machines", ApiResource::erase::<ProxmoxVM>(&())),
    ] {
        objects(&client, ns, area, &kind, found).await;
    }
}

fn conditions(object: &DynamicObject) -> Vec<Condition> {
    let list = object.data.pointer("/status/conditions").cloned();
    list.and_then(|list| serde_json::from_value(list).ok())
        .unwrap_or_default()
}

/// What the objects of a kind say of themselves.
async fn objects(
    client: &Client,
    namespace: Option<&str>,
    area: &'static str,
    kind: &ApiResource,
    found: &mut Vec<Finding>,
) {
    let api: Api<DynamicObject> = match namespace {
        Some(ns) => Api::namespaced_with(client.clone(), ns, kind),
        None => Api::all_with(client.clone(), kind),
    };
    let list = match api.list(&Default::default()).await {
        Ok(list) => list,
        Err(kube::Error::Api(e)) if e.code == 404 => return,
        Err(e) => {
            return found.push(Finding {
                area,
                about: kind.kind.clone(),
                state: State::Warning,
                says: format!("cannot be listed: {e}"),
            });
        }
    };
    for object in list {
        let (state, says) = judge(&conditions(&object));
        found.push(Finding {
            area,
            about: format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
            state,
            says,
        });
    }
}

/// `Ready` is well, `Stalled` is not, anything else takes its time.
fn judge(conditions: &[Condition]) -> (State, String) {
    let find = |kind: &str| conditions.iter().find(|c| c.type_ == kind);
    let says = |c: &Condition| match c.message.is_empty() {
        true => c.reason.clone(),
        false => format!("{}: {}", c.reason, c.message),
    };
    match (find("Ready"), find("Stalled").filter(|c| c.status == "True")) {
        (ready, Some(stalled)) => (State::Failed, says(ready.unwrap_or(stalled))),
        (Some(ready), None) if ready.status == "True" => (State::Ok, says(ready)),
        (Some(ready), None) => (State::Warning, says(ready)),
        (None, None) => (
            State::Warning,
            "no controller has looked at it: does one run, and does it watch this namespace?".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(kind: &str, status: &str) -> Condition {
        serde_json::from_value(serde_json::json!({
            "type": kind, "status": status, "reason": "Why", "message": "because", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }))
        .expect("condition")
    }

    #[test]
    fn what_objects_say_of_themselves() {
        let state = |list: &[(&str, &str)]| {
            let list: Vec<Condition> = list.iter().map(|(k, s)| condition(k, s)).collect();
            judge(&list).0
        };
        assert_eq!(state(&[("Ready", "True")]), State::Ok);
        assert_eq!(state(&[("Ready", "False")]), State::Warning);
        assert_eq!(state(&[("Ready", "False"), ("Stalled", "True")]), State::Failed);
        assert_eq!(state(&[("Ready", "True"), ("Stalled", "False")]), State::Ok);
        assert_eq!(state(&[]), State::Warning);
    }

    #[test]
    fn findings_stand_below_their_area() {
        let finding = |area, state| Finding {
            area,
            about: "x".into(),
            state,
            says: "one\ntwo".into(),
        };
        let found = [
            finding("a", State::Ok),
            finding("a", State::Failed),
            finding("b", State::Warning),
        ];
        assert_eq!(
            text(&found),
            "a\n  ok    x: one\n        two\n  FAIL  x: one\n        two\n\nb\n  warn  x: one\n        two\n"
        );
    }
}
