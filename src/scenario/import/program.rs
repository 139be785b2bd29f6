//! Steps that start programs: commands, and the application.

use super::super::error::Place;
use super::super::node::Entry;
use super::super::text as readers;
use super::Import;
use super::common::Common;
use super::old::{Old, whole};
use super::out::{Out, member};
use super::shell;
use super::step::{New, Steps, condition};
use super::table::Area;
use super::text::{Usage, as_text};

/// Why commands of scenarios for Windows are not taken over.
const FOR_WINDOWS: &str = "it is for Windows, where values are no longer pasted into commands: write it for PowerShell, with each value as $env:NAME";

impl Import {
    pub fn shell(&mut self, entry: &Entry, old: &mut Old<'_>, mut common: Common, steps: &mut Steps, place: &Place) {
        if self.windows {
            return self.by_hand(Area::Step, "shell", &entry.place, FOR_WINDOWS);
        }
        if let Some(seconds) = as_text(&entry.value).ok().as_deref().and_then(nap) {
            self.tell(Area::Step, "wait", &entry.place);
            return self.later(steps, entry.place.clone(), seconds);
        }
        let (script, env) = match self.script(&entry.value) {
            Ok(found) => found,
            Err(why) => return self.by_hand(Area::Step, "shell", &entry.place, &why),
        };
        self.tell(Area::Step, "shell", &entry.place);
        let gone = ended(&script);
        let script = match (shell::needs_bash(&script), &gone) {
            (true, _) => {
                self.tell(Area::Text, "bash in a shell", &entry.place);
                shell::in_bash(&script)
            }
            // Nothing to be ended is no failure.
            (false, Some(_)) if alone(&script) => format!("{} || [ $? -eq 1 ]", script.trim()),
            (false, _) => script,
        };
        let value = match env.is_empty() {
            true => Out::Str(script),
            false => {
                let env = env.into_iter().map(|(k, v)| member(k, Out::Str(v))).collect();
                Out::map([("command", Out::Str(script)), ("env", Out::Map(env))])
            }
        };
        let mut new = New::act("shell", value);
        if old.has("focus") {
            // The window came between the command and the look.
            new.label = common.label.take();
            self.push(new, steps, place);
            self.focus(old, steps, place);
            return self.look(common, steps, place);
        }
        new.timeout = common.looked().filter(|_| common.verify.is_some()).map(|s| s + 60);
        common.check(&mut new);
        self.finish(new, common, steps, place);
        if let Some(name) = gone {
            self.push(
                New::act("wait_gone", Out::map([("process", Out::Str(name))])),
                steps,
                place,
            );
        }
    }

    pub fn launch(&mut self, entry: &Entry, old: &mut Old<'_>, mut common: Common, steps: &mut Steps, place: &Place) {
        let window = old.take("launch_window");
        let raised = old.take("focus");
        let limit = old.take("launch_timeout");
        let command = match self.text(&entry.value, Usage::Shown) {
            Ok(text) if !self.windows => text,
            Ok(_) => {
                return self.by_hand(Area::Step, "launch", &entry.place, FOR_WINDOWS);
            }
            Err(why) => return self.by_hand(Area::Step, "launch", &entry.place, &why),
        };
        self.tell(Area::Step, "launch", &entry.place);
        let mut title = None;
        // A window that is raised afterwards is the one to wait for.
        for (key, entry) in [("launch_window", window), ("focus", raised)] {
            let Some(e) = entry else { continue };
            match self.text(&e.value, Usage::Shown) {
                Ok(text) => {
                    self.tell(Area::Step, key, &e.place);
                    title = Some(text);
                }
                Err(why) => self.by_hand(Area::Step, key, &e.place, &why),
            }
        }
        if let Some(e) = limit {
            self.tell(Area::Step, "launch_timeout", &e.place);
        }
        // It was the time for the start, not a pause.
        let wait = common.wait.take().map(|w| w.1);
        let budget = limit.and_then(|e| whole(&e.value)).or(wait).filter(|n| *n > 0);
        let process = process_of(&command).filter(|_| title.is_none() && budget.is_some());
        let mut members = vec![member("command", argv(&command))];
        members.extend(title.map(|t| member("window", Out::Str(t))));
        let value = match (members.len(), &members[0].value) {
            (1, Out::Str(_)) => members.remove(0).value,
            _ => Out::Map(members),
        };
        let looked = common.looked();
        let mut new = New::act("launch", value);
        common.check(&mut new);
        if let Some(name) = process {
            let runs = Out::map([("process", Out::Str(name))]);
            new.verify = Some(match new.verify.take() {
                Some(check) => Out::map([("all", Out::List(vec![runs, condition(check)]))]),
                None => runs,
            });
        }
        new.timeout = match (budget, looked.filter(|_| new.verify.is_some())) {
            (None, None) => None,
            // Without a word about it, the old runner looked for three times ten seconds.
            (budget, looked) => {
                let usual = if new.verify.is_some() { 30 } else { 0 };
                Some(budget.unwrap_or(60) + looked.unwrap_or(usual)).filter(|all| *all > 60)
            }
        };
        self.finish(new, common, steps, place);
    }
}

