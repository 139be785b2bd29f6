//! What a file of a routine or a fragment says, as a routine.

use super::super::error::Place;
use super::super::node::{Entry, Node, Value};
use super::super::parse::is_id;
use super::Import;
use super::names::Scope;
use super::old::Old;
use super::out::{Member, Out, member};
use super::routine::{Done, Kind};
use super::step::condition;
use super::table::Area;
use super::text::{Lost, Usage, as_text};
use std::collections::BTreeMap;

impl Import {
    /// Adds a file to `routines`.
    pub fn declare_routine(&mut self, kind: Kind, slug: &str, tree: &Node) -> Done {
        let name = self.routine_name(slug);
        let todo = std::mem::take(&mut self.todo);
        self.scopes.push(Scope::of_routine());
        let members = match &tree.value {
            Value::Seq(nodes) => {
                self.tell(Area::Routine, "a fragment", &tree.place);
                vec![member("steps", Out::Steps(self.filled(nodes, &tree.place)))]
            }
            Value::Map(entries) => self.routine(kind, entries, &tree.place),
            _ => {
                self.by_hand(Area::Routine, "steps", &tree.place, "it must be a list of steps");
                vec![member("steps", Out::Steps(self.filled(&[], &tree.place)))]
            }
        };
        let scope = self.scopes.pop().unwrap_or_default();
        let mut all = Vec::new();
        let written = scope.written();
        let types: BTreeMap<String, String> = written.iter().map(|m| (m.key.clone(), type_of(&m.value))).collect();
        let (words, rest): (Vec<Member>, Vec<Member>) = members.into_iter().partition(|m| m.key == "description");
        all.extend(words);
        if !written.is_empty() {
            all.push(member("inputs", Out::Map(written)));
        }
        all.extend(rest);
        let comments = std::mem::replace(&mut self.todo, todo);
        self.routines.push(Member {
            key: name.clone(),
            comments,
            value: Out::Map(all),
        });
        let asked = scope.asked();
        let inputs = self
            .declared(tree)
            .into_iter()
            .filter_map(|old| {
                let new = scope.name_of(&old)?.to_string();
                let kind = types.get(&new).cloned().unwrap_or_else(|| "string".into());
                Some((old, (new, kind)))
            })
            .collect();
        Done { name, inputs, asked }
    }

    fn declared(&self, tree: &Node) -> Vec<String> {
        match tree.get("inputs").map(|n| &n.value) {
            Some(Value::Map(entries)) => entries.iter().map(|e| e.key.clone()).collect(),
            _ => Vec::new(),
        }
    }

    fn routine(&mut self, kind: Kind, entries: &[Entry], place: &Place) -> Vec<Member> {
        let mut old = Old::new(entries);
        let mut members = Vec::new();
        if kind == Kind::Fragment {
            self.tell(Area::Routine, "a fragment", place);
        }
        for key in ["name", "tags", "schema_version"] {
            if let Some(e) = old.take(key) {
                self.tell(Area::Routine, key, &e.place);
            }
        }
        if let Some(e) = old.take("description") {
            self.tell(Area::Routine, "description", &e.place);
            members.extend(describe(&e.value).map(|text| member("description", Out::Str(text))));
        }
        if let Some(e) = old.take("inputs") {
            self.routine_inputs(e);
        }
        if let Some(e) = old.take("preconditions") {
            members.extend(self.conditions(e, "preconditions").map(|c| member("requires", c)));
        }
        let steps = match old.take("steps") {
            Some(e) => {
                self.tell(Area::Routine, "steps", &e.place);
                match &e.value.value {
                    Value::Seq(nodes) => self.filled(nodes, &e.place),
                    _ => self.filled(&[], &e.place),
                }
            }
            None => self.filled(&[], place),
        };
        members.push(member("steps", Out::Steps(steps)));
        if let Some(e) = old.take("postconditions") {
            members.extend(self.conditions(e, "postconditions").map(|c| member("ensures", c)));
        }
        for key in ["fallbacks", "on_failure"] {
            if let Some(e) = old.take(key) {
                self.by_hand(Area::Routine, key, &e.place, "");
            }
        }
        for e in old.rest() {
            self.tell_more(Area::Routine, "any other key", &e.place, &format!(": `{}`", e.key));
        }
        members
    }

    /// Steps that only look, as one condition.
    fn conditions(&mut self, entry: &Entry, key: &'static str) -> Option<Out> {
        self.tell(Area::Routine, key, &entry.place);
        let Value::Seq(nodes) = &entry.value.value else {
            return None;
        };
        let mut all = Vec::new();
        for node in nodes {
            let Value::Map(entries) = &node.value else { continue };
            let before = all.len();
            for e in entries {
                let not = e.key == "verify_not";
                let questions = match (e.key.as_str(), &e.value.value) {
                    ("verify" | "verify_not" | "verify_input" | "verify_click", _) => std::slice::from_ref(&e.value),
                    ("accept_any", Value::Seq(items)) => items.as_slice(),
                    ("label" | "verify_timeout" | "retries", _) => continue,
                    _ => {
                        self.by_hand(Area::Routine, key, &e.place, &format!("`{}` is no question", e.key));
                        continue;
                    }
                };
                let asked: Vec<Result<String, Lost>> = questions.iter().map(|q| self.text(q, Usage::Shown)).collect();
                match asked.into_iter().collect::<Result<Vec<String>, Lost>>() {
                    Ok(texts) if texts.len() == 1 && !not => all.extend(texts.into_iter().map(Out::Str)),
                    Ok(texts) if not => {
                        all.extend(
                            texts
                                .into_iter()
                                .map(|t| Out::map([("not", Out::map([("see", Out::Str(t))]))])),
                        );
                    }
                    Ok(texts) if texts.is_empty() => {}
                    Ok(texts) => {
                        let any = texts.into_iter().map(|t| condition(Out::Str(t))).collect();
                        all.push(Out::map([("any", Out::List(any))]));
                    }
                    Err(why) => self.by_hand(Area::Routine, key, &e.place, &why),
                }
            }
            if all.len() == before {
                self.by_hand(Area::Routine, key, &node.place, "a step without a question");
            }
        }
        match all.len() {
            0 => None,
            1 => all.pop(),
            _ => Some(Out::map([("all", Out::List(all.into_iter().map(condition).collect()))])),
        }
    }

    fn routine_name(&self, slug: &str) -> String {
        let sign = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let mut first: String = slug.chars().map(sign).take(50).collect();
        first = first.trim_matches('-').to_string();
        if !is_id(&first) {
            first = "routine".into();
        }
        let mut name = first.clone();
        let mut n = 2;
        while self.routines.iter().any(|m| m.key == name) {
            name = format!("{first}-{n}");
            n += 1;
        }
        name
    }
}

fn type_of(input: &Out) -> String {
    let Out::Map(fields) = input else {
        return "string".into();
    };
    let kind = fields.iter().find(|m| m.key == "type").map(|m| &m.value);
    match kind {
        Some(Out::Str(kind)) => kind.clone(),
        _ => "string".into(),
    }
}

/// A text for people, without templates.
pub(super) fn describe(node: &Node) -> Option<String> {
    let text = as_text(node).ok()?.replace("{{", "{ {");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_string())
}
