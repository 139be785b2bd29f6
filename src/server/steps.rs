//! The steps of a run in their phases, and what the run has found out.

use super::html::{badge, esc};
use crate::api::{FunctionalTestRunStatus, RunResult};
use crate::results;
use std::fmt::Write;

/// What the run has found out, as the scenario's `outputs` name it.
pub(super) fn outputs(body: &mut String, st: &FunctionalTestRunStatus) {
    if st.outputs.is_empty() {
        return;
    }
    body.push_str("<h2>Outputs</h2><table class=\"facts\">");
    for (name, value) in &st.outputs {
        let _ = write!(
            body,
            "<tr><th>{}</th><td><pre>{}</pre></td></tr>",
            esc(name),
            esc(value)
        );
    }
    body.push_str("</table>");
}

/// The headings between steps: of each phase, and of what belongs to none. A step that the plan does not have belongs to
/// the phase of the one before it.
struct Phases<'e> {
    plan: Option<&'e results::RunPlan>,
    now: Option<&'e str>,
}

impl<'e> Phases<'e> {
    fn of(events: &'e [results::Event]) -> Phases<'e> {
        let plan = events.iter().find_map(|e| match &e.body {
            results::Body::RunStart { plan, .. } => Some(plan),
            _ => None,
        });
        Phases { plan, now: None }
    }

    /// The row that comes before this step, if one does.
    fn heading(&mut self, step: &str) -> Option<String> {
        let plan = self.plan?;
        let planned = plan.steps.iter().find(|planned| planned.id == step)?;
        if planned.phase.as_deref() == self.now {
            return None;
        }
        self.now = planned.phase.as_deref();
        let told = plan.phases.iter().find(|phase| Some(phase.name.as_str()) == self.now);
        let told = told.and_then(|phase| phase.description.as_deref()).unwrap_or_default();
        let (name, told) = (self.now.unwrap_or("in no phase"), told);
        Some(format!(
            "<tr><th colspan=\"3\">{} <span class=\"soft\">{}</span></th></tr>",
            esc(name),
            esc(told)
        ))
    }
}

/// The steps that have ended, with the picture that decided where one did not pass.
pub(super) fn steps(body: &mut String, st: &FunctionalTestRunStatus, events: &[results::Event], base: &str) {
    if st.step_results.is_empty() {
        return;
    }
    let progress = st.progress.as_deref().unwrap_or("");
    let _ = write!(
        body,
        "<h2>Steps {}</h2><table><tr><th>Step</th><th>Outcome</th><th>Seconds</th></tr>",
        esc(progress)
    );
    let mut phases = Phases::of(events);
    for step in &st.step_results {
        body.push_str(&phases.heading(&step.id).unwrap_or_default());
        let why = match &step.message {
            Some(m) if step.outcome != RunResult::Passed.as_str() => format!("<pre class=\"soft\">{}</pre>", esc(m)),
            _ => String::new(),
        };
        let good = matches!(step.outcome.as_str(), "passed" | "healed" | "skipped");
        let decided = (!good).then(|| results::deciding(events, &step.id)).flatten();
        let picture = match decided {
            Some(p) => {
                let href = format!("{base}/{}", p.file);
                format!(
                    "<figure class=\"decided\"><a href=\"{}\">{}</a><figcaption>this decided: {}</figcaption></figure>",
                    esc(&href),
                    p.svg(&href),
                    esc(p.file)
                )
            }
            None => String::new(),
        };
        let _ = write!(
            body,
            "<tr><td><code>{}</code> {}{why}{picture}</td><td>{}</td><td>{:.1}</td></tr>",
            esc(&step.id),
            esc(&step.label),
            badge(&step.outcome),
            step.duration_ms as f64 / 1000.0
        );
    }
    body.push_str("</table>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::StepResult;
    use crate::results::{Body, Event, Evidence, Role, SCHEMA_VERSION};

    fn event(body: Body) -> Event {
        Event {
            v: SCHEMA_VERSION,
            seq: 1,
            time: String::new(),
            body,
        }
    }

    #[test]
    fn the_picture_that_decided_is_at_its_step() {
        let shot = |step: &str, file: &str| {
            event(Body::Evidence {
                step: step.to_string(),
                item: Evidence::Screenshot {
                    role: Role::Checked,
                    file: file.to_string(),
                    width: 8,
                    height: 6,
                    marks: Vec::new(),
                    frame: None,
                    covered: false,
                },
            })
        };
        let step = |id: &str, outcome: &str| StepResult {
            id: id.to_string(),
            label: String::new(),
            outcome: outcome.to_string(),
            duration_ms: 1,
            message: None,
        };
        let st = FunctionalTestRunStatus {
            step_results: vec![step("good", "passed"), step("bad", "failed")],
            ..Default::default()
        };
        let mut body = String::new();
        steps(
            &mut body,
            &st,
            &[shot("good", "screenshots/1.png"), shot("bad", "screenshots/2.png")],
            "/artifacts/a",
        );
        assert!(!body.contains("1.png"), "{body}");
        assert!(
            body.contains("<image width=\"8\" height=\"6\" href=\"/artifacts/a/screenshots/2.png\"/>"),
            "{body}"
        );
        assert!(body.find("<code>bad") < body.find("2.png"), "{body}");
    }

    #[test]
    fn phases_and_outputs_are_shown() {
        let planned = |id: &str, phase: Option<&str>| results::PlannedStep {
            id: id.to_string(),
            label: String::new(),
            section: "steps".to_string(),
            action: "note".to_string(),
            within: None,
            phase: phase.map(String::from),
        };
        let start = event(Body::RunStart {
            run: results::RunMeta::default(),
            plan: results::RunPlan {
                phases: vec![results::PlannedPhase {
                    name: "log <in>".to_string(),
                    description: Some("with a password".to_string()),
                    from: "b".to_string(),
                    until: "b".to_string(),
                }],
                steps: vec![planned("a", None), planned("b", Some("log <in>")), planned("c", None)],
                ..results::RunPlan::default()
            },
        });
        let step = |id: &str| StepResult {
            id: id.to_string(),
            label: String::new(),
            outcome: "passed".to_string(),
            duration_ms: 1,
            message: None,
        };
        let st = FunctionalTestRunStatus {
            step_results: ["a", "b", "b.2", "c"].map(step).into(),
            outputs: [("version".to_string(), "1 < 2".to_string())].into(),
            ..Default::default()
        };
        let mut body = String::new();
        steps(&mut body, &st, &[start], "");
        outputs(&mut body, &st);
        let order = [
            "<code>a<",
            "log &lt;in&gt; <span class=\"soft\">with a password<",
            "<code>b<",
            "<code>b.2<",
            "in no phase",
            "<code>c<",
            "<th>version</th><td><pre>1 &lt; 2<",
        ];
        let places: Vec<Option<usize>> = order.iter().map(|part| body.find(part)).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{places:?} {body}"
        );
        assert_eq!(body.matches("colspan").count(), 2);
        // Without phases and outputs there is nothing of them.
        let mut body = String::new();
        steps(&mut body, &st, &[], "");
        outputs(&mut body, &FunctionalTestRunStatus::default());
        assert!(!body.contains("colspan") && !body.contains("Outputs"), "{body}");
    }
}
