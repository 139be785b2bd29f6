//! The two pages: all runs, and one run.

use super::Shared;
use super::html::{badge, esc, page};
use crate::api::{FunctionalTestRun, FunctionalTestRunStatus, RunPhase, RunResult};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use kube::{Api, ResourceExt, api::ListParams};
use std::fmt::Write;
use std::path::Path as FsPath;
use std::sync::Arc;

/// Seconds after which a page with something going on is loaded again.
const REFRESH: u32 = 2;

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
            "<table><tr><th>Run</th><th>Phase</th><th>Result</th><th>Steps</th><th>Seconds</th><th>Created</th></tr>",
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
    Html(page("mosdat: runs", Some(REFRESH), &body)).into_response()
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
    facts(&mut body, &st);
    steps(&mut body, &st);
    // The folder may be another machine's; then there is only what the status says.
    let folder = st
        .artifacts
        .as_ref()
        .and_then(|a| FsPath::new(&a.location).strip_prefix(&s.artifacts).ok())
        .and_then(|f| super::artifacts::inside(f.to_str()?));
    if let (Some(folder), Some(a)) = (&folder, &st.artifacts) {
        let base = format!("/artifacts/{}", folder.display());
        body.push_str("<h2>Evidence</h2><p>");
        for (file, what) in [(&a.report, "report"), (&a.events, "events"), (&a.junit, "JUnit")] {
            if s.artifacts.join(folder).join(file).is_file() {
                let _ = write!(body, "<a href=\"{}/{}\">{what}</a> ", esc(&base), esc(file));
            }
        }
        body.push_str("</p>");
        screenshots(&mut body, &s.artifacts.join(folder), &base).await;
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
    if let Some(d) = st.duration_seconds {
        rows.push(("Seconds", d.to_string()));
    }
    body.push_str("<table>");
    for (k, v) in rows {
        let _ = write!(body, "<tr><th>{k}</th><td><pre>{}</pre></td></tr>", esc(&v));
    }
    body.push_str("</table>");
}

fn steps(body: &mut String, st: &FunctionalTestRunStatus) {
    if st.step_results.is_empty() {
        return;
    }
    let progress = st.progress.as_deref().unwrap_or("");
    let _ = write!(
        body,
        "<h2>Steps {}</h2><table><tr><th>Step</th><th>Outcome</th><th>Seconds</th></tr>",
        esc(progress)
    );
    for step in &st.step_results {
        let why = match &step.message {
            Some(m) if step.outcome != RunResult::Passed.as_str() => format!("<pre class=\"soft\">{}</pre>", esc(m)),
            _ => String::new(),
        };
        let _ = write!(
            body,
            "<tr><td><code>{}</code> {}{why}</td><td>{}</td><td>{:.1}</td></tr>",
            esc(&step.id),
            esc(&step.label),
            badge(&step.outcome),
            step.duration_ms as f64 / 1000.0
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
