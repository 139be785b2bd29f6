//! Parameters of a request, checked against what the method knows.

use super::answer::Refusal;
use percent_encoding::percent_decode;
use serde_json::{Map, Value};

/// Types of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A whole number that is not negative.
    Number,
    /// `1` or `0` in a form; `true` and `false` in JSON.
    Bool,
    /// A field that may be repeated.
    List,
    /// A DNS name.
    Name,
}

/// What a method knows: name, type, and whether it must be there.
pub(super) type Known = (&'static str, Kind, bool);

/// The parameters as they came, in order, decoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(pub Vec<(String, String)>);

impl Params {
    /// From a query string or a form. Splits at `&` and `;`, then at `=`, of which only what stands before a second
    /// one is kept: that is what Proxmox's decoder does, and why clients must encode.
    pub fn form(text: &[u8]) -> Params {
        let pairs = text
            .split(|b| *b == b'&' || *b == b';')
            .filter(|p| !p.is_empty())
            .map(|pair| {
                let mut parts = pair.split(|b| *b == b'=');
                let decode = |raw: &[u8]| {
                    let spaced: Vec<u8> = raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
                    percent_decode(&spaced).decode_utf8_lossy().into_owned()
                };
                (
                    decode(parts.next().unwrap_or_default()),
                    decode(parts.next().unwrap_or_default()),
                )
            });
        Params(pairs.collect())
    }

    /// From a JSON object.
    pub fn json(text: &[u8]) -> Result<Params, Refusal> {
        let value: Value = serde_json::from_slice(text).map_err(|e| Refusal::die(e.to_string()))?;
        let Value::Object(map) = value else {
            return Err(Refusal::die("body is not a JSON object"));
        };
        let mut out = Vec::new();
        for (k, v) in map {
            match v {
                Value::Array(items) => out.extend(items.iter().map(|i| (k.clone(), plain(i)))),
                v => out.push((k, plain(&v))),
            }
        }
        Ok(Params(out))
    }

    /// Refuses unknown, missing and mistyped parameters, all at once.
    pub fn check(&self, known: &[Known]) -> Result<(), Refusal> {
        let mut errors = Map::new();
        let mut wrong = |name: &str, text: String| drop(errors.insert(name.to_string(), Value::String(text)));
        for (name, value) in &self.0 {
            let Some((_, kind, _)) = known.iter().find(|(k, _, _)| k == name) else {
                wrong(
                    name,
                    "property is not defined in schema and the schema does not allow additional properties".into(),
                );
                continue;
            };
            match kind {
                Kind::Number if value.parse::<u64>().is_err() => {
                    wrong(name, format!("type check ('integer') failed - got '{value}'"));
                }
                Kind::Bool if value != "0" && value != "1" => {
                    wrong(name, format!("type check ('boolean') failed - got '{value}'"));
                }
                Kind::Name if !is_dns_name(value) => {
                    wrong(
                        name,
                        "invalid format - value does not look like a valid DNS name\n".to_string(),
                    );
                }
                _ => {}
            }
        }
        for (name, _, _) in known.iter().filter(|(k, _, needed)| *needed && self.get(k).is_none()) {
            wrong(name, "property is missing and it is not optional".into());
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Refusal::parameters(errors))
        }
    }

    /// The last value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// All values of a repeated parameter.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(k, _)| k == name)
            .map(|(_, v)| v.clone())
            .collect()
    }

    /// A number; only after [`Params::check`] has seen it.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(|v| v.parse().ok())
    }

    /// A boolean.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("1")
    }
}

fn plain(v: &Value) -> String {
    match v {
        Value::String(s) => s.clone(),
        Value::Bool(b) => u8::from(*b).to_string(),
        v => v.to_string(),
    }
}

/// Whether a text is a host name.
pub(super) fn is_dns_name(s: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    !s.is_empty() && s.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_as_proxmox_does() {
        let p = Params::form(b"tags=a;b&command=a=b&size=+1G&x=%2B1G&command=c");
        assert_eq!(p.get("tags"), Some("a"));
        assert_eq!(p.get("b"), Some(""));
        assert_eq!(p.all("command"), ["a", "c"]);
        assert_eq!(p.get("size"), Some(" 1G"));
        assert_eq!(p.get("x"), Some("+1G"));
    }

    #[test]
    fn wrong_parameters_are_told_all_at_once() {
        let known = [
            ("newid", Kind::Number, true),
            ("full", Kind::Bool, false),
            ("name", Kind::Name, false),
        ];
        let r = Params::form(b"full=true&foo=1&name=a_b")
            .check(&known)
            .expect_err("refused");
        let names: Vec<_> = r.errors.keys().cloned().collect();
        assert_eq!(names, ["foo", "full", "name", "newid"]);
        assert_eq!(r.status, 400);
    }

    #[test]
    fn json_booleans_are_taken() {
        let p = Params::json(br#"{"full": true, "command": ["a", "b"], "newid": 100}"#).expect("JSON");
        assert!(p.flag("full"));
        assert_eq!(p.all("command"), ["a", "b"]);
        assert_eq!(p.number("newid"), Some(100));
    }
}
