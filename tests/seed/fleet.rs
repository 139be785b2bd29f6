//! What a file becomes.

use crate::{LEAST, good, with_env};
use mosdat::api::CoordinateConvention;
use mosdat::seed::{Machine, Options, Runs, fleet, runs};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn a_fleet_is_a_cluster_its_vms_and_a_model() {
    let config = good(&format!(
        "{LEAST}snapshot = 'clean'\n[[vm]]\nname = 'two'\nvmid = 101\n[vlm]\nbase_url = 'http://a/v1'\nmodel = 'holo2-4b'\nverify_model = 'qwen3-vl-8b'\napi_key = 'k3y'\n"
    ));
    let vms: Vec<_> = config.vms.iter().collect();
    let fleet = fleet(&config, &vms).expect("a fleet");
    assert_eq!(fleet.cluster.metadata.name.as_deref(), Some("demo-app-pve"));
    assert_eq!(fleet.cluster.spec.endpoints, ["https://pve.example:8006"]);
    let adopt = fleet.vms[0].spec.source.adopt.clone().expect("adopt");
    assert_eq!((adopt.vmid, adopt.snapshot.as_deref()), (100, Some("clean")));
    assert_eq!(fleet.vms[1].spec.source.adopt.as_ref().expect("adopt").snapshot, None);
    let openai = fleet.vision.expect("vision").spec.openai.expect("openai");
    assert_eq!(openai.coordinates, Some(CoordinateConvention::Normalised1000));
    assert_eq!(openai.api_key_secret_ref.expect("key").name, "demo-app-vlm");
    let told: Vec<String> = fleet.remarks.iter().map(ToString::to_string).collect();
    for word in [
        "certificate",
        "VM 'two' is taken as it is",
        "'holo2-4b' is of no family",
    ] {
        assert!(told.iter().any(|t| t.contains(word)), "{word}: {told:#?}");
    }
    assert_eq!(told.len(), 3);
    // Neither are they shown by accident.
    assert!(!format!("{:?}", fleet.needs).contains("k3y"));
}

#[test]
fn a_model_that_only_points_needs_a_judge() {
    for model in ["", "model = 'Hcompany/Holo1.5-7B'\n"] {
        let config = good(&format!("{LEAST}[vlm]\nbase_url = 'http://a/v1'\n{model}"));
        let error = fleet(&config, &[]).expect_err("no judge").to_string();
        assert!(error.contains("give `verify_model` in [vlm]"), "{error}");
    }
    // An answer has as many tokens as were asked for, and never less than it needs.
    for (floor, tokens) in [
        ("", 4096),
        ("max_tokens_floor = 64", 4096),
        ("max_tokens_floor = '16384'", 16384),
    ] {
        let model = "base_url = 'http://a/v1'\nmodel = 'qwen3-vl-8b'";
        let config = good(&format!("{LEAST}[vlm]\n{model}\n{floor}\n"));
        let vision = fleet(&config, &[]).expect("a fleet").vision.expect("vision");
        assert_eq!(vision.spec.openai.expect("openai").max_tokens, tokens, "{floor}");
    }
}

#[test]
fn a_token_has_the_names_of_a_token() {
    let keys = |user: &str| {
        let config = good(&LEAST.replace("host =", &format!("user = '{user}'\nhost =")));
        let fleet = fleet(&config, &[]).expect("a fleet");
        fleet.needs[0].keys.iter().map(|(k, _)| k.clone()).collect::<Vec<_>>()
    };
    assert_eq!(keys("root@pam"), ["username", "password"]);
    assert_eq!(keys("mosdat@pve!ci"), ["tokenId", "tokenSecret"]);
    let nowhere = good(&LEAST.replace("host = 'pve.example'\n", ""));
    let error = fleet(&nowhere, &[]).expect_err("no host").to_string();
    assert!(error.contains("set PROXMOX_HOST"), "{error}");
}

