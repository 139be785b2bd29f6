//! The outermost object of an old scenario.

use super::super::node::{Node, Value};
use super::library::describe;
use super::old::{self, Old};
use super::out::{Item, Member, Out, member};
use super::step::{New, Steps};
use super::table::{Area, Fate};
use super::text::Usage;
use super::{Import, names, stem, told};

impl Import {
    pub fn scenario(&mut self, tree: &Node) -> Vec<Member> {
        let Value::Map(entries) = &tree.value else {
            return Vec::new();
        };
        let mut old = Old::new(entries);
        self.scope();
        if let Some(e) = old.take("vars") {
            self.vars(e);
        }
        if let Some(e) = old.take("checkpoints") {
            self.checkpoints = e.value.get("enabled").is_some_and(old::truthy);
            match self.checkpoints {
                true => {
                    self.again = e.value.get("rewind_on_failure").is_none_or(old::truthy);
                    match self.again {
                        true => self.tell(Area::Top, "checkpoints", &e.place),
                        false => self.tell_more(
                            Area::Top,
                            "checkpoints",
                            &e.place,
                            "; `rewind_on_failure` was off, so they have no `attempts`",
                        ),
                    }
                }
                false => self.tell_as(
                    Fate::Dropped,
                    Area::Top,
                    "checkpoints",
                    &e.place,
                    "they were not enabled",
                ),
            }
        }
        let mut members = self.about(&mut old);
        let mut notes = std::mem::take(&mut self.todo);
        let steps = old.take("steps");
        let mut items = match steps {
            Some(e) => {
                self.tell(Area::Top, "steps", &e.place);
                match &e.value.value {
                    Value::Seq(nodes) => self.steps(nodes),
                    _ => Vec::new(),
                }
            }
            None => Vec::new(),
        };
        // Only in the test itself there is something to go on with.
        self.again = false;
        items.extend(self.confirmation(&mut old));
        let mut setup = leading(&mut items);
        if let (Some(e), false) = (steps, setup.is_empty()) {
            let count = setup.iter().filter(|i| !i.members.is_empty()).count();
            let note = format!("what stands before everything else is `setup` now ({count} steps)");
            self.tell_as(Fate::Changed, Area::Top, "steps", &e.place, &note);
        }
        let mut phases = Vec::new();
        if let Some(e) = old.take("phases") {
            let nodes = match steps.map(|e| &e.value.value) {
                Some(Value::Seq(nodes)) => nodes.as_slice(),
                _ => &[],
            };
            phases = self.phases(e, nodes, &mut items);
            notes.append(&mut self.todo);
        }
        self.fill(&mut items, &tree.place);
        let mut cleanup = match old.take("cleanup") {
            Some(e) => {
                self.tell(Area::Top, "cleanup", &e.place);
                match &e.value.value {
                    Value::Seq(nodes) => self.steps(nodes),
                    _ => Vec::new(),
                }
            }
            None => Vec::new(),
        };
        // At the end, no failure counts but is told.
        cleanup
            .iter_mut()
            .for_each(|item| item.members.retain(|m| m.key != "soft"));
        self.leftovers(old);
        notes.append(&mut self.todo);
        if self.scope().uses(names::TIMESTAMP) && self.captures_timestamp() {
            let date = Out::map([
                ("command", Out::str("date +%Y%m%d_%H%M%S")),
                ("capture", Out::str(names::TIMESTAMP)),
            ]);
            let id = self.id();
            let from = (self.file.origin.clone(), tree.place.clone());
            setup.insert(
                0,
                Item {
                    id,
                    from,
                    comments: Vec::new(),
                    members: vec![member("shell", date)],
                },
            );
        }
        self.unused();
        let inputs = self.scope().written();
        if !inputs.is_empty() {
            members.push(member("inputs", Out::Map(inputs)));
        }
        let made = self.scope().made();
        if !made.is_empty() {
            members.push(member("variables", Out::Map(made)));
        }
        if !phases.is_empty() {
            members.push(member("phases", Out::Map(phases)));
        }
        if !setup.is_empty() {
            members.push(member("setup", Out::Steps(setup)));
        }
        let mut list = member("steps", Out::Steps(items));
        list.comments = notes;
        members.push(list);
        if cleanup.iter().any(|i| !i.members.is_empty()) {
            members.push(member("cleanup", Out::Steps(cleanup)));
        }
        members
    }

