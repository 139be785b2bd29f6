//! What a scenario says of itself as a whole: variables, phases, budget, outputs; and files of the predecessor.

use mosdat::scenario::{Action, Plan, Scalar, Scenario};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::time::Duration;

fn load(text: &str) -> Scenario {
    Scenario::from_str("a.yaml", text).unwrap_or_else(|e| panic!("{e}"))
}

fn errors(text: &str) -> Vec<String> {
    let errors = Scenario::from_str("a.yaml", text).expect_err("faulty");
    errors.to_string().lines().map(String::from).collect()
}

fn plan(text: &str, variables: &[(&str, &str)], secrets: &[(&str, &str)]) -> Result<Plan, String> {
    let variables = variables.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let secrets = secrets
        .iter()
        .map(|(k, v)| (k.to_string(), SecretString::from(*v)))
        .collect();
    load(text).plan(&variables, &secrets).map_err(|e| e.to_string())
}

const VARIABLES: &str = r#"
name: t
inputs:
  host: {type: string, default: example.org}
  port: {type: integer, default: 80}
  password: {type: string, secret: true}
variables:
  page: "{{ base }}/index"
  base: "http://{{ host }}:{{ number }}"
  number: "{{ port }}"
  tries: 3
  ratio: 0.5
  loud: true
  login: "alice:{{ password }}"
  empty: ""
steps:
  - {id: type, type: "{{ page }}"}
  - {id: secret, type: "{{ login }}"}
  - {id: shell, shell: 'curl -u "$login" "$page" "$tries" "$ratio" "$loud" "$empty"'}
  - {id: quiet, shell: 'true', when: {number: 80, loud: true}}
"#;

#[test]
fn variables_are_made_of_inputs_and_of_each_other_in_any_order() {
    let plan = plan(VARIABLES, &[("host", "h")], &[("password", "hunter2")]).unwrap();
    let value = |name: &str| plan.variables[name].clone();
    assert_eq!(value("page"), Scalar::String("http://h:80/index".into()));
    // What is another value as it stands has its type.
    assert_eq!(value("number"), Scalar::Integer(80));
    assert_eq!(
        (value("tries"), value("ratio")),
        (Scalar::Integer(3), Scalar::Number(0.5))
    );
    assert_eq!(
        (value("loud"), value("empty")),
        (Scalar::Boolean(true), Scalar::String(String::new()))
    );
    let Action::Shell(shell) = &plan.steps[2].action else {
        panic!("{:?}", plan.steps[2])
    };
    assert_eq!(shell.env.len(), 10, "{:?}", shell.env.keys());
    assert_eq!(
        plan.steps[3].when.iter().map(|f| f.holds()).collect::<Vec<_>>(),
        [Some(true), Some(true)]
    );
}

#[test]
fn what_is_made_with_a_secret_is_one() {
    let plan = plan(VARIABLES, &[], &[("password", "hunter2")]).unwrap();
    assert!(!plan.variables.contains_key("login") && !format!("{plan:?}").contains("hunter2"));
    let secrets: Vec<&str> = plan.secrets.iter().map(|s| s.expose_secret()).collect();
    assert!(secrets.contains(&"alice:hunter2"), "{}", secrets.len());
    assert!(plan.steps[1].label.contains("***"), "{}", plan.steps[1].label);
    let shown = VARIABLES.replace(
        "- {id: type, type:",
        "- {id: type, note: \"{{ login }}\"}\n  - {id: x, type:",
    );
    assert!(
        errors(&shown)[0].contains("the secret input 'login' is used in"),
        "{:?}",
        errors(&shown)
    );
}

