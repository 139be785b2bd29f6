//! Reading manifests and scenario files, and applying them.

use super::files::{Part, Texts, texts};
use crate::api::{CloneSource, FunctionalTestRun, FunctionalTestRunSpec, LocalRef, ProxmoxVMSpec, RunScenario, RunVm};
use crate::api::{GROUP, ScenarioSpec, VmSource};
use crate::scenario::{Place, Problem, Remark, Scenario};
use anyhow::Context;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

const FIELD_MANAGER: &str = "mosdat-run";
const NOT_TYPED: &str = "failed to create typed patch object";

/// One document of a file.
pub struct Document {
    /// `FILE:LINE` of the document's first line.
    pub place: String,
    /// What it declares.
    pub body: Body,
}

/// What a document declares.
pub enum Body {
    /// A Kubernetes object.
    Object(Box<DynamicObject>),
    /// A stand-alone scenario.
    Scenario(Box<ScenarioSpec>),
    /// Routines that other files import.
    Routines,
}

/// What files hold.
#[derive(Default)]
pub struct Read {
    /// Their documents, as far as they could be read.
    pub documents: Vec<Document>,
    /// All problems of all files, each with its place.
    pub problems: Vec<String>,
    /// What is left aside of a folder, and why.
    pub aside: Vec<Remark>,
    /// How many files were read.
    pub files: usize,
}

/// Reads files and folders as [`texts`] finds them, and checks every scenario in them.
pub fn read(paths: &[PathBuf], deep: bool) -> Read {
    let Texts {
        parts,
        problems,
        aside,
        files,
    } = texts(paths, deep);
    let mut documents = Vec::new();
    let mut problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for part in parts {
        let (document, wrong) = document(&part);
        documents.extend(document);
        problems.extend(wrong.iter().map(ToString::to_string));
    }
    Read {
        documents,
        problems,
        aside,
        files,
    }
}

/// A document as the loader reads it, and YAML 1.2: `n` is text.
fn value(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true })
}

fn has_only_routines(value: &Value) -> bool {
    value.get("apiVersion").is_none() && value.get("routines").is_some() && value.get("steps").is_none()
}

/// True for a document that other files import.
pub fn is_library(text: &str) -> bool {
    value(text).is_ok_and(|value| has_only_routines(&value))
}

/// What a document declares, as far as it can be read, and everything that is wrong with it. An object whose scenario is
/// wrong has a harmless one in its place, so that the rest of it can be judged too.
pub fn document(part: &Part) -> (Option<Document>, Vec<Problem>) {
    let (file, line, text) = (part.file.as_path(), part.line, part.text.as_str());
    let origin = file.display().to_string();
    let place = format!("{origin}:{line}");
    let wrong = |message: String| part.problem(message);
    let value = match value(text) {
        Ok(value) => value,
        // The loader's words for it, which tell more; where it has none, the library's.
        Err(e) => {
            let told = Scenario::in_manifests(&origin, text, file.parent()).err();
            return (
                None,
                told.map_or_else(|| vec![not_yaml(&origin, &e)], |errors| errors.0),
            );
        }
    };
    if has_only_routines(&value) {
        let body = Body::Routines;
        return match Scenario::check_routines(&origin, text) {
            Ok(()) => (Some(Document { place, body }), Vec::new()),
            Err(e) => (None, e.0),
        };
    }
    let alone = value.get("apiVersion").is_none();
    let mut problems = Vec::new();
    if alone || value.get("kind").and_then(Value::as_str) == Some("Scenario") {
        match Scenario::from_text(&origin, text, file.parent()) {
            Ok(scenario) if alone => {
                let spec = match scenario.to_spec() {
                    Ok(spec) => spec,
                    Err(e) => return (None, vec![wrong(e.to_string())]),
                };
                let body = Body::Scenario(Box::new(spec));
                return (Some(Document { place, body }), Vec::new());
            }
            Ok(_) => {}
            Err(e) if alone => return (None, e.0),
            Err(e) => problems = e.0,
        }
    }
    let ours = is_ours(&value);
    let mut object: DynamicObject = match serde_json::from_value(value) {
        Ok(object) => object,
        Err(e) => {
            problems.push(wrong(format!("not a Kubernetes object: {e}")));
            return (None, problems);
        }
    };
    let scenario_is_wrong = !problems.is_empty();
    if ours && object.types.is_none() {
        problems.push(wrong("kind is missing".into()));
    }
    if ours && is_nameless(&object) {
        problems.push(wrong("metadata.name is missing".into()));
        object.metadata.name = Some("unnamed".into());
    }
    if scenario_is_wrong {
        put_scenario(&mut object, harmless());
    } else if ours || HOLDERS.contains(&kind_of(&object)) {
        // Scenarios inside runs too; with their lines in the file.
        match Scenario::in_manifests(&origin, text, file.parent()) {
            Ok(scenarios) => {
                // What was in other files comes along: the API server has none of them.
                for scenario in scenarios.iter().filter(|s| s.bundled) {
                    match scenario.to_spec().and_then(serde_json::to_value) {
                        Ok(spec) => put_scenario(&mut object, spec),
                        Err(e) => problems.push(wrong(e.to_string())),
                    }
                }
            }
            Err(e) => {
                problems.extend(e.0);
                put_scenario(&mut object, harmless());
            }
        }
    }
    let body = Body::Object(Box::new(object));
    (Some(Document { place, body }), problems)
}

