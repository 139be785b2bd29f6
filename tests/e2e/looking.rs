//! `mosdat run --var`, and `mosdat nodes` at the desktop of a run that is going on.

use crate::harness::*;
use crate::support;
use std::process::Stdio;
use std::time::Duration;

/// What the value says is started; without it nothing, and nobody would find its elements. The run waits to be cancelled.
const SCENARIO: &str = "name: looked at\ninputs: {program: {default: no-such-program}}\nsteps:\n  \
    - launch: {command: '{{ program }} --no-splash', window: Lab Demo}\n  - {wait_for: {file: /tmp/never}, timeout: 20m}\n";

#[test]
fn elements_of_a_running_desktop_are_told() {
    ensure_template();
    let dir = tempfile::tempdir().expect("temp dir");
    let up = Up::start(dir.path(), &[]);
    let tool = support::binaries().join("kubectl");
    let file = dir.path().join("looked-at.yaml");
    std::fs::write(&file, SCENARIO).expect("file");
    let file = file.display().to_string();

    // An input that the scenario does not have is refused.
    let refused = up.run(&[&file, "--var", "programme=labdemo"]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
    assert!(text(&refused).contains("programme"), "{}", text(&refused));

    let log_file = std::fs::File::create(dir.path().join("run.log")).expect("log");
    let mut run = command(MOSDAT)
        .args(["run", &file, "--var", "program=labdemo", "--state"])
        .arg(&up.state)
        .stdout(log_file)
        .stderr(Stdio::null())
        .spawn()
        .expect("mosdat run");
    let name = wait_for("the run to look at its file", Duration::from_secs(240), || {
        let listed = kubectl(&tool, &up.kubeconfig(), &["get", "ftr", "-o", "json"]);
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).ok()?;
        let runs = listed["items"].as_array()?;
        let run = runs
            .iter()
            .find(|run| run["spec"]["variables"]["program"] == "labdemo")?;
        let done = run["status"]["phase"] == "Done";
        assert!(!done, "{}\n{}", run["status"], log(&up.state));
        let at = run["status"]["currentStep"]["label"].as_str()?.contains("/tmp/never");
        at.then(|| run["metadata"]["name"].as_str().expect("a name").to_string())
    });
    let status = get(&tool, &up.kubeconfig(), "ftr", &name).expect("the run")["status"].clone();
    let vm = status["vmName"].as_str().expect("a VM");
    let nodes = |more: &[&str]| {
        let told = command(MOSDAT)
            .args(["nodes", "--vm", vm, "--state"])
            .arg(&up.state)
            .args(more)
            .output();
        told.expect("mosdat nodes")
    };
    let told = nodes(&["--app", "labdemo"]);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told));
    let out = String::from_utf8_lossy(&told.stdout).into_owned();
    for part in [
        "# labdemo (process ",
        "{role: push button, name: \"Save\"}",
        "{role: check box, name: \"Remember me\"}",
    ] {
        assert!(out.contains(part), "{part}: {}", text(&told));
    }
    let boxes = nodes(&["--role", "check box", "--format", "json"]);
    let boxes: serde_json::Value = serde_json::from_slice(&boxes.stdout).expect("JSON");
    let boxes = boxes.as_array().expect("a list");
    assert!(
        !boxes.is_empty() && boxes.iter().all(|node| node["role"] == "check box"),
        "{boxes:?}"
    );
    let unknown = nodes(&["--role", "knob"]);
    assert_eq!(unknown.status.code(), Some(3), "{}", text(&unknown));
    let elsewhere = command(MOSDAT)
        .args(["nodes", "--vm", "no-such-vm", "--state"])
        .arg(&up.state)
        .output()
        .expect("mosdat nodes");
    assert!(
        !elsewhere.status.success() && text(&elsewhere).contains(&format!("there are {vm}")),
        "{}",
        text(&elsewhere)
    );

    let cancelled = kubectl(
        &tool,
        &up.kubeconfig(),
        &[
            "patch",
            "ftr",
            &name,
            "--type=merge",
            "-p",
            "{\"spec\":{\"cancel\":true}}",
        ],
    );
    assert!(cancelled.status.success(), "{}", text(&cancelled));
    wait_for("the run to end", Duration::from_secs(120), || {
        run.try_wait().expect("wait")
    });
    let run = get(&tool, &up.kubeconfig(), "ftr", &name).expect("the run");
    assert_eq!(run["status"]["result"], "cancelled", "{}", run["status"]);
    up.stop();
}
