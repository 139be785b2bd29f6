//! The folders of `src/` are layers: a folder uses only what stands below it. And only the folders that are
//! meant to talk to a Kubernetes API hold a client; and nothing in the repository names a package registry's host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// From top to bottom. `main.rs` stands above all of them.
const LAYERS: [&str; 15] = [
    "cli",
    "server",
    "controller",
    "executor",
    "runner",
    "results",
    "seed",
    "vision",
    "guest",
    "desktop",
    "scenario",
    "lab",
    "proxmox",
    "controlplane",
    "api",
];

/// Who may hold a `kube::Client`. The control plane is here because it is the other end of one: it makes it.
const KUBE_CLIENT: [&str; 5] = ["cli", "server", "controller", "executor", "controlplane"];

/// Something the rules do not allow: where, and what.
#[derive(Debug, PartialEq)]
struct Violation {
    line: usize,
    message: String,
}

/// Comments and the insides of string literals blanked out, line breaks kept.
///
/// Lifetimes and character literals need no care beyond `'"'` and `'\''`: what matters is where strings begin and end.
fn code_only(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    let mut i = 0;
    while i < text.len() {
        let rest = &text[i..];
        let until = if rest.starts_with(&['/', '/']) {
            rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
        } else if rest.starts_with(&['/', '*']) {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest, text[..i].last()) {
            length
        } else if rest[0] == '"' {
            string(rest)
        } else if rest.starts_with(&['\'', '\\']) {
            // '\n', '\'', '\u{..}'
            rest.iter()
                .skip(3)
                .position(|c| *c == '\'')
                .map_or(rest.len(), |at| at + 4)
        } else if rest.len() > 2 && rest[0] == '\'' && rest[2] == '\'' {
            3
        } else {
            out.push(rest[0]);
            i += 1;
            continue;
        };
        out.extend(rest[..until].iter().map(|c| blank(*c)));
        i += until;
    }
    out
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut i) = (0, 0);
    while i < rest.len() {
        if rest[i..].starts_with(&['/', '*']) {
            (depth, i) = (depth + 1, i + 2);
        } else if rest[i..].starts_with(&['*', '/']) {
            (depth, i) = (depth - 1, i + 2);
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    rest.len()
}

fn string(rest: &[char]) -> usize {
    let mut i = 1;
    while i < rest.len() {
        match rest[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[char], before: Option<&char>) -> Option<usize> {
    if rest[0] != 'r' || before.is_some_and(|c| c.is_alphanumeric() && *c != 'b' && *c != 'c' || *c == '_') {
        return None;
    }
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = 2 + hashes;
    let at = rest[body..].windows(end.len()).position(|window| window == end);
    Some(at.map_or(rest.len(), |at| body + at + end.len()))
}

/// Every folder that this code reaches by a path from the crate's root (`crate::x`, `crate::{x, y::z}`,
/// and `mosdat::x`, by which main.rs sees the library), with its line.
fn reached(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for root in ["crate", "mosdat"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let Some(rest) = code[at + root.len()..].trim_start().strip_prefix("::") else {
                continue;
            };
            let line = code[..at].matches('\n').count() + 1;
            let rest = rest.trim_start();
            match rest.strip_prefix('{') {
                Some(group) => found.extend(heads(group).into_iter().map(|name| (line, name))),
                None => found.extend(identifier(rest).map(|name| (line, name))),
            }
        }
    }
    found
}

fn identifier(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first names of the parts of a `{a, b::c, d::{e, f}}` whose opening brace has been read.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut found, mut part) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => found.extend(identifier(&std::mem::take(&mut part))),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                part.push(c);
            }
        }
    }
    found.extend(identifier(&part));
    found
}

fn rank(folder: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == folder)
}

/// What one source file, in this folder (`""` for `main.rs` and `lib.rs`), does that it may not.
fn violations(folder: &str, source: &str) -> Vec<Violation> {
    let code = code_only(source);
    let mut found = Vec::new();
    let Some(own) = rank(folder) else { return found };
    for (line, target) in reached(&code) {
        if let Some(other) = rank(&target)
            && other < own
        {
            let message = format!("{folder} uses crate::{target}, which stands above it");
            found.push(Violation { line, message });
        }
    }
    if !KUBE_CLIENT.contains(&folder) {
        for line in kube_clients(&code) {
            let message = format!("{folder} names kube's Client; only {} do", KUBE_CLIENT.join(", "));
            found.push(Violation { line, message });
        }
    }
    found
}

