//! Whether a scenario and a guest fit: the systems that the scenario is written for, and what is there in one system only. Looking
//! at the screen, clicking and typing need nothing of the guest.

use super::ahead::will_run;
use crate::guest::System;
use crate::scenario::{Action, Check, Plan, Platform, Power, Step, Within, lacks};

/// True where the plan runs commands in the guest, or says for which systems it is: then it matters what the guest is.
pub fn asks_for_system(plan: &Plan) -> bool {
    !plan.platforms.is_empty() || will_run(plan).into_iter().any(runs_commands)
}

/// Why the plan cannot be carried out on a guest of this system, which `name` tells people: a word for programs and a sentence.
pub fn unfit(plan: &Plan, system: System, name: &str) -> Option<(&'static str, String)> {
    let platform = match system {
        System::Linux => Platform::Linux,
        System::Windows => Platform::Windows,
    };
    if !plan.platforms.is_empty() && !plan.platforms.contains(&platform) {
        let wanted: Vec<&str> = plan.platforms.iter().map(|p| p.as_str()).collect();
        return Some((
            "OtherPlatform",
            format!(
                "the scenario is written for {} (platforms), and the guest is {name}; run it on another VM, or add {} to 'platforms' if \
                 it is for that, too",
                wanted.join(" and "),
                platform.as_str()
            ),
        ));
    }
    // What is filled in late is not known yet; the guest refuses it then.
    let known = will_run(plan).into_iter().filter(|step| step.late.is_none());
    let steps = known.map(|step| (step, lacks(step, platform)));
    let wrong: Vec<String> = steps
        .filter(|(_, lacks)| !lacks.is_empty())
        .map(|(step, lacks)| format!("step {}: {}", step.id, lacks.join(", ")))
        .collect();
    let reason = match system {
        System::Linux => "NotOnLinux",
        System::Windows => "NotOnWindows",
    };
    (!wrong.is_empty()).then(|| {
        let system = system.name();
        (
            reason,
            format!("the guest is {name}, and {system} has not what these steps need; leave them out, or write them otherwise: {}", wrong.join("; ")),
        )
    })
}

fn runs_commands(step: &Step) -> bool {
    let acts = match &step.action {
        Action::Launch(_)
        | Action::Shell(_)
        | Action::Reboot(_)
        | Action::Stage(_)
        | Action::Install(_)
        | Action::Uninstall(_)
        // The desktop that is waited for afterwards is looked for in the guest.
        | Action::Rollback(_)
        | Action::Power(Power::Start) => true,
        Action::Type(typing) => typing.paste.is_some(),
        Action::Click(_)
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
        | Action::Power(_) => false,
    };
    let parts: Vec<&Check> = step.conditions().flat_map(Check::parts).collect();
    let texts = parts.iter().filter_map(|check| match check {
        Check::Text(target) => Some(target),
        _ => None,
    });
    let mut fields = step.targets().into_iter().chain(texts).filter_map(|t| t.fields());
    acts || parts.iter().any(|check| asks_guest(check))
        || fields.any(|f| f.element.is_some() || matches!(f.within, Some(Within::Window(_))))
}

fn asks_guest(check: &Check) -> bool {
    match check {
        Check::Shell(_)
        | Check::Process(_)
        | Check::Window(_)
        | Check::File(_)
        | Check::Log(_)
        | Check::Clipboard(_)
        | Check::Node(_)
        | Check::Port(_) => true,
        // What was launched is told of by the step that launches; what is within comes by itself.
        Check::See(_) | Check::Text(_) | Check::Exited(_) | Check::Fact(_) => false,
        Check::Not(_) | Check::Any(_) | Check::All(_) => false,
    }
}
