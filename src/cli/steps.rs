//! `mosdat validate --steps`: the steps of scenarios with their ids, as `--from`, `--until`, `replay --step` and reports
//! name them.

use super::apply::{Body, Document, kind_of};
use crate::api::ScenarioSpec;
use crate::scenario::{Scenario, Step};
use std::fmt::Write;

/// The steps of every scenario in the documents.
pub fn list(documents: &[Document]) -> String {
    let mut out = String::new();
    for document in documents {
        let Some(spec) = spec(&document.body) else { continue };
        // It was read before, from its file.
        if let Ok(scenario) = Scenario::from_spec(&spec, &document.place) {
            of(&scenario, &mut out);
        }
    }
    out
}

fn spec(body: &Body) -> Option<ScenarioSpec> {
    let value = match body {
        Body::Routines => return None,
        Body::Scenario(spec) => return Some(spec.as_ref().clone()),
        Body::Object(object) => match kind_of(object) {
            "Scenario" => object.data.get("spec"),
            "FunctionalTestRun" => object.data.pointer("/spec/scenario/inline"),
            _ => None,
        },
    };
    serde_json::from_value(value?.clone()).ok()
}

fn of(scenario: &Scenario, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}: {}", scenario.origin, scenario.name);
    let sections = [
        ("setup", &scenario.setup),
        ("steps", &scenario.steps),
        ("cleanup", &scenario.cleanup),
    ];
    let all = sections.iter().flat_map(|(_, steps)| steps.iter());
    let width = all.flat_map(Step::flatten).map(|s| s.id.len()).max().unwrap_or(0);
    for (section, steps) in sections {
        if !steps.is_empty() {
            let _ = writeln!(out, "  {section}");
        }
        for (at, step) in steps.iter().enumerate() {
            let phases = scenario.phases.iter().filter(|_| section == "steps");
            for phase in phases.filter(|phase| *phase.range.start() == at) {
                let _ = writeln!(out, "   phase {}", phase.name);
            }
            line(step, 0, width, out);
        }
    }
}

fn line(step: &Step, depth: usize, width: usize, out: &mut String) {
    let _ = writeln!(out, "    {:<width$}  {}{}", step.id, "  ".repeat(depth), step.label);
    for (_, child) in step.children() {
        line(child, depth + 1, width, out);
    }
}
