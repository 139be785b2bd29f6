//! What nobody could find out is an error of the infrastructure, never a verdict about the product.

use super::doubles::{Ran, World, run, run_with};
use mosdat::api::{FailureClass, RunResult};
use mosdat::vision;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

async fn step(step: &str, prepare: impl FnOnce(&mut World)) -> Ran {
    run(
        &format!("name: t\nsteps:\n  - {{id: a, {step}, timeout: 400ms}}\n"),
        prepare,
    )
    .await
}

#[track_caller]
fn is_error(ran: &Ran, class: FailureClass, reason: &str) {
    let failure = ran
        .outcome
        .failure
        .as_ref()
        .unwrap_or_else(|| panic!("{:?}", ran.outcome));
    assert_eq!(
        (ran.outcome.result, failure.class, failure.reason.as_str()),
        (RunResult::Error, Some(class), reason),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_may_have_been_misread() {
    for what in [
        "expect: {text: Saved}",
        "expect: {not: {text: Saved}}",
        "wait_for: {all: [{text: Saved}]}",
        "expect: {any: [{text: Saved}, {shell: 'exit 1'}]}",
        "click: Saved",
    ] {
        let ran = step(what, |w| w.misreads = true).await;
        is_error(&ran, FailureClass::Vision, "CannotTell");
    }
    // While there is time it goes on: a later look decides.
    let ran = run(
        "name: t\nsteps:\n  - {id: a, expect: {text: Saved}, timeout: 10s}\n",
        |w| {
            w.misreads = true;
            w.later
                .push((Instant::now() + Duration::from_millis(600), "Saved".into()));
        },
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
}

/// Keys may be lost or repeated then; what the product did with them says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_stood_still_at_the_action() {
    let text = "name: t\nsteps:\n  - {id: a, type: frozen, verify: {text: frozen}, timeout: 9s}\n";
    let ran = run(text, |w| w.slow = Duration::from_millis(2100)).await;
    is_error(&ran, FailureClass::Desktop, "StoodStill");
    let ran = run(text.replace("9s", "1s").as_str(), |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Failed, "{:?}", ran.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_was_read_with_little_certainty() {
    for what in ["expect: {text: Saved}", "expect: {not: {text: Saved}}"] {
        for times in 1..=2 {
            let ran = step(what, |w| {
                (0..times).for_each(|_| w.show("Saved"));
                w.confidence = Some(0.4);
            })
            .await;
            is_error(&ran, FailureClass::Vision, "CannotTell");
        }
    }
}

/// Where nothing but uncertain reading says that it is there, nothing is done to it; another picture may decide.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_to_what_was_read_with_little_certainty() {
    for what in [
        "click: Saved",
        "hover: Saved",
        "drag: {target: Saved, to: {at: [1, 1]}}",
    ] {
        let ran = step(what, |w| {
            w.show("Saved");
            w.confidence = Some(0.4);
        })
        .await;
        is_error(&ran, FailureClass::Vision, "CannotTell");
        assert!(ran.done.is_empty(), "{what}: {:?}", ran.done);
        let told = ran.message();
        assert!(
            told.contains("'Saved' was read at 80,30") && told.contains("(0.40)"),
            "{told}"
        );
        assert_eq!(ran.looks, 1, "the same picture is read in the same way");
    }
    let ran = run("name: t\nsteps:\n  - {id: a, click: Saved, timeout: 20s}\n", |w| {
        w.show("Saved");
        w.confidence = Some(0.4);
        w.certain_from = Some(1);
        w.later
            .push((Instant::now() + Duration::from_millis(600), "Other".into()));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    assert_eq!(ran.done, ["click Saved Left 1"]);
}

/// Of several places, one alone may be the one that is meant, or none.
#[tokio::test(flavor = "multi_thread")]
async fn several_places_are_ambiguous_only_where_two_are_certain() {
    for (places, certain) in [(2, 0), (2, 1), (3, 1), (2, 2), (3, 2)] {
        let ran = step("click: Saved", |w| {
            (0..places).for_each(|_| w.show("Saved"));
            w.confidence = Some(0.4);
            w.certain_places = certain;
        })
        .await;
        assert!(ran.done.is_empty(), "{places} {certain}: {:?}", ran.done);
        match certain {
            2 => assert_eq!(
                (ran.outcome.result, ran.reason()),
                (RunResult::Failed, "TargetAmbiguous")
            ),
            _ => {
                is_error(&ran, FailureClass::Vision, "CannotTell");
                assert!(ran.message().contains("with little certainty"), "{}", ran.message());
            }
        }
    }
}

/// That an answer could not be read says nothing of another picture, of which nobody was asked because the guest was away.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_was_away_for_a_moment_is_asked_again() {
    let text = "name: t\nsteps:\n  - {id: a, click: {target: {text: Save, in: Editor}}, timeout: 20s}\n";
    let ran = run(text, |w| {
        w.show("Save");
        w.windows.push("Editor".into());
        w.vision_error = Some(garbage);
        w.vision_errors = Some(1);
        let after = |ms| Instant::now() + Duration::from_millis(ms);
        w.later.push((after(600), "Other".into()));
        w.guest_breaks = Some((after(550), after(2000)));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
}

/// An answer without a text may be followed by one.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_text_passes() {
    let empty = || vision::Error::Empty {
        model: "m".into(),
        attempts: vec!["an answer without text".into()],
    };
    for what in [
        "expect: {see: \"'Save' is shown\"}",
        "wait_for: {text: Save}",
        "click: Save",
    ] {
        let text = format!("name: t\nsteps:\n  - {{id: a, {what}, timeout: 20s}}\n");
        let ran = run(&text, |w| {
            w.show("Save");
            w.vision_error = Some(empty);
            w.vision_errors = Some(2);
        })
        .await;
        assert_eq!(
            (ran.outcome.result, ran.looks),
            (RunResult::Passed, 3),
            "{}",
            ran.message()
        );
    }
}

fn garbage() -> vision::Error {
    vision::Error::Answer {
        model: "m".into(),
        problem: "no JSON".into(),
        answer: "a lovely desktop".into(),
    }
}

/// A model that answers what nobody can read says the same of the same picture: it is asked again of another one, and the
/// step ends as an error.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_read_is_asked_for_again_of_another_picture() {
    for what in ["expect: {see: it looks good}", "wait_for: {text: Saved}", "click: Save"] {
        for (flickers, once) in [(false, true), (true, false)] {
            let text = format!("name: t\nsteps:\n  - {{id: a, {what}, timeout: 1500ms}}\n");
            let ran = run(&text, |w| {
                w.vision_error = Some(garbage);
                w.flicker = flickers.then(|| mosdat::desktop::Rect::new(200, 200, 9, 9));
            })
            .await;
            is_error(&ran, FailureClass::Vision, "VisionFailed");
            assert!(ran.message().contains("a lovely desktop"), "{}", ran.message());
            assert_eq!(ran.looks == 1, once, "{what}: {} looks", ran.looks);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_could_not_be_run() {
    for what in [
        "expect: {shell: no-such-program-here}",
        "expect: {not: {shell: no-such-program-here}}",
    ] {
        is_error(&step(what, |_| {}).await, FailureClass::Guest, "CannotTell");
    }
    let ran = step("expect: {shell: 'exit 127', exit: 127}", |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_was_cut_off() {
    for check in [
        "shell: 'echo 12345678X', contains: X",
        "shell: 'echo 12345678X', equals: '12345'",
        "shell: 'echo 12345678X', matches: '^12345$'",
    ] {
        for what in [format!("expect: {{{check}}}"), format!("expect: {{not: {{{check}}}}}")] {
            is_error(
                &step(&what, |w| w.keeps = Some(5)).await,
                FailureClass::Guest,
                "CannotTell",
            );
        }
    }
    // What is found is there, and the exit code is whole.
    let ran = step("expect: {shell: 'echo 12345678X', contains: '234'}", |w| {
        w.keeps = Some(5)
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let ran = step("expect: {shell: 'echo 12345678X; exit 1', contains: X}", |w| {
        w.keeps = Some(5)
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Failed, "{:?}", ran.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_ends_the_step_at_once() {
    let start = Instant::now();
    let ran = run("name: t\nsteps:\n  - {id: a, click: Save, timeout: 1m}\n", |w| {
        w.vision_error = Some(|| vision::Error::Refused {
            model: "m".into(),
            attempts: vec!["HTTP 401".into()],
        });
    })
    .await;
    is_error(&ran, FailureClass::Vision, "VisionFailed");
    assert_eq!(ran.looks, 1);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runs_time_that_went_by_in_an_outage() {
    let out_of_time = async |step: &str, prepare: fn(&mut World)| {
        let text = format!("name: t\nsteps:\n  - {{id: a, {step}, timeout: 1h}}\n");
        let (time, cancel) = (Duration::from_millis(500), CancellationToken::new());
        run_with(&text, prepare, time, cancel, &[]).await
    };
    let ran = out_of_time("expect: {shell: 'true'}", |w| w.guest_hangs = true).await;
    is_error(&ran, FailureClass::Guest, "GuestLinkLost");
    let ran = out_of_time("click: Save", |w| w.desktop_hangs = true).await;
    is_error(&ran, FailureClass::Desktop, "DesktopFailed");
    // Nothing is wrong with what the step needs.
    let ran = out_of_time("expect: {text: Save}", |w| w.guest_hangs = true).await;
    assert_eq!(ran.outcome.result, RunResult::TimedOut, "{:?}", ran.outcome);
    let ran = out_of_time("expect: {shell: 'exit 1'}", |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::TimedOut, "{:?}", ran.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_a_check_has_the_time_of_the_step() {
    // Longer than the 30 s that a look once had.
    let ran = run(
        "name: t\nsteps:\n  - {id: a, expect: {any: [{shell: 'sleep 32'}]}, timeout: 2m}\n",
        |_| {},
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
}
