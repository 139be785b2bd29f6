//! One step of the old dialect: which kind it is, and what it has in common with others.

use super::super::error::Place;
use super::super::node::{Entry, Node, Value};
use super::super::vocabulary as v;
use super::common::Common;
use super::label::above;
use super::old::Old;
use super::out::{Item, Out, member};
use super::table::{Area, Fate, row};
use super::{Import, label};

/// Seconds of waiting that every step of the new language does by itself.
const SETTLES: i64 = 3;
pub(super) const DAY: i64 = 86_400;

/// A step that is being made.
#[derive(Default)]
pub(super) struct New {
    pub label: Option<String>,
    pub action: Option<(&'static str, Out)>,
    pub with: Option<Out>,
    pub verify: Option<Out>,
    pub verify_not: Option<Out>,
    pub attempts: Option<i64>,
    pub timeout: Option<i64>,
    pub dwell: Option<i64>,
    pub motion: Option<&'static str>,
    pub soft: bool,
    pub comments: Vec<String>,
}

impl New {
    pub fn act(name: &'static str, value: Out) -> New {
        New {
            action: Some((name, value)),
            ..New::default()
        }
    }
}

/// Steps that are being made.
#[derive(Default)]
pub(super) struct Steps {
    pub items: Vec<Item>,
    /// Time that the next step has more.
    pub wait: Option<(Place, i64)>,
}

const TYPING: [&str; 6] = ["key", "then_key", "key_pre", "then_key_pre", "then_type", "type"];

impl Import {
    /// The steps of a list.
    pub fn steps(&mut self, nodes: &[Node]) -> Vec<Item> {
        let mut steps = Steps::default();
        self.depth += 1;
        for node in nodes {
            self.step(node, &mut steps);
        }
        self.depth -= 1;
        if let Some((place, seconds)) = steps.wait.take() {
            self.waited(&mut steps, &place, seconds);
        }
        if !self.todo.is_empty() {
            let comments = std::mem::take(&mut self.todo);
            let id = self.id();
            steps.items.push(Item {
                id,
                from: (self.file.origin.clone(), Place::Whole),
                comments,
                members: Vec::new(),
            });
        }
        steps.items
    }

    fn step(&mut self, node: &Node, steps: &mut Steps) {
        let Value::Map(entries) = &node.value else {
            let text = format!("a step is an object, not {}", node.kind());
            self.by_hand(Area::Step, "any other key", &node.place, &text);
            return;
        };
        let mut old = Old::new(entries);
        let text = above(&self.file.lines, &node.place);
        if text != label::Above::default() {
            self.tell(Area::Text, "a comment above a step", &node.place);
        }
        let given = old.take("label").and_then(|e| {
            self.tell(Area::Step, "label", &e.place);
            super::text::as_text(&e.value).ok()
        });
        let label = given.or(text.label);
        if let Some(entry) = old.take("checkpoint") {
            self.checkpoint(entry, label.clone(), steps);
        }
        if let Some(entry) = old.take("popup_sweep") {
            self.tell(Area::Step, "popup_sweep", &entry.place);
        }
        if let Some(entry) = old.take("import") {
            self.fragment(entry, label, steps, &node.place);
            return self.strangers(old);
        }
        if let Some(entry) = old.take("routine") {
            self.call(entry, label, steps, &node.place);
            return self.strangers(old);
        }
        let mut common = self.common(&mut old);
        (common.label, common.comments) = (label, text.comments);
        if let Some(entry) = old.take("shell") {
            self.shell(entry, &mut old, common, steps, &node.place);
        } else if let Some(entry) = old.take("launch") {
            self.launch(entry, &mut old, common, steps, &node.place);
        } else if let Some(entry) = old.take("if_visible") {
            self.if_visible(entry, &mut old, common, steps, &node.place);
        } else if let Some(entry) = (!old.has("localize")).then(|| old.take("atspi")).flatten() {
            self.atspi(entry, &mut old, common, steps, &node.place);
        } else if let Some(entry) = old.take("verify_atspi") {
            self.focus(&mut old, steps, &node.place);
            self.verify_atspi(entry, common, steps, &node.place);
        } else if let Some(entry) = old.take("wait_for") {
            self.focus(&mut old, steps, &node.place);
            self.wait_for(entry, common, steps, &node.place);
        } else if let Some(entry) = old.take("localize") {
            self.localize(entry, &mut old, common, steps, &node.place);
        } else if TYPING.iter().any(|key| old.has(key)) {
            self.keyboard(&mut old, common, steps, &node.place);
        } else if common.verify.is_some() || common.verify_not.is_some() {
            self.focus(&mut old, steps, &node.place);
            self.look(common, steps, &node.place);
        } else if let Some((place, seconds)) = common.wait {
            self.later(steps, place, seconds);
        }
        self.strangers(old);
    }

