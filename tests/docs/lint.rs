//! The manual's page about lint has the rules that there are, and its examples are right by them.

use super::{blocks, pages};
use mosdat::scenario::{Scenario, Severity};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

#[test]
fn the_table_of_rules_is_what_the_command_lists() {
    let out = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .args(["lint", "--list", "--format", "json"])
        .output()
        .expect("mosdat lint");
    let rules: Vec<Value> = serde_json::from_slice(&out.stdout).expect("JSON");
    let cell = |rule: &Value, key: &str| rule[key].as_str().expect("text").replace('|', "\\|");
    let wanted: Vec<String> = rules
        .iter()
        .map(|rule| {
            let [severity, about, hint] = ["severity", "about", "hint"].map(|key| cell(rule, key));
            format!("| `{}` | {severity} | {about} | {hint} |", cell(rule, "rule"))
        })
        .collect();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lint.md");
    let page = std::fs::read_to_string(page).expect("page");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(
        rows,
        wanted,
        "docs/lint.md should have these rows:\n{}",
        wanted.join("\n")
    );
}

#[test]
fn the_manuals_scenarios_have_no_warnings() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let (mut count, mut problems) = (0, Vec::new());
    for page in pages().into_iter().chain([readme]) {
        let text = std::fs::read_to_string(&page).expect("page");
        for (line, block) in blocks(&text).into_iter().filter(|(_, b)| b.contains("steps:")) {
            let origin = format!("{}, the block at line {line}", page.display());
            match Scenario::in_manifests(&origin, &block, page.parent()) {
                Ok(scenarios) => {
                    count += scenarios.len();
                    let remarks = scenarios.iter().flat_map(Scenario::lint);
                    let bad = remarks.filter(|r| r.severity > Severity::Note && !mosdat::scenario::allows(&block, r));
                    problems.extend(bad.map(|r| r.to_string()));
                }
                Err(errors) => problems.push(errors.to_string()),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count >= 4, "{count}");
}
