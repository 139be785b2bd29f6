//! Steps that work at the screen: the pointer, keys, and what is done only where something is shown.

use super::super::chord;
use super::super::error::Place;
use super::super::node::{Entry, Value};
use super::Import;
use super::common::Common;
use super::old::{Old, truthy, whole};
use super::out::{Member, Out, member};
use super::step::{New, Steps, condition};
use super::table::{Area, Fate};
use super::text::{Lost, Usage};

impl Import {
    /// Waits for the window that was raised.
    pub fn focus(&mut self, old: &mut Old<'_>, steps: &mut Steps, place: &Place) {
        let Some(entry) = old.take("focus") else { return };
        match self.text(&entry.value, Usage::Shown) {
            Ok(title) => {
                self.tell(Area::Step, "focus", &entry.place);
                let window = Out::map([("window", Out::Str(title))]);
                self.push(New::act("wait_for", window), steps, place);
            }
            Err(why) => self.by_hand(Area::Step, "focus", &entry.place, &why),
        }
    }

    pub fn localize(&mut self, entry: &Entry, old: &mut Old<'_>, mut common: Common, steps: &mut Steps, place: &Place) {
        let node = old
            .take("atspi")
            .map(|e| self.atspi_beside(e, &mut common))
            .unwrap_or_default();
        self.focus(old, steps, place);
        let hover = old.take("hover");
        let button = old.take("click");
        for (key, e) in [("hover", hover), ("click", button)] {
            if let Some(e) = e {
                self.tell(Area::Step, key, &e.place);
            }
        }
        let target = match self.target(entry, old) {
            Ok(Out::Str(words)) if !node.is_empty() => {
                Out::Map(node.into_iter().chain([member("describe", Out::Str(words))]).collect())
            }
            Ok(target) => target,
            Err(why) => {
                let _ = self.typing(old);
                return self.by_hand(Area::Step, "localize", &entry.place, &why);
            }
        };
        if !matches!(target, Out::Map(ref m) if m.iter().any(|m| m.key == "describe")) {
            self.tell(Area::Step, "localize", &entry.place);
        }
        let hovers = hover.is_some_and(|e| truthy(&e.value));
        let right = button.and_then(|e| e.value.as_str()) == Some("right");
        let (before, text, after) = self.typing(old);
        let mut sequence = Vec::new();
        let into = text.is_some()
            && !hovers
            && !right
            && common.verify_click.is_none()
            && before.is_none()
            && common.dwell.is_none()
            && common.motion.is_none();
        let mut target = Some(target);
        if !into && let Some(target) = target.take() {
            let mut new = match (hovers, right) {
                (true, _) => New::act("hover", target),
                (false, true) => New::act("click", Out::map([("target", target), ("button", Out::str("right"))])),
                (false, false) => match target {
                    Out::Str(_) => New::act("click", target),
                    target => New::act("click", Out::map([("target", target)])),
                },
            };
            new.verify = common.verify_click.take();
            new.dwell = common.dwell.take();
            new.motion = common.motion.take();
            sequence.push(new);
        }
        sequence.extend(before.map(|chord| New::act("key", chord)));
        if let Some((letter, question)) = common.canary.take().filter(|_| text.is_some()) {
            let mut fields = vec![member("text", letter.clone())];
            fields.extend(target.take().map(|t| member("into", t)));
            let mut new = New::act("type", short(fields));
            new.verify = Some(question);
            sequence.push(new);
            sequence.push(New::act("key", Out::str("backspace")));
        }
        self.texts(text, target.take(), after, &mut common, &mut sequence);
        self.sequence(sequence, common, steps, place);
    }

    /// Keys and text, without a place to click.
    pub fn keyboard(&mut self, old: &mut Old<'_>, mut common: Common, steps: &mut Steps, place: &Place) {
        self.focus(old, steps, place);
        let (before, text, after) = self.typing(old);
        let mut sequence: Vec<New> = before.map(|chord| New::act("key", chord)).into_iter().collect();
        self.texts(text, None, after, &mut common, &mut sequence);
        let wait = common.wait.take();
        if let (Some((_, seconds)), Some(last)) = (&wait, sequence.last_mut())
            && common.verify.is_some()
        {
            // The pause was before the look.
            last.timeout = Some(30 + seconds);
        }
        let looked_at = common.verify.is_some();
        self.sequence(sequence, common, steps, place);
        if let Some((place, seconds)) = wait.filter(|_| !looked_at) {
            self.later(steps, place, seconds);
        }
    }

