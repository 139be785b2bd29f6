//! The quick start: a passing and a failing run, and what they leave behind.

use crate::harness::*;
use crate::support;
use std::time::Duration;

#[test]
fn quick_start_passes_and_fails_as_it_should() {
    ensure_template();
    let dir = tempfile::tempdir().expect("temp dir");
    let up = Up::start(dir.path(), &[]);
    let tool = support::binaries().join("kubectl");

    // The very command that `up` proposes.
    let hint = up.told.lines().find_map(|line| line.trim().strip_prefix("mosdat run "));
    let files: Vec<&str> = hint.expect("a hint").split_whitespace().collect();
    let passing = up.run(&files);
    assert_eq!(passing.status.code(), Some(0), "{}\n{}", text(&passing), log(&up.state));
    let run = get(&tool, &up.kubeconfig(), "ftr", "passing").expect("the run");
    assert_eq!(run["status"]["phase"], "Done");
    assert_eq!(run["status"]["result"], "passed");
    assert_eq!(run["status"]["steps"]["passed"], run["status"]["steps"]["total"]);
    let folder = std::path::PathBuf::from(run["status"]["artifacts"]["location"].as_str().expect("location"));
    let report = std::fs::read_to_string(folder.join("report.html")).expect("report");
    assert!(report.contains("passing"));
    assert!(!report.contains("src=\"http"), "the report is self-contained");
    let events = std::fs::read_to_string(folder.join("events.jsonl")).expect("events");
    let last: serde_json::Value = serde_json::from_str(events.lines().last().expect("a line")).expect("JSON");
    assert!(last.to_string().contains("passed"), "{last}");
    assert!(folder.join("junit.xml").is_file());

    let failing = up.run(&[
        "examples/quickstart/scenario.yaml",
        "examples/quickstart/failing.yaml",
        "--video=5",
    ]);
    assert_eq!(failing.status.code(), Some(1), "{}\n{}", text(&failing), log(&up.state));
    let run = get(&tool, &up.kubeconfig(), "ftr", "failing").expect("the run");
    assert_eq!(run["status"]["result"], "failed");
    assert!(
        run["status"]["failure"]["step"].is_string(),
        "{}",
        run["status"]["failure"]
    );
    assert!(
        run["status"]["failure"]["class"].is_null(),
        "a product failure has no infrastructure class"
    );
    // Its video was asked for.
    assert_eq!(run["spec"]["evidence"]["video"]["maxPicturesPerSecond"], 5);
    let artifacts = &run["status"]["artifacts"];
    assert_eq!(
        (&artifacts["video"], &artifacts["videoProblem"]),
        (&"video.webm".into(), &serde_json::Value::Null)
    );
    let video = std::path::PathBuf::from(artifacts["location"].as_str().expect("location")).join("video.webm");
    assert!(std::fs::metadata(&video).expect("video").len() > 10_000);
    assert!(
        text(&failing).contains(&format!("video: {}", video.display())),
        "{}",
        text(&failing)
    );

    // The page shows both.
    let page = std::fs::read_to_string(up.state.join("page.url")).expect("page.url");
    let html = http_get(page.trim());
    assert!(html.contains("passing") && html.contains("failing"), "{html}");

    wait_for("the machines to be gone", Duration::from_secs(30), || {
        machines(&up.state).is_empty().then_some(())
    });
    let vms = kubectl(&tool, &up.kubeconfig(), &["get", "pvm", "-o", "name"]);
    assert_eq!(text(&vms).trim(), "", "no VM object is left");
    let state = up.state.clone();
    up.stop();
    assert!(machines(&state).is_empty());
}

/// A scenario with a password: it arrives, and nothing that the run leaves behind holds it.
#[test]
fn a_secret_is_typed_and_shown_nowhere() {
    ensure_template();
    let dir = tempfile::tempdir().expect("temp dir");
    let up = Up::start(dir.path(), &[]);
    let tool = support::binaries().join("kubectl");
    let done = up.run(&["examples/quickstart/secret.yaml"]);
    assert_eq!(done.status.code(), Some(0), "{}\n{}", text(&done), log(&up.state));

    const SECRET: &str = "S3cret-pa'ss";
    let everything = "ftr,pvm,gpuprofile,proxmoxcluster,events,leases,configmaps";
    let resources = kubectl(&tool, &up.kubeconfig(), &["get", everything, "-A", "-o", "yaml"]);
    assert!(resources.status.success(), "{}", text(&resources));
    let stored = kubectl(
        &tool,
        &up.kubeconfig(),
        &["get", "secret", "test-account", "-o", "yaml"],
    );
    assert!(stored.status.success(), "{}", text(&stored));
    let mut shown = vec![
        ("mosdat run".to_string(), text(&done)),
        ("resources".to_string(), text(&resources)),
        (
            "up.log".to_string(),
            std::fs::read_to_string(up.state.join("up.log")).expect("log"),
        ),
    ];
    let run = get(&tool, &up.kubeconfig(), "ftr", "secret").expect("the run");
    let folder = run["status"]["artifacts"]["location"].as_str().expect("location");
    for entry in walk(std::path::Path::new(folder)) {
        let bytes = std::fs::read(&entry).expect("artifact");
        shown.push((
            entry.display().to_string(),
            String::from_utf8_lossy(&bytes).into_owned(),
        ));
    }
    assert!(
        shown.iter().any(|(name, _)| name.ends_with("events.jsonl")),
        "the artifacts are in {folder}"
    );
    for (place, content) in &shown {
        // As it is, and as a single-quoted shell or YAML text writes it.
        for form in [SECRET, "S3cret-pa''ss", "S3cret-pa'\\''ss", "S3cret"] {
            assert!(!content.contains(form), "the secret is in {place}");
        }
    }
    let events = shown.iter().find(|(name, _)| name.ends_with("events.jsonl"));
    assert!(
        events.is_some_and(|(_, e)| e.contains("***")),
        "what the shell printed is there, masked"
    );
    up.stop();
}

/// Hands and eyes beyond clicking and typing, on a real desktop; and what something looks like.
#[test]
fn the_examples_of_the_language_work() {
    ensure_template();
    let dir = tempfile::tempdir().expect("temp dir");
    let up = Up::start(dir.path(), &[]);
    for file in ["gestures", "reference", "machine", "whole"] {
        let file = &format!("examples/language/{file}.yaml");
        let done = up.run(&[file.as_str()]);
        assert_eq!(
            done.status.code(),
            Some(0),
            "{file}: {}\n{}",
            text(&done),
            log(&up.state)
        );
    }
    up.stop();
}

/// Which steps run: routines from another file, two ways, rounds, values of the run; and a restart of the guest.
#[test]
fn the_flow_of_the_language_works() {
    ensure_template();
    let dir = tempfile::tempdir().expect("temp dir");
    let up = Up::start(dir.path(), &[]);
    let done = up.run(&["examples/language/flow.yaml"]);
    let out = text(&done);
    assert_eq!(done.status.code(), Some(0), "{out}\n{}", log(&up.state));
    for word in [
        "s05-03-use-save-name.3 type 'alice+3'",
        "s09-use-start-launch launch labdemo",
    ] {
        assert!(out.contains(word), "{word}: {out}");
    }
    up.stop();
}

/// The files below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// A GET over plain HTTP; the tests need no client crate for one page.
fn http_get(url: &str) -> String {
    use std::io::{Read, Write};
    let host = url.trim_start_matches("http://");
    let mut s = std::net::TcpStream::connect(host).expect("connect to the page");
    write!(s, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("request");
    let mut out = String::new();
    s.read_to_string(&mut out).expect("answer");
    out
}
