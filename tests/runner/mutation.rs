//! The checks are what fails a run: each broken world fails, and with any single check taken away some broken world
//! passes.

use super::doubles::{World, run};
use mosdat::api::RunResult;
use std::path::Path;

/// The checks of the scenario, one line each, and the action that makes them true.
fn checks(dir: &Path) -> Vec<String> {
    let dir = dir.display();
    vec![
        "  - {expect: {text: Ready}, timeout: 300ms}".to_string(),
        "  - {expect: {window: Lab Demo}, timeout: 300ms}".to_string(),
        "  - {expect: {text: Saved}, timeout: 300ms}".to_string(),
        format!("  - {{expect: {{file: {dir}/state, contains: user=alice}}, timeout: 300ms}}"),
        format!("  - {{expect: {{shell: 'test ! -e {dir}/lock'}}, timeout: 300ms}}"),
        "  - {never: {text: Error, for: 300ms}}".to_string(),
        "  - {expect: {not: {see: \"'Warning' is shown\"}}, timeout: 300ms}".to_string(),
    ]
}

/// A world in which all holds, or all but the check with this number.
fn world(w: &mut World, dir: &Path, broken: Option<usize>) {
    let holds = |n| broken != Some(n);
    w.show(if holds(0) { "Ready" } else { "Starting" });
    if holds(1) {
        w.windows = vec!["Lab Demo".into()];
    }
    w.show(if holds(2) { "Saved" } else { "Not saved" });
    let user = if holds(3) { "alice" } else { "bob" };
    std::fs::write(dir.join("state"), format!("user={user}\n")).expect("state");
    let _ = std::fs::remove_file(dir.join("lock"));
    if !holds(4) {
        std::fs::write(dir.join("lock"), "").expect("lock");
    }
    if !holds(5) {
        w.show("Error");
    }
    if !holds(6) {
        w.show("Warning");
    }
}

async fn result(checks: &[String], dir: &Path, broken: Option<usize>) -> RunResult {
    let text = format!("name: t\nsteps:\n{}\n", checks.join("\n"));
    run(&text, |w| world(w, dir, broken)).await.outcome.result
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_fails_what_no_other_would() {
    let dir = tempfile::tempdir().expect("folder");
    let all = checks(dir.path());
    assert_eq!(result(&all, dir.path(), None).await, RunResult::Passed);
    for n in 0..all.len() {
        assert_eq!(result(&all, dir.path(), Some(n)).await, RunResult::Failed, "{}", all[n]);
        let mut fewer = all.clone();
        let taken = fewer.remove(n);
        assert_eq!(
            result(&fewer, dir.path(), Some(n)).await,
            RunResult::Passed,
            "without {taken}"
        );
    }
}
