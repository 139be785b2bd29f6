//! What names in texts mean: variables of the file, what every run of the old runner had, and what a caller gives.

use super::super::error::Place;
use super::super::node::{Entry, Node, Value};
use super::super::parse::is_input_name;
use super::super::template;
use super::Import;
use super::out::{Member, Out, member};
use super::table::Area;
use super::text::Usage;
use std::collections::{BTreeMap, BTreeSet};

/// What every run of the old runner gave; the second word tells secrets.
const GIVEN: [(&str, bool, &str); 5] = [
    (
        "workspace_url",
        false,
        "Address of the server that the application works with.",
    ),
    ("test_user", false, "User name for the server."),
    ("app_path", false, "Where the application is in the guest."),
    ("test_password", true, "Password of the user for the server."),
    ("vm_password", true, "Password of the guest's user."),
];

/// When a run began: neither a variable nor given.
pub(super) const TIMESTAMP: &str = "timestamp";

/// The names of one file.
#[derive(Debug, Default)]
pub(super) struct Scope {
    known: BTreeMap<String, Known>,
    inputs: Vec<Input>,
    /// Values that are made of others: name and text.
    variables: Vec<(String, String)>,
    /// The file has variables, so the old loader filled in templates.
    pub has_vars: bool,
    /// In a routine names come from its caller.
    pub is_routine: bool,
}

/// What a name means.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Its name now.
    pub name: String,
    pub secret: bool,
    /// A list or an object, now as JSON text.
    json: bool,
    /// The value has a template in it, and stands where the name is used.
    pub inline: Option<String>,
    value: Option<serde_json::Value>,
    used: bool,
}

#[derive(Debug)]
struct Input {
    /// The old name.
    old: String,
    name: String,
    kind: &'static str,
    default: Option<Out>,
    secret: bool,
    description: Option<String>,
    /// It is written in the file; else a text needs it.
    place: Option<Place>,
}

impl Scope {
    pub fn of_routine() -> Scope {
        Scope {
            is_routine: true,
            has_vars: true,
            ..Scope::default()
        }
    }

    /// What a routine needs besides its own inputs, by the old names.
    pub fn asked(&self) -> Vec<(String, String)> {
        let asked = self.inputs.iter().filter(|i| i.place.is_none());
        asked.map(|i| (i.old.clone(), i.name.clone())).collect()
    }

    pub fn uses(&self, old: &str) -> bool {
        self.known.get(old).is_some_and(|k| k.used)
    }

    /// The new name of a declared one.
    pub fn name_of(&self, old: &str) -> Option<&str> {
        self.known.get(old).map(|k| k.name.as_str())
    }

    /// `inputs` as written.
    pub fn written(&self) -> Vec<Member> {
        let wanted = self.inputs.iter().filter(|i| self.is_routine || self.uses(&i.old));
        wanted
            .map(|input| {
                let mut fields = Vec::new();
                fields.push(member("type", Out::str(input.kind)));
                fields.extend(input.default.clone().map(|d| member("default", d)));
                if input.secret {
                    fields.push(member("secret", Out::Bool(true)));
                }
                fields.extend(input.description.clone().map(|d| member("description", Out::Str(d))));
                member(input.name.clone(), Out::Map(fields))
            })
            .collect()
    }

    /// `variables` as written.
    pub fn made(&self) -> Vec<Member> {
        let made = self.variables.iter();
        made.map(|(name, text)| member(name.clone(), Out::str(text.as_str())))
            .collect()
    }

    fn new_name(&self, old: &str) -> String {
        let cut = old.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        let mut name: String = cut
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .take(50)
            .collect();
        if !is_input_name(&name) {
            name = name.to_ascii_lowercase();
        }
        if !is_input_name(&name) {
            name = "value".into();
        }
        let first = name.clone();
        let mut n = 2;
        while self.known.values().any(|k| k.name == name) {
            name = format!("{first}_{n}");
            n += 1;
        }
        name
    }

    fn add(&mut self, old: &str, known: Known) {
        self.known.insert(old.to_string(), known);
    }
}

impl Import {
    pub(super) fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    pub fn has_vars(&self) -> bool {
        self.scopes.iter().any(|s| s.has_vars)
    }

    pub fn is_json(&self, name: &str) -> bool {
        self.find(name).is_some_and(|k| k.json)
    }

    fn find(&self, name: &str) -> Option<&Known> {
        self.scopes.iter().rev().find_map(|s| s.known.get(name))
    }

    /// True for a name that the second layer of templates knew.
    pub fn knows(&self, name: &str) -> bool {
        self.find(name).is_some() || name == TIMESTAMP || GIVEN.iter().any(|g| g.0 == name)
    }

    /// True for a name that the file has.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Values that texts can be computed with.
    pub fn known_values(&self) -> BTreeMap<String, serde_json::Value> {
        let all = self.scopes.iter().flat_map(|s| &s.known);
        all.filter_map(|(name, k)| Some((name.clone(), k.value.clone()?)))
            .collect()
    }

