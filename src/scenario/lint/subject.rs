//! What the rules look at: the parts of a scenario, and where each of them stands.

use super::super::Scenario;
use super::super::error::Place;
use super::super::model::{Action, Check, Platform, Shell, Step, Target};
use super::super::node::{Entry, Node, Value};
use super::script::Script;

/// A scenario to be looked at.
pub(super) struct Subject<'a> {
    pub scenario: &'a Scenario,
}

/// A condition, and whether it must hold or must not.
pub(super) struct Demand<'a> {
    pub check: &'a Check,
    pub wanted: bool,
}

/// What a part of a step is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It says what is done.
    Acting,
    /// It is a condition.
    Looking,
}

impl<'a> Subject<'a> {
    /// True where commands are PowerShell's, on every system that the scenario is written for.
    pub fn is_for_powershell(&self) -> bool {
        self.scenario.platforms == [Platform::Windows]
    }

    /// Steps before the test.
    pub fn setup(&self) -> Vec<&'a Step> {
        self.scenario.setup.iter().flat_map(Step::flatten).collect()
    }

    /// The test.
    pub fn test(&self) -> Vec<&'a Step> {
        self.scenario.steps.iter().flat_map(Step::flatten).collect()
    }

    /// Steps at the end.
    pub fn cleanup(&self) -> Vec<&'a Step> {
        self.scenario.cleanup.iter().flat_map(Step::flatten).collect()
    }

    /// Each section's steps, in the order in which they run.
    pub fn sections(&self) -> [Vec<&'a Step>; 3] {
        [self.setup(), self.test(), self.cleanup()]
    }

    /// All steps.
    pub fn all(&self) -> Vec<&'a Step> {
        self.sections().concat()
    }

    pub fn tree(&self) -> &'a Node {
        &self.scenario.tree
    }

    /// The place of a member of the scenario's outermost object.
    pub fn member(&self, key: &str) -> Place {
        let entry = entries(self.tree()).iter().find(|e| e.key == key);
        entry.map_or(&self.tree().place, |e| &e.place).clone()
    }

    /// What was written as this step.
    pub fn node(&self, step: &Step) -> Option<&'a Node> {
        fn find<'n>(node: &'n Node, place: &Place) -> Option<&'n Node> {
            match &node.value {
                Value::Map(_) if node.place == *place => Some(node),
                Value::Map(entries) => entries.iter().find_map(|e| find(&e.value, place)),
                Value::Seq(items) => items.iter().find_map(|item| find(item, place)),
                _ => None,
            }
        }
        find(self.tree(), &step.place)
    }

    /// Where in a step the first member stands that is `wanted`, which is asked with the members beside it. The step's own
    /// place where there is none.
    pub fn spot(&self, step: &Step, purpose: Purpose, wanted: &dyn Fn(&Entry, &[Entry]) -> bool) -> Place {
        fn find<'n>(node: &'n Node, wanted: &dyn Fn(&Entry, &[Entry]) -> bool) -> Option<&'n Place> {
            match &node.value {
                Value::Map(entries) => {
                    let here = entries.iter().find(|e| wanted(e, entries)).map(|e| &e.place);
                    here.or_else(|| entries.iter().find_map(|e| find(&e.value, wanted)))
                }
                Value::Seq(items) => items.iter().find_map(|item| find(item, wanted)),
                _ => None,
            }
        }
        let beside = self.node(step).map(entries).unwrap_or_default();
        // The same text may stand in what is done and in `verify`.
        let mut members: Vec<&Entry> = beside.iter().collect();
        members.sort_by_key(|e| e.key.starts_with("verify") != (purpose == Purpose::Looking));
        let found = members.into_iter().find_map(|e| match wanted(e, beside) {
            true => Some(&e.place),
            false => find(&e.value, wanted),
        });
        found.unwrap_or(&step.place).clone()
    }

    /// Where in a step one of these members has this text.
    pub fn spot_of(&self, step: &Step, purpose: Purpose, keys: &[&str], text: &str) -> Place {
        self.spot(step, purpose, &|entry, _| {
            keys.contains(&entry.key.as_str()) && entry.value.as_str() == Some(text)
        })
    }
}

/// The members of an object.
pub(super) fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

/// The conditions by which a step may fail.
pub(super) fn demands(step: &Step) -> Vec<Demand<'_>> {
    let own = match &step.action {
        Action::WaitFor(check) | Action::WaitGone(check) | Action::Expect(check) => Some((check, true)),
        Action::Never(never) => Some((&never.check, false)),
        Action::Repeat(repeat) => repeat.until.as_ref().map(|check| (check, true)),
        Action::Type(typing) => typing.canary.as_ref().map(|check| (check, true)),
        Action::Launch(_)
        | Action::Click(_)
        | Action::Key(_)
        | Action::Hover(_)
        | Action::Drag(_)
        | Action::Scroll(_)
        | Action::Shell(_)
        | Action::Screenshot(_)
        | Action::Note(_)
        | Action::Stage(_)
        | Action::Reboot(_)
        | Action::Install(_)
        | Action::Uninstall(_)
        | Action::Snapshot(_)
        | Action::Rollback(_)
        | Action::Power(_)
        | Action::If(_)
        | Action::Use(_) => None,
    };
    let verify = step.verify.as_ref().map(|check| (check, true));
    let both = own.into_iter().chain(verify);
    both.map(|(check, wanted)| Demand { check, wanted }).collect()
}

/// True where the step says something about what it finds: it has a condition, waits for its window, or is a command
/// that looks.
pub(super) fn checks(step: &Step) -> bool {
    !demands(step).is_empty() || checks_by_itself(step)
}

/// True where the action, without any condition, fails if the product does not do what it should.
pub(super) fn checks_by_itself(step: &Step) -> bool {
    match &step.action {
        Action::Launch(launch) => launch.window.is_some(),
        Action::Shell(shell) => Script::of(&shell.script).commands.iter().any(|c| c.looks()),
        _ => false,
    }
}

fn all_parts(step: &Step) -> impl Iterator<Item = &Check> {
    demands(step).into_iter().flat_map(|d| d.check.parts())
}

/// Everything on the screen that a step looks for.
pub(super) fn targets(step: &Step) -> Vec<(&Target, Purpose)> {
    let pointed = step.targets().into_iter().map(|t| (t, Purpose::Acting));
    let looked = all_parts(step).filter_map(|check| match check {
        Check::Text(target) => Some((target, Purpose::Looking)),
        _ => None,
    });
    pointed.chain(looked).collect()
}

/// The command that a step runs.
pub(super) fn shell_action(step: &Step) -> Option<&Shell> {
    match &step.action {
        Action::Shell(shell) => Some(shell),
        _ => None,
    }
}

/// Every text that a step gives to a shell.
pub(super) fn shells(step: &Step) -> Vec<(&Shell, Purpose)> {
    let checked = all_parts(step).filter_map(|check| match check {
        Check::Shell(check) => Some((&check.shell, Purpose::Looking)),
        _ => None,
    });
    let action = shell_action(step).map(|shell| (shell, Purpose::Acting));
    action.into_iter().chain(checked).collect()
}
