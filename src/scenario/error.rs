//! What is wrong with a scenario: every problem with its place.

use std::fmt;
use std::sync::Arc;

/// Where something stands: in a file, or in an object that came through the API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Line and column, both from 1.
    Line(usize, usize),
    /// Another file than the scenario's, line and column.
    File(Arc<str>, usize, usize),
    /// Path inside an object, such as `spec.steps[2].click`.
    Path(String),
    /// The file or the call as a whole.
    Whole,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File or object.
    pub origin: String,
    /// Where in it.
    pub place: Place,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(line, column) => write!(f, "{}:{line}:{column}: {}", self.origin, self.message),
            Place::File(file, line, column) => write!(f, "{file}:{line}:{column}: {}", self.message),
            Place::Path(path) => write!(f, "{}: {path}: {}", self.origin, self.message),
            Place::Whole => write!(f, "{}: {}", self.origin, self.message),
        }
    }
}

/// All problems of a scenario, in the order of their places. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Errors(pub Vec<Problem>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Collects problems while a scenario is read.
#[derive(Debug)]
pub(super) struct Problems {
    origin: String,
    found: Vec<Problem>,
    /// Those of other files.
    others: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(origin: &str) -> Problems {
        Problems {
            origin: origin.to_string(),
            found: Vec::new(),
            others: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, place: &Place, message: impl Into<String>) {
        self.found.push(Problem {
            origin: self.origin.clone(),
            place: place.clone(),
            message: message.into(),
        });
    }

    /// Adds what is wrong elsewhere.
    pub(super) fn take(&mut self, other: Problems) {
        self.found.extend(other.found);
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty() && self.others.is_empty()
    }

    /// Takes over the problems of another file; they come after the own ones.
    pub(super) fn absorb(&mut self, other: Problems) {
        self.others.extend(other.into_errors().0);
    }

    pub(super) fn into_errors(mut self) -> Errors {
        // Paths stay in the order of reading, lines are sorted: both read from top to bottom.
        self.found.sort_by(|a, b| match (&a.place, &b.place) {
            (Place::Line(..), Place::Line(..)) => a.place.cmp(&b.place),
            _ => std::cmp::Ordering::Equal,
        });
        self.found.append(&mut self.others);
        Errors(self.found)
    }
}

/// The nearest of `valid` to a misspelt `name`, if one is near enough to be meant.
pub(super) fn nearest<'a>(name: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    valid
        .into_iter()
        .map(|v| (strsim::damerau_levenshtein(&name.to_lowercase(), &v.to_lowercase()), v))
        .filter(|(distance, v)| *distance <= 1 + name.len().min(v.len()) / 3 && *distance < v.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, v)| v)
}

/// `unknown action 'clik'; did you mean 'click'? Valid actions: ...`
pub fn unknown(what: &str, plural: &str, name: &str, valid: &[&str]) -> String {
    let hint = match nearest(name, valid.iter().copied()) {
        Some(near) => format!("; did you mean '{near}'?"),
        None => ".".to_string(),
    };
    let list = if valid.is_empty() {
        "none".to_string()
    } else {
        valid.join(", ")
    };
    format!("unknown {what} '{name}'{hint} Valid {plural}: {list}")
}
