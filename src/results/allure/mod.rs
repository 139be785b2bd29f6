//! A run in the form that Allure reads: one result with its steps, and the files that belong to them. The attempts of a
//! run, and its later runs on the same VM, have the same history.
//!
//! The format: `UUID-result.json` with `UUID-attachment.*` beside it, as Allure 2 documents it for its adapters.

mod steps;

use super::event::*;
use super::view::{RunView, view};
use crate::api::RunResult;
use serde::Serialize;
use sha2::{Digest, Sha256};
use steps::parts;

/// A result, and the files that it names.
#[derive(Debug)]
pub struct Allure {
    /// Name of the result's file.
    pub name: String,
    /// Its content.
    pub result: serde_json::Value,
    /// What stands beside it.
    pub attachments: Vec<Attachment>,
}

/// A file beside the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub source: String,
    /// What is in it.
    pub content: Content,
}

/// What is in an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A picture of the trace, by its file.
    Picture(String),
    /// This text.
    Text(String),
    /// The trace's page.
    Page,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name: String,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attached {
    name: String,
    source: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AllureStep {
    name: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_details: Option<Details>,
    stage: &'static str,
    start: i64,
    stop: i64,
    attachments: Vec<Attached>,
    steps: Vec<AllureStep>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AllureResult {
    uuid: String,
    history_id: String,
    test_case_id: String,
    name: String,
    full_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_details: Option<Details>,
    stage: &'static str,
    start: i64,
    stop: i64,
    labels: Vec<Named>,
    parameters: Vec<Named>,
    attachments: Vec<Attached>,
    steps: Vec<AllureStep>,
}

/// The run in Allure's form.
pub fn allure(events: &[Event]) -> Allure {
    let view = view(events);
    let key = match view.run {
        Some(run) => format!("{}/{}/{}", run.uid, run.name, run.attempt),
        None => view.begun.to_string(),
    };
    let mut files = Files {
        uuid: uuid(&key),
        attachments: Vec::new(),
    };
    let start = view.begun.parse().map_or(0, |t: jiff::Timestamp| t.as_millisecond());
    let title = match (view.scenario, view.run) {
        ("", Some(run)) => run.name.clone(),
        (scenario, _) => scenario.to_string(),
    };
    let steps = parts(&view, start, &mut files);
    let outputs: Vec<String> = (view.outputs.into_iter().flatten())
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    // Not a parameter: those tell one test from another, and what a run finds out does not.
    let outputs =
        (!outputs.is_empty()).then(|| files.add("outputs", "txt", "text/plain", Content::Text(outputs.concat())));
    let page = files.add("report", "html", "text/html", Content::Page);
    let (status, status_details, ms) = match view.end {
        Some((result, failure, _, ms)) => {
            let message = failure.map(|f| format!("{}: {}", f.reason, f.message));
            (status_of(result), message.map(|message| Details { message }), ms)
        }
        None => ("unknown", None, 0),
    };
    let parameters: Vec<Named> = view
        .variables
        .into_iter()
        .flatten()
        .map(|(name, value)| named(name, value))
        .collect();
    // What is tested, with what and where: the same in each run of it, and another for each VM.
    let parameters: Vec<Named> = parameters
        .into_iter()
        .chain(view.run.map(|run| named("VM", vm(run))))
        .collect();
    let values: Vec<&String> = parameters.iter().map(|p| &p.value).collect();
    let history = hash(&format!("{title} {values:?}"));
    let result = AllureResult {
        uuid: files.uuid.clone(),
        history_id: history,
        test_case_id: hash(&title),
        full_name: title.clone(),
        name: title,
        description: view.description.map(String::from),
        status,
        status_details,
        stage: "finished",
        start,
        stop: start.saturating_add_unsigned(ms),
        labels: labels(&view),
        parameters,
        attachments: [page].into_iter().chain(outputs).collect(),
        steps,
    };
    Allure {
        name: format!("{}-result.json", files.uuid),
        result: serde_json::to_value(result).unwrap_or_default(),
        attachments: files.attachments,
    }
}

/// Which VM this is, in the same word for each run on it. One that was made for the run has no name of its own: there
/// the run tells, without the letters at its end that were drawn for it.
fn vm(run: &RunMeta) -> &str {
    match run.vm.strip_prefix(&run.name) {
        Some(attempt) if attempt == format!("-{}", run.attempt) => stem(&run.name),
        _ => &run.vm,
    }
}

/// A name without what Kubernetes (`generateName`) or `mosdat run` drew for its end.
fn stem(name: &str) -> &str {
    let kubernetes = |c: char| "bcdfghjklmnpqrstvwxz2456789".contains(c);
    match name.rsplit_once('-') {
        Some((stem, drawn))
            if drawn.len() == 5 && (drawn.chars().all(kubernetes) || drawn.chars().all(|c| c.is_ascii_hexdigit())) =>
        {
            stem
        }
        _ => name,
    }
}

struct Files {
    uuid: String,
    attachments: Vec<Attachment>,
}

impl Files {
    fn add(&mut self, name: &str, end: &str, kind: &'static str, content: Content) -> Attached {
        let known = self.attachments.iter().find(|a| a.content == content);
        let source = match known {
            // A picture that is shown twice is there once.
            Some(known) => known.source.clone(),
            None => {
                let number = self.attachments.len() + 1;
                let source = format!("{}-{number:03}-attachment.{end}", self.uuid);
                self.attachments.push(Attachment {
                    source: source.clone(),
                    content,
                });
                source
            }
        };
        Attached {
            name: name.to_string(),
            source,
            kind,
        }
    }
}

fn hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..16])
}

/// In the form of a UUID, the same for the same run, so that it is not there twice.
fn uuid(key: &str) -> String {
    let hash = hash(key);
    let part = |from: usize, to: usize| &hash[from..to];
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn named(name: &str, value: &str) -> Named {
    Named {
        name: name.to_string(),
        value: value.to_string(),
    }
}

fn labels(view: &RunView<'_>) -> Vec<Named> {
    let mut labels = vec![named("framework", "mosdat"), named("suite", view.scenario)];
    if let Some(run) = view.run {
        labels.push(named("parentSuite", &run.namespace));
        labels.push(named("host", &run.vm));
    }
    labels
}

fn status_of(result: RunResult) -> &'static str {
    match result {
        RunResult::Passed => "passed",
        RunResult::Failed | RunResult::SoftFailed | RunResult::Crashed | RunResult::TimedOut => "failed",
        RunResult::Cancelled | RunResult::Skipped => "skipped",
        RunResult::Invalid | RunResult::Error => "broken",
    }
}

#[cfg(test)]
mod tests;