    /// `type` with its key, or the key alone.
    fn texts(
        &mut self,
        text: Option<Out>,
        into: Option<Out>,
        after: Option<Out>,
        common: &mut Common,
        sequence: &mut Vec<New>,
    ) {
        let mut after = after;
        if let Some(text) = text {
            let mut fields = vec![member("text", text)];
            fields.extend(into.map(|t| member("into", t)));
            let input = common.verify_input.take();
            if input.is_none() {
                fields.extend(after.take().map(|chord| member("then", chord)));
            }
            let mut new = New::act("type", short(fields));
            new.verify = input;
            sequence.push(new);
        }
        sequence.extend(after.map(|chord| New::act("key", chord)));
    }

    /// The steps that one becomes: its label is the first one's, its check the last one's.
    fn sequence(&mut self, sequence: Vec<New>, mut common: Common, steps: &mut Steps, place: &Place) {
        let count = sequence.len();
        let tries = common.retries.map(|n| n.clamp(1, 20));
        let looked = common.looked();
        for (i, mut new) in sequence.into_iter().enumerate() {
            if i == 0 {
                new.label = common.label.take();
                new.comments = std::mem::take(&mut common.comments);
            }
            if i + 1 == count {
                let action = new.action.as_ref().map(|a| a.0);
                let points = matches!(action, Some("click" | "hover"));
                if points && new.verify.is_some() && (common.verify.is_some() || common.verify_not.is_some()) {
                    // The click has a check of its own.
                    self.push(new, steps, place);
                    return self.look_after(common, steps, place);
                }
                let own = new.verify.is_some();
                if !own {
                    common.check(&mut new);
                }
                let checked = new.verify.is_some() || new.verify_not.is_some();
                if points && checked {
                    new.attempts = tries.filter(|n| *n > 1);
                }
                if let (Some(seconds), true) = (looked, checked) {
                    let locating = if points { 20 * tries.unwrap_or(1) } else { 20 };
                    new.timeout = Some(new.timeout.unwrap_or(0).max(seconds + locating));
                }
            }
            new.soft |= common.soft;
            self.push(new, steps, place);
        }
    }

    fn look_after(&mut self, mut common: Common, steps: &mut Steps, place: &Place) {
        let mut parts: Vec<Out> = common.verify.take().map(condition).into_iter().collect();
        let no = common.verify_not.take();
        parts.extend(no.map(|no| Out::map([("not", Out::map([("see", no)]))])));
        let check = match parts.len() {
            1 => parts.remove(0),
            _ => Out::map([("all", Out::List(parts))]),
        };
        let mut new = New::act("expect", check);
        new.timeout = common.looked();
        new.soft = common.soft;
        self.push(new, steps, place);
    }

    /// Where a step points.
    fn target(&mut self, entry: &Entry, old: &mut Old<'_>) -> Result<Out, Lost> {
        let words = self.text(&entry.value, Usage::Shown)?;
        let place = (old.take("x"), old.take("y"));
        if let (Some(x), Some(y)) = place
            && let (Some(across), Some(down)) = (whole(&x.value), whole(&y.value))
            && (0..=65_535).contains(&across)
            && (0..=65_535).contains(&down)
        {
            self.tell(Area::Step, "x, y", &x.place);
            let at = Out::List(vec![Out::Int(across), Out::Int(down)]);
            return Ok(Out::map([("at", at), ("reason", Out::Str(words))]));
        }
        if let Some(e) = place.0.or(place.1) {
            self.by_hand(Area::Step, "any other key", &e.place, &format!("`{}`", e.key));
        }
        match words.as_str() {
            // What the old workbench wrote for a click at a place.
            "manual click" | "manual hover" => Err("it was made by hand at a place that was not kept".into()),
            _ => Ok(Out::Str(words)),
        }
    }

