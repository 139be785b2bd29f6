//! A text that is written as if it were a label, and is a description.

use super::super::model::{Check, Step, Target};
use super::Found;
use super::subject::{Purpose, Subject};

/// Words with which something is described; a label has them too, and then is one of several words all the same.
const DESCRIBING: &[&str] = &[
    "a",
    "an",
    "the",
    "icon",
    "button",
    "field",
    "arrow",
    "logo",
    "picture",
    "image",
    "box",
    "checkbox",
    "slider",
    "switch",
    "toggle",
    "cursor",
    "pointer",
    "avatar",
    "symbol",
    "bar",
    "toolbar",
    "sidebar",
    "panel",
    "window",
    "dialog",
    "desktop",
    "menu",
    "list",
    "entry",
    "link",
    "tab",
    "is",
    "are",
    "shown",
    "visible",
    "screen",
    "corner",
    "background",
    "spinner",
];

/// A target or a question of a word or two that quotes nothing: text recognition looks for quoted text only, so that a
/// model is asked about it, or nobody can answer.
pub(super) fn unquoted_label(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in subject.all() {
        for target in step.targets() {
            if let Target::Words(words) = target {
                tell(subject, found, step, Purpose::Acting, words, "target");
            }
        }
        for check in step.conditions().flat_map(Check::parts) {
            if let Check::See(question) = check {
                tell(subject, found, step, Purpose::Looking, question, "question");
            }
        }
    }
}

fn tell(subject: &Subject<'_>, found: &mut Found<'_>, step: &Step, purpose: Purpose, text: &str, what: &str) {
    if !is_label(text) {
        return;
    }
    let place = subject.spot(step, purpose, &|entry, _| entry.value.as_str() == Some(text));
    let message = format!(
        "the {what} '{text}' looks like a text on the screen, but without quotes it is a description, which only a vision model \
         understands"
    );
    found.add(place, step, message);
}

/// Begins as labels do, and has two words at most, or up to four that all begin so; nothing in it describes. A word in
/// lower case (`hamburger`, `dark theme`) describes more often than it is read on a button.
fn is_label(text: &str) -> bool {
    if text.contains(['\'', '"', '‘', '’', '“', '”', '?']) || text.contains("{{") {
        return false;
    }
    // One letter says nothing of what it is.
    if text.trim().chars().nth(1).is_none() {
        return false;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let describes = |word: &&str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        DESCRIBING.contains(&word.as_str())
    };
    let as_a_name = |word: &&str| word.chars().next().is_some_and(|c| !c.is_lowercase());
    let few = words.len() <= 2 || words.len() <= 4 && words.iter().all(as_a_name);
    few && words.first().is_some_and(as_a_name) && !words.iter().any(describes)
}

#[cfg(test)]
mod tests {
    use super::is_label;

    #[test]
    fn what_looks_like_a_label() {
        for label in ["Save", "OK", "Save as…", "Sign In To Chat", "設定", "42"] {
            assert!(is_label(label), "{label}");
        }
        for other in [
            "'Save'",
            "x",
            "save",
            "hamburger",
            "dark theme",
            "the gear",
            "gear icon",
            "the Save button",
            "the window is red",
            "a blinking cursor",
            "{{ name }}",
            "all is well",
            "Sign in to chat",
            "File menu",
        ] {
            assert!(!is_label(other), "{other}");
        }
    }
}
