//! Checkpoints, power, packages, and programs that have to end.

use super::doubles::{Ran, run};
use mosdat::api::{FailureClass, RunResult};
use mosdat::runner::NotDone;
use std::os::unix::fs::PermissionsExt;

fn told(ran: &Ran) -> (RunResult, &str) {
    (ran.outcome.result, ran.reason())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vm_is_asked_in_order() {
    let text = "name: t\nsteps:\n  - snapshot: before\n  - snapshot: {name: disks, memory: false}\n  - rollback: before\n  \
                - power: shutdown\n  - power: start\n  - power: stop\n  - snapshot: off\n  - rollback: disks\n  - {expect: {text: Base}}\n";
    let ran = run(text, |w| w.show("Base")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert_eq!(
        ran.done,
        [
            "Snapshot { name: \"before\", memory: true }",
            "Snapshot { name: \"disks\", memory: false }",
            "Rollback { name: \"before\" }",
            "Shutdown",
            "Start",
            "Stop",
            "Snapshot { name: \"off\", memory: true }",
            "Rollback { name: \"disks\" }",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_vm_is_no_verdict() {
    let text = "name: t\nsteps:\n  - {id: a, rollback: before}\n";
    let ran = run(text, |w| {
        w.show("Base");
        w.not_done = Some(NotDone::Refused("VM 1 has no snapshot before; it has none".into()));
    })
    .await;
    assert_eq!(told(&ran), (RunResult::Error, "RollbackFailed"));
    assert_eq!(ran.outcome.failure.as_ref().unwrap().class, Some(FailureClass::Proxmox));
    assert!(ran.message().contains("it has none"), "{}", ran.message());
    // That a guest does not end by itself is its own doing.
    let text = "name: t\nsteps:\n  - {id: a, power: shutdown}\n";
    let ran = run(text, |w| {
        w.show("Base");
        w.not_done = Some(NotDone::GuestDidNot("VM quit/powerdown failed - got timeout".into()));
    })
    .await;
    assert_eq!(told(&ran), (RunResult::Failed, "PowerTimedOut"));
    // That Proxmox does not get to it is not.
    let ran = run(text, |w| {
        w.show("Base");
        w.not_done = Some(NotDone::Late("ProxmoxVM a: no endpoint answers".into()));
    })
    .await;
    assert_eq!(told(&ran), (RunResult::Error, "PowerFailed"));
    assert_eq!(ran.outcome.failure.as_ref().unwrap().class, Some(FailureClass::Proxmox));
    let ran = run(text, |w| {
        w.show("Base");
        w.not_done = Some(NotDone::Lost("connection refused".into()));
    })
    .await;
    assert_eq!(told(&ran), (RunResult::Error, "PowerFailed"));
    assert_eq!(
        ran.outcome.failure.as_ref().unwrap().class,
        Some(FailureClass::Controller)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_before_going_back_has_not_crashed() {
    // The program is killed from outside while the VM goes back to before it was started.
    let text = "name: t\nsteps:\n  - snapshot: before\n  - launch: [sleep, \"600\"]\n  - rollback: before\n  \
                - shell: pkill -9 -f '^sleep 600$'; true\n  - {expect: {text: Base}}\n";
    let ran = run(text, |w| w.show("Base")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_may_have_to_end_with_an_error_code() {
    let steps = |code: u32, wanted: u32| {
        format!(
            "name: t\nsteps:\n  - launch: [sh, -c, \"sleep 0.2; exit {code}\"]\n  \
             - {{id: e, expect: {{exited: {wanted}}}, timeout: 3s}}\n"
        )
    };
    let ran = run(&steps(3, 3), |w| w.show("Base")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    let ran = run(&steps(0, 0), |w| w.show("Base")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    // Another code is a crash, and a good end is not the wanted one.
    let ran = run(&steps(4, 3), |w| w.show("Base")).await;
    assert_eq!(told(&ran), (RunResult::Crashed, "ApplicationDied"));
    let ran = run(&steps(0, 3), |w| w.show("Base")).await;
    assert_eq!(told(&ran), (RunResult::Failed, "CheckFailed"));
    assert!(ran.message().contains("it ended with exit code 0"), "{}", ran.message());
    // A signal has its code, as a shell tells it.
    let killed = |wanted: u32| {
        format!(
            "name: t\nsteps:\n  - launch: [sh, -c, 'sleep 0.2; kill -KILL $$']\n  - {{id: e, expect: {{exited: {wanted}}}, \
             timeout: 3s}}\n"
        )
    };
    let ran = run(&killed(137), |w| w.show("Base")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    let ran = run(&killed(139), |w| w.show("Base")).await;
    assert_eq!(told(&ran), (RunResult::Crashed, "ApplicationDied"));
    let runs = "name: t\nsteps:\n  - launch: [sleep, \"30\"]\n  - {id: e, expect: {exited: 0}, timeout: 600ms}\n";
    let ran = run(runs, |w| w.show("Base")).await;
    assert_eq!(told(&ran), (RunResult::Failed, "CheckFailed"));
    let none = "name: t\nsteps:\n  - {id: e, expect: {exited: 0}, timeout: 600ms}\n";
    let ran = run(none, |w| w.show("Base")).await;
    assert!(ran.message().contains("no program was launched"), "{}", ran.message());
}

/// A folder with programs that do what a package manager does, on a file.
fn manager(dir: &std::path::Path, install: &str) -> std::path::PathBuf {
    let state = dir.join("state");
    let tools = [
        (
            "dpkg",
            format!(
                "case $1 in -i) {install} ;; --purge) rm -f {0} ;; esac",
                state.display()
            ),
        ),
        ("dpkg-deb", "echo hello".to_string()),
        (
            "dpkg-query",
            format!("[ -f {0} ] && echo \"installed $(cat {0})\"", state.display()),
        ),
    ];
    for (name, script) in tools {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    // The rest of what a guest has, without its real package manager.
    for tool in [
        "sh", "setsid", "id", "getent", "setpriv", "env", "timeout", "sleep", "kill", "cat", "tail", "base64", "sed",
        "mkdir", "mktemp", "rm", "printf", "install", "ln", "head", "grep",
    ] {
        if let Ok(found) = std::process::Command::new("which").arg(tool).output() {
            let real = String::from_utf8_lossy(&found.stdout).trim().to_string();
            if !real.is_empty() {
                let _ = std::os::unix::fs::symlink(real, dir.join(tool));
            }
        }
    }
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_read_back() {
    let text = "name: t\nsteps:\n  - {id: i, install: {package: /tmp/hello.deb, version: \"1.2\"}}\n  - {id: u, uninstall: hello}\n";
    let with = |install: &'static str| {
        let dir = tempfile::tempdir().unwrap();
        let state = manager(
            dir.path(),
            &install.replace("STATE", &dir.path().join("state").display().to_string()),
        );
        (dir, state)
    };
    let case = async |install: &'static str, text: &str| {
        let (dir, state) = with(install);
        let path = dir.path().to_path_buf();
        for file in ["hello.deb", "hello.rpm"] {
            std::fs::write(path.join(file), "").unwrap();
        }
        let text = text.replace("/tmp", &path.display().to_string());
        let ran = run(&text, move |w| {
            w.show("Base");
            w.path = Some(path);
        })
        .await;
        (ran, state.exists())
    };
    let (ran, left) = case("echo 1.2-1 >STATE", text).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert!(!left);
    let (ran, _) = case("echo 1.3 >STATE", text).await;
    assert_eq!(told(&ran), (RunResult::Failed, "WrongVersion"));
    assert!(
        ran.message().contains("hello has version 1.3, not 1.2"),
        "{}",
        ran.message()
    );
    let (ran, _) = case("echo depends on libfoo >&2; exit 1", text).await;
    assert_eq!(told(&ran), (RunResult::Failed, "NotInstalled"));
    assert!(ran.message().contains("depends on libfoo"), "{}", ran.message());
    let (ran, _) = case("true", text).await;
    assert!(ran.message().contains("hello is not there"), "{}", ran.message());
    // Trouble in the guest, or with what the test lays out, says nothing about the package either.
    let (ran, _) = case("echo Could not get lock >&2; exit 1", text).await;
    assert_eq!(told(&ran), (RunResult::Error, "NotInstalled"));
    assert!(
        ran.message().contains("another package manager is at work"),
        "{}",
        ran.message()
    );
    let missing = "name: t\nsteps:\n  - {id: i, install: /tmp/hallo.deb}\n";
    let (ran, _) = case("true", missing).await;
    assert_eq!(told(&ran), (RunResult::Error, "NoPackageFile"));
    assert!(ran.message().contains("hallo.deb in the guest"), "{}", ran.message());
    // The guest has no such manager: that says nothing about the package.
    let (ran, _) = case("true", "name: t\nsteps:\n  - {id: i, install: /tmp/hello.rpm}\n").await;
    assert_eq!(told(&ran), (RunResult::Error, "NoPackageManager"));
    let (ran, _) = case("true", "name: t\nsteps:\n  - {id: u, uninstall: hello}\n").await;
    assert_eq!(told(&ran), (RunResult::Failed, "NotUninstalled"));
    assert!(
        ran.message().contains("no package hello is installed"),
        "{}",
        ran.message()
    );
}

/// The run is cancelled while the guest is asked how its programs are: they are known all the same to what cleans up.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_outlives_a_cancelled_look_at_it() {
    use std::time::{Duration, Instant};
    let text = "name: t\nsteps:\n  - {id: p, launch: [sh, -c, 'while [ ! -e $TMPDIR/end ]; do sleep 0.05; done']}\n  \
                - {id: w, wait_for: {text: Never}, timeout: 1h}\ncleanup:\n  - {id: c, shell: touch $TMPDIR/end}\n  \
                - {id: e, expect: {exited: 0}, timeout: 20s}\n";
    let cancel = tokio_util::sync::CancellationToken::new();
    let fires = cancel.clone();
    // Longer than the pause between two looks at the programs.
    let (from, cancelled, until) = (Duration::from_secs(2), Duration::from_secs(6), Duration::from_secs(7));
    tokio::spawn(async move {
        tokio::time::sleep(cancelled).await;
        fires.cancel();
    });
    let begun = Instant::now();
    let ran = super::doubles::run_with(
        text,
        |w| w.guest_busy = Some((begun + from, begun + until)),
        Duration::from_secs(60),
        cancel,
        &[],
    )
    .await;
    assert_eq!(told(&ran), (RunResult::Cancelled, "Cancelled"));
    assert_eq!(
        ran.ends(),
        ["p=passed", "w=skipped", "c=passed", "e=passed"],
        "{}",
        ran.message()
    );
}
