//! Checking objects as the API server would, without one: a control plane in a temporary folder is asked to create
//! them, and nothing is kept.

use super::apply::{Body, CORE, Document, kind_of};
use super::kinds::kinds;
use crate::api::{GROUP, VERSION};
use crate::controlplane::{ControlPlane, Options};
use anyhow::Context;
use kube::Resource;
use kube::api::{DynamicObject, ObjectMeta};
use kube::core::{ApiResource, GroupVersionKind};

/// What is wrong with the documents' objects, each with its place; empty when they are right.
/// Kinds of other groups are for their own server to judge.
pub async fn problems(documents: &[Document]) -> anyhow::Result<Vec<String>> {
    let bodies: Vec<&Body> = documents.iter().map(|d| &d.body).collect();
    let found = each(&bodies).await?;
    Ok(documents
        .iter()
        .zip(found)
        .filter_map(|(d, problem)| Some(format!("{}: {}", d.place, problem?)))
        .collect())
}

/// What is wrong with each of the bodies, in their order.
pub async fn each(bodies: &[&Body]) -> anyhow::Result<Vec<Option<String>>> {
    if !bodies.iter().any(|body| matches!(body, Body::Object(_))) {
        return Ok(vec![None; bodies.len()]);
    }
    let dir = tempfile::tempdir().context("cannot make a temporary folder for checking")?;
    let plane = ControlPlane::open(Options {
        state_file: dir.path().join("check.redb"),
        kinds: kinds()?,
    })?;
    let client = plane.client("default");
    let mut out = Vec::new();
    for body in bodies {
        out.push(match body {
            Body::Object(object) => problem(&client, object).await?,
            _ => None,
        });
    }
    Ok(out)
}

async fn problem(client: &kube::Client, object: &DynamicObject) -> anyhow::Result<Option<String>> {
    let types = object.types.clone().unwrap_or_default();
    let gvk = match GroupVersionKind::try_from(&types) {
        Ok(g) => g,
        Err(e) => return Ok(Some(e.to_string())),
    };
    if types.api_version == GROUP {
        return Ok(Some(format!("apiVersion has no version; use {GROUP}/{VERSION}")));
    }
    let resource = match gvk.group.as_str() {
        GROUP => match known(&gvk) {
            Ok(r) => r,
            Err(text) => return Ok(Some(text)),
        },
        "" if CORE.contains(&gvk.kind.as_str()) => ApiResource::from_gvk(&gvk),
        _ => return Ok(None),
    };
    // In a namespace that is there, whatever the object says.
    let mut object = object.clone();
    object.metadata = ObjectMeta {
        namespace: Some("default".into()),
        ..object.metadata
    };
    let path = DynamicObject::url_path(&resource, Some("default"));
    let request = http::Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(serde_json::to_vec(&object)?)?;
    match client.request::<serde_json::Value>(request).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status.message.clone())),
        Err(e) => Err(e.into()),
    }
}

fn known(gvk: &GroupVersionKind) -> Result<ApiResource, String> {
    if gvk.version != VERSION {
        return Err(format!(
            "there is no {}/{}; use {GROUP}/{VERSION}",
            gvk.group, gvk.version
        ));
    }
    let all = crate::api::crds();
    if let Some(crd) = all.iter().find(|c| c.spec.names.kind == gvk.kind) {
        return Ok(ApiResource::from_gvk_with_plural(gvk, &crd.spec.names.plural));
    }
    let kinds: Vec<&str> = all.iter().map(|c| c.spec.names.kind.as_str()).collect();
    let near = kinds.iter().max_by(|a, b| {
        let score = |k: &str| strsim::jaro_winkler(k, &gvk.kind);
        score(a).total_cmp(&score(b))
    });
    let hint = near
        .filter(|k| strsim::jaro_winkler(k, &gvk.kind) > 0.8)
        .map(|k| format!("; did you mean '{k}'?"))
        .unwrap_or_default();
    Err(format!(
        "unknown kind '{}'{hint} Kinds of {GROUP}: {}",
        gvk.kind,
        kinds.join(", ")
    ))
}

/// Whether any document makes a run.
pub fn has_run(documents: &[Document]) -> bool {
    documents.iter().any(|d| match &d.body {
        Body::Scenario(_) => true,
        Body::Routines => false,
        Body::Object(o) => kind_of(o) == "FunctionalTestRun",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(text: &str) -> Vec<String> {
        let object: DynamicObject = serde_saphyr::from_str(text).expect("YAML");
        let place = "x.yaml:1".to_string();
        let body = Body::Object(Box::new(object));
        problems(&[Document { place, body }]).await.expect("checked")
    }

    #[tokio::test]
    async fn manifests_are_judged_without_a_server() {
        let run = "apiVersion: mosdat.dev/v1alpha1\nkind: FunctionalTestRun\nmetadata: {name: NAME}\n\
            spec: {vm: {ref: {name: a}}, scenario: {ref: {name: b}}, timeoutSeconds: TIME}\n";
        let with = |name: &str, time: &str| run.replace("NAME", name).replace("TIME", time);
        assert!(of(&with("good", "5")).await.is_empty());
        for (text, word) in [
            (with("good", "10m"), "spec.timeoutSeconds"),
            (with("T_10", "5"), "metadata.name"),
            (
                with("good", "5").replace("timeoutSeconds", "timeoutSecond"),
                "spec.timeoutSecond",
            ),
            (
                with("good", "5").replace("FunctionalTestRun", "FunctionalTestRunn"),
                "did you mean 'FunctionalTestRun'?",
            ),
            (with("good", "5").replace("v1alpha1", "v2"), "use mosdat.dev/v1alpha1"),
            (with("good", "5").replace("/v1alpha1", ""), "use mosdat.dev/v1alpha1"),
        ] {
            let found = of(&text).await;
            assert!(
                found.len() == 1 && found[0].contains(word) && found[0].starts_with("x.yaml:1: "),
                "{found:?}"
            );
        }
        assert!(
            of("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n")
                .await
                .is_empty()
        );
    }
}