/// Kinds of the core group that are judged here.
pub const CORE: [&str; 2] = ["Secret", "ConfigMap"];

/// Kinds in which a scenario stands.
const HOLDERS: [&str; 2] = ["Scenario", "FunctionalTestRun"];

/// Whether a manifest is one of those that are judged here; others are for their own tools and servers, which know
/// what has to be in them: a kustomization has no name.
fn is_ours(manifest: &Value) -> bool {
    let word = |key: &str| manifest.get(key).and_then(Value::as_str).unwrap_or_default();
    match word("apiVersion") {
        "v1" => CORE.contains(&word("kind")),
        version => version.split('/').next() == Some(GROUP),
    }
}

/// Whether an object says no name by which it could be applied.
pub fn is_nameless(object: &DynamicObject) -> bool {
    object.metadata.name.is_none() && object.metadata.generate_name.is_none()
}

/// Puts a scenario where an object has its own; nowhere, if it has none.
fn put_scenario(object: &mut DynamicObject, spec: Value) {
    match kind_of(object) {
        "Scenario" => object.data["spec"] = spec,
        "FunctionalTestRun" => {
            if let Some(own) = object.data.pointer_mut("/spec/scenario/inline") {
                *own = spec;
            }
        }
        _ => {}
    }
}

/// A scenario that nothing is wrong with.
fn harmless() -> Value {
    serde_json::json!({"name": "x", "steps": [{"note": "x"}]})
}

fn not_yaml(origin: &str, e: &serde_saphyr::Error) -> Problem {
    let (place, message) = match e.location() {
        Some(l) => (
            Place::Line(l.line() as usize, l.column() as usize),
            e.without_snippet().to_string(),
        ),
        None => (Place::Whole, e.to_string()),
    };
    Problem {
        origin: origin.to_string(),
        place,
        message,
    }
}

/// The kind that an object says it is.
pub fn kind_of(o: &DynamicObject) -> &str {
    o.types.as_ref().map(|t| t.kind.as_str()).unwrap_or_default()
}

/// A name for an object, made of a title.
pub fn slug(title: &str) -> String {
    let slug: String = title
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(38)
        .collect();
    match slug.trim_matches('-') {
        "" => "scenario".into(),
        slug => slug.to_string(),
    }
}

/// A run of a stand-alone scenario on a clone of `template` on `cluster`.
pub fn run_of(scenario: ScenarioSpec, cluster: &str, template: &str) -> anyhow::Result<DynamicObject> {
    let name = format!("{}-{:05x}", slug(&scenario.name), rand::random::<u32>() & 0xf_ffff);
    let run = FunctionalTestRun::new(
        &name,
        FunctionalTestRunSpec {
            vm: RunVm {
                reference: None,
                template: Some(ProxmoxVMSpec {
                    cluster_ref: LocalRef { name: cluster.into() },
                    source: VmSource {
                        clone: Some(CloneSource {
                            template: Some(template.into()),
                            ..CloneSource::default()
                        }),
                        adopt: None,
                    },
                    power: Default::default(),
                    hardware: None,
                    tags: Vec::new(),
                    gpu_profile_ref: None,
                    deletion_policy: Default::default(),
                    ttl_seconds: None,
                    keyboard_layout: None,
                    guest: None,
                }),
            },
            scenario: RunScenario {
                reference: None,
                inline: Some(scenario),
            },
            variables: Default::default(),
            secret_variables: Vec::new(),
            steps: None,
            evidence: None,
            vision_ref: None,
            timeout_seconds: None,
            retries: Default::default(),
            cancel: false,
            ttl_seconds_after_finished: None,
        },
    );
    Ok(serde_json::from_value(serde_json::to_value(run)?)?)
}

