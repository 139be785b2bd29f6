//! Whether a file is one of the predecessor's: then one line about that tells more than one for each of its words.

use super::super::error::{Place, Problem, Problems};
use super::super::node::{Entry, Node, Value};
use super::super::vocabulary as v;
use super::super::yaml;

/// Words of the outermost object that only the old dialect has.
const TOP: &[&str] = &[
    "vars",
    "checkpoints",
    "bug_signal",
    "precondition_check",
    "report_config_snapshots",
    "expected_env",
    "schema_version",
    "preconditions",
    "postconditions",
    "fallbacks",
    "setup_steps",
    "teardown_steps",
    "vm_state",
];

/// Words of steps that only the old dialect has.
const STEP: &[&str] = &[
    "localize",
    "then_type",
    "then_key",
    "then_key_pre",
    "key_pre",
    "launch_window",
    "launch_timeout",
    "verify_click",
    "verify_input",
    "verify_timeout",
    "verify_consistent",
    "accept_any",
    "retries",
    "wait",
    "focus",
    "must_pass",
    "dwell_ms",
    "on_failure_agent",
    "if_visible",
    "popup_sweep",
    "checkpoint",
    "atspi",
    "verify_atspi",
    "import",
    "routine",
];

/// Words of steps that both have.
const BOTH: &[&str] = &[
    "label",
    "verify",
    "verify_not",
    "shell",
    "launch",
    "click",
    "type",
    "key",
    "hover",
    "wait_for",
    "motion",
];

/// What to say of a file of the predecessor, if the text is one.
pub fn old_dialect(origin: &str, text: &str) -> Option<Problem> {
    let documents = yaml::read_old(text, &mut Problems::new(origin))?;
    let [tree] = documents.as_slice() else { return None };
    let (place, sign) = sign(tree)?;
    let list = match tree.value {
        Value::Seq(_) => {
            ". If it is written for this language, it begins with 'name: ...', and the list stands below 'steps:'"
        }
        _ => "",
    };
    Some(Problem {
        origin: origin.to_string(),
        place,
        message: format!(
            "this file is of the predecessor's dialect ({sign} there); 'mosdat import {origin}' turns it into this language{list}"
        ),
    })
}

/// What only the old dialect has, with its place, where there is more of it than of new words.
fn sign(tree: &Node) -> Option<(Place, String)> {
    let none = Vec::new();
    let (top, steps) = match &tree.value {
        Value::Map(entries) => (entries, tree.get("steps").map(|n| &n.value)),
        // A fragment.
        Value::Seq(_) => (&none, Some(&tree.value)),
        _ => return None,
    };
    // A manifest is none of the old files, whatever is in it.
    if top.iter().any(|e| e.key == "apiVersion") {
        return None;
    }
    let steps: Vec<&Entry> = match steps {
        Some(Value::Seq(items)) => items.iter().flat_map(members).collect(),
        _ => Vec::new(),
    };
    let old: Vec<&&Entry> = steps.iter().filter(|e| STEP.contains(&e.key.as_str())).collect();
    let is_new = |key: &str| {
        let known = v::action_names().contains(&key) || v::all_options().contains(&key);
        known && !BOTH.contains(&key)
    };
    let new = steps.iter().filter(|e| is_new(&e.key)).count();
    let mut first = top.iter().filter(|e| {
        let kind = e.key == "kind" && matches!(e.value.as_str(), Some("functional" | "bug-confirmation"));
        let phases = e.key == "phases" && matches!(e.value.value, Value::Seq(_));
        kind || phases || TOP.contains(&e.key.as_str())
    });
    let told = |entry: &Entry| Some((entry.place.clone(), format!("'{}' is a word", entry.key)));
    let known = |e: &&Entry| BOTH.contains(&e.key.as_str());
    // One word may be a mistake in a new file, which has a name.
    let sure = old.len() > 1 || tree.get("name").is_none();
    match (first.next(), old.first()) {
        (Some(entry), _) if new <= old.len() => told(entry),
        (None, Some(entry)) if old.len() > new && sure => told(entry),
        (None, None) if matches!(tree.value, Value::Seq(_)) && new == 0 && steps.iter().copied().any(|e| known(&e)) => {
            Some((tree.place.clone(), "a list of steps is a fragment".to_string()))
        }
        _ => None,
    }
}

fn members(step: &Node) -> &[Entry] {
    match &step.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_files_are_told_from_new_ones_with_a_mistake() {
        let said = |text: &str| old_dialect("a.yaml", text).map(|p| p.to_string());
        for old in [
            "name: x\nvars: {a: b}\nsteps:\n  - shell: ls\n",
            "name: x\nkind: functional\nsteps:\n  - verify: it is there\n",
            "steps:\n  - localize: the Save button\n    then_type: x\n",
            "- localize: the Save button\n",
            "- key: escape\n  verify_not: a dialog\n",
            "steps:\n  - launch: labdemo\n    launch_window: Lab Demo\n",
            "- !import launch\n- localize: x\n",
            "name: x\nphases: [{id: a, name: a, from_step: 1}]\nsteps: [{shell: ls}]\n",
        ] {
            let said = said(old).expect(old);
            assert!(said.contains("'mosdat import a.yaml'"), "{said}");
            assert_eq!(said.contains("below 'steps:'"), old.starts_with('-'), "{said}");
        }
        assert!(
            said("name: x\nvars: {}\nsteps: []\n")
                .is_some_and(|s| s.starts_with("a.yaml:2:1: ") && s.contains("('vars' is a word there)"))
        );
        for new in [
            "name: x\nsteps:\n  - localize: the Save button\n",
            "name: x\nvars: {a: b}\nsteps:\n  - expect: it is there\n",
            "name: x\nsteps:\n  - click: x\n    retries: 3\n  - expect: {text: y}\n  - use: z\n",
            "apiVersion: v1\nvars: {}\n",
            "name: x\nsteps: [{note: x}]\n",
            "- a",
            "- expect: x\n",
            "steps: [{note: x}]\n",
            "just text",
            "",
        ] {
            assert_eq!(said(new), None, "{new}");
        }
    }
}
