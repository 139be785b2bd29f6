//! How a command starts: the command line is always the same; what it does, with every value in it, comes on its standard
//! input. Its first line is the script; each further one is a variable or the command's input: Windows may write what runs into
//! its log, and those are not in it.

use super::line::{arguments, escape, quote};
use crate::guest::{Command, What};
use base64::Engine;
use secrecy::{ExposeSecret, SecretString};

const LOADER: &str = include_str!("loader.ps1");
const BEGIN: &str = include_str!("begin.ps1");
const DATA: &str = include_str!("data.ps1");
const RUN: &str = include_str!("run.ps1");
const SESSION: &str = include_str!("session.ps1");
const RELAY: &str = include_str!("relay.ps1");
/// How a script of mosdat's own ends where it fails: none of them means anything by this code.
const FAULT: i32 = 99;

/// A script as `-EncodedCommand` takes it.
fn encoded(script: &str) -> String {
    let bytes: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The arguments of every PowerShell that mosdat starts: it runs what stands on its standard input.
fn words() -> Vec<String> {
    let words = [
        "-NoProfile",
        "-NonInteractive",
        "-ExecutionPolicy",
        "Bypass",
        "-OutputFormat",
        "Text",
        "-EncodedCommand",
        &encoded(LOADER),
    ];
    words.map(String::from).to_vec()
}

/// What the agent starts.
pub fn start() -> Vec<String> {
    std::iter::once("powershell.exe".to_string()).chain(words()).collect()
}

/// What ends a command with all that it has started.
pub fn kill(pid: u64) -> Vec<String> {
    let pid = pid.to_string();
    ["taskkill.exe", "/T", "/F", "/PID", &pid].map(String::from).to_vec()
}

/// The text for the standard input of [`start`].
pub fn bootstrap(command: &Command) -> SecretString {
    let work = escape(&work(command));
    let Some(user) = &command.user else {
        return with_data(work, command);
    };
    let script = format!(
        "{BEGIN}$mosdat_user = {}\n$mosdat_start = {}\n$mosdat_relay = {}\n$mosdat_work = {}\n{SESSION}",
        quote(user),
        quote(&arguments(&words())),
        quote(RELAY),
        quote(&work),
    );
    with_data(escape(&script), command)
}

/// The script with what it is given, a line each.
fn with_data(mut lines: String, command: &Command) -> SecretString {
    for (name, value) in &command.env {
        lines += &format!("\n{}={}", escape(name), escape(value.expose_secret()));
    }
    if let Some(input) = &command.input {
        lines += &format!("\n={}", escape(input.expose_secret()));
    }
    lines.into()
}

/// What it does, whoever runs it.
fn work(command: &Command) -> String {
    // What a shell does that an error has ended.
    let fault = if command.of_scenario { 1 } else { FAULT };
    let text = match &command.what {
        What::Script(text) => text.clone(),
        What::Argv(argv) => {
            let (file, rest) = argv.split_first().map_or(("", [].as_slice()), |(f, r)| (f.as_str(), r));
            format!(
                "$mosdat_file = {}\n$mosdat_arguments = {}\n{}{}",
                quote(file),
                quote(&arguments(rest)),
                include_str!("program.ps1"),
                include_str!("argv.ps1")
            )
        }
    };
    format!(
        "{BEGIN}{DATA}$mosdat_fault = {fault}\n$mosdat_text = {}\n{RUN}",
        quote(&text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_command_line_is_the_same_for_all() {
        let line = start();
        assert_eq!(line[0], "powershell.exe");
        // cmd.exe takes 8191 characters, CreateProcess 32767; the task's line has another script in it.
        assert!(line.join(" ").len() < 2000, "{line:?}");
        let task = encoded(&format!("{RELAY}{}", "x".repeat(line.join(" ").len() + 200)));
        assert!(task.len() < 20_000, "{}", task.len());
    }

    #[test]
    fn every_value_is_on_standard_input_in_a_line_of_its_own() {
        let mut command = Command::script("'ü' + $env:A", Duration::from_secs(1))
            .as_user("WIN\\tester")
            .with_env([("A".to_string(), SecretString::from("it\u{2019}s"))]);
        command.input = Some("x\ny".into());
        let script = bootstrap(&command);
        let script = script.expose_secret();
        assert!(script.is_ascii(), "{script}");
        let lines: Vec<&str> = script.lines().collect();
        assert_eq!(lines[1..], ["A=it\\u2019s", "=x\\ny"]);
        assert!(!lines[0].contains("u2019s"), "{script}");
    }

    #[test]
    fn what_does_not_end_by_itself_has_not_come_whole() {
        // Half a script, or none, comes to the loader's end.
        let said = "mosdat-bootstrap: broken PowerShell";
        assert!(
            LOADER.contains(said) && LOADER.trim_end().ends_with("\nexit 127"),
            "{LOADER}"
        );
        for script in [RUN, SESSION] {
            assert!(script.trim_end().ends_with("\nexit $mosdat_code"), "{script}");
        }
    }

    #[test]
    fn only_the_scenarios_own_errors_end_as_a_shells() {
        for (own, fault) in [(false, "$mosdat_fault = 99"), (true, "$mosdat_fault = 1\\n")] {
            let mut command = Command::script("x", Duration::from_secs(1));
            command.of_scenario = own;
            let script = bootstrap(&command);
            assert!(script.expose_secret().contains(fault), "{}", script.expose_secret());
        }
    }
}
