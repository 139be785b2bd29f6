//! No PowerShell was there when this was written: its grammar judges at least that each script can be read.

use super::*;
use crate::guest::{Command, System, What, bootstrap, clipboard_command, launch_command};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// Where the grammar does not understand the script: line and text of each place.
fn faults(script: &str) -> Vec<String> {
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
    let tree = parser.parse(script, None).unwrap();
    let (mut found, mut open) = (Vec::new(), vec![tree.root_node()]);
    while let Some(node) = open.pop() {
        if node.is_error() || node.is_missing() {
            let text: String = script[node.byte_range()].chars().take(80).collect();
            found.push(format!("line {}: {text}", node.start_position().row + 1));
        } else if node.has_error() {
            open.extend((0..node.child_count()).filter_map(|i| node.child(i as _)));
        }
    }
    found
}

/// What `[regex]::Unescape` makes of it.
fn unescaped(text: &str) -> String {
    let (mut units, mut letters) = (Vec::new(), text.chars());
    while let Some(c) = letters.next() {
        if c != '\\' {
            units.push(c as u16);
            continue;
        }
        match letters.next() {
            Some('n') => units.push(10),
            Some('u') => {
                let digits: String = letters.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&digits, 16).unwrap());
            }
            other => units.push(other.unwrap() as u16),
        }
    }
    String::from_utf16(&units).unwrap()
}

/// The text that a line of the script sets a variable to.
fn set_to(script: &str, name: &str) -> Option<String> {
    let start = format!("{name} = '");
    let at = script.find(&format!("\n{start}"))? + 1 + start.len();
    let (mut text, mut letters) = (String::new(), script[at..].chars().peekable());
    while let Some(c) = letters.next() {
        let quotes = matches!(c, '\'' | '\u{2018}'..='\u{201b}');
        if quotes && letters.next_if_eq(&c).is_none() {
            return Some(text);
        }
        text.push(c);
    }
    None
}

fn judge(what: &str, script: &str) {
    let wrong = faults(script);
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
}

#[test]
fn the_grammar_finds_faults() {
    for broken in ["if ($x { 1 }", "foreach ($a in) { 1 }", "$x = 'open", "function { }}"] {
        assert!(!faults(broken).is_empty(), "{broken}");
    }
}

#[test]
fn every_script_can_be_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guest/windows");
    let (mut count, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "ps1") {
            let text = std::fs::read_to_string(&path).unwrap();
            // Windows PowerShell reads files without a mark in the code page, and encoded commands are long enough.
            assert!(text.is_ascii(), "{}", path.display());
            wrong.extend(
                faults(&text)
                    .into_iter()
                    .map(|fault| format!("{}: {fault}", path.display())),
            );
            count += 1;
        }
    }
    assert!(count > 20 && wrong.is_empty(), "{count}: {wrong:#?}");
    for (what, script) in [
        ("window", WINDOW),
        ("nodes", NODES),
        ("log", LOG_SINCE),
        ("put", PUT_BEGIN),
    ] {
        judge(what, script);
    }
}

#[test]
fn what_is_made_of_them_can_be_read_and_holds_what_was_given() {
    let nasty = "it's \u{2019} $(x) `n \"q\" \\u0041 \n ü😀";
    let limit = Duration::from_secs(1);
    let mut with_input = Command::script("$input", limit).as_user("WIN\\te'ster");
    with_input.input = Some(nasty.into());
    let commands = [
        Command::script(nasty, limit),
        Command::script("exit 3", limit).with_env([("A'b".to_string(), SecretString::from(nasty))]),
        Command {
            what: What::Argv(vec![r"C:\a b\x.exe".into(), nasty.into(), String::new()]),
            ..Command::script("", limit)
        },
        with_input,
        launch_command(System::Windows, "WIN\\tester", &["app".into(), nasty.into()]),
        clipboard_command(System::Windows, nasty).as_user("WIN\\tester"),
    ];
    for command in commands {
        let sent = bootstrap(System::Windows, &command);
        let mut lines = sent.expose_secret().lines();
        let mut script = unescaped(lines.next().unwrap());
        let data: Vec<String> = lines.map(unescaped).collect();
        judge("outer", &script);
        if let Some(user) = &command.user {
            assert_eq!(set_to(&script, "$mosdat_user").as_ref(), Some(user));
            judge("relay", &set_to(&script, "$mosdat_relay").unwrap());
            assert!(!set_to(&script, "$mosdat_start").unwrap().contains('\''));
            script = unescaped(&set_to(&script, "$mosdat_work").unwrap());
            judge("work", &script);
        }
        let env = command
            .env
            .iter()
            .map(|(name, value)| format!("{name}={}", value.expose_secret()));
        let input = command.input.iter().map(|input| format!("={}", input.expose_secret()));
        assert_eq!(data, env.chain(input).collect::<Vec<_>>());
        let text = set_to(&script, "$mosdat_text").unwrap();
        match &command.what {
            What::Script(given) => assert_eq!(text, *given),
            What::Argv(argv) => assert_eq!(set_to(&format!("\n{text}"), "$mosdat_file"), Some(argv[0].clone())),
        }
        if text != nasty {
            judge("text", &text);
        }
        if let Some(supervisor) = set_to(&text, "$mosdat_supervisor") {
            judge("supervisor", &supervisor);
        }
    }
}
