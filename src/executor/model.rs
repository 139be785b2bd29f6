//! A `VisionProvider`'s model, as the vision backends take it.

use super::VisionSettings;
use super::local::failure;
use crate::api::{CoordinateConvention, FailureClass, OpenAiSpec, RunFailure, VisionBudget};
use crate::vision::{Budget, Coordinates, Limits, Money, OpenAi, OpenAiConfig, Prices};
use std::time::Duration;

/// The model, with nothing asked yet; or which field cannot be used.
pub(super) fn openai(v: &VisionSettings) -> Result<OpenAi, RunFailure> {
    let wrong = |e: String| {
        failure(
            FailureClass::Vision,
            "ProviderUnusable",
            format!("VisionProvider {}: {e}", v.name),
        )
    };
    let Some(spec) = &v.spec.openai else {
        return Err(wrong("spec.openai is not set".into()));
    };
    let base_urls = spec
        .base_urls
        .iter()
        .map(|u| url::Url::parse(u).map_err(|e| wrong(format!("spec.openai.baseUrls: {u}: {e}"))))
        .collect::<Result<_, _>>()?;
    OpenAi::new(OpenAiConfig {
        base_urls,
        locate_model: spec.locate_model.clone(),
        judge_model: spec.judge_model.clone(),
        coordinates: spec.coordinates.map(|c| match c {
            CoordinateConvention::Normalised1000 => Coordinates::Normalised1000,
            CoordinateConvention::Fraction => Coordinates::Fraction,
            CoordinateConvention::Pixels => Coordinates::Pixels,
        }),
        limits: limits(spec).map_err(|(what, why)| wrong(format!("spec.openai.{what}: {why}")))?,
        quorum: spec.quorum,
        warm_up: spec.warm_up_seconds.map(|s| Duration::from_secs(s.into())),
        api_key: v.api_key.clone(),
        max_tokens: spec.max_tokens,
        timeout: Duration::from_secs(spec.timeout_seconds.into()),
    })
    .map_err(|e| wrong(e.to_string()))
}

/// What may be spent; or the field that is wrong, and why.
fn limits(spec: &OpenAiSpec) -> Result<Limits, (String, String)> {
    let amount = |what: &str, text: &str| Money::parse(text).map_err(|why| (what.to_string(), why));
    let budget = |what: &str, budget: &Option<VisionBudget>| {
        let budget = budget.clone().unwrap_or_default();
        let cost = budget.cost.map(|cost| amount(&format!("{what}.cost"), &cost));
        Ok::<_, (String, String)>(Budget {
            calls: budget.calls.map(u64::from),
            tokens: budget.tokens.map(u64::from),
            time: budget.seconds.map(|s| Duration::from_secs(s.into())),
            cost: cost.transpose()?,
        })
    };
    let prices = spec.prices.as_ref().map(|prices| {
        Ok::<_, (String, String)>(Prices {
            input: amount("prices.inputPerMillion", &prices.input_per_million)?,
            output: amount("prices.outputPerMillion", &prices.output_per_million)?,
        })
    });
    Ok(Limits {
        run: budget("budget", &spec.budget)?,
        step: budget("stepBudget", &spec.step_budget)?,
        prices: prices.transpose()?,
    })
}
