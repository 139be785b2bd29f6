//! One step: which action, which options, which id.

use super::super::error::{Place, nearest, unknown};
use super::super::late::Late;
use super::super::model::{Action, Check, Display, Mask, Motion, Repeat, Section, Step, Target};
use super::super::node::{Entry, Node, Value};
use super::super::{text, vocabulary as v};
use super::Parser;
use std::sync::Arc;
use std::time::Duration;

impl Parser<'_> {
    /// Reads the step with number `ordinal` (from 1) of its section.
    pub(in crate::scenario) fn step(&mut self, node: &Node, section: Section, ordinal: usize) -> Option<Step> {
        if self.budget == 0 {
            return None;
        }
        self.budget -= 1;
        let scope = self.scope.clone();
        let outer = std::mem::take(&mut self.late);
        let step = self.read_step(node, section, ordinal);
        let needs = std::mem::replace(&mut self.late, outer);
        let mut step = step?;
        if !needs.is_empty() {
            step.late = Some(Arc::new(Late {
                needs,
                origin: self.problems.origin().to_string(),
                node: node.clone(),
                section,
                ordinal,
                scope,
                references: self.references.clone(),
            }));
        }
        // Known to what comes after the step.
        if let Action::Shell(shell) = &step.action {
            self.scope.captured.extend(shell.capture.iter().map(|c| c.name.clone()));
        }
        Some(step)
    }

    fn read_step(&mut self, node: &Node, section: Section, ordinal: usize) -> Option<Step> {
        if let Some(message) = node.as_str().and_then(without_space) {
            self.problem(&node.place, message);
            return None;
        }
        let Value::Map(entries) = &node.value else {
            self.problem(
                &node.place,
                format!(
                    "a step must be an object with one action, not {}. Valid actions: {}",
                    node.kind(),
                    v::action_names().join(", ")
                ),
            );
            return None;
        };
        let (word, action_entry) = self.action_key(node, entries)?;
        let option = |key: &str| entries.iter().find(|e| e.key == key).map(|e| &e.value);
        let allowed = |key: &str| word.options.contains(&key);

        let id = self.id(option("id"), ordinal, word.name, &action_entry.value)?;
        // What the ids of steps within this one begin with: they stay when steps are put before it, if it has an id.
        let base = match option("id") {
            Some(_) => id.clone(),
            None => format!("{}{ordinal:02}", self.scope.prefix),
        };
        let label = option("label").and_then(|n| self.text(n, "'label'"));
        let timeout = match option("timeout").filter(|_| allowed("timeout")) {
            Some(n) => self.duration(n, "'timeout'"),
            None => Some(Duration::from_secs(word.seconds)),
        };
        let attempts = match option("attempts").filter(|_| allowed("attempts")) {
            Some(n) => {
                let attempts = self.integer(n, "'attempts'", 1, 20);
                if attempts.is_some_and(|a| a > 1)
                    && option("verify").is_none()
                    && option("verify_not").is_none()
                    && word.name != "shell"
                {
                    self.problem(
                        &n.place,
                        format!(
                            "'attempts' of {} needs 'verify': without it nothing says that another try is due",
                            word.name
                        ),
                    );
                }
                attempts.and_then(|a| u32::try_from(a).ok())
            }
            None => Some(1),
        };
        let mut pause = |key: &str| match option(key).filter(|_| allowed(key)) {
            Some(n) => self.duration(n, &format!("'{key}'")).map(Some),
            None => Some(None),
        };
        let (settle, dwell) = (pause("settle")?, pause("dwell")?);
        let pauses = settle.unwrap_or_default() + dwell.unwrap_or_default();
        if let (Some(n), Some(limit)) = (option("dwell").or(option("settle")), timeout)
            && pauses >= limit
        {
            self.problem(
                &n.place,
                format!("'dwell' and 'settle' take up the step's time of {limit:?}"),
            );
        }
        let motion = match option("motion").filter(|_| allowed("motion")) {
            Some(n) => Some(match self.choice(n, "'motion'", v::MOTIONS)? {
                "instant" => Motion::Instant,
                "bezier" => Motion::Bezier,
                "windmouse" => Motion::WindMouse,
                _ => Motion::Linear,
            }),
            None => None,
        };
        let mask = match option("mask").filter(|_| allowed("mask")) {
            Some(n) => self.mask(n)?,
            None => None,
        };
        let soft = match option("soft").filter(|_| allowed("soft")) {
            Some(n) => {
                if section != Section::Steps {
                    self.problem(&n.place, format!("'soft' has no meaning in {}", section.as_str()));
                }
                self.boolean(n, "'soft'")
            }
            None => Some(false),
        };
        let verify = match option("verify").filter(|_| allowed("verify")) {
            Some(n) => Some(self.check(n, "'verify'")?),
            None => None,
        };
        let opposite = match option("verify_not").filter(|_| allowed("verify_not")) {
            Some(n) => Some(Check::Not(Box::new(self.check(n, "'verify_not'")?))),
            None => None,
        };
        let verify = match (verify, opposite) {
            (Some(a), Some(b)) => Some(Check::All(vec![a, b])),
            (a, b) => a.or(b),
        };
        let action = match word.name {
            "if" => {
                let patience = option("timeout").and(timeout).unwrap_or_default();
                self.branch(&action_entry.value, &base, section, patience)
                    .map(Action::If)
            }
            "repeat" => self.repeat(&action_entry.value, &base, section).map(Action::Repeat),
            "use" => {
                let names = (base.as_str(), id.as_str());
                self.call(&action_entry.value, option("with"), option("capture"), names, section)
                    .map(Action::Use)
            }
            name => self.action(name, &action_entry.value),
        };
        // A watch has its own time; what is left is for looking at the last pictures.
        let timeout = match &action {
            Some(Action::Never(never)) if option("timeout").is_none() => timeout.map(|t| t + never.window),
            Some(Action::Never(never)) if timeout.is_some_and(|t| t < never.window) => {
                self.problem(
                    &action_entry.place,
                    format!(
                        "'never' watches for {:?}, longer than the step's 'timeout'",
                        never.window
                    ),
                );
                None
            }
            _ => timeout,
        };
        let when = match option("when").filter(|_| allowed("when")) {
            Some(n) => self.facts(n, "'when'")?,
            None => Vec::new(),
        };
        let on_failure = match option("on_failure").filter(|_| allowed("on_failure")) {
            Some(n) => self.nested(n, "on_failure", format!("{base}-f"), section),
            None => Vec::new(),
        };
        let action = action?;
        let step = Step {
            label: label.unwrap_or_else(|| describe(&action)),
            id,
            section,
            place: node.place.clone(),
            action,
            verify,
            timeout: timeout?,
            attempts: attempts?,
            soft: soft?,
            when,
            settle,
            dwell,
            motion,
            mask,
            on_failure,
            late: None,
        };
        if step.mask == Some(Mask::Target) && step.targets().is_empty() {
            self.problem(
                &node.place,
                "'mask: true' covers the place of the step's target, which this step does not have; give a region, [x, y, width, height]",
            );
            return None;
        }
        let is_point = |target: &&Target| target.fields().is_some_and(|fields| fields.at.is_some());
        if step.mask == Some(Mask::Target) && step.targets().iter().any(is_point) {
            self.problem(
                &node.place,
                "'mask: true' covers the place of the step's target, and 'at' is a point without a size; give a region, [x, y, width, height]",
            );
            return None;
        }
        Some(step)
    }

    /// `true`, or a region.
    fn mask(&mut self, node: &Node) -> Option<Option<Mask>> {
        match &node.value {
            Value::Bool(true) => Some(Some(Mask::Target)),
            Value::Bool(false) => Some(None),
            Value::Seq(_) => Some(Some(Mask::Region(self.region(node, "'mask'")?))),
            _ => {
                let wanted = "true, or a region [x, y, width, height]";
                self.problem(&node.place, super::expected("'mask'", wanted, node));
                None
            }
        }
    }

    /// Finds the one action; everything else must be an option that this action knows.
    fn action_key<'n>(&mut self, node: &Node, entries: &'n [Entry]) -> Option<(&'static v::ActionWord, &'n Entry)> {
        let names = v::action_names();
        let all_options = v::all_options();
        let mut found: Option<(&'static v::ActionWord, &Entry)> = None;
        let mut strangers = Vec::new();
        for entry in entries {
            let key = entry.key.as_str();
            if let Some(word) = v::ACTIONS.iter().find(|a| a.name == key) {
                match &found {
                    None => found = Some((word, entry)),
                    Some((first, _)) => {
                        let message = format!(
                            "two actions in one step, '{}' and '{key}'; a step has exactly one: make two steps",
                            first.name
                        );
                        self.problem(&entry.place, message);
                    }
                }
            } else if !all_options.contains(&key) {
                strangers.push(entry);
            }
        }
        let Some((word, entry)) = found else {
            // Without an action, the stranger nearest to one was meant to be it.
            let meant = strangers
                .iter()
                .find(|e| nearest(&e.key, names.iter().copied()).is_some())
                .or(strangers.first());
            match meant {
                Some(e) => {
                    let other = v::OTHERWISE.iter().find(|(name, _)| *name == e.key);
                    let text = match other {
                        Some((name, instead)) => {
                            format!(
                                "unknown action '{name}'; {instead}. Valid actions: {}",
                                names.join(", ")
                            )
                        }
                        None => unknown("action", "actions", &e.key, &names),
                    };
                    self.problem(&e.place, text);
                }
                None => self.problem(
                    &node.place,
                    format!("a step needs an action. Valid actions: {}", names.join(", ")),
                ),
            }
            return None;
        };
        let of_action =
            |e: &&Entry| keys_of(word.name).contains(&e.key.as_str()) && !word.options.contains(&e.key.as_str());
        let beside: Vec<String> = entries
            .iter()
            .filter(of_action)
            .map(|e| format!("'{}'", e.key))
            .collect();
        if matches!(entry.value.value, Value::Null) && !beside.is_empty() {
            let message = format!(
                "'{}' is empty: {} must be indented below it, further than '{}' itself",
                word.name,
                beside.join(" and "),
                word.name
            );
            self.problem(&entry.place, message);
            return None;
        }
        for entry in entries {
            let key = entry.key.as_str();
            if names.contains(&key) || word.options.contains(&key) {
                continue;
            }
            let what = format!("option of {}", word.name);
            let message = if all_options.contains(&key) {
                format!(
                    "{} does not know the option '{key}'. Valid options: {}",
                    word.name,
                    word.options.join(", ")
                )
            } else if nearest(key, word.options.iter().copied()).is_none()
                && let Some(action) = nearest(key, names.iter().copied())
            {
                format!(
                    "unknown {what} '{key}'; if '{action}' is meant: that is an action, make a step of its own. Valid \
                     options: {}",
                    word.options.join(", ")
                )
            } else {
                unknown(&what, "options", key, word.options)
            };
            self.problem(&entry.place, message);
        }
        Some((word, entry))
    }

    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        if let Value::Int(i) = node.value {
            self.problem(&node.place, format!("{what} has no unit; write {i}s"));
            return None;
        }
        let literal = self.literal(node, what)?;
        match text::duration(literal) {
            Ok(duration) => Some(duration),
            Err(message) => {
                self.problem(&node.place, format!("{what}: {message}"));
                None
            }
        }
    }

    /// The given id, or one made of the place and the action as written: it does not depend on inputs' values.
    fn id(&mut self, given: Option<&Node>, ordinal: usize, action: &str, node: &Node) -> Option<String> {
        let id = match given {
            Some(n) => {
                let id = self.literal(n, "'id'")?;
                if !super::scenario::is_id(id) {
                    self.problem(
                        &n.place,
                        format!("id '{id}' must have at most 63 lower-case letters, digits and inner dashes"),
                    );
                    return None;
                }
                let id = format!("{}{id}", self.scope.id_prefix);
                if let Some(first) = self.ids.get(&id) {
                    let first = match first {
                        Place::Line(line, _) => format!("in line {line}"),
                        Place::File(file, line, _) => format!("in {file}:{line}"),
                        Place::Path(path) => format!("at {path}"),
                        Place::Whole => "before".into(),
                    };
                    self.problem(
                        &n.place,
                        format!("id '{id}' is taken {first}; ids are unique in a scenario"),
                    );
                    return None;
                }
                id
            }
            None => {
                let slug = text::slug(main_text(node));
                let joint = if slug.is_empty() { "" } else { "-" };
                let action = action.replace('_', "-");
                let derived = format!("{}{ordinal:02}-{action}{joint}{slug}", self.scope.prefix);
                let mut id = derived.clone();
                let mut n = 2;
                while self.ids.contains_key(&id) {
                    id = format!("{derived}-{n}");
                    n += 1;
                }
                id
            }
        };
        self.ids
            .insert(id.clone(), given.map_or(&node.place, |n| &n.place).clone());
        Some(id)
    }
}