    /// What a name means here; one that nobody has given yet becomes an input.
    pub fn resolve(&mut self, old: &str, place: &Place) -> Known {
        let last = self.scopes.len().saturating_sub(1);
        if !self.scopes.iter().skip(1).any(|scope| scope.known.contains_key(old)) {
            self.make_variable(old, place);
        }
        if let Some(known) = self.scope().known.get_mut(old) {
            known.used = true;
            return known.clone();
        }
        let outer = self
            .scopes
            .iter()
            .take(last)
            .rev()
            .find_map(|s| s.known.get(old))
            .cloned();
        let given = GIVEN.iter().find(|g| g.0 == old);
        let name = self.scope().new_name(old);
        let by_name = given.is_some_and(|g| g.1) || is_secret_name(old);
        let secret = outer.as_ref().map_or(by_name, |k| k.secret);
        let known = Known {
            name: name.clone(),
            secret,
            json: outer.as_ref().is_some_and(|k| k.json),
            inline: outer.as_ref().and_then(|k| k.inline.clone()),
            value: None,
            used: true,
        };
        let from_caller = self.scope().is_routine;
        match given {
            Some((_, true, _)) => self.tell(Area::Text, "test_password, vm_password", place),
            Some(_) => self.tell(Area::Text, "workspace_url, test_user, app_path", place),
            None if old == TIMESTAMP => self.tell(Area::Text, "timestamp", place),
            None if outer.is_none() => {
                self.tell_more(
                    Area::Text,
                    "a name that `vars` does not have",
                    place,
                    &format!(": `{name}`"),
                );
            }
            None => {}
        }
        // What a run captures is no input of the scenario, but one of a routine.
        if known.inline.is_none() && (from_caller || old != TIMESTAMP) {
            let description = given.map(|g| g.2.to_string()).filter(|_| !from_caller);
            self.scope().inputs.push(Input {
                old: old.to_string(),
                name,
                kind: "string",
                default: None,
                secret,
                description,
                place: None,
            });
        }
        self.scope().add(old, known.clone());
        known
    }

    /// A value with a template in it becomes a variable when it is first used. One that needs what only the run knows
    /// stands where it is used, as do those that name each other.
    fn make_variable(&mut self, old: &str, place: &Place) {
        let Some(first) = self.scopes.first_mut() else { return };
        if first.is_routine || tangled(first, old) {
            return;
        }
        let Some((name, text)) = first
            .known
            .get_mut(old)
            .and_then(|known| Some((known.name.clone(), known.inline.take()?)))
        else {
            return;
        };
        let inner = self.scopes.split_off(1);
        let made = self.template(&text, place, Usage::Typed, 0);
        let secret = made.as_ref().is_ok_and(|text| {
            let names = template::references(text).unwrap_or_default();
            let known = self.scope().known.values();
            known.filter(|k| k.secret).any(|k| names.contains(&k.name))
        });
        let scope = self.scope();
        match made {
            Ok(text) => scope.variables.push((name, text)),
            Err(_) => {
                if let Some(known) = scope.known.get_mut(old) {
                    known.inline = Some(text);
                }
            }
        }
        if let Some(known) = scope.known.get_mut(old) {
            known.secret |= secret;
        }
        self.scopes.extend(inner);
    }

    /// Reads `vars` of a scenario.
    pub fn vars(&mut self, entry: &Entry) {
        let Value::Map(entries) = &entry.value.value else {
            if !matches!(entry.value.value, Value::Null) {
                self.by_hand(Area::Top, "vars", &entry.value.place, "it must be an object");
            }
            return;
        };
        self.scope().has_vars = !entries.is_empty();
        for var in entries {
            let mut note = format!(": `{}`", var.key);
            let mut value = var.value.clone();
            if let Some(b) = self.old_boolean(&value) {
                value.value = Value::Bool(b);
            }
            if matches!(value.value, Value::Bool(_)) {
                note.push_str("; texts show it as true or false, no longer as True or False");
            }
            // What is made of others has a remark of its own.
            if is_secret_name(&var.key) || value.as_str().is_none() || !self.is_made(&value) {
                self.tell_more(Area::Top, "vars", &var.place, &note);
            }
            self.declare(var, &value, None);
        }
    }

    /// Reads `inputs` of a routine.
    pub fn routine_inputs(&mut self, entry: &Entry) {
        let Value::Map(entries) = &entry.value.value else {
            if !matches!(entry.value.value, Value::Null) {
                self.by_hand(Area::Routine, "inputs", &entry.value.place, "it must be an object");
            }
            return;
        };
        for input in entries {
            self.tell_more(Area::Routine, "inputs", &input.place, &format!(": `{}`", input.key));
            let kind = match input.value.get("type").and_then(Node::as_str) {
                Some("int" | "integer") => "integer",
                Some("bool" | "boolean") => "boolean",
                Some("list") => "list",
                _ => "string",
            };
            let none = Node {
                written: None,
                place: input.place.clone(),
                value: Value::Null,
            };
            let default = input.value.get("default").unwrap_or(&none);
            self.declare(input, default, Some(kind));
        }
    }