#[test]
fn variables_are_the_authors() {
    let given = plan(VARIABLES, &[("page", "x")], &[("password", "p"), ("login", "q")]).unwrap_err();
    assert_eq!(
        given,
        "a.yaml: 'page' is a variable, which the scenario makes itself; what a caller may give has to be one of its inputs\n\
         a.yaml: 'login' is a variable, which the scenario makes itself; what a caller may give has to be one of its inputs"
    );
    let faults = [
        ("variables: [a]", "'variables' must be an object, not a list"),
        (
            "variables: {A: x}",
            "variable name 'A' must begin with a lower-case letter",
        ),
        (
            "variables: {i: x}",
            "'i' is an input; an input is what callers give, a variable what the scenario makes",
        ),
        (
            "variables: {v: [x]}",
            "the variable 'v' must be text, a number, or true or false, not a list",
        ),
        (
            "variables: {v: '{{ nope }}'}",
            "undefined variable 'nope'. Inputs and variables: i",
        ),
        (
            "variables: {a: '{{ b }}', b: '{{ c }}', c: 'x{{ a }}', d: x}",
            "variables name each other in a circle: a, b, c",
        ),
        ("variables: {a: '{{ a }}'}", "variables name each other in a circle: a"),
        ("variables: {v: '{{ i | upper }}'}", "a template is {{ name }}"),
    ];
    for (top, wanted) in faults {
        let text =
            format!("name: t\ninputs: {{i: {{type: string, default: x}}}}\n{top}\nsteps: [{{note: '{{{{ i }}}}'}}]\n");
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains(wanted) && found[0].starts_with("a.yaml:3:"),
            "{found:?}"
        );
    }
    let captured = "name: t\nvariables: {v: x}\nsteps:\n  - shell: {command: echo, capture: v}\n  - note: '{{ w }}'\n";
    assert_eq!(
        errors(captured),
        [
            "a.yaml:4:37: 'v' is a variable; a captured value needs another name",
            "a.yaml:5:11: undefined variable 'w'. Inputs and variables: v",
        ]
    );
    // A routine has what it is given, and no more.
    let routine = "name: t\nvariables: {v: x}\nroutines: {r: {steps: [{note: '{{ v }}'}]}}\nsteps: [{use: r}, {note: '{{ v }}'}]\n";
    assert!(
        errors(routine)[0].contains("undefined variable 'v'"),
        "{:?}",
        errors(routine)
    );
}

const PHASES: &str = "name: t
phases:
  second: {from: c}
  first: {from: a, until: b, description: x}
steps:
  - {id: a, note: x}
  - {id: b, note: x}
  - note: between
  - {id: c, if: {text: x, then: [{id: inner, note: x}]}}
  - {note: last}
";

#[test]
fn phases_are_ranges_of_steps_by_their_ids() {
    let mut whole = plan(PHASES, &[], &[]).unwrap();
    let ranges: Vec<_> = whole
        .phases
        .iter()
        .map(|p| (p.name.as_str(), p.range.clone()))
        .collect();
    assert_eq!(ranges, [("first", 0..=1), ("second", 3..=4)]);
    whole.limit(Some("first"), Some("second")).unwrap();
    assert_eq!(whole.range, 0..5);
    whole.limit(Some("b"), Some("first")).unwrap();
    assert_eq!(whole.range, 1..2);
    whole.limit(Some("second"), None).unwrap();
    assert_eq!(whole.range, 3..5);
    let wrong = whole.limit(Some("secnd"), None).unwrap_err().to_string();
    assert!(
        wrong.starts_with(
            "a.yaml: from: unknown phase or step 'secnd'; did you mean 'second'? Valid phases and steps: first, second, a, b,"
        ),
        "{wrong}"
    );
    let wrong = whole.limit(Some("second"), Some("first")).unwrap_err().to_string();
    assert!(wrong.contains("comes before step"), "{wrong}");
    // Through the API server and back.
    let spec = load(PHASES).to_spec().unwrap();
    assert_eq!(Scenario::from_spec(&spec, "x").unwrap().phases, load(PHASES).phases);
}

