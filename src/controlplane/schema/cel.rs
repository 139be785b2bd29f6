//! CEL rules (`x-kubernetes-validations`): compiled once, run with `self` and `oldSelf`.

use super::validate::old_item;
use super::{Additional, Node, Type, join};
use crate::controlplane::Error;
use crate::controlplane::status::{FieldError, FieldErrorKind};
use cel::objects::{Key, Map as CelMap};
use cel::{Context, Env, Program, Value as Cel};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// One compiled rule.
#[derive(Debug)]
pub struct Rule {
    source: String,
    program: Program,
    uses_old: bool,
    message: Option<String>,
    message_expression: Option<Program>,
    kind: FieldErrorKind,
    field_path: String,
}

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for (name, extension) in
        [("strings", cel::extensions::strings as fn(&mut Env) -> _), ("lists", cel::extensions::lists)]
    {
        if let Err(e) = env.add_extension(extension) {
            tracing::error!("the CEL extension {name} is not available: {e}");
        }
    }
    Arc::new(env)
});

/// The functions that a rule may call: CEL's own, and of the extensions those that Kubernetes has under the same
/// name and meaning. Operators and macros come from the parser under names that are no identifiers.
const FUNCTIONS: &[&str] = &[
    "size", "has", "all", "exists", "exists_one", "existsOne", "map", "filter", "in", "matches", "startsWith", "endsWith",
    "contains", "int", "uint", "double", "string", "bool", "bytes", "type", "dyn", "duration", "timestamp", "charAt",
    "indexOf", "lastIndexOf", "lowerAscii", "upperAscii", "replace", "split", "substring", "trim", "join", "reverse",
    "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes",
    "getSeconds", "getMilliseconds",
];

/// Compiles the rules of one schema node.
pub fn compile_all(kind: &str, path: &str, rules: &Value) -> Result<Vec<Rule>, Error> {
    let bad = |rule: &str, why: String| Error::Rule {
        kind: kind.to_string(),
        path: if path.is_empty() { ".".into() } else { path.to_string() },
        rule: rule.to_string(),
        why,
    };
    let list = rules.as_array().ok_or_else(|| bad("", "x-kubernetes-validations must be a list".into()))?;
    list.iter()
        .map(|r| {
            let source = r.get("rule").and_then(Value::as_str).unwrap_or("").trim().to_string();
            let text = |k: &str| r.get(k).and_then(Value::as_str).filter(|s| !s.is_empty());
            if source.is_empty() {
                return Err(bad("", "a rule has no text".into()));
            }
            if r.get("optionalOldSelf").and_then(Value::as_bool) == Some(true) {
                return Err(bad(&source, "optionalOldSelf is not supported".into()));
            }
            let compile = |text: &str| -> Result<Program, Error> {
                let program = ENV.compile(text).map_err(|e| bad(text, e.to_string()))?;
                let refs = program.references();
                let words = |f: &&str| f.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
                if let Some(f) = refs.functions().into_iter().filter(words).find(|f| !FUNCTIONS.contains(f)) {
                    return Err(bad(text, format!("the function {f:?} is not supported")));
                }
                Ok(program)
            };
            let program = compile(&source)?;
            let field_path = text("fieldPath").unwrap_or("").trim_start_matches('.').to_string();
            let kind = match text("reason") {
                None | Some("FieldValueInvalid") => FieldErrorKind::Invalid,
                Some("FieldValueForbidden") => FieldErrorKind::Forbidden,
                Some("FieldValueRequired") => FieldErrorKind::Required,
                Some("FieldValueDuplicate") => FieldErrorKind::Duplicate,
                Some(other) => return Err(bad(&source, format!("unknown reason {other:?}"))),
            };
            Ok(Rule {
                uses_old: program.references().has_variable("oldSelf"),
                program,
                message: text("message").map(|m| m.trim().to_string()),
                message_expression: text("messageExpression").map(compile).transpose()?,
                kind,
                field_path,
                source,
            })
        })
        .collect()
}

/// Runs all rules of the schema over `value`.
pub fn check(node: &Node, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut out = Vec::new();
    walk(node, value, old, "", &mut out);
    out
}

