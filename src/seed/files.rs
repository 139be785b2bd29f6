//! The files of `--test`: where they are, and in which of the two languages they are written.

use super::config::{Config, Vm};
use crate::scenario::{Errors, Fate, ImportRemark, Place, Problem, Scenario, import};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A scenario of `--test`.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// The scenario, in this language.
    pub scenario: Scenario,
    /// What became of the old one, where it was one.
    pub remarks: Vec<ImportRemark>,
}

impl Loaded {
    /// What of the old scenario is left out until somebody has said it anew. What lint has against it leaves nothing out.
    pub fn by_hand(&self) -> Vec<&ImportRemark> {
        let left = |r: &&ImportRemark| r.fate == Fate::ByHand && r.construct.old != "what lint warns of";
        self.remarks.iter().filter(left).collect()
    }
}

/// The folder of the tests: beside the TOML file, or in a folder above it, where the old tool was started.
pub fn folder(config: &Config) -> PathBuf {
    if config.tests_dir.is_absolute() {
        return config.tests_dir.clone();
    }
    // As it was written first: that is how places are told then.
    let file = PathBuf::from(&config.origin);
    let whole = std::path::absolute(&file).unwrap_or_else(|_| file.clone());
    let mut above = file
        .ancestors()
        .chain(whole.ancestors())
        .skip(1)
        .map(|f| f.join(&config.tests_dir));
    above.find(|f| f.is_dir()).unwrap_or_else(|| config.tests_dir.clone())
}

/// The file of a test for a VM: its own, else the one of its system, else the one for all. A name with a `/` or an ending
/// is a path.
///
/// # Errors
/// There is none; the message has the places that were looked at.
pub fn find(config: &Config, vm: &Vm, test: &str) -> Result<PathBuf, Problem> {
    if test.contains('/') || test.ends_with(".yaml") || test.ends_with(".yml") {
        return Ok(PathBuf::from(test));
    }
    let places = places(&folder(config), vm, test);
    match places.iter().find(|p| p.is_file()) {
        Some(path) => Ok(path.clone()),
        None => {
            let tests = tests(&places, test);
            let told = match tests.is_empty() {
                true => {
                    let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
                    format!("{} are not there, nor any other", places.join(", "))
                }
                false => format!("those of {} are {}", folder(config).display(), tests.join(", ")),
            };
            Err(config.problem(
                vm.place.clone(),
                format!("there is no test '{test}' for VM '{}': {told}", vm.name),
            ))
        }
    }
}

fn places(folder: &Path, vm: &Vm, test: &str) -> Vec<PathBuf> {
    let mut folders = vec![folder.join(&vm.name)];
    if !vm.windows {
        folders.push(folder.join("linux"));
    }
    folders.push(folder.to_path_buf());
    let files = |f: &PathBuf| ["yaml", "yml"].map(|end| f.join(format!("{test}.{end}")));
    folders.iter().flat_map(files).collect()
}

/// Names of the tests in the folders of these places, the one nearest to `wanted` first.
fn tests(places: &[PathBuf], wanted: &str) -> Vec<String> {
    let folders: BTreeSet<&Path> = places.iter().filter_map(|p| p.parent()).collect();
    let files = folders
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten();
    let name = |file: std::fs::DirEntry| {
        let path = file.path();
        let is_test = path.is_file() && path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        is_test.then(|| path.file_stem()?.to_str().map(String::from)).flatten()
    };
    let names: BTreeSet<String> = files.flatten().filter_map(name).collect();
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by(|a, b| {
        let near = |name: &str| strsim::jaro_winkler(name, wanted);
        near(b).total_cmp(&near(a))
    });
    names
}

/// Words that only the old language has.
const OLD: &[&str] = &[
    "vars",
    "imports",
    "phases",
    "checkpoints",
    "localize",
    "launch_window",
    "launch_timeout",
    "then_type",
    "then_key",
    "verify_click",
    "verify_input",
    "verify_timeout",
    "accept_any",
    "retries",
    "focus",
    "canary",
    "must_pass",
    "if_visible",
    "checkpoint",
    "atspi",
    "verify_atspi",
    "import",
    "routine",
    "{name}",
];

/// Reads a scenario of either language.
///
/// # Errors
/// Everything that is wrong with it, in the words of the language that it is written in.
pub fn load(path: &Path) -> Result<Loaded, Errors> {
    let origin = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| {
        Errors(vec![Problem {
            origin: origin.clone(),
            place: Place::Whole,
            message: format!("cannot be read: {e}"),
        }])
    })?;
    let loaded = |scenario, remarks| Loaded {
        path: path.to_path_buf(),
        scenario,
        remarks,
    };
    let errors = match Scenario::from_text(&origin, &text, path.parent()) {
        Ok(scenario) => return Ok(loaded(scenario, Vec::new())),
        Err(errors) => errors,
    };
    // A file of this language with a fault must not be taken for an old one: it would be told the wrong things.
    let Ok(imported) = import(&origin, &text) else {
        return Err(errors);
    };
    let old = |r: &ImportRemark| r.construct.old.split(", ").any(|w| OLD.contains(&w));
    if !imported.remarks.iter().any(old) {
        return Err(errors);
    }
    let scenario = Scenario::from_text(&origin, &imported.text, path.parent())?;
    Ok(loaded(scenario, imported.remarks))
}