/// Applies one object, server-side, refusing unknown fields. A run that is already done is made anew, so that
/// running a file twice runs it twice. Answers the object as stored.
pub async fn apply(client: &Client, namespace: &str, object: &DynamicObject) -> Result<DynamicObject, ApplyError> {
    let types = object
        .types
        .clone()
        .context("apiVersion or kind is missing")
        .map_err(ApplyError::Other)?;
    let gvk = GroupVersionKind::try_from(&types).map_err(|e| ApplyError::Other(e.into()))?;
    let (resource, capabilities) = kube::discovery::pinned_kind(client, &gvk)
        .await
        .map_err(|e| ApplyError::of(e).context(format!("kind {} ({})", types.kind, types.api_version)))?;
    let namespace = object.namespace().unwrap_or_else(|| namespace.to_string());
    let api: Api<DynamicObject> = match capabilities.scope {
        kube::discovery::Scope::Cluster => Api::all_with(client.clone(), &resource),
        kube::discovery::Scope::Namespaced => Api::namespaced_with(client.clone(), &namespace, &resource),
    };
    let mut params = PatchParams::apply(FIELD_MANAGER).force();
    params.field_validation = Some(kube::api::ValidationDirective::Strict);
    let Some(name) = object.metadata.name.clone() else {
        return api.create(&Default::default(), object).await.map_err(ApplyError::of);
    };
    if types.kind == "FunctionalTestRun" {
        // What would be refused is refused before the old run is taken away.
        let done = match api.get_opt(&name).await.map_err(ApplyError::of)? {
            Some(old) => old.data.pointer("/status/phase").and_then(Value::as_str) == Some("Done"),
            None => false,
        };
        if done {
            let mut trial = object.clone();
            trial.metadata.name = Some(format!("{}-trial", &name[..name.len().min(40)]));
            api.patch(&trial.name_any(), &params.clone().dry_run(), &Patch::Apply(&trial))
                .await
                .map_err(ApplyError::of)?;
            replace_done(&api, &name).await?;
        }
    }
    api.patch(&name, &params, &Patch::Apply(object))
        .await
        .map_err(ApplyError::of)
}

