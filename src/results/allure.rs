//! A run in the form that Allure reads: one result with its steps, and the files that belong to them. The attempts of a
//! run, and its later runs on the same VM, have the same history.
//!
//! The format: `UUID-result.json` with `UUID-attachment.*` beside it, as Allure 2 documents it for its adapters.

use super::event::*;
use super::view::{RunView, StepView, view};
use crate::api::RunResult;
use serde::Serialize;
use sha2::{Digest, Sha256};

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
    let steps = steps(&mut view.steps.iter().peekable(), 0, start, &mut files);
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
        attachments: vec![page],
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

fn status(outcome: StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Passed | StepOutcome::Healed => "passed",
        StepOutcome::SoftFailed | StepOutcome::Failed | StepOutcome::TimedOut | StepOutcome::Crashed => "failed",
        StepOutcome::Skipped => "skipped",
        StepOutcome::Error => "broken",
    }
}

/// Steps within steps, at most: nobody writes more, and a log that comes from anybody may have any number.
const DEEPEST: usize = 100;

/// The steps of this depth, each with those within it.
fn steps<'v, 'e: 'v>(
    left: &mut std::iter::Peekable<std::slice::Iter<'v, StepView<'e>>>,
    depth: usize,
    begun: i64,
    files: &mut Files,
) -> Vec<AllureStep> {
    let mut out = Vec::new();
    while let Some(step) = left.next_if(|step| step.depth >= depth) {
        let start = begun.saturating_add_unsigned(step.at);
        let (outcome, ms, message) = match &step.end {
            Some(end) => (status(end.outcome), end.ms, end.message),
            None => ("unknown", 0, None),
        };
        out.push(AllureStep {
            name: step.label.to_string(),
            status: outcome,
            status_details: message.map(|message| Details {
                message: message.to_string(),
            }),
            stage: "finished",
            start,
            stop: start.saturating_add_unsigned(ms),
            attachments: step.items.iter().filter_map(|item| attached(item, files)).collect(),
            steps: match depth < DEEPEST {
                true => steps(left, depth + 1, begun, files),
                false => Vec::new(),
            },
        });
    }
    out
}

