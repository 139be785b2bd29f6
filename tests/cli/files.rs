//! Files and folders that are named: those that are not there have one exit code, and pictures show what is said of them.

use super::Place;

#[test]
fn what_is_not_there_is_wrong_input_for_every_command() {
    let place = Place::empty();
    let commands: &[&[&str]] = &[
        &["validate", "no.yaml"],
        &["lint", "no.yaml"],
        &["run", "no.yaml"],
        &["bundle", "no.yaml"],
        &["import", "no.yaml"],
        &["functional", "no.toml", "--vms", "a"],
        &["convert", "no.toml"],
        &["list-vms", "no.toml"],
        &["preflight", "no.toml"],
        &["report", "no"],
        &["trace", "show", "no"],
        &["trace", "open", "no"],
        &["trace", "allure", "no", "--out", "out"],
        &["replay", "no"],
        &["visual", "--check", "a", "no.png"],
        &["visual", "--capture", "a", "--from", "no.png", "--area", "1,1,9,9"],
    ];
    for command in commands {
        let ran = place.mosdat(command);
        assert_eq!(ran.code, Some(3), "{command:?}: {}", ran.all());
        assert!(!ran.all().contains("os error"), "{command:?}: {}", ran.all());
    }
    assert!(!place.is_touched());
}

#[test]
fn yaml_is_no_file_of_the_predecessor() {
    let place = Place::empty();
    place.file("x.yaml", "name: t\nsteps: [{key: tab}]\n");
    for command in [
        &["convert", "x.yaml"][..],
        &["list-vms", "x.yaml"],
        &["preflight", "x.yaml"],
    ] {
        let ran = place.mosdat(command);
        assert_eq!(ran.code, Some(3), "{command:?}: {}", ran.all());
        assert!(
            ran.err.starts_with("x.yaml: this is YAML") && ran.err.lines().count() == 1,
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_login_without_its_password_has_one_exit_code() {
    let place = Place::empty();
    place.file(
        "x.toml",
        "[app]\nname = \"a\"\nversion = \"1\"\nbinary = \"/a\"\n[proxmox]\nhost = \"127.0.0.1\"\nport = 9\nuser = \"root@pam\"\ninsecure = true\n[[vm]]\nname = \"a\"\nvmid = 100\n",
    );
    let ran = place
        .command(&["preflight", "x.toml"])
        .env_remove("PROXMOX_PASSWORD")
        .output();
    let ran = ran.expect("mosdat");
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        told.contains("PROXMOX_PASSWORD"),
        "{told}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert_eq!(ran.status.code(), Some(3), "{told}");
}

#[test]
fn a_report_is_made_anew_from_the_page_too() {
    let place = Place::empty();
    place.file("run/report.html", "");
    // What is named is taken for its folder, which has no log here.
    let ran = place.mosdat(&["report", "run/report.html"]);
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(ran.err.contains("run: no events.jsonl in this folder"), "{}", ran.err);
}

#[test]
fn a_screen_is_named_by_its_address_or_by_its_vm() {
    let place = Place::empty();
    let ran = place.mosdat(&["vnc", "shot", "-o", "x.png"]);
    assert!(ran.err.contains("--to <ADDRESS>"), "{}", ran.err);
    let ran = place.mosdat(&["vnc", "shot", "--to", "127.0.0.1:9", "--vm", "a", "-o", "x.png"]);
    assert!(
        ran.code == Some(3) && ran.err.contains("give one of them"),
        "{}",
        ran.all()
    );
}

#[test]
fn a_folder_to_import_is_told_how() {
    let place = Place::empty();
    place.file("old/a.yaml", "name: a\n");
    let ran = place.mosdat(&["import", "old/"]);
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(
        ran.err
            .contains("for f in old/*.yaml; do mosdat import \"$f\" > \"NEW/${f##*/}\"; done"),
        "{}",
        ran.err
    );
}

const SCREEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/screens/form-and-terminal.png"
);

#[test]
fn a_reference_has_only_texts_that_its_picture_shows() {
    let place = Place::empty();
    let capture = |name: &str, text: &str| {
        let text = format!("381,315,66,33={text}");
        place.mosdat(&[
            "visual",
            "--capture",
            name,
            "--from",
            SCREEN,
            "--area",
            "381,315,66,33",
            "--text",
            &text,
        ])
    };
    let ran = capture("wrong", "Open");
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(
        ran.err.contains("'Open'") && ran.err.contains("there is 'Save'"),
        "{}",
        ran.err
    );
    assert!(!place.path().join("wrong.png").exists() && !place.path().join("wrong.yaml").exists());
    let ran = capture("save", "Save");
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(place.mosdat(&["visual", "--check", "save", SCREEN]).code, Some(0));
}

#[test]
fn a_picture_without_a_sidecar_is_no_reference_to_propose() {
    let place = Place::empty();
    std::fs::copy(SCREEN, place.path().join("shot.png")).expect("copied");
    let ran = place.mosdat(&["visual", "--check", "shat", SCREEN]);
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(
        !ran.err.contains("'shot'") && ran.err.contains("no references are there"),
        "{}",
        ran.err
    );
    place.file("save.yaml", "areas: [{match: [381, 315, 66, 33]}]\n");
    std::fs::copy(SCREEN, place.path().join("save.png")).expect("copied");
    let ran = place.mosdat(&["visual", "--check", "sav", SCREEN]);
    assert!(
        ran.err.contains("did you mean 'save'? references there: save"),
        "{}",
        ran.err
    );
}
