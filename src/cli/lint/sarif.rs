//! Remarks in the Static Analysis Results Interchange Format, version 2.1.0 (OASIS standard).

use crate::scenario::{Place, Remark, rules};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

/// What may not stand in a path of a URI (RFC 3986, section 3.3); a colon neither, in the first part of a relative one.
const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A log with one run.
pub fn log(remarks: &[Remark]) -> Value {
    let told: Vec<Value> = rules()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": {"text": rule.about},
                "help": {"text": rule.hint},
                "defaultConfiguration": {"level": rule.severity.as_str()},
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "mosdat", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": told}},
            "columnKind": "unicodeCodePoints",
            "results": remarks.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(remark: &Remark) -> Value {
    json!({
        "ruleId": remark.rule.id,
        "ruleIndex": rules().position(|r| r.id == remark.rule.id),
        "level": remark.severity.as_str(),
        "message": {"text": format!("{}. {}.", remark.message, capital(remark.hint()))},
        "locations": [location(remark)],
    })
}

fn location(remark: &Remark) -> Value {
    let mut physical = json!({"artifactLocation": {"uri": uri(&remark.origin)}});
    match &remark.place {
        Place::Line(line, column) | Place::File(_, line, column) => {
            physical["region"] = json!({"startLine": line, "startColumn": column})
        }
        Place::Path(path) => {
            return json!({"physicalLocation": physical, "logicalLocations": [{"fullyQualifiedName": path}]});
        }
        Place::Whole => {}
    }
    json!({"physicalLocation": physical})
}

/// A path of this machine; a relative one stays relative, as code hosts want it.
fn uri(path: &str) -> String {
    let encoded = utf8_percent_encode(path.strip_prefix("./").unwrap_or(path), IN_PATH).to_string();
    match path.starts_with('/') {
        true => format!("file://{encoded}"),
        false => encoded,
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_become_uris() {
        for (path, uri) in [
            ("examples/a b.yaml", "examples/a%20b.yaml"),
            ("./x#1.yaml", "x%231.yaml"),
            ("/tmp/ä.yaml", "file:///tmp/%C3%A4.yaml"),
            ("../50%.yaml", "../50%25.yaml"),
        ] {
            assert_eq!(super::uri(path), uri);
        }
    }
}
