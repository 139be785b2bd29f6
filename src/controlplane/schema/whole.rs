//! Whole numbers that came as floats.

use serde_json::Value;

/// Turns `30.0` into `30`, everywhere: Go's encoder, which the real server answers with, writes both alike, and typed
/// readers of an integer refuse the float.
pub fn numbers(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(numbers),
        Value::Array(items) => items.iter_mut().for_each(numbers),
        Value::Number(n) if n.is_f64() => {
            // 2^63 is the first float that no i64 holds.
            let whole = n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < i64::MAX as f64);
            if let Some(f) = whole {
                *value = (f as i64).into();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_whole_numbers_change() {
        let mut v = json!({"a": 30.0, "b": [1.5, -2.0], "c": 1e300, "d": "1.0", "e": 9.3e18, "f": 1e3});
        numbers(&mut v);
        let wanted = json!({"a": 30, "b": [1.5, -2], "c": 1e300, "d": "1.0", "e": 9.3e18, "f": 1000});
        assert_eq!(v.to_string(), wanted.to_string());
    }
}
