//! Wrong input is refused before anything is touched, with its place and what to do.

use crate::harness::*;

fn validate(name: &str, text: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().expect("temp dir");
    let file = dir.path().join(name);
    std::fs::write(&file, text).expect("write");
    let out = command(MOSDAT)
        .arg("validate")
        .arg(&file)
        .output()
        .expect("mosdat validate");
    (out.status.code(), crate::harness::text(&out))
}

#[test]
fn a_typo_in_a_step_is_named_with_its_place_and_the_nearest_name() {
    let (code, out) = validate("typo.yaml", "name: typo\nsteps:\n  - clik: \"'Save'\"\n");
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("typo.yaml:3:5"), "{out}");
    assert!(out.contains("clik") && out.contains("'click'"), "{out}");
}

#[test]
fn all_errors_of_a_file_are_told_at_once() {
    let (code, out) = validate("two.yaml", "name: two\nsteps:\n  - clik: a\n  - key: ctrl+nokey\n");
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("two.yaml:3") && out.contains("two.yaml:4"), "{out}");
}

#[test]
fn broken_yaml_and_missing_files_are_named() {
    let (code, out) = validate("broken.yaml", "name: [\n");
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("broken.yaml:"), "{out}");
    let out = command(MOSDAT)
        .args(["validate", "/nonexistent/x.yaml"])
        .output()
        .expect("run");
    assert_eq!(out.status.code(), Some(3));
    assert!(
        text(&out).contains("/nonexistent/x.yaml: no such file"),
        "{}",
        text(&out)
    );
    assert!(!text(&out).contains("os error"), "{}", text(&out));
}

#[test]
fn a_folder_is_checked_with_its_subfolders_and_the_count_is_told() {
    let dir = tempfile::tempdir().expect("temp dir");
    let validate = || {
        let out = command(MOSDAT).arg("validate").arg(dir.path()).output().expect("run");
        (out.status.code(), text(&out))
    };
    let (code, out) = validate();
    assert_eq!(code, Some(3), "nothing to check: {out}");
    for folder in ["a/b", ".hidden"] {
        std::fs::create_dir_all(dir.path().join(folder)).expect("mkdir");
    }
    let good = "name: good\nsteps:\n  - note: hello\n";
    std::fs::write(dir.path().join("one.yaml"), good).expect("write");
    std::fs::write(dir.path().join("a/b/two.yml"), good).expect("write");
    std::fs::write(dir.path().join(".hidden/bad.yaml"), "name: [").expect("write");
    let (code, out) = validate();
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("2 files read, 2 documents ok"), "{out}");
    std::fs::write(dir.path().join("a/b/two.yml"), good.replace("note", "double_click")).expect("write");
    let (code, out) = validate();
    assert_eq!(code, Some(3), "{out}");
    assert!(
        out.contains("two.yml:3") && out.contains("2 files read, 1 problem"),
        "{out}"
    );
    assert!(out.contains("count: 2"), "what to write instead: {out}");
}

#[test]
fn the_examples_are_valid() {
    let out = command(MOSDAT)
        .args(["validate", "examples/quickstart"])
        .output()
        .expect("run");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
}

#[test]
fn a_manifest_that_breaks_the_schema_is_refused_with_the_fields_path() {
    let dir = tempfile::tempdir().expect("temp dir");
    let up = Up::start(dir.path(), &["--no-lab"]);
    let good = std::fs::read_to_string(root().join("examples/quickstart/passing.yaml")).expect("example");
    let file = dir.path().join("bad.yaml");
    std::fs::write(&file, good.replace("spec:\n", "spec:\n  timeoutSecond: 5\n")).expect("write");
    let out = up.run(&[file.to_str().expect("path")]);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out));
    assert!(text(&out).contains("timeoutSecond"), "{}", text(&out));
    up.stop();
}

