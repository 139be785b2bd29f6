//! Following runs in the terminal.

use super::exit;
use crate::api::{FunctionalTestRun, FunctionalTestRunStatus, RunPhase, RunResult, StepResult};
use crate::results::visible;
use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A control plane that has not answered for so long is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A wait that takes so long is explained.
const SLOW: Duration = Duration::from_secs(10);
/// A run without a phase for so long is acted on by nobody.
const NOBODY: Duration = Duration::from_secs(30);

/// A run to follow, by namespace and name.
pub type RunKey = (String, String);

/// Prints what happens to the runs until all are done, and answers them as they ended.
pub async fn follow(client: &Client, runs: &[RunKey]) -> anyhow::Result<Vec<FunctionalTestRun>> {
    let width = runs.iter().map(|(_, n)| n.len()).max().unwrap_or(0);
    follow_in(client, runs, width).await
}

/// As [`follow`], with room for names of so many letters, where several calls print to one terminal.
pub async fn follow_in(client: &Client, runs: &[RunKey], width: usize) -> anyhow::Result<Vec<FunctionalTestRun>> {
    let start = Instant::now();
    // One that is named twice is done once.
    let runs: Vec<RunKey> = BTreeSet::from_iter(runs.iter().cloned()).into_iter().collect();
    let mut streams = futures::stream::SelectAll::new();
    for (namespace, name) in &runs {
        let api: Api<FunctionalTestRun> = Api::namespaced(client.clone(), namespace);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let key = (namespace.clone(), name.clone());
        let events = watcher(api, config).default_backoff();
        streams.push(events.map(move |event| (key.clone(), event)).boxed());
    }
    let mut seen: BTreeMap<RunKey, FunctionalTestRunStatus> = BTreeMap::new();
    let mut done: BTreeMap<RunKey, FunctionalTestRun> = BTreeMap::new();
    let mut listed: BTreeSet<RunKey> = BTreeSet::new();
    let mut silent: Option<Instant> = None;
    let mut told: BTreeMap<RunKey, String> = BTreeMap::new();
    let mut tick = tokio::time::interval(SLOW);
    tick.reset();
    while done.len() < runs.len() {
        let next = tokio::select! {
            next = streams.next() => next,
            _ = tick.tick() => {
                for key in runs.iter().filter(|k| !done.contains_key(*k)) {
                    let status = seen.get(key).cloned().unwrap_or_default();
                    let why = waiting(&status, start.elapsed()).filter(|why| told.get(key) != Some(why));
                    if let Some(why) = why {
                        println!("{:width$}  {:6.1}s  {}", key.1, start.elapsed().as_secs_f64(), visible(&why));
                        told.insert(key.clone(), why);
                    }
                }
                continue;
            }
        };
        let (about, event) = match next {
            Some((key, Ok(event))) => (key, event),
            None => anyhow::bail!("the watch ended"),
            // The watcher goes on by itself with back-off.
            Some((_, Err(e))) => {
                if silent.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(anyhow::Error::new(e).context("the control plane no longer answers"));
                }
                tracing::warn!("watching the runs: {e}");
                continue;
            }
        };
        // A new list begins with an attempt; only what it answers counts.
        if !matches!(event, watcher::Event::Init) {
            silent = None;
        }
        match event {
            watcher::Event::Apply(run) | watcher::Event::InitApply(run) => {
                let key = about;
                listed.insert(key.clone());
                let now = run.status.clone().unwrap_or_default();
                let before = seen.insert(key.clone(), now.clone()).unwrap_or_default();
                for line in changes(&before, &now) {
                    println!(
                        "{:width$}  {:6.1}s  {}",
                        key.1,
                        start.elapsed().as_secs_f64(),
                        visible(&line)
                    );
                }
                if now.phase == Some(RunPhase::Done) {
                    done.insert(key, run);
                }
            }
            watcher::Event::Init => {
                listed.remove(&about);
            }
            // Not in the list: deleted while the watch was broken.
            watcher::Event::InitDone if listed.contains(&about) => {}
            watcher::Event::Delete(_) | watcher::Event::InitDone => {
                if !done.contains_key(&about) {
                    anyhow::bail!("the run {}/{} was deleted before it was done", about.0, about.1);
                }
            }
        }
    }
    Ok(runs.iter().filter_map(|k| done.remove(k)).collect())
}

/// What a run that has not begun waits for, once it takes long.
fn waiting(status: &FunctionalTestRunStatus, since: Duration) -> Option<String> {
    match status.phase {
        None if since >= NOBODY => {
            Some("nobody acts on this run; does a mosdat controller run for this control plane?".into())
        }
        Some(RunPhase::Pending | RunPhase::Preparing) => {
            let condition = status.conditions.iter().find(|c| c.type_ == "Succeeded")?;
            Some(condition.message.clone()).filter(|m| !m.is_empty())
        }
        _ => None,
    }
}

