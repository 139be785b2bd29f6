//! `mosdat lint FILE...`: what loads and is still likely a mistake. Nothing is touched, nothing is contacted.

mod sarif;

use super::apply::{self, Body};
use super::{check, exit, files};
use crate::scenario::{LOAD, OLD_DIALECT, Place, Remark, Rule, Scenario, Severity, allows, rules};
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Manifests, scenario files, or folders of them, with their subfolders (not hidden ones).
    #[arg(required_unless_present = "list", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Form of the output.
    #[arg(long, default_value = "text")]
    format: Format,
    /// Exit with 3 where there are warnings, too.
    #[arg(long)]
    deny_warnings: bool,
    /// Leave this rule's remarks out; for one step, write `# lint: allow RULE` on its first line or the line above.
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = PossibleValuesParser::new(allowable()), hide_possible_values = true)]
    allow: Vec<String>,
    /// Print the rules instead.
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// As compilers write it.
    Text,
    /// An array of objects.
    Json,
    /// SARIF 2.1.0, which code hosts show beside the lines.
    Sarif,
}

/// What was found in the files.
struct Looked {
    remarks: Vec<Remark>,
    files: usize,
    scenarios: usize,
}

pub async fn run(args: Args) -> anyhow::Result<u8> {
    if args.list {
        return Ok(match list(args.format) {
            Ok(text) => {
                print!("{text}");
                exit::PASSED
            }
            Err(problem) => {
                eprintln!("mosdat: {problem}");
                exit::INVALID
            }
        });
    }
    let mut looked = look(&args.files).await?;
    looked
        .remarks
        .retain(|r| !args.allow.iter().any(|allowed| allowed == r.rule.id));
    match args.format {
        Format::Text => print!("{}", text(&looked)),
        Format::Json => println!("{:#}", Value::Array(looked.remarks.iter().map(remark_json).collect())),
        Format::Sarif => println!("{:#}", sarif::log(&looked.remarks)),
    }
    let denied = match args.deny_warnings {
        true => Severity::Warning,
        false => Severity::Error,
    };
    Ok(match looked.remarks.iter().any(|r| r.severity >= denied) {
        true => exit::INVALID,
        false => exit::PASSED,
    })
}

/// Names of the rules that can be allowed.
fn allowable() -> Vec<&'static str> {
    rules()
        .map(|r| r.id)
        .filter(|id| ![LOAD.id, OLD_DIALECT.id].contains(id))
        .collect()
}

async fn look(paths: &[PathBuf]) -> anyhow::Result<Looked> {
    let texts = files::texts(paths, true);
    let mut looked = Looked {
        remarks: texts
            .problems
            .into_iter()
            .map(Remark::from)
            .chain(texts.aside)
            .collect(),
        files: texts.files,
        scenarios: 0,
    };
    let read: Vec<_> = texts.parts.iter().map(|part| (part, apply::document(part))).collect();
    let bodies: Vec<_> = read.iter().map(|(_, (d, _))| d.as_ref().map(|d| &d.body)).collect();
    let judged = check::each(&bodies.iter().map(|b| b.unwrap_or(&Body::Routines)).collect::<Vec<_>>()).await?;
    for ((part, (_, wrong)), refused) in read.iter().zip(judged) {
        let refused = refused.map(|why| part.problem(why));
        let wrong = wrong.iter().cloned().chain(refused);
        looked.remarks.extend(wrong.map(Remark::from));
        if apply::is_library(&part.text) {
            continue;
        }
        let file = part.file.display().to_string();
        // What cannot be loaded is told by now.
        let Ok(scenarios) = Scenario::in_manifests(&file, &part.text, part.file.parent()) else {
            continue;
        };
        looked.scenarios += scenarios.len();
        let found = scenarios.iter().flat_map(Scenario::lint);
        looked.remarks.extend(found.filter(|r| match r.origin == file {
            true => !allows(&part.text, r),
            false => !std::fs::read_to_string(&r.origin).is_ok_and(|text| allows(&text, r)),
        }));
    }
    Ok(looked)
}

fn text(looked: &Looked) -> String {
    let mut out = String::new();
    let mut hinted: Vec<&str> = Vec::new();
    for remark in &looked.remarks {
        out.push_str(&format!("{remark}\n"));
        // Once for a rule: more remarks of it are no other advice.
        if !hinted.contains(&remark.rule.id) {
            hinted.push(remark.rule.id);
            out.push_str(&format!("  hint: {}\n", remark.hint()));
        }
    }
    let many = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let of = |severity: Severity| {
        let n = looked.remarks.iter().filter(|r| r.severity == severity).count();
        many(n, severity.as_str())
    };
    out.push_str(&format!(
        "{} read, {}: {}, {}, {}\n",
        many(looked.files, "file"),
        many(looked.scenarios, "scenario"),
        of(Severity::Error),
        of(Severity::Warning),
        of(Severity::Note)
    ));
    out
}

/// A place as members: `line` and `column` in a file, `path` in an object, nothing for the whole.
fn position(place: &Place) -> Value {
    match place {
        Place::Line(line, column) | Place::File(_, line, column) => json!({"line": line, "column": column}),
        Place::Path(path) => json!({"path": path}),
        Place::Whole => json!({}),
    }
}

fn remark_json(remark: &Remark) -> Value {
    let mut object = json!({
        "rule": remark.rule.id,
        "severity": remark.severity.as_str(),
        "file": remark.origin,
        "message": remark.message,
        "hint": remark.hint(),
    });
    if let (Value::Object(object), Value::Object(position)) = (&mut object, position(&remark.place)) {
        object.extend(position);
    }
    object
}

fn list(format: Format) -> Result<String, &'static str> {
    let told = |rule: &Rule| json!({"rule": rule.id, "severity": rule.severity.as_str(), "about": rule.about, "hint": rule.hint});
    Ok(match format {
        Format::Text => rules()
            .map(|r| {
                format!(
                    "{:<21}{:<9}{}\n{:30}{}\n",
                    r.id,
                    r.severity.as_str(),
                    r.about,
                    "",
                    r.hint
                )
            })
            .collect(),
        Format::Json => format!("{:#}\n", Value::Array(rules().map(told).collect())),
        Format::Sarif => return Err("--list has the formats text and json; SARIF tells the rules with the results"),
    })
}
