//! `mosdat run` refuses what cannot be carried out before it starts anything.

use super::Place;

const ONLY_A_MODEL: &str = "name: t\nsteps:\n- {id: save, click: Save}\n- {id: read, expect: {text: Saved}}\n\
    - {id: red, expect: the window is red}\n- {id: fine, expect: \"'Saved' is shown\"}\n\
    - {id: either, wait_for: {any: [{text: Done}, the wheel stands still]}}\n\
    - {id: gone, wait_gone: {text: Saving}, when: {never: true}}\ninputs: {never: {type: boolean, default: false}}\n";

#[test]
fn what_only_a_model_can_answer_needs_one() {
    let place = Place::empty();
    place.file("t.yaml", ONLY_A_MODEL);
    let ran = place.mosdat(&["run", "t.yaml"]);
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    for told in [
        "no vision model",
        "`base_url` in [vlm]",
        "step save: ",
        "\"'Save'\"",
        "step red: ",
        "OCR decides only whether quoted text is shown",
    ] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    for answered in ["read", "fine", "either", "gone"] {
        assert!(
            !ran.err.contains(&format!("step {answered}")),
            "{answered}: {}",
            ran.err
        );
    }
    assert!(!place.is_touched(), "nothing is started");
    // `validate` does not know what a run will have; lint tells what looks like a label.
    assert_eq!(place.mosdat(&["validate", "t.yaml"]).code, Some(0));
    let lint = place.mosdat(&["lint", "t.yaml"]);
    assert!(
        lint.out.contains("t.yaml:3:") && lint.out.contains("warning[unquoted-label]"),
        "{}",
        lint.out
    );
}

#[test]
fn steps_that_are_not_run_need_no_model() {
    let place = Place::empty();
    place.file("t.yaml", ONLY_A_MODEL);
    let ran = place.mosdat(&["run", "--from", "red", "--until", "red", "t.yaml"]);
    assert!(
        ran.code == Some(3) && ran.err.contains("step red: ") && !ran.err.contains("step save: "),
        "{}",
        ran.err
    );
}

