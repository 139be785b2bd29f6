//! What a good scenario becomes.

use mosdat::scenario::{Action, Check, Plan, Scenario, Target, Words};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::time::Duration;

const LOGIN: &str = r#"
name: login
description: Logs in.
platforms: [linux]
inputs:
  user: {type: string, default: alice}
  tries: {type: integer, default: 2}
  ratio: {type: number, default: 1}
  password: {type: string, secret: true}
setup:
  - shell: rm -rf ~/.app
steps:
  - launch: {command: "app --user={{ user }}", window: App}
  - click: the Save button
  - type: {text: "{{ password }}", into: "the field right of 'Password'", then: enter}
  - id: keyed
    key: [ctrl+a, Delete]
  - expect: {shell: 'grep -q "$password" ~/.app', contains: "user={{ user }}"}
    timeout: 1m30s
    soft: true
  - expect: {not: {process: app}}
  - click: {target: {text: Save, right_of: "{{ user }}", exact: true}, button: right, count: 2}
    verify: {any: ["'Saved' is shown", {text: Saved}]}
    attempts: 3
  - shell: {command: 'echo "$A"', env: {A: "{{ password }}!"}, exit: 3, as: root}
cleanup:
  - key: ctrl+q
  - note: over
"#;

fn secrets() -> BTreeMap<String, SecretString> {
    BTreeMap::from([("password".to_string(), SecretString::from("hunter2"))])
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

fn plan() -> Plan {
    let scenario = Scenario::from_str("login.yaml", LOGIN).unwrap();
    scenario.plan(&variables(&[("user", "o'bob $x")]), &secrets()).unwrap()
}

#[test]
fn ids_are_derived_from_place_and_action_and_differ_between_sections() {
    let plan = plan();
    let ids: Vec<&str> = plan.all_steps().map(|s| s.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "p01-shell-rm-rf-app",
            "s01-launch-app-user-user",
            "s02-click-save",
            "s03-type-password",
            "keyed",
            "s05-expect-grep-q-password",
            "s06-expect-app",
            "s07-click-save",
            "s08-shell-echo",
            "c01-key-ctrl-q",
            "c02-note-over",
        ]
    );
    let loaded = Scenario::from_str("login.yaml", LOGIN).unwrap();
    let before: Vec<&str> = loaded.steps.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(before, ids[1..9], "ids do not depend on values");
}

#[test]
fn texts_are_filled_in_once_and_stay_one_word() {
    let plan = plan();
    let Action::Launch(launch) = &plan.steps[0].action else {
        panic!("{:?}", plan.steps[0])
    };
    assert_eq!(launch.argv, ["app", "--user=o'bob $x"]);
    assert_eq!(launch.window.as_deref(), Some("App"));
    let Action::Expect(Check::Shell(check)) = &plan.steps[4].action else {
        panic!("{:?}", plan.steps[4])
    };
    assert_eq!(check.fits.contains.as_deref(), Some("user=o'bob $x"));
    assert_eq!(plan.steps[4].timeout, Duration::from_secs(90));
    assert!(plan.steps[4].soft);
}

#[test]
fn shells_get_plain_inputs_and_only_the_secrets_that_they_name() {
    let plan = plan();
    let Action::Shell(setup) = &plan.setup[0].action else {
        panic!("{:?}", plan.setup[0])
    };
    assert_eq!(setup.env.keys().collect::<Vec<_>>(), ["ratio", "tries", "user"]);
    let Action::Expect(Check::Shell(check)) = &plan.steps[4].action else {
        panic!("{:?}", plan.steps[4])
    };
    assert!(matches!(&check.shell.env["password"], Words::Secret(s) if s.expose_secret() == "hunter2"));
    let Action::Shell(shell) = &plan.steps[7].action else {
        panic!("{:?}", plan.steps[7])
    };
    assert!(!shell.env.contains_key("password"));
    assert!(matches!(&shell.env["A"], Words::Secret(s) if s.expose_secret() == "hunter2!"));
    assert_eq!((shell.exit, shell.user.as_deref()), (3, Some("root")));
}

#[test]
fn secrets_are_shown_nowhere() {
    let shown = format!("{:?}", plan());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(plan().steps[2].label.contains("***"), "{}", plan().steps[2].label);
}

