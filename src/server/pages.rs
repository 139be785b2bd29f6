//! The two pages: all runs, and one run.

use super::Shared;
use super::html::{badge, esc, page};
use super::steps::{outputs, steps};
use crate::api::{FunctionalTestRun, FunctionalTestRunStatus, RunPhase};
use crate::results;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use kube::{Api, ResourceExt, api::ListParams};
use std::fmt::Write;
use std::path::Path as FsPath;
use std::sync::Arc;

/// Seconds after which a page with something going on is loaded again.
const REFRESH: u32 = 2;
/// The same for the list when every run is done: only a new one would change it.
const IDLE: u32 = 15;

fn refresh(all_done: bool) -> u32 {
    if all_done { IDLE } else { REFRESH }
}

pub(super) async fn runs(State(s): State<Arc<Shared>>) -> Response {
    let api: Api<FunctionalTestRun> = match &s.namespace {
        Some(n) => Api::namespaced(s.client.clone(), n),
        None => Api::all(s.client.clone()),
    };
    let mut runs = match api.list(&ListParams::default()).await {
        Ok(l) => l.items,
        Err(e) => return unavailable(&e),
    };
    runs.sort_by_key(|r| std::cmp::Reverse(r.creation_timestamp().map(|t| t.0)));
    let mut body = String::from("<h1>Runs</h1>");
    if runs.is_empty() {
        body.push_str("<p class=\"soft\">No run yet. Start one with <code>mosdat run FILE</code> or <code>kubectl apply -f FILE</code>.</p>");
    } else {
        body.push_str(
            "<table><tr><th>Run</th><th>Phase</th><th>Result</th><th>Steps</th><th title=\"from preparing the VM to its removal; the page of a run has all three times\">Seconds</th><th>Created</th></tr>",
        );
        for r in &runs {
            let st = r.status.clone().unwrap_or_default();
            let (ns, name) = (r.namespace().unwrap_or_default(), r.name_any());
            let _ = write!(
                body,
                "<tr><td><a href=\"/runs/{0}/{1}\">{1}</a> <span class=\"soft\">{0}</span></td><td>{2}</td><td>{3}</td><td>{4}</td><td>{5}</td><td>{6}</td></tr>",
                esc(&ns),
                esc(&name),
                phase(&st),
                st.result.map(|r| badge(r.as_str())).unwrap_or_default(),
                esc(st.progress.as_deref().unwrap_or("")),
                st.duration_seconds.map(|d| d.to_string()).unwrap_or_default(),
                esc(&r.creation_timestamp().map(|t| t.0.to_string()).unwrap_or_default()),
            );
        }
        body.push_str("</table>");
    }
    let done = |r: &FunctionalTestRun| r.status.as_ref().and_then(|s| s.phase) == Some(RunPhase::Done);
    let refresh = refresh(runs.iter().all(done));
    Html(page("mosdat: runs", Some(refresh), &body)).into_response()
}

pub(super) async fn run(State(s): State<Arc<Shared>>, Path((namespace, name)): Path<(String, String)>) -> Response {
    if s.namespace.as_ref().is_some_and(|n| *n != namespace) {
        return (StatusCode::NOT_FOUND, "this page shows another namespace").into_response();
    }
    let run = match Api::<FunctionalTestRun>::namespaced(s.client.clone(), &namespace)
        .get_opt(&name)
        .await
    {
        Ok(Some(r)) => r,
        Ok(None) => return (StatusCode::NOT_FOUND, "no such run").into_response(),
        Err(e) => return unavailable(&e),
    };
    let st = run.status.clone().unwrap_or_default();
    let mut body = format!(
        "<h1>{} {}</h1>",
        esc(&name),
        st.result.map(|r| badge(r.as_str())).unwrap_or_default()
    );
    // The folder may be another machine's; then there is only what the status says.
    let folder = st
        .artifacts
        .as_ref()
        .and_then(|a| FsPath::new(&a.location).strip_prefix(&s.artifacts).ok())
        .and_then(|f| super::artifacts::inside(f.to_str()?));
    let events = match (&folder, &st.artifacts) {
        (Some(folder), Some(a)) => events(s.artifacts.join(folder).join(&a.events)).await,
        _ => Vec::new(),
    };
    let base = folder.as_ref().map(|f| format!("/artifacts/{}", f.display()));
    facts(&mut body, &st);
    times(&mut body, &run, &events);
    outputs(&mut body, &st);
    steps(&mut body, &st, &events, base.as_deref().unwrap_or_default());
    if let (Some(folder), Some(base), Some(a)) = (&folder, &base, &st.artifacts) {
        body.push_str("<h2>Evidence</h2><p>");
        let mut files = vec![(&a.report, "report"), (&a.events, "events"), (&a.junit, "JUnit")];
        files.extend(a.video.as_ref().map(|video| (video, "video")));
        for (file, what) in files {
            if s.artifacts.join(folder).join(file).is_file() {
                let _ = write!(body, "<a href=\"{}/{}\">{what}</a> ", esc(base), esc(file));
            }
        }
        body.push_str("</p>");
        if let Some(problem) = &a.video_problem {
            let _ = write!(body, "<p class=\"soft\">video: {}</p>", esc(problem));
        }
        screenshots(&mut body, &s.artifacts.join(folder), base).await;
    }
    let refresh = (st.phase != Some(RunPhase::Done)).then_some(REFRESH);
    Html(page(&format!("mosdat: {name}"), refresh, &body)).into_response()
}

