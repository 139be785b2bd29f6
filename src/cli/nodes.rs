//! `mosdat nodes --vm NAME`: what the programs on a VM's desktop tell of their elements, in the form that a target takes.
//! Only looks; the first look switches accessibility on in the session, as a step of a run does.

use super::exit;
use super::machine::{Machine, Plane};
use crate::guest::{self, AgentGuest, Node, Query, System, Tree};
use crate::scenario::{is_role, same_role};
use anyhow::Context;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the guest may take to show its desktop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `mosdat nodes`.
#[derive(clap::Args)]
pub struct Args {
    /// The ProxmoxVM.
    #[arg(long, value_name = "NAME")]
    vm: String,
    /// Part of a program's name: only its elements.
    #[arg(long)]
    app: Option<String>,
    /// Only elements of this role.
    #[arg(long)]
    role: Option<String>,
    /// Also those that are not on the screen, such as what closed menus hold.
    #[arg(long)]
    hidden: bool,
    /// Form of the answer.
    #[arg(long, default_value = "tree")]
    format: Format,
    #[command(flatten)]
    plane: Plane,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One target a line, below what it is in.
    Tree,
    /// A list of objects: the target with its place, value and all its states.
    Json,
    /// How many there are of each role.
    Roles,
}

/// Looks, and tells.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    if let Some(role) = args.role.as_deref().filter(|role| !is_role(role)) {
        eprintln!(
            "mosdat: --role: '{role}' is no role of AT-SPI; 'mosdat nodes --vm {} --format roles' tells those that are there",
            args.vm
        );
        return Ok(exit::INVALID);
    }
    let link = link(&args).await?;
    let session = guest::discover(&link, PATIENCE).await?;
    let query = Query {
        roles: args
            .role
            .iter()
            .flat_map(|role| same_role(role))
            .map(String::from)
            .collect(),
        name: String::new(),
        app: args.app.clone().unwrap_or_default(),
        hidden: args.hidden,
    };
    let mut tree = guest::nodes(&link, &session, &query).await?;
    if !args.hidden {
        tree.nodes.retain(is_shown);
    }
    match args.format {
        Format::Tree => print!("{}", lines(&tree)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&objects(&tree))?),
        Format::Roles => print!("{}", roles(&tree)),
    }
    for why in &tree.unreadable {
        eprintln!("mosdat: {why}");
    }
    if tree.cut {
        eprintln!("mosdat: there are more elements than are told; --app and --role tell fewer");
    }
    if tree.nodes.is_empty() && tree.seen == 0 {
        eprintln!(
            "mosdat: no program that tells elements is running; Chromium and Electron need --force-renderer-accessibility"
        );
    } else if tree.nodes.is_empty() {
        eprintln!(
            "mosdat: {} elements were looked at, and none fits; Chromium and Electron need --force-renderer-accessibility",
            tree.seen
        );
    }
    Ok(exit::PASSED)
}

/// The way into the guest of the VM.
async fn link(args: &Args) -> anyhow::Result<AgentGuest> {
    let Machine { client, node, vmid } = args.plane.machine(&args.vm).await?;
    let told = client.agent_osinfo(&node, vmid).await;
    let told = told.with_context(|| format!("asking the agent of ProxmoxVM {} what runs there", args.vm))?;
    Ok(AgentGuest::new(client, node, vmid, System::of(&told.id)))
}

fn is_shown(node: &Node) -> bool {
    node.states.iter().any(|state| state == "showing")
}

/// What a scenario would say to mean the element; none where it has neither name nor a role of the language.
fn target(node: &Node) -> Option<Vec<(&'static str, Value)>> {
    let mut out = Vec::new();
    if is_role(&node.role) {
        out.push(("role", json!(node.role)));
    }
    let name = node.name.trim();
    if !name.is_empty() {
        // `{{` would begin a template, and a line is enough to know it by.
        match name.contains("{{") || name.contains('\n') {
            true => {
                let part = name
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .split("{{")
                    .next()
                    .unwrap_or_default();
                if !part.trim().is_empty() {
                    out.push(("name", json!({"contains": part.trim()})));
                }
            }
            false => out.push(("name", json!(name))),
        }
    }
    (!out.is_empty()).then_some(out)
}

