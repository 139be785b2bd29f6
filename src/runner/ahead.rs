//! What of a plan will run, as far as that is known before it does.

use crate::scenario::{Action, Check, Fact, Plan, Step};
use std::collections::BTreeMap;

/// The steps that will run, those within steps included, in the order in which they are written: those of the range, but for
/// ways that are not taken and steps that are left out (`when`). Where only the run finds that out, they are among them.
pub(super) fn will_run(plan: &Plan) -> Vec<&Step> {
    let test = &plan.steps[plan.range.clone()];
    let mut found = Vec::new();
    for step in plan.setup.iter().chain(test).chain(&plan.cleanup) {
        collect(step, &mut found);
    }
    found
}

fn collect<'p>(step: &'p Step, found: &mut Vec<&'p Step>) {
    if step.when.iter().any(|fact| holds(fact) == Some(false)) {
        return;
    }
    found.push(step);
    let way = match &step.action {
        Action::If(branch) => known(&branch.condition).map(|held| if held { "then" } else { "else" }),
        _ => None,
    };
    for (by, child) in step.children() {
        if way.is_none_or(|way| way == by) {
            collect(child, found);
        }
    }
}

/// With what is known before the run: nothing is captured yet.
fn holds(fact: &Fact) -> Option<bool> {
    fact.holds_with(&BTreeMap::new())
}

/// Whether a condition holds that is decided by values which are known already.
pub(super) fn known(check: &Check) -> Option<bool> {
    match check {
        Check::Fact(facts) => all(facts.iter().map(holds)),
        Check::Not(inner) => known(inner).map(|held| !held),
        Check::Any(parts) => all(parts.iter().map(|part| known(part).map(|held| !held))).map(|none| !none),
        Check::All(parts) => all(parts.iter().map(known)),
        _ => None,
    }
}

/// Three-valued all.
fn all(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let answers: Vec<Option<bool>> = answers.collect();
    match answers.contains(&Some(false)) {
        true => Some(false),
        false => answers.iter().all(Option::is_some).then_some(true),
    }
}