/// The lines that name `kube::Client`, `kube::client::...` or `kube::Api` (a client with a type), alone or in a group.
fn kube_clients(code: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for (at, _) in code.match_indices("kube::") {
        if code[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
        {
            continue;
        }
        let rest = &code[at + "kube::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => heads(group),
            None => identifier(rest).into_iter().collect(),
        };
        if names
            .iter()
            .any(|name| ["Client", "client", "Api"].contains(&name.as_str()))
        {
            lines.push(code[..at].matches('\n').count() + 1);
        }
    }
    lines
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn every_folder_uses_only_what_stands_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for path in rust_files(&src) {
        let inside = path.strip_prefix(&src).expect("a path in src");
        let folder = inside
            .parent()
            .and_then(|parent| parent.iter().next())
            .unwrap_or_default()
            .to_string_lossy();
        let source = fs::read_to_string(&path).expect("a readable file");
        for violation in violations(&folder, &source) {
            found.push(format!(
                "src/{}:{}: {}",
                inside.display(),
                violation.line,
                violation.message
            ));
        }
    }
    assert!(
        found.is_empty(),
        "docs/architecture.md, section 2:\n{}",
        found.join("\n")
    );
}

#[test]
fn the_order_names_every_folder_in_src() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(src).expect("src") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(
            !path.is_dir() || rank(&name).is_some(),
            "src/{name} has no place in the order of layers"
        );
    }
}

#[test]
fn a_forbidden_edge_is_seen_in_each_form() {
    let one = |folder: &str, source: &str| {
        violations(folder, source)
            .into_iter()
            .map(|v| v.line)
            .collect::<Vec<_>>()
    };
    assert_eq!(one("proxmox", "use crate::lab::Node;"), [1]);
    assert_eq!(one("proxmox", "\nuse crate::{api::Vm, lab::{Node, Disk}};"), [2]);
    assert_eq!(one("api", "fn f() {\n    crate :: runner::run()\n}"), [2]);
    assert_eq!(
        one(
            "desktop",
            "pub(crate) use crate::{\n    desktop::Frame,\n    vision::Vision,\n};"
        ),
        [1]
    );
    assert_eq!(one("lab", "#[cfg(test)] mod t { use crate::runner::Outcome; }"), [1]);
    // Downwards, sideways, and what only looks like an edge.
    assert_eq!(
        one(
            "lab",
            "use crate::proxmox::Upid; use crate::lab::disk; use crate::Error;"
        ),
        [0; 0]
    );
    assert_eq!(
        one("api", "// use crate::cli::Up;\n/* crate::cli */ /// [`crate::runner`]"),
        [0; 0]
    );
    assert_eq!(
        one(
            "api",
            r##"const A: &str = "crate::cli"; const B: &str = r#"crate::"cli""#;"##
        ),
        [0; 0]
    );
    assert_eq!(
        one(
            "api",
            "const Q: char = '\"'; use crate::cli::Up; const R: char = '\\'';"
        ),
        [1]
    );
    assert_eq!(one("", "use mosdat::cli; use mosdat::api;"), [0; 0]);
    assert_eq!(one("api", "fn f<'a>(x: &'a str) { mosdat::cli::run(x) }"), [1]);
}

#[test]
fn a_kube_client_in_the_wrong_folder_is_seen() {
    let seen = |folder: &str, source: &str| !violations(folder, source).is_empty();
    assert!(seen("runner", "fn run(client: kube::Client) {}"));
    assert!(seen("lab", "use kube::{Api, ResourceExt};"));
    assert!(seen("results", "use kube::{ResourceExt, Client};"));
    assert!(seen("vision", "use kube::{\n    Api,\n};"));
    assert!(seen("guest", "use kube::client::Body;"));
    assert!(!seen("controller", "use kube::{Api, Client};"));
    assert!(!seen(
        "api",
        "use kube::{CustomResource, ResourceExt}; use kube::api::ObjectMeta; // kube::Client"
    ));
    assert!(!seen("runner", "let c = not_kube::Client::new();"));
}

#[test]
fn no_file_names_a_package_registry() {
    // Put together here, so that this file does not contain what it looks for.
    let hosts = [
        ["crates", "io"],
        ["pypi", "org"],
        ["pythonhosted", "org"],
        ["proxy.golang", "org"],
        ["registry.npmjs", "org"],
        ["deb.debian", "org"],
        ["repo1.maven", "org"],
    ]
    .map(|parts| parts.join("."));
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(top)
        .output()
        .expect("git runs");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let mut found = Vec::new();
    // Lock files are written by cargo, which names the index in them by a fixed address.
    for name in listed
        .split('\0')
        .filter(|name| !name.is_empty() && !name.ends_with("Cargo.lock"))
    {
        // A deleted file that is still in the index, or a picture.
        let Ok(text) = fs::read_to_string(top.join(name)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for host in &hosts {
                if line.contains(host.as_str()) {
                    found.push(format!("{name}:{}: {host}", number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
