//! What is refused before any VM exists.

use mosdat::runner::{infeasible, needs_model};
use mosdat::scenario::{Plan, Scenario};
use std::collections::BTreeMap;

fn plan(steps: &str, secrets: &[(&str, &str)]) -> Plan {
    let text = format!("name: t\ninputs: {{pw: {{secret: true}}, word: {{default: x}}}}\nsteps:\n{steps}\n");
    let scenario = Scenario::from_str("t.yaml", &text).unwrap();
    let secrets = secrets.iter().map(|(k, v)| (k.to_string(), (*v).into())).collect();
    scenario.plan(&BTreeMap::new(), &secrets).unwrap()
}

#[test]
fn texts_that_cannot_be_typed_in_time_are_refused() {
    let text = "y".repeat(1900);
    let secret = "z".repeat(700);
    let wrong = infeasible(&plan(
        &format!(
            "  - {{id: a, type: '{text}'}}\n  - {{id: b, type: '{text}', timeout: 64s}}\n  \
             - {{id: c, type: '{text}', timeout: 64s, attempts: 2, verify: {{text: y}}}}\n  \
             - {{id: d, type: '{{{{ pw }}}}', timeout: 10s}}\n  - {{id: e, type: {{text: '{text}', paste: ctrl+v}}}}"
        ),
        &[("pw", &secret)],
    ));
    assert_eq!(
        wrong,
        [
            "step a: typing 1900 characters takes 64s, at 30 characters a second, and the step has 60s; write 'timeout: 84s'",
            "step c: typing 1900 characters takes 64s, 2 times, at 30 characters a second, and the step has 64s; \
             write 'timeout: 147s'",
            "step d: typing the secret text takes 24s, at 30 characters a second, and the step has 10s; write 'timeout: 44s'",
        ]
    );
}

#[test]
fn commands_that_the_agent_does_not_take_are_refused() {
    let long = ":".repeat(70_000);
    let half = "w".repeat(40_000);
    let wrong = infeasible(&plan(
        &format!(
            "  - {{id: a, shell: '{long}'}}\n  - {{id: b, shell: '{half}'}}\n  \
             - {{id: c, shell: {{command: '{half}', env: {{B: '{half}'}}}}}}\n  - {{id: d, launch: [app, '{long}']}}\n  \
             - {{id: e, key: f5, verify: {{any: [{{text: x}}, {{not: {{shell: '{long}'}}}}]}}}}\n  \
             - {{id: f, type: {{text: '{long}', paste: ctrl+v}}}}"
        ),
        &[("pw", "s")],
    ));
    let steps: Vec<&str> = wrong.iter().map(|w| w.split(':').next().unwrap()).collect();
    assert_eq!(steps, ["step a", "step c", "step d", "step e", "step f"], "{wrong:?}");
    assert!(wrong.iter().all(|w| w.contains("takes 65536")), "{wrong:?}");
}

/// What will not run is asked for nothing.
#[test]
fn steps_that_will_not_run_are_not_judged() {
    let text = "y".repeat(1900);
    let steps = format!(
        "  - {{id: a, type: '{text}'}}\n  - {{id: b, key: f5}}\n  - {{id: c, type: '{text}', when: {{word: y}}}}\n  \
         - {{id: d, if: {{fact: {{word: x}}, then: [{{id: e, type: '{text}'}}], else: [{{id: f, type: '{text}'}}]}}}}\n  \
         - {{id: g, type: '{text}'}}"
    );
    let mut plan = plan(&steps, &[("pw", "s")]);
    let of = |plan: &Plan| -> Vec<String> {
        let wrong = infeasible(plan);
        wrong
            .iter()
            .map(|why| why.split(':').next().unwrap().to_string())
            .collect()
    };
    assert_eq!(of(&plan), ["step a", "step e", "step g"]);
    plan.limit(Some("b"), Some("d")).unwrap();
    assert_eq!(of(&plan), ["step e"]);
}

