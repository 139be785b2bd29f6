//! The predecessor's scenario files, read and said again in this language.
//!
//! Promises: what is printed loads, and lint has nothing against it that is not told as a remark; every key of the old
//! file has a remark with its place, so nothing is lost in silence; what cannot be said in this language is left out
//! and told as `by hand`, never guessed. Files are only read: the routines and fragments that a scenario names.
//!
//! [`constructs`] is the table of what becomes of what. `scenario` reads the outermost object, `step` (with `common`,
//! `program` and `act`) steps, `names` and `text` (with `shell`) templates, `routine` and `library` the files beside;
//! `out` writes, `mend` proves the promise.

mod act;
mod common;
mod dialect;
mod label;
mod library;
mod mend;
mod names;
mod nodes;
mod old;
mod out;
mod phases;
mod program;
mod routine;
mod scenario;
mod shell;
mod step;
mod table;
mod text;

pub use dialect::old_dialect;
pub use table::{Area, Construct, Fate, constructs};

use super::error::{Errors, Place, Problem, Problems};
use super::node::{Entry, Node, Value};
use super::yaml;
use names::Scope;
use old::merge;
use out::{Item, Member, Out, member};
use routine::{Done, Kind, folder_of};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// What became of one thing in the old file.
#[derive(Clone, Debug)]
pub struct ImportRemark {
    /// The file.
    pub origin: String,
    /// Where in it.
    pub place: Place,
    /// What became of it.
    pub fate: Fate,
    /// The row of the table that it is about.
    pub construct: &'static Construct,
    /// What that means here, and what to do.
    pub message: String,
}

/// `FILE:LINE:COLUMN: changed: message`
impl fmt::Display for ImportRemark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = Problem {
            origin: self.origin.clone(),
            place: self.place.clone(),
            message: format!("{}: {}", self.fate, self.message),
        };
        problem.fmt(f)
    }
}

/// A scenario in this language, and what was done to the old one.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The new file.
    pub text: String,
    /// In the order of the places.
    pub remarks: Vec<ImportRemark>,
}

/// Turns an old file into a new one. Routines and fragments are looked for in the folders above `origin`.
///
/// # Errors
/// The text is not YAML, or no scenario, fragment or routine of the old dialect; or, a fault of mosdat, the result does
/// not load.
pub fn import(origin: &str, text: &str) -> Result<Imported, Errors> {
    let mut problems = Problems::new(origin);
    let documents = yaml::read_old(text, &mut problems);
    let tree = match documents {
        Some(mut documents) if problems.is_empty() => match (documents.pop(), documents.is_empty()) {
            (Some(tree), true) => Some(tree),
            (Some(tree), false) => {
                problems.add(&tree.place, "more than one document; a file held one scenario");
                None
            }
            (None, _) => {
                problems.add(&Place::Whole, "the file is empty");
                None
            }
        },
        _ => None,
    };
    let Some(mut tree) = tree else {
        return Err(problems.into_errors());
    };
    merge(&mut tree);
    if let Some((place, message)) = refused(&tree) {
        problems.add(&place, message);
        return Err(problems.into_errors());
    }
    let mut import = Import {
        file: File::new(origin, text),
        folder: folder_of(Path::new(origin)),
        windows: is_windows(origin),
        ..Import::default()
    };
    let head = label::head(&import.file.lines);
    let members = match library(origin, &tree) {
        Some(kind) => {
            // Its callers decide.
            import.checkpoints = true;
            let stem = stem(origin);
            let slug = tree.get("name").and_then(Node::as_str).unwrap_or(&stem).to_string();
            import.declare_routine(kind, &slug, &tree);
            Vec::new()
        }
        None => import.scenario(&tree),
    };
    mend::finish(import, head, members)
}

/// Letters of a comment about what is left out.
const LONGEST_COMMENT: usize = 240;
/// Comments above one step: YAML's reader takes some ninety in a row.
const MOST_COMMENTS: usize = 20;

/// A file that is being read.
#[derive(Clone, Debug, Default)]
struct File {
    origin: String,
    lines: Vec<String>,
}

impl File {
    fn new(origin: &str, text: &str) -> File {
        File {
            origin: origin.to_string(),
            lines: text.lines().map(String::from).collect(),
        }
    }
}

/// The state of an import.
#[derive(Default)]
struct Import {
    file: File,
    /// Where the scenario is, absolute.
    folder: Option<PathBuf>,
    windows: bool,
    remarks: Vec<ImportRemark>,
    /// Names: those of the scenario, and of the routines that are being read.
    scopes: Vec<Scope>,
    /// What `routines` holds.
    routines: Vec<Member>,
    done: BTreeMap<(Kind, String), Done>,
    within: Vec<(Kind, String)>,
    labels: BTreeSet<String>,
    /// Snapshots were taken.
    checkpoints: bool,
    /// What comes after them is tried again where it fails.
    again: bool,
    /// How many lists of steps the present one is within, itself included.
    depth: usize,
    /// Comments for the next step.
    todo: Vec<String>,
    last_id: usize,
}

impl Import {
    /// What the table says.
    fn tell(&mut self, area: Area, construct: &'static str, place: &Place) {
        self.tell_more(area, construct, place, "");
    }

    /// What the table says, and more.
    fn tell_more(&mut self, area: Area, construct: &'static str, place: &Place, more: &str) {
        self.tell_as(table::row(area, construct).fate, area, construct, place, more);
    }

