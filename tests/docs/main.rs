//! The examples in the manual are applied, so that none of them is wrong.

mod help;
mod lint;
mod migration;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt};
use mosdat::controlplane::{ControlPlane, Options};
use std::path::{Path, PathBuf};

/// The YAML blocks of a page, with the line on which each begins.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let (mut out, mut open) = (Vec::new(), None::<(usize, String)>);
    for (i, line) in page.lines().enumerate() {
        match &mut open {
            None if line.trim_start() == "```yaml" => open = Some((i + 2, String::new())),
            Some(_) if line.trim_start() == "```" => out.extend(open.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    out
}

fn pages() -> Vec<PathBuf> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut out: Vec<PathBuf> = std::fs::read_dir(docs)
        .expect("docs")
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|x| x == "md"))
        .collect();
    out.sort();
    out
}

async fn apply(client: &Client, object: &DynamicObject) -> Result<(), kube::Error> {
    let types = object.types.clone().expect("apiVersion and kind");
    let gvk = GroupVersionKind::try_from(&types).expect("group, version, kind");
    let (resource, _) = kube::discovery::pinned_kind(client, &gvk).await?;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &resource);
    let mut params = PatchParams::apply("docs").force();
    params.field_validation = Some(kube::api::ValidationDirective::Strict);
    api.patch(&object.name_any(), &params, &Patch::Apply(object))
        .await
        .map(|_| ())
}

#[tokio::test]
async fn every_manifest_in_the_manual_is_accepted() {
    let dir = tempfile::tempdir().expect("temp dir");
    let plane = ControlPlane::open(Options {
        state_file: dir.path().join("state.redb"),
        kinds: mosdat::controlplane::Kinds::new(mosdat::api::crds()).expect("kinds"),
    })
    .expect("control plane");
    let client = plane.client("default");
    let (mut kinds, mut problems) = (std::collections::BTreeSet::new(), Vec::new());
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("page");
        for (line, block) in blocks(&text).into_iter().filter(|(_, b)| b.contains("apiVersion:")) {
            for part in block.split("\n---\n") {
                let place = format!("{}:{line}", page.display());
                let object: DynamicObject = match serde_saphyr::from_str(part) {
                    Ok(o) => o,
                    Err(e) => {
                        problems.push(format!("{place}: {e}"));
                        continue;
                    }
                };
                if let Some(spec) = object.data.pointer("/spec")
                    && object.types.as_ref().is_some_and(|t| t.kind == "Scenario")
                {
                    let spec = serde_json::from_value(spec.clone()).expect("a scenario's spec");
                    if let Err(e) = mosdat::scenario::Scenario::from_spec(&spec, &place) {
                        problems.push(e.to_string());
                    }
                }
                match apply(&client, &object).await {
                    Ok(()) => drop(kinds.insert(object.types.map(|t| t.kind).unwrap_or_default())),
                    Err(e) => problems.push(format!("{place}: {e}")),
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    for crd in mosdat::api::crds() {
        assert!(
            kinds.contains(&crd.spec.names.kind),
            "the manual has no example of {}",
            crd.spec.names.kind
        );
    }
}

/// A cluster whose controller is off is let go by the command in the manual.
#[tokio::test]
async fn the_command_that_drops_a_finalizer_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/quick-start.md")).expect("page");
    let line = page.lines().find(|l| l.starts_with("kubectl patch proxmoxcluster"));
    let patch = line.and_then(|l| l.split('\'').nth(1)).expect("the command");
    let patch: serde_json::Value = serde_json::from_str(patch).expect("JSON");
    let dir = tempfile::tempdir().expect("temp dir");
    let plane = ControlPlane::open(Options {
        state_file: dir.path().join("state.redb"),
        kinds: mosdat::controlplane::Kinds::new(mosdat::api::crds()).expect("kinds"),
    })
    .expect("control plane");
    let api: Api<mosdat::api::ProxmoxCluster> = Api::namespaced(plane.client("default"), "default");
    let object = serde_json::json!({
        "apiVersion": "mosdat.dev/v1alpha1", "kind": "ProxmoxCluster",
        "metadata": {"name": "c", "finalizers": [mosdat::api::FINALIZER]},
        "spec": {"endpoints": ["https://127.0.0.1:8006"], "credentialsSecretRef": {"name": "s"}},
    });
    let object = serde_json::from_value(object).expect("a cluster");
    api.create(&Default::default(), &object).await.expect("create");
    api.delete("c", &Default::default()).await.expect("delete");
    assert!(api.get_opt("c").await.expect("get").is_some(), "the finalizer holds it");
    api.patch("c", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .expect("patch");
    assert!(api.get_opt("c").await.expect("get").is_none());
}
