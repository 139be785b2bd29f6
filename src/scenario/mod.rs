//! The scenario language: types, the one loader, and the plan of a run. No I/O but reading files.
//!
//! Promises: every error of a scenario is reported at once, each with its place, the offending word, the valid ones
//! and the nearest; nothing is accepted and ignored; a secret can only stand where it may be used; ids of steps do
//! not depend on inputs. `plan` is the only way to filled-in texts: it needs a value for every input.

mod accessible;
mod bundle;
mod check;
mod chord;
mod display;
mod error;
mod foreign;
mod import;
mod late;
mod lint;
mod machine;
mod mistakes;
mod model;
mod node;
mod parse;
mod phase;
mod plan;
mod platform;
mod reference;
mod schema;
mod target;
mod template;
mod text;
mod vocabulary;
mod yaml;

pub use accessible::{Accessible, is_role, same_role};
pub use chord::{KEYS, MODIFIERS};
pub use error::{Errors, Place, Problem, unknown};
pub use foreign::of_other_tool;
pub use import::{Area as ImportArea, Construct, Fate, ImportRemark, Imported, constructs, import, old_dialect};
pub use late::Late;
pub use lint::{LOAD, OLD_DIALECT, OTHER_TOOL, Remark, Rule, Severity, allows, rules};
pub use machine::{Format, Install, Power, Snapshot, Uninstall};
pub use model::*;
pub use phase::Phase;
pub use plan::Plan;
pub use platform::lacks;
pub use reference::{Area, AreaKind, MARGIN, Reference, SIMILARITY, Variant};
pub use schema::{json_schema, page};

use crate::api;
use error::Problems;
use node::{Node, Value};
use reference::Library;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A scenario that has been loaded without errors. Its texts stand as written; [`Scenario::plan`] fills them in.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// File or object that it came from.
    pub origin: String,
    /// Title for people.
    pub name: String,
    /// What it shows.
    pub description: Option<String>,
    /// Systems that it is written for; empty: any.
    pub platforms: Vec<Platform>,
    /// Declared inputs.
    pub inputs: BTreeMap<String, Input>,
    /// Steps before the test.
    pub setup: Vec<Step>,
    /// The test.
    pub steps: Vec<Step>,
    /// Steps that always run at the end.
    pub cleanup: Vec<Step>,
    /// Wall-clock time for set-up and test, where the scenario says it.
    pub budget: Option<Duration>,
    /// Named parts of the test, in the order of its steps.
    pub phases: Vec<Phase>,
    /// Captured values that a run tells at its end.
    pub outputs: Vec<String>,
    /// True where something from other files was put into it.
    pub bundled: bool,
    tree: Node,
}

