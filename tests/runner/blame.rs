//! Who is to blame: the product, the guest, or the scenario's author.

use super::doubles::{run, run_with};
use mosdat::api::{FailureClass, RunResult};
use mosdat::results::Body;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_the_guest_lacks_is_neither_a_pass_nor_a_failure() {
    let tools = tempfile::tempdir().unwrap();
    for tool in ["id", "getent", "setpriv"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{tool}"), tools.path().join(tool)).unwrap();
    }
    for step in [
        "shell: {command: x, exit: 127}",
        "shell: 'true'",
        "expect: {not: {shell: 'true'}}",
        "launch: 'true'",
    ] {
        let path = tools.path().to_path_buf();
        let ran = run(&format!("name: t\nsteps:\n  - {{id: a, {step}, timeout: 2s}}\n"), |w| {
            w.path = Some(path)
        })
        .await;
        assert_eq!(
            (ran.outcome.result, ran.reason()),
            (RunResult::Error, "GuestLacksTool"),
            "{step}"
        );
        assert_eq!(ran.outcome.failure.as_ref().unwrap().class, Some(FailureClass::Guest));
        assert!(ran.message().contains("the guest lacks setsid"), "{}", ran.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_not_there_is_the_authors_error_and_tried_once() {
    let text = "name: t\nsteps:\n  - {id: a, shell: {command: 'true', as: nobdy}, attempts: 3}\n  - {id: b, note: x}\n\
                cleanup:\n  - {id: tidy, key: ctrl+q}\n";
    let ran = run(text, |_| {}).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Invalid, "NoSuchUser"));
    assert!(ran.message().contains("no user 'nobdy'"), "{}", ran.message());
    let failure = ran.outcome.failure.as_ref().unwrap();
    assert_eq!((failure.class, failure.step.as_deref()), (None, Some("a")));
    assert_eq!(ran.ends().join(" "), "a=error b=skipped tidy=passed");
    let attempts = ran.events.iter().find_map(|e| match &e.body {
        Body::StepEnd { step, attempts, .. } if step == "a" => Some(*attempts),
        _ => None,
    });
    assert_eq!(attempts, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_nobody_can_see_says_nothing_about_the_product() {
    for program in ["'sleep 20'", "'true'"] {
        let text =
            format!("name: t\nsteps:\n  - {{id: a, launch: {{command: {program}, window: App}}, timeout: 900ms}}\n");
        let ran = run(&text, |w| w.wayland = true).await;
        assert_eq!(
            (ran.outcome.result, ran.reason()),
            (RunResult::Error, "GuestLacksTool"),
            "{program}"
        );
        assert_eq!(ran.outcome.failure.as_ref().unwrap().class, Some(FailureClass::Guest));
        assert!(
            ran.message().contains("Wayland") && ran.message().contains("leave 'window' out"),
            "{}",
            ran.message()
        );
    }
    let launch =
        |program: &str| format!("name: t\nsteps:\n  - {{id: a, launch: {{command: {program}, window: App}}}}\n");
    let ran = run(&launch("'sleep 20'"), |w| {
        w.wayland = true;
        w.windows.push("My App".into());
    })
    .await;
    assert_eq!(
        ran.outcome.result,
        RunResult::Passed,
        "an X client's window: {:?}",
        ran.outcome
    );
    let ran = run(&launch("[sh, -c, 'exit 7']"), |w| w.wayland = true).await;
    assert_eq!(ran.outcome.result, RunResult::Crashed, "a crash is one anywhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_secret_is_in_no_file() {
    let secret = "hunter2-secret-value";
    // Lines, and one line without an end; each longer than what is looked at, and cut in the middle of the secret.
    for (print, masked) in [("echo \"x$1\"", true), ("printf %s \"x$1\"", false)] {
        let text = format!(
            "name: t\ninputs: {{pw: {{secret: true}}}}\nsteps:\n  - {{id: a, launch: {{command: [sh, -c, \
             'i=0; while [ $i -lt 6000 ]; do {print}; i=$((i + 1)); done; exit 3', sh, {secret}], window: App}}}}\n  \
             - type: '{{{{ pw }}}}'\n"
        );
        let long = Duration::from_secs(60);
        let ran = run_with(&text, |_| {}, long, CancellationToken::new(), &[("pw", secret)]).await;
        assert_eq!(ran.outcome.result, RunResult::Crashed, "{:?}", ran.outcome);
        assert_eq!(ran.message().contains("x***"), masked, "{}", ran.message());
        assert!(masked || ran.message().contains("left out"), "{}", ran.message());
        for file in ["events.jsonl", "report.html", "junit.xml"] {
            let text = std::fs::read_to_string(ran.dir.path().join(file)).unwrap();
            // The page's script has that word too.
            let text = text.replace("e.target.value", "");
            for piece in ["hunter2", "secret-value", "-value", "alue"] {
                assert!(!text.contains(piece), "{piece} in {file}");
            }
        }
    }
}