const SCENARIO: &str = "name: t\ninputs:\n  app_path: {type: string}\n  test_password: {type: string, secret: true}\n  \
    vm_password: {type: string, secret: true}\n  more: {type: string, default: x}\nsteps:\n  - note: hello\n";

/// A folder of tests, and the file beside it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(path, text).expect("file");
    }
    dir
}

fn made(dir: &Path, more: &str, names: &[&str], variables: &[(&str, &str)]) -> Result<Runs, String> {
    made_by(dir, more, names, variables, None, &[])
}

fn made_by(
    dir: &Path,
    more: &str,
    names: &[&str],
    variables: &[(&str, &str)],
    call: Option<&str>,
    kept: &[&str],
) -> Result<Runs, String> {
    let text = format!("{LEAST}{more}\n[functional]\ntests_dir = '{}'\n", dir.display());
    let config = with_env(&text, &[("FUNCTIONAL_TEST_PASSWORD", "s3cret")]).map_err(|e| e.to_string())?;
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let vms = config.choose(&names).map_err(|e| e.to_string())?;
    let options = Options {
        test: "t".into(),
        variables: BTreeMap::from_iter(variables.iter().map(|(k, v)| (k.to_string(), v.to_string()))),
        call: call.map(String::from),
        kept: kept.iter().map(ToString::to_string).collect(),
        ..Options::default()
    };
    runs(&config, &vms, &options, &|_| Machine::Own).map_err(|e| e.to_string())
}

const TWO: &str = "[[vm.package]]\nformat = 'deb'\napp_path = '/opt/{app_name}/{version}'\n\
    [[vm]]\nname = 'two'\nvmid = 101\npassword = 'own'";

#[test]
fn each_vm_has_a_run_with_its_values() {
    let dir = folder(&[("t.yaml", SCENARIO)]);
    let made = made(dir.path(), TWO, &[], &[]).expect("runs");
    assert_eq!(made.scenarios.len(), 1);
    let run = |at: usize| &made.runs[at].spec;
    assert_eq!(made.runs[0].metadata.name.as_deref(), Some("t-one"));
    assert_eq!(run(0).variables["app_path"], "/opt/Demo App/1.2");
    assert_eq!(run(1).variables["app_path"], "/opt/demo");
    assert!(!run(0).variables.contains_key("more"));
    let key = |at: usize, name: &str| {
        let found = run(at).secret_variables.iter().find(|s| s.name == name);
        found.expect(name).secret_key_ref.key.clone()
    };
    assert_eq!(key(0, "vm_password"), "vm_password");
    assert_eq!(key(1, "vm_password"), "vm_password.two");
    assert_eq!(made.needs.len(), 1);
    assert_eq!(made.needs[0].secret, "demo-app-inputs");
    let keys: Vec<String> = made.needs[0].keys.iter().map(|(k, _)| k.clone()).collect();
    assert_eq!(keys, ["test_password", "vm_password", "vm_password.two"]);
    let adopt = run(1).vm.template.as_ref().and_then(|t| t.source.adopt.clone());
    assert_eq!(adopt.expect("adopt").vmid, 101);
}

/// Two calls of the same test have nothing in common that one could change under the other.
#[test]
fn each_call_has_names_of_its_own() {
    let dir = folder(&[("t.yaml", SCENARIO)]);
    let given = [("test_password", "other")];
    let made = made_by(
        dir.path(),
        TWO,
        &[],
        &given,
        Some("0a1b2"),
        &["test_password", "vm_password"],
    )
    .expect("runs");
    assert!(made.scenarios.is_empty());
    let names: Vec<_> = made.runs.iter().filter_map(|r| r.metadata.name.clone()).collect();
    assert_eq!(names, ["t-one-0a1b2", "t-two-0a1b2"]);
    assert!(made.runs.iter().all(|r| r.spec.scenario.inline.is_some()));
    let secret = |at: usize, name: &str| {
        let all = &made.runs[at].spec.secret_variables;
        let found = all.iter().find(|s| s.name == name).expect(name);
        found.secret_key_ref.name.clone()
    };
    // What the person gives for this call is this call's, whatever somebody has put there for all.
    assert_eq!(secret(0, "test_password"), "t-one-0a1b2-inputs");
    assert_eq!(secret(0, "vm_password"), "demo-app-inputs");
    assert_eq!(secret(1, "vm_password"), "t-two-0a1b2-inputs");
    let needs: Vec<(String, usize)> = made.needs.iter().map(|n| (n.secret.clone(), n.keys.len())).collect();
    assert_eq!(
        needs,
        [
            ("t-one-0a1b2-inputs".to_string(), 1),
            ("t-two-0a1b2-inputs".to_string(), 2)
        ]
    );
}