impl Scenario {
    /// Loads a file, with the reference images beside it.
    ///
    /// # Errors
    /// The file cannot be read, or [`Scenario::from_str`]'s.
    pub fn from_file(path: &Path) -> Result<Scenario, Errors> {
        let origin = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Scenario::from_text(&origin, &text, path.parent()),
            Err(error) => {
                let mut problems = Problems::new(&origin);
                problems.add(&Place::Whole, format!("cannot be read: {error}"));
                Err(problems.into_errors())
            }
        }
    }

    /// Loads the text of a stand-alone scenario or of a `Scenario` manifest. `origin` names it in errors.
    ///
    /// # Errors
    /// Everything that is wrong, each with line and column.
    // Not the trait: it has no place for the origin.
    #[allow(clippy::should_implement_trait)]
    pub fn from_str(origin: &str, text: &str) -> Result<Scenario, Errors> {
        Scenario::from_text(origin, text, None)
    }

    /// As [`Scenario::from_str`], with the reference images that are in `folder`.
    ///
    /// # Errors
    /// As there; what is wrong with a reference's sidecar has its place there.
    pub fn from_text(origin: &str, text: &str, folder: Option<&Path>) -> Result<Scenario, Errors> {
        Scenario::read(origin, text, folder).map_err(|errors| of_old_dialect(origin, text, errors))
    }

    fn read(origin: &str, text: &str, folder: Option<&Path>) -> Result<Scenario, Errors> {
        let mut problems = Problems::new(origin);
        let documents = yaml::read(text, &mut problems);
        let root = match documents {
            None => return Err(problems.into_errors()),
            Some(mut documents) => match (documents.pop(), documents.first()) {
                (Some(node), None) => node,
                (None, _) => {
                    problems.add(&Place::Whole, "the file is empty; a scenario needs 'name' and 'steps'");
                    return Err(problems.into_errors());
                }
                (Some(second), Some(_)) => {
                    problems.add(&second.place, "more than one document; a file holds one scenario");
                    return Err(problems.into_errors());
                }
            },
        };
        match spec_of(root, &mut problems) {
            Some(tree) => from_tree(origin, tree, folder, problems),
            None => Err(problems.into_errors()),
        }
    }

    /// Checks a file of routines, which other files import.
    ///
    /// # Errors
    /// Everything that is wrong in it and in the files that it imports.
    pub fn check_routines(origin: &str, text: &str) -> Result<(), Errors> {
        let mut problems = Problems::new(origin);
        let documents = yaml::read(text, &mut problems);
        for mut tree in documents.into_iter().flatten() {
            bundle::bundle(&mut tree, Path::new(origin), &mut problems);
            let references = Library::beside(Path::new(origin).parent());
            let mut parser = parse::Parser::new(&mut problems, parse::Scope::default(), references);
            parse::library(&mut parser, &tree);
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems.into_errors()),
        }
    }

    /// Loads every scenario in a file of manifests: stand-alone ones, `Scenario`s, and those inside of runs. Documents of
    /// other kinds are left alone. For the command line, so that an error in a run's scenario has a line, too. Reference
    /// images are in `folder`.
    ///
    /// # Errors
    /// Everything that is wrong in all of them.
    pub fn in_manifests(origin: &str, text: &str, folder: Option<&Path>) -> Result<Vec<Scenario>, Errors> {
        let mut problems = Problems::new(origin);
        let Some(documents) = yaml::read(text, &mut problems) else {
            return Err(of_old_dialect(origin, text, problems.into_errors()));
        };
        let mut found = Vec::new();
        let mut wrong = problems.into_errors().0;
        for document in documents {
            let kind = document.get("kind").and_then(Node::as_str);
            let inline = || document.get("spec")?.get("scenario")?.get("inline");
            let mut problems = Problems::new(origin);
            let tree = match kind {
                None if document.get("apiVersion").is_some() => continue,
                None | Some("Scenario") => spec_of(document, &mut problems),
                Some("FunctionalTestRun") => inline().cloned(),
                // A kind alone makes no manifest.
                Some(_) if document.get("apiVersion").is_none() => spec_of(document, &mut problems),
                Some(_) => continue,
            };
            match tree {
                Some(tree) => match from_tree(origin, tree, folder, problems) {
                    Ok(scenario) => found.push(scenario),
                    Err(errors) => wrong.extend(errors.0),
                },
                None => wrong.extend(problems.into_errors().0),
            }
        }
        if wrong.is_empty() {
            Ok(found)
        } else {
            Err(of_old_dialect(origin, text, Errors(wrong)))
        }
    }

    /// Loads what came through the API. `origin` names the object in errors, whose places are paths within it.
    ///
    /// # Errors
    /// Everything that is wrong, each with its path.
    pub fn from_spec(spec: &api::ScenarioSpec, origin: &str) -> Result<Scenario, Errors> {
        let mut problems = Problems::new(origin);
        match serde_json::to_value(spec) {
            Ok(value) => load(origin, Node::from_json(&value, "spec"), false, None, problems),
            Err(error) => {
                problems.add(&Place::Whole, format!("cannot be read: {error}"));
                Err(problems.into_errors())
            }
        }
    }

    /// The scenario as the API server stores it.
    ///
    /// # Errors
    /// A value that the loader takes and the schema does not; that would be a fault of mosdat.
    pub fn to_spec(&self) -> Result<api::ScenarioSpec, serde_json::Error> {
        serde_json::from_value(self.tree.to_json())
    }

    /// SHA-256 of what the scenario says, hexadecimal; comments and layout do not count.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        canonical(&self.tree, &mut hash);
        hex::encode(hash.finalize())
    }

    /// Names of the inputs whose values are secret.
    pub fn secret_inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs
            .iter()
            .filter(|(_, i)| i.secret)
            .map(|(name, _)| name.as_str())
    }

    /// Number of steps in all sections, those within steps included.
    pub fn total_steps(&self) -> usize {
        let outer = self.setup.iter().chain(&self.steps).chain(&self.cleanup);
        outer.map(|step| step.flatten().len()).sum()
    }
}

