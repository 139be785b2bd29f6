//! What a scenario says of itself as a whole, when it runs: its time, its parts, its outputs, and checkpoints that the
//! test goes back to.

use super::doubles::{Ran, run, run_part, run_untimed, run_with};
use mosdat::api::{FailureClass, RunResult};
use mosdat::results::{Body, RunPlan};
use mosdat::runner::NotDone;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn text(ran: &Ran, file: &str) -> String {
    std::fs::read_to_string(ran.dir.path().join(file)).unwrap()
}

fn plan(ran: &Ran) -> &RunPlan {
    match &ran.events[0].body {
        Body::RunStart { plan, .. } => plan,
        other => panic!("{other:?}"),
    }
}

const FLAKY: &str = "name: t
steps:
  - {id: first, shell: {command: echo one, capture: before}}
  - {id: ready, snapshot: {name: ready, attempts: 2}}
  - {id: work, shell: {command: 'echo two', capture: after}}
  - id: group
    repeat:
      times: 2
      steps: [{id: inner, note: x}]
  - {id: check, expect: {text: Late}, timeout: 300ms}
  - {id: end, expect: {text: Base}}
cleanup:
  - {id: tidy, note: bye}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_passes_only_after_going_back_is_soft_failed_and_told() {
    let ran = run(FLAKY, |w| {
        w.show("Base");
        w.on_back = vec!["Late".into()];
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::SoftFailed, "{}", ran.message());
    assert_eq!(
        ran.ends().join(" "),
        "first=passed ready=passed work=passed inner=passed inner.2=passed group=passed check=softFailed \
         ready.back-1=passed work.2=passed inner.2.1=passed inner.2.2=passed group.2=passed check.2=passed end=passed tidy=passed"
    );
    let failure = ran.outcome.failure.as_ref().unwrap();
    assert_eq!(failure.step.as_deref(), Some("check"));
    assert!(
        failure
            .message
            .ends_with("the test went back to the snapshot ready and passed then"),
        "{}",
        failure.message
    );
    assert_eq!(
        ran.done,
        [
            "Snapshot { name: \"ready\", memory: true }",
            "Rollback { name: \"ready\" }"
        ]
    );
    let report = text(&ran, "report.html");
    assert!(report.contains("back to ready, as check did not pass: attempt 2 of 2"));
    assert!(text(&ran, "junit.xml").contains("failures=\"1\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_fails_in_every_attempt_has_failed() {
    let ran = run(FLAKY, |w| w.show("Base")).await;
    assert_eq!(ran.outcome.result, RunResult::Failed);
    let ends = ran.ends().join(" ");
    assert!(
        ends.contains("check=softFailed ready.back-1=passed")
            && ends.ends_with("check.2=failed end=skipped tidy=passed"),
        "{ends}"
    );
    assert_eq!(ran.outcome.failure.as_ref().unwrap().step.as_deref(), Some("check.2"));
    assert!(
        ran.message()
            .ends_with("this was attempt 2 of 2 from the snapshot ready on"),
        "{}",
        ran.message()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_gone_back_from_but_what_may_be_chance() {
    let steps = |step: &str| {
        format!("name: t\nsteps:\n  - {{id: ready, snapshot: {{name: ready, attempts: 3}}}}\n  - {step}\n")
    };
    // A crash is a finding.
    let crash =
        steps("{id: run, launch: [sh, -c, 'sleep 0.2; exit 7']}\n  - {id: see, expect: {text: Never}, timeout: 2s}");
    let ran = run(&crash, |w| w.show("Base")).await;
    assert_eq!(ran.outcome.result, RunResult::Crashed, "{}", ran.message());
    assert_eq!(ran.done.len(), 1, "{:?}", ran.done);
    // Trouble of the infrastructure is for the run's retries.
    let ran = run(&steps("{id: a, expect: {text: Base}, timeout: 1s}"), |w| {
        w.show("Base");
        w.vision_error = Some(|| mosdat::vision::Error::Unreachable {
            model: "m".into(),
            attempts: vec!["refused".into()],
        });
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Error);
    assert_eq!(ran.done.len(), 1, "{:?}", ran.done);
    // A soft step does not end the test.
    let ran = run(
        &steps("{id: a, expect: {text: Never}, timeout: 200ms, soft: true}"),
        |w| w.show("Base"),
    )
    .await;
    assert_eq!((ran.outcome.result, ran.done.len()), (RunResult::SoftFailed, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_taken_is_no_verdict_and_what_comes_after_is_skipped() {
    let ran = run(FLAKY, |w| {
        w.show("Base");
        w.not_done = Some(NotDone::Refused("no space".into()));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Error);
    assert_eq!(ran.outcome.failure.as_ref().unwrap().class, Some(FailureClass::Proxmox));
    assert!(
        ran.ends().join(" ").contains("ready=error work=skipped"),
        "{:?}",
        ran.ends()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_those_of_the_checkpoint_again() {
    let text = "name: t
outputs: [kept, count]
steps:
  - {id: a, shell: {command: echo one, capture: kept}}
  - {id: ready, snapshot: {name: ready, attempts: 2}}
  - {id: again, expect: {fact: {kept: one}}}
  - {id: b, shell: {command: echo two, capture: kept}}
  - {id: c, shell: {command: echo 3, capture: count}}
  - {id: check, expect: {text: Late}, timeout: 300ms}
";
    let ran = run(text, |w| {
        w.show("Base");
        w.on_back = vec!["Late".into()];
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::SoftFailed, "{}", ran.message());
    let wanted = BTreeMap::from([("count".to_string(), "3".to_string()), ("kept".into(), "two".into())]);
    assert_eq!(ran.outcome.outputs, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_told_without_secrets_and_never_long() {
    let scenario = "name: t
inputs: {password: {type: string, secret: true}}
outputs: [version, leaked, long, missing]
steps:
  - {id: a, shell: {command: 'echo \"<1.2>\"', capture: version}}
  - {id: b, shell: {command: 'echo \"it is $password\"', capture: leaked}}
  - {id: c, shell: {command: 'head -c 5000 /dev/zero | tr \"\\\\0\" x', capture: long}}
  - {id: d, shell: {command: echo x, capture: missing}, when: {version: other}}
";
    let cancel = CancellationToken::new();
    let secrets = [("password", "hunter2hunter2")];
    let ran = run_with(scenario, |w| w.show("Base"), Duration::from_secs(60), cancel, &secrets).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    let outputs = &ran.outcome.outputs;
    assert_eq!(outputs["version"], "<1.2>");
    assert_eq!(outputs["leaked"], "it is ***");
    assert!(outputs["long"].chars().count() <= 1024, "{}", outputs["long"].len());
    assert!(
        outputs["long"].ends_with("x… (4016 more characters)"),
        "{}",
        outputs["long"]
    );
    assert!(!outputs.contains_key("missing"));
    let Body::RunEnd { outputs: told, .. } = &ran.events.last().unwrap().body else {
        panic!("{:?}", ran.events.last())
    };
    assert_eq!(told, outputs);
    let junit = text(&ran, "junit.xml");
    assert!(
        junit.contains("<properties><property name=\"output.leaked\" value=\"it is ***\"/>")
            && junit.contains("<property name=\"output.version\" value=\"&lt;1.2&gt;\"/>"),
        "{junit}"
    );
    assert!(text(&ran, "report.html").contains("output version"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_ends_a_run_that_says_nothing_of_its_time() {
    let text = "name: t\nbudget: 700ms\nsteps:\n  - {id: a, expect: {text: Never}, timeout: 30s}\n  - {id: b, note: x}\n\
                cleanup:\n  - {id: c, note: y}\n";
    let ran = run_untimed(text, |w| w.show("Base")).await;
    assert_eq!(ran.outcome.result, RunResult::TimedOut, "{}", ran.message());
    assert!(
        ran.message()
            .contains("the run's time of 700ms (the scenario's budget) was up"),
        "{}",
        ran.message()
    );
    assert_eq!(ran.ends().join(" "), "a=timedOut b=skipped c=passed");
    assert_eq!(plan(&ran).budget_ms, Some(700));
    // What the run itself says counts, more or less.
    let short = text.replace("timeout: 30s", "timeout: 1200ms");
    let cancel = CancellationToken::new();
    let ran = run_with(&short, |w| w.show("Base"), Duration::from_secs(30), cancel, &[]).await;
    assert_eq!(ran.outcome.result, RunResult::Failed, "{}", ran.message());
    let none = "name: t\nsteps:\n  - {id: a, note: x}\n";
    assert_eq!(
        run_untimed(none, |w| w.show("Base")).await.outcome.result,
        RunResult::Passed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_is_run_by_its_name_and_shown() {
    let scenario = "name: t
phases:
  one: {from: a, description: the beginning}
  two: {from: c, until: d}
steps:
  - {id: a, note: x}
  - {id: b, repeat: {times: 1, steps: [{id: inside, note: x}]}}
  - {id: c, note: x}
  - {id: d, note: x}
  - {id: e, note: x}
";
    let ran = run_part(scenario, |w| w.show("Base"), Some("two"), Some("two")).await;
    assert_eq!(
        ran.ends().join(" "),
        "a=skipped b=skipped inside=skipped c=passed d=passed e=skipped"
    );
    let phases: Vec<Option<&str>> = plan(&ran).steps.iter().map(|s| s.phase.as_deref()).collect();
    let (one, two) = (Some("one"), Some("two"));
    assert_eq!(phases, [one, one, one, two, two, None]);
    assert_eq!(plan(&ran).phases[0].until, "b");
    let report = text(&ran, "report.html");
    assert!(report.contains("<h3>one <span class=\"dim\">the beginning</span></h3>"));
    assert!(report.contains("<h3>two</h3>") && report.contains("in no phase"));
    assert!(text(&ran, "junit.xml").contains("classname=\"steps.two\""));
    let ran = run_part(scenario, |w| w.show("Base"), Some("b"), Some("one")).await;
    assert!(
        ran.ends()
            .join(" ")
            .starts_with("a=skipped inside=passed b=passed c=skipped"),
        "{:?}",
        ran.ends()
    );
}

/// A value that the set-up lacks says nothing about the product.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_that_cannot_be_filled_in_is_its_authors_fault() {
    let text = "name: t
inputs: {which: {default: one}}
setup:
  - {id: a, shell: {command: echo x, capture: found}, when: {which: two}}
  - {id: b, note: 'it is {{ found }}'}
steps:
  - {id: c, note: x}
";
    let ran = run(text, |w| w.show("Base")).await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Invalid, "NotCaptured"),
        "{}",
        ran.message()
    );
    assert_eq!(ran.ends().join(" "), "a=skipped b=error c=skipped");
}