/// The command as words, by way of a shell only where one is needed.
fn argv(command: &str) -> Out {
    let line = command.trim();
    match readers::words(line) {
        Ok(words) => match words.first() {
            Some(first) if first.contains('=') && !first.starts_with(['/', '=']) => Out::Str(format!("env {line}")),
            _ if words.iter().any(|w| w.starts_with("~/")) || words.last().is_some_and(|w| w == "&") => by_shell(line),
            _ => Out::str(line),
        },
        Err(_) => by_shell(line),
    }
}

fn by_shell(line: &str) -> Out {
    let line = line.trim_end_matches(['&', ' ']);
    Out::List(vec![Out::str("sh"), Out::str("-c"), Out::str(line)])
}

/// The name by which the old runner looked for the program.
fn process_of(command: &str) -> Option<String> {
    let words: Vec<String> = readers::words(command).ok()?;
    let mut words = words.iter().skip_while(|w| w.contains('=')).map(String::as_str);
    let first = words.next()?;
    let name = match (first, words.next(), words.next()) {
        ("flatpak", Some("run"), Some(id)) => id.rsplit('.').next()?,
        _ => first.rsplit('/').next()?,
    };
    let good = !name.is_empty() && name.len() <= 15 && !name.contains([' ', '{', '*', '~']);
    good.then(|| name.to_string())
}

/// The seconds of a command that only sleeps.
fn nap(script: &str) -> Option<i64> {
    let seconds: f64 = script
        .trim()
        .strip_prefix("sleep ")?
        .trim()
        .trim_end_matches('s')
        .parse()
        .ok()?;
    (seconds.is_finite() && (0.0..1e6).contains(&seconds)).then(|| seconds.ceil() as i64)
}

/// The program that a command ends, where its name is plain.
fn ended(script: &str) -> Option<String> {
    let last = script.lines().rev().find_map(|line| {
        let line = line.trim().trim_start_matches("sudo ");
        let mut words = line.split_whitespace();
        let ends = matches!(words.next(), Some("pkill" | "killall"));
        ends.then(|| words.map(String::from).collect::<Vec<_>>())
    })?;
    let stop = last
        .iter()
        .position(|w| ["||", "&&", ";", "|"].contains(&w.as_str()) || w.starts_with("2>"));
    let words = &last[..stop.unwrap_or(last.len())];
    if words
        .iter()
        .any(|w| w.starts_with('-') && (w.contains('f') || w.contains('u')))
    {
        // Whole command lines are no names.
        return None;
    }
    let mut names = words.iter().filter(|w| !w.starts_with('-'));
    let name = names.next()?.trim_matches(['"', '\'']);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (names.next().is_none() && !name.is_empty() && name.chars().all(plain)).then(|| name.to_string())
}

/// A single command, whose code is that of the script.
fn alone(script: &str) -> bool {
    script.trim().lines().count() == 1 && !script.contains(['|', '&', ';'])
}
