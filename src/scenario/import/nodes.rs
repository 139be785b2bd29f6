//! Steps of the old dialect that name elements of the accessibility tree.

use super::super::accessible::ROLES;
use super::super::error::Place;
use super::super::node::{Entry, Node, Value};
use super::common::Common;
use super::old::{Old, truthy, whole};
use super::out::{Member, Out, member};
use super::step::{DAY, New, Steps};
use super::table::Area;
use super::text::{Lost, Usage};
use super::{Import, told};

/// What an element's map says besides which one it is.
#[derive(Default)]
struct Element {
    members: Vec<Member>,
    timeout: Option<i64>,
    dwell: Option<i64>,
}

impl Import {
    /// `atspi` without `localize`: a click.
    pub fn atspi(&mut self, entry: &Entry, old: &mut Old<'_>, mut common: Common, steps: &mut Steps, place: &Place) {
        self.focus(old, steps, place);
        match self.element(&entry.value, false) {
            Ok(element) => {
                self.tell(Area::Step, "atspi", &entry.place);
                let mut new = New::act("click", Out::map([("target", Out::Map(element.members))]));
                new.timeout = element.timeout;
                new.dwell = element.dwell.or(common.dwell.take());
                new.motion = common.motion.take();
                new.attempts = common
                    .retries
                    .map(|n| n.clamp(1, 20))
                    .filter(|n| *n > 1 && common.verify.is_some());
                common.check(&mut new);
                self.finish(new, common, steps, place);
            }
            Err(why) => self.left("atspi", entry, &why),
        }
    }

    /// The members of a target that the map beside a `localize` makes.
    pub fn atspi_beside(&mut self, entry: &Entry, common: &mut Common) -> Vec<Member> {
        match self.element(&entry.value, false) {
            Ok(element) => {
                self.tell(Area::Step, "atspi with localize", &entry.place);
                common.dwell = common.dwell.take().or(element.dwell);
                element.members
            }
            Err(why) => {
                self.left("atspi", entry, &why);
                Vec::new()
            }
        }
    }

    pub fn verify_atspi(&mut self, entry: &Entry, mut common: Common, steps: &mut Steps, place: &Place) {
        match self.element(&entry.value, true) {
            Ok(element) => {
                self.tell(Area::Step, "verify_atspi", &entry.place);
                let mut new = New::act("expect", Out::map([("node", Out::Map(element.members))]));
                new.timeout = element.timeout.or(common.looked());
                self.alone("verify_atspi", &mut common, place);
                self.finish(new, common, steps, place);
            }
            Err(why) => self.left("verify_atspi", entry, &why),
        }
    }

    pub fn wait_for(&mut self, entry: &Entry, mut common: Common, steps: &mut Steps, place: &Place) {
        match self.waited_for(&entry.value) {
            Ok((condition, timeout)) => {
                self.tell(Area::Step, "wait_for", &entry.place);
                let mut new = New::act("wait_for", condition);
                new.timeout = Some(timeout);
                self.alone("wait_for", &mut common, place);
                self.finish(new, common, steps, place);
            }
            Err(why) => self.left("wait_for", entry, &why),
        }
    }

    /// The old runner looked at this alone, whatever checks stood beside it.
    fn alone(&mut self, word: &str, common: &mut Common, place: &Place) {
        for (name, check) in [("verify", &mut common.verify), ("verify_not", &mut common.verify_not)] {
            if check.take().is_some() {
                let text = format!("`{word}` decided alone; the `{name}` beside it is left out");
                self.by_hand(Area::Step, name, place, &text);
            }
        }
    }

    /// What could not be carried, and why.
    fn left(&mut self, word: &'static str, entry: &Entry, why: &str) {
        let why = format!("{why} ({})", told(&entry.value));
        self.by_hand(Area::Step, word, &entry.place, &why);
    }

    /// `{any: [...]}` or `{all: [...]}`, and the seconds that there are.
    fn waited_for(&mut self, node: &Node) -> Result<(Out, i64), Lost> {
        let Value::Map(entries) = &node.value else {
            return Err(format!("it is {}, not an object", node.kind()));
        };
        let mut old = Old::new(entries);
        let timeout = old
            .take("timeout")
            .and_then(|e| whole(&e.value))
            .unwrap_or(15)
            .clamp(1, DAY);
        old.take("interval");
        let (word, list) = match (old.take("any"), old.take("all")) {
            (Some(any), None) => ("any", any),
            (None, Some(all)) => ("all", all),
            _ => return Err("it needs one of `any` and `all`".into()),
        };
        if let Some(stranger) = old.rest().first() {
            return Err(format!("it has `{}`", stranger.key));
        }
        let Value::Seq(items) = &list.value.value else {
            return Err(format!("`{word}` is no list"));
        };
        let mut nodes = Vec::new();
        for item in items {
            let element = self.element(item, false)?;
            nodes.push(Out::map([("node", Out::Map(element.members))]));
        }
        match nodes.len() {
            0 => Err(format!("`{word}` is empty")),
            1 => Ok((nodes.remove(0), timeout)),
            _ => Ok((Out::map([(word, Out::List(nodes))]), timeout)),
        }
    }

    /// `part`: whether a name counts as a part of the element's where the map says nothing about that.
    fn element(&mut self, node: &Node, part: bool) -> Result<Element, Lost> {
        let Value::Map(entries) = &node.value else {
            return Err(format!("it is {}, not an object", node.kind()));
        };
        let mut old = Old::new(entries);
        let mut element = Element::default();
        if let Some(e) = old.take("role") {
            let role = self.text(&e.value, Usage::Shown)?;
            if !ROLES.contains(&role.as_str()) {
                return Err(format!("`{role}` is no role of the accessibility tree"));
            }
            element.members.push(member("role", Out::Str(role)));
        }
        let part = old.take("name_substr").map_or(part, |e| truthy(&e.value));
        if let Some(e) = old.take("name") {
            let name = Out::Str(self.text(&e.value, Usage::Shown)?);
            let name = if part { Out::map([("contains", name)]) } else { name };
            element.members.push(member("name", name));
        }
        if element.members.is_empty() {
            return Err("it has neither a role nor a name".into());
        }
        if let Some(e) = old.take("app_filter") {
            let app = self.text(&e.value, Usage::Shown)?;
            if !app.is_empty() {
                element.members.push(member("app", Out::Str(app)));
            }
        }
        element.timeout = old
            .take("timeout")
            .and_then(|e| whole(&e.value))
            .map(|n| n.clamp(1, DAY));
        element.dwell = old
            .take("dwell_ms")
            .and_then(|e| whole(&e.value))
            .map(|n| n.clamp(0, 60_000));
        let via = old.take("via").and_then(|e| e.value.as_str());
        if via.is_some_and(|via| via != "pointer") || old.has("action_idx") {
            return Err("an action of the element is no click: nobody could have done it with the mouse".into());
        }
        old.take("motion");
        match old.rest().first() {
            Some(stranger) => Err(format!("it has `{}`", stranger.key)),
            None => Ok(element),
        }
    }
}
