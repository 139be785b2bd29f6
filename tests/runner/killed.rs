//! kill -9 of the process that carries a run out, at moments that nobody chose.

use super::doubles::{check_log, run};
use mosdat::api::{FailureClass, RunFailure, RunResult};
use mosdat::results::{Body, mend, read_events};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MOMENTS: u32 = 20;

const SCENARIO: &str = "name: killed\nsetup:\n  - shell: sleep 0.05\nsteps:\n  - launch: [sleep, \"20\"]\n  - click: Save\n  \
    - repeat: {times: 3, steps: [{key: escape}, {shell: sleep 0.05}, {if: {text: Base, then: [{note: a}, {shell: sleep 0.05}], \
    else: [{note: b}]}}]}\n  - {expect: {text: Absent}, timeout: 300ms, soft: true}\n  - {never: {text: Absent, for: 300ms}}\n  \
    - {expect: {text: Base}}\ncleanup:\n  - shell: sleep 0.05\n  - note: done\n";

/// The process that is killed: run by the test below, which ends it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a child of kill_at_any_moment"]
async fn child() {
    for _ in 0..10 {
        let ran = run(SCENARIO, |w| {
            w.show("Base");
            w.show("Save");
        })
        .await;
        // The folder of a run that was not interrupted is looked at, too.
        std::mem::forget(ran.dir);
    }
}

/// The logs below the folder.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let logs = entries.map(|e| e.path().join("events.jsonl"));
    logs.filter(|log| log.exists()).collect()
}

fn kill_after(folder: &Path, delay: Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["killed::child", "--exact", "--ignored", "--test-threads=1"])
        .env("TMPDIR", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = child.spawn().unwrap();
    let begun = Instant::now();
    while logs(folder).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the run does not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(delay);
    // The programs that it started are of its group, or die with their group's leader gone.
    // SAFETY: a plain system call on a process that this test started.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    child.wait().unwrap();
}

#[test]
fn kill_at_any_moment() {
    let why = RunFailure {
        class: Some(FailureClass::Controller),
        reason: "Interrupted".into(),
        message: "the process that carried the run out (test) ended in the middle of it".into(),
        step: None,
    };
    let mut interrupted = 0;
    for _ in 0..MOMENTS {
        let folder = tempfile::tempdir().unwrap();
        let delay = Duration::from_millis(rand::random_range(0..2500));
        kill_after(folder.path(), delay);
        for log in logs(folder.path()) {
            let dir = log.parent().unwrap();
            let before = std::fs::read(&log).unwrap();
            if read_events(&log).unwrap().is_empty() {
                // Killed while the first line was written: nothing is known of the run.
                assert!(!mend(dir, &why).unwrap());
                continue;
            }
            let mended = mend(dir, &why).unwrap();
            let events = read_events(&log).unwrap();
            check_log(dir, &events);
            let Body::RunEnd { result, failure, .. } = &events.last().unwrap().body else {
                panic!("{:?}", events.last())
            };
            if mended {
                interrupted += 1;
                assert_eq!((*result, failure.as_ref()), (RunResult::Error, Some(&why)));
            } else {
                // The run had ended; at most its reports are missing, which are made by the same hand.
                assert_eq!(before, std::fs::read(&log).unwrap());
            }
            let after = std::fs::read(&log).unwrap();
            assert!(!mend(dir, &why).unwrap(), "once is enough");
            assert_eq!(after, std::fs::read(&log).unwrap());
        }
    }
    assert!(interrupted >= MOMENTS / 2, "only {interrupted} runs were interrupted");
}
