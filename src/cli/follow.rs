//! Following runs in the terminal.

use super::exit;
use crate::api::{FunctionalTestRun, FunctionalTestRunStatus, RunPhase, RunResult, StepResult};
use futures::{StreamExt, TryStreamExt};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeMap;
use std::time::Instant;

/// A run to follow, by namespace and name.
pub type RunKey = (String, String);

/// Prints what happens to the runs until all are done, and answers them as they ended.
pub async fn follow(client: &Client, runs: &[RunKey]) -> anyhow::Result<Vec<FunctionalTestRun>> {
    let start = Instant::now();
    let mut streams = futures::stream::SelectAll::new();
    for (namespace, name) in runs {
        let api: Api<FunctionalTestRun> = Api::namespaced(client.clone(), namespace);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        streams.push(watcher(api, config).default_backoff().boxed());
    }
    let width = runs.iter().map(|(_, n)| n.len()).max().unwrap_or(0);
    let mut seen: BTreeMap<RunKey, FunctionalTestRunStatus> = BTreeMap::new();
    let mut done: BTreeMap<RunKey, FunctionalTestRun> = BTreeMap::new();
    while done.len() < runs.len() {
        let event = match streams.try_next().await {
            Ok(Some(e)) => e,
            Ok(None) => anyhow::bail!("the watch ended"),
            // The watcher goes on by itself with back-off.
            Err(e) => {
                tracing::warn!("watching the runs: {e}");
                continue;
            }
        };
        match event {
            watcher::Event::Apply(run) | watcher::Event::InitApply(run) => {
                let key = (run.namespace().unwrap_or_default(), run.name_any());
                let now = run.status.clone().unwrap_or_default();
                let before = seen.insert(key.clone(), now.clone()).unwrap_or_default();
                for line in changes(&before, &now) {
                    println!("{:width$}  {:6.1}s  {line}", key.1, start.elapsed().as_secs_f64());
                }
                if now.phase == Some(RunPhase::Done) {
                    done.insert(key, run);
                }
            }
            watcher::Event::Delete(run) => {
                let key = (run.namespace().unwrap_or_default(), run.name_any());
                if !done.contains_key(&key) {
                    anyhow::bail!("the run {}/{} was deleted before it was done", key.0, key.1);
                }
            }
            watcher::Event::Init | watcher::Event::InitDone => {}
        }
    }
    Ok(runs.iter().filter_map(|k| done.remove(k)).collect())
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
    let known = if now.attempt == before.attempt {
        before.step_results.len()
    } else {
        0
    };
    out.extend(now.step_results.iter().skip(known).map(step_line));
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
    }
    out
}

fn step_line(s: &StepResult) -> String {
    let mark = match s.outcome.as_str() {
        "passed" | "healed" => "ok  ",
        "skipped" => "skip",
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
    let widths: Vec<usize> = (0..5)
        .map(|c| rows.iter().map(|r| r[c].len()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(c, w)| format!("{c:w$}")).collect();
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
        assert!(changes(&b, &b).is_empty());
    }
}