#[test]
fn short_and_long_forms() {
    let plan = plan();
    let Action::Click(short) = &plan.steps[1].action else {
        panic!()
    };
    assert_eq!(short.target, Target::Words("the Save button".into()));
    let Action::Click(long) = &plan.steps[6].action else {
        panic!()
    };
    assert_eq!(long.target.to_string(), "exactly 'Save' right of 'o'bob $x'");
    assert_eq!((long.count, plan.steps[6].attempts), (2, 3));
    assert!(matches!(&plan.steps[6].verify, Some(Check::Any(two)) if two.len() == 2));
}

#[test]
fn values_are_checked() {
    let scenario = Scenario::from_str("login.yaml", LOGIN).unwrap();
    let of = |v: &[(&str, &str)], s: &BTreeMap<String, SecretString>| {
        scenario.plan(&variables(v), s).unwrap_err().to_string()
    };
    assert_eq!(
        of(&[("usr", "x"), ("tries", "two"), ("ratio", "nan")], &BTreeMap::new()),
        "login.yaml: unknown input 'usr'; did you mean 'user'? Valid inputs: password, ratio, tries, user\n\
         login.yaml: the secret input 'password' has no value; give it by the run's secretVariables\n\
         login.yaml: input 'ratio': 'nan' is not a number\n\
         login.yaml: input 'tries': 'two' is not an integer"
    );
    assert_eq!(
        of(&[("password", "x")], &BTreeMap::new()),
        "login.yaml: input 'password' is secret; give it as a secret variable"
    );
    let mut more = secrets();
    more.insert("user".into(), SecretString::from("x"));
    assert_eq!(
        of(&[], &more),
        "login.yaml: input 'user' is not secret; give it as a plain variable"
    );
    let missing = Scenario::from_str("a", "name: a\ninputs: {x: {}}\nsteps: [{note: '{{ x }}'}]\n").unwrap();
    let error = missing.plan(&BTreeMap::new(), &BTreeMap::new()).unwrap_err();
    assert_eq!(error.to_string(), "a: input 'x' has no value and no default");
}

#[test]
fn what_shows_only_with_values_has_its_place() {
    let text = "name: a\ninputs: {k: {default: ctrl+s}}\nsteps:\n  - key: '{{ k }}'\n";
    let scenario = Scenario::from_str("a.yaml", text).unwrap();
    assert!(scenario.plan(&BTreeMap::new(), &BTreeMap::new()).is_ok());
    let error = scenario
        .plan(&variables(&[("k", "ctrl+entr")]), &BTreeMap::new())
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("a.yaml:4:10: unknown key 'entr' in 'ctrl+entr'; did you mean 'enter'?"),
        "{error}"
    );
}

#[test]
fn a_manifest_a_file_and_an_object_say_the_same() {
    let file = Scenario::from_str("f", LOGIN).unwrap();
    let indented = LOGIN.replace('\n', "\n  ");
    let manifest =
        format!("apiVersion: mosdat.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: login}}\nspec:\n{indented}");
    let manifest = Scenario::from_str("m", &manifest).unwrap();
    assert_eq!(file.digest(), manifest.digest());
    let object = Scenario::from_spec(&file.to_spec().unwrap(), "scenario/login").unwrap();
    let ids = |s: &Scenario| s.steps.iter().map(|s| s.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&file), ids(&object));
    assert_eq!(file.digest().len(), 64);
    let commented = format!("# a comment\n{LOGIN}");
    assert_eq!(Scenario::from_str("f", &commented).unwrap().digest(), file.digest());
    let other = LOGIN.replace("alice", "bob");
    assert_ne!(Scenario::from_str("f", &other).unwrap().digest(), file.digest());
    assert_eq!(file.secret_inputs().collect::<Vec<_>>(), ["password"]);
}

#[test]
fn errors_in_an_object_have_paths() {
    let mut spec = Scenario::from_str("f", LOGIN).unwrap().to_spec().unwrap();
    spec.steps[1].click = Some(mosdat::api::Loose(serde_json::json!({"targt": "x"})));
    let error = Scenario::from_spec(&spec, "scenario/login").unwrap_err().to_string();
    assert_eq!(
        error,
        "scenario/login: spec.steps[1].click.targt: unknown key of click 'targt'; did you mean 'target'? Valid keys: \
         target, button, count, modifiers"
    );
}

