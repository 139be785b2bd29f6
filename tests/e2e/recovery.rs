//! kill -9 in mid-run: the run is taken up, the interrupted attempt is an infrastructure error, nothing is left over.

use crate::harness::*;
use crate::support;
use std::time::Duration;

#[test]
fn a_killed_up_takes_its_run_up_again_on_a_clean_vm() {
    ensure_template();
    let dir = tempfile::tempdir().expect("temp dir");
    let up = Up::start(dir.path(), &[]);
    let tool = support::binaries().join("kubectl");
    let mut follower = up.run_in_background(&["examples/quickstart/scenario.yaml", "examples/quickstart/passing.yaml"]);
    wait_for("the run to be running", Duration::from_secs(120), || {
        let run = get(&tool, &up.kubeconfig(), "ftr", "passing")?;
        (run["status"]["phase"] == "Running").then_some(())
    });
    let state = up.state.clone();
    assert!(!machines(&state).is_empty(), "what runs is seen");
    up.kill9();
    let _ = follower.kill();
    let _ = follower.wait();
    wait_for("QEMU to die with mosdat", Duration::from_secs(15), || {
        machines(&state).is_empty().then_some(())
    });

    let up = Up::start(&state, &[]);
    let run = wait_for("the run to be done", Duration::from_secs(240), || {
        let run = get(&tool, &up.kubeconfig(), "ftr", "passing")?;
        (run["status"]["phase"] == "Done").then_some(run)
    });
    assert_eq!(run["status"]["result"], "passed", "{}\n{}", run["status"], log(&state));
    let attempts = run["status"]["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 1, "{}", run["status"]);
    assert_eq!(attempts[0]["failure"]["class"], "Controller", "{}", run["status"]);
    // What the killed process has recorded has got its end.
    let folder = run["status"]["artifacts"]["location"].as_str().expect("artifacts");
    let first = std::path::Path::new(folder).with_file_name("attempt-1");
    let log = std::fs::read_to_string(first.join("events.jsonl")).expect("the log of the first attempt");
    let last = log.lines().last().expect("a line");
    assert!(
        last.contains(r#""event":"run_end""#) && last.contains("Interrupted"),
        "{last}"
    );
    assert!(first.join("report.html").exists());
    wait_for("VM objects to be gone", Duration::from_secs(60), || {
        (text(&kubectl(&tool, &up.kubeconfig(), &["get", "pvm", "-o", "name"]))
            .trim()
            .is_empty())
        .then_some(())
    });
    wait_for("machines to be gone", Duration::from_secs(30), || {
        machines(&state).is_empty().then_some(())
    });
    up.stop();
}