async fn replace_done(api: &Api<DynamicObject>, name: &str) -> Result<(), ApplyError> {
    api.delete(name, &DeleteParams::default())
        .await
        .map_err(ApplyError::of)?;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Some(old) = api.get_opt(name).await.map_err(ApplyError::of)? {
        // Going on would follow the old run, and tell its verdict as the new one's.
        if tokio::time::Instant::now() > deadline {
            return Err(ApplyError::Other(anyhow::anyhow!(
                "the earlier run of this name is still there 60 s after it was deleted; its finalizers: {}; does a mosdat controller run?",
                old.finalizers().join(", ")
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Why an object was not applied.
pub enum ApplyError {
    /// The API server refused the object itself; nothing was touched.
    Invalid(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl ApplyError {
    fn of(e: kube::Error) -> ApplyError {
        match e {
            // A server-side apply that does not fit the schema is answered 500 by every kube-apiserver so far.
            kube::Error::Api(s) if matches!(s.code, 400 | 422) || s.message.starts_with(NOT_TYPED) => {
                ApplyError::Invalid(s.message.clone())
            }
            kube::Error::Api(s) => ApplyError::Other(anyhow::anyhow!("{}", s.message)),
            e => ApplyError::Other(e.into()),
        }
    }

    fn context(self, what: String) -> ApplyError {
        match self {
            ApplyError::Invalid(m) => ApplyError::Invalid(format!("{what}: {m}")),
            ApplyError::Other(e) => ApplyError::Other(e.context(what)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (Option<DynamicObject>, String) {
        let part = Part {
            file: "x.yaml".into(),
            line: 1,
            text: text.to_string(),
        };
        let (document, problems) = document(&part);
        let object = document.and_then(|d| match d.body {
            Body::Object(object) => Some(*object),
            _ => None,
        });
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        (object, told.join("\n"))
    }

    #[test]
    fn a_harmless_scenario_stands_only_where_one_stood() {
        // A tag, which is YAML and which the scenarios' loader refuses.
        for (kind, spec) in [
            ("ProxmoxVM", "{a: !x z}"),
            ("FunctionalTestRun", "{scenario: {ref: {name: !x z}}}"),
            ("FunctionalTestRun", "[!x z]"),
            ("FunctionalTestRun", "!x z"),
            ("FunctionalTestRun", "{scenario: [!x z]}"),
            ("FunctionalTestRun", "{scenario: !x z}"),
            ("FunctionalTestRun", "{vm: !x z}"),
        ] {
            let text = format!("apiVersion: mosdat.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n");
            let (object, told) = of(&text);
            assert!(told.contains("the tag !x"), "{kind} {spec}: {told}");
            let written: Value = serde_saphyr::from_str(&spec.replace("!x ", "")).expect("YAML");
            assert_eq!(object.expect("an object").data["spec"], written, "{kind}");
        }
        let (object, told) = of(
            "apiVersion: mosdat.dev/v1alpha1\nkind: FunctionalTestRun\nmetadata: {name: a}\n\
            spec: {scenario: {inline: {name: t, steps: [{clik: x}]}}}\n",
        );
        assert!(told.contains("'clik'"), "{told}");
        let object = object.expect("an object");
        assert_eq!(object.data["spec"]["scenario"]["inline"], harmless());
    }

    #[test]
    fn only_what_is_judged_here_needs_a_name() {
        for foreign in [
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
            "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
            "apiVersion: v1\nkind: List\nitems: []\n",
        ] {
            assert_eq!(of(foreign).1, "", "{foreign}");
        }
        for (ours, told) in [
            ("apiVersion: v1\nkind: Secret\n", "metadata.name is missing"),
            ("apiVersion: v1\nkind: ConfigMap\n", "metadata.name is missing"),
            (
                "apiVersion: mosdat.dev/v1alpha1\nkind: GpuProfile\n",
                "metadata.name is missing",
            ),
            (
                "apiVersion: mosdat.dev/v1alpha1\nmetadata: {name: a}\n",
                "kind is missing",
            ),
        ] {
            assert!(of(ours).1.contains(told), "{ours}: {}", of(ours).1);
        }
    }

    #[test]
    fn references_come_with_the_scenario_and_are_no_documents() {
        let dir = tempfile::tempdir().expect("folder");
        let folder = dir.path().join("references");
        std::fs::create_dir(&folder).expect("folder");
        image::RgbaImage::new(60, 40)
            .save(folder.join("ok.png"))
            .expect("picture");
        std::fs::write(folder.join("ok.yaml"), "areas: [{match: [1, 2, 9, 9]}]").expect("sidecar");
        let head = |kind: &str| format!("---\napiVersion: mosdat.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\n");
        let scenario = "{name: t, steps: [{expect: {reference: ok}}]}";
        let text = format!(
            "{scenario}\n{}spec: {scenario}\n{}spec: {{scenario: {{inline: {scenario}}}}}\n",
            head("Scenario"),
            head("FunctionalTestRun")
        );
        std::fs::write(dir.path().join("all.yaml"), text).expect("file");
        let read = read(&[dir.path().to_path_buf()], true);
        assert_eq!((read.problems, read.files), (Vec::<String>::new(), 1));
        let places = ["/spec/references/ok/png", "/spec/scenario/inline/references/ok/png"];
        let has = |d: &Document| match &d.body {
            Body::Scenario(spec) => spec.references.contains_key("ok"),
            Body::Routines => false,
            Body::Object(object) => places.iter().any(|place| object.data.pointer(place).is_some()),
        };
        assert_eq!(read.documents.iter().map(has).collect::<Vec<_>>(), [true; 3]);
    }
}
