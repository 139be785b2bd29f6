//! Replaces values of secrets in everything that is recorded.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// What stands in a secret's place.
pub(super) const MASK: &str = "***";

/// Members that hold words of the schema and ids, not text: a secret that happens to be such a word must not spoil
/// the log, and its being there tells nobody anything.
const FIXED: [&str; 17] = [
    "event", "kind", "outcome", "result", "step", "id", "class", "section", "action", "role", "file", "time", "effect",
    "verdict", "rung", "purpose", "part",
];

/// The values to hide.
#[derive(Clone, Default)]
pub(super) struct Masks(Vec<SecretString>);

impl Masks {
    pub fn add(&mut self, secrets: &[SecretString]) {
        for secret in secrets {
            let text = secret.expose_secret();
            // Programs print what they read without the white space around it, and line by line.
            let lines = text.lines().map(str::trim).filter(|line| line.len() >= 4);
            for form in std::iter::once(text).chain([text.trim()]).chain(lines) {
                self.add_form(form);
                // As a shell (`set -x`) and as JSON write it.
                self.add_form(&form.replace('\'', "'\\''"));
                let json = Value::from(form).to_string();
                self.add_form(json.trim_start_matches('"').trim_end_matches('"'));
            }
        }
        // The longest first: one secret may be part of another.
        self.0.sort_by_key(|s| std::cmp::Reverse(s.expose_secret().len()));
    }

    fn add_form(&mut self, form: &str) {
        if !form.is_empty() && !self.0.iter().any(|s| s.expose_secret() == form) {
            self.0.push(form.into());
        }
    }

    pub fn text(&self, text: &str) -> String {
        let mut masked = text.to_string();
        for secret in &self.0 {
            masked = masked.replace(secret.expose_secret(), MASK);
        }
        masked
    }

    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                for (key, member) in members {
                    if !FIXED.contains(&key.as_str()) || !member.is_string() {
                        self.value(member);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_goes_in_the_forms_that_programs_write() {
        let mut masks = Masks::default();
        masks.add(&["a'b\"c".into()]);
        let json = json!({"pw": "a'b\"c"}).to_string();
        for text in ["xa'b\"cx", "+ echo 'a'\\''b\"c'", &json] {
            let masked = masks.text(text);
            assert!(masked.contains(MASK) && !masked.contains("b"), "{masked}");
        }
    }

    #[test]
    fn a_secret_that_is_in_a_word_of_the_schema_leaves_the_event() {
        use super::super::event::{EffectKind, Evidence};
        let mut masks = Masks::default();
        masks.add(&["firm".into(), "u".into(), "op".into()]);
        for effect in [
            EffectKind::Confirmed,
            EffectKind::Unverifiable,
            EffectKind::SuspectedNoop,
        ] {
            let item = Evidence::Effect { effect, place: None };
            let mut value = serde_json::to_value(&item).expect("JSON");
            masks.value(&mut value);
            assert_eq!(serde_json::from_value::<Evidence>(value).expect("an event"), item);
        }
    }

    #[test]
    fn secrets_go_and_words_of_the_schema_stay() {
        let mut masks = Masks::default();
        masks.add(&["hunter2\n".into(), "hunter2-long".into(), "passed".into(), "".into()]);
        let mut value = json!({"outcome": "passed", "stdout": "x hunter2 hunter2-long", "n": [{"message": "passed"}]});
        masks.value(&mut value);
        assert_eq!(
            value,
            json!({"outcome": "passed", "stdout": "x *** ***", "n": [{"message": "***"}]})
        );
    }
}
