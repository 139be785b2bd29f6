//! `validate` and `lint`: all that is wrong at once, in words that say what to do.

use super::Place;

const RUN: &str = "apiVersion: mosdat.dev/v1alpha1\nkind: FunctionalTestRun\nmetadata: {name: NOT_A_NAME}\nspec:\n  \
    vm: {ref: {name: a}}\n  timeoutSecs: 5\n  scenario:\n    inline:\n      name: t\n      steps:\n      - clik: x\n";

#[test]
fn errors_of_a_manifest_are_told_with_those_of_its_scenario() {
    let place = Place::empty();
    place.file("run.yaml", RUN);
    for command in ["validate", "lint", "run"] {
        let ran = place.mosdat(&[command, "run.yaml"]);
        assert_eq!(ran.code, Some(3), "{command}: {}", ran.all());
        for told in ["run.yaml:11:9", "did you mean 'click'?", "timeoutSecs"] {
            assert!(ran.all().contains(told), "{command}: {told}: {}", ran.all());
        }
    }
    place.file("run.yaml", &RUN.replace("  timeoutSecs: 5\n", ""));
    let ran = place.mosdat(&["validate", "run.yaml"]);
    assert!(
        ran.err.contains("'clik'") && ran.err.contains("metadata.name"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("2 problems"), "{}", ran.err);
    let scenario = "apiVersion: mosdat.dev/v1alpha1\nkind: Scenario\nspec: {name: t, steps: [{clik: x}]}\n";
    place.file("scenario.yaml", scenario);
    let ran = place.mosdat(&["validate", "scenario.yaml"]);
    assert!(
        ran.err.contains("'clik'") && ran.err.contains("metadata.name is missing"),
        "{}",
        ran.err
    );
}

#[test]
fn lint_fails_where_a_manifest_of_a_folder_does_not_load() {
    let place = Place::empty();
    place.file("good.yaml", "name: t\nsteps: [{expect: {text: Ready}}]\n");
    place.file(
        "vm.yaml",
        "apiVersion: mosdat.dev/v1alpha1\nkind: ProxmoxVM\nmetadata: {name: a}\nspec: {sauce: {}}\n",
    );
    let ran = place.mosdat(&["lint", "."]);
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(
        ran.out.contains("vm.yaml:1:1: error[load]: ") && ran.out.contains("sauce"),
        "{}",
        ran.out
    );
    std::fs::remove_file(place.path().join("vm.yaml")).expect("removed");
    assert_eq!(place.mosdat(&["lint", "."]).code, Some(0));
}

/// Whoever looks through a folder has not asked for what other tools have there.
#[test]
fn a_folder_may_hold_files_of_other_tools() {
    let place = Place::empty();
    place.file("tests/good.yaml", "name: t\nsteps: [{expect: {text: Ready}}]\n");
    place.file(
        "kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [list.yaml]\n",
    );
    place.file("list.yaml", "apiVersion: v1\nkind: List\nitems: []\n");
    place.file("compose.yml", "name: web\nservices: {a: {image: b}}\n");
    place.file("chart/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.0.0\n");
    place.file("chart/values.yaml", "replicaCount: 1\n");
    place.file("chart/templates/a.yaml", "{{- if .Values.on }}\nkind: [\n{{- end }}\n");
    let lint = place.mosdat(&["lint", "."]);
    assert_eq!(lint.code, Some(0), "{}", lint.all());
    for file in ["compose.yml", "chart/Chart.yaml"] {
        let told = format!("{file}: note[other-tool]: ");
        assert!(lint.out.contains(&told), "{told}: {}", lint.out);
    }
    assert!(
        lint.out.contains("3 files read, 1 scenario: 0 errors, "),
        "{}",
        lint.out
    );
    let validate = place.mosdat(&["validate", "."]);
    assert_eq!(validate.code, Some(0), "{}", validate.all());
    assert!(
        validate.out.contains("2 files of other tools left aside, 3 files read"),
        "{}",
        validate.all()
    );
    // What is wrong with ours is told all the same, in a chart's folder too, and what is named is meant.
    place.file("chart/ci/bad.yaml", "name: t\nstepz: [{key: f5}]\n");
    let ran = place.mosdat(&["lint", "chart"]);
    assert!(
        ran.code == Some(3) && ran.out.contains("bad.yaml:2:1: error[load]: "),
        "{}",
        ran.all()
    );
    assert_eq!(place.mosdat(&["validate", "compose.yml"]).code, Some(3));
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/charts");
    let ran = place.mosdat(&["lint", own]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
}

/// Objects that have another form than their kind, in a file that is refused beside that.
#[test]
fn what_has_another_form_is_refused_in_words() {
    let place = Place::empty();
    let head = "apiVersion: mosdat.dev/v1alpha1\nkind: FunctionalTestRun\nmetadata: {name: a}\n";
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    for (text, told) in [
        (format!("{head}spec: [!x z]\n"), "spec: "),
        (format!("{head}spec: !x z\n"), "spec: "),
        (
            format!("{head}spec: {{vm: {{ref: {{name: a}}}}, scenario: [!x z]}}\n"),
            "spec.scenario: ",
        ),
        (format!("{config}data: {{a: !x z}}\n"), "the tag !x"),
    ] {
        place.file("x.yaml", &text);
        for command in ["validate", "lint", "run"] {
            let ran = place.mosdat(&[command, "x.yaml"]);
            assert_eq!(ran.code, Some(3), "{command} {text}: {}", ran.all());
            for told in [told, "the tag !x is not used here"] {
                assert!(ran.all().contains(told), "{command} {text}: {told}: {}", ran.all());
            }
            // Nothing is told of what is not in the file.
            assert!(!ran.all().contains("unknown field"), "{command} {text}: {}", ran.all());
        }
    }
}

#[test]
fn the_hint_of_a_rule_is_told_once() {
    let place = Place::empty();
    place.file(
        "t.yaml",
        "name: t\nsteps:\n- click: Save\n- click: Open\n- expect: {text: Ready}\n",
    );
    let ran = place.mosdat(&["lint", "t.yaml"]);
    assert_eq!(ran.out.matches("warning[unquoted-label]").count(), 2, "{}", ran.out);
    assert_eq!(ran.out.matches("hint: quote the text").count(), 1, "{}", ran.out);
}

/// Each wrong file, what is told of it, and how many problems that are.
#[test]
fn a_mistake_is_told_once_and_as_what_it_is() {
    let table = [
        (
            "- stage: {path: /tmp/x, from: nowhere.txt}",
            "t.yaml:3:31: there is no file nowhere.txt",
            1,
        ),
        (
            "- click:Save",
            "t.yaml:3:3: 'click:Save' is one text to YAML; put a space after the colon: 'click: Save'",
            1,
        ),
        (
            "- click:Save\n  verify: {text: x}",
            "; in line 3 a space is missing behind 'click:'",
            1,
        ),
        (
            "- key: ctrl-s",
            "keys that are held together are joined by '+': is 'ctrl+s' meant?",
            1,
        ),
        (
            "- key: qwertz",
            "unknown key 'qwertz' in 'qwertz'. Keys are single characters and names such as enter",
            1,
        ),
        (
            "- key: f5\n  timeout: 5s\n  timeout: 6s",
            "t.yaml:5:3: duplicate key 'timeout'; it is given in line 4 already",
            1,
        ),
        (
            "- type: '{{ token }}'\n- {id: read, shell: {command: cat t, capture: token}}",
            "t.yaml:3:9: 'token' has no value here: step 'read' in line 4 captures it, which comes later; use it after that",
            1,
        ),
        (
            "- type: '{{ token }}'\n- shell: {command: cat t, capture: tokem}",
            "undefined variable 'token'",
            1,
        ),
    ];
    for (steps, told, problems) in table {
        let place = Place::empty();
        place.file("t.yaml", &format!("name: t\nsteps:\n{steps}\n"));
        let ran = place.mosdat(&["validate", "t.yaml"]);
        assert_eq!(ran.code, Some(3), "{steps}");
        assert!(ran.err.contains(told), "{steps}\n{}", ran.err);
        let lines = ran.err.lines().count();
        assert_eq!(lines, problems + 1, "{steps}\n{}", ran.err);
        assert!(!ran.err.contains("os error"), "{}", ran.err);
    }
}

#[test]
fn a_step_that_cannot_be_asked_again_is_told_why() {
    let place = Place::empty();
    let event = |seq: u32, rest: &str| format!("{{\"v\":1,\"seq\":{seq},\"time\":\"2026-01-01T00:00:00Z\",{rest}}}\n");
    let log = [
        event(
            1,
            r#""event":"run_start","run":{"namespace":"default","name":"r","uid":"u","attempt":1,"vm":"v","node":"n","vmid":100,"vision":"ocr"},"scenario":"t","digest":"d","variables":{},"total":0,"steps":[]"#,
        ),
        event(
            2,
            r#""event":"evidence","step":"look","item":{"kind":"judge","question":"q","verdict":"true","reason":"r","rung":"ocr","evidence":[],"ms":1}"#,
        ),
        event(
            3,
            r#""event":"step_end","step":"press","outcome":"passed","attempts":1,"ms":5"#,
        ),
    ];
    place.file("events.jsonl", &log.concat());
    for (step, told) in [
        (
            "loock",
            "unknown step 'loock'; did you mean 'look'? Valid steps that asked something about a picture: look",
        ),
        (
            "press",
            "'press' kept no picture; steps that asked something about one: look",
        ),
    ] {
        let ran = place.mosdat(&["replay", ".", "--step", step]);
        assert!(ran.code == Some(3) && ran.err.contains(told), "{step}: {}", ran.all());
    }
}
