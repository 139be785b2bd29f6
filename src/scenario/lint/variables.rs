//! Names of variables in the texts of shells.

use super::super::error::nearest;
use super::super::model::Platform;
use super::super::node::{Node, Value};
use super::Found;
use super::script::{Script, is_usual};
use super::subject::{Subject, entries, shells};
use std::collections::BTreeSet;

/// A variable that nobody gives a value: a shell takes it for an empty text, and says nothing.
pub(super) fn unknown_shell_variable(subject: &Subject<'_>, found: &mut Found<'_>) {
    // What is for both systems may be either's.
    if subject.scenario.platforms.contains(&Platform::Windows) {
        return;
    }
    let mut known = BTreeSet::new();
    declared(subject.tree(), &mut known);
    for step in subject.all() {
        for (shell, purpose) in shells(step) {
            let script = Script::of(&shell.script);
            let names = known.iter().copied().chain(shell.env.keys().map(String::as_str));
            let names: Vec<&str> = names.collect();
            for name in script.unset() {
                if names.contains(&name) || is_usual(name) {
                    continue;
                }
                let near = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("; did you mean '${near}'?"),
                    None => String::new(),
                };
                let message = format!(
                    "'${name}' is empty: it is no input, variable or captured value, and this text does not set it{near}"
                );
                let place = subject.spot_of(step, purpose, &["shell", "command"], &shell.script);
                found.add(place, step, message);
            }
        }
    }
}

/// Names of inputs, variables and captured values, wherever they are declared: those of routines, too, and values that are
/// captured later, since the loader tells what is used too early.
fn declared<'n>(node: &'n Node, known: &mut BTreeSet<&'n str>) {
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| declared(item, known)),
        Value::Map(members) => {
            for member in members {
                match (member.key.as_str(), &member.value.value) {
                    ("inputs" | "variables" | "capture", Value::Map(_)) => {
                        known.extend(entries(&member.value).iter().map(|e| e.key.as_str()));
                    }
                    ("capture", Value::Str(name)) => {
                        known.insert(name);
                    }
                    ("capture", Value::Seq(names)) => known.extend(names.iter().filter_map(Node::as_str)),
                    _ => {}
                }
                declared(&member.value, known);
            }
        }
        _ => {}
    }
}