#[test]
fn the_nearest_file_is_taken() {
    let file = |name: &str| format!("name: {name}\nsteps: [{{note: x}}]\n");
    let (all, linux, own) = (file("all"), file("linux"), file("own"));
    let dir = folder(&[("t.yaml", &all), ("linux/t.yml", &linux), ("two/t.yaml", &own)]);
    let made = made(dir.path(), TWO, &[], &[]).expect("runs");
    let titles: Vec<&str> = made.scenarios.iter().map(|s| s.spec.name.as_str()).collect();
    assert_eq!(titles, ["linux", "own"]);
    let refs: Vec<&str> = made
        .runs
        .iter()
        .filter_map(|r| Some(r.spec.scenario.reference.as_ref()?.name.as_str()))
        .collect();
    assert_eq!(refs, ["t-one", "t-two"]);
    let names: Vec<_> = made.runs.iter().filter_map(|r| r.metadata.name.clone()).collect();
    assert_eq!(names, ["t-one", "t-two"]);
}

#[test]
fn an_old_scenario_is_imported_and_one_of_ours_with_a_fault_is_not() {
    let old = "name: t\nsteps:\n  - localize: \"the 'Name' field\"\n    then_type: \"{test_user}\"\n";
    let dir = folder(&[("t.yaml", old)]);
    let imported = made(dir.path(), "", &[], &[("test_user", "ada")]).expect("runs");
    assert!(!imported.loaded[0].remarks.is_empty());
    assert!(imported.loaded[0].by_hand().is_empty());
    assert_eq!(imported.runs[0].spec.variables["test_user"], "ada");
    let dir = folder(&[("t.yaml", "name: t\nsteps:\n  - clik: Save\n")]);
    let error = made(dir.path(), "", &[], &[]).expect_err("a fault");
    assert!(error.contains("did you mean 'click'?"), "{error}");
}

#[test]
fn what_cannot_run_is_told_all_at_once() {
    let dir = folder(&[("t.yaml", SCENARIO)]);
    let windows = "[[vm]]\nname = 'win'\nvmid = 103\nos_type = 'windows'\n[[vm]]\nname = 'app'\nvmid = 104\n\
        [[vm.package]]\nformat = 'appimage'\napp_path = '/tmp/{file}'";
    let error = made(dir.path(), windows, &[], &[("mor", "y")]).expect_err("faults");
    for word in [
        "`app_path` of VM 'app' is '/tmp/{file}'",
        "--var mor: unknown input 'mor'; did you mean 'more'?",
    ] {
        assert!(error.contains(word), "{word}: {error}");
    }
    assert!(made(dir.path(), windows, &["app"], &[("app_path", "/tmp/a")]).is_ok());
    // Its agent tells what runs there, which is no matter of the file.
    let on_windows = made(dir.path(), windows, &["win"], &[]).expect("a run");
    assert_eq!(on_windows.runs.len(), 1);
    let error = made(dir.path(), windows, &["ap", "apple"], &[]).expect_err("names");
    assert_eq!(error.matches("unknown VM").count(), 2, "{error}");
    let plain = SCENARIO.replace(
        "test_password: {type: string, secret: true}",
        "test_password: {type: string}",
    );
    let dir = folder(&[("t.yaml", &plain)]);
    let error = made(dir.path(), "", &[], &[]).expect_err("a password");
    assert!(error.contains("declare it with `secret: true`"), "{error}");
}