#[test]
fn a_missing_secret_is_told_before_anything_is_applied() {
    let dir = tempfile::tempdir().expect("temp dir");
    let up = Up::start(dir.path(), &["--no-lab"]);
    let good = std::fs::read_to_string(root().join("examples/quickstart/passing.yaml")).expect("example");
    let wants = "spec:\n  secretVariables: [{name: p, secretKeyRef: {name: login, key: password}}]\n";
    let file = dir.path().join("run.yaml");
    std::fs::write(&file, good.replace("spec:\n", wants)).expect("write");
    let scenario = std::fs::read_to_string(root().join("examples/quickstart/scenario.yaml")).expect("example");
    let taking = dir.path().join("scenario.yaml");
    let inputs = "  inputs:\n    p: {secret: true}\n";
    std::fs::write(&taking, scenario.replace("  inputs:\n", inputs)).expect("write");
    let files = [taking.to_str().expect("path"), file.to_str().expect("path")];
    let out = up.run(&files);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out));
    assert!(text(&out).contains("run.yaml:"), "{}", text(&out));
    assert!(
        text(&out).contains("create secret generic login --from-literal=password="),
        "{}",
        text(&out)
    );
    assert!(!text(&out).contains("applied"), "{}", text(&out));
    // The same of a key that a Secret in the files lacks, and of a scenario.
    let secret = dir.path().join("secret.yaml");
    let login = "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {user: a}\n";
    std::fs::write(&secret, login).expect("write");
    let out = up.run(&[secret.to_str().expect("path"), file.to_str().expect("path")]);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out));
    assert!(
        text(&out).contains("has no key password; it has user"),
        "{}",
        text(&out)
    );
    assert!(
        text(&out).contains("spec.scenario.ref: Scenario default/"),
        "{}",
        text(&out)
    );
    assert!(!text(&out).contains("applied"), "{}", text(&out));
    up.stop();
}

#[test]
fn a_video_that_cannot_be_made_is_told_before_there_is_a_vm() {
    let dir = tempfile::tempdir().expect("temp dir");
    let nowhere = dir.path().join("ffmpeg").display().to_string();
    let up = Up::start_in(dir.path(), &["--no-lab"], &[("MOSDAT_FFMPEG", &nowhere)]);
    let cluster = dir.path().join("cluster.yaml");
    let lab = "apiVersion: mosdat.dev/v1alpha1\nkind: ProxmoxCluster\nmetadata: {name: lab}\nspec:\n  \
               endpoints: ['https://127.0.0.1:9']\n  credentialsSecretRef: {name: a}\n  vmidRange: {start: 100, end: 200}\n";
    std::fs::write(&cluster, lab).expect("written");
    let files = ["examples/quickstart/scenario.yaml", "examples/quickstart/passing.yaml"];
    let out = up.run(&[cluster.to_str().expect("path"), files[0], files[1], "--video"]);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out));
    let told = text(&out);
    assert!(
        told.contains("spec.evidence.video: a video needs ffmpeg") && told.contains(&nowhere),
        "{told}"
    );
    assert!(told.contains("apt-get install ffmpeg"), "{told}");
    let tool = crate::support::binaries().join("kubectl");
    let vms = kubectl(&tool, &up.kubeconfig(), &["get", "pvm", "-o", "name"]);
    assert_eq!(text(&vms).trim(), "");
    up.stop();
}

#[test]
fn a_second_up_on_the_same_state_says_so() {
    let dir = tempfile::tempdir().expect("temp dir");
    let up = Up::start(dir.path(), &["--no-lab"]);
    let out = command(MOSDAT)
        .args(["up", "--no-lab", "--state"])
        .arg(dir.path())
        .output()
        .expect("run");
    assert_eq!(out.status.code(), Some(2), "{}", text(&out));
    assert_eq!(text(&out).trim().lines().count(), 1, "one clear line: {}", text(&out));
    up.stop();
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = taken.local_addr().expect("addr").port().to_string();
    let dir = tempfile::tempdir().expect("temp dir");
    for flag in ["--api-port", "--page-port"] {
        let out = command(MOSDAT)
            .args(["up", "--no-lab", flag, &port, "--state"])
            .arg(dir.path())
            .output()
            .expect("run");
        assert_eq!(out.status.code(), Some(2), "{}", text(&out));
        assert!(text(&out).contains(&port), "{}", text(&out));
    }
}
