//! Structural schemas: parsed once when the control plane opens, then used to prune, default, validate, run CEL rules
//! and find the merge keys of lists. A keyword that is not understood makes opening fail; nothing is ignored.

pub mod cel;
pub mod default;
pub mod objectmeta;
pub mod prune;
pub mod validate;
pub mod whole;

use super::Error;
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The JSON types a schema node may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Type {
    pub fn name(self) -> &'static str {
        match self {
            Type::Object => "object",
            Type::Array => "array",
            Type::String => "string",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::Boolean => "boolean",
        }
    }
}

/// How a list merges (`x-kubernetes-list-type`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListType {
    Atomic,
    Set,
    Map(Vec<String>),
}

/// What `additionalProperties` says.
#[derive(Debug)]
pub enum Additional {
    Any,
    Schema(Box<Node>),
}

/// One node of a structural schema.
#[derive(Debug, Default)]
pub struct Node {
    pub ty: Option<Type>,
    pub properties: BTreeMap<String, Node>,
    pub additional: Option<Additional>,
    pub items: Option<Box<Node>>,
    pub required: Vec<String>,
    pub default: Option<Value>,
    pub nullable: bool,
    pub preserve_unknown: bool,
    pub int_or_string: bool,
    pub list_type: Option<ListType>,
    pub atomic_map: bool,
    pub limits: Limits,
    pub all_of: Vec<Node>,
    pub any_of: Vec<Node>,
    pub one_of: Vec<Node>,
    pub not: Option<Box<Node>>,
    pub rules: Vec<cel::Rule>,
    /// Whether this node or one below it has CEL rules, so that the walk can skip the rest.
    pub has_rules: bool,
    /// A member of a typed (built-in) kind that is always there: nobody owns it as such, only what is in it.
    pub is_struct: bool,
}

/// The value validations of a node.
#[derive(Debug, Default)]
pub struct Limits {
    pub enumeration: Option<Vec<Value>>,
    pub pattern: Option<Regex>,
    pub format: Option<String>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub exclusive_minimum: bool,
    pub exclusive_maximum: bool,
    pub multiple_of: Option<f64>,
}

/// Formats whose text is checked, and those that are known to carry no check.
const FORMATS: &[&str] = &[
    "int32",
    "int64",
    "float",
    "double",
    "date-time",
    "byte",
    "uuid",
    "ipv4",
    "ipv6",
    "password",
    "binary",
];

impl Node {
    /// Parses a JSONSchemaProps in JSON form. `kind` and the path name the place in errors.
    pub fn parse(kind: &str, schema: &Value) -> Result<Node, Error> {
        let mut root = parse_node(kind, "", schema)?;
        objectmeta::attach(&mut root);
        Ok(root)
    }

    /// Marks the objects with named members as parts of a typed kind.
    pub fn mark_structs(&mut self) {
        self.is_struct = !self.properties.is_empty();
        self.properties.values_mut().for_each(Node::mark_structs);
    }

    /// The schema of a member of an object.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.properties.get(name).or(match &self.additional {
            Some(Additional::Schema(n)) => Some(n),
            _ => None,
        })
    }

    /// The list's merge type; without a word it is atomic, as for custom resources.
    pub fn list_type(&self) -> &ListType {
        self.list_type.as_ref().unwrap_or(&ListType::Atomic)
    }

    /// Whether nothing is known of the members, so that any may be there.
    pub fn is_open(&self) -> bool {
        self.preserve_unknown || matches!(self.additional, Some(Additional::Any))
    }
}

/// `a.b`, without a leading dot at the root.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_string()
    } else {
        format!("{path}.{name}")
    }
}

