//! What no reading of the screen can decide, told before anything is looked at: it takes a model.

use super::judge;
use super::target::{beyond_text, quoted};
use super::types::Target;

/// Why text recognition cannot look for the target, which has no reference either; `None` where it can.
pub fn unreadable_target(target: &Target) -> Option<String> {
    match (&target.text, &target.reference) {
        (None, None) => Some(without_text(target)),
        _ => None,
    }
}

/// Why text recognition cannot answer the question, whatever is shown; `None` where it may.
pub fn unreadable_question(question: &str) -> Option<String> {
    judge::plan(question).err().map(|judgement| judgement.reason)
}

/// What a target without a text lacks for being read.
pub(super) fn without_text(target: &Target) -> String {
    let described = target.describe.as_deref().unwrap_or_default();
    let texts = quoted(described);
    match (texts.len(), beyond_text(described)) {
        (1.., Some(word)) => format!(
            "OCR finds quoted text only, and '{word}' asks for more than a text; write the place as \
             'target: {{text: ..., right_of: ...}}' (near, left_of, above, below, nth), or use a vision provider with a VLM"
        ),
        (0, _) => format!(
            "OCR finds quoted text only, and '{described}' quotes none; put the text to look for in quotes within the string \
             (\"'Save'\"), or use a vision provider with a VLM"
        ),
        (_, None) => format!(
            "OCR finds one quoted text, and '{described}' has several; quote the one to look for, or use a vision provider with a VLM"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_target;
    use super::*;

    #[test]
    fn what_takes_a_model_is_told_with_what_to_write() {
        let why = |short: &str| unreadable_target(&parse_target(short));
        assert_eq!(why("the 'Save' button"), None);
        assert!(why("Save").is_some_and(|why| why.contains("'Save' quotes none") && why.contains("\"'Save'\"")));
        assert!(why("the field right of 'Name'").is_some_and(|why| why.contains("'field' asks for more")));
        assert!(why("the 'A' 'B' button").is_some_and(|why| why.contains("has several")));
        assert_eq!(unreadable_question("'Saved' is shown"), None);
        assert!(unreadable_question("the window is red").is_some());
    }
}