    /// Key before, text, and key after it.
    fn typing(&mut self, old: &mut Old<'_>) -> (Option<Out>, Option<Out>, Option<Out>) {
        let mut both = |first: &str, second: &str| {
            let found = old.either(first, second);
            (found, old.take(second))
        };
        let (before, spare1) = both("then_key_pre", "key_pre");
        let (text, spare2) = both("then_type", "type");
        let (after, spare3) = both("then_key", "key");
        for (entry, name) in [
            (spare1, "then_key_pre, key_pre"),
            (spare2, "then_type, type"),
            (spare3, "then_key, key"),
        ] {
            if let Some(e) = entry {
                self.tell_as(Fate::Dropped, Area::Step, name, &e.place, "; the other name won");
            }
        }
        let text = text.and_then(|e| match self.text(&e.value, Usage::Typed) {
            Ok(text) => {
                self.tell(Area::Step, "then_type, type", &e.place);
                Some(Out::Str(text))
            }
            Err(why) => {
                self.by_hand(Area::Step, "then_type, type", &e.place, &why);
                None
            }
        });
        let before = before.and_then(|e| self.chord(e, "then_key_pre, key_pre"));
        let after = after.and_then(|e| self.chord(e, "then_key, key"));
        (before, text, after)
    }

    fn chord(&mut self, entry: &Entry, construct: &'static str) -> Option<Out> {
        if matches!(entry.value.value, Value::Null) {
            return None;
        }
        let chord = self
            .text(&entry.value, Usage::Shown)
            .and_then(|text| match text.contains("{{") {
                true => Ok(text),
                false => chord::parse(&text).map(|_| text),
            });
        match chord {
            Ok(chord) => {
                self.tell(Area::Step, construct, &entry.place);
                Some(Out::Str(chord))
            }
            Err(why) => {
                self.by_hand(Area::Step, construct, &entry.place, &why);
                None
            }
        }
    }

    pub fn if_visible(
        &mut self,
        entry: &Entry,
        old: &mut Old<'_>,
        mut common: Common,
        steps: &mut Steps,
        place: &Place,
    ) {
        if let Some(e) = old.take("focus") {
            self.tell_as(
                Fate::Dropped,
                Area::Step,
                "focus",
                &e.place,
                "; beside `if_visible` nothing was raised",
            );
        }
        let then = old.take("then");
        let other = old.take("then_steps");
        let words = match self.text(&entry.value, Usage::Shown) {
            Ok(words) => words,
            Err(why) => return self.by_hand(Area::Step, "if_visible", &entry.place, &why),
        };
        self.tell(Area::Step, "if_visible", &entry.place);
        for (key, e) in [("then", then), ("then_steps", other)] {
            if let Some(e) = e {
                self.tell(Area::Step, key, &e.place);
            }
        }
        if common.verify.take().is_some() || common.verify_not.take().is_some() {
            self.tell_as(
                Fate::Dropped,
                Area::Step,
                "verify",
                place,
                "; beside `if_visible` it was never asked",
            );
        }
        let Some(children) = then.or(other) else {
            return self.by_hand(Area::Step, "if_visible", &entry.place, "it has no `then`");
        };
        let outer = std::mem::take(&mut self.todo);
        let mut children = self.children(children);
        self.fill(&mut children, &entry.place);
        let inner = std::mem::replace(&mut self.todo, outer);
        self.todo.extend(inner);
        let see = Out::Str(format!("{} is shown", words.trim().trim_end_matches('.')));
        let mut new = New::act(
            "if",
            Out::Map(vec![member("see", see), member("then", Out::Steps(children))]),
        );
        new.timeout = common.wait.take().map(|w| w.1);
        self.finish(new, common, steps, place);
    }
}

/// The short form, where there is only the text.
fn short(mut fields: Vec<Member>) -> Out {
    match fields.len() {
        1 => fields.remove(0).value,
        _ => Out::Map(fields),
    }
}