    /// `name` and `description`, with what else told people about the file.
    fn about(&mut self, old: &mut Old<'_>) -> Vec<Member> {
        let mut description = Vec::new();
        let name = old.take("name").and_then(|e| {
            self.tell(Area::Top, "name", &e.place);
            describe(&e.value)
        });
        if let Some(e) = old.take("description") {
            self.tell(Area::Top, "description", &e.place);
            description.extend(describe(&e.value));
        }
        if let Some(e) = old.take("issue") {
            self.tell(Area::Top, "issue", &e.place);
            let text = |key: &str| e.value.get(key).and_then(describe);
            let words: Vec<String> = ["id", "title", "url", "suspected_pr", "reporter_version"]
                .into_iter()
                .filter_map(text)
                .collect();
            description.push(format!("Issue {}", words.join(", ")));
        }
        let mut first = member("name", Out::Str(name.unwrap_or_else(|| stem(&self.file.origin))));
        if let Some(e) = old.take("app") {
            self.tell(Area::Top, "app", &e.place);
            first
                .comments
                .extend(describe(&e.value).map(|app| format!("app: {app}")));
        }
        let mut members = vec![first];
        if !description.is_empty() {
            members.push(member("description", Out::Str(description.join("\n"))));
        }
        if self.windows {
            members.push(member("platforms", Out::List(vec![Out::str("windows")])));
        }
        members
    }

    /// The two questions of a bug confirmation.
    fn confirmation(&mut self, old: &mut Old<'_>) -> Vec<Item> {
        let mut steps = Steps::default();
        for key in ["precondition_check", "bug_signal"] {
            let Some(e) = old.take(key) else { continue };
            match self.text(&e.value, Usage::Shown) {
                Ok(question) => {
                    self.tell(Area::Top, key, &e.place);
                    let (label, check) = match key {
                        "bug_signal" => {
                            let see = Out::map([("see", Out::Str(question))]);
                            ("the bug does not show", Out::map([("not", see)]))
                        }
                        _ => ("the state that the bug needs is reached", Out::Str(question)),
                    };
                    let mut new = New::act("expect", check);
                    new.label = Some(label.into());
                    self.push(new, &mut steps, &e.place);
                }
                Err(why) => self.by_hand(Area::Top, key, &e.place, &why),
            }
        }
        steps.items
    }

    /// What has no counterpart in the outermost object.
    fn leftovers(&mut self, mut old: Old<'_>) {
        for key in ["kind", "imports", "report_config_snapshots"] {
            if let Some(e) = old.take(key) {
                self.tell(Area::Top, key, &e.place);
            }
        }
        if let Some(e) = old.take("expected_env") {
            self.by_hand(Area::Top, "expected_env", &e.place, &told(&e.value));
        }
        for e in old.rest() {
            self.tell_more(Area::Top, "any other key", &e.place, &format!(": `{}`", e.key));
        }
    }

    fn captures_timestamp(&mut self) -> bool {
        !self.scope().written().iter().any(|m| m.key == names::TIMESTAMP)
    }
}

/// Takes the commands away that stand before everything else; what they do is no test yet.
fn leading(items: &mut Vec<Item>) -> Vec<Item> {
    let prepares = |item: &Item| {
        let key = |k: &str| item.members.iter().any(|m| m.key == k);
        item.members.is_empty()
            || (key("shell") || key("wait_gone")) && !key("verify") && !key("verify_not") && !key("soft")
    };
    const MOST: usize = 90;
    let count = items.iter().take_while(|item| prepares(item)).count();
    let real = |items: &[Item]| items.iter().any(|i| !i.members.is_empty());
    if count > MOST || !real(&items[..count]) || !real(&items[count..]) {
        return Vec::new();
    }
    let rest = items.split_off(count);
    std::mem::replace(items, rest)
}
