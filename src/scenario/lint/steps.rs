//! Rules about steps as a whole, and about inputs.

use super::super::error::Place;
use super::super::model::{Action, Step};
use super::super::node::{Entry, Node, Value};
use super::super::parse::action::mentions;
use super::super::plan::{Made, makes};
use super::super::template;
use super::Found;
use super::subject::{Purpose, Subject, checks, entries};
use std::collections::BTreeMap;

/// What a user would do, and not only look at.
fn acts(step: &Step) -> bool {
    match &step.action {
        Action::Launch(_)
        | Action::Click(_)
        | Action::Type(_)
        | Action::Key(_)
        | Action::Hover(_)
        | Action::Drag(_)
        | Action::Scroll(_) => true,
        // A command says by its exit code whether it has worked.
        Action::Shell(_)
        | Action::WaitFor(_)
        | Action::WaitGone(_)
        | Action::Never(_)
        | Action::Expect(_)
        | Action::Screenshot(_)
        | Action::Note(_)
        | Action::Stage(_)
        | Action::Reboot(_)
        | Action::Install(_)
        | Action::Uninstall(_)
        | Action::Snapshot(_)
        | Action::Rollback(_)
        | Action::Power(_)
        // What they hold acts.
        | Action::If(_)
        | Action::Repeat(_)
        | Action::Use(_) => false,
    }
}

/// What the last steps do is looked at by none.
pub(super) fn unchecked_end(subject: &Subject<'_>, found: &mut Found<'_>) {
    let steps = subject.test();
    let Some(last) = steps.iter().rposition(|step| acts(step)) else {
        return;
    };
    // Where nothing is checked at all, one remark is enough.
    if steps[..last].iter().any(|step| checks(step)) && !steps[last..].iter().any(|step| checks(step)) {
        let step = steps[last];
        let message = format!(
            "what '{}' does is never looked at: no check comes with it or after it",
            step.label
        );
        found.add(step.place.clone(), step, message);
    }
}

/// A program is started, and nothing is done at the end.
pub(super) fn app_left_running(subject: &Subject<'_>, found: &mut Found<'_>) {
    let before = [subject.setup(), subject.test()].concat();
    let launch = before.into_iter().find(|step| matches!(step.action, Action::Launch(_)));
    if let Some(step) = launch
        && subject.cleanup().is_empty()
    {
        let place = subject.spot(step, Purpose::Acting, &|e, _| e.key == "launch");
        found.add(
            place,
            step,
            "what is started here is left running: there is no cleanup".into(),
        );
    }
}

/// Two steps that a report does not tell apart.
pub(super) fn duplicate_label(subject: &Subject<'_>, found: &mut Found<'_>) {
    let mut seen: Vec<(&str, &Place)> = Vec::new();
    for step in subject.all() {
        let entry = subject.node(step).map(entries).unwrap_or_default();
        let Some(entry) = entry.iter().find(|e| e.key == "label") else {
            continue;
        };
        let Some(label) = entry.value.as_str() else { continue };
        match seen.iter().find(|(other, _)| *other == label) {
            // The same text read twice, by an alias.
            Some((_, first)) if **first == entry.place => {}
            Some((_, first)) => {
                let first = match first {
                    Place::Line(line, _) => format!("in line {line}"),
                    Place::File(file, line, _) => format!("in {file}:{line}"),
                    Place::Path(path) => format!("at {path}"),
                    Place::Whole => "before".into(),
                };
                found.add(
                    entry.place.clone(),
                    step,
                    format!("the label '{label}' is used {first} already"),
                );
            }
            None => seen.push((label, &entry.place)),
        }
    }
}

/// An input or a variable that no step uses.
pub(super) fn unused_input(subject: &Subject<'_>, found: &mut Found<'_>) {
    let members = entries(subject.tree());
    // A routine has inputs of its own.
    let own = |e: &&Entry| !["inputs", "routines"].contains(&e.key.as_str());
    let others: Vec<&Node> = members.iter().filter(own).map(|e| &e.value).collect();
    for (key, what) in [("inputs", "input"), ("variables", "variable")] {
        let declared = members.iter().find(|e| e.key == key);
        for entry in declared.map(|e| entries(&e.value)).unwrap_or_default() {
            if !others.iter().any(|node| uses(node, &entry.key)) {
                found.add_to_whole(entry.place.clone(), format!("no step uses the {what} '{}'", entry.key));
            }
        }
    }
}

/// A phase that a run cannot begin with.
pub(super) fn phase_needs_earlier(subject: &Subject<'_>, found: &mut Found<'_>) {
    let scenario = subject.scenario;
    let made_by = |steps: &[Step]| -> BTreeMap<Made, String> {
        let all = steps.iter().flat_map(Step::flatten);
        all.flat_map(|s| makes(s).into_iter().map(|made| (made, s.id.clone())))
            .collect()
    };
    let members = entries(subject.tree()).iter().find(|e| e.key == "phases");
    for phase in &scenario.phases {
        let (before, after) = scenario.steps.split_at(*phase.range.start());
        let left_out = made_by(before);
        let mut here = made_by(&scenario.setup);
        let needed = after.iter().find_map(|step| {
            let lacks = left_out.iter().filter(|(made, _)| !here.contains_key(made));
            let mut needs = lacks.filter(|(made, _)| match made {
                // What stands within the step counts, what its routine says does not: that has names of its own.
                Made::Value(name) => subject.node(step).is_some_and(|node| uses(node, name)),
                Made::Snapshot(name) => {
                    (step.flatten().iter()).any(|s| matches!(&s.action, Action::Rollback(back) if back == name))
                }
            });
            let needed = needs.next().map(|(made, by)| (step, made.to_string(), by));
            here.extend(makes(step).into_iter().map(|made| (made, step.id.clone())));
            needed
        });
        let place = members.map(|e| entries(&e.value)).unwrap_or_default();
        let place = place.iter().find(|e| e.key == phase.name).map(|e| e.place.clone());
        if let (Some((step, need, by)), Some(place)) = (needed, place) {
            let message = format!(
                "a run cannot begin with the phase '{}': step '{}' needs {need}, which step '{by}' makes",
                phase.name, step.id
            );
            found.add_to_whole(place, message);
        }
    }
}

/// A step that never gets the time that it is given.
pub(super) fn budget_too_short(subject: &Subject<'_>, found: &mut Found<'_>) {
    let Some(budget) = subject.scenario.budget else { return };
    for step in [subject.setup(), subject.test()].concat() {
        let given = subject.node(step).is_some_and(|node| node.get("timeout").is_some());
        if given && step.timeout > budget {
            let place = subject.spot(step, Purpose::Acting, &|e, _| e.key == "timeout");
            let message = format!(
                "the step's {:?} are more than the {budget:?} of the whole test",
                step.timeout
            );
            found.add(place, step, message);
        }
    }
}

fn uses(node: &Node, name: &str) -> bool {
    match &node.value {
        Value::Str(text) => mentions(text, name) || template::references(text).is_ok_and(|names| names.contains(name)),
        Value::Seq(items) => items.iter().any(|item| uses(item, name)),
        Value::Map(entries) => entries.iter().any(|e| {
            // Facts name what they ask about.
            let fact = ["when", "fact"].contains(&e.key.as_str()) && e.value.get(name).is_some();
            fact || uses(&e.value, name)
        }),
        _ => false,
    }
}
