//! What steps of most kinds may have: checks, tries, times.

use super::super::error::Place;
use super::super::node::Value;
use super::Import;
use super::old::{Old, truthy, whole};
use super::out::Out;
use super::step::{DAY, New, condition};
use super::table::{Area, Fate};
use super::text::{Usage, as_text};

/// The ways of the pointer that the old dialect has.
const MOTIONS: [&str; 3] = ["instant", "linear", "bezier"];

const LOCATING: [&str; 8] = [
    "verify_click",
    "verify_input",
    "verify_click_diff",
    "verify_click_diff_prompt",
    "verify_click_diff_crop",
    "canary",
    "precheck_click",
    "localize_consistent",
];

/// What steps of most kinds may have.
#[derive(Default)]
pub(super) struct Common {
    pub label: Option<String>,
    pub comments: Vec<String>,
    pub verify: Option<Out>,
    pub verify_not: Option<Out>,
    pub verify_click: Option<Out>,
    pub verify_input: Option<Out>,
    pub canary: Option<(Out, Out)>,
    pub verify_timeout: Option<i64>,
    pub retries: Option<i64>,
    pub wait: Option<(Place, i64)>,
    /// Milliseconds on the target before the button goes down.
    pub dwell: Option<i64>,
    pub motion: Option<&'static str>,
    pub soft: bool,
}

impl Common {
    /// What is checked last goes with the last step.
    pub fn check(&mut self, new: &mut New) {
        new.verify = self.verify.take();
        new.verify_not = self.verify_not.take();
        new.soft |= self.soft;
    }

    /// Seconds that the old runner looked, where the file says something about them.
    pub fn looked(&self) -> Option<i64> {
        (self.verify_timeout.is_some() || self.retries.is_some()).then(|| {
            let tries = self.retries.unwrap_or(3).clamp(1, 100);
            tries * self.verify_timeout.unwrap_or(10).clamp(1, DAY)
        })
    }
}

impl Import {
    /// Reads what steps of most kinds may have.
    pub fn common(&mut self, old: &mut Old<'_>) -> Common {
        let mut common = Common {
            verify: self.question(old, "verify"),
            verify_not: self.question(old, "verify_not"),
            ..Common::default()
        };
        if let Some(entry) = old.take("accept_any") {
            self.tell(Area::Step, "accept_any", &entry.place);
            let items = match &entry.value.value {
                Value::Seq(items) => items.as_slice(),
                _ => std::slice::from_ref(&entry.value),
            };
            let mut any = Vec::new();
            for item in items {
                match self.text(item, Usage::Shown) {
                    Ok(text) => any.push(Out::map([("see", Out::Str(text))])),
                    Err(why) => self.by_hand(Area::Step, "accept_any", &item.place, &why),
                }
            }
            if !any.is_empty() {
                let any = Out::map([("any", Out::List(any))]);
                common.verify = Some(match common.verify.take() {
                    Some(verify) => Out::map([("all", Out::List(vec![condition(verify), any]))]),
                    None => any,
                });
            }
        }
        let locates = old.has("localize");
        if locates {
            common.verify_click = self.question(old, "verify_click");
            common.verify_input = self.question(old, "verify_input");
        }
        self.canary(old, &mut common, locates);
        for key in LOCATING {
            if let Some(entry) = old.take(key) {
                let unused = if locates {
                    ""
                } else {
                    "; without `localize` it did nothing"
                };
                let fate = Fate::Dropped;
                self.tell_as(fate, Area::Step, construct(key), &entry.place, unused);
            }
        }
        if let Some(entry) = old.take("dwell_ms") {
            // Longer than a click has would not load.
            common.dwell = whole(&entry.value).filter(|ms| locates && (1..20_000).contains(ms));
            match common.dwell {
                Some(_) => self.tell(Area::Step, "dwell_ms", &entry.place),
                None => self.tell_as(
                    Fate::Dropped,
                    Area::Step,
                    "dwell_ms",
                    &entry.place,
                    "it has no effect here",
                ),
            }
        }
        if let Some(entry) = old.take("motion") {
            let known = |name: &str| MOTIONS.iter().find(|m| **m == name).copied();
            common.motion = entry.value.as_str().and_then(known).filter(|_| locates);
            match common.motion {
                Some(_) => self.tell(Area::Step, "motion", &entry.place),
                None => self.tell_as(
                    Fate::Dropped,
                    Area::Step,
                    "motion",
                    &entry.place,
                    "it has no effect here",
                ),
            }
        }
        if let Some(entry) = old.take("verify_consistent") {
            self.tell(Area::Step, "verify_consistent", &entry.place);
        }
        if let Some(entry) = old.take("on_failure_agent") {
            self.by_hand(Area::Step, "on_failure_agent", &entry.place, "");
        }
        common.verify_timeout = self.number(old, "verify_timeout");
        if let Some(entry) = old.take("retries") {
            common.retries = whole(&entry.value);
            let note = match common.retries {
                Some(n) if n < 1 => "; with 0 the old runner did nothing and passed",
                Some(_) => "",
                None => "; it is no number",
            };
            self.tell_more(Area::Step, "retries", &entry.place, note);
        }
        if let Some(entry) = old.take("must_pass") {
            self.tell(Area::Step, "must_pass", &entry.place);
            common.soft = !truthy(&entry.value);
        }
        if let Some(entry) = old.take("wait") {
            common.wait = whole(&entry.value).filter(|n| *n > 0).map(|n| (entry.place.clone(), n));
            let ignored = ["localize", "shell", "atspi", "wait_for", "verify_atspi"]
                .iter()
                .any(|k| old.has(k));
            if ignored {
                common.wait = None;
                self.tell_as(
                    Fate::Dropped,
                    Area::Step,
                    "wait",
                    &entry.place,
                    "; the old runner ignored it here",
                );
            } else {
                self.tell(Area::Step, "wait", &entry.place);
            }
        }
        common
    }

