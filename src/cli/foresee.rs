//! What a controller would refuse a run for, told before anything is started: wrong values of inputs, a step that is not
//! there, a question that nobody could answer.

use super::apply::kind_of;
use super::missing::{Files, typed};
use crate::api::{FunctionalTestRun, Scenario, ScenarioSpec, VisionProvider};
use crate::executor::{Candidate, Executor, Local};
use crate::vision::models;
use kube::api::DynamicObject;
use secrecy::SecretString;
use std::collections::BTreeMap;

/// What is wrong with the runs among the objects, as far as these tell, each with the place of the run. `namespace` is that
/// of objects that name none, where it is known. A scenario or a provider that only the control plane has is left to
/// the controller.
pub fn problems(objects: &[(String, DynamicObject)], namespace: Option<&str>) -> Vec<String> {
    let mut out = Vec::new();
    for (place, object) in objects {
        if kind_of(object) != "FunctionalTestRun" {
            continue;
        }
        let Some(run) = typed::<FunctionalTestRun>(object) else {
            continue;
        };
        let files = Files::of(objects, namespace, object);
        if let Some(scenario) = scenario(&run, &files) {
            out.extend(of_run(place, &run, &scenario, &files));
        }
    }
    out
}

fn scenario(run: &FunctionalTestRun, files: &Files<'_>) -> Option<ScenarioSpec> {
    match (&run.spec.scenario.inline, &run.spec.scenario.reference) {
        (Some(inline), _) => Some(inline.clone()),
        (None, Some(reference)) => typed::<Scenario>(files.find("Scenario", &reference.name)?).map(|s| s.spec),
        (None, None) => None,
    }
}

fn of_run(place: &str, run: &FunctionalTestRun, scenario: &ScenarioSpec, files: &Files<'_>) -> Vec<String> {
    // Which value a secret has decides nothing here; that it is given, does.
    let secrets: BTreeMap<String, SecretString> = run
        .spec
        .secret_variables
        .iter()
        .map(|v| (v.name.clone(), SecretString::from("x")))
        .collect();
    let model = match &run.spec.vision_ref {
        None => false,
        Some(reference) => {
            let provider = files.find("VisionProvider", &reference.name);
            let provider = provider.and_then(typed::<VisionProvider>);
            provider.is_none_or(|v| v.spec.openai.is_some())
        }
    };
    let checked = Local::new(models::default_dir()).check(&Candidate {
        scenario,
        origin: place,
        variables: &run.spec.variables,
        secrets: &secrets,
        range: &run.spec.steps.clone().unwrap_or_default(),
        // The encoder is where the controller is.
        video: false,
        model,
    });
    let with_place = |text: String| match text.starts_with(place) {
        true => text,
        false => format!("{place}: {text}"),
    };
    checked.err().into_iter().flatten().map(with_place).collect()
}
