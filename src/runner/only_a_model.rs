//! What can be answered only by a model that understands words, found before a VM exists: text recognition, reference
//! images and the guest answer nothing of it, on any VM.

use super::ahead::{known, will_run};
use super::locate::target_of;
use crate::scenario::{Action, Check, Plan, Step, Target};
use crate::vision::{self, unreadable_question, unreadable_target};

/// Reason where a step turns out to need a model when it has its values.
pub(super) const NEEDS_MODEL: &str = "NeedsModel";

/// The steps that will run and that only a model can answer, each with why. A step that waits for a value of the run is
/// judged when it has it.
pub fn needs_model(plan: &Plan) -> Vec<String> {
    let steps = will_run(plan).into_iter().filter(|step| step.late.is_none());
    steps.flat_map(in_step).collect()
}

/// What of the step itself only a model can answer.
pub(super) fn in_step(step: &Step) -> Vec<String> {
    let targets = step.targets().into_iter().filter_map(of_target);
    let of = |check: &Check| {
        // It has to be told each time that it does not hold.
        let watched = matches!(&step.action, Action::Never(never) if std::ptr::eq(&never.check, check));
        of_check(check, watched)
    };
    let why: Vec<String> = targets.chain(step.conditions().filter_map(of)).collect();
    why.iter().map(|why| format!("step {}: {why}", step.id)).collect()
}

fn of_target(target: &Target) -> Option<String> {
    let elsewhere = |t: &crate::scenario::TargetFields| t.element.is_some() || t.reference.is_some() || t.at.is_some();
    match target.fields().is_some_and(elsewhere) {
        true => None,
        false => unreadable_target(&target_of(target)),
    }
}

/// What of the condition only a model can answer; where it is `denied`, its opposite is what is wanted.
fn of_check(check: &Check, denied: bool) -> Option<String> {
    if known(check).is_some() {
        return None;
    }
    match check {
        Check::See(question) => unreadable_question(question).map(|why| format!("\"{question}\": {why}")),
        Check::Text(target) => of_target(target),
        Check::Not(inner) => of_check(inner, !denied),
        // One that can be answered may be enough, unless it is decided already, and has decided nothing.
        Check::Any(parts) | Check::All(parts) if matches!(check, Check::Any(_)) != denied => {
            let open = parts.iter().filter(|part| known(part).is_none());
            let all: Option<Vec<String>> = open.map(|part| of_check(part, denied)).collect();
            all.map(|all| all.join("; "))
        }
        Check::Any(parts) | Check::All(parts) => parts.iter().find_map(|part| of_check(part, denied)),
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
