//! The promise that the result loads and that lint is content: it is loaded and looked at, and what is wrong is taken
//! out or told.

use super::super::Scenario;
use super::super::error::{Errors, Place, Problem};
use super::super::lint::{Remark, Severity};
use super::out::{Item, Member, Out, member, write};
use super::table::{Area, Fate};
use super::{Import, Imported, placeholder};

/// Rounds of taking out what does not load.
const ROUNDS: usize = 20;
/// Name of the result in problems; nobody sees it but where mosdat is wrong.
const RESULT: &str = "the imported scenario";

/// A result that is being proved.
struct Draft {
    import: Import,
    head: Vec<String>,
    members: Vec<Member>,
    is_library: bool,
}

/// Writes the result once it is right.
pub(super) fn finish(mut import: Import, mut head: Vec<String>, mut members: Vec<Member>) -> Result<Imported, Errors> {
    let is_library = members.is_empty();
    for (key, most) in [("setup", 100), ("steps", 500), ("cleanup", 100)] {
        let list = members.iter().find(|m| m.key == key).map(|m| &m.value);
        if let Some(Out::Steps(items)) = list
            && items.len() > most
        {
            return Err(Errors(vec![Problem {
                origin: import.file.origin,
                place: Place::Whole,
                message: format!(
                    "`{key}` would have {} steps; at most {most} are allowed: part the file",
                    items.len()
                ),
            }]));
        }
    }
    let routines = std::mem::take(&mut import.routines);
    if !routines.is_empty() {
        let at = members.iter().position(|m| m.key == "setup" || m.key == "steps");
        members.insert(at.unwrap_or(members.len()), member("routines", Out::Map(routines)));
    }
    head.append(&mut import.todo);
    let mut draft = Draft {
        import,
        head,
        members,
        is_library,
    };
    draft.load()?;
    draft.lint()?;
    let (text, _) = write(&draft.head, &draft.members);
    let mut remarks = draft.import.remarks;
    let main = draft.import.file.origin;
    remarks.sort_by(|a, b| {
        let key = |r: &super::ImportRemark| (r.origin != main, r.origin.clone(), r.place.clone());
        key(a).cmp(&key(b))
    });
    Ok(Imported { text, remarks })
}

impl Draft {
    /// Takes out the steps that do not load.
    fn load(&mut self) -> Result<(), Errors> {
        for _ in 0..ROUNDS {
            self.drop_phases();
            let (text, lines) = write(&self.head, &self.members);
            let loaded = self.read(&text);
            let Err(errors) = loaded else { return Ok(()) };
            let mut wrong: Vec<(usize, String)> = Vec::new();
            for problem in &errors.0 {
                if let Some(id) = step_at(&lines, &problem.place)
                    && !wrong.iter().any(|w| w.0 == id)
                {
                    wrong.push((id, problem.message.clone()));
                }
            }
            if wrong.is_empty() {
                return Err(fault(errors));
            }
            for (id, message) in wrong {
                self.take_out(id, &message);
            }
        }
        self.drop_phases();
        let (text, _) = write(&self.head, &self.members);
        self.read(&text).map_err(fault)
    }

    /// Phases whose first step has been taken out.
    fn drop_phases(&mut self) {
        let has_id = |item: &Item, id: &Out| item.members.iter().any(|m| m.key == "id" && same(&m.value, id));
        let steps = self.members.iter().find_map(|m| match &m.value {
            Out::Steps(items) if m.key == "steps" => Some(items.clone()),
            _ => None,
        });
        let steps = steps.unwrap_or_default();
        let mut dropped = Vec::new();
        for member in self.members.iter_mut().filter(|m| m.key == "phases") {
            if let Out::Map(phases) = &mut member.value {
                phases.retain(|phase| {
                    let from = match &phase.value {
                        Out::Map(fields) => fields.iter().find(|f| f.key == "from"),
                        _ => None,
                    };
                    let there = from.is_some_and(|from| steps.iter().any(|item| has_id(item, &from.value)));
                    if !there {
                        dropped.push(phase.key.clone());
                    }
                    there
                });
            }
        }
        let empty = |m: &Member| m.key == "phases" && matches!(&m.value, Out::Map(phases) if phases.is_empty());
        self.members.retain(|m| !empty(m));
        for name in dropped {
            let text = format!("; the step that `{name}` begins with is left out");
            self.import
                .tell_as(Fate::ByHand, Area::Top, "phases", &Place::Line(1, 1), &text);
        }
    }

    fn read(&self, text: &str) -> Result<(), Errors> {
        match self.is_library {
            true => Scenario::check_routines(RESULT, text),
            false => Scenario::from_str(RESULT, text).map(drop),
        }
    }

    fn take_out(&mut self, id: usize, why: &str) {
        let mut from = None;
        for member in &mut self.members {
            remove(&mut member.value, id, why, &mut from);
        }
        if let Some((origin, place)) = from {
            let file = std::mem::replace(&mut self.import.file.origin, origin);
            let text = format!(": {why}");
            self.import
                .tell_as(Fate::ByHand, Area::Text, "what does not load", &place, &text);
            self.import.file.origin = file;
        }
    }

