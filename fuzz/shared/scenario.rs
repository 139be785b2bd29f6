//! What the fuzzer and the test of its corpus do with a scenario's text.

use mosdat::scenario::Scenario;

/// Any text is refused with at least one problem, or is a scenario: then it can be planned, linted and made a resource,
/// and the resource is the same scenario.
pub fn feed(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Scenario::from_str("fuzz.yaml", text) {
        Ok(scenario) => {
            let _ = scenario.plan(&Default::default(), &Default::default());
            let _ = scenario.lint();
            let spec = scenario.to_spec().expect("what loads is a spec");
            let again = Scenario::from_spec(&spec, "fuzz.yaml").expect("its spec loads");
            assert_eq!(again.steps.len(), scenario.steps.len(), "the spec has other steps");
        }
        Err(errors) => assert!(!errors.0.is_empty(), "refused without a word"),
    }
}