/// A target on one line, as YAML takes it.
fn written(target: &[(&'static str, Value)]) -> String {
    let value = |key: &str, value: &Value| match value.as_str() {
        // Roles are plain words.
        Some(role) if key == "role" => role.to_string(),
        _ => value.to_string(),
    };
    let members: Vec<String> = target
        .iter()
        .map(|(key, v)| format!("{key}: {}", value(key, v)))
        .collect();
    format!("{{{}}}", members.join(", "))
}

/// How many elements each target fits.
fn alike(tree: &Tree) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for target in tree.nodes.iter().filter_map(target) {
        *count.entry(written(&target)).or_insert(0) += 1;
    }
    count
}

/// States that every element of a window has, or that follow from others, tell nothing.
const DULL: &[&str] = &[
    "enabled",
    "sensitive",
    "showing",
    "visible",
    "focusable",
    "opaque",
    "multi-line",
    "single-line",
    "horizontal",
    "vertical",
];

fn lines(tree: &Tree) -> String {
    let (alike, mut out, mut program) = (alike(tree), String::new(), None);
    for node in &tree.nodes {
        if program != Some((node.pid, node.app.as_str())) {
            program = Some((node.pid, node.app.as_str()));
            out += &format!("# {} (process {})\n", node.app, node.pid);
        }
        let indent = "  ".repeat(node.path.len());
        let mut told: Vec<String> = Vec::new();
        let text = match target(node) {
            Some(target) => {
                let text = written(&target);
                match alike.get(&text) {
                    Some(1) | None => {}
                    Some(many) => told.push(format!("one of {many} alike")),
                }
                text
            }
            None => format!("# {} without a name", node.role),
        };
        if let Some(value) = node
            .value
            .as_deref()
            .filter(|value| !value.trim().is_empty() && value.trim() != node.name.trim())
        {
            let first = value.lines().next().unwrap_or_default();
            let short: String = first.chars().take(60).collect();
            let more = if short.len() < value.len() { "…" } else { "" };
            told.push(format!("'{short}{more}'"));
        }
        told.extend(node.states.iter().filter(|s| !DULL.contains(&s.as_str())).cloned());
        if !is_shown(node) {
            told.push("not showing".into());
        }
        let told = match told.is_empty() {
            true => String::new(),
            false => format!("  # {}", told.join(", ")),
        };
        out += &format!("{indent}{text}{told}\n");
    }
    out
}

fn objects(tree: &Tree) -> Value {
    let object = |node: &Node| {
        let target: serde_json::Map<String, Value> = target(node)
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.to_string(), value))
            .collect();
        let path: Vec<Value> = node
            .path
            .iter()
            .map(|(role, name)| json!({"role": role, "name": name}))
            .collect();
        json!({
            "node": target, "role": node.role, "name": node.name, "app": node.app, "pid": node.pid, "states": node.states,
            "place": node.place, "value": node.value, "path": path,
        })
    };
    tree.nodes.iter().map(object).collect()
}

fn roles(tree: &Tree) -> String {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &tree.nodes {
        *count.entry(&node.role).or_default() += 1;
    }
    let line = |(role, n): (&&str, &usize)| match is_role(role) {
        true => format!("{n:5}  {role}\n"),
        false => format!("{n:5}  {role}  # no word of the language: name such an element by its name\n"),
    };
    count.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(role: &str, name: &str, depth: usize) -> Node {
        Node {
            role: role.into(),
            name: name.into(),
            states: vec!["showing".into(), "enabled".into()],
            path: vec![("frame".into(), "Lab Demo".into()); depth],
            pid: 7,
            app: "labdemo".into(),
            whole: true,
            ..Node::default()
        }
    }

    fn tree() -> Tree {
        let mut entry = node("text", "User name", 1);
        entry.value = Some("alice".into());
        entry.states.push("focused".into());
        Tree {
            nodes: vec![
                node("frame", "Lab Demo", 0),
                entry,
                node("push button", "Save \"all\"", 1),
                node("filler", "", 1),
                node("filler", "", 1),
                node("odd thing", "", 1),
                node("label", "Hello {{ name }}", 1),
            ],
            ..Tree::default()
        }
    }

    #[test]
    fn every_line_is_a_target_that_the_loader_takes() {
        let text = lines(&tree());
        assert!(
            text.starts_with("# labdemo (process 7)\n{role: frame, name: \"Lab Demo\"}\n"),
            "{text}"
        );
        assert!(
            text.contains("  {role: text, name: \"User name\"}  # 'alice', focused\n"),
            "{text}"
        );
        assert!(text.contains("{role: filler}  # one of 2 alike\n"), "{text}");
        assert!(text.contains("  # odd thing without a name\n"), "{text}");
        for line in text.lines().map(str::trim).filter(|line| line.starts_with('{')) {
            let scenario = format!("name: x\nsteps:\n  - expect:\n      node: {line}\n");
            crate::scenario::Scenario::from_str("x.yaml", &scenario).expect(line);
        }
    }

    #[test]
    fn other_forms() {
        let all = objects(&tree());
        assert_eq!(all[1]["node"], json!({"role": "text", "name": "User name"}));
        assert_eq!((&all[1]["value"], &all[5]["node"]), (&json!("alice"), &json!({})));
        let text = roles(&tree());
        assert!(
            text.contains("    2  filler\n") && text.contains("1  odd thing  # no word"),
            "{text}"
        );
    }
}