/// What of the evidence is a file: pictures, and what commands and models printed.
fn attached(item: &Evidence, files: &mut Files) -> Option<Attached> {
    let text =
        |files: &mut Files, name: &str, text: String| Some(files.add(name, "txt", "text/plain", Content::Text(text)));
    match item {
        Evidence::Screenshot { role, file, .. } => {
            let name = match role {
                Role::Before => "before",
                Role::After => "after",
                Role::Checked => "this decided",
                Role::Failure => "when it failed",
                Role::Asked => "screenshot",
                Role::Difference => "expected, seen, difference",
            };
            Some(files.add(name, "png", "image/png", Content::Picture(file.clone())))
        }
        Evidence::Shell {
            command,
            exit,
            stdout,
            stderr,
            ..
        } => text(files, "shell", format!("{command}\n{exit}\n\n{stdout}\n{stderr}")),
        Evidence::Judge {
            question,
            verdict,
            reason,
            ..
        } => text(files, "asked", format!("{question}\n{verdict}: {reason}")),
        Evidence::Request {
            model,
            prompt,
            answer,
            error,
            ..
        } => {
            let said = answer.as_ref().or(error.as_ref()).map_or("", String::as_str);
            text(files, "model", format!("{model}\n\n{prompt}\n\n{said}"))
        }
        Evidence::Guest { about, text: told } => text(files, about, told.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::StepCounts;

    fn event(seq: u64, time: &str, body: Body) -> Event {
        Event {
            v: SCHEMA_VERSION,
            seq,
            time: format!("2026-01-02T03:04:{time}Z"),
            body,
        }
    }

    fn run(uid: &str, attempt: u32) -> Allure {
        let planned = |id: &str, within: Option<&str>| PlannedStep {
            id: id.to_string(),
            label: format!("do {id}"),
            section: "steps".to_string(),
            action: "use".to_string(),
            within: within.map(|step| Within {
                step: step.to_string(),
                part: "use".to_string(),
            }),
            phase: None,
        };
        let start = |id: &str| Body::StepStart {
            step: id.to_string(),
            further: None,
            label: None,
        };
        let end = |id: &str, outcome, message: Option<&str>| Body::StepEnd {
            step: id.to_string(),
            outcome,
            reason: None,
            message: message.map(String::from),
            class: None,
            attempts: 1,
            ms: 500,
        };
        let shot = Body::Evidence {
            step: "b".to_string(),
            item: Evidence::Screenshot {
                role: Role::Checked,
                file: "screenshots/1.png".to_string(),
                width: 1,
                height: 1,
                marks: Vec::new(),
                frame: None,
                covered: false,
            },
        };
        allure(&[
            event(
                1,
                "05.000",
                Body::RunStart {
                    run: RunMeta {
                        uid: uid.to_string(),
                        attempt,
                        ..RunMeta::default()
                    },
                    plan: RunPlan {
                        scenario: "login".to_string(),
                        steps: vec![planned("a", None), planned("b", Some("a")), planned("c", None)],
                        ..RunPlan::default()
                    },
                },
            ),
            event(2, "05.100", start("a")),
            event(3, "05.200", start("b")),
            event(4, "05.300", shot.clone()),
            event(5, "05.400", shot),
            event(6, "05.700", end("b", StepOutcome::Failed, Some("no"))),
            event(7, "05.700", end("a", StepOutcome::Failed, None)),
            event(8, "05.700", end("c", StepOutcome::Skipped, None)),
            event(
                9,
                "06.000",
                Body::RunEnd {
                    result: RunResult::Failed,
                    failure: None,
                    counts: StepCounts::default(),
                    outputs: Default::default(),
                    ms: 1000,
                    video: None,
                },
            ),
        ])
    }

    #[test]
    fn steps_are_within_steps_and_pictures_are_there_once() {
        let Allure {
            name,
            result,
            attachments,
        } = run("u", 1);
        assert!(name.ends_with("-result.json"));
        assert_eq!(result["status"], "failed");
        assert_eq!(result["start"], 1_767_323_045_000_i64);
        assert_eq!(result["stop"], 1_767_323_046_000_i64);
        let steps = result["steps"].as_array().expect("steps");
        assert_eq!(steps.len(), 2, "{result}");
        let inner = &steps[0]["steps"][0];
        assert_eq!((&inner["name"], &inner["status"]), (&"do b".into(), &"failed".into()));
        assert_eq!(inner["statusDetails"]["message"], "no");
        assert_eq!(inner["start"], 1_767_323_045_200_i64);
        assert_eq!(steps[1]["status"], "skipped");
        let contents: Vec<&Content> = attachments.iter().map(|a| &a.content).collect();
        assert_eq!(
            contents,
            [&Content::Picture("screenshots/1.png".into()), &Content::Page]
        );
        assert_eq!(inner["attachments"][0]["source"], attachments[0].source.as_str());
    }

    #[test]
    fn a_log_of_any_depth_is_written() {
        let planned = |n: usize| PlannedStep {
            id: n.to_string(),
            label: String::new(),
            section: "steps".to_string(),
            action: "use".to_string(),
            within: n.checked_sub(1).map(|outer| Within {
                step: outer.to_string(),
                part: "use".to_string(),
            }),
            phase: None,
        };
        let start = Body::RunStart {
            run: RunMeta::default(),
            plan: RunPlan {
                steps: (0..3000).map(planned).collect(),
                ..RunPlan::default()
            },
        };
        let written = allure(&[event(1, "05.000", start)]);
        let (mut steps, mut depth, mut all) = (&written.result["steps"], 0, 0);
        while let Some(list) = steps.as_array().filter(|list| !list.is_empty()) {
            (depth, all) = (depth + 1, all + list.len());
            steps = &list[list.len() - 1]["steps"];
        }
        assert_eq!((depth, all), (DEEPEST + 1, 3000));
    }

    #[test]
    fn a_vm_is_the_same_in_each_run_on_it() {
        let of = |name: &str, attempt: u32, vm: &str| {
            let run = RunMeta {
                name: name.to_string(),
                attempt,
                vm: vm.to_string(),
                ..RunMeta::default()
            };
            super::vm(&run).to_string()
        };
        assert_eq!(of("login-0a1b2", 1, "debian-12"), "debian-12");
        assert_eq!(of("login-debian-0a1b2", 1, "login-debian-0a1b2-1"), "login-debian");
        assert_eq!(of("login-debian-x7k2q", 2, "login-debian-x7k2q-2"), "login-debian");
        assert_eq!(of("login-debian", 1, "login-debian-1"), "login-debian");
        let on = |vm: &str| {
            let run = RunMeta {
                vm: vm.to_string(),
                ..RunMeta::default()
            };
            let start = Body::RunStart {
                run,
                plan: RunPlan::default(),
            };
            allure(&[event(1, "05.000", start)]).result
        };
        let (one, two) = (on("debian-12"), on("fedora-41"));
        assert_ne!(one["historyId"], two["historyId"]);
        assert_eq!(one["historyId"], on("debian-12")["historyId"]);
        assert_eq!(one["parameters"][0]["value"], "debian-12");
    }

    #[test]
    fn attempts_are_one_history_and_a_run_is_there_once() {
        let (first, again, second) = (run("u", 1), run("u", 1), run("u", 2));
        assert_eq!(first.name, again.name);
        assert_ne!(first.name, second.name);
        assert_eq!(first.result["historyId"], second.result["historyId"]);
    }
}