    /// A letter that is typed first, to see where it goes.
    fn canary(&mut self, old: &mut Old<'_>, common: &mut Common, locates: bool) {
        const NAME: &str = "canary, canary_verify, canary_char";
        let wanted = old.take("canary");
        let question = old.take("canary_verify");
        let letter = old.take("canary_char");
        for entry in [wanted, question, letter].into_iter().flatten() {
            self.tell(Area::Step, NAME, &entry.place);
        }
        let letter = letter.and_then(|e| as_text(&e.value).ok()).unwrap_or("q".into());
        let single = letter.chars().count() == 1 && !letter.contains(char::is_control);
        if let (Some(_), Some(question), true, true) = (wanted.filter(|e| truthy(&e.value)), question, locates, single)
        {
            match self.text(&question.value, Usage::Shown) {
                Ok(text) => common.canary = Some((Out::Str(letter), Out::Str(text))),
                Err(why) => self.by_hand(Area::Step, NAME, &question.place, &why),
            }
        }
    }

    /// A question for the judge.
    fn question(&mut self, old: &mut Old<'_>, key: &'static str) -> Option<Out> {
        let entry = old.take(key)?;
        if matches!(entry.value.value, Value::Null) {
            return None;
        }
        match self.text(&entry.value, Usage::Shown) {
            Ok(text) => {
                self.tell(Area::Step, key, &entry.place);
                Some(Out::Str(text))
            }
            Err(why) => {
                self.by_hand(Area::Step, key, &entry.place, &why);
                None
            }
        }
    }

    fn number(&mut self, old: &mut Old<'_>, key: &'static str) -> Option<i64> {
        let entry = old.take(key)?;
        self.tell(Area::Step, key, &entry.place);
        whole(&entry.value).map(|n| n.clamp(0, DAY))
    }
}

/// The row of a key that shares one.
fn construct(key: &'static str) -> &'static str {
    match key {
        "canary" => "canary, canary_verify, canary_char",
        key => key,
    }
}
