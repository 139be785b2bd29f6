//! Two ways, rounds, routines, facts, values that a run finds out, and what is done after a failure.

use super::doubles::{run, run_with};
use mosdat::api::{FailureClass, RunResult};
use mosdat::results::{Body, read_events};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn the_way_that_the_screen_asks_for() {
    let text = "name: t\nsteps:\n  - id: way\n    if: {text: Welcome, then: [{id: a, key: escape}], else: [{id: b, note: none}, {id: c, note: x}]}\n  \
                - {id: d, expect: {text: Base}, timeout: 500ms}\n";
    let ran = run(text, |w| {
        w.show("Base");
        w.show("Welcome");
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert_eq!(
        ran.ends(),
        ["a=passed", "b=skipped", "c=skipped", "way=passed", "d=passed"]
    );
    assert_eq!(ran.done, ["key escape"]);
    let ran = run(text, |w| w.show("Base")).await;
    assert_eq!(
        ran.ends(),
        ["a=skipped", "b=passed", "c=passed", "way=passed", "d=passed"]
    );
    assert!(ran.done.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_tell_is_neither_way() {
    let ran = run(
        "name: t\nsteps:\n  - id: way\n    if: {text: Welcome, then: [{id: a, key: escape}], else: [{id: b, note: x}]}\n",
        |w| w.misreads = true,
    )
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Error, "CannotTell"));
    assert_eq!(ran.ends(), ["way=error", "a=skipped", "b=skipped"]);
    assert!(ran.done.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_waits_where_it_is_told_to() {
    let ran = run(
        "name: t\nsteps:\n  - {id: way, if: {text: Late, then: [{id: a, note: x}]}, timeout: 20s}\n",
        |w| {
            w.later
                .push((std::time::Instant::now() + Duration::from_millis(600), "Late".into()))
        },
    )
    .await;
    assert_eq!(ran.ends(), ["a=passed", "way=passed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_within_ends_what_is_around_it() {
    let ran = run(
        "name: t\nsteps:\n  - id: way\n    if: {text: Base, then: [{id: a, expect: {text: No}, timeout: 300ms}, {id: b, note: x}]}\n  \
         - {id: c, note: y}\ncleanup: [{id: d, note: z}]\n",
        |w| w.show("Base"),
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Failed);
    assert_eq!(
        ran.ends(),
        ["a=failed", "b=skipped", "way=failed", "c=skipped", "d=passed"]
    );
    assert_eq!(ran.outcome.failure.as_ref().and_then(|f| f.step.as_deref()), Some("a"));
    let junit = std::fs::read_to_string(ran.dir.path().join("junit.xml")).expect("junit");
    assert!(junit.contains("failures=\"1\""), "one thing failed: {junit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn soft_steps_within_let_the_run_go_on() {
    let ran = run(
        "name: t\nsteps:\n  - {id: r, soft: true, repeat: {times: 2, steps: [{id: a, expect: {text: No}, timeout: 200ms}]}}\n  - {id: b, \
         note: x}\n",
        |_| {},
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::SoftFailed);
    assert_eq!(ran.ends(), ["a=failed", "r=softFailed", "b=passed"]);
    let ran = run(
        "name: t\nsteps:\n  - {id: r, repeat: {times: 2, steps: [{id: a, expect: {text: No}, soft: true, timeout: 200ms}]}}\n",
        |_| {},
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::SoftFailed);
    assert_eq!(ran.ends(), ["a=softFailed", "a.2=softFailed", "r=passed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_end_when_what_they_are_for_is_there() {
    let text = |max: u32| {
        format!(
            "name: t\nsteps:\n  - id: r\n    repeat: {{until: {{text: Third}}, max: {max}, steps: [{{id: a, click: Next}}, {{id: n, \
             repeat: {{times: 2, steps: [{{id: b, note: x}}]}}}}]}}\n"
        )
    };
    let prepare = |w: &mut super::doubles::World| {
        w.show("Next");
        w.later
            .push((std::time::Instant::now() + Duration::from_millis(700), "Third".into()));
    };
    let ran = run(&text(1000), prepare).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    let ends = ran.ends();
    assert_eq!(ends[..4], ["a=passed", "b=passed", "b.1.2=passed", "n=passed"]);
    assert_eq!(ends[4..8], ["a.2=passed", "b.2.1=passed", "b.2.2=passed", "n.2=passed"]);
    assert_eq!(ends.last().map(String::as_str), Some("r=passed"));

    let ran = run(&text(2), |w| w.show("Next")).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "NotReached"));
    assert_eq!(ran.done.len(), 2);

    // What is there already is not done at all.
    let ran = run(&text(2), |w| w.show("Third")).await;
    assert_eq!(ran.ends(), ["a=skipped", "n=skipped", "b=skipped", "r=passed"]);
    let page = std::fs::read_to_string(ran.dir.path().join("report.html")).expect("report");
    assert!(page.contains("no round came to it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_the_run_finds_out() {
    let ran = run(
        "name: t\nroutines:\n  ask:\n    inputs: {what: {}}\n    outputs: [answer]\n    steps:\n      - {id: run, shell: {command: 'echo \
         \"$what-42\"', capture: {answer: '(\\w+-\\d+)'}}}\nsteps:\n  - {id: a, shell: {command: echo hello, capture: word}}\n  - {id: u, use: \
         ask, with: {what: '{{ word }}'}, capture: {got: answer}}\n  - {id: t, type: '<{{ got }}>'}\n  - {id: f, expect: {fact: {got: \
         hello-42}}, timeout: 300ms}\n  - {id: w, note: x, when: {word: [other, more]}}\n  - {id: i, if: {fact: {word: hello}, then: \
         [{id: yes, note: y}]}}\ncleanup:\n  - {id: c, shell: 'test \"$got\" = hello-42'}\n",
        |_| {},
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert_eq!(
        ran.ends(),
        [
            "a=passed",
            "u-run=passed",
            "u=passed",
            "t=passed",
            "f=passed",
            "w=skipped",
            "yes=passed",
            "i=passed",
            "c=passed"
        ]
    );
    assert_eq!(ran.done, ["type <hello-42>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_nobody_captured_is_no_empty_text() {
    let text = "name: t\nsteps:\n  - {id: a, expect: {text: No}, timeout: 200ms}\n  - {id: b, shell: {command: echo x, capture: \
                word}}\ncleanup:\n  - {id: c, type: '{{ word }}'}\n  - {id: d, note: y}\n";
    let ran = run(text, |_| {}).await;
    assert_eq!(ran.ends(), ["a=failed", "b=skipped", "c=skipped", "d=passed"]);
    assert!(ran.done.is_empty());
    let ran = run(
        "name: t\nsteps:\n  - {id: b, shell: {command: echo x, capture: {word: 'y(.)'}}}\n",
        |_| {},
    )
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "NotCaptured"));
    assert!(
        ran.message()
            .contains("word: the output does not match /y(.)/; it is 'x'"),
        "{}",
        ran.message()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_more_is_found_out_and_nothing_decided() {
    let text = "name: t\nsteps:\n  - {id: a, expect: {text: No}, timeout: 200ms, on_failure: [{id: look, shell: echo found}, {id: bad, shell: \
                'false'}]}\n  - {id: b, expect: {text: Base}, timeout: 300ms, on_failure: [{id: never, note: x}]}\n";
    let ran = run(text, |w| w.show("Base")).await;
    assert_eq!(ran.ends(), ["a=failed", "look=passed", "bad=failed", "b=skipped"]);
    assert_eq!(ran.outcome.failure.as_ref().and_then(|f| f.step.as_deref()), Some("a"));
    let page = std::fs::read_to_string(ran.dir.path().join("report.html")).expect("report");
    let at = |id: &str| {
        page.find(&format!("id=\"{id}\""))
            .unwrap_or_else(|| panic!("{id} is not in the report"))
    };
    assert!(at("a") < at("look") && at("look") < at("b"));
}

/// What is collected after a failure may fail too: that is told, and changes nothing. But where it finds that evidence
/// cannot be stored any more, no verdict can be trusted.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_is_lost_after_a_failure_leaves_no_verdict() {
    let text = "name: t\nsteps:\n  - {id: a, expect: {text: No}, timeout: 200ms, on_failure: [{id: lose, shell: 'DO $EVIDENCE/screenshots'}, \
                {id: shot, screenshot: x}, {id: more, note: x}]}\n";
    let ran = |what: &str| {
        let text = text.replace("DO", what);
        async move {
            run(&text, |w| {
                w.show("Base");
                w.flicker = Some(mosdat::desktop::Rect::new(200, 200, 9, 9));
            })
            .await
        }
    };
    let lost = ran("rm -r").await;
    assert_eq!(lost.ends(), ["a=failed", "lose=passed", "shot=error", "more=passed"]);
    let failure = lost.outcome.failure.as_ref().expect("a failure");
    assert_eq!(
        (lost.outcome.result, failure.class, failure.step.as_deref()),
        (RunResult::Error, Some(FailureClass::Artifact), Some("shot")),
        "{}",
        failure.message
    );
    assert!(failure.message.contains("screenshots"), "{}", failure.message);
    let kept = ran("ls").await;
    assert_eq!((kept.outcome.result, kept.reason()), (RunResult::Failed, "CheckFailed"));
}

/// The program's death shows only to what looks after the failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_that_shows_after_a_failure_is_the_result() {
    for (soft, wanted) in [("", "a=failed"), (", soft: true", "a=softFailed")] {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("die").display().to_string();
        let text = format!(
            "name: t\nsteps:\n  - {{id: p, launch: [sh, -c, 'while [ ! -e {file} ]; do sleep 0.05; done; kill -SEGV $$']}}\n  - {{id: a, \
             expect: {{text: No}}, timeout: 200ms{soft}, on_failure: [{{id: look, shell: 'touch {file}; sleep 0.7'}}, {{id: more, shell: \
             'false'}}]}}\n  - {{id: b, note: x}}\n"
        );
        let ran = run(&text, |_| {}).await;
        assert_eq!(
            (ran.outcome.result, ran.reason()),
            (RunResult::Crashed, "ApplicationDied")
        );
        assert!(ran.message().contains("SIGSEGV"), "{}", ran.message());
        assert_eq!(
            ran.ends(),
            ["p=passed", wanted, "look=crashed", "more=failed", "b=skipped"]
        );
        assert_eq!(
            ran.outcome.failure.as_ref().and_then(|f| f.step.as_deref()),
            Some("look")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_that_an_outage_took_from_a_condition_is_not_the_products() {
    for condition in [
        "if: {text: Late, then: [{id: a, note: x}]}, timeout: 1h",
        "repeat: {until: {text: Late}, max: 3, steps: [{id: a, note: x}]}",
        "if: {shell: sleep 30, then: [{id: a, note: x}]}, timeout: 1h",
    ] {
        let text = format!("name: t\nsteps:\n  - {{id: s, {condition}}}\n");
        let ran = run_with(
            &text,
            |w| match condition.contains("shell") {
                true => w.guest_hangs = true,
                false => w.desktop_hangs = true,
            },
            Duration::from_millis(300),
            CancellationToken::new(),
            &[],
        )
        .await;
        assert_eq!(ran.outcome.result, RunResult::Error, "{condition}: {:?}", ran.outcome);
        assert!(ran.message().contains("in an outage"), "{}", ran.message());
        let mut ends = ran.ends();
        ends.sort();
        assert_eq!(ends, ["a=skipped", "s=error"]);
    }
    // Without an outage it is.
    let text = "name: t\nsteps:\n  - {id: s, if: {text: Late, then: [{id: a, note: x}]}, timeout: 1h}\n";
    let time = Duration::from_millis(300);
    let ran = run_with(text, |_| {}, time, CancellationToken::new(), &[]).await;
    assert_eq!(ran.outcome.result, RunResult::TimedOut, "{:?}", ran.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_ends_every_step_once() {
    let cancel = CancellationToken::new();
    let soon = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        soon.cancel();
    });
    let ran = run_with(
        "name: t\nroutines:\n  r: {steps: [{id: s, wait_for: {text: No}}, {id: m, note: x}]}\nsteps:\n  - {id: o, repeat: {times: 3, steps: \
         [{id: u, use: r}, {id: v, note: x}]}}\ncleanup: [{id: c, note: y}]\n",
        |_| {},
        Duration::from_secs(60),
        cancel,
        &[],
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Cancelled);
    assert_eq!(
        ran.ends(),
        [
            "u-s=skipped",
            "u-m=skipped",
            "u=skipped",
            "v=skipped",
            "o=skipped",
            "c=passed"
        ]
    );
    let events = read_events(&ran.dir.path().join("events.jsonl")).expect("events");
    assert!(matches!(events.last().map(|e| &e.body), Some(Body::RunEnd { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_put_into_the_guest() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("new/folder/data");
    // More than one command holds.
    let content = "0123456789abcdef".repeat(6000);
    let text = format!(
        "name: t\nsteps:\n  - stage: {{path: {0}, content: '{content}', mode: '0750'}}\n  - expect: {{file: {0}, equals: '{content}'}}\n    \
         timeout: 2s\n",
        path.display()
    );
    let ran = run(&text, |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    let metadata = std::fs::metadata(&path).expect("file");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777,
        0o750
    );
    let left = std::fs::read_dir(dir.path().join("new/folder"))
        .expect("folder")
        .count();
    assert_eq!(left, 1, "nothing but the file");
    let ran = run(
        &format!(
            "name: t\nsteps:\n  - stage: {{path: {}, content: x, owner: nobody-here}}\n",
            path.display()
        ),
        |_| {},
    )
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Invalid, "NoSuchUser"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_without_time_is_told() {
    let text = "name: t\nsteps:\n  - {id: a, shell: 'sleep 9', timeout: 400ms, attempts: 2}\n";
    let ran = run(text, |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Failed, "{}", ran.message());
    let told = "no time was left of the step's 400ms for attempt 2 of 2";
    assert!(ran.message().contains(told), "{}", ran.message());
    // What the author wrote is what is told.
    let ran = run(
        "name: t\nsteps:\n  - {id: a, expect: {text: x}, timeout: 1200ms}\n",
        |w| w.show("y"),
    )
    .await;
    assert!(
        ran.message().contains("did not hold within 1.2s: "),
        "{}",
        ran.message()
    );
}
