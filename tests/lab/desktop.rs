//! The guest itself, without the API: resume from RAM, identity, Lab Demo on its desktop.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mosdat::lab::qemu::{Accel, Machine, Vm, version};
use serde_json::{Value, json};

use crate::template::template;

const DEADLINE: Duration = Duration::from_secs(20);

/// Runs a shell command in the guest and returns its exit code and output.
pub async fn shell(vm: &Vm, script: &str) -> (i64, String) {
    let agent = vm.agent().expect("the machine has an agent");
    let exec = json!({"path": "/bin/sh", "arg": ["-c", script], "capture-output": true});
    let pid = agent.execute("guest-exec", exec, DEADLINE).await.expect("exec")["pid"].clone();
    let begun = Instant::now();
    loop {
        let s = agent
            .execute("guest-exec-status", json!({"pid": pid}), DEADLINE)
            .await
            .expect("exec-status");
        if s["exited"] == true {
            let text = |v: &Value| {
                String::from_utf8(STANDARD.decode(v.as_str().unwrap_or("")).expect("base64")).expect("UTF-8")
            };
            return (
                s["exitcode"].as_i64().unwrap_or(-1),
                text(&s["out-data"]) + &text(&s["err-data"]),
            );
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{script} still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Command prefix that runs a program in the tester's session.
pub const AS_TESTER: &str = "setpriv --reuid tester --regid tester --init-groups env HOME=/home/tester USER=tester \
    DISPLAY=:0 XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus";

async fn screenshot(vm: &Vm, name: &str) {
    // Kept for people to look at: target/tmp/lab-*.png
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-{name}.png"));
    vm.qmp()
        .execute("screendump", json!({"filename": path, "format": "png"}))
        .await
        .expect("screendump");
}

/// A machine as the template's saved RAM has it, in a folder of its own.
pub async fn saved(dir: &Path) -> (Machine, std::path::PathBuf) {
    let t = template().await;
    let state = t.ram_state(&version().await.expect("QEMU"), Accel::Tcg);
    // On a machine with KVM the template was saved with it.
    let state = match state {
        Some(s) => s,
        None => t
            .ram_state(&version().await.expect("QEMU"), Accel::Kvm)
            .expect("the RAM state is saved"),
    };
    let backing = state.disk.to_string_lossy().into_owned();
    let made = std::process::Command::new("qemu-img")
        .args([
            "create",
            "-q",
            "-f",
            "qcow2",
            "-b",
            &backing,
            "-F",
            "qcow2",
            Machine::DISK,
        ])
        .current_dir(dir)
        .status()
        .expect("qemu-img");
    assert!(made.success());
    (state.machine.clone(), state.ram)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_clone_has_its_own_identity_and_runs_lab_demo() {
    let dir = tempfile::tempdir().expect("a directory");
    let (plain, ram) = saved(dir.path()).await;
    let machine = Machine {
        mac: Some("BC:24:11:AB:CD:EF".into()),
        passed: vec![mosdat::lab::qemu::stand_in(0)],
        ..plain
    };
    let begun = Instant::now();
    let vm = Vm::start(101, dir.path(), &machine, Some(&ram)).await.expect("resumes");
    let running = begun.elapsed();
    vm.give_identity(&machine).await.expect("takes its identity");
    eprintln!(
        "resume: running after {running:?}, identity after {:?}",
        begun.elapsed()
    );
    let nics = vm
        .agent()
        .expect("agent")
        .execute("guest-network-get-interfaces", json!({}), DEADLINE)
        .await
        .expect("nics");
    assert!(nics.to_string().contains("bc:24:11:ab:cd:ef"), "{nics}");
    screenshot(&vm, "resumed").await;
    let (_, pci) = shell(
        &vm,
        "cat /sys/bus/pci/devices/*/vendor /sys/bus/pci/devices/*/device | tr '\\n' ' '",
    )
    .await;
    assert!(pci.contains("0x11e8"), "the stand-in device is plugged in: {pci}");

    shell(
        &vm,
        &format!("{AS_TESTER} labdemo --no-splash >/tmp/labdemo.log 2>&1 &"),
    )
    .await;
    let begun = Instant::now();
    let (code, out) = shell(
        &vm,
        &format!(
            "timeout 50 {AS_TESTER} xdotool search --sync --onlyvisible --name '^Lab Demo$' windowactivate --sync"
        ),
    )
    .await;
    eprintln!("Lab Demo visible after {:?}", begun.elapsed());
    assert_eq!(code, 0, "{out} {}", shell(&vm, "cat /tmp/labdemo.log").await.1);
    shell(
        &vm,
        &format!("{AS_TESTER} xdotool mousemove 5 5 type 'ada'; {AS_TESTER} xdotool key ctrl+s"),
    )
    .await;
    let deadline = Instant::now() + DEADLINE;
    let state = loop {
        let (code, text) = shell(&vm, "cat /home/tester/.labdemo/state").await;
        if code == 0 || Instant::now() > deadline {
            break text;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    screenshot(&vm, "labdemo").await;
    assert_eq!(state, "user=ada\ncomment=\nremember=false\n");
    let rss = std::fs::read_to_string(format!("/proc/{}/status", vm.process().pid())).expect("status");
    eprintln!("{}", rss.lines().find(|l| l.starts_with("VmRSS")).unwrap_or("no VmRSS"));
    let begun = Instant::now();
    vm.agent()
        .expect("agent")
        .execute("guest-shutdown", json!({}), DEADLINE)
        .await
        .expect("shutdown");
    tokio::time::timeout(DEADLINE, vm.process().wait())
        .await
        .expect("the guest powers off");
    eprintln!("guest shutdown took {:?}", begun.elapsed());
}