#[test]
fn anchors_work_and_cannot_explode() {
    let text = "name: a\nsteps:\n  - &s {note: hi}\n  - *s\n";
    assert_eq!(Scenario::from_str("a", text).unwrap().steps.len(), 2);
    let mut bomb = String::from("name: a\nx0: &x0 [lol]\n");
    for i in 1..40 {
        let before = format!("*x{}", i - 1);
        bomb += &format!("x{i}: &x{i} [{}]\n", vec![before; 9].join(", "));
    }
    let error = Scenario::from_str("a", &bomb).unwrap_err().to_string();
    assert!(error.contains("more than 100000 values"), "{error}");
}

#[test]
fn a_part_of_the_steps() {
    let text = "name: t\nsetup: [{id: s, note: x}]\nsteps:\n  - {id: a, note: x}\n  - {id: b, if: {text: y, then: [{id: in-b, note: x}]}}\n  \
                - {id: c, note: x}\n";
    let scenario = Scenario::from_str("t.yaml", text).unwrap();
    let plan = || scenario.plan(&BTreeMap::new(), &BTreeMap::new()).unwrap();
    let limit = |from: Option<&str>, until: Option<&str>| {
        let mut plan = plan();
        plan.limit(from, until)
            .map(|()| plan.range.clone())
            .map_err(|e| e.to_string())
    };
    assert_eq!(limit(None, None), Ok(0..3));
    assert_eq!(limit(Some("b"), None), Ok(1..3));
    assert_eq!(limit(None, Some("b")), Ok(0..2));
    assert_eq!(limit(Some("b"), Some("b")), Ok(1..2));
    for (from, until, message) in [
        (
            Some("bb"),
            None,
            "t.yaml: from: unknown step 'bb'. Valid steps: a, b, c",
        ),
        (
            Some("in-b"),
            Some("s"),
            "t.yaml: from: 'in-b' is within another step, or no step of the test; a part of it begins and ends with one of a, b, c\n\
             t.yaml: until: 's' is within another step, or no step of the test; a part of it begins and ends with one of a, b, c",
        ),
        (Some("c"), Some("a"), "t.yaml: step 'a' comes before step 'c'"),
    ] {
        assert_eq!(limit(from, until), Err(message.to_string()));
    }
}

#[test]
fn a_part_that_needs_what_was_left_out() {
    let text = "name: t\nsetup: [{id: s, shell: {command: echo 1, capture: early}}]\nsteps:\n  \
                - {id: a, shell: {command: echo 1, capture: pid}}\n  - {id: b, snapshot: clean}\n  \
                - {id: c, type: \"{{ pid }} {{ early }}\"}\n  - {id: d, rollback: clean}\n  - {id: e, rollback: theirs}\n";
    let scenario = Scenario::from_str("t.yaml", text).unwrap();
    let limit = |from: &str| {
        let mut plan = scenario.plan(&BTreeMap::new(), &BTreeMap::new()).unwrap();
        plan.limit(Some(from), None).map_err(|e| e.to_string())
    };
    assert_eq!(limit("a"), Ok(()));
    let value = "t.yaml: step 'c' needs the value pid, which step 'a' makes; begin with that one";
    let snapshot = "t.yaml: step 'd' needs the snapshot clean, which step 'b' makes; begin with that one";
    assert_eq!(limit("b"), Err(value.to_string()));
    assert_eq!(limit("c"), Err(format!("{value}\n{snapshot}")));
    assert_eq!(limit("d"), Err(snapshot.to_string()));
    assert_eq!(limit("e"), Ok(()));
}

#[test]
fn every_display_of_the_language_is_known() {
    for display in mosdat::scenario::Display::ALL {
        let text = format!(
            "name: t\nsteps: [{{launch: {{command: a, display: {}}}}}]\n",
            display.as_str()
        );
        let scenario = Scenario::from_str("t.yaml", &text).unwrap();
        match &scenario.steps[0].action {
            mosdat::scenario::Action::Launch(launch) => assert_eq!(launch.display, display),
            other => panic!("{other:?}"),
        }
    }
}
