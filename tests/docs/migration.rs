//! The manual's page for people who come from the predecessor: its tables are those of the importer, of the old
//! file and of the old command line, and it promises no command that is not there.

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
fn the_table_of_flags_is_the_command_lines() {
    use mosdat::seed::flags::{Then, flags};
    let mut wanted = String::from("| old flag | | now |\n| --- | --- | --- |\n");
    for flag in flags() {
        let then = match flag.then {
            Then::Kept => "kept",
            Then::Dropped => "dropped",
            Then::Refused => "refused",
        };
        wanted.push_str(&format!("| `--{}` | {then} | {} |\n", flag.name, flag.now));
    }
    assert!(
        page().contains(&wanted),
        "docs/migration.md should have this table:\n{wanted}"
    );
}

/// Those of the old command; the table is checked against the page, this against the table.
#[test]
fn every_flag_of_the_old_command_has_a_row() {
    const FLAGS: &str = "vms test model verify-model cursor-instant save-screenshots screenshots popup-sweep from-step \
        until-step from-phase until-phase skip-health-probe no-checkpoints skip-warmup skip-workspace-check \
        skip-model-check timeout record output click-verify canary no-record-session record-session record-fps \
        record-gif record-keep-raw record-window-state inject-config inject-servers inject-app-name \
        inject-install-path inject-migrations-version no-cache config-snapshots var";
    let mut known: Vec<&str> = mosdat::seed::flags::flags().iter().map(|f| f.name).collect();
    let mut wanted: Vec<&str> = FLAGS.split_whitespace().collect();
    known.sort();
    wanted.sort();
    assert_eq!(known, wanted);
}

/// What is kept has a place in `--help`; what is not is taken all the same, so that it can be told.
#[test]
fn what_is_kept_is_a_flag() {
    use mosdat::seed::flags::{Then, flags};
    let out = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .args(["functional", "--help"])
        .output()
        .expect("mosdat");
    let help = String::from_utf8(out.stdout).expect("text");
    for flag in flags() {
        let shown = help.contains(&format!("--{} ", flag.name)) || help.contains(&format!("--{}\n", flag.name));
        assert_eq!(shown, flag.then == Then::Kept, "--{}", flag.name);
    }
}

#[test]
fn the_tables_of_keys_are_the_readers() {
    let mut wanted = String::new();
    let mut section = "";
    for row in mosdat::seed::rows() {
        if row.section != section {
            section = row.section;
            let several = ["vm", "vm.package", "test"].contains(&section);
            let head = if several {
                format!("[[{section}]]")
            } else {
                format!("[{section}]")
            };
            wanted.push_str(&format!("### `{head}`\n\n| key | | now |\n| --- | --- | --- |\n"));
        }
        let key = if row.key.contains(' ') {
            row.key.to_string()
        } else {
            format!("`{}`", row.key)
        };
        wanted.push_str(&format!("| {key} | {} | {} |\n", row.fate, row.now));
    }
    let wanted = wanted.replace("|\n###", "|\n\n###");
    assert!(
        page().contains(&wanted),
        "docs/migration.md should have these tables:\n{wanted}"
    );
}

/// What the predecessor's own table of its file has.
#[test]
fn every_key_of_the_old_file_has_a_row() {
    const KEYS: &[(&str, &str)] = &[
        ("app", "name version binary args process_name timeout"),
        ("app.exit_codes", "pass fail"),
        ("build", "repo_path commands dist_dir checkout"),
        ("proxmox", "host port user password node gpu_pci_address"),
        ("defaults", "user"),
        ("vm", "name vmid ip desktop user password os_type x11 temp_dir"),
        (
            "vm.package",
            "format install uninstall app_path process_name file_glob appid remote data_dir version",
        ),
        ("test", "name script gpu"),
        (
            "vlm",
            "base_url model verify_model expected_model api_key max_tokens_floor",
        ),
        ("functional", "enabled workspace_url test_user test_password tests_dir"),
        ("report", "title critical_tests critical_description"),
        ("cursor", "profile duration_ms hover_dwell_ms seed"),
    ];
    for (section, keys) in KEYS {
        for key in keys.split_whitespace() {
            let known = mosdat::seed::rows()
                .iter()
                .any(|r| r.section == *section && r.key == key);
            assert!(known, "[{section}] {key}");
        }
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
        let word: String = rest
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || *c == '-')
            .collect();
        let old = ["has"].contains(&word.as_str());
        let found = help
            .lines()
            .any(|l| l.trim_start().split(' ').next() == Some(word.as_str()));
        assert!(old || word.is_empty() || found, "there is no 'mosdat {word}'");
    }
}
