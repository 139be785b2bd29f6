//! Numbers and booleans as Proxmox sends them: sometimes as JSON numbers, sometimes as strings.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// An unsigned number, given as number or string.
pub fn number(v: &Value) -> Option<u64> {
    match v {
        Value::Number(n) => n
            .as_u64()
            .or_else(|| n.as_f64().filter(|f| *f >= 0.0).map(|f| f as u64)),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}

/// A whole number of either sign, given as number or string.
pub fn signed(v: &Value) -> Option<i64> {
    match v {
        Value::Number(n) => n.as_i64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}

/// A boolean, given as boolean, 0/1 or "0"/"1".
pub fn boolean(v: &Value) -> bool {
    match v {
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_i64() != Some(0),
        Value::String(s) => s == "1",
        _ => false,
    }
}

/// Any scalar as the text that a configuration file would have.
pub fn text(v: &Value) -> Option<String> {
    match v {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(if *b { "1" } else { "0" }.to_string()),
        _ => None,
    }
}

pub fn de_number<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    let v = Value::deserialize(d)?;
    number(&v).ok_or_else(|| D::Error::custom(format!("expected a number, got {v}")))
}

/// A number that may be missing, or of no use (-1).
pub fn de_optional<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    Ok(number(&Value::deserialize(d)?))
}

/// A scalar that may be missing.
pub fn de_text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(text(&Value::deserialize(d)?))
}

pub fn de_vmid<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    let n = de_number(d)?;
    u32::try_from(n).map_err(|_| D::Error::custom(format!("{n} is no VMID")))
}

pub fn de_boolean<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    Ok(boolean(&Value::deserialize(d)?))
}

/// Tags come as one string, separated by `;` (or `,` or blanks in older files).
pub fn de_tags<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.map(|s| tags(&s)).unwrap_or_default())
}

/// Splits a list of tags.
pub fn tags(s: &str) -> Vec<String> {
    s.split([';', ',', ' '])
        .filter(|t| !t.is_empty())
        .map(str::to_string)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms() {
        assert_eq!(number(&json!("5900")), Some(5900));
        assert_eq!(number(&json!(256)), Some(256));
        assert_eq!(number(&json!(null)), None);
        assert_eq!(number(&json!(-1)), None);
        assert!(boolean(&json!(1)) && boolean(&json!("1")) && boolean(&json!(true)));
        assert!(!boolean(&json!(0)) && !boolean(&json!("0")) && !boolean(&json!(null)));
        assert_eq!(tags("a;b, c"), ["a", "b", "c"]);
    }
}