/// The lines that tell a person what changed between two states.
fn changes(before: &FunctionalTestRunStatus, now: &FunctionalTestRunStatus) -> Vec<String> {
    let mut out = Vec::new();
    if now.attempt != before.attempt && now.attempt.unwrap_or(1) > 1 {
        if let Some(last) = now.attempts.last() {
            out.push(format!("attempt {} ended: {}", last.attempt, last.failure.message));
        }
        out.push(format!("attempt {}", now.attempt.unwrap_or_default()));
    }
    if now.phase != before.phase
        && let Some(phase) = now.phase
    {
        match (phase, &now.vm_name) {
            (RunPhase::Done, _) => {}
            (RunPhase::Preparing, Some(vm)) => out.push(format!("Preparing (VM {vm})")),
            _ => out.push(format!("{phase:?}")),
        }
    }
    // By id, not by count: status keeps the last steps only, and may fill in what progress had left out.
    let known: BTreeSet<&str> = match now.attempt == before.attempt {
        true => before.step_results.iter().map(|s| s.id.as_str()).collect(),
        false => BTreeSet::new(),
    };
    let news = now.step_results.iter().filter(|s| !known.contains(s.id.as_str()));
    out.extend(step_lines(&news.collect::<Vec<_>>()));
    if let Some(step) = now
        .current_step
        .as_ref()
        .filter(|_| now.current_step != before.current_step)
    {
        out.push(format!("...  {} {}", step.id, step.label));
    }
    if now.phase == Some(RunPhase::Done) && before.phase != Some(RunPhase::Done) {
        let result = now.result.map_or("unknown", RunResult::as_str);
        match &now.failure {
            Some(f) => out.push(format!("{result}: {}", f.message)),
            None => out.push(result.to_string()),
        }
        out.extend(now.outputs.iter().map(|(name, value)| format!("{name}: {value}")));
        if let Some(artifacts) = &now.artifacts {
            let place = |video: &String| format!("{}/{video}", artifacts.location);
            match (artifacts.video.as_ref().map(place), &artifacts.video_problem) {
                (Some(video), None) => out.push(format!("video: {video}")),
                (Some(video), Some(problem)) => out.push(format!("video: {video}: {problem}")),
                (None, Some(problem)) => out.push(format!("no video: {problem}")),
                (None, None) => {}
            }
        }
    }
    out
}

/// A line for each step, and one for a row of steps that are skipped for the same reason.
fn step_lines(steps: &[&StepResult]) -> Vec<String> {
    let alike =
        |a: &&StepResult, b: &&StepResult| a.outcome == SKIPPED && b.outcome == SKIPPED && a.message == b.message;
    let line = |row: &[&StepResult]| match row {
        [first, .., last] => {
            let reason = first.message.as_deref().unwrap_or("not run");
            format!("skip {} to {}, {} steps: {reason}", first.id, last.id, row.len())
        }
        row => row.iter().map(|step| step_line(step)).collect(),
    };
    steps.chunk_by(alike).map(line).collect()
}

const SKIPPED: &str = "skipped";

fn step_line(s: &StepResult) -> String {
    if s.outcome == SKIPPED {
        return format!(
            "skip {} {}: {}",
            s.id,
            s.label,
            s.message.as_deref().unwrap_or("not run")
        );
    }
    let mark = match s.outcome.as_str() {
        "passed" | "healed" => "ok  ",
        "softFailed" => "soft",
        "error" => "err ",
        _ => "FAIL",
    };
    let mut line = format!("{mark} {} {} ({:.1} s)", s.id, s.label, s.duration_ms as f64 / 1000.0);
    if let Some(m) = &s.message
        && s.outcome != "passed"
    {
        line.push_str(&format!("\n      {m}"));
    }
    line
}

/// The table at the end.
pub fn table(runs: &[FunctionalTestRun]) -> String {
    let mut rows = vec![["RUN", "RESULT", "STEPS", "SECONDS", "REPORT"].map(String::from)];
    for run in runs {
        let s = run.status.clone().unwrap_or_default();
        rows.push([
            run.name_any(),
            s.result.map_or("unknown", RunResult::as_str).to_string(),
            s.progress.unwrap_or_default(),
            s.duration_seconds.map(|d| d.to_string()).unwrap_or_default(),
            s.artifacts
                .map(|a| format!("{}/{}", a.location, a.report))
                .unwrap_or_default(),
        ]);
    }
    aligned(&rows)
}

