//! What can be answered only by a model that understands words, found before a VM exists: text recognition, reference
//! images and the guest answer nothing of it, on any VM.

use super::locate::target_of;
use crate::scenario::{Action, Check, Plan, Step, Target};
use crate::vision::{self, unreadable_question, unreadable_target};

/// Reason where a step turns out to need a model when it has its values.
pub(super) const NEEDS_MODEL: &str = "NeedsModel";

/// The steps that will run and that only a model can answer, each with why. A step that waits for a value of the run is
/// judged when it has it.
pub fn needs_model(plan: &Plan) -> Vec<String> {
    let test = &plan.steps[plan.range.clone()];
    let mut found = Vec::new();
    for step in plan.setup.iter().chain(test).chain(&plan.cleanup) {
        collect(step, &mut found);
    }
    found
}

fn collect(step: &Step, found: &mut Vec<String>) {
    if step.when.iter().any(|fact| fact.holds() == Some(false)) {
        return;
    }
    if step.late.is_none() {
        found.extend(in_step(step));
    }
    let way = match &step.action {
        // The way that is not taken asks nobody.
        Action::If(branch) => known(&branch.condition).map(|held| if held { "then" } else { "else" }),
        _ => None,
    };
    for (by, child) in step.children() {
        if way.is_none_or(|way| way == by) {
            collect(child, found);
        }
    }
}

/// What of the step itself only a model can answer.
pub(super) fn in_step(step: &Step) -> Vec<String> {
    let targets = step.targets().into_iter().filter_map(of_target);
    let checks = step.conditions().filter_map(of_check);
    let why: Vec<String> = targets.chain(checks).collect();
    why.iter().map(|why| format!("step {}: {why}", step.id)).collect()
}

/// Whether a condition holds that is decided by values which are known already.
fn known(check: &Check) -> Option<bool> {
    let Check::Fact(facts) = check else { return None };
    let answers: Vec<Option<bool>> = facts.iter().map(|fact| fact.holds()).collect();
    match answers.contains(&Some(false)) {
        true => Some(false),
        false => answers.iter().all(Option::is_some).then_some(true),
    }
}

fn of_target(target: &Target) -> Option<String> {
    let elsewhere = |t: &crate::scenario::TargetFields| t.element.is_some() || t.reference.is_some() || t.at.is_some();
    match target.fields().is_some_and(elsewhere) {
        true => None,
        false => unreadable_target(&target_of(target)),
    }
}

fn of_check(check: &Check) -> Option<String> {
    match check {
        Check::See(question) => unreadable_question(question).map(|why| format!("\"{question}\": {why}")),
        Check::Text(target) => of_target(target),
        Check::Not(inner) => of_check(inner),
        // One that can be answered may be enough.
        Check::Any(parts) => {
            let all: Option<Vec<String>> = parts.iter().map(of_check).collect();
            all.map(|all| all.join("; "))
        }
        Check::All(parts) => parts.iter().find_map(of_check),
        Check::Shell(_)
        | Check::Process(_)
        | Check::Window(_)
        | Check::File(_)
        | Check::Log(_)
        | Check::Clipboard(_)
        | Check::Node(_)
        | Check::Port(_)
        | Check::Exited(_)
        | Check::Fact(_) => None,
    }
}

/// As [`in_step`], of a step that has its values now, where the backend is none that understands it.
pub(super) fn beyond(vision: &dyn vision::Vision, step: &Step) -> Vec<String> {
    match vision.understands() {
        true => Vec::new(),
        false => in_step(step),
    }
}