fn parse_node(kind: &str, path: &str, schema: &Value) -> Result<Node, Error> {
    let bad = |why: String| Error::Schema {
        kind: kind.to_string(),
        path: path.to_string(),
        why,
    };
    let map = schema
        .as_object()
        .ok_or_else(|| bad("a schema must be an object".into()))?;
    let mut n = Node::default();
    let list = |v: &Value, word: &str| -> Result<Vec<Node>, Error> {
        let items = v.as_array().ok_or_else(|| bad(format!("{word} must be a list")))?;
        items.iter().map(|s| parse_node(kind, path, s)).collect()
    };
    let (mut list_keys, mut list_word) = (Vec::new(), None);
    for (word, v) in map {
        let number = || v.as_u64().ok_or_else(|| bad(format!("{word} must be a count")));
        let float = || v.as_f64().ok_or_else(|| bad(format!("{word} must be a number")));
        let flag = || v.as_bool().ok_or_else(|| bad(format!("{word} must be true or false")));
        let string = || v.as_str().ok_or_else(|| bad(format!("{word} must be a string")));
        match word.as_str() {
            "description" | "title" | "example" | "externalDocs" => {}
            "type" => n.ty = Some(parse_type(string()?).ok_or_else(|| bad(format!("unknown type {v}")))?),
            "properties" => {
                for (name, s) in v
                    .as_object()
                    .ok_or_else(|| bad("properties must be an object".into()))?
                {
                    n.properties
                        .insert(name.clone(), parse_node(kind, &join(path, name), s)?);
                }
            }
            "additionalProperties" => {
                n.additional = match v {
                    Value::Bool(true) => Some(Additional::Any),
                    Value::Bool(false) => None,
                    s => Some(Additional::Schema(Box::new(parse_node(
                        kind,
                        &format!("{path}[*]"),
                        s,
                    )?))),
                }
            }
            "items" => n.items = Some(Box::new(parse_node(kind, &format!("{path}[]"), v)?)),
            "required" => n.required = strings(v).ok_or_else(|| bad("required must list strings".into()))?,
            "default" => n.default = Some(v.clone()),
            "nullable" => n.nullable = flag()?,
            "enum" => n.limits.enumeration = v.as_array().cloned(),
            "pattern" => n.limits.pattern = Some(Regex::new(string()?).map_err(|e| bad(format!("pattern {v}: {e}")))?),
            "format" => {
                let f = string()?;
                if f.starts_with("uint") {
                    // schemars writes uint8, uint32...: the real server does not know these and checks nothing.
                } else if FORMATS.contains(&f) {
                    n.limits.format = Some(f.to_string());
                } else {
                    return Err(bad(format!(
                        "format {f:?} is not checked here; known: {}",
                        FORMATS.join(", ")
                    )));
                }
            }
            "minLength" => n.limits.min_length = Some(number()?),
            "maxLength" => n.limits.max_length = Some(number()?),
            "minItems" => n.limits.min_items = Some(number()?),
            "maxItems" => n.limits.max_items = Some(number()?),
            "minProperties" => n.limits.min_properties = Some(number()?),
            "maxProperties" => n.limits.max_properties = Some(number()?),
            "minimum" => n.limits.minimum = Some(float()?),
            "maximum" => n.limits.maximum = Some(float()?),
            "exclusiveMinimum" => n.limits.exclusive_minimum = flag()?,
            "exclusiveMaximum" => n.limits.exclusive_maximum = flag()?,
            "multipleOf" => n.limits.multiple_of = Some(float()?),
            "uniqueItems" if v == &Value::Bool(false) => {}
            "allOf" => n.all_of = list(v, word)?,
            "anyOf" => n.any_of = list(v, word)?,
            "oneOf" => n.one_of = list(v, word)?,
            "not" => n.not = Some(Box::new(parse_node(kind, path, v)?)),
            "x-kubernetes-preserve-unknown-fields" => n.preserve_unknown = flag()?,
            "x-kubernetes-int-or-string" => n.int_or_string = flag()?,
            "x-kubernetes-embedded-resource" if v == &Value::Bool(false) => {}
            "x-kubernetes-list-type" => list_word = Some(string()?),
            "x-kubernetes-list-map-keys" => {
                list_keys = strings(v).ok_or_else(|| bad(format!("{word} must list strings")))?
            }
            "x-kubernetes-map-type" => n.atomic_map = string()? == "atomic",
            "x-kubernetes-validations" => n.rules = cel::compile_all(kind, path, v)?,
            other => return Err(bad(format!("the keyword {other:?} is not supported"))),
        }
    }
    n.list_type = match list_word {
        None => None,
        Some("atomic") => Some(ListType::Atomic),
        Some("set") => Some(ListType::Set),
        Some("map") if list_keys.is_empty() => return Err(bad("a list of type map needs its keys".into())),
        Some("map") => Some(ListType::Map(list_keys)),
        Some(other) => return Err(bad(format!("unknown list type {other:?}"))),
    };
    if n.properties.is_empty() && n.additional.is_none() && n.ty == Some(Type::Object) && map.contains_key("properties")
    {
        n.properties = BTreeMap::new();
    }
    n.has_rules = !n.rules.is_empty()
        || n.properties.values().any(|c| c.has_rules)
        || n.items.as_ref().is_some_and(|c| c.has_rules)
        || matches!(&n.additional, Some(Additional::Schema(c)) if c.has_rules);
    Ok(n)
}

fn parse_type(word: &str) -> Option<Type> {
    Some(match word {
        "object" => Type::Object,
        "array" => Type::Array,
        "string" => Type::String,
        "integer" => Type::Integer,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        _ => return None,
    })
}

fn strings(v: &Value) -> Option<Vec<String>> {
    v.as_array()?.iter().map(|s| s.as_str().map(String::from)).collect()
}

/// The value of an item's merge keys, in key order; a key that the item lacks takes its default.
pub fn item_key(keys: &[String], items: Option<&Node>, item: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    for k in keys {
        let default = || items.and_then(|n| n.properties.get(k)).and_then(|n| n.default.clone());
        if let Some(v) = item.get(k).cloned().or_else(default) {
            out.insert(k.clone(), v);
        }
    }
    out
}
