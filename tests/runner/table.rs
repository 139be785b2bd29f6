//! Outcomes.

use super::doubles::{run, run_with};
use mosdat::api::{FailureClass, RunResult};
use mosdat::vision::{self, Verdict};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const CLEANUP: &str = "cleanup:\n  - {id: tidy, key: ctrl+q}\n";

fn scenario(steps: &str) -> String {
    format!("name: t\nsteps:\n{steps}\n{CLEANUP}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_passes() {
    let ran = run(
        &scenario(
            "  - {id: a, click: \"the 'Save' button\", verify: \"'Saved' is shown\"}\n  - {id: b, type: {text: hello, into: {text: Name}, clear: true, then: enter}}\n  \
             - {id: c, expect: {text: Saved}}\n  - {id: d, expect: {not: {text: Error}}}\n  - {id: e, shell: 'exit 0'}\n  \
             - {id: f, expect: {shell: 'echo one; echo two', contains: two, matches: '(?m)^one$'}}\n  - {id: g, note: done}\n  - {id: h, screenshot: end}",
        ),
        |w| {
            w.show("Save");
            w.show("Name");
            w.on_click.insert("Save".into(), "Saved".into());
        },
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    assert_eq!(ran.outcome.failure, None);
    assert_eq!(
        ran.ends().join(" "),
        "a=passed b=passed c=passed d=passed e=passed f=passed g=passed h=passed tidy=passed"
    );
    let done = [
        "click Save Left 1",
        "click Name Left 1",
        "key ctrl+a",
        "key backspace",
        "type hello",
        "key enter",
        "key ctrl+q",
    ];
    assert_eq!(ran.done, done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_does_not_hold_fails_and_the_rest_is_skipped() {
    let ran = run(
        &scenario("  - {id: a, expect: \"'Saved' is shown\", timeout: 300ms}\n  - {id: b, note: x}"),
        |w| w.show("Error"),
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Failed);
    assert_eq!(ran.ends().join(" "), "a=failed b=skipped tidy=passed");
    assert_eq!(
        (ran.reason(), ran.outcome.failure.as_ref().unwrap().step.as_deref()),
        ("CheckFailed", Some("a"))
    );
    assert!(
        ran.message().contains("'Saved' is shown: did not hold within") && ran.message().contains("Error"),
        "{}",
        ran.message()
    );
    assert_eq!(ran.outcome.failure.unwrap().class, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_waits_and_does_not_ask_twice_about_the_same_picture() {
    let ran = run(
        &scenario("  - {id: a, expect: \"'Saved' is shown\", timeout: 10s}"),
        |w| {
            w.later
                .push((Instant::now() + Duration::from_millis(1500), "Saved".into()));
        },
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed);
    assert_eq!(ran.looks, 2, "one look per picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_tell_is_an_error_of_vision() {
    let ran = run(&scenario("  - {id: a, expect: is it nice, timeout: 300ms}"), |w| {
        w.verdict = Some(Verdict::CannotTell)
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Error);
    assert_eq!(ran.reason(), "CannotTell");
    assert_eq!(ran.outcome.failure.as_ref().unwrap().class, Some(FailureClass::Vision));
    assert_eq!(ran.ends().join(" "), "a=error tidy=passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn infrastructure_never_speaks_about_the_product() {
    let unreachable: fn() -> vision::Error = || vision::Error::Unreachable {
        model: "m".into(),
        attempts: vec!["refused".into()],
    };
    let hopeless: fn() -> vision::Error = || vision::Error::Config("no model".into());
    let steps = [
        "  - {id: a, click: Save, timeout: 400ms}",
        "  - {id: a, expect: {not: {text: Error}}, timeout: 400ms}",
    ];
    for step in steps {
        for error in [unreachable, hopeless] {
            let ran = run(&scenario(step), |w| {
                w.show("Save");
                w.vision_error = Some(error);
            })
            .await;
            let class = ran.outcome.failure.as_ref().unwrap().class;
            assert_eq!(
                (ran.outcome.result, class),
                (RunResult::Error, Some(FailureClass::Vision)),
                "{step}"
            );
        }
        let ran = run(&scenario(step), |w| w.desktop_down = true).await;
        let class = ran.outcome.failure.as_ref().unwrap().class;
        assert_eq!(
            (ran.outcome.result, class),
            (RunResult::Error, Some(FailureClass::Desktop)),
            "{step}"
        );
    }
    for step in [
        "  - {id: a, shell: 'true'}",
        "  - {id: a, expect: {not: {process: x}}}",
        "  - {id: a, launch: 'true'}",
    ] {
        let ran = run(&scenario(step), |w| w.guest_down = true).await;
        let class = ran.outcome.failure.as_ref().unwrap().class;
        assert_eq!(
            (ran.outcome.result, class),
            (RunResult::Error, Some(FailureClass::Guest)),
            "{step}"
        );
        assert_eq!(ran.ends().join(" "), "a=error tidy=passed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shells() {
    let ran = run(&scenario("  - {id: a, shell: 'echo no >&2; exit 3'}"), |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "CommandFailed"));
    assert!(
        ran.message().contains("exit code 3, not with exit code 0: no"),
        "{}",
        ran.message()
    );
    let ran = run(&scenario("  - {id: a, shell: {command: 'exit 3', exit: 3}}"), |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Passed);
    let start = Instant::now();
    let ran = run(
        &scenario("  - {id: a, shell: 'sleep 30 & sleep 30', timeout: 500ms}"),
        |_| {},
    )
    .await;
    assert_eq!(ran.ends()[0], "a=timedOut");
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "CommandTimedOut")
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    let ran = run(
        &scenario("  - {id: a, expect: {shell: 'echo $((1+1))', equals: '3'}, timeout: 300ms}"),
        |_| {},
    )
    .await;
    assert!(
        ran.message().contains("the output is not '3'; it is '2'"),
        "{}",
        ran.message()
    );
    let ran = run(
        &scenario("  - {id: a, wait_for: {process: no-such-thing}, timeout: 300ms}"),
        |_| {},
    )
    .await;
    assert_eq!(
        (ran.ends()[0].as_str(), ran.outcome.result, ran.reason()),
        ("a=timedOut", RunResult::Failed, "WaitTimedOut")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_dies_is_a_crash_with_its_signal_and_last_words() {
    let ran = run(
        &scenario(
            "  - {id: a, launch: {command: [sh, -c, 'echo last words >&2; sleep 0.7; kill -SEGV $$'], window: App}}\n  \
             - {id: b, expect: {text: Saved}, timeout: 30s}\n  - {id: c, note: x}",
        ),
        |w| w.windows.push("My App".into()),
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Crashed, "{:?}", ran.outcome);
    assert_eq!(ran.ends().join(" "), "a=passed b=crashed c=skipped tidy=passed");
    assert!(
        ran.message()
            .contains("signal 11 (SIGSEGV). Its last output: last words"),
        "{}",
        ran.message()
    );
    let ran = run(
        &scenario("  - {id: a, launch: {command: [sh, -c, 'exit 7'], window: App}}"),
        |_| {},
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Crashed);
    assert!(ran.message().contains("exit code 7"), "{}", ran.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ends_well_is_no_crash() {
    let ran = run(
        &scenario(
            "  - {id: a, launch: {command: 'true', window: App}}\n  - {id: b, expect: {text: Saved}, timeout: 300ms}",
        ),
        |w| w.windows.push("App".into()),
    )
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "CheckFailed"));
    let ran = run(
        &scenario("  - {id: a, launch: {command: 'true', window: App}, timeout: 900ms}"),
        |_| {},
    )
    .await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "ApplicationEnded")
    );
    let ran = run(
        &scenario("  - {id: a, launch: {command: 'sleep 20', window: App}, timeout: 700ms}"),
        |_| {},
    )
    .await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "WindowNotShown")
    );
    let ran = run(&scenario("  - {id: a, launch: no-such-program}"), |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "NoSuchProgram"));
    assert!(
        ran.message().contains("no program no-such-program"),
        "{}",
        ran.message()
    );
    let ran = run(
        &scenario("  - {id: a, launch: no-such-program, soft: true}\n  - {id: b, note: x}"),
        |_| {},
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::SoftFailed, "{}", ran.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_was_there_before_is_not_the_programs() {
    let launch = |program: &str| {
        scenario(&format!(
            "  - {{id: a, launch: {{command: '{program}', window: App}}, timeout: 3s}}"
        ))
    };
    let ran = run(&launch("sleep 20"), |w| w.old_windows.push("App".into())).await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "WindowNotShown")
    );
    assert!(
        ran.message().contains("one that was there before does not count"),
        "{}",
        ran.message()
    );
    let ran = run(&launch("sleep 20"), |w| {
        w.old_windows.push("App".into());
        w.windows.push("App - another".into());
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_may_end_before_the_window_comes() {
    let steps = scenario("  - {id: a, launch: {command: 'true', window: App}, timeout: 20s}");
    let ran = run(&steps, |w| {
        w.windows_later
            .push((Instant::now() + Duration::from_millis(1500), "App".into()));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_tested_nothing_has_not_passed() {
    let text = |steps: &str| {
        format!(
            "name: t\ninputs: {{mode: {{default: quick}}}}\nsetup: [{{id: s, note: x}}]\nsteps:\n{steps}\n{CLEANUP}"
        )
    };
    let within = "  - {id: r, repeat: {times: 2, steps: [{id: b, note: x, when: {mode: full}}]}}";
    for steps in ["  - {id: a, note: x, when: {mode: full}}", within] {
        let ran = run(&text(steps), |_| {}).await;
        assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Skipped, "NothingRan"));
        assert!(ran.message().contains("'when'"), "{}", ran.message());
        let junit = std::fs::read_to_string(ran.dir.path().join("junit.xml")).unwrap();
        assert!(
            junit.contains("<skipped") && junit.contains("failures=\"0\""),
            "{junit}"
        );
    }
    let ran = run(
        &text("  - {id: a, note: x, when: {mode: full}}\n  - {id: b, note: x}"),
        |_| {},
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_is_not_missing() {
    let steps = scenario("  - {id: a, shell: {command: 'echo one; echo two', capture: {word: '(two)'}}}");
    let ran = run(&steps, |w| w.keeps = Some(4)).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Error, "CannotTell"));
    assert!(ran.message().contains("more than is kept"), "{}", ran.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn soft_failures_go_on() {
    let ran = run(
        &scenario("  - {id: a, expect: {text: Saved}, timeout: 200ms, soft: true}\n  - {id: b, note: x}"),
        |_| {},
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::SoftFailed);
    assert_eq!(ran.ends().join(" "), "a=softFailed b=passed tidy=passed");
    let ran = run(
        &scenario("  - {id: a, expect: {text: Saved}, timeout: 200ms, soft: true}\n  - {id: b, shell: 'exit 1'}"),
        |_| {},
    )
    .await;
    assert_eq!(
        (ran.outcome.result, ran.outcome.failure.unwrap().step.as_deref()),
        (RunResult::Failed, Some("b"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_setup_says_nothing_about_the_product() {
    let text = format!("name: t\nsetup:\n  - {{id: s, shell: exit 1}}\nsteps:\n  - {{id: a, note: x}}\n{CLEANUP}");
    let ran = run(&text, |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Error, "SetupFailed"));
    assert_eq!(ran.outcome.failure.as_ref().unwrap().class, Some(FailureClass::Guest));
    assert_eq!(ran.ends().join(" "), "s=error a=skipped tidy=passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_and_time_out_end_the_run_and_cleanup_runs() {
    let steps = scenario("  - {id: a, expect: {text: Saved}, timeout: 1h}\n  - {id: b, note: x}");
    let cancel = CancellationToken::new();
    let canceller = cancel.clone();
    let cancelling = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        canceller.cancel();
    });
    let ran = run_with(&steps, |_| {}, Duration::from_secs(60), cancel, &[]).await;
    cancelling.await.unwrap();
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Cancelled, "Cancelled"));
    assert_eq!(ran.ends().join(" "), "a=skipped b=skipped tidy=passed");
    assert_eq!(ran.done, ["key ctrl+q"]);
    let ran = run_with(
        &steps,
        |_| {},
        Duration::from_millis(400),
        CancellationToken::new(),
        &[],
    )
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::TimedOut, "RunTimedOut"));
    assert_eq!(ran.ends().join(" "), "a=timedOut b=skipped tidy=passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_cleanup_hides_no_verdict_and_does_not_stop_cleanup() {
    let cleanup = "cleanup:\n  - {id: x, shell: exit 1}\n  - {id: y, key: ctrl+q}\n";
    let ran = run(&format!("name: t\nsteps:\n  - {{id: a, note: x}}\n{cleanup}"), |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Passed);
    assert_eq!(ran.ends().join(" "), "a=passed x=failed y=passed");
    assert_eq!(ran.outcome.steps.failed, 1);
    let ran = run(
        &format!("name: t\nsteps:\n  - {{id: a, shell: exit 9}}\n{cleanup}"),
        |_| {},
    )
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "CommandFailed"));
    assert!(ran.message().contains("Cleanup failed too, in x"), "{}", ran.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_late_is_not_done_twice() {
    let steps = scenario("  - {id: a, click: Save, verify: {text: Saved}, attempts: 3, timeout: 9s}");
    let ran = run(&steps, |w| {
        w.show("Save");
        // After the first attempt's share of the time, before the second attempt looks.
        w.later
            .push((Instant::now() + Duration::from_millis(3050), "Saved".into()));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let clicks = ran.done.iter().filter(|d| d.starts_with("click")).count();
    assert!(clicks <= 2, "{:?}", ran.done);
    let steps = scenario("  - {id: a, click: Save, verify: {text: Saved}, attempts: 3, timeout: 900ms}");
    let ran = run(&steps, |w| w.show("Save")).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "NotVerified"));
    assert_eq!(ran.done.iter().filter(|d| d.starts_with("click")).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets() {
    let ran = run(&scenario("  - {id: a, click: Save, timeout: 300ms}"), |w| {
        w.show("Open")
    })
    .await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "TargetNotFound")
    );
    assert!(ran.message().contains("Open"), "{}", ran.message());
    let ran = run(&scenario("  - {id: a, click: Save, timeout: 300ms}"), |w| {
        w.show("Save");
        w.show("Save");
    })
    .await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "TargetAmbiguous")
    );
    assert!(
        ran.done.iter().all(|d| !d.starts_with("click")),
        "nothing is clicked on a guess"
    );
    let ran = run(&scenario("  - {id: a, click: Save, timeout: 500ms}"), |w| {
        w.show("Save");
        w.trembling = true;
    })
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "TargetMoves"));
    assert!(
        ran.done.iter().all(|d| !d.starts_with("click")),
        "no click on a place that has changed"
    );
}

/// What is not asked for is skipped; set-up and cleanup are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_steps() {
    let text = "name: t\nsetup: [{id: s, note: x}]\nsteps:\n  - {id: a, key: a}\n  - {id: b, key: b}\n  - {id: c, key: c}\n\
                cleanup: [{id: z, note: x}]\n";
    let ran = super::doubles::run_part(text, |w| w.show("Base"), Some("b"), Some("b")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed);
    assert_eq!(
        ran.ends(),
        ["s=passed", "a=skipped", "b=passed", "c=skipped", "z=passed"]
    );
    assert_eq!(ran.done, ["key b"]);
}
