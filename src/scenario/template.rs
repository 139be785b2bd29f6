//! The one template layer: `{{ name }}`, strict.

use super::model::Scalar;
use minijinja::{Environment, UndefinedBehavior, value::Value};
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, BTreeSet};

/// Values of a scenario's inputs.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    pub plain: BTreeMap<String, Scalar>,
    pub secret: BTreeMap<String, SecretString>,
}

/// True where the text is a template at all; other text is taken as it stands.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// The name, where the text is one template and nothing else.
pub(super) fn only(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let name = inner.trim();
    let letters = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (letters && !name.is_empty()).then_some(name)
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env
}

/// Names that the text refers to.
pub(super) fn references(text: &str) -> Result<BTreeSet<String>, String> {
    if !is_template(text) {
        return Ok(BTreeSet::new());
    }
    if text.contains("{%") || text.contains("{#") {
        return Err("templates are {{ name }}; blocks and comments of templates are not part of the language".into());
    }
    // Nothing is computed: an expression could grow without bound, and a secret made into another text would be hidden
    // nowhere.
    for part in text.split("{{").skip(1) {
        let inner = part.split("}}").next().unwrap_or_default();
        let name = inner.trim_matches(|c: char| c.is_whitespace() || c == '-');
        let letters = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !letters || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!(
                "a template is {{{{ name }}}}, the name of an input; '{}' is no name",
                inner.trim().chars().take(60).collect::<String>()
            ));
        }
    }
    let env = environment();
    let template = env
        .template_from_str(text)
        .map_err(|e| format!("not a template: {}", describe(&e)))?;
    Ok(template.undeclared_variables(false).into_iter().collect())
}

/// The text with its values. Secrets are only given where the place may hold one.
pub(super) fn render(text: &str, values: &Values, with_secrets: bool) -> Result<String, String> {
    if !is_template(text) {
        return Ok(text.to_string());
    }
    let mut context: BTreeMap<&str, Value> = BTreeMap::new();
    for (name, value) in &values.plain {
        let value = match value {
            Scalar::String(s) => Value::from(s.as_str()),
            Scalar::Integer(i) => Value::from(*i),
            Scalar::Number(n) => Value::from(*n),
            Scalar::Boolean(b) => Value::from(*b),
        };
        context.insert(name, value);
    }
    if with_secrets {
        for (name, value) in &values.secret {
            context.insert(name, Value::from(value.expose_secret()));
        }
    }
    environment()
        .render_str(text, context)
        .map_err(|e| format!("the template cannot be filled in: {}", describe(&e)))
}

/// The error without the name of a template that has none, and without values.
fn describe(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}