#[test]
fn a_model_is_needed_only_for_what_is_not_decided_without_it() {
    // The word is x.
    let late = "  - {id: late, shell: {command: ls, capture: late}}\n";
    let both = "then: [{id: n, click: Save}], else: [{id: o, click: Save}]";
    for (step, wanted) in [
        (
            "{id: a, expect: {any: [{fact: {word: x}}, {see: all is well}]}}".to_string(),
            vec![],
        ),
        (
            "{id: a, expect: {all: [{fact: {word: y}}, {see: all is well}]}}".to_string(),
            vec![],
        ),
        (
            "{id: a, expect: {not: {all: [{fact: {word: y}}, {see: all is well}]}}}".to_string(),
            vec![],
        ),
        // Decided by nothing else.
        (
            "{id: a, expect: {any: [{fact: {word: y}}, {see: all is well}]}}".to_string(),
            vec!["a"],
        ),
        (
            "{id: a, expect: {all: [{fact: {word: x}}, {see: all is well}]}}".to_string(),
            vec!["a"],
        ),
        // One of them may not hold, and that is enough; or none may.
        (
            "{id: a, expect: {not: {all: [{text: x}, {see: all is well}]}}}".to_string(),
            vec![],
        ),
        (
            "{id: a, expect: {not: {any: [{text: x}, {see: all is well}]}}}".to_string(),
            vec!["a"],
        ),
        (
            "{id: a, expect: {not: {not: {all: [{text: x}, {see: all is well}]}}}}".to_string(),
            vec!["a"],
        ),
        (
            "{id: a, never: {all: [{text: x}, {see: all is well}], for: 2s}}".to_string(),
            vec![],
        ),
        (
            "{id: a, never: {any: [{text: x}, {see: all is well}], for: 2s}}".to_string(),
            vec!["a"],
        ),
        // Ways.
        (
            format!("{{id: a, if: {{not: {{fact: {{word: y}}}}, {both}}}}}"),
            vec!["n"],
        ),
        (
            format!("{{id: a, if: {{all: [{{fact: {{word: y}}}}, {{see: all is well}}], {both}}}}}"),
            vec!["o"],
        ),
        (
            format!("{{id: a, if: {{any: [{{fact: {{word: x}}}}, {{text: x}}], {both}}}}}"),
            vec!["n"],
        ),
        // What is wanted is not known yet.
        (
            format!("{{id: a, if: {{fact: {{word: '{{{{ late }}}}'}}, {both}}}}}"),
            vec!["n", "o"],
        ),
        (
            format!("{{id: a, when: {{word: '{{{{ late }}}}'}}, if: {{text: x, {both}}}}}"),
            vec!["n", "o"],
        ),
    ] {
        let wrong = needs_model(&plan(&format!("{late}  - {step}"), &[("pw", "s")]));
        let ids: Vec<&str> = wrong.iter().map(|why| why[5..].split(':').next().unwrap()).collect();
        assert_eq!(ids, wanted, "{step}: {wrong:?}");
    }
}

#[test]
fn what_only_a_model_can_answer_is_named_with_its_step() {
    let steps = "  - {id: a, click: Save}\n  - {id: b, click: \"the 'Save' button\"}\n  - {id: c, click: \"the field right of 'Name'\"}\n  \
                 - {id: d, hover: {role: button, name: OK, describe: the button}}\n  - {id: e, hover: {at: [1, 2], reason: x}}\n  \
                 - {id: f, hover: {describe: the gear}}\n  - {id: g, expect: the window is red}\n  - {id: h, expect: \"'Saved' is shown\"}\n  \
                 - {id: i, expect: {any: [{text: x}, all is well]}}\n  - {id: j, expect: {all: [{text: x}, all is well]}}\n  \
                 - {id: k, expect: {not: all is well}}\n  - {id: l, click: Save, when: {word: y}}\n  \
                 - {id: m, if: {fact: {word: y}, then: [{id: n, click: Save}], else: [{id: o, click: Save}]}}\n  \
                 - {id: p, if: {see: all is well, then: [{id: q, key: f5}]}}\n  - {id: r, shell: {command: ls, capture: late}}\n  \
                 - {id: s, click: '{{ late }}'}\n  - {id: t, never: {see: a dialog flashes, for: 2s}}\n  \
                 - {id: u, key: f5, verify: all is well, on_failure: [{id: v, click: Save}]}";
    let steps_of = |wrong: &[String]| -> Vec<String> {
        let id = |why: &String| {
            why.strip_prefix("step ")
                .unwrap()
                .split(':')
                .next()
                .unwrap()
                .to_string()
        };
        wrong.iter().map(id).collect()
    };
    let mut plan = plan(steps, &[("pw", "s")]);
    let wrong = needs_model(&plan);
    assert_eq!(
        steps_of(&wrong),
        ["a", "c", "f", "g", "j", "k", "o", "p", "t", "u"],
        "{wrong:#?}"
    );
    assert!(
        wrong[0].contains("'Save' quotes none") && wrong[1].contains("'field' asks for more"),
        "{wrong:#?}"
    );
    plan.limit(Some("f"), Some("h")).unwrap();
    assert_eq!(steps_of(&needs_model(&plan)), ["f", "g"]);
}
