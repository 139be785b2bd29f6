//! References of a run: scenario, secrets, vision. Wrong ones make the run invalid, before any VM exists.

use super::super::Error;
use super::super::context::Context;
use super::super::error::code;
use crate::api::{FunctionalTestRun, Scenario, ScenarioSpec, SecretKeyRef, VisionProvider};
use crate::executor::VisionSettings;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use secrecy::SecretString;
use std::collections::BTreeMap;

/// A run with its references looked up.
pub struct Resolved {
    pub scenario: ScenarioSpec,
    pub origin: String,
    pub secrets: BTreeMap<String, SecretString>,
    pub vision: Option<VisionSettings>,
}

/// Looks everything up. The inner error lists all that is wrong with the run; the outer one is the API's.
pub async fn resolve(ctx: &Context, run: &FunctionalTestRun) -> Result<Result<Resolved, Vec<String>>, Error> {
    let ns = run.namespace().unwrap_or_default();
    let mut wrong = Vec::new();
    let mut scenario = None;
    if let Some(inline) = &run.spec.scenario.inline {
        let origin = format!("FunctionalTestRun {ns}/{}, spec.scenario.inline", run.name_any());
        scenario = Some((inline.clone(), origin));
    } else if let Some(reference) = &run.spec.scenario.reference {
        let what = format!("Scenario {ns}/{}", reference.name);
        match get(ctx.api::<Scenario>(&ns).get(&reference.name).await, &what)? {
            Some(found) => scenario = Some((found.spec, what)),
            None => wrong.push(format!(
                "spec.scenario.ref: {what} does not exist; apply it first, or give its file to the same command"
            )),
        }
    }
    let mut secrets = BTreeMap::new();
    for v in &run.spec.secret_variables {
        match secret(ctx, &ns, &v.secret_key_ref).await? {
            Ok(value) => {
                secrets.insert(v.name.clone(), value);
            }
            Err(why) => wrong.push(format!("spec.secretVariables[{}]: {why}", v.name)),
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
                        Err(why) => {
                            wrong.push(format!("{what}, spec.openai.apiKeySecretRef: {why}"));
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
            None => wrong.push(format!("spec.visionRef: {what} does not exist")),
        }
    }
    Ok(match (scenario, wrong.is_empty()) {
        (Some((scenario, origin)), true) => Ok(Resolved {
            scenario,
            origin,
            secrets,
            vision,
        }),
        (None, true) => Err(vec!["spec.scenario: set exactly one of ref, inline".to_string()]),
        (_, false) => Err(wrong),
    })
}

async fn secret(ctx: &Context, ns: &str, r: &SecretKeyRef) -> Result<Result<SecretString, String>, Error> {
    let what = format!("Secret {ns}/{}", r.name);
    let Some(found) = get(ctx.api::<Secret>(ns).get(&r.name).await, &what)? else {
        return Ok(Err(format!("{what} does not exist")));
    };
    let Some(bytes) = found.data.as_ref().and_then(|d| d.get(&r.key)) else {
        return Ok(Err(format!("{what} has no key {}", r.key)));
    };
    Ok(match String::from_utf8(bytes.0.clone()) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(format!("{what}, key {}, is not text", r.key)),
    })
}

fn get<T>(answer: Result<T, kube::Error>, what: &str) -> Result<Option<T>, Error> {
    match answer {
        Ok(v) => Ok(Some(v)),
        Err(e) if code(&e) == Some(404) => Ok(None),
        Err(e) => Err(Error::kube(format!("reading {what}"))(e)),
    }
}
