//! The commands, as their users call them.

use crate::LEAST;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const EXAMPLE: &str = "examples/rocketchat.toml";

/// Without what this machine's environment would fill in.
fn mosdat(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosdat"));
    for (name, _) in std::env::vars() {
        if ["PROXMOX_", "FUNCTIONAL_", "VLM_", "MOSDAT_", "DEFAULT_VM_", "OPENAI_"]
            .iter()
            .any(|p| name.starts_with(p))
        {
            command.env_remove(name);
        }
    }
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(args)
        .output()
        .expect("mosdat")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn written(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("file");
    path.display().to_string()
}

#[test]
fn what_convert_prints_is_valid() {
    let dir = tempfile::tempdir().expect("folder");
    for (more, kinds) in [
        (vec![], vec![1, 7, 1, 0, 0]),
        (
            vec!["--test", "first-window", "--vms", "fedora42,opensuse"],
            vec![1, 2, 1, 1, 2],
        ),
    ] {
        let made = mosdat(&[&["convert", EXAMPLE], &more[..]].concat());
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        let out = text(&made.stdout);
        let count = |kind: &str| out.matches(&format!("\nkind: {kind}\n")).count();
        let counts = [
            "ProxmoxCluster",
            "ProxmoxVM",
            "VisionProvider",
            "Scenario",
            "FunctionalTestRun",
        ]
        .map(count);
        assert_eq!(counts.to_vec(), kinds);
        let file = written(dir.path(), "made.yaml", out);
        let checked = mosdat(&["validate", &file]);
        assert_eq!(checked.status.code(), Some(0), "{checked:?}");
        assert!(text(&made.stderr).contains("dropped: `vm.package.install`"));
    }
    let checked = mosdat(&["validate", EXAMPLE]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}

#[test]
fn no_command_prints_a_secret() {
    let dir = tempfile::tempdir().expect("folder");
    let secrets = "[vlm]\nbase_url = 'http://127.0.0.1:9/v1'\nverify_model = 'judge'\napi_key = 'swordfish-1'\n[functional]\ntest_password = 'swordfish-2'\n";
    let config = LEAST.replace("[[vm]]", "password = 'swordfish-3'\n[[vm]]") + "password = 'swordfish-4'\n" + secrets;
    let file = written(dir.path(), "f.toml", &config);
    written(
        dir.path(),
        ".env",
        "PROXMOX_USER=root@pam\nMOSDAT_VM_PASSWORD=swordfish-5\n",
    );
    let test = written(
        dir.path(),
        "t.yaml",
        "name: t\ninputs: {test_password: {type: string, secret: true}, vm_password: {type: string, secret: true}}\nsteps: [{note: x}]\n",
    );
    for args in [
        vec!["convert", &file, "--test", &test],
        vec!["convert", &file, "--format", "json"],
        vec!["list-vms", &file, "--format", "json"],
        vec!["validate", &file],
        vec!["preflight", &file, "--test", &test],
    ] {
        let out = mosdat(&args);
        let all = format!("{}{}", text(&out.stdout), text(&out.stderr));
        assert!(!all.contains("swordfish"), "{args:?}: {all}");
        assert!(!all.is_empty());
    }
}

#[test]
fn the_list_asks_for_nothing() {
    let table = mosdat(&["list-vms", EXAMPLE]);
    assert_eq!(table.status.code(), Some(0), "{table:?}");
    assert!(text(&table.stdout).starts_with("NAME        VMID  IP           DESKTOP"));
    let list: Vec<Value> =
        serde_json::from_slice(&mosdat(&["list-vms", EXAMPLE, "--format", "json"]).stdout).expect("JSON");
    assert_eq!(list.len(), 7);
    assert_eq!(
        (&list[4]["osType"], &list[0]["packages"][2]),
        (&"windows".into(), &"flatpak".into())
    );
    // Nor is a host needed for it.
    let dir = tempfile::tempdir().expect("folder");
    let file = written(dir.path(), "f.toml", &LEAST.replace("host = 'pve.example'\n", ""));
    assert_eq!(mosdat(&["list-vms", &file]).status.code(), Some(0));
    assert_eq!(mosdat(&["validate", &file]).status.code(), Some(0));
    assert_eq!(mosdat(&["convert", &file]).status.code(), Some(3));
}

#[test]
fn what_is_wrong_ends_with_3_and_nothing_is_printed() {
    let dir = tempfile::tempdir().expect("folder");
    let file = written(dir.path(), "f.toml", &LEAST.replace("vmid", "vmidd"));
    for command in ["convert", "list-vms", "validate", "preflight"] {
        let out = mosdat(&[command, &file]);
        assert_eq!(out.status.code(), Some(3), "{command}: {out:?}");
        assert_eq!(text(&out.stdout), "");
        assert!(text(&out.stderr).contains(":9:1: unknown key of [vm] 'vmidd'; did you mean 'vmid'?"));
    }
    let functional = |more: &[&str]| {
        let args = [
            &["functional", EXAMPLE, "--vms", "fedora42", "--test", "first-window"],
            more,
        ]
        .concat();
        let out = mosdat(&args);
        (out.status.code(), text(&out.stderr).to_string())
    };
    let (code, told) = functional(&["--from-step", "2", "--skip-warmup"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(
        told.starts_with("--from-step: not taken any more; instead: '--from' and '--until'"),
        "{told}"
    );
    // Phases have their old flags.
    let (code, told) = functional(&["--from-phase", "a", "--until-step", "2"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(
        told.contains("--until-step: not taken") && !told.contains("--from-phase"),
        "{told}"
    );
    let (code, told) = functional(&["--var", "a=1", "--var", "a=2"]);
    assert_eq!(
        (code, told.contains("--var a is given twice")),
        (Some(3), true),
        "{told}"
    );
    assert_eq!(functional(&["--parallel", "0"]).0, Some(3));
    assert_eq!(mosdat(&["convert", "/nowhere.toml"]).status.code(), Some(3));
}

#[test]
fn preflight_tells_what_is_not_there() {
    let dir = tempfile::tempdir().expect("folder");
    let model = "[vlm]\nbase_url = 'http://127.0.0.1:9/v1'\n";
    let config = LEAST.replace("'pve.example'", "'127.0.0.1'\nport = 9\npassword = 'x'") + model;
    // A file with which nothing could be begun is wrong input, as it is for `functional`.
    let file = written(dir.path(), "f.toml", &config);
    assert_eq!(mosdat(&["preflight", &file]).status.code(), Some(3));
    let file = written(dir.path(), "f.toml", &(config + "verify_model = 'judge'\n"));
    let out = mosdat(&["preflight", &file, "--format", "json"]);
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    let found: Vec<Value> = serde_json::from_slice(&out.stdout).expect("JSON");
    let state = |area: &str| {
        let finding = found.iter().find(|f| f["area"] == area).expect("finding");
        finding["state"].as_str().expect("state")
    };
    assert_eq!(
        (state("file"), state("Proxmox"), state("vision")),
        ("ok", "failed", "failed")
    );
    let proxmox = found.iter().find(|f| f["area"] == "Proxmox").expect("finding");
    let says = proxmox["says"].as_str().expect("words");
    assert!(says.contains("look at `host`"), "{says}");
}

#[test]
fn a_report_is_made_anew_from_the_log() {
    let dir = tempfile::tempdir().expect("folder");
    let log = [
        r#"{"v":1,"seq":1,"time":"2026-01-01T00:00:00Z","event":"run_start","run":{"namespace":"default","name":"r1","uid":"u","attempt":1,"vm":"v","node":"n","vmid":100,"vision":"ocr"},"scenario":"t","digest":"d","variables":{},"total":0,"steps":[]}"#,
        r#"{"v":1,"seq":2,"time":"2026-01-01T00:00:01Z","event":"run_end","result":"failed","counts":{"total":2,"passed":1,"failed":1,"softFailed":0,"skipped":0,"error":0},"ms":1000}"#,
    ];
    written(dir.path(), "events.jsonl", &(log.join("\n") + "\n"));
    let folder = dir.path().display().to_string();
    let out = mosdat(&["report", &folder]);
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    assert!(text(&out.stdout).contains("r1   failed  1/2"), "{out:?}");
    assert!(dir.path().join("report.html").exists() && dir.path().join("junit.xml").exists());
    // A log that was cut off has no verdict.
    written(dir.path(), "events.jsonl", &(log[0].to_string() + "\n"));
    assert_eq!(mosdat(&["report", &folder]).status.code(), Some(2));
    // A page that may have the only copies of pictures is not written over by one without them.
    let shot = r#"{"v":1,"seq":2,"time":"2026-01-01T00:00:01Z","event":"evidence","step":"a","item":{"kind":"screenshot","role":"checked","file":"screenshots/1.png","width":4,"height":3}}"#;
    written(dir.path(), "events.jsonl", &format!("{}\n{shot}\n", log[0]));
    written(dir.path(), "report.html", "an old page with its pictures");
    let out = mosdat(&["report", &folder]);
    assert!(text(&out.stderr).contains("left as it is: 1 picture(s)"), "{out:?}");
    let page = std::fs::read_to_string(dir.path().join("report.html")).expect("the page");
    assert_eq!(page, "an old page with its pictures");
    let empty = tempfile::tempdir().expect("folder");
    // A run's folder stands for its latest attempt.
    let run = tempfile::tempdir().expect("folder");
    for attempt in ["attempt-2", "attempt-10"] {
        std::fs::create_dir(run.path().join(attempt)).expect("folder");
        written(run.path(), &format!("{attempt}/events.jsonl"), &(log.join("\n") + "\n"));
    }
    let out = mosdat(&["report", &run.path().display().to_string()]);
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let made = |attempt: &str| run.path().join(attempt).join("report.html").exists();
    assert!(made("attempt-10") && !made("attempt-2"));
    let out = mosdat(&["report", &empty.path().display().to_string()]);
    assert_eq!(out.status.code(), Some(3));
    assert!(text(&out.stderr).contains("no events.jsonl in this folder"), "{out:?}");
}
