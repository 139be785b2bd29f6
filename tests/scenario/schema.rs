//! The schema that editors use says what the loader says, as far as a schema can.

use mosdat::scenario::json_schema;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("folder") {
        let path = entry.expect("entry").path();
        // The old dialect's files are for `mosdat import`; what it makes of them counts.
        let old = folder == "examples/import" && !path.to_string_lossy().ends_with(".imported.yaml");
        if path.extension().is_some_and(|x| x == "yaml") && !old {
            found.push(path);
        }
    }
    found
}

/// The scenarios in a file, stand-alone or within a manifest.
fn scenarios(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("file");
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(&text, serde_saphyr::options! { strict_booleans: true })
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let scenario = |d: &Value| match d["kind"].as_str() {
        Some("FunctionalTestRun") => d["spec"]["scenario"].get("inline").cloned(),
        Some("Scenario") => Some(d["spec"].clone()),
        Some(_) => None,
        None => d.get("steps").map(|_| d.clone()),
    };
    documents.iter().filter_map(scenario).collect()
}

#[test]
fn what_loads_fits_the_schema() {
    let schema = jsonschema::validator_for(&json_schema()).expect("a schema");
    let mut count = 0;
    for folder in [
        "examples/quickstart",
        "examples/language",
        "examples/rocketchat",
        "examples/import",
        "tests/truth/cases",
    ] {
        for path in files(folder) {
            for scenario in scenarios(&path) {
                count += 1;
                let wrong: Vec<String> = schema.iter_errors(&scenario).map(|e| e.to_string()).collect();
                assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
            }
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn what_has_the_wrong_shape_does_not() {
    let schema = jsonschema::validator_for(&json_schema()).expect("a schema");
    let fits = |step: &str| {
        let text = format!("{{name: t, steps: [{step}]}}");
        let options = serde_saphyr::options! { strict_booleans: true };
        let value: Value =
            serde_saphyr::from_str_with_options(&text, options).unwrap_or_else(|e| panic!("{step}: {e}"));
        let loads = mosdat::scenario::Scenario::from_str("t.yaml", &text).is_ok();
        (schema.is_valid(&value), loads)
    };
    for step in [
        "{clik: x}",
        "{click: x, type: y}",
        "{click: x, timout: 5s}",
        "{click: {target: x, buton: left}}",
        "{click: {target: x, count: 4}}",
        "{click: {target: {exact: true}}}",
        "{click: 42}",
        "{expect: x, attempts: 2}",
        "{expect: {sea: x}}",
        "{expect: {see: x, text: y}}",
        "{expect: {process: x, exit: 1}}",
        "{expect: {port: 0}}",
        "{expect: {any: []}}",
        "{never: {text: x}}",
        "{never: an error}",
        "{scroll: dwon}",
        "{key: {times: 3}}",
        "{click: x, timeout: 5}",
        "{click: x, soft: maybe}",
        "{repeat: {times: 0, steps: [{note: x}]}}",
        "{repeat: {times: 2}}",
        "{note: x, when: {}}",
        "{drag: {target: x}}",
        "{label: x}",
    ] {
        assert_eq!(fits(step), (false, false), "{step}");
    }
    for step in [
        "{type: {text: '', clear: true}}",
        "{key: 5}",
        "{if: {text: x, then: [{note: y}]}, timeout: 5s}",
        "{never: {all: [{text: x}, {not: {window: y}}], for: 5s}}",
        "{expect: {shell: x, exit: 1, matches: '^a', as: root}}",
        "{hover: {at: [0.5, 10], reason: y}}",
    ] {
        assert_eq!(fits(step), (true, true), "{step}");
    }
}
