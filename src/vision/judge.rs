//! What OCR can say about a question, decided from the question and read lines.
//!
//! OCR answers only whether texts are shown. No false "true" is possible from a near miss: a text counts as shown only if
//! every letter agrees (case, spaces and typographic marks aside). A near miss is no "false" either, since one misread
//! letter makes it: the answer is then "cannot tell". False is given only when nothing on the screen resembles the text.
//! Whatever else a question asks (negation, state, colour, place, number) is "cannot tell", for the next backend.

use super::locate::{best, hit, seen};
use super::misread::misread;
use super::target::{around, quotes, words};
use super::text::Fit;
use super::{Hit, Judgement, Line, Verdict};

/// Nouns for the place of a text ("button", "status bar") are accepted, but OCR does not check them: it answers whether the
/// text is shown at all. Who needs the place says so with a target's relations.
///
/// Words that may stand around the quoted texts of a question that only asks whether they are shown. Anything else is
/// outside what OCR decides: a list of what is understood cannot be fooled by a wording nobody thought of.
const UNDERSTOOD: &[&str] = &[
    "a",
    "all",
    "an",
    "and",
    "appears",
    "appear",
    "are",
    "as",
    "at",
    "both",
    "button",
    "can",
    "contain",
    "contains",
    "containing",
    "caption",
    "desktop",
    "dialog",
    "display",
    "displayed",
    "displays",
    "does",
    "entry",
    "field",
    "has",
    "have",
    "heading",
    "in",
    "is",
    "it",
    "item",
    "label",
    "labelled",
    "labeled",
    "line",
    "link",
    "menu",
    "message",
    "named",
    "now",
    "of",
    "on",
    "page",
    "popup",
    "present",
    "read",
    "reads",
    "saying",
    "says",
    "say",
    "screen",
    "see",
    "shown",
    "shows",
    "show",
    "showing",
    "some",
    "status",
    "bar",
    "text",
    "that",
    "the",
    "there",
    "this",
    "title",
    "titled",
    "to",
    "visible",
    "window",
    "with",
    "word",
    "words",
    "written",
    "you",
    "be",
    "exists",
    "tab",
    "box",
];

/// Behind a quoted text these say something about what it names: `the 'Name' field contains ...`. OCR would only say
/// that `Name` is shown.
const RELATING: &[&str] = &[
    "has",
    "have",
    "contain",
    "contains",
    "containing",
    "with",
    "says",
    "say",
    "saying",
    "reads",
    "named",
    "titled",
    "labelled",
    "labeled",
];

/// Behind a quoted text these ask whether it is shown, unless something follows that is shown by it.
const SHOWING: &[&str] = &["shows", "show", "showing", "displays", "display"];

/// What may follow them then.
const PLACING: &[&str] = &["in", "on", "at", "now", "there"];

/// Between two quoted texts only these: what says that both are shown. Two things that stand in any other relation are
/// more than two texts.
const JOINING: &[&str] = &[
    "and",
    "both",
    "a",
    "an",
    "the",
    "text",
    "word",
    "words",
    "button",
    "link",
    "tab",
    "menu",
    "item",
    "entry",
    "label",
    "heading",
    "title",
    "caption",
    "message",
    "line",
    "is",
    "are",
    "shown",
    "visible",
    "displayed",
    "present",
    "there",
    "appears",
    "appear",
];

/// The texts that must be shown, or the judgement for a question that OCR cannot decide.
pub(super) fn plan(question: &str) -> Result<Vec<String>, Judgement> {
    let texts: Vec<String> = quotes(question).into_iter().map(|quote| quote.text).collect();
    if texts.is_empty() {
        return Err(cannot_tell(
            "OCR decides only whether quoted text is shown, and the question quotes none".into(),
        ));
    }
    if texts.iter().any(String::is_empty) {
        return Err(cannot_tell(
            "OCR decides only whether quoted text is shown, and one of the quoted texts is empty".into(),
        ));
    }
    let around = around(question);
    let strange = |word: &&str| !UNDERSTOOD.contains(&word.to_lowercase().as_str());
    if let Some(word) = around.iter().flat_map(|piece| words(piece)).find(strange) {
        return Err(cannot_tell(format!(
            "OCR decides only whether quoted text is shown; '{word}' asks for more"
        )));
    }
    if let Some(relation) = relation(&around) {
        return Err(cannot_tell(format!(
            "OCR decides only whether quoted text is shown; '{relation}' says how one thing stands to another"
        )));
    }
    Ok(texts)
}

/// What of a question, whose words are all understood, asks for more than that its texts are shown. It is given as what
/// stands around the texts.
fn relation(around: &[String]) -> Option<String> {
    let (behind, before) = around.split_last()?;
    for between in before.iter().skip(1) {
        let joined: Vec<String> = words(between).map(str::to_lowercase).collect();
        let all = |known: &[&str]| joined.iter().all(|word| known.contains(&word.as_str()));
        let both = joined.iter().any(|word| word == "and") && all(JOINING);
        // In `in the 'File' menu, 'Open' is shown` the comma joins nothing.
        let listed = between.contains([',', ';']) && all(&["the", "a", "an"]);
        if !both && !listed {
            return Some(between.trim().to_string());
        }
    }
    let behind: Vec<String> = words(behind).map(str::to_lowercase).collect();
    let relating = behind.iter().enumerate().find(|(at, word)| {
        let next = behind.get(at + 1).map(String::as_str);
        RELATING.contains(&word.as_str())
            || (SHOWING.contains(&word.as_str()) && next.is_some_and(|next| !PLACING.contains(&next)))
    });
    relating.map(|(_, word)| word.clone())
}

