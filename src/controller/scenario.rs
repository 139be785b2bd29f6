//! `Scenario`: says whether it loads, and if not, everything that is wrong with it.

use super::conditions::Verdict;
use super::{Context, Error};
use crate::api::Scenario;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::PostParams;
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::time::Duration;

fn decide(object: &Scenario) -> Verdict {
    let origin = format!(
        "Scenario {}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    );
    match crate::scenario::Scenario::from_spec(&object.spec, &origin) {
        Ok(s) => Verdict::ready("Valid", format!("{} step(s)", s.total_steps())),
        Err(errors) => Verdict::stalled("Invalid", errors.to_string()),
    }
}

pub async fn reconcile(seen: Arc<Scenario>, ctx: Arc<Context>) -> Result<Action, Error> {
    let (ns, name) = (seen.namespace().unwrap_or_default(), seen.name_any());
    let api = ctx.api::<Scenario>(&ns);
    let fresh = api
        .get_opt(&name)
        .await
        .map_err(Error::kube(format!("reading Scenario {ns}/{name}")))?;
    let Some(mut fresh) = fresh.filter(|o| o.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let mut status = fresh.status.clone().unwrap_or_default();
    status.observed_generation = fresh.metadata.generation;
    decide(&fresh).apply(&mut status.conditions, Timestamp::now(), fresh.metadata.generation);
    if fresh.status.as_ref() != Some(&status) {
        fresh.status = Some(status);
        api.replace_status(&name, &PostParams::default(), &fresh)
            .await
            .map_err(Error::kube(format!("writing status of Scenario {ns}/{name}")))?;
    }
    ctx.succeeded(&seen.metadata.uid);
    Ok(Action::await_change())
}

pub fn on_error(object: Arc<Scenario>, error: &Error, ctx: Arc<Context>) -> Action {
    if error.is_conflict() {
        return Action::requeue(Duration::from_millis(50));
    }
    tracing::warn!(scenario = %object.name_any(), %error, "reconcile failed");
    Action::requeue(ctx.failed(object.metadata.uid.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scenario(step: serde_json::Value) -> Scenario {
        let spec = serde_json::from_value(json!({"name": "x", "steps": [step]})).expect("spec");
        Scenario::new("s", spec)
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(decide(&scenario(json!({"note": "hello"}))).ready);
        let bad = decide(&scenario(json!({"key": "no-such-key+x"})));
        assert!(bad.stalled && bad.message.contains("spec.steps[0]"), "{bad:?}");
    }
}