fn phase(st: &FunctionalTestRunStatus) -> String {
    st.phase.map(|p| format!("{p:?}")).unwrap_or_else(|| "Pending".into())
}

fn facts(body: &mut String, st: &FunctionalTestRunStatus) {
    let mut rows = vec![("Phase", phase(st))];
    if let Some(step) = &st.current_step {
        rows.push(("Now", format!("{} {}", step.id, step.label)));
    }
    if let Some(f) = &st.failure {
        let class = f.class.map(|c| format!("{c:?}: ")).unwrap_or_default();
        rows.push(("Reason", format!("{class}{}: {}", f.reason, f.message)));
    }
    for a in &st.attempts {
        rows.push(("Earlier attempt", format!("{}: {}", a.attempt, a.failure.message)));
    }
    if let Some(vm) = &st.vm_name {
        rows.push(("VM", vm.clone()));
    }
    body.push_str("<table class=\"facts\">");
    for (k, v) in rows {
        let _ = write!(body, "<tr><th>{k}</th><td><pre>{}</pre></td></tr>", esc(&v));
    }
    body.push_str("</table>");
}

/// The event log, as far as it is there. A run that goes on writes to it just now.
async fn events(path: std::path::PathBuf) -> Vec<results::Event> {
    let read = tokio::task::spawn_blocking(move || results::read_events(&path).unwrap_or_default());
    read.await.unwrap_or_default()
}

/// The three times of a run, and what each counts.
fn times(body: &mut String, run: &FunctionalTestRun, events: &[results::Event]) {
    let st = run.status.clone().unwrap_or_default();
    let mut rows = Vec::new();
    if let (Some(made), Some(start)) = (run.creation_timestamp(), &st.start_time) {
        let waited = start.0.duration_since(made.0).as_secs().max(0);
        rows.push((
            "Waited",
            format!("{waited} s"),
            "from its creation until a VM was prepared for it",
        ));
    }
    if let Some(d) = st.duration_seconds {
        let all = "all of it: making the VM, every attempt, the scenario, giving the VM back";
        rows.push(("Took", format!("{d} s"), all));
    }
    let ended = events.iter().find_map(|e| match &e.body {
        results::Body::RunEnd { ms, .. } => Some(*ms),
        _ => None,
    });
    if let Some(ms) = ended {
        let part = "of that on the ready VM: the scenario's steps and its cleanup, in the last attempt";
        rows.push(("Scenario", format!("{:.1} s", ms as f64 / 1000.0), part));
    }
    if rows.is_empty() {
        return;
    }
    body.push_str("<table class=\"facts\">");
    for (name, time, what) in rows {
        let _ = write!(
            body,
            "<tr><th>{name}</th><td>{time} <span class=\"soft\">{what}</span></td></tr>"
        );
    }
    body.push_str("</table>");
}

async fn screenshots(body: &mut String, folder: &FsPath, base: &str) {
    let mut names = Vec::new();
    if let Ok(mut dir) = tokio::fs::read_dir(folder.join("screenshots")).await {
        while let Ok(Some(entry)) = dir.next_entry().await {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".png") {
                names.push(name);
            }
        }
    }
    names.sort();
    if names.is_empty() {
        return;
    }
    body.push_str("<h2>Screenshots</h2><div class=\"shots\">");
    for n in names {
        let n = esc(&n);
        let _ = write!(
            body,
            "<figure><a href=\"{0}/screenshots/{n}\"><img loading=\"lazy\" src=\"{0}/screenshots/{n}\" alt=\"{n}\"></a><figcaption>{n}</figcaption></figure>",
            esc(base)
        );
    }
    body.push_str("</div>");
}

fn unavailable(e: &kube::Error) -> Response {
    let text = format!("the Kubernetes API does not answer as it should: {e}");
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RunResult;
    use crate::results::{Body, Event, SCHEMA_VERSION};

    fn event(body: Body) -> Event {
        Event {
            v: SCHEMA_VERSION,
            seq: 1,
            time: String::new(),
            body,
        }
    }

    #[test]
    fn the_list_is_loaded_seldom_when_nothing_goes_on() {
        assert!(refresh(true) >= 5 * refresh(false));
    }

    #[test]
    fn each_time_says_what_it_counts() {
        let run: FunctionalTestRun = serde_json::from_value(serde_json::json!({
            "apiVersion": "mosdat.dev/v1alpha1", "kind": "FunctionalTestRun",
            "metadata": {"name": "r", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"vm": {"ref": {"name": "a"}}, "scenario": {"ref": {"name": "b"}}},
            "status": {"startTime": "2026-01-01T00:00:07Z", "durationSeconds": 24},
        }))
        .expect("a run");
        let end = event(Body::RunEnd {
            result: RunResult::Passed,
            failure: None,
            counts: Default::default(),
            outputs: Default::default(),
            ms: 12_340,
            video: None,
        });
        let mut body = String::new();
        times(&mut body, &run, &[end]);
        for part in ["7 s <", "24 s <", "12.3 s <", "making the VM"] {
            assert!(body.contains(part), "{body}");
        }
    }
}