#[test]
fn what_phases_cannot_be_is_told_with_its_place() {
    let faults = [
        ("phases: [a]", "3:9: 'phases' must be an object, not a list"),
        (
            "phases: {p: {from: 1}}",
            "'from' must be text, not an integer; write \"1\"",
        ),
        (
            "phases: {p: {from: d}}",
            "unknown step 'd'. Valid steps (those of the test that have an 'id'): a, b, c",
        ),
        ("phases: {p: {until: a}}", "phase 'p' needs 'from'"),
        (
            "phases: {p: {from: b, until: a}}",
            "phase 'p' ends with 'a', which comes before 'b'",
        ),
        (
            "phases: {p: {from: s04-note-x}}",
            "has its id from its place, which changes with every step before it",
        ),
        (
            "phases: {p: {from: inner}}",
            "'inner' is within another step, or no step of the test",
        ),
        (
            "phases: {p: {from: clean}}",
            "'clean' is within another step, or no step of the test",
        ),
        ("phases: {a: {from: a}}", "phase 'a' has the name of a step"),
        (
            "phases: {P: {from: a}}",
            "a phase's name has at most 63 lower-case letters",
        ),
        (
            "phases: {p: {from: a, until: b}, q: {from: b}}",
            "the phases 'p' and 'q' have steps in common, from 'b' on",
        ),
        (
            "phases: {p: {from: a}, q: {from: a}}",
            "the phases 'p' and 'q' have steps in common",
        ),
        ("phases: {p: {from: a, to: b}}", "unknown key of phase 'p' 'to'"),
    ];
    for (top, wanted) in faults {
        let text = format!(
            "name: t\n\n{top}\nsteps:\n  - {{id: a, note: x}}\n  - {{id: b, repeat: {{times: 1, steps: [{{id: inner, note: x}}]}}}}\n  \
             - {{id: c, note: x}}\n  - note: x\ncleanup: [{{id: clean, note: x}}]\n"
        );
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{top}: {found:?}");
        assert!(
            found[0].contains(wanted) && found[0].starts_with("a.yaml:3:"),
            "{top}: {found:?}"
        );
    }
}

#[test]
fn budget_and_outputs() {
    let text = "name: t\nbudget: 1m30s\noutputs: [one, last]\nsteps:\n  - shell: {command: echo, capture: one}\n  \
                - use: r\n    capture: {last: o}\nroutines:\n  r: {outputs: [o], steps: [{shell: {command: echo, capture: o}}]}\n";
    let plan = plan(text, &[], &[]).unwrap();
    assert_eq!(
        (plan.budget, plan.outputs),
        (Some(Duration::from_secs(90)), vec!["one".into(), "last".into()])
    );
    let faults = [
        ("budget: 5", "'budget' has no unit; write 5s"),
        ("budget: 25h", "'25h' must be more than nothing and at most 24h"),
        ("outputs: one", "'outputs' must be a list, not text"),
        (
            "outputs: [on]",
            "unknown output 'on'; did you mean 'one'? Valid outputs (what its steps capture",
        ),
        ("outputs: [inner]", "unknown output 'inner'"),
        ("outputs: [one, one]", "the output 'one' is there twice"),
        (
            "outputs: [s]",
            "the secret 's' is used in 'outputs', which everybody can read",
        ),
        (
            "outputs: [i]",
            "'i' has its value before the run, which tells it anyway",
        ),
    ];
    for (top, wanted) in faults {
        let text = format!(
            "name: t\n{top}\ninputs: {{s: {{secret: true}}, i: {{default: x}}}}\nsteps:\n  - shell: {{command: echo, capture: one}}\n  \
             - repeat: {{times: 1, steps: [{{shell: {{command: echo, capture: inner}}}}]}}\n"
        );
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{top}: {found:?}");
        assert!(
            found[0].contains(wanted) && found[0].starts_with("a.yaml:2:"),
            "{top}: {found:?}"
        );
    }
}

#[test]
fn a_snapshot_is_gone_back_to_only_where_the_test_can_go_on() {
    let step = "{id: s, snapshot: {name: ready, attempts: 2}}";
    load(&format!("name: t\nsteps: [{step}, {{note: x}}]\n"));
    for text in [
        format!("name: t\nsetup: [{step}]\nsteps: [{{note: x}}]\n"),
        format!("name: t\nsteps: [{{note: x}}]\ncleanup: [{step}]\n"),
        format!("name: t\nsteps: [{{repeat: {{times: 1, steps: [{step}]}}}}]\n"),
        format!("name: t\nsteps: [{{use: r}}]\nroutines: {{r: {{steps: [{step}]}}}}\n"),
        format!("name: t\nsteps: [{{shell: x, on_failure: [{step}]}}]\n"),
    ] {
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(
            found[0].contains("'attempts' of a snapshot counts tries of the steps after it"),
            "{found:?}"
        );
    }
    let none = errors("name: t\nsteps: [{snapshot: {name: ready, attempts: 0}}]\n");
    assert!(none[0].contains("'attempts' is 0; it must be from 1 to 10"), "{none:?}");
}

