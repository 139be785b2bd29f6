//! What the first event tells of the scenario: its steps and phases, as they will run.

use crate::scenario::{Plan, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The scenario as it will run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPlan {
    /// Title of the scenario.
    pub scenario: String,
    /// What it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// SHA-256 of the scenario.
    pub digest: String,
    /// Values of the inputs and variables that are not secret.
    pub variables: BTreeMap<String, String>,
    /// SHA-256 of the files of each reference image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, String>,
    /// Wall-clock milliseconds that the scenario gives set-up and test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_ms: Option<u64>,
    /// Named parts of the test, in the order of its steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PlannedPhase>,
    /// Number of steps.
    pub total: u32,
    /// All steps in the order in which they run.
    pub steps: Vec<PlannedStep>,
}

impl RunPlan {
    /// What of the plan is recorded: never a value of a secret.
    pub fn of(plan: &Plan) -> RunPlan {
        let mut steps = Vec::new();
        for step in plan.setup.iter().chain(&plan.steps).chain(&plan.cleanup) {
            let phase = plan.phase_of(&step.id).map(|phase| phase.name.as_str());
            PlannedStep::all(step, None, phase, &mut steps);
        }
        let phases = plan.phases.iter().map(|phase| PlannedPhase {
            name: phase.name.clone(),
            description: phase.description.clone(),
            from: phase.from.clone(),
            until: plan
                .steps
                .get(*phase.range.end())
                .map_or_else(String::new, |s| s.id.clone()),
        });
        let variants = plan
            .references
            .iter()
            .flat_map(|r| r.variants.iter().map(move |v| (r, v)));
        let references = variants.map(|(r, v)| (r.key(v), v.digest.clone()));
        RunPlan {
            scenario: plan.name.clone(),
            description: plan.description.clone(),
            digest: plan.digest.clone(),
            variables: plan.variables.iter().map(|(k, v)| (k.clone(), v.to_string())).collect(),
            references: references.collect(),
            budget_ms: plan.budget.map(|budget| budget.as_millis() as u64),
            phases: phases.collect(),
            total: u32::try_from(steps.len()).unwrap_or(u32::MAX),
            steps,
        }
    }
}

/// A named part of the test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedPhase {
    /// Its name.
    pub name: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Id of its first step.
    pub from: String,
    /// Id of its last step.
    pub until: String,
}

/// A step of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// Id of the step.
    pub id: String,
    /// What a person reads.
    pub label: String,
    /// `setup`, `steps` or `cleanup`.
    pub section: String,
    /// Key of the action.
    pub action: String,
    /// Id of the step that it is within, and how: `then`, `else`, `repeat` or `use`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// Name of the phase that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

/// Where a step is that is within another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Within {
    /// Id of the other step.
    pub step: String,
    /// `then`, `else`, `repeat` or `use`.
    pub part: String,
}

impl PlannedStep {
    /// What is told of a step.
    pub fn of(step: &Step, within: Option<Within>) -> PlannedStep {
        PlannedStep {
            id: step.id.clone(),
            label: step.label.clone(),
            section: step.section.as_str().to_string(),
            action: step.action.name().to_string(),
            within,
            phase: None,
        }
    }

    fn all(step: &Step, within: Option<Within>, phase: Option<&str>, out: &mut Vec<PlannedStep>) {
        out.push(PlannedStep {
            phase: phase.map(String::from),
            ..PlannedStep::of(step, within)
        });
        for (part, child) in step.children() {
            let within = Within {
                step: step.id.clone(),
                part: part.to_string(),
            };
            PlannedStep::all(child, Some(within), phase, out);
        }
    }
}
