//! Two ways, rounds, routines, imports, values that a run finds out.

use mosdat::scenario::{Action, Scenario, Step};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;

fn of(text: &str) -> String {
    match Scenario::from_str("t.yaml", text) {
        Ok(scenario) => panic!("loaded: {scenario:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// Errors of a scenario with these steps, whose first line is line 3.
fn steps(steps: &str) -> String {
    of(&format!("name: t\nsteps:\n{steps}\n"))
}

fn ids(text: &str) -> Vec<String> {
    let scenario = Scenario::from_str("t.yaml", text).expect("it loads");
    let plan = scenario.plan(&BTreeMap::new(), &BTreeMap::new()).expect("a plan");
    plan.all_steps().map(|s| s.id.clone()).collect()
}

#[test]
fn what_is_wrong_with_the_flow() {
    let table = [
        (
            "  - if: Welcome",
            "t.yaml:3:9: 'if' must be an object with a condition and 'then', such as {text: Welcome, then: [...]}, not text",
        ),
        (
            "  - if: {text: x}",
            "t.yaml:3:9: 'if' needs 'then' or 'else': a list of steps",
        ),
        (
            "  - if: {text: x, then: []}",
            "t.yaml:3:25: 'then' has 0 steps; it needs from 1 to 200",
        ),
        (
            "  - if: {text: x, then: [{clik: y}]}",
            "t.yaml:3:27: unknown action 'clik'; did you mean 'click'? Valid actions: launch, click, hover, drag, scroll, \
             type, key, wait_for, wait_gone, never, expect, shell, stage, reboot, install, uninstall, snapshot, rollback, power, if, repeat, use, screenshot, note",
        ),
        (
            "  - repeat: {steps: [{note: x}]}",
            "t.yaml:3:13: repeat needs 'times', or 'until' and 'max'",
        ),
        (
            "  - repeat: {until: {text: x}, steps: [{note: x}]}",
            "t.yaml:3:13: 'until' needs 'max': after so many rounds it counts as failed",
        ),
        (
            "  - repeat: {until: {text: x}, times: 3, steps: [{note: x}]}",
            "t.yaml:3:32: 'until' has 'max', the most rounds, not 'times'",
        ),
        (
            "  - repeat: {times: 2, max: 3, steps: [{note: x}]}",
            "t.yaml:3:24: 'max' belongs to 'until'; without one, write 'times'",
        ),
        (
            "  - use: login",
            "t.yaml:3:10: unknown routine 'login'. Valid routines: none",
        ),
        (
            "  - note: x\n    when: {usr: x}",
            "t.yaml:4:12: undefined variable 'usr'. The scenario has no inputs",
        ),
        ("  - note: x\n    when: {}", "t.yaml:4:11: 'when' is empty"),
        (
            "  - note: '{{ version }}'\n  - shell: {command: x, capture: version}",
            "t.yaml:3:11: 'version' has no value here: the step in line 4 captures it, which comes later; use it after that",
        ),
        (
            "  - if: {text: x, then: [{shell: {command: x, capture: version}}]}\n  - note: '{{ version }}'",
            "t.yaml:4:11: undefined variable 'version'. The scenario has no inputs",
        ),
        (
            "  - shell: {command: x, capture: {version: '('}}",
            "t.yaml:3:44: 'capture' is not a regular expression: error: unclosed group",
        ),
        (
            "  - shell: {command: x, capture: Version}",
            "t.yaml:3:34: 'Version' must begin with a lower-case letter and have only letters, digits and _: it becomes \
             the name of an environment variable",
        ),
        (
            "  - stage: {path: /tmp/x}",
            "t.yaml:3:12: stage needs 'content', 'base64' or 'from'",
        ),
        (
            "  - stage: {path: x, content: y}",
            "t.yaml:3:19: 'path' must begin with /, with ~/ (the home of the session's user) or with a drive (C:\\), unlike 'x'",
        ),
        (
            "  - stage: {path: /x, content: y, mode: '0999'}",
            "t.yaml:3:41: 'mode' is an octal number such as \"0755\", not '0999'",
        ),
        (
            "  - stage: {path: /x, base64: 'not it!'}",
            "t.yaml:3:31: 'base64' is no base64: Invalid symbol 33, offset 5.",
        ),
        (
            "  - stage: {path: /x, from: /etc/passwd}",
            "t.yaml:3:29: '/etc/passwd' is an absolute path, which is another file on the next machine; write it relative to \
             this file",
        ),
    ];
    for (text, message) in table {
        let found = steps(text);
        let mut wanted: Vec<&str> = message.lines().collect();
        wanted.sort_unstable();
        let mut lines: Vec<&str> = found.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, wanted, "{text}");
    }
}

const LOGIN: &str = r#"
name: t
inputs:
  password: {type: string, secret: true}
routines:
  login:
    version: 2
    inputs:
      user: {type: string}
      tries: {type: integer, default: 1}
      secret: {type: string, secret: true}
    outputs: [token]
    requires: {text: Sign in}
    ensures: {text: "Welcome {{ user }}"}
    steps:
      - type: "{{ user }}"
      - {id: word, type: "{{ secret }}"}
      - shell: {command: 'get-token "$user"', capture: token}
      - note: "{{ token }}"
"#;

#[test]
fn what_is_wrong_with_routines() {
    let with = |steps: &str| of(&format!("{LOGIN}steps:\n{steps}\n"));
    let s = "secret: '{{ password }}'";
    let table = [
        (
            format!("  - use: logn\n    with: {{user: a, {s}}}"),
            "t.yaml:21:10: unknown routine 'logn'; did you mean 'login'? Valid routines: login".to_string(),
        ),
        (
            format!("  - use: login@1\n    with: {{user: a, {s}}}"),
            "t.yaml:21:10: this was written for version 1 of the routine 'login', which has version 2".into(),
        ),
        (
            format!("  - use: login\n    with: {{{s}}}"),
            "t.yaml:21:10: the routine 'login' needs the input 'user'; give it by 'with'".into(),
        ),
        (
            format!("  - use: login\n    with: {{usr: x, user: y, {s}}}"),
            "t.yaml:22:12: unknown input of 'login' 'usr'; did you mean 'user'? Valid inputs: secret, tries, user"
                .into(),
        ),
        (
            format!("  - use: login\n    with: {{user: a, tries: many, {s}}}"),
            "t.yaml:22:28: the input 'tries': 'many' is not an integer".into(),
        ),
        (
            format!("  - use: login\n    with: {{user: '{{{{ password }}}}', {s}}}"),
            "t.yaml:22:18: the input 'user' is not secret, and a secret is given to it; declare it with secret: true"
                .into(),
        ),
        (
            format!("  - use: login\n    with: {{user: a, {s}}}\n    capture: [tokn]"),
            "t.yaml:23:15: unknown output of 'login' 'tokn'; did you mean 'token'? Valid outputs: token".into(),
        ),
        (
            format!("  - use: login\n    with: {{user: a, {s}}}\n  - note: '{{{{ token }}}}'"),
            "t.yaml:23:11: undefined variable 'token'; did you mean 'password'? Inputs: password".into(),
        ),
    ];
    for (steps, message) in table {
        let found = with(&steps);
        // The nearest name is a courtesy, and not what this is about.
        let plain = |text: &str| text.replace("; did you mean 'password'?", ".");
        assert_eq!(plain(&found), plain(&message), "{steps}");
    }
    let circle = of("name: t\nroutines:\n  a: {steps: [{use: b}]}\n  b: {steps: [{use: a}]}\nsteps: [{use: a}]");
    assert!(circle.contains("a routine cannot use itself: a -> b -> a"), "{circle}");
    let inner = of("name: t\nroutines:\n  a: {steps: [{note: '{{ x }}'}]}\nsteps: [{use: a}, {use: a}]");
    assert_eq!(
        inner, "t.yaml:3:22: undefined variable 'x'. The scenario has no inputs",
        "told once, where it is declared"
    );
    let never = of("name: t\nroutines:\n  a: {outputs: [x], steps: [{note: y}]}\nsteps: [{use: a}]");
    assert_eq!(
        never,
        "t.yaml:3:6: routine 'a': unknown output 'x'. Valid outputs (what its steps capture): none"
    );
}

#[test]
fn routines_that_use_routines_do_not_grow_without_bound() {
    let mut text = "name: t\nroutines:\n  r0: {steps: [{note: x}]}\n".to_string();
    for n in 1..12 {
        let uses = format!("{{use: r{}}}, ", n - 1).repeat(10);
        text += &format!("  r{n}: {{steps: [{uses}]}}\n");
    }
    let errors = of(&format!("{text}steps: [{{use: r11}}]"));
    assert!(
        errors.contains("the scenario has more than 2000 steps with those of its routines"),
        "{errors}"
    );
}

#[test]
fn a_plan_has_the_steps_within_with_ids_that_do_not_shift() {
    let text = |before: &str| {
        format!(
            "name: t\nroutines:\n  save:\n    requires: {{text: Ready}}\n    steps:\n      - {{id: press, click: Save}}\n      \
             - key: enter\nsteps:\n{before}  - id: again\n    repeat: {{times: 2, steps: [{{note: x}}]}}\n  - {{id: first, use: \
             save}}\n  - {{id: second, use: save}}\n  - id: way\n    if: {{text: Welcome, then: [{{key: escape}}], else: [{{note: \
             none}}, {{id: mine, note: y}}]}}\n"
        )
    };
    let wanted = [
        "again",
        "again-01-note-x",
        "first",
        "first-requires",
        "first-press",
        "first-02-key-enter",
        "second",
        "second-requires",
        "second-press",
        "second-02-key-enter",
        "way",
        "way-t01-key-escape",
        "way-e01-note-none",
        "mine",
    ];
    assert_eq!(ids(&text("")), wanted);
    assert_eq!(ids(&text("  - note: new\n"))[1..], wanted);
}

#[test]
fn values_of_the_run_fill_steps_in_when_they_are_there() {
    let text = format!(
        "{LOGIN}steps:\n  - shell: {{command: whoami, capture: {{me: '(\\w+)', all: .*}}}}\n  - use: login\n    with: {{user: '{{{{ me }}}}', \
         secret: '{{{{ password }}}}'}}\n    capture: {{mine: token}}\n  - type: {{text: '{{{{ mine }}}}'}}\n    when: {{me: [alice, bob]}}\n  \
         - shell: echo \"$mine\"\n  - note: plain\n"
    );
    let scenario = Scenario::from_str("t.yaml", &text).expect("it loads");
    let secrets = BTreeMap::from([("password".to_string(), SecretString::from("hunter2"))]);
    let plan = scenario.plan(&BTreeMap::new(), &secrets).expect("a plan");
    let late: Vec<&str> = plan
        .steps
        .iter()
        .filter(|s| s.late.is_some())
        .map(|s| s.id.as_str())
        .collect();
    assert_eq!(late, ["s02-use-login", "s03-type-mine", "s04-shell-echo-mine"]);
    let fill = |step: &Step, values: &[(&str, &str)]| {
        let values = values.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        step.late.as_ref().expect("late").fill(&values).expect("filled in")
    };
    let typed = fill(&plan.steps[2], &[("me", "bob"), ("mine", "{{ x }}")]);
    assert_eq!(typed.when[0].holds(), Some(true));
    let Action::Type(t) = &typed.action else {
        panic!("{typed:?}")
    };
    assert_eq!(t.to_string(), "'{{ x }}'", "a value is no template");
    let call = fill(&plan.steps[1], &[("me", "alice")]);
    let Action::Use(call) = &call.action else {
        panic!("{call:?}")
    };
    let labels: Vec<&str> = call.steps.iter().map(|s| s.label.as_str()).collect();
    assert_eq!(labels[1], "type 'alice'");
    assert_eq!(call.steps[2].label, "type ***");
    assert!(
        call.steps[4].late.is_some(),
        "what the routine captures itself is not there yet"
    );
    let shell = fill(&plan.steps[3], &[("me", "alice"), ("mine", "42")]);
    let Action::Shell(shell) = &shell.action else {
        panic!("{shell:?}")
    };
    assert_eq!(shell.env["mine"].to_string(), "42");
}

/// Each file twice from the one before: read in every way, there would be a million reads.
#[test]
fn a_file_that_comes_in_many_ways_is_read_once() {
    let dir = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("file");
    for n in 0..20 {
        let next = n + 1;
        write(
            &format!("f{n}.yaml"),
            &format!("imports: [f{next}.yaml, ./f{next}.yaml]\nroutines:\n  r{n}: {{steps: [{{note: x}}]}}\n"),
        );
    }
    write("f20.yaml", "routines:\n  r20: {steps: [{note: last}]}\n");
    write(
        "t.yaml",
        "name: t\nimports: [f0.yaml, f0.yaml]\nsteps: [{use: r0}, {use: r20}]\n",
    );
    let begun = std::time::Instant::now();
    Scenario::from_file(&dir.path().join("t.yaml")).expect("it loads");
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn what_is_given_to_a_secret_input_is_hidden() {
    let text = format!("{LOGIN}steps:\n  - use: login\n    with: {{user: a, secret: written-here}}\n");
    let scenario = Scenario::from_str("t.yaml", &text).expect("it loads");
    let secrets = BTreeMap::from([("password".to_string(), SecretString::from("hunter2"))]);
    let plan = scenario.plan(&BTreeMap::new(), &secrets).expect("a plan");
    let hidden: Vec<&str> = plan.secrets.iter().map(|s| s.expose_secret()).collect();
    assert!(
        hidden.contains(&"written-here") && hidden.contains(&"hunter2"),
        "{hidden:?}"
    );
    // What a step captures stands in the report before anybody knows that it is secret.
    let text = format!(
        "{LOGIN}steps:\n  - shell: {{command: make-token, capture: made}}\n  - use: login\n    with: {{user: a, secret: '{{{{ made }}}}'}}\n"
    );
    let errors = of(&text);
    assert!(
        errors.starts_with("t.yaml:23:29: the input 'secret' is secret, and 'made', which a step captures,"),
        "{errors}"
    );
}

#[test]
fn a_name_that_comes_late_is_looked_at_when_it_is_there() {
    let text = "name: t\ninputs: {app: {default: NAME}}\nsteps: [{wait_for: {process: '{{ app }}'}}]\n";
    let plan = |name: &str| {
        let scenario = Scenario::from_str("t.yaml", &text.replace("NAME", name)).expect("it loads");
        scenario.plan(&BTreeMap::new(), &BTreeMap::new())
    };
    assert!(plan("labdemo").is_ok());
    let errors = plan("lab demo").expect_err("no name").to_string();
    assert!(errors.contains("'process' is the name of a program"), "{errors}");
}

#[test]
fn files_beside_a_scenario_are_put_into_it() {
    let dir = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("file");
    std::fs::create_dir(dir.path().join("lib")).expect("folder");
    write("data.bin", "\u{1}binary");
    write(
        "lib/a.yaml",
        "imports: [b.yaml]\nroutines:\n  a: {steps: [{use: b}, {stage: {path: /x, from: ../data.bin}}]}\n",
    );
    write("lib/b.yaml", "routines:\n  b: {steps: [{note: from b}]}\n");
    write(
        "t.yaml",
        "name: t\nimports: [lib/a.yaml, lib/b.yaml]\nsteps: [{use: a}]\n",
    );
    let load = |name: &str| Scenario::from_file(&dir.path().join(name));
    let scenario = load("t.yaml").expect("it loads");
    assert!(scenario.bundled);
    let spec = scenario.to_spec().expect("a spec");
    // A cluster has the files in the object.
    let again = Scenario::from_spec(&spec, "default/t").expect("it loads");
    assert_eq!(again.digest(), scenario.digest());
    let plan = again.plan(&BTreeMap::new(), &BTreeMap::new()).expect("a plan");
    let staged = plan.all_steps().find_map(|s| match &s.action {
        Action::Stage(stage) => Some(stage.content.clone()),
        _ => None,
    });
    assert_eq!(staged.as_deref(), Some("\u{1}binary".as_bytes()));

    // Errors name the file that they are in.
    write("lib/b.yaml", "routines:\n  b: {steps: [{nte: from b}]}\n");
    let errors = load("t.yaml").expect_err("wrong").to_string();
    let b = dir.path().join("lib/b.yaml");
    assert!(
        errors.starts_with(&format!("{}:2:16: unknown action 'nte'", b.display())),
        "{errors}"
    );
    write(
        "lib/b.yaml",
        "imports: [a.yaml]\nroutines:\n  b: {steps: [{note: x}]}\n",
    );
    let errors = load("t.yaml").expect_err("wrong").to_string();
    assert!(
        errors.contains("files import each other") && errors.contains("lib/a.yaml -> "),
        "{errors}"
    );
    write("lib/b.yaml", "routines:\n  a: {steps: [{note: x}]}\n");
    let errors = load("t.yaml").expect_err("wrong").to_string();
    assert!(
        errors.contains("lib/a.yaml:3:3: the routine 'a' is declared in ") && errors.contains("lib/b.yaml:2 already"),
        "{errors}"
    );
    write("t.yaml", "name: t\nimports: [lib/c.yaml]\nsteps: [{note: x}]\n");
    let errors = load("t.yaml").expect_err("wrong").to_string();
    assert!(
        errors.contains("t.yaml:2:11: there is no file ") && errors.contains("lib/c.yaml"),
        "{errors}"
    );
    // An object has no files beside it.
    let json = serde_json::json!({"name": "t", "steps": [{"stage": {"path": "/x", "from": "y"}}]});
    let spec = serde_json::from_value(json).expect("a spec");
    let errors = Scenario::from_spec(&spec, "default/t").expect_err("wrong").to_string();
    assert!(
        errors.contains("spec.steps[0].stage.from: 'from' names a file"),
        "{errors}"
    );
}
