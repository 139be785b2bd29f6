//! `mosdat lint`: its three outputs, its exit codes, and what is left out.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const BAD: &str = "name: bad\nsteps:\n- expect: {shell: 'true'}\n- shell: sleep 5\n- click: {target: {text: x}}\n";

/// A folder with one file, and another below it.
fn folder(bad: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("below")).unwrap();
    let file = dir.path().join("below/bad.yaml");
    std::fs::write(&file, bad).unwrap();
    let good = "name: good\nsteps:\n- expect: {text: Ready}\n";
    std::fs::write(dir.path().join("good.yml"), good).unwrap();
    (dir, file)
}

/// Exit code and standard output.
fn lint(arguments: &[&str], path: &Path) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .arg("lint")
        .args(arguments)
        .arg(path)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap())
}

fn json(arguments: &[&str], path: &Path) -> (Option<i32>, Vec<Value>) {
    let (code, out) = lint(&[arguments, &["--format", "json"]].concat(), path);
    (
        code,
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}")),
    )
}

fn rules_of(remarks: &[Value]) -> Vec<&str> {
    remarks.iter().filter_map(|r| r["rule"].as_str()).collect()
}

#[test]
fn the_text_is_that_of_a_compiler() {
    let (dir, file) = folder(BAD);
    let (code, out) = lint(&[], dir.path());
    assert_eq!(code, Some(3), "{out}");
    let file = file.display();
    for (place, rule) in [
        ("3:12", "error[check-cannot-fail]"),
        ("4:3", "warning[sleep]"),
        ("5:3", "warning[unchecked-end]"),
        ("5:20", "note[short-text]"),
    ] {
        assert!(
            out.contains(&format!("{file}:{place}: {rule}: ")),
            "{place} {rule}\n{out}"
        );
    }
    assert_eq!(out.matches("\n  hint: ").count(), 4, "{out}");
    assert!(
        out.ends_with("\n2 files read, 2 scenarios: 1 error, 2 warnings, 1 note\n"),
        "{out}"
    );
}

#[test]
fn exit_codes_say_how_bad_it_is() {
    let (_dir, file) = folder("name: t\nsteps: [{expect: {text: OK}}]\n");
    assert_eq!(lint(&[], &file).0, Some(0), "a warning");
    assert_eq!(lint(&["--deny-warnings"], &file).0, Some(3));
    assert_eq!(lint(&["--deny-warnings", "--allow", "short-text"], &file).0, Some(0));
    let (_dir, file) = folder("name: t\nsteps: [{launch: {command: a, window: A b}}]\n");
    let (code, remarks) = json(&["--deny-warnings"], &file);
    assert_eq!(
        (code, rules_of(&remarks)),
        (Some(0), vec!["app-left-running"]),
        "a note"
    );
    let (_dir, file) = folder(BAD);
    let both = ["--allow", "check-cannot-fail,sleep", "--allow", "short-text"];
    let (code, remarks) = json(&both, &file);
    assert_eq!((code, rules_of(&remarks)), (Some(0), vec!["unchecked-end"]));
    for unknown in ["slep", "load"] {
        let (code, out) = lint(&["--allow", unknown], &file);
        assert_eq!((code, out.as_str()), (Some(3), ""), "{unknown}");
    }
}

#[test]
fn what_cannot_be_loaded_is_a_remark_in_every_form() {
    let (dir, file) = folder("name: t\nsteps:\n- clik: a\n---\nname: u\nsteps:\n- note: b\n---\nname: [\n");
    std::fs::write(dir.path().join("empty.yaml"), "# nothing\n").unwrap();
    let (code, remarks) = json(&[], dir.path());
    assert_eq!(code, Some(3), "{remarks:#?}");
    let told = |rule: &str, line: Option<u64>| {
        let is_it = |r: &&Value| r["rule"] == rule && r["line"].as_u64() == line;
        assert_eq!(remarks.iter().filter(is_it).count(), 1, "{rule} {line:?}: {remarks:#?}");
    };
    told("load", None);
    told("load", Some(3));
    // What else is in the file is looked at.
    told("no-check", Some(6));
    assert_eq!(rules_of(&remarks).iter().filter(|r| **r == "load").count(), 3);
    let (_, out) = lint(&[], &file);
    assert!(
        out.contains("bad.yaml:3:3: error[load]: unknown action 'clik'"),
        "{out}"
    );
    let (_, out) = lint(&["--format", "sarif"], &file);
    assert!(out.contains("\"ruleId\": \"load\""), "{out}");
    let (code, remarks) = json(&[], Path::new("/no/such.yaml"));
    assert_eq!((code, rules_of(&remarks)), (Some(3), vec!["load"]));
    assert_eq!(remarks[0]["message"], "no such file or folder");
}