    fn checkpoint(&mut self, entry: &Entry, label: Option<String>, steps: &mut Steps) {
        if !self.checkpoints {
            let text = "`checkpoints` were not enabled, so that it did nothing";
            return self.tell_as(Fate::Dropped, Area::Step, "checkpoint", &entry.place, text);
        }
        match super::text::as_text(&entry.value) {
            Ok(name) => {
                self.tell(Area::Step, "checkpoint", &entry.place);
                let name = Out::Str(snapshot_name(&name));
                // Within another step, nobody could go on behind it.
                let snapshot = match self.again && self.depth == 1 {
                    true => Out::map([("name", name), ("attempts", Out::Int(2))]),
                    false => name,
                };
                let mut new = New::act("snapshot", snapshot);
                new.label = label;
                self.push(new, steps, &entry.place);
            }
            Err(why) => self.by_hand(Area::Step, "checkpoint", &entry.place, &why),
        }
    }

    /// Members that the kind of step does not have.
    fn strangers(&mut self, old: Old<'_>) {
        for entry in old.rest() {
            self.by_hand(Area::Step, "any other key", &entry.place, &format!("`{}`", entry.key));
        }
    }

    /// A step that only looks.
    pub fn look(&mut self, mut common: Common, steps: &mut Steps, place: &Place) {
        if let Some((place, seconds)) = common.wait.take() {
            self.later(steps, place, seconds);
        }
        let looked = common.looked();
        let mut new = match (common.verify.take(), common.verify_not.take()) {
            (Some(yes), None) => New::act("expect", yes),
            (None, Some(no)) => {
                let seconds = common.verify_timeout.unwrap_or(10).clamp(1, DAY / 2);
                let span = Out::Str(format!("{seconds}s"));
                New::act("never", Out::map([("see", no), ("for", span)]))
            }
            (Some(yes), Some(no)) => {
                let not = Out::map([("not", Out::map([("see", no)]))]);
                New::act("expect", Out::map([("all", Out::List(vec![condition(yes), not]))]))
            }
            (None, None) => return,
        };
        new.timeout = looked.filter(|_| new.action.as_ref().is_some_and(|a| a.0 == "expect"));
        self.finish(new, common, steps, place);
    }

    /// A step with what it has in common with others.
    pub fn finish(&mut self, mut new: New, mut common: Common, steps: &mut Steps, place: &Place) {
        new.label = common.label.take();
        new.comments = std::mem::take(&mut common.comments);
        new.soft |= common.soft;
        self.push(new, steps, place);
    }

