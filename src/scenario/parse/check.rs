//! Conditions: what `expect`, `wait_for` and `verify` look at.

use super::super::error::unknown;
use super::super::model::{Check, FileCheck, Fits, ShellCheck};
use super::super::node::{Node, Value};
use super::super::vocabulary as v;
use super::Parser;
use super::fields::Fields;

impl Parser<'_> {
    /// A condition. Text is a question for the judge.
    pub(super) fn check(&mut self, node: &Node, what: &str) -> Option<Check> {
        let Value::Map(entries) = &node.value else {
            return self.text(node, what).map(Check::See);
        };
        let names = v::check_names();
        let mut found: Option<(&str, &[&str])> = None;
        for entry in entries {
            if let Some((name, options)) = v::CHECKS.iter().find(|(name, _)| *name == entry.key) {
                match found {
                    None => found = Some((name, options)),
                    Some((first, _)) => {
                        let message =
                            format!("two conditions in one, '{first}' and '{name}'; put both into 'all' or 'any'");
                        self.problem(&entry.place, message);
                        return None;
                    }
                }
            }
        }
        let Some((name, options)) = found else {
            match entries.first() {
                Some(e) => self.problem(&e.place, unknown("condition", "conditions", &e.key, &names)),
                None => self.problem(
                    &node.place,
                    format!("{what} needs a condition. Valid conditions: {}", names.join(", ")),
                ),
            }
            return None;
        };
        let valid: Vec<&str> = std::iter::once(name).chain(options.iter().copied()).collect();
        let fields = self.fields(node, &format!("condition {name}"), &valid)?;
        let value = fields.get(name)?;
        match name {
            "see" => self.text(value, "'see'").map(Check::See),
            "process" => self.process(value),
            "fact" => self.facts(value, "'fact'").map(Check::Fact),
            "not" => self.check(value, "'not'").map(|c| Check::Not(Box::new(c))),
            "any" => self.checks(value, "'any'").map(Check::Any),
            "all" => self.checks(value, "'all'").map(Check::All),
            "shell" => {
                let shell = self.script(
                    value,
                    "'shell'",
                    fields.get("exit"),
                    fields.get("as"),
                    fields.get("env"),
                )?;
                let fits = self.fits(&fields)?;
                Some(Check::Shell(ShellCheck { shell, fits }))
            }
            // Of a target, the unknown keys are told already.
            "reference" | "text" if fields.has_strangers() => None,
            "reference" => self.target(node, "'reference'").map(Check::Text),
            "window" => self.text(value, "'window'").map(Check::Window),
            "file" => self.file(value, &fields),
            "log" => {
                let path = self.guest_path(value, "'log'")?;
                let fits = self.fits(&fields)?;
                if fits.is_empty() {
                    let message =
                        "'log' needs 'contains', 'equals' or 'matches' beside it: what the line has to be like";
                    self.problem(&node.place, message);
                    return None;
                }
                Some(Check::Log(FileCheck { path, fits }))
            }
            "clipboard" => self.fits_or_text(value, "'clipboard'").map(Check::Clipboard),
            "node" => self.node_check(value, &fields),
            "exited" => {
                let code = self.integer(value, "'exited'", 0, 255)?;
                i32::try_from(code).ok().map(Check::Exited)
            }
            "port" => {
                let port = self.integer(value, "'port'", 1, 65_535)?;
                u16::try_from(port).ok().map(Check::Port)
            }
            _ => {
                // The text's own options stand beside it: the target is this object.
                if let Value::Map(_) = value.value {
                    self.problem(&value.place, super::expected("'text'", "text", value));
                    return None;
                }
                let target = self.target(node, "'text'")?;
                let no_text = target.fields().is_some_and(|f| f.text.is_none());
                (!no_text).then_some(Check::Text(target))
            }
        }
    }

    /// `contains`, `equals` and `matches`, as far as they are there.
    pub(super) fn fits(&mut self, fields: &Fields<'_>) -> Option<Fits> {
        let matches = match fields.get("matches") {
            Some(n) => Some(self.regex(n, "'matches'")?),
            None => None,
        };
        let mut text = |key: &str| match fields.get(key) {
            Some(n) => self.text(n, &format!("'{key}'")).map(Some),
            None => Some(None),
        };
        Some(Fits {
            contains: text("contains")?,
            equals: text("equals")?,
            matches,
        })
    }

    fn file(&mut self, node: &Node, fields: &Fields<'_>) -> Option<Check> {
        let path = self.guest_path(node, "'file'")?;
        let fits = self.fits(fields)?;
        Some(Check::File(FileCheck { path, fits }))
    }

    fn checks(&mut self, node: &Node, what: &str) -> Option<Vec<Check>> {
        let items = self.list(node, what)?;
        if items.is_empty() {
            self.problem(&node.place, format!("{what} is empty"));
            return None;
        }
        let checks: Vec<_> = items.iter().map(|item| self.check(item, what)).collect();
        checks.into_iter().collect()
    }

    fn process(&mut self, node: &Node) -> Option<Check> {
        let name = self.text(node, "'process'")?;
        if !self.is_unfilled(&name) && name.contains(['/', ' ', '\n']) {
            self.problem(
                &node.place,
                format!(
                    "'process' is the name of a program as ps shows it, without folder and arguments, not '{name}'"
                ),
            );
            return None;
        }
        Some(Check::Process(name))
    }

    pub(super) fn regex(&mut self, node: &Node, what: &str) -> Option<regex::Regex> {
        let text = self.text(node, what)?;
        // Without its values, a template is not an expression yet.
        let text = if self.is_unfilled(&text) { String::new() } else { text };
        match regex::Regex::new(&text) {
            Ok(regex) => Some(regex),
            Err(error) => {
                let error = error.to_string();
                let last = error.lines().last().unwrap_or_default().trim().to_string();
                self.problem(&node.place, format!("{what} is not a regular expression: {last}"));
                None
            }
        }
    }
}