fn cannot_tell(reason: String) -> Judgement {
    Judgement {
        verdict: Verdict::CannotTell,
        reason,
        evidence: vec![],
        named: vec![],
        rung: "ocr",
    }
}

/// True if every text is shown, false if one plainly is not, "cannot tell" if one may have been misread.
pub(super) fn judge(lines: &[Line], texts: &[String]) -> Judgement {
    let mut evidence = Vec::new();
    let mut doubt = None;
    for text in texts {
        match best(lines, text) {
            // A short text inside a longer word is hardly what was meant: 'OK' in 'Book'.
            Some(m) if m.fit == Fit::Substring => {
                doubt.get_or_insert(format!("'{text}' stands only inside '{}'", m.matched));
            }
            Some(m) if m.fit == Fit::Caret => {
                doubt.get_or_insert(format!(
                    "'{}' was read: '{text}' with the caret behind it, or another word",
                    m.matched
                ));
            }
            Some(m) if m.confidence < Hit::UNSURE => {
                doubt.get_or_insert(format!("'{text}' was read, but with little certainty"));
            }
            Some(m) => evidence.push(hit(m)),
            None => match misread(lines, text, false) {
                Some(similar) => {
                    doubt.get_or_insert(format!("'{text}' was not read, but '{similar}' may be it misread"));
                }
                None => {
                    let reason = format!("'{text}' is not on the screen{}", seen(lines, text));
                    return Judgement {
                        verdict: Verdict::False,
                        reason,
                        evidence,
                        named: vec![],
                        rung: "ocr",
                    };
                }
            },
        }
    }
    if let Some(reason) = doubt {
        return Judgement {
            evidence,
            ..cannot_tell(reason)
        };
    }
    let shown = texts.iter().map(|t| format!("'{t}'")).collect::<Vec<_>>().join(", ");
    let reason = format!("{shown} {} on the screen", if texts.len() == 1 { "is" } else { "are" });
    Judgement {
        verdict: Verdict::True,
        reason,
        evidence,
        named: vec![],
        rung: "ocr",
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::line;
    use super::*;

    fn ask(question: &str) -> Verdict {
        let lines = [
            line("Settings saved", 0, 0),
            line("Book", 0, 40),
            line("Connection established", 0, 80),
        ];
        plan(question).map_or_else(|j| j.verdict, |texts| judge(&lines, &texts).verdict)
    }

    #[test]
    fn shown_absent_and_undecidable() {
        assert_eq!(ask("'Settings saved' is shown in the status bar"), Verdict::True);
        assert_eq!(ask("Does the window show the text \"saved\"?"), Verdict::True);
        assert_eq!(ask("'saved' and 'Book' are visible"), Verdict::True);
        assert_eq!(ask("Does 'saved' show in the status bar?"), Verdict::True);
        assert_eq!(ask("the window shows 'saved' and 'Book'"), Verdict::True);
        assert_eq!(
            ask("'saved', 'Book' and the text 'established' are shown"),
            Verdict::True
        );
        assert_eq!(
            ask("the 'saved' message is shown and the 'Book' button is visible"),
            Verdict::True
        );
        assert_eq!(ask("'Cancel' is shown"), Verdict::False);
        assert_eq!(ask("'saved' and 'Cancel' are shown"), Verdict::False);
        for other in [
            "the settings are saved",
            "'saved' is not shown",
            "no 'Cancel' button",
            "the dialog without 'Cancel'",
            "'saved' isn't visible",
            "'saved' is never shown",
            "the 'saved' button is disabled",
            "'saved' is green",
            "'saved' is left of 'Book'",
            "'saved' is shown twice",
            "'saved' or 'Cancel' is shown",
            "is 'saved' hidden?",
            "'saved' ist nicht sichtbar",
            // Both texts are shown, and that is not what is asked.
            "the 'Book' field contains 'saved'",
            "the 'Book' field shows 'saved'",
            "the 'Book' button has the label 'saved'",
            "the window titled 'Book' says 'saved'",
            "'saved' is shown in the 'Book' dialog",
            "in the 'Book' dialog, 'saved' is shown",
            "'Book' 'saved'",
            "'saved' and 'Book' are shown in the 'Connection' window",
            "the 'Book' field is shown and contains 'saved'",
            "the 'Book' field has text",
            "the 'Book' field shows some text",
            // A template that was empty.
            "the 'Book' field contains ''",
            "'' is shown",
            "'Book' and \"\" are shown",
        ] {
            assert_eq!(ask(other), Verdict::CannotTell, "{other}");
        }
    }

    #[test]
    fn near_misses_and_parts_of_words_are_neither() {
        assert_eq!(ask("'Connection estab1ished' is shown"), Verdict::CannotTell);
        assert_eq!(ask("'ok' is shown"), Verdict::CannotTell);
        // A part of a longer line, misread.
        assert_eq!(ask("'Setting soved' is shown"), Verdict::CannotTell);
        // Another word, read with certainty.
        assert_eq!(ask("'Settings sent' is shown"), Verdict::False);
    }

    #[test]
    fn a_sentence_over_two_lines_is_shown() {
        let lines = [line("The file was changed by", 0, 0), line("another program.", 0, 24)];
        let ask = |text: &str| judge(&lines, &[text.to_string()]).verdict;
        assert_eq!(ask("changed by another program"), Verdict::True);
        assert_eq!(ask("changed by anather program"), Verdict::CannotTell);
        assert_eq!(ask("changed by nobody at all"), Verdict::False);
    }
}