    /// As something else than usual.
    fn tell_as(&mut self, fate: Fate, area: Area, construct: &'static str, place: &Place, more: &str) {
        let construct = table::row(area, construct);
        let remark = ImportRemark {
            origin: self.file.origin.clone(),
            place: place.clone(),
            fate,
            construct,
            // What is not as usual has words of its own.
            message: match fate == construct.fate || more.is_empty() {
                true => format!("{}: {}{more}", construct.shown(), construct.now),
                false => format!("{}: {}", construct.shown(), more.trim_start_matches([';', ':', ' '])),
            },
        };
        let same = |r: &ImportRemark| {
            r.place == remark.place && r.origin == remark.origin && r.message == remark.message && r.fate == fate
        };
        // The same text in one place is worth one remark.
        if !self.remarks.iter().rev().take(50).any(same) {
            self.remarks.push(remark);
        }
    }

    /// What is left out, and why; a comment in the result says it, too.
    fn by_hand(&mut self, area: Area, construct: &'static str, place: &Place, why: &str) {
        let row = table::row(area, construct);
        let more = match row.fate {
            _ if why.is_empty() => String::new(),
            Fate::ByHand => format!(" ({why})"),
            _ => format!("it is left out: {why}"),
        };
        let told = if why.is_empty() { row.now } else { why };
        self.leave(row, place, &more, told);
    }

    /// A remark, and a comment for the next step.
    fn leave(&mut self, row: &'static Construct, place: &Place, more: &str, told: &str) {
        self.tell_as(Fate::ByHand, row.area, row.old, place, more);
        let line = match place {
            Place::Line(line, _) => format!(" (line {line})"),
            _ => String::new(),
        };
        let told: String = told.chars().take(LONGEST_COMMENT).collect();
        match self.todo.len() {
            0..MOST_COMMENTS => self.todo.push(format!("TODO(import): {}{line}: {told}", row.old)),
            MOST_COMMENTS => self.todo.push("TODO(import): and more; the remarks tell what".into()),
            _ => {}
        }
    }

    fn id(&mut self) -> usize {
        self.last_id += 1;
        self.last_id
    }

    /// Steps of a list that must not be empty.
    fn filled(&mut self, nodes: &[Node], place: &Place) -> Vec<Item> {
        let mut items = self.steps(nodes);
        self.fill(&mut items, place);
        items
    }

    fn fill(&mut self, items: &mut Vec<Item>, place: &Place) {
        if items.iter().all(|i| i.members.is_empty()) {
            let id = self.id();
            items.push(placeholder(id, (self.file.origin.clone(), place.clone())));
        }
    }
}

/// A step that does nothing, where the language wants one.
fn placeholder(id: usize, from: (String, Place)) -> Item {
    Item {
        id,
        from,
        comments: vec!["TODO(import): nothing of the old steps could be carried over".into()],
        members: vec![member("note", Out::str("nothing is left of the old steps here"))],
    }
}

/// A short text of a value, for a comment.
fn told(node: &Node) -> String {
    let text: String = node.to_json().to_string().chars().take(300).collect();
    text.replace("{{", "{ {")
}

/// What is no scenario of the old dialect.
fn refused(tree: &Node) -> Option<(Place, String)> {
    let wrong = |message: &str| Some((tree.place.clone(), message.to_string()));
    match &tree.value {
        Value::Map(entries) => {
            let at = |keys: &[&str]| entries.iter().find(|e| keys.contains(&e.key.as_str()));
            let refuse = |e: &Entry, message: &str| Some((e.place.clone(), message.to_string()));
            if let Some(e) = at(&["apiVersion"]) {
                return refuse(e, "this is a manifest of Kubernetes, not a scenario of the old dialect");
            }
            if let Some(e) = at(&["setup_steps", "teardown_steps", "vm_state"]) {
                return refuse(
                    e,
                    "this is a fixture: put its steps into `setup` and `cleanup` of the scenarios that need it",
                );
            }
            if let Some(e) = at(&["symptoms", "pivots"]) {
                return refuse(e, "this is a recipe: text for people, which nothing carries out");
            }
            match at(&["steps"]) {
                Some(e) if matches!(e.value.value, Value::Seq(_)) => None,
                Some(e) => refuse(e, "'steps' must be a list of steps"),
                None => wrong("a scenario of the old dialect has 'steps', and this has none"),
            }
        }
        Value::Seq(_) => None,
        _ => wrong(&format!("a scenario must be an object, not {}", tree.kind())),
    }
}

/// Which file it is, where it is not a scenario.
fn library(origin: &str, tree: &Node) -> Option<Kind> {
    let inside = |name: &str| {
        Path::new(origin)
            .components()
            .rev()
            .skip(1)
            .any(|c| c.as_os_str() == name)
    };
    let has = |key: &str| tree.get(key).is_some();
    if matches!(tree.value, Value::Seq(_)) || (inside("imports") && !has("vars")) {
        return Some(Kind::Fragment);
    }
    let signs = [
        "schema_version",
        "preconditions",
        "postconditions",
        "fallbacks",
        "inputs",
    ];
    (signs.iter().any(|s| has(s)) || inside("routines")).then_some(Kind::Routine)
}

fn stem(origin: &str) -> String {
    let stem = Path::new(origin)
        .file_stem()
        .map(|s| s.to_string_lossy().replace("{{", ""));
    stem.filter(|s| !s.trim().is_empty())
        .unwrap_or_else(|| "scenario".into())
}

/// The old runner chose the folder by the VM's system: `windows10`.
fn is_windows(origin: &str) -> bool {
    Path::new(origin).components().rev().skip(1).any(|c| {
        let name = c.as_os_str().to_string_lossy().to_lowercase();
        let version = name.strip_prefix("windows");
        version.is_some_and(|v| v.chars().all(|c| c.is_ascii_digit()))
    })
}
