//! What people ask the program about itself.

use std::process::{Command, Output};

fn mosdat(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .args(args)
        .output()
        .expect("mosdat")
}

/// The commands that `--help` names.
fn commands() -> Vec<String> {
    let help = String::from_utf8(mosdat(&["--help"]).stdout).expect("text");
    let list = help
        .split("Commands:\n")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next());
    let names = list.expect("commands").lines();
    names
        .filter_map(|line| line.split_whitespace().next().map(str::to_string))
        // It is about the others.
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn completion_and_manual_pages_know_every_command() {
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(mosdat(&["completion", shell]).stdout).expect("text");
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell}: {command}");
        }
    }
    let dir = tempfile::tempdir().expect("temp dir");
    let pages = dir.path().join("man");
    let made = mosdat(&["man", "--output-dir", pages.to_str().expect("text")]);
    assert!(made.status.success(), "{made:?}");
    for command in &commands {
        assert!(pages.join(format!("mosdat-{command}.1")).exists(), "{command}");
    }
    let page = String::from_utf8(mosdat(&["man"]).stdout).expect("text");
    assert!(page.contains(".TH mosdat 1"));
}

#[test]
fn the_doctor_looks_and_tells() {
    let dir = tempfile::tempdir().expect("temp dir");
    let state = dir.path().join("state");
    let at = |models: &str, format: &str| {
        Command::new(env!("CARGO_BIN_EXE_mosdat"))
            .args(["doctor", "--format", format, "--state", state.to_str().expect("text")])
            .env("MOSDAT_MODELS", models)
            .output()
            .expect("mosdat")
    };
    let told = at("/nowhere", "json");
    assert_eq!(told.status.code(), Some(2));
    let found: Vec<serde_json::Value> = serde_json::from_slice(&told.stdout).expect("JSON");
    let about = |name: &str| found.iter().find(|f| f["about"] == name).expect("finding");
    assert_eq!(about("text recognition")["state"], "failed");
    assert_eq!(about("embedded")["state"], "ok");
    let text = String::from_utf8(at("/nowhere", "text").stdout).expect("text");
    assert!(
        text.contains("\n  FAIL  text recognition: OCR model /nowhere/"),
        "{text}"
    );
    // It has changed nothing.
    assert!(!state.exists());
    let gone = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .args(["doctor", "--kubeconfig", "/nowhere"])
        .output()
        .expect("mosdat");
    assert_eq!(gone.status.code(), Some(2));
    let text = String::from_utf8(gone.stdout).expect("text");
    assert!(
        text.contains("FAIL  kubeconfig: ") && !text.contains("os error"),
        "{text}"
    );
}

#[test]
fn a_reader_that_leaves_is_told_nothing() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .args(["schema", "scenario"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("mosdat");
    drop(child.stdout.take());
    let out = child.wait_with_output().expect("its end");
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
}