#[test]
fn a_routine_of_another_version_is_refused_with_its_place() {
    let text = |wanted: &str| {
        format!(
            "name: t\nroutines:\n  r: {{version: 2, steps: [{{note: x}}]}}\n  q: {{steps: [{{note: x}}]}}\nsteps:\n  - use: {wanted}\n"
        )
    };
    load(&text("r@2"));
    load(&text("r"));
    let wrong = |wanted: &str| errors(&text(wanted)).join("\n");
    assert_eq!(
        wrong("r@1"),
        "a.yaml:6:10: this was written for version 1 of the routine 'r', which has version 2"
    );
    assert_eq!(
        wrong("q@1"),
        "a.yaml:6:10: this was written for version 1 of the routine 'q', which has no version"
    );
    assert!(wrong("r@two").contains("version two of the routine 'r'"));
}

#[test]
fn a_file_of_the_predecessor_is_told_in_one_line() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/import");
    let mut count = 0;
    for entry in std::fs::read_dir(&examples).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !name.ends_with(".yaml") || name.ends_with(".imported.yaml") {
            continue;
        }
        count += 1;
        let errors = Scenario::from_file(&entry.path()).expect_err(&name).0;
        assert_eq!(errors.len(), 1, "{name}: {errors:?}");
        assert!(errors[0].message.contains("'mosdat import "), "{name}: {}", errors[0]);
    }
    assert!(count >= 5, "{count}");
}

/// Whatever the values are, a variable is what it would be with each template filled in, and nothing in them is taken for
/// one.
#[test]
fn variables_hold_what_their_inputs_do() {
    let scenario = load(
        "name: t\ninputs: {i: {type: string}, fix: {type: string}}\nvariables:\n  two: '{{ one }}{{ fix }}{{ one }}'\n  \
         one: '<{{ i }}>'\nsteps: [{shell: 'true', when: {two: x}}]\n",
    );
    let letters: Vec<char> = "ab {}$\"'\\%#-ä日\n".chars().collect();
    for seed in 0..500 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut text = || -> String {
            let length = rng.random_range(0..12);
            (0..length)
                .map(|_| letters[rng.random_range(0..letters.len())])
                .collect()
        };
        let (value, between) = (text(), text());
        let given = BTreeMap::from([("i".to_string(), value.clone()), ("fix".to_string(), between.clone())]);
        let plan = scenario.plan(&given, &BTreeMap::new()).unwrap();
        assert_eq!(
            plan.variables["two"],
            Scalar::String(format!("<{value}>{between}<{value}>")),
            "seed {seed}"
        );
    }
}

/// Phases of any places are ranges that lie apart, or are refused.
#[test]
fn phases_never_overlap() {
    let steps: String = (0..8).map(|n| format!("  - {{id: x{n}, note: x}}\n")).collect();
    let mut loaded = 0;
    for seed in 0..500 {
        let mut rng = StdRng::seed_from_u64(seed);
        let phases: String = (0..rng.random_range(1..4))
            .map(|n| {
                let (from, until) = (rng.random_range(0..8), rng.random_range(0..12));
                let until = if until < 8 {
                    format!(", until: x{until}")
                } else {
                    String::new()
                };
                format!("  p{n}: {{from: x{from}{until}}}\n")
            })
            .collect();
        let text = format!("name: t\nphases:\n{phases}steps:\n{steps}");
        let Ok(scenario) = Scenario::from_str("a.yaml", &text) else {
            continue;
        };
        loaded += 1;
        let ranges: Vec<_> = scenario.phases.iter().map(|p| p.range.clone()).collect();
        assert!(
            ranges.windows(2).all(|w| w[0].end() < w[1].start()),
            "{text}: {ranges:?}"
        );
        assert!(
            ranges.iter().all(|r| r.start() <= r.end() && *r.end() < 8),
            "{text}: {ranges:?}"
        );
    }
    assert!(loaded > 50, "{loaded}");
}
