//! What the pointer and the keyboard do besides clicking and typing.

use super::doubles::run;
use mosdat::api::RunResult;

#[tokio::test(flavor = "multi_thread")]
async fn each_word_is_a_movement() {
    let ran = run(
        "name: t\nsteps:\n  - hover: Save\n  - drag: {target: Save, to: {text: Trash}, button: middle}\n  - scroll: down\n  \
         - scroll: {direction: left, notches: 5, target: Save}\n  - click: {target: Save, count: 2, modifiers: [ctrl, shift]}\n  \
         - key: {keys: super, hold: 700ms}\n  - click: {target: {at: [10, 1.0], reason: an empty corner}}\n",
        |w| {
            w.show("Save");
            w.show("Trash");
        },
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let done = [
        "move to 80,30",
        "drag 80,30 to 80,60 Middle",
        "scroll Vertical 3",
        "scroll Horizontal -5 at 80,30",
        "click Save Left 2 ctrl shift",
        "key super for 700ms",
        "click nothing Left 1",
    ];
    assert_eq!(ran.done, done);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_while_its_destination_is_looked_for_is_dragged_from_where_it_is() {
    let ran = run("name: t\nsteps:\n  - drag: {target: Icon, to: {text: Trash}}\n", |w| {
        w.show("Icon");
        w.show("Trash");
        w.moves = Some(("Trash".into(), "Icon".into()));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    assert_eq!(ran.done, ["drag 180,30 to 80,60 Left"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_outside_the_screen_is_no_place() {
    let ran = run("name: t\nsteps:\n  - hover: {at: [320, 10], reason: x}\n", |_| {}).await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "OutsideTheScreen")
    );
    assert!(ran.message().contains("320x240"), "{}", ran.message());
    assert!(ran.done.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_hold_after_an_action() {
    let run_it = |verify: &'static str| async move {
        run(
            &format!("name: t\nsteps:\n  - {{id: a, click: Save, {verify}, timeout: 500ms}}\n"),
            |w| {
                w.show("Save");
                w.on_click.insert("Save".into(), "Error".into());
            },
        )
        .await
    };
    let ran = run_it("verify_not: {text: Warning}").await;
    assert_eq!(ran.outcome.result, RunResult::Passed);
    let ran = run_it("verify_not: {text: Error}").await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "NotVerified"));
    let ran = run_it("verify: {text: Error}, verify_not: {text: Error}").await;
    assert_eq!(ran.outcome.result, RunResult::Failed, "both count");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pointer_rests_and_the_screen_is_waited_for() {
    let text = "name: t\nsteps:\n  - {click: Save, dwell: 20ms, settle: 7s}\n  - {hover: Save, dwell: 20ms}\n  - {key: a, settle: 5s}\n";
    let ran = run(text, |w| w.show("Save")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    let words: Vec<&str> = ran.done.iter().filter_map(|d| d.split_whitespace().next()).collect();
    assert_eq!(
        words,
        ["move", "click", "settle", "move", "key", "settle"],
        "{:?}",
        ran.done
    );
    assert_eq!((ran.done[2].as_str(), ran.done[5].as_str()), ("settle 7s", "settle 5s"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_says_how_the_pointer_moves() {
    let text = "name: t\nsteps:\n  - {hover: Save, motion: instant}\n  - {id: a, click: Save, motion: windmouse}\n  \
                - {drag: {target: Save, to: Save}, motion: linear}\n  - {hover: Save}\n";
    let ran = run(text, |w| w.show("Save")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let done = [
        "moving Instant",
        "move to 80,30",
        // The seed comes of the step's id.
        "moving WindMouse(97)",
        "click Save Left 1",
        "moving Linear(160ms)",
        "drag 80,30 to 80,30 Left",
        "move to 80,30",
    ];
    assert_eq!(ran.done, done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_goes_before_the_text() {
    let text = "name: t\nsteps:\n  - {id: a, type: {text: hidden, canary: {text: Dot}}, timeout: 2s}\n";
    let ran = run(text, |w| {
        w.show("Dot");
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert_eq!(ran.done, ["type q", "key backspace", "type hidden"]);
    // It does not show where it should: the text is not typed.
    let ran = run(text, |w| w.show("Another")).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "CanaryLost"));
    assert_eq!(ran.done, ["type q", "key backspace"]);
    assert!(ran.message().contains("the text was not typed"), "{}", ran.message());
}