/// What is wrong, in one line where the text is of the predecessor's dialect: each of its words is wrong then.
fn of_old_dialect(origin: &str, text: &str, errors: Errors) -> Errors {
    match old_dialect(origin, text) {
        Some(problem) => Errors(vec![problem]),
        None => errors,
    }
}

/// The scenario within a manifest, or the document itself.
fn spec_of(root: Node, problems: &mut Problems) -> Option<Node> {
    let entries = match &root.value {
        Value::Map(entries) => entries,
        _ => {
            problems.add(
                &root.place,
                format!(
                    "a scenario must be an object with 'name' and 'steps', not {}{}",
                    root.kind(),
                    match root.value {
                        Value::Seq(_) => ": write 'name: ...' above, and the list below 'steps:'",
                        _ => "",
                    }
                ),
            );
            return None;
        }
    };
    let get = |key: &str| entries.iter().find(|e| e.key == key);
    let (version, kind) = match (get("apiVersion"), get("kind")) {
        (None, None) => return Some(root),
        (version, kind) => (version, kind),
    };
    let group_version = format!("{}/{}", api::GROUP, api::VERSION);
    let mut good = true;
    for (entry, key, wanted) in [
        (version, "apiVersion", group_version.as_str()),
        (kind, "kind", "Scenario"),
    ] {
        match entry {
            Some(e) if matches!(&e.value.value, Value::Str(s) if s == wanted) => {}
            Some(e) => {
                problems.add(&e.value.place, format!("'{key}' must be {wanted} for a scenario"));
                good = false;
            }
            None => {
                problems.add(&root.place, format!("a manifest needs '{key}': {wanted}"));
                good = false;
            }
        }
    }
    if !good {
        return None;
    }
    for entry in entries {
        if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&entry.key.as_str()) {
            let valid = ["apiVersion", "kind", "metadata", "spec"];
            problems.add(
                &entry.place,
                error::unknown("key of a manifest", "keys", &entry.key, &valid),
            );
        }
    }
    match get("spec") {
        Some(e) => Some(e.value.clone()),
        None => {
            problems.add(&root.place, "a manifest needs 'spec'");
            None
        }
    }
}

/// Loads what stands in the file `origin`, with the reference images in `folder`.
fn from_tree(origin: &str, mut tree: Node, folder: Option<&Path>, mut problems: Problems) -> Result<Scenario, Errors> {
    let bundled = bundle::bundle(&mut tree, Path::new(origin), &mut problems);
    load(origin, tree, bundled, folder, problems)
}

fn load(
    origin: &str,
    mut tree: Node,
    bundled: bool,
    folder: Option<&Path>,
    mut problems: Problems,
) -> Result<Scenario, Errors> {
    let mut parser = parse::Parser::new(&mut problems, parse::Scope::default(), Library::beside(folder));
    let parsed = parse::scenario(&mut parser, &tree);
    let parse::Parts {
        inputs, mut references, ..
    } = parser.into_parts();
    // From here on the scenario stands by itself.
    let bundled = references.embed(&mut tree) || bundled;
    match parsed {
        Some(parsed) if problems.is_empty() => Ok(Scenario {
            origin: origin.to_string(),
            name: parsed.name,
            description: parsed.description,
            platforms: parsed.platforms,
            inputs,
            setup: parsed.setup,
            steps: parsed.steps,
            cleanup: parsed.cleanup,
            budget: parsed.budget,
            phases: parsed.phases,
            outputs: parsed.outputs,
            bundled,
            tree,
        }),
        _ => Err(problems.into_errors()),
    }
}

/// Feeds the tree to the hash: members by name, every text with its length, so that no two trees look alike.
fn canonical(node: &Node, hash: &mut Sha256) {
    let mut text = |kind: char, text: &str| hash.update(format!("{kind}{}:{text};", text.len()).as_bytes());
    match &node.value {
        Value::Null => text('n', ""),
        Value::Bool(b) => text('b', &b.to_string()),
        Value::Int(i) => text('i', &i.to_string()),
        Value::Float(f) => text('f', &f.to_string()),
        Value::Str(s) => text('s', s),
        Value::Seq(items) => {
            text('[', &items.len().to_string());
            for item in items {
                canonical(item, hash);
            }
        }
        Value::Map(entries) => {
            text('{', &entries.len().to_string());
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            for entry in sorted {
                hash.update(format!("k{}:{};", entry.key.len(), entry.key).as_bytes());
                canonical(&entry.value, hash);
            }
        }
    }
}
