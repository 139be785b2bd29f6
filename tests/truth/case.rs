//! One case: a scenario, and the one outcome that is right for it.

use regex::Regex;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What stands before the scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// Why this outcome is the right one.
    pub why: String,
    /// The run's result.
    pub result: String,
    /// Class of the infrastructure where the result is `error`.
    pub class: Option<String>,
    /// Class of the error with which a machine that is too slow to tell ends instead; it is no verdict.
    pub too_slow: Option<String>,
    /// Reason of the failure, a regular expression for all of it.
    pub reason: Option<String>,
    /// Behaviour of the model that looks at the screen; none: text recognition.
    pub vision: Option<String>,
    /// What happens from outside while the run goes on.
    pub outside: Option<Outside>,
    /// Seconds that the run has.
    pub seconds: Option<u32>,
}

/// Something that no step can do. Each names the step at whose beginning it is done.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outside {
    /// The VM stands still.
    pub freeze: Option<String>,
    /// For so long.
    pub seconds: Option<u64>,
    /// The VM's process is killed.
    pub kill: Option<String>,
    /// The run is cancelled.
    pub cancel: Option<String>,
}

pub struct Case {
    pub name: String,
    pub path: PathBuf,
    pub truth: Truth,
    /// The scenario, on the lines that it has in the file.
    pub scenario: String,
}

/// What a run ended with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ending {
    pub result: String,
    pub class: Option<String>,
    pub reason: Option<String>,
    pub message: String,
    /// How long it took to get the VM, to carry the scenario out, and to give the VM back.
    pub took: [std::time::Duration; 3],
}

impl Case {
    pub fn read(path: &Path) -> Case {
        let text = std::fs::read_to_string(path).expect("case");
        let (head, body) = text.split_once("\n---\n").expect("a head, ---, and a scenario");
        let truth: Truth = serde_saphyr::from_str(head).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Case {
            name: path.file_stem().expect("name").to_string_lossy().into_owned(),
            path: path.to_path_buf(),
            scenario: format!("{}{body}", "\n".repeat(head.lines().count() + 1)),
            truth,
        }
    }

    /// What is not as it should be.
    pub fn wrong(&self, ending: &Ending) -> Option<String> {
        let reason = match &self.truth.reason {
            None => ending.reason.is_none(),
            Some(pattern) => {
                let pattern = Regex::new(&format!("^(?:{pattern})$")).expect("reason");
                ending.reason.as_deref().is_some_and(|r| pattern.is_match(r))
            }
        };
        let too_slow = self.truth.too_slow.is_some() && ending.result == "error" && ending.class == self.truth.too_slow;
        let right = too_slow || ending.result == self.truth.result && ending.class == self.truth.class && reason;
        (!right).then(|| {
            format!(
                "wanted {} {}{}, got {} {}{}: {}",
                self.truth.result,
                self.truth.class.as_deref().map(|c| format!("{c} ")).unwrap_or_default(),
                self.truth.reason.as_deref().unwrap_or("-"),
                ending.result,
                ending.class.as_deref().map(|c| format!("{c} ")).unwrap_or_default(),
                ending.reason.as_deref().unwrap_or("-"),
                ending.message,
            )
        })
    }

    /// The right outcome says that the product is fine.
    pub fn is_good(&self) -> bool {
        self.truth.result == "passed"
    }
}