fn walk(node: &Node, value: &Value, old: Option<&Value>, path: &str, out: &mut Vec<FieldError>) {
    if !node.has_rules || value.is_null() {
        return;
    }
    for rule in &node.rules {
        run(node, rule, value, old, path, out);
    }
    match value {
        Value::Object(map) => {
            for (k, v) in map {
                let old = old.and_then(|o| o.get(k));
                match (node.properties.get(k), &node.additional) {
                    (Some(child), _) => walk(child, v, old, &join(path, k), out),
                    (None, Some(Additional::Schema(child))) => walk(child, v, old, &format!("{path}[{k}]"), out),
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = &node.items {
                for (i, v) in items.iter().enumerate() {
                    walk(child, v, old_item(node, old, v), &format!("{path}[{i}]"), out);
                }
            }
        }
        _ => {}
    }
}

fn run(node: &Node, rule: &Rule, value: &Value, old: Option<&Value>, path: &str, out: &mut Vec<FieldError>) {
    if rule.uses_old && old.is_none() {
        return;
    }
    // An unchanged value that broke the rule before the rule existed is let be, as the real server ratchets.
    if !rule.uses_old && old == Some(value) {
        return;
    }
    let mut context = Context::with_env(ENV.clone());
    context.add_variable_from_value("self", to_cel(node, value));
    if let Some(old) = old {
        context.add_variable_from_value("oldSelf", to_cel(node, old));
    }
    let field = if path.is_empty() { "<nil>" } else { path };
    let scalar = !matches!(node.ty, Some(Type::Object | Type::Array));
    let shown = || scalar.then(|| value.clone());
    match rule.program.execute(&context) {
        Ok(Cel::Bool(true)) => {}
        Ok(Cel::Bool(false)) => {
            let from_expression = rule.message_expression.as_ref().and_then(|p| match p.execute(&context) {
                Ok(Cel::String(s)) if !s.trim().is_empty() => Some(s.to_string()),
                _ => None,
            });
            let detail = from_expression
                .or_else(|| rule.message.clone())
                .unwrap_or_else(|| format!("failed rule: {}", rule.source));
            let at = if rule.field_path.is_empty() { field.to_string() } else { join(path, &rule.field_path) };
            out.push(FieldError::new(rule.kind, at, shown(), detail));
        }
        Ok(other) => {
            let detail = format!("the rule gave {}, not a bool: {}", other.type_of(), rule.source);
            out.push(FieldError::new(FieldErrorKind::Invalid, field, Some(type_name(node)), detail));
        }
        Err(e) => {
            let why = match e {
                cel::ExecutionError::NoSuchKey(k) => format!("no such key: {k}"),
                other => other.to_string(),
            };
            let detail = format!("{why} evaluating rule: {}", rule.message.as_ref().unwrap_or(&rule.source));
            out.push(FieldError::new(FieldErrorKind::Invalid, field, Some(type_name(node)), detail));
        }
    }
}

fn type_name(node: &Node) -> Value {
    node.ty.map_or("", Type::name).into()
}

/// The CEL words that cannot be member names; Kubernetes writes them as `__word__`.
const RESERVED: &[&str] = &[
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
    "loop", "package", "namespace", "return", "var", "void", "while",
];

/// A property's name as rules write it (Kubernetes' escaping of `_`, `.`, `-`, `/` and reserved words).
fn escape(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return name.to_string();
    }
    name.replace("__", "__underscores__").replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

/// The value as CEL sees it: typed by the schema, so `number` is a double even when written without a fraction.
fn to_cel(node: &Node, value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(b) => Cel::Bool(*b),
        Value::Number(n) if node.ty == Some(Type::Number) => Cel::Float(n.as_f64().unwrap_or(f64::NAN)),
        Value::Number(n) => match n.as_i64() {
            Some(i) => Cel::Int(i),
            None => Cel::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(s) => match node.limits.format.as_deref() {
            Some("date-time") => match s.parse() {
                Ok(t) => Cel::Timestamp(t),
                Err(_) => Cel::String(Arc::new(s.clone())),
            },
            _ => Cel::String(Arc::new(s.clone())),
        },
        Value::Array(items) => {
            static ANY: LazyLock<Node> = LazyLock::new(Node::default);
            let child = node.items.as_deref().unwrap_or(&ANY);
            Cel::List(Arc::new(items.iter().map(|v| to_cel(child, v)).collect()))
        }
        Value::Object(map) => {
            static ANY: LazyLock<Node> = LazyLock::new(Node::default);
            let mut out: HashMap<Key, Cel> = HashMap::with_capacity(map.len());
            for (k, v) in map {
                let declared = node.properties.get(k);
                let name = if declared.is_some() { escape(k) } else { k.clone() };
                out.insert(Key::String(Arc::new(name)), to_cel(declared.or(node.child(k)).unwrap_or(&ANY), v));
            }
            Cel::Map(CelMap { map: Arc::new(out) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(rules: Value) -> Node {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": rules,
            "properties": {"a": {"type": "string"}, "n": {"type": "integer"}, "namespace": {"type": "string"},
                "xs": {"type": "array", "items": {"type": "string"}}}}}});
        Node::parse("Test", &schema).unwrap()
    }

    fn errors(rules: Value, value: Value, old: Option<Value>) -> Vec<String> {
        check(&node(rules), &value, old.as_ref()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_over_members_lists_and_escaped_names() {
        let rules = json!([{"rule": "has(self.a) != has(self.n)", "message": "exactly one"},
            {"rule": "!has(self.xs) || self.xs.all(x, x.startsWith('a') && x.size() < 3)"},
            {"rule": "!has(self.__namespace__) || self.__namespace__ != 'kube-system'"}]);
        assert_eq!(errors(rules.clone(), json!({"spec": {"a": "x", "xs": ["ab"], "namespace": "d"}}), None), [""; 0]);
        assert_eq!(
            errors(rules.clone(), json!({"spec": {"a": "x", "n": 1}}), None),
            ["spec: Invalid value: exactly one"]
        );
        assert_eq!(errors(rules, json!({"spec": {"a": "x", "xs": ["b"], "namespace": "kube-system"}}), None).len(), 2);
    }

    #[test]
    fn transition_rules_run_on_updates_only() {
        let rules = json!([{"rule": "self.a == oldSelf.a", "message": "a is immutable"}]);
        assert_eq!(errors(rules.clone(), json!({"spec": {"a": "x"}}), None), [""; 0]);
        let old = json!({"spec": {"a": "x"}});
        assert_eq!(errors(rules.clone(), json!({"spec": {"a": "x", "n": 1}}), Some(old.clone())), [""; 0]);
        assert_eq!(errors(rules, json!({"spec": {"a": "y"}}), Some(old)), ["spec: Invalid value: a is immutable"]);
    }

    #[test]
    fn what_does_not_compile_is_named() {
        let parse = |rule: &str| {
            let schema = json!({"type": "object", "x-kubernetes-validations": [{ "rule": rule }]});
            Node::parse("Thing", &schema).unwrap_err().to_string()
        };
        assert!(parse("self.a ==").contains("Thing"));
        assert!(parse("isURL(self.a)").contains("isURL"));
    }
}
