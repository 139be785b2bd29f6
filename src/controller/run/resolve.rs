//! References of a run: scenario, secrets, vision. Wrong ones make the run invalid, before any VM exists.

use super::super::Error;
use super::super::context::Context;
use super::super::error::code;
use crate::api::{FunctionalTestRun, Scenario, ScenarioSpec, SecretKeyRef, VisionProvider};
use crate::executor::VisionSettings;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};

/// A run with its references looked up.
pub struct Resolved {
    pub scenario: ScenarioSpec,
    pub origin: String,
    pub secrets: BTreeMap<String, SecretString>,
    pub vision: Option<VisionSettings>,
}

/// What is wrong with a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// All of it.
    pub texts: Vec<String>,
    /// Every one is an object, or a key of a Secret, that is not there: whoever applies things may yet bring it.
    pub missing: bool,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.texts.join("\n"))
    }
}

/// Looks everything up. The inner error lists all that is wrong with the run; the outer one is the API's.
pub async fn resolve(ctx: &Context, run: &FunctionalTestRun) -> Result<Result<Resolved, Wrong>, Error> {
    let ns = run.namespace().unwrap_or_default();
    let mut wrong: Vec<String> = Vec::new();
    let mut missing = true;
    let mut add = |text: String, gone: bool| {
        wrong.push(text);
        missing &= gone;
    };
    let mut scenario = None;
    if let Some(inline) = &run.spec.scenario.inline {
        let origin = format!("FunctionalTestRun {ns}/{}, spec.scenario.inline", run.name_any());
        scenario = Some((inline.clone(), origin));
    } else if let Some(reference) = &run.spec.scenario.reference {
        let what = format!("Scenario {ns}/{}", reference.name);
        match get(ctx.api::<Scenario>(&ns).get(&reference.name).await, &what)? {
            Some(found) => scenario = Some((found.spec, what)),
            None => add(
                format!(
                    "spec.scenario.ref: {what} does not exist; apply it first, or give its file to the same command"
                ),
                true,
            ),
        }
    }
    let mut secrets = BTreeMap::new();
    for v in &run.spec.secret_variables {
        match secret(ctx, &ns, &v.secret_key_ref).await? {
            Ok(value) => {
                secrets.insert(v.name.clone(), value);
            }
            Err((why, gone)) => add(format!("spec.secretVariables[{}]: {why}", v.name), gone),
        }
    }
    let mut vision = None;
    if let Some(reference) = &run.spec.vision_ref {
        let what = format!("VisionProvider {ns}/{}", reference.name);
        match get(ctx.api::<VisionProvider>(&ns).get(&reference.name).await, &what)? {
            Some(found) => {
                let key = found.spec.openai.as_ref().and_then(|o| o.api_key_secret_ref.clone());
                let api_key = match key {
                    None => None,
                    Some(key) => match secret(ctx, &ns, &key).await? {
                        Ok(value) => Some(value),
                        Err((why, gone)) => {
                            add(format!("{what}, spec.openai.apiKeySecretRef: {why}"), gone);
                            None
                        }
                    },
                };
                vision = Some(VisionSettings {
                    name: reference.name.clone(),
                    spec: found.spec,
                    api_key,
                });
            }
            None => add(format!("spec.visionRef: {what} does not exist; apply it first"), true),
        }
    }
    Ok(match (scenario, wrong.is_empty()) {
        (Some((scenario, origin)), true) => Ok(Resolved {
            scenario,
            origin,
            secrets,
            vision,
        }),
        (None, true) => Err(Wrong {
            texts: vec!["spec.scenario: set exactly one of ref, inline".to_string()],
            missing: false,
        }),
        (_, false) => Err(Wrong { texts: wrong, missing }),
    })
}

/// The value, or why there is none and whether that is for want of the Secret or its key.
pub async fn secret(ctx: &Context, ns: &str, r: &SecretKeyRef) -> Result<Result<SecretString, (String, bool)>, Error> {
    let found = get(
        ctx.api::<Secret>(ns).get(&r.name).await,
        &format!("Secret {ns}/{}", r.name),
    )?;
    if let Some(why) = no_key(ns, r, found.as_ref()) {
        return Ok(Err((why, true)));
    }
    let bytes = found.and_then(|s| s.data).and_then(|mut d| d.remove(&r.key));
    Ok(match String::from_utf8(bytes.unwrap_or_default().0) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err((format!("Secret {ns}/{}, key {}, is not text", r.name, r.key), false)),
    })
}

/// Why a Secret, if there is one, does not have the key; with the command that makes it.
pub fn no_key(ns: &str, r: &SecretKeyRef, found: Option<&Secret>) -> Option<String> {
    let (name, key) = (&r.name, &r.key);
    let Some(found) = found else {
        return Some(format!(
            "Secret {ns}/{name} does not exist; make it: kubectl -n {ns} create secret generic {name} --from-literal={key}=VALUE"
        ));
    };
    let text = found.string_data.iter().flatten().map(|(k, _)| k);
    let keys: BTreeSet<&String> = found.data.iter().flatten().map(|(k, _)| k).chain(text).collect();
    if keys.contains(key) {
        return None;
    }
    let keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
    Some(match keys.is_empty() {
        true => format!("Secret {ns}/{name} has no key {key}; it is empty"),
        false => format!("Secret {ns}/{name} has no key {key}; it has {}", keys.join(", ")),
    })
}

fn get<T>(answer: Result<T, kube::Error>, what: &str) -> Result<Option<T>, Error> {
    match answer {
        Ok(v) => Ok(Some(v)),
        Err(e) if code(&e) == Some(404) => Ok(None),
        Err(e) => Err(Error::kube(format!("reading {what}"))(e)),
    }
}
