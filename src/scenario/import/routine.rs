//! Routines and fragments: the files that scenarios of the old dialect named, now routines within the result.

use super::super::error::{Place, Problems};
use super::super::node::{Entry, Node, Value};
use super::super::yaml;
use super::names::is_secret_name;
use super::old::{Old, merge};
use super::out::{Member, Out, member};
use super::step::{New, Steps};
use super::table::{Area, Fate};
use super::text::{Lost, Usage, as_text};
use super::{File, Import};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folders above a scenario's in which files are looked for.
const FOLDERS_UP: usize = 9;

/// What kind of file a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Routine,
    Fragment,
}

/// A file that has been read.
#[derive(Clone, Debug)]
pub(super) struct Done {
    /// Its name below `routines`.
    pub name: String,
    /// Declared inputs: new name and type by the old name.
    pub inputs: BTreeMap<String, (String, String)>,
    /// What it needs besides, by the old names.
    pub asked: Vec<(String, String)>,
}

impl Import {
    /// `import: NAME`, or the tag.
    pub fn fragment(&mut self, entry: &Entry, label: Option<String>, steps: &mut Steps, place: &Place) {
        // The reader gives what is tagged one place for all.
        let tagged = entry.place == entry.value.place;
        let construct = if tagged {
            (Area::Text, "the tag !import")
        } else {
            (Area::Step, "import")
        };
        let found = as_text(&entry.value).and_then(|name| self.file_of(Kind::Fragment, &name));
        match found {
            Ok(done) => {
                self.tell(construct.0, construct.1, &entry.place);
                self.use_of(&done, None, label, steps, place);
            }
            Err(why) => self.by_hand(construct.0, construct.1, &entry.place, &why),
        }
    }

    /// `routine: NAME`, or an object with `name` and `with`.
    pub fn call(&mut self, entry: &Entry, label: Option<String>, steps: &mut Steps, place: &Place) {
        let (name, with) = match &entry.value.value {
            Value::Map(entries) => {
                let mut old = Old::new(entries);
                let found = (old.take("name").map(|e| &e.value), old.take("with"));
                for e in old.rest() {
                    self.tell_as(
                        Fate::Dropped,
                        Area::Step,
                        "any other key",
                        &e.place,
                        &format!(": `{}`", e.key),
                    );
                }
                found
            }
            _ => (Some(&entry.value), None),
        };
        let name = name.ok_or(Lost::from("it has no `name`")).and_then(as_text);
        match name.and_then(|name| self.file_of(Kind::Routine, &name)) {
            Ok(done) => {
                self.tell(Area::Step, "routine", &entry.place);
                self.use_of(&done, with, label, steps, place);
            }
            Err(why) => self.by_hand(Area::Step, "routine", &entry.place, &why),
        }
    }

    fn use_of(&mut self, done: &Done, with: Option<&Entry>, label: Option<String>, steps: &mut Steps, place: &Place) {
        let given: &[Entry] = match with.map(|e| &e.value.value) {
            Some(Value::Map(entries)) => entries,
            _ => &[],
        };
        let mut values: Vec<Member> = Vec::new();
        for entry in given {
            let asked = done.asked.iter().find(|a| a.0 == entry.key);
            let (name, kind) = match (done.inputs.get(&entry.key), asked) {
                (Some((name, kind)), _) => (name.clone(), kind.as_str()),
                (None, Some((_, name))) => (name.clone(), "string"),
                (None, None) => {
                    self.tell_as(
                        Fate::Dropped,
                        Area::Step,
                        "routine",
                        &entry.place,
                        &format!("; it has no use for `{}`", entry.key),
                    );
                    continue;
                }
            };
            let literal = matches!(&entry.value.value, Value::Str(s) if !s.contains('{'));
            if literal && is_secret_name(&entry.key) {
                // The value itself does not belong in a file.
                let construct = "a variable with password, token or secret in its name";
                let known = self.resolve(&entry.key, place);
                self.tell_more(Area::Text, construct, &entry.place, &format!(": `{}`", known.name));
                values.push(member(name, Out::Str(format!("{{{{ {} }}}}", known.name))));
                continue;
            }
            match self.argument(&entry.value, kind) {
                Ok(value) => values.push(member(name, value)),
                Err(why) => self.by_hand(Area::Step, "routine", &entry.place, &why),
            }
        }
        // What the call does not give comes from the variables of the file, where it has them.
        let declared = done
            .inputs
            .iter()
            .map(|(old, (new, _))| (old.clone(), new.clone(), false));
        let asked = done.asked.iter().map(|(old, new)| (old.clone(), new.clone(), true));
        for (old, new, needed) in declared.chain(asked).collect::<Vec<_>>() {
            if values.iter().any(|m| m.key == new) || !(needed || self.has(&old)) {
                continue;
            }
            let known = self.resolve(&old, place);
            if known.inline.is_none() {
                values.push(member(new, Out::Str(format!("{{{{ {} }}}}", known.name))));
            }
        }
        let mut new = New::act("use", Out::str(done.name.as_str()));
        new.with = (!values.is_empty()).then_some(Out::Map(values));
        new.label = label;
        self.push(new, steps, place);
    }

