//! Label and field selectors.

use super::object::{Stored, text};
use super::resource::{Class, Resource};
use super::status::{ApiError, ApiResult};
use serde_json::Value;
use std::collections::BTreeMap;

/// One requirement on labels.
#[derive(Debug, Clone, PartialEq)]
enum Label {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A parsed pair of selectors. Empty ones match everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selector {
    labels: Vec<Label>,
    /// path, wanted value, equal or not
    fields: Vec<(String, String, bool)>,
}

impl Selector {
    pub fn parse(resource: &Resource, labels: Option<&str>, fields: Option<&str>) -> ApiResult<Selector> {
        let labels = match labels.map(str::trim).filter(|s| !s.is_empty()) {
            None => vec![],
            Some(s) => parse_labels(s)
                .map_err(|why| ApiError::bad_request(format!("unable to parse requirement: {why}")))?,
        };
        let mut parsed = Vec::new();
        for part in fields.unwrap_or("").split(',').filter(|p| !p.trim().is_empty()) {
            let (path, value, equal) = if let Some((p, v)) = part.split_once("!=") {
                (p, v, false)
            } else if let Some((p, v)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (p, v, true)
            } else {
                return Err(ApiError::bad_request(format!(
                    "invalid selector: '{part}'; can't understand '{part}'"
                )));
            };
            let known = path == "metadata.name"
                || (path == "metadata.namespace" && resource.namespaced)
                || resource.selectable.iter().any(|s| s == path);
            if !known {
                return Err(ApiError::bad_request(format!("field label not supported: {path}")));
            }
            parsed.push((path.to_string(), value.replace("\\,", ",").replace("\\=", "="), equal));
        }
        Ok(Selector { labels, fields: parsed })
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, resource: &Resource, object: &Stored) -> bool {
        self.labels.iter().all(|l| label_matches(l, &object.labels)) && self.fields_match(resource, object)
    }

    fn fields_match(&self, resource: &Resource, object: &Stored) -> bool {
        let mut parsed: Option<Value> = None;
        self.fields.iter().all(|(path, wanted, equal)| {
            let is = match path.as_str() {
                "metadata.name" => object.name.clone(),
                "metadata.namespace" => object.namespace.clone(),
                _ => {
                    let value = parsed.get_or_insert_with(|| object.value());
                    match (resource.class, path.as_str()) {
                        (Class::Event | Class::EventV1, "source") => match text(value, "/source/component") {
                            "" => text(value, "/reportingComponent").to_string(),
                            s => s.to_string(),
                        },
                        _ => scalar(value.pointer(&format!("/{}", path.replace('.', "/")))),
                    }
                }
            };
            (is == *wanted) == *equal
        })
    }
}

fn scalar(v: Option<&Value>) -> String {
    match v {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => s.clone(),
        Some(other) => other.to_string(),
    }
}

fn label_matches(l: &Label, labels: &BTreeMap<String, String>) -> bool {
    let number = |k: &String| labels.get(k).and_then(|v| v.parse::<i64>().ok());
    match l {
        Label::In(k, vs) => labels.get(k).is_some_and(|v| vs.contains(v)),
        Label::NotIn(k, vs) => labels.get(k).is_none_or(|v| !vs.contains(v)),
        Label::Exists(k) => labels.contains_key(k),
        Label::Absent(k) => !labels.contains_key(k),
        Label::Greater(k, n) => number(k).is_some_and(|v| v > *n),
        Label::Less(k, n) => number(k).is_some_and(|v| v < *n),
    }
}

fn parse_labels(s: &str) -> Result<Vec<Label>, String> {
    split_top(s).into_iter().map(|part| parse_label(part.trim())).collect()
}

/// Splits at commas that are not inside parentheses.
fn split_top(s: &str) -> Vec<&str> {
    let (mut depth, mut start, mut out) = (0usize, 0, Vec::new());
    for (i, c) in s.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                out.push(&s[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    out.push(&s[start..]);
    out
}

fn parse_label(part: &str) -> Result<Label, String> {
    let key = |k: &str| -> Result<String, String> {
        let k = k.trim();
        let legal = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
        if k.is_empty() || !k.chars().all(legal) { Err(format!("invalid label key {k:?}")) } else { Ok(k.to_string()) }
    };
    let one = |v: &str| vec![v.trim().to_string()];
    if let Some(k) = part.strip_prefix('!') {
        return Ok(Label::Absent(key(k)?));
    }
    if let Some(open) = part.find('(') {
        let inner = part[open + 1..].strip_suffix(')').ok_or_else(|| format!("{part:?}: ')' is missing"))?;
        let values: Vec<String> = inner.split(',').map(|v| v.trim().to_string()).collect();
        let mut words = part[..open].split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(k), Some("in"), None) => Ok(Label::In(key(k)?, values)),
            (Some(k), Some("notin"), None) => Ok(Label::NotIn(key(k)?, values)),
            _ => Err(format!("{part:?}: expected \"key in (...)\" or \"key notin (...)\"")),
        };
    }
    if let Some((k, v)) = part.split_once("!=") {
        return Ok(Label::NotIn(key(k)?, one(v)));
    }
    if let Some((k, v)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Label::In(key(k)?, one(v)));
    }
    for (sign, greater) in [('>', true), ('<', false)] {
        if let Some((k, v)) = part.split_once(sign) {
            let n = v.trim().parse().map_err(|_| format!("{part:?}: {v:?} is not an integer"))?;
            return Ok(if greater { Label::Greater(key(k)?, n) } else { Label::Less(key(k)?, n) });
        }
    }
    Ok(Label::Exists(key(part)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_by_equality_and_by_set() {
        let labels: BTreeMap<_, _> = [("a", "1"), ("b", "x")].map(|(k, v)| (k.to_string(), v.to_string())).into();
        let fits = |s: &str| parse_labels(s).unwrap().iter().all(|l| label_matches(l, &labels));
        for yes in ["a=1", "a==1,b!=y", "a in (1, 2)", "b notin (y,z),c notin (q)", "a,!c", "a>0", "c!=1"] {
            assert!(fits(yes), "{yes}");
        }
        for no in ["a=2", "a in (2)", "c", "!a", "a<1", "b notin (x)"] {
            assert!(!fits(no), "{no}");
        }
        assert!(parse_labels("a in 1)").is_err());
        assert!(parse_labels("a in (1").is_err());
    }
}