    /// Adds a step, with the time that was waited before it.
    pub fn push(&mut self, mut new: New, steps: &mut Steps, place: &Place) {
        let Some((action, value)) = new.action.take() else {
            return;
        };
        let looks = !["shell", "key", "type", "launch", "use", "note", "never", "snapshot"].contains(&action)
            || new.verify.is_some()
            || (action == "type" && matches!(&value, Out::Map(m) if m.iter().any(|m| m.key == "into")));
        if let Some((place, seconds)) = steps.wait.take() {
            match looks {
                true if seconds > SETTLES => {
                    let usual = v::ACTIONS.iter().find(|a| a.name == action).map_or(0, |a| a.seconds);
                    new.timeout = Some(new.timeout.unwrap_or(usual as i64) + seconds);
                }
                true => {}
                false => self.waited(steps, &place, seconds),
            }
        }
        let mut members = Vec::new();
        if let Some(label) = new.label.and_then(|label| self.label(&label)) {
            members.push(member("label", Out::Str(label)));
        }
        members.push(member(action, value));
        members.extend(new.with.map(|with| member("with", with)));
        members.extend(new.verify.map(|check| member("verify", check)));
        members.extend(new.verify_not.map(|check| member("verify_not", check)));
        members.extend(new.attempts.map(|n| member("attempts", Out::Int(n))));
        let seconds = new.timeout.map(|n| n.clamp(1, DAY));
        members.extend(seconds.map(|n| member("timeout", Out::Str(format!("{n}s")))));
        members.extend(new.dwell.map(|ms| member("dwell", Out::Str(format!("{ms}ms")))));
        members.extend(new.motion.map(|name| member("motion", Out::str(name))));
        if new.soft {
            members.push(member("soft", Out::Bool(true)));
        }
        let mut comments = std::mem::take(&mut self.todo);
        comments.append(&mut new.comments);
        let id = self.id();
        steps.items.push(Item {
            id,
            from: (self.file.origin.clone(), place.clone()),
            comments,
            members,
        });
    }

    /// Time before the next step.
    pub fn later(&mut self, steps: &mut Steps, place: Place, seconds: i64) {
        let before = steps.wait.take().map_or(0, |(_, n)| n);
        steps.wait = Some((place, (before + seconds).min(DAY)));
    }

    /// Nothing tells what was waited for.
    fn waited(&mut self, steps: &mut Steps, place: &Place, seconds: i64) {
        if seconds <= SETTLES {
            return;
        }
        let told = format!("{seconds} s; say with `wait_for` what for");
        let more = format!("a note stands for its {told}");
        self.leave(row(Area::Step, "wait"), place, &more, &told);
        let comments = std::mem::take(&mut self.todo);
        let id = self.id();
        let text = Out::Str(format!("{seconds} seconds were waited here before"));
        steps.items.push(Item {
            id,
            from: (self.file.origin.clone(), place.clone()),
            comments,
            members: vec![member("note", text)],
        });
    }

    /// A label that no other step has; templates meant nothing in one.
    fn label(&mut self, label: &str) -> Option<String> {
        let text = label
            .replace("{{", "{ {")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if text.is_empty() {
            return None;
        }
        let mut unique = text.clone();
        let mut n = 2;
        while !self.labels.insert(unique.clone()) {
            unique = format!("{text} ({n})");
            n += 1;
        }
        Some(unique)
    }

    /// A member of a list of steps.
    pub fn children(&mut self, entry: &Entry) -> Vec<Item> {
        match &entry.value.value {
            Value::Seq(nodes) => self.steps(nodes),
            _ => {
                let text = format!("`{}` is a list of steps, not {}", entry.key, entry.value.kind());
                self.by_hand(Area::Step, "any other key", &entry.place, &text);
                Vec::new()
            }
        }
    }
}

/// Text is a question.
pub(super) fn condition(check: Out) -> Out {
    match check {
        Out::Str(_) => Out::map([("see", check)]),
        check => check,
    }
}

/// The name as Proxmox takes it.
fn snapshot_name(name: &str) -> String {
    let sign = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let clean: String = name.chars().map(|c| if sign(c) { c } else { '-' }).collect();
    let first = clean.starts_with(|c: char| c.is_ascii_alphabetic());
    let named = match first && clean.len() > 1 && clean != "current" {
        true => clean,
        false => format!("at-{clean}"),
    };
    named.chars().take(40).collect()
}
