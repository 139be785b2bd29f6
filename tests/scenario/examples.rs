//! What is shipped loads, and the names of keys are those of the desktop.

use mosdat::api::FunctionalTestRun;
use mosdat::scenario::{KEYS, MODIFIERS, Plan, Scenario};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn quickstart(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/quickstart")
        .join(file)
}

fn planned(run: &str, scenario: &Scenario) -> Plan {
    let run: FunctionalTestRun = serde_saphyr::from_str(&std::fs::read_to_string(quickstart(run)).unwrap()).unwrap();
    scenario.plan(&run.spec.variables, &BTreeMap::new()).unwrap()
}

#[test]
fn the_quickstart_loads() {
    let scenario = Scenario::from_file(&quickstart("scenario.yaml")).unwrap();
    let plan = planned("passing.yaml", &scenario);
    assert_eq!(plan.steps[1].label, "enter the user name");
    let text = std::fs::read_to_string(quickstart("failing.yaml")).unwrap();
    let run: FunctionalTestRun = serde_saphyr::from_str(&text).unwrap();
    let inline = run.spec.scenario.inline.unwrap();
    let failing = Scenario::from_spec(&inline, "run/failing").unwrap();
    planned("failing.yaml", &failing);
}

#[test]
fn scenarios_inside_of_manifests_have_lines_too() {
    let text = std::fs::read_to_string(quickstart("failing.yaml")).unwrap();
    assert_eq!(
        Scenario::in_manifests("f", &text, None).unwrap()[0].name,
        "Apply is not Save"
    );
    let both = format!("{text}---\nname: alone\nsteps: [{{nte: x}}]\n---\nkind: Secret\napiVersion: v1\n");
    let wrong = both.replace("- click:", "- clik:");
    let error = Scenario::in_manifests("failing.yaml", &wrong, None)
        .unwrap_err()
        .to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(
        lines[0].starts_with("failing.yaml:24:11: unknown action 'clik'; did you mean 'click'?"),
        "{error}"
    );
    assert!(
        lines[1].contains("unknown action 'nte'; did you mean 'note'?"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_there_is_one_clear_line() {
    let error = Scenario::from_file(Path::new("/no/such.yaml")).unwrap_err().to_string();
    assert!(
        error.starts_with("/no/such.yaml: cannot be read: No such file"),
        "{error}"
    );
}

#[test]
fn every_key_that_the_loader_takes_can_be_pressed() {
    for name in KEYS.iter().chain(MODIFIERS) {
        assert!(mosdat::desktop::parse_chord(name).is_ok(), "{name}");
    }
    for modifier in MODIFIERS {
        let chord = format!("{modifier}+enter");
        assert!(mosdat::desktop::parse_chord(&chord).is_ok(), "{chord}");
    }
    for chord in [
        "ctrl+s",
        "ctrl++",
        "+",
        "ctrl+entr",
        "enter+a",
        "",
        "ctrl+",
        "A",
        "ä",
        "f13",
        "f25",
        "kpadd",
        "kp",
        "shift+ctrl+F5",
        "a+b",
    ] {
        let text = format!("name: t\nsteps:\n  - key: {chord:?}\n");
        let loads = Scenario::from_str("k", &text).is_ok();
        assert_eq!(loads, mosdat::desktop::parse_chord(chord).is_ok(), "{chord}");
    }
}
