//! The negative check: a whole window of time, however short the thing is that must not appear.

use super::doubles::{Ran, run};
use mosdat::api::{FailureClass, RunResult};
use mosdat::results::{Body, Evidence};
use mosdat::vision::Verdict;
use std::time::{Duration, Instant};

const WATCH: &str = "name: t\nsteps:\n  - {id: a, never: {text: Error, for: 1s}}\n";

fn coverage(ran: &Ran) -> String {
    let condition = |e: &mosdat::results::Event| match &e.body {
        Body::Evidence {
            item: Evidence::Condition { reason, .. },
            ..
        } => Some(reason.clone()),
        _ => None,
    };
    ran.events.iter().find_map(condition).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_appears_passes_and_the_coverage_is_told() {
    let begun = Instant::now();
    let ran = run(WATCH, |w| w.show("Ready")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    assert!(begun.elapsed() >= Duration::from_secs(1), "the whole window");
    let told = coverage(&ran);
    let samples: u32 = told.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(
        samples >= 2 && told.contains("1 different state(s) judged, longest gap"),
        "{told}"
    );
}

/// On a machine that is too busy to look so often the step says that, and never that all was well.
#[tokio::test(flavor = "multi_thread")]
async fn what_appears_for_a_fifth_of_a_second_fails() {
    let watch = WATCH.replace("for: 1s", "for: 1s, gap: 150ms");
    for _ in 0..20 {
        let ran = run(&watch, |w| {
            w.show("Ready");
            let now = Instant::now();
            w.later.push((now + Duration::from_millis(500), "Error".into()));
            w.gone_later.push((now + Duration::from_millis(700), "Error".into()));
        })
        .await;
        if ran.outcome.result == RunResult::Error && ran.message().contains("'gap' is 150 ms") {
            continue;
        }
        let got = (ran.outcome.result, ran.reason());
        assert_eq!(got, (RunResult::Failed, "Happened"), "{:?}", ran.outcome);
        return;
    }
    panic!("in twenty runs there was none with a look every 150 ms");
}

/// What comes just before the end is on the last picture only, which is taken when the time is over: it is judged too.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_look_counts() {
    let ran = run(&WATCH.replace("for: 1s", "for: 1s, gap: 10s"), |w| {
        w.show("Ready");
        // The first look ends before the text comes, and the second one after the watch.
        w.slow = Duration::from_millis(600);
        w.later
            .push((Instant::now() + Duration::from_millis(950), "Error".into()));
    })
    .await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "Happened"),
        "{:?}",
        ran.outcome
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_nobody_can_judge_is_no_pass() {
    let ran = run(
        "name: t\nsteps:\n  - {id: a, never: {see: a red box, for: 300ms}}\n",
        |w| {
            w.verdict = Some(Verdict::CannotTell);
        },
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Error);
    let failure = ran.outcome.failure.as_ref().expect("failure");
    assert_eq!(
        (failure.class, failure.reason.as_str()),
        (Some(FailureClass::Vision), "CannotTell")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desktop_is_lost_while_watching() {
    let ran = run(WATCH, |w| w.desktop_down = true).await;
    assert_eq!(ran.outcome.result, RunResult::Error);
    assert_eq!(
        ran.outcome.failure.as_ref().and_then(|f| f.class),
        Some(FailureClass::Desktop)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_watched_too() {
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("core");
    let path = file.display().to_string();
    let text = format!("name: t\nsteps:\n  - {{id: a, never: {{file: {path}, for: 1500ms}}}}\n");
    let ran = run(&text, |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    std::fs::write(&file, "dumped").expect("file");
    let ran = run(&text, |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "Happened"));
}

/// Neither a picture nor the guest decides, and it is looked at all the same.
#[tokio::test(flavor = "multi_thread")]
async fn facts_are_watched_too() {
    let text = "name: t\ninputs: {mode: {default: quick}}\nsteps: [{never: {fact: {mode: WORD}, for: 300ms}}]\n";
    let ran = run(&text.replace("WORD", "full"), |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let ran = run(&text.replace("WORD", "quick"), |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "Happened"));
}

/// The guest was not asked often enough: that is no pass, and none of the vision backend's doubts.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_is_asked_too_seldom_is_not_watched() {
    let steps = |gap: &str| {
        format!("name: t\nsteps:\n  - {{id: a, never: {{shell: 'sleep 1; false', for: 2s{gap}}}, timeout: 20s}}\n")
    };
    let ran = run(&steps(", gap: 300ms"), |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Error, "CannotTell"));
    assert_eq!(
        ran.outcome.failure.as_ref().and_then(|f| f.class),
        Some(FailureClass::Guest)
    );
    assert!(ran.message().contains("'gap' is 300 ms"), "{}", ran.message());
    let ran = run(&steps(""), |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    assert!(coverage(&ran).contains("looks at the guest"), "{}", coverage(&ran));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_until_something_is_gone() {
    let text = "name: t\nsteps:\n  - {id: a, wait_gone: {text: Loading}, timeout: 2s}\n";
    let ran = run(text, |w| {
        w.show("Loading");
        w.gone_later
            .push((Instant::now() + Duration::from_millis(400), "Loading".into()));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let ran = run(text, |w| w.show("Loading")).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "WaitTimedOut"));
}