#[test]
fn a_comment_allows_a_rule_for_one_step() {
    for (text, left) in [
        ("- shell: sleep 5 # lint: allow sleep, the clock is tested", false),
        ("# lint: allow heredoc, sleep\n- shell: sleep 5", false),
        ("- label: wait # lint: allow sleep\n  shell: |\n    sleep 5", false),
        ("- shell: sleep 5\n# lint: allow sleep", true),
        ("- shell: sleep 5 # lint: allow slep", true),
        ("# lint: allow sleep\n- note: x\n- shell: sleep 5", true),
    ] {
        let (_dir, file) = folder(&format!("name: t\nsteps:\n- expect: {{text: Ready}}\n{text}\n"));
        let (_, remarks) = json(&[], &file);
        assert_eq!(rules_of(&remarks).contains(&"sleep"), left, "{text}");
    }
}

/// The members that the standard requires, and those that code hosts need to show a result.
#[test]
fn sarif_has_what_its_readers_need() {
    let (dir, file) = folder(BAD);
    let (code, out) = lint(&["--format", "sarif"], dir.path());
    assert_eq!(code, Some(3));
    let log: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().contains("sarif"));
    let run = &log["runs"][0];
    assert!(run["tool"]["driver"]["name"].is_string());
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for rule in rules {
        assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string());
        assert!(!rule["help"]["text"].as_str().unwrap().is_empty(), "{rule}");
        assert!(["note", "warning", "error"].contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
    }
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 4, "{out}");
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], format!("file://{}", file.display()));
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 3, "{place}");
        assert!(place["region"]["startColumn"].as_u64().unwrap() >= 1, "{place}");
    }
}

#[test]
fn what_is_shipped_has_no_warnings() {
    // The files of the old dialect are for `mosdat import`; what it makes of them is linted beside it.
    let folders = std::fs::read_dir("examples").unwrap().map(|e| e.unwrap().path());
    for folder in folders.filter(|f| f.is_dir() && !f.ends_with("import")) {
        let (code, out) = lint(&["--deny-warnings"], &folder);
        assert_eq!(code, Some(0), "{out}");
    }
}

const OLD: &str = "name: old\nvars: {a: b}\nsteps:\n- localize: the Save button\n  then_type: '{{ a }}'\n- verify: c\n";

/// Whoever looks through a folder is told of a file of the predecessor, and whoever names it that it is none of this language.
#[test]
fn files_of_the_predecessor_are_told_in_one_line() {
    let (dir, file) = folder(OLD);
    let (code, remarks) = json(&[], dir.path());
    assert_eq!((code, rules_of(&remarks)), (Some(0), vec!["old-dialect"]));
    assert_eq!(remarks[0]["line"], 2);
    // A kind that nobody knows is no reason to pass over the file.
    std::fs::write(&file, OLD.replace("vars: {a: b}", "kind: functional")).unwrap();
    let (code, remarks) = json(&[], &file);
    assert_eq!((code, rules_of(&remarks)), (Some(3), vec!["load"]));
    std::fs::write(&file, "name: x\nkind: Scenario\nsteps: [{note: x}]\n").unwrap();
    let (code, remarks) = json(&[], &file);
    assert_eq!((code, rules_of(&remarks)), (Some(3), vec!["load"]), "{remarks:?}");
    std::fs::write(&file, OLD).unwrap();
    let (code, remarks) = json(&[], &file);
    assert_eq!((code, rules_of(&remarks)), (Some(3), vec!["load"]));
    let message = remarks[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("this file is of the predecessor's dialect ('vars' is a word there)")
            && message.contains("mosdat import "),
        "{message}"
    );
    let validate = |path: &Path| {
        let out = Command::new(env!("CARGO_BIN_EXE_mosdat"))
            .arg("validate")
            .arg(path)
            .output()
            .unwrap();
        (
            out.status.code(),
            String::from_utf8(out.stderr).unwrap(),
            String::from_utf8(out.stdout).unwrap(),
        )
    };
    let (code, stderr, stdout) = validate(dir.path());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("bad.yaml: left aside: this file is of the predecessor's dialect"),
        "{stderr}"
    );
    assert!(
        stdout.contains("1 file of the predecessor left aside, 1 file read, 1 document ok"),
        "{stdout}"
    );
    let (code, stderr, _) = validate(&file);
    assert_eq!((code, stderr.lines().count()), (Some(3), 2), "{stderr}");
}

/// What is shipped has nothing that would not run, and the old files among it change no exit code.
#[test]
fn the_examples_are_good() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let (code, out) = lint(&[], &examples);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains(": 0 errors, ") && out.contains("note[old-dialect]"),
        "{out}"
    );
    let out = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .arg("validate")
        .arg(&examples)
        .output()
        .unwrap();
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    assert!(stderr.lines().all(|line| line.contains(": left aside: ")), "{stderr}");
}
