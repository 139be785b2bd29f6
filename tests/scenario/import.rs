//! `mosdat import`: every construct of the old dialect, what becomes of it, and that the result is a good scenario.

use mosdat::scenario::{Fate, ImportArea, ImportRemark, Place, Scenario, Severity, allows, constructs, import};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "examples/import";

/// The old files, relative to the repository; what they name (`shared`) is read by way of them.
fn old_files() -> Vec<PathBuf> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            let name = path.file_name().expect("name").to_string_lossy().to_string();
            if path.is_dir() {
                if name != "shared" {
                    walk(&path, out);
                }
            } else if name.ends_with(".yaml") && !name.ends_with(".imported.yaml") {
                out.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(Path::new(FOLDER), &mut files);
    files.sort();
    assert!(files.len() >= 6, "{files:?}");
    files
}

fn imported(path: &Path) -> (String, Vec<ImportRemark>) {
    let text = std::fs::read_to_string(path).expect("file");
    let done = import(&path.display().to_string(), &text).unwrap_or_else(|e| panic!("{e}"));
    (done.text, done.remarks)
}

/// Loads it, and gives what lint has against it.
fn serious(origin: &str, text: &str) -> Vec<String> {
    let scenario = Scenario::from_str(origin, text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let remarks = scenario.lint();
    let bad = remarks
        .iter()
        .filter(|r| r.severity > Severity::Note && !allows(text, r));
    bad.map(ToString::to_string).collect()
}

#[test]
fn every_example_becomes_what_stands_beside_it() {
    let update = std::env::var_os("UPDATE").is_some();
    for path in old_files() {
        let (text, remarks) = imported(&path);
        let told: String = remarks.iter().map(|r| format!("{r}\n")).collect();
        assert_eq!(
            serious("imported", &text),
            Vec::<String>::new(),
            "{}\n{text}",
            path.display()
        );
        for (extension, made) in [("imported.yaml", text), ("remarks.txt", told)] {
            let beside = path.with_extension(extension);
            if update {
                std::fs::write(&beside, made).expect("write");
                continue;
            }
            let expected = std::fs::read_to_string(&beside).unwrap_or_default();
            assert_eq!(
                made,
                expected,
                "{} is out of date: UPDATE=1 cargo test --test scenario import",
                beside.display()
            );
        }
    }
}

/// Every key of the old dialect's schema: the outermost object, steps, routines.
#[test]
fn every_construct_stands_in_an_example() {
    const TOP: &str = "name description kind app vars steps cleanup imports phases checkpoints report_config_snapshots \
                       bug_signal precondition_check issue expected_env";
    const STEP: &str = "verify verify_not verify_input verify_click verify_timeout verify_consistent retries wait focus \
                        on_failure_agent checkpoint verify_click_diff verify_click_diff_prompt verify_click_diff_crop \
                        canary canary_verify canary_char must_pass accept_any label motion dwell_ms shell launch \
                        launch_window launch_timeout if_visible then popup_sweep atspi verify_atspi wait_for localize \
                        click hover then_type type then_key key then_key_pre key_pre precheck_click \
                        localize_consistent import routine";
    const ROUTINE: &str = "name description tags schema_version inputs preconditions postconditions steps fallbacks \
                           on_failure";
    let mut met = BTreeSet::new();
    for path in old_files() {
        met.extend(imported(&path).1.iter().map(|r| (r.construct.area, r.construct.old)));
    }
    for (area, keys) in [
        (ImportArea::Top, TOP),
        (ImportArea::Step, STEP),
        (ImportArea::Routine, ROUTINE),
    ] {
        for key in keys.split_whitespace() {
            let row = constructs()
                .iter()
                .find(|c| c.area == area && c.old.split(", ").any(|k| k == key));
            assert!(row.is_some(), "the table has no row for '{key}' of {area:?}");
        }
    }
    // What does not load is a case that only damaged files have.
    let wanted = constructs().iter().filter(|c| c.old != "what does not load");
    let missing: Vec<_> = wanted
        .filter(|c| !met.contains(&(c.area, c.old)))
        .map(|c| (c.area, c.old))
        .collect();
    assert!(missing.is_empty(), "no example has {missing:?}");
}

/// `what`'s remarks in a text, as `line:column fate`.
fn told(text: &str, what: &str) -> Vec<String> {
    let remarks = import("old.yaml", text).unwrap_or_else(|e| panic!("{e}")).remarks;
    let of = remarks.iter().filter(|r| r.construct.old == what);
    of.map(|r| match r.place {
        Place::Line(line, column) => format!("{line}:{column} {}", r.fate),
        ref place => format!("{place:?} {}", r.fate),
    })
    .collect()
}

#[test]
fn a_remark_stands_where_its_key_stands() {
    let text = "name: t\nsteps:\n  - verify: it is there\n    verify_timeout: 7\n    colour: red\n  - atspi:\n      role: button\n";
    assert_eq!(told(text, "verify_timeout"), ["4:5 changed"]);
    assert_eq!(told(text, "any other key"), ["5:5 by hand"]);
    assert_eq!(told(text, "atspi"), ["6:5 changed"]);
    let action = "name: t\nsteps:\n  - atspi: {role: link, via: action}\n";
    assert_eq!(told(action, "atspi"), ["3:5 by hand"]);
    let remark = &import("old.yaml", text).unwrap().remarks[0].to_string();
    assert_eq!(
        remark,
        "old.yaml:1:1: kept: `name`: `name`; without one, the file's name"
    );
}

/// The steps of a text, as the new language has them.
fn steps(old: &str) -> String {
    let done = import("old.yaml", &format!("name: t\n{old}")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(serious("new", &done.text), Vec::<String>::new(), "{}", done.text);
    let (_, steps) = done.text.split_once("steps:\n").expect("steps");
    steps.to_string()
}

#[test]
fn steps_say_in_the_new_language_what_they_said() {
    for (old, new) in [
        (
            "steps:\n- verify: a\n  verify_timeout: 4\n  retries: 2\n",
            "  - expect: a\n    timeout: 8s\n",
        ),
        (
            "steps:\n- verify: a\n  verify_not: b\n",
            "  - expect: {all: [{see: a}, {not: {see: b}}]}\n",
        ),
        (
            "steps:\n- accept_any: [a, b]\n",
            "  - expect: {any: [{see: a}, {see: b}]}\n",
        ),
        (
            "steps:\n- localize: the 'A' button\n  verify: b\n  retries: 2\n",
            "  - click: the 'A' button\n    verify: b\n    attempts: 2\n    timeout: 60s\n",
        ),
        (
            "steps:\n- wait: 40\n- localize: the 'A' button\n  verify: b\n",
            "  - click: the 'A' button\n    verify: b\n    timeout: 70s\n",
        ),
        (
            "steps:\n- localize: a\n  type: b\n  key: enter\n  verify: c\n",
            "  - type: {text: b, into: a, then: enter}\n    verify: c\n",
        ),
        (
            "steps:\n- if_visible: a dialog\n  then: [{key: escape}]\n- verify: c\n",
            "  - if:\n      see: a dialog is shown\n      then:\n        - key: escape\n  - expect: c\n",
        ),
        (
            "steps:\n- launch: a | b\n  verify: c\n",
            "  - launch: {command: [sh, \"-c\", a | b]}\n    verify: c\n",
        ),
        (
            "steps:\n- launch: A=1 b\n  verify: c\n",
            "  - launch: env A=1 b\n    verify: c\n",
        ),
        (
            "steps:\n- localize: a\n  type: b\n  dwell_ms: 250\n  verify: c\n",
            "  - click: a\n    dwell: 250ms\n  - type: b\n    verify: c\n",
        ),
        (
            "steps:\n- hover: yes\n  localize: a\n- verify: c\n",
            "  - hover: a\n  - expect: c\n",
        ),
        (
            "vars: {v: 1}\nsteps:\n- verify: x {{ v }} {v} {w}\n",
            "  - expect: x {{ v }} {{ v }} {w}\n",
        ),
        (
            "base: &b {verify: c}\nsteps:\n- {<<: *b, key: tab}\n",
            "  - key: tab\n    verify: c\n",
        ),
    ] {
        assert_eq!(steps(old), new, "{old}");
    }
}

#[test]
fn what_is_no_old_scenario_is_refused_with_its_place() {
    for (text, error) in [
        ("", "old.yaml: the file is empty"),
        ("a: [", "old.yaml:1:"),
        ("just words\n", "old.yaml:1:1: a scenario must be an object, not text"),
        ("name: t\n", "old.yaml:1:1: a scenario of the old dialect has 'steps'"),
        ("name: t\nsteps: 5\n", "old.yaml:2:1: 'steps' must be a list"),
        ("name: t\nname: u\nsteps: []\n", "old.yaml:2:1: duplicate key 'name'"),
        ("apiVersion: v1\nkind: Secret\n", "old.yaml:1:1: this is a manifest"),
        ("name: t\nsetup_steps: []\n", "old.yaml:2:1: this is a fixture"),
        ("title: t\nsymptoms: []\n", "old.yaml:2:1: this is a recipe"),
        ("steps: []\n---\nsteps: []\n", "old.yaml:3:1: more than one document"),
        ("steps:\n- !other x\n", "old.yaml:2:10: the tag !other"),
    ] {
        let found = import("old.yaml", text)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(found.starts_with(error), "{text}: {found}");
    }
}

#[test]
fn a_file_of_a_routine_becomes_one_that_others_import() {
    for file in [
        "routines/choose-theme.yaml",
        "routines/close-preferences.yaml",
        "scenarios/imports/open-the-demo.yaml",
    ] {
        let (text, _) = imported(&Path::new(FOLDER).join("shared").join(file));
        assert!(
            text.contains("\nroutines:\n") || text.starts_with("routines:\n"),
            "{text}"
        );
        Scenario::check_routines("new.yaml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    }
}

/// Many that are left out one after the other, and comments by the hundred.
#[test]
fn long_files_are_told_and_carried() {
    let old = format!(
        "{}name: t\nsteps:\n- verify: a\n{}{}- verify: b\n",
        "# head\n".repeat(200),
        "- atspi: {role: link, via: action}\n".repeat(300),
        "# - shell: not now\n".repeat(300),
    );
    let done = import("old.yaml", &old).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(serious("new", &done.text), Vec::<String>::new());
    assert_eq!(done.remarks.iter().filter(|r| r.fate == Fate::ByHand).count(), 300);
    let old = format!("name: t\nsteps:\n{}", "- verify: a\n".repeat(501));
    let error = import("old.yaml", &old)
        .err()
        .map(|e| e.to_string())
        .unwrap_or_default();
    assert_eq!(
        error,
        "old.yaml: `steps` would have 501 steps; at most 500 are allowed: part the file"
    );
}

/// A phase begins at the step that its number counted.
#[test]
fn phases_become_phases() {
    let old = "phases: [{id: Part_1, name: a, from_step: 1}, {id: two, name: b, from_step: 3}, {id: six, name: c, from_step: 6}]\n\
               steps:\n- shell: touch a\n- verify: a\n- wait: 2\n- verify: b\n- import: x\n- verify: c\n";
    let done = import("old.yaml", &format!("name: t\n{old}")).unwrap_or_else(|e| panic!("{e}"));
    assert!(
        done.text
            .contains("  - id: part-1-begins\n    expect: a\n  - id: two-begins\n    expect: b\n"),
        "{}",
        done.text
    );
    assert_eq!(done.text.matches("id: ").count(), 2, "{}", done.text);
    let phases =
        "phases:\n  part-1: {from: part-1-begins, description: a}\n  two: {from: two-begins, description: b}\n";
    assert!(done.text.contains(phases), "{}", done.text);
    let last = done
        .remarks
        .iter()
        .find(|r| r.construct.old == "phases" && r.fate == Fate::ByHand);
    assert!(
        last.is_some_and(|r| r.message.contains("counted the steps of routines")),
        "{:#?}",
        done.remarks
    );
}

/// What `vars` made of others, the scenario makes itself; what only a run knows stands where it is used.
#[test]
fn values_made_of_others_become_variables() {
    let old = "name: t\nvars:\n  host: example.org\n  page: 'https://{{ host }}/{{ path }}'\n  path: 'a/{workspace_url}'\n  \
               stamp: 'x-{timestamp}'\n  login: 'bob:{test_password}'\n  round: '{{ trip }}'\n  trip: '{{ round }}'\n  \
               unused: '{{ host }}'\nsteps:\n- verify: '{{ page }} is shown'\n- type: '{{ login }}'\n- type: '{{ stamp }}'\n\
               - verify: '{{ login }} is shown'\n- type: '{{ round }}'\n- shell: curl {{ page }}\n\
               - verify: done\n";
    let done = import("old.yaml", old).unwrap_or_else(|e| panic!("{e}"));
    let scenario = Scenario::from_str("new.yaml", &done.text).unwrap_or_else(|e| panic!("{e}\n{}", done.text));
    assert!(
        !scenario.inputs.contains_key("page") && scenario.inputs.contains_key("host"),
        "{}",
        done.text
    );
    for line in [
        "  page: \"https://{{ host }}/{{ path }}\"\n",
        "  path: a/{{ workspace_url }}\n",
        "  login: bob:{{ test_password }}\n",
        "  - expect: \"{{ page }} is shown\"\n",
        "x-{{ timestamp }}",
        "\"${page}\"",
    ] {
        let plain = |text: &str| text.replace('"', "");
        assert!(plain(&done.text).contains(&plain(line)), "{line}: {}", done.text);
    }
    assert!(
        !done.text.contains("round") || done.text.contains("TODO(import)"),
        "{}",
        done.text
    );
    assert!(!done.text.contains("unused:"), "{}", done.text);
    let by_hand: Vec<String> = done
        .remarks
        .iter()
        .filter(|r| r.fate == Fate::ByHand)
        .map(ToString::to_string)
        .collect();
    assert_eq!(by_hand.len(), 2, "{by_hand:#?}");
    assert!(by_hand[0].contains("'login' is secret"), "{by_hand:#?}");
    assert!(by_hand[1].contains("whose values name each other"), "{by_hand:#?}");
}

/// A test went back to a checkpoint, and on behind it.
#[test]
fn checkpoints_are_gone_back_to() {
    let old = |policy: &str| {
        format!(
            "name: t\ncheckpoints: {{enabled: true{policy}}}\nsteps:\n- verify: a\n- checkpoint: ready\n- if_visible: b\n  \
             then:\n  - checkpoint: inner\n  - key: escape\n- verify: c\n"
        )
    };
    let text = |policy: &str| import("old.yaml", &old(policy)).unwrap_or_else(|e| panic!("{e}")).text;
    let new = text("");
    assert!(new.contains("- snapshot: {name: ready, attempts: 2}\n"), "{new}");
    assert!(new.contains("- snapshot: inner\n"), "{new}");
    let new = text(", rewind_on_failure: false");
    assert!(new.contains("- snapshot: ready\n"), "{new}");
}

/// A step of the old dialect, given to the loader.
#[test]
fn the_loader_names_the_importer() {
    for step in ["localize: the 'Save' button", "if_visible: a dialog", "routine: log-in"] {
        let error = Scenario::from_str("t.yaml", &format!("name: t\nsteps:\n- {step}\n"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("'mosdat import' turns"), "{error}");
    }
}

/// Windows' commands are nothing for `sh`; a folder of another name is none of Windows.
#[test]
fn the_folder_tells_the_system() {
    let old = "name: t\nsteps:\n- shell: Get-Process\n- verify: a\n";
    for (folder, by_hand) in [("windows10", 1), ("Windows", 1), ("windows-and-menus", 0), ("linux", 0)] {
        let done = import(&format!("tests/{folder}/old.yaml"), old).unwrap_or_else(|e| panic!("{e}"));
        let found = done.remarks.iter().filter(|r| r.fate == Fate::ByHand).count();
        assert_eq!(found, by_hand, "{folder}");
    }
}

/// Values of secrets are not taken over, wherever the old file has them.
#[test]
fn no_secret_is_written_into_the_new_file() {
    let old = "vars: {admin_password: hunter2, x: '{{ admin_password }}'}\nsteps:\n- type: '{{ admin_password }} {{ api_token }}'\n\
               - shell: echo '{{ x }}' > f\n- verify: '{{ admin_password }} is shown'\n- verify: b\n\
               - routine: {name: log-in, with: {password: hunter3}}\n";
    let dir = tempfile::tempdir().expect("folder");
    let routines = dir.path().join("shared/routines");
    std::fs::create_dir_all(&routines).expect("folder");
    let routine = "name: log-in\ninputs: {password: {name: password, type: string, default: hunter4}}\n\
                   steps:\n- type: '{{ password }}'\n  verify: c\n";
    std::fs::write(routines.join("log-in.yaml"), routine).expect("write");
    let origin = dir.path().join("old.yaml").display().to_string();
    let done = import(&origin, old).unwrap_or_else(|e| panic!("{e}"));
    let told: String = done.remarks.iter().map(|r| format!("{r}\n")).collect();
    assert!(
        !done.text.contains("hunter") && !told.contains("hunter"),
        "{}{told}",
        done.text
    );
    let scenario = Scenario::from_str("new", &done.text).expect("loads");
    let secret: Vec<&str> = scenario.secret_inputs().collect();
    assert_eq!(secret, ["admin_password", "api_token", "password"], "{}", done.text);
    assert!(told.contains("'admin_password' is secret"), "{told}");
}

fn run(arguments: &[&str], path: &Path) -> (Option<i32>, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .arg("import")
        .args(arguments)
        .arg(path)
        .output()
        .expect("mosdat");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[test]
fn the_command_prints_the_text_and_tells_the_rest() {
    let dir = tempfile::tempdir().expect("folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("write");
        path
    };
    let good = file("good.yaml", "name: t\nsteps:\n- verify: it is there\n");
    let (code, out, err) = run(&[], &good);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "name: t\nsteps:\n  - expect: it is there\n"),
        "{err}"
    );
    assert!(err.contains("good.yaml:3:3: kept: `verify`: "), "{err}");
    assert!(err.ends_with("\n3 kept, 0 changed, 0 dropped, 0 by hand\n"), "{err}");
    let (_, _, err) = run(&["--quiet"], &good);
    assert_eq!(err, "3 kept, 0 changed, 0 dropped, 0 by hand\n");
    // A model understood every word of the old runner, also what looks like a label.
    let label = file(
        "label.yaml",
        "name: t\nsteps:\n- localize: Save\n- verify: it is there\n",
    );
    let (code, out, err) = run(&[], &label);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("# lint: allow unquoted-label") && out.contains("click: Save"),
        "{out}"
    );
    let left = file(
        "left.yaml",
        "name: t\nsteps:\n- verify: it is there\n- atspi: {role: link, via: action}\n",
    );
    let (code, out, err) = run(&["--format", "json", "--quiet"], &left);
    assert_eq!(code, Some(3));
    assert!(
        out.contains("# TODO(import): atspi (line 4): ") && out.contains(" ({\"role\":\"link\",\"via\":\"action\"})\n"),
        "{out}"
    );
    let remarks: serde_json::Value = serde_json::from_str(&err).expect("JSON");
    assert_eq!(remarks[0]["fate"], "by hand");
    assert_eq!((&remarks[0]["line"], &remarks[0]["column"]), (&4.into(), &3.into()));
    let (code, out, err) = run(&[], &file("wrong.yaml", "name: t\n"));
    assert_eq!((code, out.as_str()), (Some(3), ""), "{err}");
    let (code, out, err) = run(&["--format", "json"], &file("wrong.yaml", "name: t\nsteps: 5\n"));
    let errors: serde_json::Value = serde_json::from_str(&err).expect("JSON");
    assert_eq!(
        (code, out.as_str(), &errors[0]["fate"], &errors[0]["line"]),
        (Some(3), "", &"error".into(), &2.into())
    );
    let (code, _, err) = run(&[], &dir.path().join("none.yaml"));
    assert_eq!(code, Some(3), "{err}");
}

const WORDS: &[&str] = &[
    "{{ user }}",
    "{user}",
    "{{",
    "}}",
    "{%",
    "{#",
    "{timestamp}",
    "{test_password}",
    "{{ a | b }}",
    "shell",
    "localize",
    "then",
    "routine: choose-theme",
    "import: x",
    "wait: 99",
    "retries: -1",
    "verify_not",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\n    - ",
    "'",
    "\"",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!import ",
    "!!str ",
    "|\n",
    ">\n",
    "# ",
    "\t",
    "ä",
    "日",
    "\u{0}",
    "\u{85}",
    "ctrl+",
    "\\",
    "<<EOF\n",
    "EOF",
    "$(",
    "`",
    "null",
    "~",
    "-1",
    "1e999",
    "<<: ",
    "---\n",
    "\u{2028}",
];

#[test]
fn damaged_files_are_refused_or_become_good_scenarios() {
    let files: Vec<(PathBuf, Vec<char>)> = old_files()
        .into_iter()
        .map(|p| (p.clone(), std::fs::read_to_string(&p).expect("file").chars().collect()))
        .collect();
    let (mut good, mut faults) = (0, Vec::new());
    let seeds = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(1000);
    for seed in 0..seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let (path, text) = &files[rng.random_range(0..files.len())];
        let mut text = text.clone();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..text.len());
            match rng.random_range(0..3) {
                0 => drop(text.drain(at..(at + rng.random_range(1..12)).min(text.len()))),
                1 => drop(text.splice(at..at, WORDS[rng.random_range(0..WORDS.len())].chars())),
                _ => {
                    let from = rng.random_range(0..text.len());
                    let piece: Vec<char> = text[from..(from + 40).min(text.len())].to_vec();
                    text.splice(at..at, piece);
                }
            }
        }
        let text: String = text.into_iter().collect();
        match import(&path.display().to_string(), &text) {
            Ok(done) => {
                good += 1;
                match Scenario::from_str("new", &done.text) {
                    Ok(_) => assert_eq!(
                        serious("new", &done.text),
                        Vec::<String>::new(),
                        "seed {seed}\n{}",
                        done.text
                    ),
                    Err(_) => Scenario::check_routines("new", &done.text)
                        .unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", done.text)),
                }
            }
            Err(errors) => {
                assert!(!errors.0.is_empty(), "seed {seed}");
                if errors.to_string().contains("importer") {
                    faults.push(format!("seed {seed}: {errors}"));
                }
            }
        }
    }
    assert!(good > 100, "{good}");
    // It would have said why not; but nothing here is beyond the language.
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Nothing is told as kept that is not there.
#[test]
fn nothing_by_hand_is_quiet() {
    let text = "name: t\nsteps:\n- verify: a\n- shell: |\n    cat <<'E'\n    {{ x }}\n    E\n- then_type: '{% if a %}'\nvars: {a: 1}\n";
    let done = import("old.yaml", text).unwrap();
    let by_hand = done.remarks.iter().filter(|r| r.fate == Fate::ByHand).count();
    assert_eq!(
        done.text.matches("TODO(import)").count(),
        by_hand,
        "{}\n{:#?}",
        done.text,
        done.remarks
    );
    assert_eq!(by_hand, 2);
}
