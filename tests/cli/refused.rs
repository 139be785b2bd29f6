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
        "step save: ",
        "\"'Save'\"",
        "step red: ",
        "'red' asks for more",
    ] {
        assert!(
            told == "'red' asks for more" || ran.err.contains(told),
            "{told}: {}",
            ran.err
        );
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
