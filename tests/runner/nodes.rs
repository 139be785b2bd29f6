//! Elements of the accessibility tree in a run: what is clicked, and what nobody can tell.

use super::doubles::{Ran, World, run};
use mosdat::api::{FailureClass, RunResult};
use serde_json::{Value, json};

fn button(name: &str, place: [i32; 4]) -> Value {
    json!({"role": "push button", "name": name, "states": ["enabled", "showing", "visible"], "place": place,
           "path": [["frame", "Main"]], "pid": 7, "app": "demo", "value": null, "whole": true})
}

fn tree(nodes: &[Value]) -> Option<Value> {
    Some(json!({"nodes": nodes, "unreadable": [], "seen": 9, "cut": false}))
}

async fn click(target: &str, prepare: impl FnOnce(&mut World)) -> Ran {
    let text = format!("name: t\nsteps:\n  - {{id: a, click: {{target: {{{target}}}}}, timeout: 700ms}}\n");
    run(&text, prepare).await
}

fn ended(ran: &Ran) -> (RunResult, &str, Option<FailureClass>) {
    let class = ran.outcome.failure.as_ref().and_then(|f| f.class);
    (ran.outcome.result, ran.reason(), class)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_middle_of_the_element_is_clicked_and_nobody_looks_at_the_picture() {
    let ran = click("role: button, name: Save", |w| {
        w.show("Save");
        w.tree = tree(&[button("Save", [40, 20, 80, 20]), button("Open", [40, 60, 80, 20])]);
        w.beneath = vec![(7, "Main".into())];
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    assert_eq!(
        ran.done.last().map(String::as_str),
        Some("click Save Left 1"),
        "{:?}",
        ran.done
    );
    assert_eq!((ran.looks, ran.ends()), (0, vec!["a=passed".to_string()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_behind_another_window_is_waited_for() {
    let covered = |beneath: &[(u32, &str)]| {
        let beneath: Vec<_> = beneath.iter().map(|(pid, title)| (*pid, title.to_string())).collect();
        click("role: push button, name: Save", move |w| {
            w.show("Save");
            w.tree = tree(&[button("Save", [40, 20, 80, 20])]);
            w.beneath = beneath;
        })
    };
    let ran = covered(&[(8, "Update")]).await;
    assert_eq!(ended(&ran), (RunResult::Failed, "TargetCovered", None));
    assert!(
        ran.message()
            .contains("push button 'Save' is behind another window: 'Update'"),
        "{}",
        ran.message()
    );
    assert!(!ran.done.iter().any(|d| d.starts_with("click")), "{:?}", ran.done);
    assert_eq!(
        covered(&[(8, "Update"), (7, "Main")]).await.outcome.result,
        RunResult::Passed
    );
    // In a sandbox another process talks to the tree: the title is the same.
    assert_eq!(covered(&[(8, "Main")]).await.outcome.result, RunResult::Passed);
    // Where nobody can tell what is there, the click is done.
    assert_eq!(covered(&[]).await.outcome.result, RunResult::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_cannot_tell_is_no_failure_of_the_product() {
    let ran = click("role: push button, name: Save", |w| w.show("Save")).await;
    assert_eq!(
        ended(&ran),
        (RunResult::Error, "GuestLacksTool", Some(FailureClass::Guest))
    );
    // Another way was given.
    let ran = click("role: push button, name: Save, text: Save", |w| w.show("Save")).await;
    assert_eq!(
        (ran.outcome.result, ran.ends()),
        (RunResult::Passed, vec!["a=healed".to_string()])
    );
    let ran = click("role: push button, name: Save, text: Save", |w| {
        w.show("Save");
        w.tree = tree(&[button("Open", [40, 20, 80, 20])]);
    })
    .await;
    assert_eq!(
        (ran.outcome.result, ran.ends()),
        (RunResult::Passed, vec!["a=healed".to_string()])
    );
    // Nowhere.
    let ran = click("role: push button, name: Save, text: Save", |w| {
        w.show("Close");
        w.tree = tree(&[button("Open", [40, 20, 80, 20])]);
    })
    .await;
    assert_eq!(ended(&ran), (RunResult::Failed, "TargetNotFound", None));
    assert!(
        ran.message().contains("there are push button 'Open'"),
        "{}",
        ran.message()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_wayland_session_only_x11_programs_have_a_place() {
    let with = |windows: &[&str]| {
        let windows: Vec<String> = windows.iter().map(|w| w.to_string()).collect();
        click("role: push button, name: Save", move |w| {
            w.show("Save");
            w.wayland = true;
            w.windows = windows;
            w.tree = tree(&[button("Save", [40, 20, 80, 20])]);
        })
    };
    assert_eq!(with(&["Main"]).await.outcome.result, RunResult::Passed);
    let ran = with(&[]).await;
    assert_eq!(ended(&ran), (RunResult::Error, "CannotTell", Some(FailureClass::Guest)));
    assert!(ran.message().contains("display: xwayland"), "{}", ran.message());
}