/// Rows with their columns one below the other.
pub fn aligned<R: AsRef<[String]>>(rows: &[R]) -> String {
    let columns = rows.iter().map(|r| r.as_ref().len()).max().unwrap_or(0);
    let longest = |c: usize| {
        rows.iter()
            .filter_map(|r| r.as_ref().get(c))
            .map(|t| t.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|c| longest(c).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .as_ref()
            .iter()
            .zip(&widths)
            .map(|(c, w)| format!("{c:w$}"))
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// The exit code for runs together: a failed product outweighs wrong input, and that outweighs the infrastructure.
pub fn exit_code(results: impl IntoIterator<Item = Option<RunResult>>) -> u8 {
    let rank = |code: u8| {
        [exit::PASSED, exit::INFRASTRUCTURE, exit::INVALID, exit::FAILED]
            .iter()
            .position(|c| *c == code)
    };
    results
        .into_iter()
        .map(|r| match r {
            Some(RunResult::Passed | RunResult::SoftFailed) => exit::PASSED,
            Some(RunResult::Failed | RunResult::Crashed | RunResult::TimedOut) => exit::FAILED,
            Some(RunResult::Invalid) => exit::INVALID,
            // No verdict was reached.
            Some(RunResult::Error | RunResult::Cancelled | RunResult::Skipped) | None => exit::INFRASTRUCTURE,
        })
        .max_by_key(|c| rank(*c))
        .unwrap_or(exit::PASSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weightiest_result_decides_the_exit_code() {
        use RunResult::*;
        for (results, code) in [
            (vec![Some(Passed), Some(SoftFailed)], 0),
            (vec![Some(Passed), Some(Error)], 2),
            (vec![Some(Error), Some(Failed), Some(Invalid)], 1),
            (vec![Some(Invalid), Some(Error)], 3),
            (vec![None], 2),
            (vec![], 0),
        ] {
            assert_eq!(exit_code(results.clone()), code, "{results:?}");
        }
    }

    #[test]
    fn steps_are_told_once_when_status_drops_the_oldest() {
        let step = |n: usize| StepResult {
            id: format!("s{n:03}"),
            label: String::new(),
            outcome: "passed".into(),
            duration_ms: 0,
            message: None,
        };
        let state = |steps: std::ops::Range<usize>| FunctionalTestRunStatus {
            step_results: steps.map(step).collect(),
            ..Default::default()
        };
        let told = changes(&state(0..200), &state(2..202));
        assert_eq!(told.len(), 2);
        assert!(told[0].contains("s200") && told[1].contains("s201"), "{told:?}");
    }

    #[test]
    fn a_row_of_skipped_steps_is_one_line() {
        let step = |id: &str, outcome: &str, why: &str| StepResult {
            id: id.into(),
            label: format!("label of {id}"),
            outcome: outcome.into(),
            duration_ms: 0,
            message: (!why.is_empty()).then(|| why.into()),
        };
        let status = FunctionalTestRunStatus {
            step_results: vec![
                step("s1", "skipped", "the condition held"),
                step("s2", "failed", "no"),
                step("s3", "skipped", "s2 did not pass"),
                step("s4", "skipped", "s2 did not pass"),
                step("s5", "skipped", "s2 did not pass"),
                step("s6", "skipped", "another reason"),
            ],
            ..Default::default()
        };
        assert_eq!(
            changes(&Default::default(), &status),
            [
                "skip s1 label of s1: the condition held",
                "FAIL s2 label of s2 (0.0 s)\n      no",
                "skip s3 to s5, 3 steps: s2 did not pass",
                "skip s6 label of s6: another reason",
            ]
        );
    }

    #[test]
    fn a_long_wait_is_explained() {
        let mut status = FunctionalTestRunStatus::default();
        assert_eq!(waiting(&status, Duration::from_secs(20)), None);
        assert!(waiting(&status, Duration::from_secs(40)).is_some_and(|w| w.contains("controller")));
        status.phase = Some(RunPhase::Preparing);
        assert_eq!(waiting(&status, Duration::from_secs(40)), None);
        status.conditions = vec![k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
            type_: "Succeeded".into(),
            status: "Unknown".into(),
            reason: "Preparing".into(),
            message: "waiting for VM x: every device is lent".into(),
            last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Default::default()),
            observed_generation: None,
        }];
        let why = waiting(&status, Duration::from_secs(12));
        assert_eq!(why.as_deref(), Some("waiting for VM x: every device is lent"));
    }

    #[test]
    fn a_change_is_told_once() {
        let step = StepResult {
            id: "s01".into(),
            label: "x".into(),
            outcome: "passed".into(),
            duration_ms: 1500,
            message: None,
        };
        let a = FunctionalTestRunStatus {
            phase: Some(RunPhase::Running),
            ..Default::default()
        };
        let b = FunctionalTestRunStatus {
            step_results: vec![step],
            ..a.clone()
        };
        assert_eq!(changes(&Default::default(), &a), ["Running"]);
        assert_eq!(changes(&a, &b), ["ok   s01 x (1.5 s)"]);
        let done = FunctionalTestRunStatus {
            phase: Some(RunPhase::Done),
            result: Some(RunResult::Passed),
            outputs: [("version".to_string(), "1.2".to_string())].into(),
            ..b.clone()
        };
        assert_eq!(changes(&b, &done), ["passed", "version: 1.2"]);
        assert!(changes(&b, &b).is_empty());
    }
}
