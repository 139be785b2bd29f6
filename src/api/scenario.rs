//! `Scenario`: the test itself, in the scenario language.

use super::{Loose, Platform, ReferenceImage, ScenarioInput, Step};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A test in the scenario language: inputs, steps, and what to do before and after.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "mosdat.dev",
    version = "v1alpha1",
    kind = "Scenario",
    plural = "scenarios",
    shortname = "scn",
    category = "mosdat",
    namespaced,
    status = "ScenarioStatus",
    derive = "PartialEq",
    doc = "A test in the scenario language: inputs, steps, and what to do before and after.",
    printcolumn(name = "Title", type_ = "string", json_path = ".spec.name"),
    printcolumn(
        name = "Valid",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScenarioSpec {
    /// Title for people.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// What the scenario shows, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub description: Option<String>,
    /// Systems that the scenario is written for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub platforms: Vec<Platform>,
    /// Typed inputs by name; the caller must give what has no default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub inputs: BTreeMap<String, ScenarioInput>,
    /// Values by name that the scenario makes itself: text (with templates), numbers, true or false.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub variables: BTreeMap<String, Loose>,
    /// Wall-clock time for set-up and test, such as 10m; a run's own timeoutSeconds counts instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 20), regex(pattern = "^([0-9]+(ms|s|m|h))+$"))]
    pub budget: Option<String>,
    /// Named parts of the test, by which a run can begin and end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub phases: BTreeMap<String, ScenarioPhase>,
    /// Names of captured values that a run tells in its status and reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 63)))]
    pub outputs: Vec<String>,
    /// Routines by name: steps with inputs and outputs of their own, for `use`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub routines: BTreeMap<String, Loose>,
    /// Steps that seed state before the test; a failure here is an error of the set-up, not of the product.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub setup: Vec<Step>,
    /// The test.
    #[schemars(length(min = 1, max = 500))]
    pub steps: Vec<Step>,
    /// Steps that always run at the end, also after a failure, a time-out and a cancellation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub cleanup: Vec<Step>,
    /// Reference images by name; one for screens of a certain size is named with it, as save-button@1280x800. Put in by
    /// `mosdat run` from files beside the scenario's file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub references: BTreeMap<String, ReferenceImage>,
}

/// A named part of a test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioPhase {
    /// Id of its first step, one that is not within another.
    #[schemars(length(min = 1, max = 63))]
    pub from: String,
    /// Id of its last step; without it the one before the next phase, or the last of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub until: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
}

/// What was last found out about the scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScenarioStatus {
    /// Generation of the spec that this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: the scenario loads without errors; else the message lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