    /// Allows what lint warns of, and tells it.
    fn lint(&mut self) -> Result<(), Errors> {
        for _ in 0..3 {
            let (text, lines) = write(&self.head, &self.members);
            if self.is_library {
                return Ok(());
            }
            let scenario = Scenario::from_str(RESULT, &text).map_err(fault)?;
            let serious = |r: &Remark| r.severity > Severity::Note && !super::super::allows(&text, r);
            let remarks: Vec<Remark> = scenario.lint().into_iter().filter(serious).collect();
            if remarks.is_empty() {
                return Ok(());
            }
            for remark in remarks {
                self.allow(&remark, &lines);
            }
        }
        Ok(())
    }

    fn drop_input(&mut self, name: &str) {
        let values = |m: &Member| ["inputs", "variables"].contains(&m.key.as_str());
        for member in self.members.iter_mut().filter(|m| values(m)) {
            if let Out::Map(inputs) = &mut member.value {
                inputs.retain(|input| input.key != name);
            }
        }
        let empty = |m: &Member| values(m) && matches!(&m.value, Out::Map(inputs) if inputs.is_empty());
        self.members.retain(|m| !empty(m));
        let text = format!("; no step that is left uses `{name}`, so it is left out");
        self.import
            .tell_as(Fate::Dropped, Area::Top, "vars", &Place::Line(1, 1), &text);
    }

    fn allow(&mut self, remark: &Remark, lines: &[(usize, usize)]) {
        let rule = remark.rule.id;
        // What used it has been left out.
        if let Some(name) = remark.message.split('\'').nth(1).filter(|_| rule == "unused-input") {
            return self.drop_input(name);
        }
        let step = remark.step.as_ref().and_then(|place| step_at(lines, place));
        let from = match step {
            Some(id) => {
                let mut from = None;
                for member in &mut self.members {
                    find(&mut member.value, id, &mut |item| {
                        allow_in(&mut item.comments, rule);
                        from = Some(item.from.clone());
                    });
                }
                from
            }
            None => {
                if let Some(steps) = self.members.iter_mut().find(|m| m.key == "steps") {
                    allow_in(&mut steps.comments, rule);
                }
                None
            }
        };
        let (origin, place) = from.unwrap_or((self.import.file.origin.clone(), Place::Line(1, 1)));
        let file = std::mem::replace(&mut self.import.file.origin, origin);
        let text = format!(": {rule}: {}; {}", remark.message, remark.hint());
        // The old runner had a model always: its words were descriptions, whatever they look like.
        let fate = match rule {
            "unquoted-label" => Fate::Kept,
            _ => Fate::ByHand,
        };
        self.import
            .tell_as(fate, Area::Text, "what lint warns of", &place, &text);
        self.import.file.origin = file;
    }
}

fn same(a: &Out, b: &Out) -> bool {
    matches!((a, b), (Out::Str(a), Out::Str(b)) if a == b)
}

/// One comment names all rules; it has to be the last line above.
fn allow_in(comments: &mut Vec<String>, rule: &str) {
    const WORD: &str = "lint: allow ";
    let before = comments
        .iter()
        .position(|c| c.starts_with(WORD))
        .map(|at| comments.remove(at));
    let named = before
        .as_deref()
        .and_then(|c| c.strip_prefix(WORD))
        .unwrap_or("TODO(import)");
    comments.push(format!("{WORD}{rule}, {named}"));
}

/// The innermost step that a line belongs to.
fn step_at(lines: &[(usize, usize)], place: &Place) -> Option<usize> {
    let Place::Line(line, _) = place else { return None };
    lines.iter().rev().find(|(first, _)| first <= line).map(|(_, id)| *id)
}

/// Replaces a step by a comment.
fn remove(value: &mut Out, id: usize, why: &str, from: &mut Option<(String, Place)>) {
    match value {
        Out::Map(members) => members.iter_mut().for_each(|m| remove(&mut m.value, id, why, from)),
        Out::Steps(items) => {
            for item in items.iter_mut() {
                if item.id == id {
                    *from = Some(item.from.clone());
                    item.members.clear();
                    item.comments.push(format!("TODO(import): a step is left out: {why}"));
                }
                item.members
                    .iter_mut()
                    .for_each(|m| remove(&mut m.value, id, why, from));
            }
            if items.iter().all(|i| i.members.is_empty())
                && let Some(first) = items.first().map(|i| i.from.clone())
            {
                items.push(placeholder(id, first));
            }
        }
        _ => {}
    }
}

fn find(value: &mut Out, id: usize, found: &mut dyn FnMut(&mut Item)) {
    match value {
        Out::Map(members) => members.iter_mut().for_each(|m| find(&mut m.value, id, found)),
        Out::Steps(items) => {
            for item in items {
                if item.id == id {
                    found(item);
                }
                item.members.iter_mut().for_each(|m| find(&mut m.value, id, found));
            }
        }
        _ => {}
    }
}

fn fault(errors: Errors) -> Errors {
    let told = |problem: Problem| Problem {
        message: format!("{} (the importer made this; it cannot say this file)", problem.message),
        ..problem
    };
    Errors(errors.0.into_iter().map(told).collect())
}
