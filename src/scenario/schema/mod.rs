//! The language as a JSON Schema for editors, and as a page for people. Both are made of one table, `words`.

mod page;
mod takes;
mod words;

pub use page::page;

use super::accessible::{ROLES, STATES};
use super::vocabulary as v;
use serde_json::{Map, Value, json};
use takes::{Member, Takes};
use words::{ACTIONS, CHECK_OPTIONS, CHECKS, INPUT, NODE, OPTIONS, PHASE, ROUTINE, TARGET, TOP};

/// The JSON Schema (draft 2020-12) of a stand-alone scenario. It knows every word and what it takes; what depends on more
/// than one place (names, ids, references) only the loader knows.
pub fn json_schema() -> Value {
    let mut top = object(TOP);
    top["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    top["title"] = json!("mosdat scenario");
    top["$defs"] = json!({
        "text": {"type": "string", "minLength": 1},
        "time": {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"},
        "value": {"type": ["string", "number", "boolean"]},
        "facts": {"type": "object", "minProperties": 1, "additionalProperties": {"oneOf": [
            {"$ref": "#/$defs/value"}, {"type": "array", "items": {"$ref": "#/$defs/value"}, "minItems": 1},
        ]}},
        "fits": {"oneOf": [{"$ref": "#/$defs/text"}, at_least_one(object(&CHECK_OPTIONS[1..4]))]},
        "node": node(),
        "target": {"oneOf": [{"$ref": "#/$defs/text"}, target()]},
        "check": {"oneOf": [{"$ref": "#/$defs/text"}, check(&[])]},
        "input": object(INPUT),
        "phase": object(PHASE),
        "routine": object(ROUTINE),
        "step": step(),
        "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}},
    });
    top
}

fn takes(what: Takes) -> Value {
    let of = |name: &str| json!({"$ref": format!("#/$defs/{name}")});
    match what {
        Takes::Text | Takes::Literal => of("text"),
        Takes::Bool => json!({"type": "boolean"}),
        Takes::Int(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Takes::Time => of("time"),
        Takes::One(words) => json!({"enum": words}),
        Takes::Some(words) => json!({"type": "array", "items": {"enum": words}, "uniqueItems": true}),
        Takes::Texts => json!({"type": "array", "items": of("text")}),
        Takes::TextOrTexts => json!({"oneOf": [of("text"), {"type": "array", "items": of("text"), "minItems": 1}]}),
        Takes::Chords => {
            let chord = json!({"oneOf": [of("text"), {"type": "integer", "minimum": 0, "maximum": 9}]});
            json!({"oneOf": [chord, {"type": "array", "items": chord, "minItems": 1}]})
        }
        Takes::TextMap => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Takes::ValueMap => json!({"type": "object", "additionalProperties": of("value")}),
        Takes::Facts => of("facts"),
        Takes::Place => {
            json!({"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 2, "maxItems": 2})
        }
        Takes::Within => json!({"oneOf": [
            of("text"), {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 4, "maxItems": 4},
        ]}),
        Takes::Mask => json!({"oneOf": [
            {"type": "boolean"}, {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 4, "maxItems": 4},
        ]}),
        Takes::Capture => {
            json!({"oneOf": [of("text"), {"type": "object", "minProperties": 1, "additionalProperties": of("text")}]})
        }
        Takes::Outputs => json!({"oneOf": [
            {"type": "array", "items": of("text")}, {"type": "object", "additionalProperties": of("text")},
        ]}),
        Takes::Target => of("target"),
        Takes::Check => of("check"),
        Takes::Checks => json!({"type": "array", "items": of("check"), "minItems": 1}),
        Takes::Steps => of("steps"),
        Takes::Inputs => json!({"type": "object", "additionalProperties": of("input")}),
        Takes::Phases => json!({"type": "object", "additionalProperties": of("phase")}),
        Takes::Routines => json!({"type": "object", "additionalProperties": of("routine")}),
        Takes::References => json!({"type": "object"}),
        Takes::Scalar => of("value"),
        Takes::Fits => of("fits"),
        Takes::Role => json!({"enum": ROLES}),
        Takes::States => {
            let states: Vec<String> = STATES
                .iter()
                .flat_map(|s| [s.to_string(), format!("not {s}")])
                .collect();
            let state = json!({"enum": states});
            json!({"oneOf": [state, {"type": "array", "items": state, "minItems": 1}]})
        }
        Takes::Node => of("node"),
    }
}

fn properties(members: &[Member]) -> Map<String, Value> {
    let property = |m: &Member| {
        let mut schema = takes(m.takes);
        // Text that may be empty: it clears a field, or is what an output has to be.
        if ["text", "content"].contains(&m.key) && matches!(m.takes, Takes::Text) {
            schema = json!({"type": "string"});
        }
        schema["description"] = json!(m.says);
        (m.key.to_string(), schema)
    };
    members.iter().map(property).collect()
}

fn object(members: &[Member]) -> Value {
    let required: Vec<&str> = members.iter().filter(|m| m.required).map(|m| m.key).collect();
    json!({
        "type": "object", "properties": properties(members), "required": required, "additionalProperties": false,
    })
}

fn at_least_one(mut object: Value) -> Value {
    object["minProperties"] = json!(1);
    object
}

fn target() -> Value {
    let mut target = object(TARGET);
    target["anyOf"] = json!([{"required": ["text"]}, {"required": ["describe"]}, {"required": ["at"]}, {"required": ["reference"]},
               {"required": ["role"]}, {"required": ["name"]}]);
    target
}

fn node() -> Value {
    let mut node = object(NODE);
    node["anyOf"] = json!([{"required": ["role"]}, {"required": ["name"]}]);
    node
}

/// A condition as an object, with what else the object may have.
fn check(beside: &[Member]) -> Value {
    let mut known = properties(CHECKS);
    known.extend(properties(CHECK_OPTIONS));
    known.extend(properties(beside));
    let more: Vec<&str> = beside.iter().map(|m| m.key).collect();
    let one = |(name, options): &(&str, &[&str])| {
        let names: Vec<&str> = [*name].iter().chain(*options).chain(&more).copied().collect();
        json!({"required": [name], "propertyNames": {"enum": names}})
    };
    let required: Vec<&str> = beside.iter().filter(|m| m.required).map(|m| m.key).collect();
    json!({
        "type": "object", "properties": known, "required": required,
        "oneOf": v::CHECKS.iter().map(one).collect::<Vec<_>>(),
    })
}

fn step() -> Value {
    let mut known = properties(OPTIONS);
    for action in ACTIONS {
        let long = match action.name {
            "never" | "if" => Some(check(action.members)),
            "hover" => Some(target()),
            _ if action.members.is_empty() => None,
            _ => Some(object(action.members)),
        };
        let mut schema = match (action.short.map(takes), long) {
            (Some(short), Some(long)) => json!({"oneOf": [short, long]}),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => json!({}),
        };
        schema["description"] = json!(action.says);
        known.insert(action.name.to_string(), schema);
    }
    let one = |word: &v::ActionWord| {
        let names: Vec<&str> = [word.name].iter().chain(word.options).copied().collect();
        json!({"required": [word.name], "propertyNames": {"enum": names}})
    };
    json!({"type": "object", "properties": known, "oneOf": v::ACTIONS.iter().map(one).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(members: &[Member]) -> Vec<&str> {
        let mut keys: Vec<&str> = members.iter().map(|m| m.key).collect();
        keys.sort_unstable();
        keys
    }

    fn sorted<'a>(words: &[&'a str]) -> Vec<&'a str> {
        let mut words = words.to_vec();
        words.sort_unstable();
        words
    }

    /// One vocabulary: what the loader reads is what editors and readers are told.
    #[test]
    fn the_table_has_the_words_of_the_loader() {
        assert_eq!(keys(TOP), sorted(v::TOP));
        assert_eq!(keys(INPUT), sorted(v::INPUT));
        assert_eq!(keys(PHASE), sorted(v::PHASE));
        assert_eq!(keys(ROUTINE), sorted(v::ROUTINE));
        assert_eq!(keys(TARGET), sorted(v::TARGET));
        assert_eq!(keys(NODE), sorted(v::NODE));
        assert_eq!(keys(OPTIONS), v::all_options());
        assert_eq!(keys(CHECKS), sorted(&v::check_names()));
        let mut options: Vec<&str> = v::CHECKS.iter().flat_map(|(_, o)| o.iter().copied()).collect();
        options.sort_unstable();
        options.dedup();
        assert_eq!(keys(CHECK_OPTIONS), options);
        let names: Vec<&str> = ACTIONS.iter().map(|a| a.name).collect();
        assert_eq!(names, v::action_names());
        for (name, words) in [
            ("launch", v::LAUNCH),
            ("click", v::CLICK),
            ("drag", v::DRAG),
            ("scroll", v::SCROLL),
            ("type", v::TYPE),
            ("key", v::KEY),
            ("shell", v::SHELL),
            ("stage", v::STAGE),
            ("install", v::INSTALL),
            ("uninstall", v::UNINSTALL),
            ("snapshot", v::SNAPSHOT),
            ("repeat", v::REPEAT),
            ("never", v::NEVER),
        ] {
            let action = ACTIONS.iter().find(|a| a.name == name).expect("an action");
            assert_eq!(keys(action.members), sorted(words), "{name}");
        }
        assert_eq!(keys(&CHECK_OPTIONS[1..4]), sorted(v::CLIPBOARD));
    }
}
