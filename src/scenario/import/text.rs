//! The two template layers of the old dialect, `{{ name }}` and `{name}`, become one.

use super::super::error::Place;
use super::super::node::{Node, Value};
use super::Import;
use super::shell;
use super::table::Area;
use std::collections::BTreeMap;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// As it stands.
    Text(String),
    /// The value of an input.
    Name(String),
}

/// What a text is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Usage {
    /// No secret may stand in it.
    Shown,
    /// It is typed, or a value of a shell's environment.
    Typed,
}

/// A piece of a template.
#[derive(Debug, PartialEq)]
enum Piece<'t> {
    Text(&'t str),
    /// `{{ name }}`
    Name(&'t str),
    /// `{name}`
    Single(&'t str),
    /// `{{ anything else }}`
    Expression(&'t str),
}

/// Why something cannot be carried over.
pub(super) type Lost = String;

impl Import {
    /// A text of the new language.
    pub fn text(&mut self, node: &Node, usage: Usage) -> Result<String, Lost> {
        let text = as_text(node)?;
        let text = self.template(&text, &node.place, usage, 0)?;
        match text.trim().is_empty() {
            true => Err("the text is empty".into()),
            false => Ok(text),
        }
    }

    /// The text of a command, and the variables that it needs besides inputs.
    pub fn script(&mut self, node: &Node) -> Result<(String, BTreeMap<String, String>), Lost> {
        let text = as_text(node)?;
        let mut env = BTreeMap::new();
        let mut parts = Vec::new();
        for piece in self.pieces(&text, &node.place)? {
            let name = match piece {
                Piece::Text(t) => {
                    parts.push(Part::Text(t.to_string()));
                    continue;
                }
                Piece::Name(name) => {
                    self.tell(Area::Text, "{{ name }}", &node.place);
                    name
                }
                Piece::Single(name) if parts.last().is_some_and(ends_in_dollar) => {
                    // `${name}` is the variable that the value is now.
                    let known = self.resolve(name, &node.place);
                    parts.push(Part::Text(format!("{{{}}}", known.name)));
                    continue;
                }
                Piece::Single(name) => {
                    self.tell(Area::Text, "{name}", &node.place);
                    name
                }
                Piece::Expression(text) => {
                    parts.push(Part::Text(self.computed(text, &node.place)?));
                    continue;
                }
            };
            let known = self.resolve(name, &node.place);
            if let Some(value) = known.inline {
                let value = self.template(&value, &node.place, Usage::Typed, 1)?;
                env.insert(known.name.clone(), value);
            }
            parts.push(Part::Name(known.name));
        }
        let script = shell::paste(&parts)?;
        match script.trim().is_empty() {
            true => Err("the command is empty".into()),
            false => Ok((script, env)),
        }
    }

    pub(super) fn template(&mut self, text: &str, place: &Place, usage: Usage, depth: usize) -> Result<String, Lost> {
        if depth > 4 {
            return Err("variables whose values name each other".into());
        }
        let mut out = String::new();
        let mut templates = false;
        for piece in self.pieces(text, place)? {
            let name = match piece {
                Piece::Text(t) => {
                    if t.contains("{{") {
                        return Err(
                            "'{{' begins a template, and this language has no way to write it otherwise".into(),
                        );
                    }
                    out.push_str(t);
                    continue;
                }
                Piece::Expression(text) => {
                    out.push_str(&self.computed(text, place)?);
                    continue;
                }
                Piece::Name(name) => {
                    self.tell(Area::Text, "{{ name }}", place);
                    name
                }
                Piece::Single(name) => {
                    self.tell(Area::Text, "{name}", place);
                    name
                }
            };
            let known = self.resolve(name, place);
            if known.secret && usage == Usage::Shown {
                return Err(format!(
                    "'{}' is secret, and a secret can only be typed or given to a shell",
                    known.name
                ));
            }
            match known.inline {
                Some(value) => out.push_str(&self.template(&value, place, usage, depth + 1)?),
                None => {
                    templates = true;
                    out.push_str(&format!("{{{{ {} }}}}", known.name));
                }
            }
        }
        if templates && (out.contains("{%") || out.contains("{#")) {
            return Err("'{%' and '{#' cannot stand beside a template".into());
        }
        Ok(out)
    }

    /// The pieces of a text, blocks of a template computed before.
    fn pieces<'t>(&mut self, text: &'t str, place: &Place) -> Result<Vec<Piece<'t>>, Lost> {
        if self.has_vars() && text.contains("{%") {
            self.tell(Area::Text, "a filter, an expression, a block", place);
            return Err("a block ({% ... %}) chooses or repeats text; write what it comes to".into());
        }
        let mut out = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            let (piece, length) = match self.piece(from, place) {
                Some(found) => found,
                None => {
                    let next = from[1..].find('{').map_or(from.len(), |n| n + 1);
                    // Two brackets that are no template stay together.
                    let next = if from.starts_with("{{") && next == 1 {
                        from[2..].find('{').map_or(from.len(), |n| n + 2)
                    } else {
                        next
                    };
                    (Piece::Text(&from[..next]), next)
                }
            };
            if !before.is_empty() {
                out.push(Piece::Text(before));
            }
            out.push(piece);
            rest = &from[length..];
        }
        if !rest.is_empty() {
            out.push(Piece::Text(rest));
        }
        Ok(out)
    }

    /// The template at the beginning of `text`, and its length.
    fn piece<'t>(&mut self, text: &'t str, place: &Place) -> Option<(Piece<'t>, usize)> {
        if let Some(inner) = text.strip_prefix("{{") {
            let end = inner.find("}}")?;
            let length = end + 4;
            let inner = inner[..end].trim_matches(['-', ' ', '\t', '\n', '\r']);
            if is_name(inner) {
                return Some((Piece::Name(inner), length));
            }
            if let Some((name, filter)) = inner.split_once('|')
                && filter.trim() == "tojson"
                && self.is_json(name.trim())
            {
                return Some((Piece::Name(name.trim()), length));
            }
            // Without variables, the old loader left such a text alone.
            return self.has_vars().then_some((Piece::Expression(&text[..length]), length));
        }
        if text.starts_with("{#") && self.has_vars() {
            let length = text.find("#}")? + 2;
            self.tell(Area::Text, "a filter, an expression, a block", place);
            return Some((Piece::Text(""), length));
        }
        let inner = &text[1..];
        let end = inner.find('}')?;
        let name = &inner[..end];
        (is_name(name) && self.knows(name)).then_some((Piece::Single(name), end + 2))
    }

    fn computed(&mut self, text: &str, place: &Place) -> Result<String, Lost> {
        let value = self
            .compute(text)
            .map_err(|error| format!("{text} computes something that only the run knows: {error}"))?;
        let note = format!("; {text} is {value}");
        self.tell_more(Area::Text, "a filter, an expression, a block", place, &note);
        match value.contains("{{") {
            true => Err(format!("{text} computes to a text with '{{{{'")),
            false => Ok(value),
        }
    }

    fn compute(&self, text: &str) -> Result<String, String> {
        // Nothing that could grow without bound.
        let digits = text.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() > 4);
        if digits || text.contains('*') || text.len() > 500 {
            return Err("it is too much to be computed here".into());
        }
        let mut env = minijinja::Environment::new();
        env.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        env.add_filter("tojson", |value: minijinja::Value| {
            serde_json::to_string(&value).unwrap_or_default()
        });
        let told = |e: minijinja::Error| e.detail().map_or_else(|| e.kind().to_string(), String::from);
        let values = self.known_values();
        let context = minijinja::Value::from_pairs(values.iter().map(|(name, v)| (name.as_str(), value_of(v))));
        env.render_str(text, context).map_err(told)
    }
}

fn value_of(value: &serde_json::Value) -> minijinja::Value {
    use serde_json::Value as J;
    match value {
        J::Null => minijinja::Value::from(()),
        J::Bool(b) => (*b).into(),
        J::Number(n) => match n.as_i64() {
            Some(i) => i.into(),
            None => n.as_f64().unwrap_or(f64::NAN).into(),
        },
        J::String(s) => s.as_str().into(),
        J::Array(items) => items.iter().map(value_of).collect::<Vec<_>>().into(),
        J::Object(map) => minijinja::Value::from_pairs(map.iter().map(|(key, v)| (key.as_str(), value_of(v)))),
    }
}

/// The text of a scalar; the old loader made texts of numbers.
pub(super) fn as_text(node: &Node) -> Result<String, Lost> {
    match &node.value {
        Value::Str(s) => Ok(s.clone()),
        Value::Int(i) => Ok(i.to_string()),
        Value::Float(f) => Ok(f.to_string()),
        Value::Bool(b) => Ok(b.to_string()),
        _ => Err(format!("it must be text, not {}", node.kind())),
    }
}

pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn ends_in_dollar(part: &Part) -> bool {
    matches!(part, Part::Text(t) if t.ends_with('$'))
}
