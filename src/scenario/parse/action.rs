//! What each action says, in its short and its long form.

use super::super::chord;
use super::super::machine::is_of_drive;
use super::super::model::{
    Action, Button, Check, Click, Display, Key, Launch, Shell, Target, TargetFields, Type, Words,
};
use super::super::node::{Node, Value};
use super::super::{template, text, vocabulary as v};
use super::Parser;
use std::collections::BTreeMap;

impl Parser<'_> {
    pub(super) fn action(&mut self, name: &str, node: &Node) -> Option<Action> {
        match name {
            "launch" => self.launch(node).map(Action::Launch),
            "click" => self.click(node).map(Action::Click),
            "hover" => self.hover(node).map(Action::Hover),
            "drag" => self.drag(node).map(Action::Drag),
            "scroll" => self.scroll(node).map(Action::Scroll),
            "wait_gone" => {
                let check = self.check(node, "'wait_gone'")?;
                Some(Action::WaitGone(Check::Not(Box::new(check))))
            }
            "never" => self.never(node).map(Action::Never),
            "type" => self.typing(node).map(Action::Type),
            "key" => self.key(node).map(Action::Key),
            "wait_for" => self.check(node, "'wait_for'").map(Action::WaitFor),
            "expect" => self.check(node, "'expect'").map(Action::Expect),
            "shell" => self.shell(node).map(Action::Shell),
            "screenshot" => self.text(node, "'screenshot'").map(Action::Screenshot),
            "reboot" => self.text(node, "'reboot'").map(Action::Reboot),
            "stage" => self.stage(node).map(Action::Stage),
            "install" => self.install(node).map(Action::Install),
            "uninstall" => self.uninstall(node).map(Action::Uninstall),
            "snapshot" => self.snapshot(node).map(Action::Snapshot),
            "rollback" => self.snapshot_name(node, "'rollback'").map(Action::Rollback),
            "power" => self.power(node).map(Action::Power),
            _ => self.text(node, "'note'").map(Action::Note),
        }
    }

    fn launch(&mut self, node: &Node) -> Option<Launch> {
        if !matches!(node.value, Value::Map(_)) {
            let argv = self.command(node, "'launch'")?;
            return Some(Launch {
                argv,
                window: None,
                display: Display::Session,
            });
        }
        let fields = self.fields(node, "launch", v::LAUNCH)?;
        let display = fields.get("display").and_then(|n| {
            let name = self.choice(n, "'display'", v::DISPLAYS)?;
            Display::ALL.into_iter().find(|d| d.as_str() == name)
        });
        let window = fields.get("window").and_then(|n| self.text(n, "'window'"));
        let command = self.required(node, &fields, "command", "launch")?;
        Some(Launch {
            argv: self.command(command, "'command'")?,
            window,
            display: display.unwrap_or_default(),
        })
    }

    /// A command line, or a list of words. Templates are filled in word by word: a value stays one word.
    fn command(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        match &node.value {
            Value::Str(line) if (self.windows || is_of_drive(line)) && text::has_bare_backslash(line) => {
                self.problem(
                    &node.place,
                    format!(
                        "{what}: in a command line a backslash only keeps the next letter from meaning something, and is gone \
                         then; write it as a list in single quotes: {}",
                        text::as_list(line)
                    ),
                );
                None
            }
            Value::Str(line) => match text::words(line) {
                Ok(words) => words.iter().map(|w| self.fill_in(&node.place, w, what)).collect(),
                Err(message) => {
                    self.problem(&node.place, format!("the command {message}"));
                    None
                }
            },
            Value::Seq(items) if !items.is_empty() => {
                let has_control = |item: &&Node| item.as_str().is_some_and(|word| word.contains(char::is_control));
                if self.windows
                    && let Some(item) = items.iter().find(has_control)
                {
                    self.problem(
                        &item.place,
                        "a word of the command has a line's end or another control character: in double quotes '\\n' and '\\t' \
                         are such; write paths in single quotes",
                    );
                    return None;
                }
                let words: Vec<_> = items
                    .iter()
                    .map(|item| self.text(item, "a word of the command"))
                    .collect();
                words.into_iter().collect()
            }
            _ => {
                self.problem(
                    &node.place,
                    super::expected(what, "a command line or a list of words", node),
                );
                None
            }
        }
    }

    fn click(&mut self, node: &Node) -> Option<Click> {
        let simple = |target| Click {
            target,
            button: Button::Left,
            count: 1,
            modifiers: Vec::new(),
        };
        if !matches!(node.value, Value::Map(_)) {
            return self.text(node, "'click'").map(|words| simple(Target::Words(words)));
        }
        if self.target_beside(node, "click", v::CLICK) {
            return None;
        }
        let fields = self.fields(node, "click", v::CLICK)?;
        let button = self.button(&fields);
        let count = match fields.get("count") {
            Some(n) => self.integer(n, "'count'", 1, 3).unwrap_or(1),
            None => 1,
        };
        let target = self.required(node, &fields, "target", "click")?;
        Some(Click {
            target: self.target(target, "'target'")?,
            button,
            count: u8::try_from(count).unwrap_or(1),
            modifiers: match fields.get("modifiers") {
                Some(n) => self.modifiers(n)?,
                None => Vec::new(),
            },
        })
    }

    pub(super) fn target(&mut self, node: &Node, what: &str) -> Option<Target> {
        if !matches!(node.value, Value::Map(_)) {
            return self.text(node, what).map(Target::Words);
        }
        let fields = self.fields(node, "a target", v::TARGET)?;
        let element = self.accessible(&fields)?;
        let reference = match fields.get("reference") {
            Some(n) => Some(self.reference(n)?),
            None => None,
        };
        let mut text = |key: &str| fields.get(key).and_then(|n| self.text(n, &format!("'{key}'")));
        let mut target = TargetFields {
            element,
            reference,
            anywhere: false,
            text: text("text"),
            describe: text("describe"),
            at: None,
            // For the reader, and for lint, which asks why a place is fixed.
            reason: text("reason"),
            near: text("near"),
            left_of: text("left_of"),
            right_of: text("right_of"),
            above: text("above"),
            below: text("below"),
            exact: false,
            nth: None,
            within: None,
        };
        if let Some(n) = fields.get("exact") {
            target.exact = self.boolean(n, "'exact'").unwrap_or(false);
        }
        if let Some(n) = fields.get("nth") {
            let nth = self.integer(n, "'nth'", 1, 1000);
            target.nth = nth.and_then(|n| u32::try_from(n).ok());
        }
        if let Some(n) = fields.get("in") {
            target.within = Some(self.within(n)?);
        }
        if let Some(n) = fields.get("at") {
            if let Some(other) = v::TARGET
                .iter()
                .find(|k| !["at", "reason"].contains(k) && fields.get(k).is_some())
            {
                self.problem(
                    &n.place,
                    format!("'at' is a place by itself; '{other}' has no meaning beside it"),
                );
                return None;
            }
            target.at = Some(self.place_on_screen(n)?);
            return Some(Target::Fields(Box::new(target)));
        }
        if let Some(n) = fields.get("reason") {
            self.problem(
                &n.place,
                "'reason' says why a place is fixed by 'at', which this target does not have",
            );
            return None;
        }
        if ["text", "describe"].iter().all(|key| fields.get(key).is_none())
            && target.reference.is_none()
            && target.element.is_none()
        {
            if !fields.has_strangers() {
                self.problem(
                    &node.place,
                    "a target needs 'text', 'describe', 'role' or 'name', 'reference' or 'at'",
                );
            }
            return None;
        }
        target.anywhere = self.anywhere(&fields, &target)?;
        Some(Target::Fields(Box::new(target)))
    }

    fn typing(&mut self, node: &Node) -> Option<Type> {
        if !matches!(node.value, Value::Map(_)) {
            return self.typed_text(node, "'type'", false).map(|text| Type {
                text,
                into: None,
                clear: false,
                canary: None,
                paste: None,
                then: None,
            });
        }
        let fields = self.fields(node, "type", v::TYPE)?;
        let into = fields.get("into").and_then(|n| self.target(n, "'into'"));
        let clear = match fields.get("clear") {
            Some(n) => self.boolean(n, "'clear'").unwrap_or(false),
            None => false,
        };
        let then = fields.get("then").and_then(|n| self.chord(n, "'then'"));
        let canary = match fields.get("canary") {
            Some(n) => Some(self.check(n, "'canary'")?),
            None => None,
        };
        let paste = fields.get("paste").and_then(|n| self.chord(n, "'paste'"));
        let written = self.required(node, &fields, "text", "type")?;
        let text = self.typed_text(written, "'text'", clear)?;
        if paste.is_some() && matches!(text, Words::Secret(_)) {
            let message =
                "a secret would stay in the guest's clipboard, for any program to read; type it without 'paste'";
            self.problem(&written.place, message);
            return None;
        }
        Some(Type {
            text,
            into,
            clear,
            canary,
            paste,
            then,
        })
    }

    /// Text that a keyboard can type; empty only where the field is to be emptied.
    fn typed_text(&mut self, node: &Node, what: &str, may_be_empty: bool) -> Option<Words> {
        let words = self.words(node, what)?;
        if let Words::Plain(text) = &words {
            if text.is_empty() && !may_be_empty {
                self.problem(
                    &node.place,
                    format!("{what} is empty; to empty a field, write clear: true"),
                );
                return None;
            }
            if let Some(c) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
                let message = format!(
                    "{what} has the control character U+{:04X}, which no key types; see 'key'",
                    u32::from(c)
                );
                self.problem(&node.place, message);
                return None;
            }
        }
        Some(words)
    }

    fn key(&mut self, node: &Node) -> Option<Key> {
        let mut hold = None;
        let (keys, times) = match &node.value {
            Value::Map(_) => {
                let fields = self.fields(node, "key", v::KEY)?;
                if let Some(n) = fields.get("hold") {
                    hold = Some(self.duration(n, "'hold'")?);
                }
                let times = match fields.get("times") {
                    Some(n) => self.integer(n, "'times'", 1, 1000).unwrap_or(1),
                    None => 1,
                };
                (self.required(node, &fields, "keys", "key")?, times)
            }
            _ => (node, 1),
        };
        let chords = match &keys.value {
            Value::Seq(items) if !items.is_empty() => {
                let chords: Vec<_> = items.iter().map(|item| self.chord(item, "a key")).collect();
                chords.into_iter().collect::<Option<Vec<String>>>()?
            }
            _ => vec![self.chord(keys, "'key'")?],
        };
        Some(Key {
            chords,
            times: u32::try_from(times).unwrap_or(1),
            hold,
        })
    }

    fn chord(&mut self, node: &Node, what: &str) -> Option<String> {
        // A digit key is written `key: 5`, which YAML reads as a number; there is only one key it can mean.
        let chord = match &node.value {
            Value::Int(i) if (0..=9).contains(i) => i.to_string(),
            _ => self.text(node, what)?,
        };
        if self.is_unfilled(&chord) {
            return Some(chord);
        }
        match chord::parse(&chord) {
            Ok(_) => Some(chord),
            Err(error) => {
                self.problem(&node.place, error.to_string());
                None
            }
        }
    }

    fn shell(&mut self, node: &Node) -> Option<Shell> {
        if !matches!(node.value, Value::Map(_)) {
            return self.script(node, "'shell'", None, None, None);
        }
        let fields = self.fields(node, "shell", v::SHELL)?;
        let command = self.required(node, &fields, "command", "shell")?;
        let shell = self.script(
            command,
            "'command'",
            fields.get("exit"),
            fields.get("as"),
            fields.get("env"),
        )?;
        let capture = match fields.get("capture") {
            Some(n) => self.capture(n)?,
            None => Vec::new(),
        };
        Some(Shell { capture, ..shell })
    }

    /// A shell command with its options. Its text is taken as it stands; values come as environment variables.
    pub(super) fn script(
        &mut self,
        node: &Node,
        what: &str,
        exit: Option<&Node>,
        user: Option<&Node>,
        env: Option<&Node>,
    ) -> Option<Shell> {
        let script = match &node.value {
            Value::Str(s) if s.trim().is_empty() => {
                self.problem(&node.place, format!("{what} is empty"));
                return None;
            }
            Value::Str(s) => s,
            _ => {
                self.problem(&node.place, super::expected(what, "text", node));
                return None;
            }
        };
        if let Ok(names) = template::references(script)
            && let Some(name) = names.iter().find(|n| self.scope.names().contains(n.as_str()))
        {
            self.problem(
                &node.place,
                format!(
                    "templates do not work in a shell's text: variables arrive as environment variables; write \"${name}\" \
                     for {{{{ {name} }}}}"
                ),
            );
            return None;
        } else if template::is_template(script) {
            self.problem(
                &node.place,
                "templates do not work in a shell's text: variables arrive as environment variables, as \"$user\"",
            );
            return None;
        }
        let exit = match exit {
            Some(n) => self.integer(n, "'exit'", 0, 255)?,
            None => 0,
        };
        let user = match user {
            Some(n) => Some(self.text(n, "'as'")?),
            None => None,
        };
        let mut variables = self.inputs_for(script);
        if let Some(n) = env {
            variables.extend(self.env(n)?);
        }
        Some(Shell {
            script: script.clone(),
            exit: i32::try_from(exit).unwrap_or(0),
            user,
            env: variables,
            capture: Vec::new(),
        })
    }

    /// All plain inputs, and those secret ones that the script names: a shell gets no secret that it does not use.
    fn inputs_for(&mut self, script: &str) -> BTreeMap<String, Words> {
        let used = |name: &&String| mentions(script, name) && self.scope.is_late(name);
        let late: Vec<String> = self.scope.captured.iter().filter(used).cloned().collect();
        self.late.extend(late);
        let Some(values) = &self.scope.values else {
            return BTreeMap::new();
        };
        let plain = values
            .plain
            .iter()
            .map(|(name, v)| (name.clone(), Words::Plain(v.to_string())));
        let secret = values
            .secret
            .iter()
            .filter(|(name, _)| mentions(script, name))
            .map(|(name, v)| (name.clone(), Words::Secret(v.clone())));
        plain.chain(secret).collect()
    }

    fn env(&mut self, node: &Node) -> Option<BTreeMap<String, Words>> {
        let Value::Map(entries) = &node.value else {
            self.problem(&node.place, super::expected("'env'", "an object", node));
            return None;
        };
        let mut env = BTreeMap::new();
        for entry in entries {
            let good = entry.key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !entry.key.starts_with(|c: char| c.is_ascii_digit())
                && !entry.key.is_empty();
            if !good {
                self.problem(
                    &entry.place,
                    format!(
                        "'{}' is no name of an environment variable: letters, digits and _",
                        entry.key
                    ),
                );
                continue;
            }
            if let Some(words) = self.words(&entry.value, &format!("'{}'", entry.key)) {
                env.insert(entry.key.clone(), words);
            }
        }
        Some(env)
    }
}

/// True where the script uses the variable, as `$name` or within `${...}`.
pub(in crate::scenario) fn mentions(script: &str, name: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    script.match_indices(name).any(|(at, _)| {
        let before = &script[..at];
        (before.ends_with('$') || before.ends_with("${") || before.ends_with("${#")) && ends(&script[at + name.len()..])
    })
}
