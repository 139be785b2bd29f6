//! Values that change while the run goes on, and steps that need them.

use super::doubles::run;
use mosdat::api::RunResult;

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_captured_anew_counts_from_then_on() {
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("rounds").display().to_string();
    let text = format!(
        "name: t\nsteps:\n  - {{id: a, shell: {{command: echo waiting, capture: state}}}}\n  - id: r\n    repeat:\n      until: {{fact: \
         {{state: ready}}}}\n      max: 3\n      steps:\n        - {{id: o, type: 'old {{{{ state }}}}'}}\n        - id: b\n          shell: \
         {{command: 'echo x >> {file}; if [ $(wc -l < {file}) -lt 2 ]; then echo loading; else echo ready; fi', capture: state}}\n        \
         - {{id: n, type: 'new {{{{ state }}}}'}}\n        - {{id: i, if: {{fact: {{state: ready}}, then: [{{id: y, key: y}}], else: [{{id: z, \
         key: z}}]}}}}\n  - {{id: e, type: 'end {{{{ state }}}}'}}\n"
    );
    let ran = run(&text, |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert_eq!(
        ran.done,
        [
            "type old waiting",
            "type new loading",
            "key z",
            "type old loading",
            "type new ready",
            "key y",
            "type end ready"
        ]
    );
    // Within one way: what is captured there counts for the steps behind it.
    let text = "name: t\nsteps:\n  - {id: a, shell: {command: echo one, capture: v}}\n  - id: i\n    if:\n      fact: {v: one}\n      then:\n        \
                - {id: b, type: '{{ v }}'}\n        - {id: c, shell: {command: echo two, capture: v}}\n        - {id: d, type: '{{ v }}'}\n";
    let ran = run(text, |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert_eq!(ran.done, ["type one", "type two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_left_out_needs_no_values() {
    let ran = run(
        "name: t\ninputs: {mode: {default: quick}}\nsteps:\n  - {id: m, shell: {command: echo quick, capture: found}}\n  - {id: a, shell: \
         {command: echo x, capture: word}, when: {mode: full}}\n  - {id: b, type: '{{ word }}', when: {mode: full}}\n  - {id: c, type: \
         '{{ word }}', when: {found: full}}\n  - {id: d, type: '{{ found }}', when: {found: quick}}\n",
        |_| {},
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert_eq!(
        ran.ends(),
        ["m=passed", "a=skipped", "b=skipped", "c=skipped", "d=passed"]
    );
    assert_eq!(ran.done, ["type quick"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_filled_in_is_the_authors_and_told_once_in_its_round() {
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("rounds").display().to_string();
    let steps = format!(
        "  - id: r\n    repeat:\n      times: 3\n      steps:\n        - id: b\n          shell: {{command: 'echo x >> {file}; if [ $(wc -l < \
         {file}) -lt 2 ]; then echo escape; else echo no-key; fi', capture: chord}}\n        - {{id: k, key: '{{{{ chord }}}}', on_failure: \
         [{{id: more, note: x}}]}}\n"
    );
    let ran = run(&format!("name: t\nsteps:\n{steps}"), |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Invalid, "NotFilledIn"));
    assert_eq!(
        ran.ends(),
        [
            "b=passed",
            "k=passed",
            "b.2=passed",
            "k.2=error",
            "more.2=passed",
            "r=error"
        ]
    );
    assert_eq!(
        ran.outcome.failure.as_ref().and_then(|f| f.step.as_deref()),
        Some("k.2")
    );
    // A value that no step has captured, since the one that does was left out.
    let text = "name: t\ninputs: {mode: {default: quick}}\nSECTION:\n  - {id: a, shell: {command: echo x, capture: word}, when: {mode: \
                full}}\n  - {id: b, type: '{{ word }}'}\n";
    let ran = run(&text.replace("SECTION", "steps"), |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Invalid, "NotCaptured"));
    assert_eq!(ran.ends(), ["a=skipped", "b=error"]);
    // In the set-up, nothing speaks about the product: not even that a soft step's value is missing.
    let setup = text.replace("SECTION", "setup") + "steps: [{id: s, note: x}]\n";
    let ran = run(&setup, |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Invalid, "NotCaptured"));
    let soft = "name: t\nsteps:\n  - {id: a, shell: {command: 'false', capture: word}, soft: true}\n  - {id: b, type: '{{ word }}'}\n";
    let ran = run(soft, |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "NotCaptured"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_turns_out_to_need_a_model_that_is_not_there_is_the_authors_error() {
    let text = "name: t\nsteps:\n  - {id: a, shell: {command: 'echo Save', capture: word}}\n  - {id: b, click: '{{ word }}'}\n";
    let ran = run(text, |w| {
        w.only_reads = true;
        w.show("Save");
    })
    .await;
    // On another VM it would be the same.
    assert_eq!(ran.outcome.result, RunResult::Invalid, "{}", ran.message());
    assert!(ran.message().contains("'Save' quotes none"), "{}", ran.message());
    let ran = run(text, |w| w.show("Save")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
}
