//! `VisionProvider`: what looks at the screen.

use super::SecretKeyRef;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How things are found on the screen and judged: text recognition, a vision model, or first one and then the other.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "mosdat.dev",
    version = "v1alpha1",
    kind = "VisionProvider",
    plural = "visionproviders",
    shortname = "vis",
    category = "mosdat",
    namespaced,
    status = "VisionProviderStatus",
    derive = "PartialEq",
    doc = "How things are found on the screen and judged: text recognition, a vision model, or first one and then the other.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "OCR", type_ = "boolean", json_path = ".spec.ocr"),
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.openai.locateModel"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.ocr || has(self.openai)")
        .message("enable ocr, or configure openai, or both (then quoted text is looked for by OCR first)")
)]
pub struct VisionProviderSpec {
    /// Read text with the built-in recogniser, before any model is asked.
    #[serde(default = "yes")]
    pub ocr: bool,
    /// A vision model behind an OpenAI-compatible chat completions API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openai: Option<OpenAiSpec>,
}

fn yes() -> bool {
    true
}

/// A vision model behind an OpenAI-compatible API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.quorum % 2 == 1").message("quorum must be odd: 1, 3 or 5"),
    validation = Rule::new(
        "has(self.prices) || !((has(self.budget) && has(self.budget.cost)) || (has(self.stepBudget) && has(self.stepBudget.cost)))"
    )
    .message("a budget's cost needs prices")
)]
pub struct OpenAiSpec {
    /// Base URLs such as `http://gpu-box:8080/v1`, in the order of failing over.
    #[schemars(length(min = 1, max = 8))]
    pub base_urls: Vec<String>,
    /// Model that answers where something is.
    #[schemars(length(min = 1, max = 256))]
    pub locate_model: String,
    /// Model that answers whether something is true; without it the locating one, which must not be one that only points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_model: Option<String>,
    /// What the locating model's numbers mean. Models of a known family need no telling; the manual has the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<CoordinateConvention>,
    /// What one attempt of a run may spend; more is an error of class Vision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<VisionBudget>,
    /// What each step of it may spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_budget: Option<VisionBudget>,
    /// What tokens cost, in any currency; then records tell what was spent, and budgets can have a `cost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<TokenPrices>,
    /// How many answers each question is put to the vote of, every time in other words: more than half of them have to
    /// agree, or nobody can tell. An odd number.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 5))]
    pub quorum: u32,
    /// Seconds that the models may take to get ready before a run begins, for servers that load them when they are asked
    /// first. Without it nothing is asked before it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub warm_up_seconds: Option<u32>,
    /// Tokens that one answer may have, with what the model thinks before it. One that is longer is cut off, and an error
    /// of class Vision.
    #[serde(default = "default_tokens")]
    #[schemars(range(min = 64, max = 131072))]
    pub max_tokens: u32,
    /// The API key, where one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_secret_ref: Option<SecretKeyRef>,
    /// Seconds that one answer may take.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 600))]
    pub timeout_seconds: u32,
}

fn default_timeout() -> u32 {
    90
}

/// Tokens of an answer where nothing else is said: an answer is a few hundred bytes; thinking takes more.
pub const DEFAULT_TOKENS: u32 = 4096;

/// The most that can be asked for.
pub const MOST_TOKENS: u32 = 131_072;

fn default_tokens() -> u32 {
    DEFAULT_TOKENS
}

fn one() -> u32 {
    1
}

/// What a million tokens cost, as decimals such as `"0.15"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenPrices {
    /// A million tokens of requests, pictures included.
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"))]
    pub input_per_million: String,
    /// A million tokens of answers.
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"))]
    pub output_per_million: String,
}

/// What may be spent on a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VisionBudget {
    /// Requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000000))]
    pub calls: Option<u32>,
    /// Tokens of requests and answers together, as far as the server tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2000000000))]
    pub tokens: Option<u32>,
    /// Seconds spent waiting for answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub seconds: Option<u32>,
    /// What the tokens may cost, in the currency of `prices`, as a decimal such as `"0.50"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"))]
    pub cost: Option<String>,
}

/// What a model's coordinates mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CoordinateConvention {
    /// 0 to 1000 of the picture's width and height.
    Normalised1000,
    /// 0.0 to 1.0 of the picture's width and height.
    Fraction,
    /// Pixels of the picture as it was sent.
    Pixels,
}

/// What was last seen of the provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VisionProviderStatus {
    /// Generation of the spec that this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: the URLs are usable and the key is there; no model was asked. `Stalled` when it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