    /// A value for an input of a routine.
    fn argument(&mut self, node: &Node, kind: &str) -> Result<Out, Lost> {
        if let Value::Seq(_) | Value::Map(_) = node.value {
            return Ok(Out::Str(node.to_json().to_string()));
        }
        let text = match &node.value {
            Value::Null => return Err("the value is nothing".into()),
            Value::Str(s) if s.is_empty() => String::new(),
            _ => self.text(node, Usage::Typed)?,
        };
        if text.contains("{{") {
            return Ok(Out::Str(text));
        }
        let wrong = || format!("'{text}' is no {kind}");
        match kind {
            "integer" => text.parse().map(Out::Int).map_err(|_| wrong()),
            "boolean" => match text.to_lowercase().as_str() {
                "true" | "yes" | "on" => Ok(Out::Bool(true)),
                "false" | "no" | "off" => Ok(Out::Bool(false)),
                _ => Err(wrong()),
            },
            _ => Ok(Out::Str(text)),
        }
    }

    /// Reads a file once.
    fn file_of(&mut self, kind: Kind, slug: &str) -> Result<Done, Lost> {
        if let Some(done) = self.done.get(&(kind, slug.to_string())) {
            return Ok(done.clone());
        }
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if slug.is_empty() || slug.starts_with('.') || !slug.chars().all(sign) {
            return Err(format!("'{slug}' is no name of a file"));
        }
        if let Some(at) = self.within.iter().position(|w| *w == (kind, slug.to_string())) {
            let way: Vec<&str> = self.within[at..].iter().map(|w| w.1.as_str()).chain([slug]).collect();
            return Err(format!("these use each other: {}", way.join(" -> ")));
        }
        if self.within.len() > 20 {
            return Err("routines within routines, more than 20 deep".into());
        }
        let path = self.search(kind, slug)?;
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{origin} cannot be read: {e}"))?;
        let mut problems = Problems::new(&origin);
        let documents = yaml::read_old(&text, &mut problems);
        if !problems.is_empty() {
            return Err(problems.into_errors().to_string());
        }
        let Some(mut tree) = documents.and_then(|mut d| d.pop()) else {
            return Err(format!("{origin} is empty"));
        };
        merge(&mut tree);
        self.within.push((kind, slug.to_string()));
        let file = std::mem::replace(&mut self.file, File::new(&origin, &text));
        let done = self.declare_routine(kind, slug, &tree);
        self.file = file;
        self.within.pop();
        self.done.insert((kind, slug.to_string()), done.clone());
        Ok(done)
    }

    /// The file of a name, as the old loader looked for it.
    fn search(&self, kind: Kind, slug: &str) -> Result<PathBuf, Lost> {
        let below: Vec<String> = match kind {
            Kind::Routine => vec![
                format!("shared/routines/linux/{slug}.yaml"),
                format!("shared/routines/{slug}.yaml"),
            ],
            Kind::Fragment => vec![format!("shared/scenarios/imports/{slug}.yaml")],
        };
        let folder = self.folder.as_deref().ok_or("there is no folder to look for it")?;
        for up in folder.ancestors().take(FOLDERS_UP) {
            if let Some(found) = below.iter().map(|b| up.join(b)).find(|p| p.is_file()) {
                // As short as the person would write it.
                let here = std::env::current_dir().ok();
                let near = here.as_deref().and_then(|here| found.strip_prefix(here).ok());
                return Ok(near.map(Path::to_path_buf).unwrap_or(found));
            }
        }
        let last = below.last().map_or("", String::as_str);
        Err(format!(
            "there is no {last} in the scenario's folder or one above it; put it there, or write the steps"
        ))
    }
}

/// The absolute folder of a file.
pub(super) fn folder_of(file: &Path) -> Option<PathBuf> {
    std::path::absolute(file).ok()?.parent().map(Path::to_path_buf)
}