/// What is said of `click:Save`, which is one text to YAML.
fn without_space(text: &str) -> Option<String> {
    let (word, rest) = text.split_once(':')?;
    let known = v::ACTIONS.iter().any(|a| a.name == word);
    (known && !rest.is_empty()).then(|| {
        let first = rest.lines().next().unwrap_or_default();
        format!("'{word}:{first}' is one text to YAML; put a space after the colon: '{word}: {first}'")
    })
}

/// The text by which a person would name the action.
fn main_text(node: &Node) -> &str {
    match &node.value {
        Value::Str(s) => s,
        Value::Seq(items) => items.first().map_or("", main_text),
        Value::Map(entries) => {
            const TELLING: [&str; 19] = [
                "target",
                "text",
                "reference",
                "command",
                "see",
                "shell",
                "process",
                "window",
                "file",
                "clipboard",
                "direction",
                "keys",
                "describe",
                "path",
                "not",
                "any",
                "all",
                "until",
                "steps",
            ];
            TELLING
                .iter()
                .find_map(|key| entries.iter().find(|e| e.key == *key))
                .map_or("", |e| main_text(&e.value))
        }
        _ => "",
    }
}

/// The label of a step that has none.
fn describe(action: &Action) -> String {
    let text = match action {
        Action::Launch(launch) => match launch.display {
            Display::Session => launch.argv.join(" "),
            display => format!("{} on display {}", launch.argv.join(" "), display.as_str()),
        },
        Action::Click(click) => click.target.to_string(),
        Action::Type(t) => t.to_string(),
        Action::Key(key) => key.chords.join(" "),
        Action::Hover(target) => target.to_string(),
        Action::Drag(drag) => format!("{} to {}", drag.target, drag.to),
        Action::Scroll(scroll) => match &scroll.target {
            Some(target) => format!("{} at {target}", scroll.direction.as_str()),
            None => scroll.direction.as_str().to_string(),
        },
        Action::WaitFor(check) | Action::Expect(check) => check.to_string(),
        Action::WaitGone(Check::Not(check)) => check.to_string(),
        Action::WaitGone(check) => check.to_string(),
        Action::Never(never) => format!("{}, for {:?}", never.check, never.window),
        Action::Shell(shell) => shell.script.clone(),
        Action::Screenshot(text) | Action::Note(text) | Action::Reboot(text) => text.clone(),
        Action::If(branch) => branch.condition.to_string(),
        Action::Repeat(Repeat { until: Some(check), .. }) => format!("until {check}"),
        Action::Repeat(repeat) => format!("{} times", repeat.rounds),
        Action::Use(call) => call.routine.clone(),
        Action::Stage(stage) => stage.path.clone(),
        Action::Install(install) => install.package.clone(),
        Action::Uninstall(uninstall) => uninstall.name.clone(),
        Action::Snapshot(snapshot) => snapshot.name.clone(),
        Action::Rollback(name) => name.clone(),
        Action::Power(power) => power.as_str().to_string(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut label = format!("{} {line}", action.name().replace('_', " "));
    if label.chars().count() > 120 {
        label = label.chars().take(119).collect::<String>() + "…";
    }
    label
}

/// The keys of what an action takes as an object.
fn keys_of(action: &str) -> &'static [&'static str] {
    match action {
        "launch" => v::LAUNCH,
        "click" => v::CLICK,
        "type" => v::TYPE,
        "key" => v::KEY,
        "drag" => v::DRAG,
        "scroll" => v::SCROLL,
        "shell" => v::SHELL,
        "stage" => v::STAGE,
        _ => &[],
    }
}