#[test]
fn a_provider_beside_the_run_says_whether_there_is_a_model() {
    let place = Place::empty();
    let file = |openai: &str| {
        format!(
            "apiVersion: mosdat.dev/v1alpha1\nkind: VisionProvider\nmetadata: {{name: eyes}}\nspec: {{{openai}}}\n---\n\
             apiVersion: mosdat.dev/v1alpha1\nkind: FunctionalTestRun\nmetadata: {{name: r}}\n\
             spec:\n  vm: {{ref: {{name: a}}}}\n  visionRef: {{name: eyes}}\n  steps: {{from: nowhere}}\n  \
             scenario: {{inline: {{name: t, steps: [{{id: save, click: Save}}]}}}}\n"
        )
    };
    let model = "openai: {baseUrls: ['http://127.0.0.1:9/v1'], locateModel: m, coordinates: Pixels}";
    // With a wrong step, so that nothing is started in either case.
    place.file("with.yaml", &file(model));
    let ran = place.mosdat(&["run", "with.yaml"]);
    assert!(
        ran.code == Some(3) && ran.err.contains("unknown step 'nowhere'"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("vision model"), "{}", ran.err);
    place.file(
        "without.yaml",
        &file("ocr: true").replace("  steps: {from: nowhere}\n", ""),
    );
    let ran = place.mosdat(&["run", "without.yaml"]);
    assert!(
        ran.code == Some(3) && ran.err.contains("no vision model"),
        "{}",
        ran.err
    );
    assert!(!place.is_touched());
}

/// An object is meant by its name in the run's own namespace.
#[test]
fn a_provider_of_another_namespace_is_another() {
    let place = Place::empty();
    let provider = |ns: &str, backend: &str| {
        format!(
            "apiVersion: mosdat.dev/v1alpha1\nkind: VisionProvider\nmetadata: {{name: eyes{ns}}}\nspec: {{{backend}}}\n---\n"
        )
    };
    let file = |ns: [&str; 3], more: &str| {
        let model = "openai: {baseUrls: ['http://127.0.0.1:9/v1'], locateModel: m, coordinates: Pixels}";
        let [read, seen, run] = ns;
        format!(
            "{}{}apiVersion: mosdat.dev/v1alpha1\nkind: FunctionalTestRun\nmetadata: {{name: r{run}}}\n\
             spec:\n  vm: {{ref: {{name: a}}}}\n  visionRef: {{name: eyes}}\n{more}  \
             scenario: {{inline: {{name: t, steps: [{{id: save, click: Save}}]}}}}\n",
            provider(read, "ocr: true"),
            provider(seen, model)
        )
    };
    // With a wrong step, so that nothing is started where there is a model.
    let nowhere = "  steps: {from: nowhere}\n";
    let (a, b) = (", namespace: a", ", namespace: b");
    for (ns, args) in [
        ([a, b, b], &[][..]),
        ([a, "", ""], &[]),
        ([a, "", b], &["-n", "b"]),
        ([a, b, ""], &["-n", "b"]),
    ] {
        place.file("run.yaml", &file(ns, nowhere));
        let ran = place.mosdat(&[&["run", "run.yaml"], args].concat());
        assert!(
            ran.code == Some(3) && ran.err.contains("'nowhere'") && !ran.err.contains("vision model"),
            "{ns:?} {args:?}: {}",
            ran.all()
        );
    }
    for (ns, args) in [
        ([b, a, b], &[][..]),
        (["", a, ""], &[]),
        (["", a, b], &["-n", "b"]),
        ([b, a, ""], &["-n", "b"]),
    ] {
        place.file("run.yaml", &file(ns, ""));
        let ran = place.mosdat(&[&["run", "run.yaml"], args].concat());
        assert!(
            ran.code == Some(3) && ran.err.contains("no vision model"),
            "{ns:?} {args:?}: {}",
            ran.all()
        );
    }
    assert!(!place.is_touched());
}

#[test]
fn an_object_without_a_name_is_not_run() {
    let place = Place::empty();
    place.file(
        "list.yaml",
        "apiVersion: v1\nkind: List\nitems: []\n---\nname: t\nsteps: [{key: f5}]\n",
    );
    let ran = place.mosdat(&["run", "list.yaml"]);
    assert!(
        ran.code == Some(3) && ran.err.contains("list.yaml:1: metadata.name is missing"),
        "{}",
        ran.all()
    );
    assert!(!place.is_touched());
}

#[test]
fn a_step_that_is_not_there_is_told_before_anything_is_started() {
    let place = Place::empty();
    place.file(
        "t.yaml",
        "name: t\nsteps:\n- {id: open, key: f5}\n- {id: save-it, key: ctrl+s}\n",
    );
    let ran = place.mosdat(&["run", "--until", "save-i", "t.yaml"]);
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(ran.err.contains("t.yaml:1: --until: unknown step"), "{}", ran.err);
    assert!(
        ran.err.contains("did you mean 'save-it'?") && ran.err.contains("open, save-it"),
        "{}",
        ran.err
    );
    let ran = place.mosdat(&["run", "--var", "usr=x", "t.yaml"]);
    assert!(
        ran.code == Some(3) && ran.err.contains("--var: unknown input 'usr'"),
        "{}",
        ran.err
    );
    assert!(!place.is_touched());
}

#[test]
fn steps_of_no_scenario_are_refused() {
    let place = Place::empty();
    let toml = "[app]\nname = 'Demo'\nversion = '1'\nbinary = '/opt/demo'\n[proxmox]\nhost = '127.0.0.1'\n\
        [functional]\ntests_dir = 'tests'\n[[vm]]\nname = 'one'\nvmid = 100\n";
    place.file("fleet.toml", toml);
    assert_eq!(place.mosdat(&["validate", "fleet.toml"]).code, Some(0));
    let ran = place.mosdat(&["validate", "--steps", "fleet.toml"]);
    assert!(
        ran.code == Some(3) && ran.err.contains("no scenario") && ran.err.contains("`tests_dir`"),
        "{}",
        ran.all()
    );
    place.file("routines.yaml", "routines: {greet: {steps: [{key: f5}]}}\n");
    let ran = place.mosdat(&["validate", "--steps", "routines.yaml"]);
    assert!(
        ran.code == Some(3) && ran.err.contains("no scenario") && !ran.err.contains("TOML"),
        "{}",
        ran.all()
    );
}

#[test]
fn ids_of_steps_are_told_without_a_run() {
    let place = Place::empty();
    place.file(
        "t.yaml",
        "name: a login\nsetup:\n- key: f5\nphases:\n  out: {from: s02-if, until: bye}\nsteps:\n- click: \"'Sign in'\"\n\
         - if: {process: app, then: [{id: inner, key: tab}]}\n  id: s02-if\n- {id: bye, key: alt+f4}\n",
    );
    let ran = place.mosdat(&["validate", "--steps", "t.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let lines: Vec<&str> = ran.out.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "t.yaml:1: a login",
            "  setup",
            "    p01-key-f5      key f5",
            "  steps",
            "    s01-click-sign  click 'Sign in'",
            "   phase out",
            "    s02-if          if process app runs",
            "    inner             key tab",
            "    bye             key alt+f4",
        ],
        "{}",
        ran.out
    );
}