    /// `kind` is a routine's; a variable has that of its value.
    fn declare(&mut self, entry: &Entry, value: &Node, kind: Option<&'static str>) {
        let old = entry.key.as_str();
        let name = self.scope().new_name(old);
        if name != old {
            let note = format!(": `{old}` is now called `{name}`");
            self.tell_more(Area::Top, "vars", &entry.place, &note);
        }
        let secret = is_secret_name(old);
        let json_value = value.to_json();
        let mut known = Known {
            name: name.clone(),
            secret,
            json: kind == Some("list") || matches!(value.value, Value::Seq(_) | Value::Map(_)),
            inline: None,
            value: (!secret && kind.is_none()).then(|| json_value.clone()),
            used: false,
        };
        let (mut found, mut default) = match &value.value {
            _ if secret => ("string", None),
            Value::Null => ("string", None),
            Value::Bool(b) => ("boolean", Some(Out::Bool(*b))),
            Value::Int(i) => ("integer", Some(Out::Int(*i))),
            Value::Float(f) if f.is_finite() => ("number", Some(Out::Float(*f))),
            Value::Float(f) => ("string", Some(Out::Str(f.to_string()))),
            Value::Str(s) => ("string", Some(Out::Str(s.clone()))),
            Value::Seq(_) | Value::Map(_) => ("string", Some(Out::Str(json_value.to_string()))),
        };
        if secret {
            let construct = "a variable with password, token or secret in its name";
            self.tell_more(Area::Text, construct, &entry.place, &format!(": `{name}`"));
        }
        if let (Some(Out::Str(text)), true) = (&default, self.is_made(value)) {
            if known.json || kind.is_some() {
                // No place takes such a default.
                default = None;
            } else {
                self.tell_more(
                    Area::Text,
                    "a variable with a template in its value",
                    &entry.place,
                    &format!(": `{name}`"),
                );
                known.inline = Some(text.clone());
            }
        }
        match (kind, found) {
            (Some("list") | None, _) => {}
            (Some(wanted), found) if wanted == found || default.is_none() => {}
            (Some("string"), _) => default = super::text::as_text(value).ok().map(Out::Str),
            (Some(_), _) => default = None,
        }
        if let Some(wanted) = kind {
            found = if wanted == "list" || secret { "string" } else { wanted };
        }
        if known.inline.is_none() {
            self.scope().inputs.push(Input {
                old: old.to_string(),
                name,
                kind: found,
                default,
                secret,
                description: None,
                place: Some(entry.place.clone()),
            });
        }
        self.scope().add(old, known);
    }

    /// `yes` and `off` without quotes were booleans in the old loader's YAML.
    fn old_boolean(&self, node: &Node) -> Option<bool> {
        let value = match node.as_str()?.to_lowercase().as_str() {
            "yes" | "on" => true,
            "no" | "off" => false,
            _ => return None,
        };
        let Place::Line(line, column) = node.place else {
            return None;
        };
        let first = self
            .file
            .lines
            .get(line.checked_sub(1)?)?
            .chars()
            .nth(column.checked_sub(1)?)?;
        (first != '"' && first != '\'').then_some(value)
    }

    /// True for a text with a template in it.
    fn is_made(&self, value: &Node) -> bool {
        let text = match &value.value {
            Value::Seq(_) | Value::Map(_) => value.to_json().to_string(),
            _ => value.as_str().unwrap_or_default().to_string(),
        };
        text.contains("{{") || self.is_template_of_old(&text)
    }

    fn is_template_of_old(&self, text: &str) -> bool {
        text.split('{').skip(1).any(|rest| {
            let name = rest.split('}').next().unwrap_or_default();
            rest.contains('}') && self.knows(name)
        })
    }

    /// Tells the variables that nothing uses.
    pub fn unused(&mut self) {
        let unused: Vec<(Place, String)> = self
            .scope()
            .inputs
            .iter()
            .filter_map(|i| Some((i.place.clone()?, i.old.clone())))
            .collect();
        for (place, old) in unused {
            if !self.scope().uses(&old) {
                let note = format!("; no step uses `{old}`, so it is left out");
                self.tell_as(super::Fate::Dropped, Area::Top, "vars", &place, &note);
            }
        }
    }
}

/// True where the value of a variable needs when the run began, or, by way of others, itself.
fn tangled(scope: &Scope, old: &str) -> bool {
    let words = |name: &str| -> Vec<String> {
        let text = scope.known.get(name).and_then(|known| known.inline.as_deref());
        text.unwrap_or_default()
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .map(String::from)
            .collect()
    };
    let (mut open, mut seen) = (words(old), BTreeSet::new());
    while let Some(word) = open.pop() {
        if word == old || word == TIMESTAMP {
            return true;
        }
        if seen.insert(word.clone()) {
            open.extend(words(&word));
        }
    }
    false
}

/// Names of what is shown nowhere.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    ["password", "passwd", "token", "secret", "api_key", "apikey"]
        .iter()
        .any(|s| name.contains(s))
}
