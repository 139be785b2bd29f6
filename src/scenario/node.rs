//! A tree of values that know where they stand; what the parser reads.

use super::error::Place;

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
    /// How a number stands in the file: of `0123` and `1.10` the value tells less.
    pub written: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Seq(Vec<Node>),
    Map(Vec<Entry>),
}

/// One member of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Node,
}

impl Node {
    /// What the value is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Str(_) => "text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "an object",
        }
    }

    /// A member of an object.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// The text, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The tree of an object that came through the API; places are paths that begin with `path`.
    pub fn from_json(value: &serde_json::Value, path: &str) -> Node {
        use serde_json::Value as J;
        let value = match value {
            J::Null => Value::Null,
            J::Bool(b) => Value::Bool(*b),
            J::Number(n) => match n.as_i64() {
                Some(i) => Value::Int(i),
                None => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            J::String(s) => Value::Str(s.clone()),
            J::Array(items) => Value::Seq(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| Node::from_json(item, &format!("{path}[{i}]")))
                    .collect(),
            ),
            J::Object(map) => Value::Map(
                map.iter()
                    .map(|(key, item)| {
                        let path = format!("{path}.{key}");
                        Entry {
                            key: key.clone(),
                            place: Place::Path(path.clone()),
                            value: Node::from_json(item, &path),
                        }
                    })
                    .collect(),
            ),
        };
        Node {
            written: None,
            place: Place::Path(path.to_string()),
            value,
        }
    }

    /// The value on one line, as YAML takes it.
    pub fn flow(&self) -> String {
        match &self.value {
            Value::Str(text)
                if text.chars().all(|c| c.is_alphanumeric() || " _-".contains(c)) && text.trim() == text =>
            {
                match super::yaml::plain(text) {
                    Value::Str(plain) if !plain.starts_with('-') => plain,
                    _ => format!("\"{text}\""),
                }
            }
            Value::Map(entries) => {
                let members: Vec<String> = entries
                    .iter()
                    .map(|e| format!("{}: {}", e.key, e.value.flow()))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }
            Value::Seq(items) => {
                let items: Vec<String> = items.iter().map(Node::flow).collect();
                format!("[{}]", items.join(", "))
            }
            _ => self.written.clone().unwrap_or_else(|| self.to_json().to_string()),
        }
    }

    /// The tree without places. Members are sorted by name, so that equal scenarios have equal text.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as J;
        match &self.value {
            Value::Null => J::Null,
            Value::Bool(b) => J::Bool(*b),
            Value::Int(i) => J::from(*i),
            Value::Float(f) => J::from(*f),
            Value::Str(s) => J::String(s.clone()),
            Value::Seq(items) => J::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(entries) => J::Object(entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect()),
        }
    }
}
