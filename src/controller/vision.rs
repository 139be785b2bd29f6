//! `VisionProvider`: says whether a run could use it: its URLs parse and its key is there. No model is asked.

use super::conditions::Verdict;
use super::error::code;
use super::{Context, Error, backoff};
use crate::api::{VisionProvider, VisionProviderSpec};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::PostParams;
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::time::Duration;

/// How often a provider with a Secret is looked at: Secrets cannot be watched with the rights that we have.
const PAUSE: Duration = Duration::from_secs(60);

/// What is wrong with the key; `None` when it is there or none is needed.
async fn observe(ctx: &Context, ns: &str, spec: &VisionProviderSpec) -> Result<Option<String>, Error> {
    let Some(key) = spec.openai.as_ref().and_then(|o| o.api_key_secret_ref.as_ref()) else {
        return Ok(None);
    };
    let what = format!("Secret {ns}/{}", key.name);
    let secret = match ctx.api::<Secret>(ns).get(&key.name).await {
        Ok(s) => s,
        Err(e) if code(&e) == Some(404) => return Ok(Some(format!("{what} does not exist"))),
        Err(e) => return Err(Error::kube(format!("reading {what}"))(e)),
    };
    let there = secret.data.as_ref().is_some_and(|d| d.contains_key(&key.key));
    Ok((!there).then(|| format!("{what} has no key {}", key.key)))
}

fn decide(spec: &VisionProviderSpec, key: Option<String>) -> Verdict {
    let Some(model) = &spec.openai else {
        return Verdict::ready("Configured", "text recognition");
    };
    for url in &model.base_urls {
        let why = match url::Url::parse(url) {
            Ok(u) if matches!(u.scheme(), "http" | "https") => continue,
            Ok(u) => format!("its scheme is {}, not http or https", u.scheme()),
            Err(e) => e.to_string(),
        };
        return Verdict::stalled("InvalidUrl", format!("spec.openai.baseUrls: {url}: {why}"));
    }
    if model.coordinates.is_none() && crate::vision::family(&model.locate_model).is_none() {
        let why = crate::vision::unknown_model(&model.locate_model);
        return Verdict::stalled("UnknownModel", format!("spec.openai: {why}"));
    }
    if model.judge_model.is_none() && crate::vision::only_points(&model.locate_model) {
        let why = crate::vision::no_judge(&model.locate_model);
        return Verdict::stalled("NoJudge", format!("spec.openai: {why}"));
    }
    if let Some(why) = key {
        return Verdict::stalled("KeyMissing", format!("spec.openai.apiKeySecretRef: {why}"));
    }
    let ocr = if spec.ocr { "text recognition, then " } else { "" };
    Verdict::ready("Configured", format!("{ocr}model {}", model.locate_model))
}

pub async fn reconcile(seen: Arc<VisionProvider>, ctx: Arc<Context>) -> Result<Action, Error> {
    let (ns, name) = (seen.namespace().unwrap_or_default(), seen.name_any());
    let api = ctx.api::<VisionProvider>(&ns);
    let fresh = api
        .get_opt(&name)
        .await
        .map_err(Error::kube(format!("reading VisionProvider {ns}/{name}")))?;
    let Some(mut fresh) = fresh.filter(|o| o.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let verdict = decide(&fresh.spec, observe(&ctx, &ns, &fresh.spec).await?);
    let mut status = fresh.status.clone().unwrap_or_default();
    status.observed_generation = fresh.metadata.generation;
    verdict.apply(&mut status.conditions, Timestamp::now(), fresh.metadata.generation);
    if fresh.status.as_ref() != Some(&status) {
        fresh.status = Some(status);
        api.replace_status(&name, &PostParams::default(), &fresh)
            .await
            .map_err(Error::kube(format!("writing status of VisionProvider {ns}/{name}")))?;
    }
    ctx.succeeded(&seen.metadata.uid);
    Ok(Action::requeue(backoff::jitter(PAUSE)))
}

pub fn on_error(object: Arc<VisionProvider>, error: &Error, ctx: Arc<Context>) -> Action {
    if error.is_conflict() {
        return Action::requeue(Duration::from_millis(50));
    }
    tracing::warn!(provider = %object.name_any(), %error, "reconcile failed");
    Action::requeue(ctx.failed(object.metadata.uid.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(url: &str) -> VisionProviderSpec {
        let model = json!({"baseUrls": [url], "locateModel": "m", "coordinates": "Pixels"});
        serde_json::from_value(json!({ "openai": model })).expect("spec")
    }

    #[test]
    fn verdicts() {
        let ocr: VisionProviderSpec = serde_json::from_value(json!({})).expect("spec");
        assert!(decide(&ocr, None).ready);
        assert!(decide(&spec("http://box:8080/v1"), None).ready);
        for bad in ["box", "ftp://box/v1"] {
            let verdict = decide(&spec(bad), None);
            assert!(verdict.stalled && verdict.message.contains(bad), "{verdict:?}");
        }
        let absent = decide(&spec("http://box/v1"), Some("Secret a/b does not exist".to_string()));
        assert_eq!(absent.reason, "KeyMissing");
        let mut points = spec("http://box/v1");
        let mut judged = |judge: Option<&str>| {
            let model = points.openai.as_mut().expect("a model");
            (model.locate_model, model.judge_model) = ("Hcompany/Holo1.5-7B".into(), judge.map(String::from));
            decide(&points, None)
        };
        let refused = judged(None);
        assert!(refused.stalled && refused.reason == "NoJudge", "{refused:?}");
        assert!(refused.message.contains("judgeModel"), "{refused:?}");
        assert!(judged(Some("qwen3-vl-8b")).ready);
    }
}
