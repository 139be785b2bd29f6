//! Standard conditions, kstatus-compatible: `Ready`, and `Reconciling`/`Stalled` only while they are true.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Longest message that is kept; the API server takes 32768 bytes.
const MAX_MESSAGE: usize = 2000;

/// Sets a condition; the transition time changes only with the status.
pub fn set(
    list: &mut Vec<Condition>,
    now: Timestamp,
    generation: Option<i64>,
    type_: &str,
    status: &str,
    reason: &str,
    message: &str,
) {
    let message: String = message.chars().take(MAX_MESSAGE).collect();
    match list.iter_mut().find(|c| c.type_ == type_) {
        Some(c) => {
            if c.status != status {
                c.status = status.to_string();
                c.last_transition_time = Time(now);
            }
            c.reason = reason.to_string();
            c.message = message;
            c.observed_generation = generation;
        }
        None => list.push(Condition {
            type_: type_.to_string(),
            status: status.to_string(),
            reason: reason.to_string(),
            message,
            last_transition_time: Time(now),
            observed_generation: generation,
        }),
    }
}

/// Removes a condition.
pub fn clear(list: &mut Vec<Condition>, type_: &str) {
    list.retain(|c| c.type_ != type_);
}

/// A condition of a type.
pub fn get<'a>(list: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    list.iter().find(|c| c.type_ == type_)
}

/// Whether a condition is true.
pub fn is_true(list: &[Condition], type_: &str) -> bool {
    get(list, type_).is_some_and(|c| c.status == "True")
}

/// What the conditions of an object should say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is ready.
    pub ready: bool,
    /// CamelCase reason of `Ready` (and of `Stalled`).
    pub reason: &'static str,
    /// Sentence for people.
    pub message: String,
    /// Cannot go on without help.
    pub stalled: bool,
}

impl Verdict {
    /// Works on it.
    pub fn progressing(reason: &'static str, message: impl Into<String>) -> Verdict {
        Verdict {
            ready: false,
            reason,
            message: message.into(),
            stalled: false,
        }
    }
    /// Cannot go on without help.
    pub fn stalled(reason: &'static str, message: impl Into<String>) -> Verdict {
        Verdict {
            ready: false,
            reason,
            message: message.into(),
            stalled: true,
        }
    }
    /// As declared.
    pub fn ready(reason: &'static str, message: impl Into<String>) -> Verdict {
        Verdict {
            ready: true,
            reason,
            message: message.into(),
            stalled: false,
        }
    }

    /// Writes `Ready`, `Reconciling` and `Stalled`.
    pub fn apply(&self, list: &mut Vec<Condition>, now: Timestamp, generation: Option<i64>) {
        let word = if self.ready { "True" } else { "False" };
        set(list, now, generation, "Ready", word, self.reason, &self.message);
        if self.ready || self.stalled {
            clear(list, "Reconciling");
        } else {
            set(list, now, generation, "Reconciling", "True", self.reason, &self.message);
        }
        if self.stalled {
            set(list, now, generation, "Stalled", "True", self.reason, &self.message);
        } else {
            clear(list, "Stalled");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let (a, b) = (Timestamp::UNIX_EPOCH, Timestamp::now());
        let mut list = Vec::new();
        Verdict::progressing("Cloning", "x").apply(&mut list, a, Some(1));
        Verdict::progressing("Starting", "y").apply(&mut list, b, Some(1));
        assert_eq!(get(&list, "Ready").map(|c| c.last_transition_time.0), Some(a));
        assert!(is_true(&list, "Reconciling"));
        Verdict::ready("Ready", "").apply(&mut list, b, Some(1));
        assert_eq!(get(&list, "Ready").map(|c| c.last_transition_time.0), Some(b));
        assert!(get(&list, "Reconciling").is_none() && get(&list, "Stalled").is_none());
        Verdict::stalled("Locked", "").apply(&mut list, b, Some(1));
        assert!(is_true(&list, "Stalled"));
    }
}
