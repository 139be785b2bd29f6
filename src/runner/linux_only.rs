//! What runs commands in the guest, which so far can be done in Linux guests only: looking at the screen, clicking and typing need
//! nothing of the guest.

use crate::scenario::{Action, Check, Plan, Power, Step, Within};

/// The steps that run commands in the guest, each with what of it does.
pub fn needs_linux(plan: &Plan) -> Vec<String> {
    let steps = plan.all_steps().map(|step| (step, needs(step)));
    let steps = steps.filter(|(_, needs)| !needs.is_empty());
    steps
        .map(|(step, needs)| format!("step {}: {}", step.id, needs.join(", ")))
        .collect()
}

fn needs(step: &Step) -> Vec<&'static str> {
    let mut found = Vec::new();
    match &step.action {
        Action::Launch(_)
        | Action::Shell(_)
        | Action::Reboot(_)
        | Action::Stage(_)
        | Action::Install(_)
        | Action::Uninstall(_)
        // The desktop that is waited for afterwards is looked for in the guest.
        | Action::Rollback(_)
        | Action::Power(Power::Start) => found.push(step.action.name()),
        Action::Type(typing) if typing.paste.is_some() => found.push("paste"),
        Action::Type(_)
        | Action::Click(_)
        | Action::Key(_)
        | Action::Hover(_)
        | Action::Drag(_)
        | Action::Scroll(_)
        | Action::WaitFor(_)
        | Action::WaitGone(_)
        | Action::Never(_)
        | Action::Expect(_)
        | Action::Screenshot(_)
        | Action::Note(_)
        | Action::If(_)
        | Action::Repeat(_)
        | Action::Use(_)
        | Action::Snapshot(_)
        | Action::Power(_) => {}
    }
    let parts: Vec<&Check> = step.conditions().flat_map(Check::parts).collect();
    found.extend(parts.iter().filter_map(|check| in_guest(check)));
    let texts = parts.iter().filter_map(|check| match check {
        Check::Text(target) => Some(target),
        _ => None,
    });
    for fields in step.targets().into_iter().chain(texts).filter_map(|t| t.fields()) {
        if fields.element.is_some() {
            found.push("node");
        }
        if let Some(Within::Window(_)) = fields.within {
            found.push("in: TITLE");
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn in_guest(check: &Check) -> Option<&'static str> {
    match check {
        Check::Shell(_) => Some("shell"),
        Check::Process(_) => Some("process"),
        Check::Window(_) => Some("window"),
        Check::File(_) => Some("file"),
        Check::Log(_) => Some("log"),
        Check::Clipboard(_) => Some("clipboard"),
        Check::Node(_) => Some("node"),
        Check::Port(_) => Some("port"),
        // What was launched is told of by the step that launches; what is within comes by itself.
        Check::See(_) | Check::Text(_) | Check::Exited(_) | Check::Fact(_) => None,
        Check::Not(_) | Check::Any(_) | Check::All(_) => None,
    }
}
