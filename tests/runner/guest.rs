//! Conditions that the guest answers: windows, files, ports, the clipboard.

use super::doubles::{Ran, run};
use mosdat::api::{FailureClass, RunResult};

async fn expect(condition: &str) -> Ran {
    run(
        &format!("name: t\nsteps:\n  - {{id: a, expect: {condition}, timeout: 500ms}}\n"),
        |w| w.windows = vec!["Lab Demo - notes".into()],
    )
    .await
}

async fn result(condition: &str) -> RunResult {
    expect(condition).await.outcome.result
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_there_and_fit() {
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("state");
    let path = file.display();
    assert_eq!(result(&format!("{{file: {path}}}")).await, RunResult::Failed);
    assert_eq!(result(&format!("{{not: {{file: {path}}}}}")).await, RunResult::Passed);
    std::fs::write(&file, "user=alice\nremember=true\n").expect("file");
    for (fits, wanted) in [
        ("", RunResult::Passed),
        (", contains: user=alice", RunResult::Passed),
        (", matches: '(?m)^remember=true$'", RunResult::Passed),
        (", equals: user=alice", RunResult::Failed),
        (", contains: user=bob", RunResult::Failed),
    ] {
        assert_eq!(result(&format!("{{file: {path}{fits}}}")).await, wanted, "{fits}");
    }
    let ran = expect(&format!("{{file: {path}, contains: bob}}")).await;
    assert!(
        ran.message()
            .contains("does not contain 'bob'; it is 'user=alice | remember=true'"),
        "{}",
        ran.message()
    );
    // A folder is not a file with other content: nobody can say what it contains.
    let ran = expect(&format!("{{file: {}}}", dir.path().display())).await;
    assert_eq!(ran.outcome.result, RunResult::Error);
    assert!(ran.message().contains("is no regular file"), "{}", ran.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_is_read_is_not_judged() {
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("log");
    std::fs::write(&file, "x".repeat(2 << 20)).expect("file");
    let path = file.display();
    let ran = expect(&format!("{{file: {path}, contains: y}}")).await;
    assert_eq!(ran.outcome.result, RunResult::Error);
    assert_eq!(
        ran.outcome.failure.as_ref().and_then(|f| f.class),
        Some(FailureClass::Guest)
    );
    assert_eq!(
        result(&format!("{{file: {path}, contains: xxx}}")).await,
        RunResult::Passed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_and_windows() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let port = listener.local_addr().expect("address").port();
    assert_eq!(result(&format!("{{port: {port}}}")).await, RunResult::Passed);
    drop(listener);
    assert_eq!(result(&format!("{{port: {port}}}")).await, RunResult::Failed);
    assert_eq!(result("{window: Lab Demo}").await, RunResult::Passed);
    assert_eq!(result("{window: Other}").await, RunResult::Failed);
    assert_eq!(result("{not: {window: Other}}").await, RunResult::Passed);
}

/// A window is there before its title is, and nothing on the screen changes with that. What is looked for in it is not looked
/// for again while neither the picture nor the window changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_comes_without_a_change_of_the_picture() {
    let click = |target: &str, time: &str| {
        format!("name: t\nsteps:\n  - {{id: a, click: {{target: {{text: {target}, in: Editor}}}}, timeout: {time}}}\n")
    };
    let ran = run(&click("Save", "20s"), |w| {
        w.show("Save");
        let soon = std::time::Instant::now() + std::time::Duration::from_millis(600);
        w.windows_later.push((soon, "Editor".into()));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert_eq!(
        (ran.done.as_slice(), ran.looks),
        (["click Save Left 1".to_string()].as_slice(), 1)
    );
    let ran = run(&click("Other", "1500ms"), |w| {
        w.show("Save");
        w.windows.push("Editor".into());
    })
    .await;
    assert_eq!((ran.reason(), ran.looks), ("TargetNotFound", 1), "{}", ran.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_cannot_be_listed_are_not_absent() {
    let ran = run(
        "name: t\nsteps:\n  - {id: a, expect: {not: {window: X}}, timeout: 300ms}\n",
        |w| w.wayland = true,
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Error, "{:?}", ran.outcome);
    assert!(
        ran.message().contains("windows that cannot be listed"),
        "{}",
        ran.message()
    );
}

/// A path that only the run finds out has no mark.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_name_comes_late_does_not_tell_old_lines_as_new() {
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("app.log");
    std::fs::write(&file, "FATAL of yesterday\n").expect("file");
    let untouched = "[ $(date +%s) -gt $(stat -c %Z LOG) ] || sleep 1.1; ";
    let log = async |before: &str, command: &str, condition: &str| {
        let path = file.display().to_string();
        let text = format!(
            "name: t\nsteps:\n  - {{id: c, shell: {{command: '{command} echo {path}', capture: path}}}}\n  - {{id: a, expect: {condition}, \
             timeout: 500ms}}\n"
        );
        let wait = std::process::Command::new("sh")
            .args(["-c", &before.replace("LOG", &path)])
            .status();
        assert!(wait.expect("sh").success());
        run(&text.replace("LOG", &path), |_| {}).await
    };
    let never = "{not: {log: \"{{ path }}\", contains: FATAL}}";
    let ran = log(untouched, "true;", never).await;
    assert_eq!(
        ran.outcome.result,
        RunResult::Passed,
        "nothing was written: {}",
        ran.message()
    );
    let ran = log("true", "echo more >> LOG;", never).await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Error, "CannotTell"),
        "{}",
        ran.message()
    );
    assert!(
        ran.message().contains("before the run knew its name"),
        "{}",
        ran.message()
    );
    // Made by the run, later than in the second in which it began. (Clocks of file systems are some milliseconds behind.)
    let made = "rm LOG; t=$(date +%s); while [ $(date +%s) = $t ]; do sleep 0.1; done; sleep 0.1; echo FATAL > LOG;";
    let ran = log("true", made, "{log: \"{{ path }}\", contains: FATAL}").await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
}

/// Where only steps that tell more of a failure look at it.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_on_failure_is_marked_too() {
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("app.log");
    std::fs::write(&file, "FATAL of yesterday\n").expect("file");
    let path = file.display();
    let text = format!(
        "name: t\nsteps:\n  - {{id: a, shell: 'echo x >> {path}; false', on_failure: [{{id: f, expect: {{not: {{log: {path}, contains: \
         FATAL}}}}, timeout: 300ms}}]}}\n"
    );
    let ran = run(&text, |_| {}).await;
    assert_eq!(ran.ends(), ["a=failed", "f=passed"]);
}

/// What was there before the run says nothing; a log that was begun anew is read from its beginning.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_from_where_the_run_began() {
    let dir = tempfile::tempdir().expect("folder");
    let (file, later) = (dir.path().join("app.log"), dir.path().join("later.log"));
    std::fs::write(&file, "ready: false\nconnected\n").expect("file");
    let log = async |command: &str, condition: &str| {
        let (path, later) = (file.display(), later.display());
        let command = command
            .replace("LOG", &path.to_string())
            .replace("LATER", &later.to_string());
        let condition = condition
            .replace("LOG", &path.to_string())
            .replace("LATER", &later.to_string());
        let steps =
            format!("  - shell: {{command: '{command}'}}\n  - {{id: a, expect: {condition}, timeout: 500ms}}\n");
        run(&format!("name: t\nsteps:\n{steps}"), |_| {}).await
    };
    let ran = log("true", "{log: LOG, contains: connected}").await;
    assert_eq!(ran.outcome.result, RunResult::Failed);
    assert!(ran.message().contains("nothing was written to"), "{}", ran.message());
    for (command, condition, wanted) in [
        (
            "echo connected >> LOG",
            "{log: LOG, equals: connected}",
            RunResult::Passed,
        ),
        (
            "echo connected to >> LOG",
            "{log: LOG, equals: connected}",
            RunResult::Failed,
        ),
        // Each line by itself.
        (
            "echo a 1 >> LOG; echo b 2 >> LOG",
            "{log: LOG, matches: \"^b .$\"}",
            RunResult::Passed,
        ),
        (
            "echo a 1 >> LOG; echo b 2 >> LOG",
            "{log: LOG, contains: a, matches: \"2\"}",
            RunResult::Failed,
        ),
        ("echo new > LOG", "{log: LOG, equals: new}", RunResult::Passed),
        ("true", "{log: LATER, contains: x}", RunResult::Failed),
        ("echo x > LATER", "{log: LATER, contains: x}", RunResult::Passed),
        ("true", "{not: {log: LATER, contains: x}}", RunResult::Passed),
    ] {
        let ran = log(command, condition).await;
        assert_eq!(ran.outcome.result, wanted, "{command}: {condition}: {}", ran.message());
    }
    // Emptied, and grown beyond what it was; and another file in its place.
    for command in [
        "echo FATAL > LOG; i=0; while [ $i -lt 99 ]; do echo line $i; i=$((i + 1)); done >> LOG",
        "cp LOG LATER; echo FATAL > LOG.new; cat LATER LATER >> LOG.new; mv LOG.new LOG",
    ] {
        let ran = log(command, "{not: {log: LOG, contains: FATAL}}").await;
        assert_eq!(ran.outcome.result, RunResult::Failed, "{command}: {}", ran.message());
    }
    let many = "i=0; while [ $i -lt 110000 ]; do echo 0123456789; i=$((i + 1)); done >> LOG";
    let ran = log(many, "{log: LOG, contains: y}").await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Error, "CannotTell"),
        "{}",
        ran.message()
    );
}
