//! The manual's page for people who come from the predecessor: its tables are those of the importer and of the old
//! command line, and it promises no command that is not there.

use mosdat::scenario::constructs;
use std::path::Path;
use std::process::Command;

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migration.md");
    std::fs::read_to_string(page).expect("page")
}

#[test]
fn the_tables_of_constructs_are_the_importers() {
    let mut wanted = String::new();
    let mut area = "";
    for row in constructs() {
        if row.area.as_str() != area {
            area = row.area.as_str();
            wanted.push_str(&format!("### {area}\n\n| old | | now |\n| --- | --- | --- |\n"));
        }
        let now = row.now.replace('|', "\\|");
        wanted.push_str(&format!("| {} | {} | {now} |\n", row.shown(), row.fate));
    }
    // Headings stand apart.
    let wanted = wanted.replace("|\n###", "|\n\n###");
    assert!(
        page().contains(&wanted),
        "docs/migration.md should have these tables:\n{wanted}"
    );
}

#[test]
fn every_flag_of_the_old_command_has_a_row() {
    const FLAGS: &str = "vms test model verify-model cursor-instant save-screenshots screenshots popup-sweep from-step \
        until-step from-phase until-phase skip-health-probe no-checkpoints skip-warmup skip-workspace-check \
        skip-model-check timeout record output click-verify canary no-record-session record-session record-fps \
        record-gif record-keep-raw record-window-state inject-config inject-servers inject-app-name \
        inject-install-path inject-migrations-version no-cache config-snapshots var";
    let page = page();
    for flag in FLAGS.split_whitespace() {
        let row = page.lines().find(|l| {
            let first = l.trim_start_matches("| ").split(" | ").next().unwrap_or_default();
            l.starts_with("| `--") && first.split(", ").any(|f| f == format!("`--{flag}`"))
        });
        assert!(row.is_some(), "no row for --{flag}");
    }
}

/// `mosdat WORD` in the page, without the old ones, is a command.
#[test]
fn no_command_is_promised_that_is_not_there() {
    let out = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .arg("--help")
        .output()
        .expect("mosdat");
    let help = String::from_utf8(out.stdout).expect("text");
    let page = page();
    for rest in page.split("mosdat ").skip(1) {
        let word: String = rest.chars().take_while(|c| c.is_ascii_lowercase()).collect();
        let old = ["functional", "has"].contains(&word.as_str());
        let found = help
            .lines()
            .any(|l| l.trim_start().split(' ').next() == Some(word.as_str()));
        assert!(old || word.is_empty() || found, "there is no 'mosdat {word}'");
    }
}
