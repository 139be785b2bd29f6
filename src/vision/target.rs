//! The short form of a target.

use super::Target;

/// Words that may stand around the quoted text of a short target whose place is the place of the text: things that bear
/// the text themselves. With any other word ("the field right of 'Name'", "the 'Comment' box") the place may be another
/// one, which a click on the text would miss unseen.
const BEARERS: &[&str] = &[
    "a",
    "an",
    "the",
    "button",
    "push",
    "toggle",
    "radio",
    "checkbox",
    "option",
    "choice",
    "link",
    "hyperlink",
    "tab",
    "menu",
    "item",
    "label",
    "labelled",
    "labeled",
    "named",
    "titled",
    "called",
    "text",
    "word",
    "words",
    "heading",
    "title",
    "caption",
    "message",
    "that",
    "says",
    "reads",
];

/// Reads the short form. The whole is the description. What stands in quotes (`'...'` or `"..."`) is also the text to
/// look for on the screen, if the words around it name a thing that bears the text: `the 'Save' button`. An apostrophe
/// inside a word opens no quote.
pub fn parse_target(short: &str) -> Target {
    let short = short.trim();
    let text = match quotes(short).as_slice() {
        [only] if !only.text.is_empty() && beyond_text(short).is_none() => Some(only.text.clone()),
        _ => None,
    };
    Target {
        text,
        describe: Some(short.to_string()),
        ..Target::default()
    }
}

/// The first word of a description that says more than which text is meant.
pub(super) fn beyond_text(short: &str) -> Option<String> {
    let rest = without_quoted(short).to_lowercase().replace("check box", "checkbox");
    words(&rest).find(|word| !BEARERS.contains(word)).map(str::to_string)
}

/// The text with its quoted parts taken out.
fn without_quoted(text: &str) -> String {
    around(text).join(" ")
}

/// What stands before the first quoted part, between them, and behind the last: one more than there are.
pub(super) fn around(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut from = 0;
    let mut pieces: Vec<String> = Vec::new();
    for quote in quotes(text) {
        pieces.push(chars[from..quote.from].iter().collect());
        from = quote.to;
    }
    pieces.push(chars[from..].iter().collect());
    pieces
}

/// The words of a text, without quotes and hyphens at their ends.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’' | '-');
    text.split(move |c: char| !is_word(c))
        .map(|w| w.trim_matches(['\'', '’', '-']))
        .filter(|w| !w.is_empty())
}

/// A part of a text that stands in quotes.
pub(super) struct Quote {
    /// What is in the quotes, without white space around it; it may be empty.
    pub text: String,
    /// Place of the opening quote, in characters, and the place behind the closing one.
    from: usize,
    to: usize,
}

/// The texts in quotes that are not empty, in order.
pub(super) fn quoted(text: &str) -> Vec<String> {
    quotes(text)
        .into_iter()
        .map(|quote| quote.text)
        .filter(|text| !text.is_empty())
        .collect()
}

/// All that stands in quotes, in order. A quote opens at the start or after anything but a letter or digit, and closes before
/// anything but one; so `the user's 'Save' button` holds one text, `Save`.
pub(super) fn quotes(text: &str) -> Vec<Quote> {
    let chars: Vec<char> = text.chars().collect();
    let word = |i: usize| chars.get(i).is_some_and(|c| c.is_alphanumeric());
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let Some(close) = closing(chars[i]).filter(|_| i == 0 || !word(i - 1)) else {
            i += 1;
            continue;
        };
        // Within a word an apostrophe is part of it.
        let closes = |j: &usize| chars[*j] == close && !(matches!(close, '\'' | '’') && word(j + 1));
        let end = (i + 1..chars.len()).find(closes);
        match end {
            Some(end) => {
                let inner: String = chars[i + 1..end].iter().collect();
                found.push(Quote {
                    text: inner.trim().to_string(),
                    from: i,
                    to: end + 1,
                });
                i = end + 1;
            }
            None => i += 1,
        }
    }
    found
}

fn closing(open: char) -> Option<char> {
    match open {
        '\'' | '"' => Some(open),
        '‘' => Some('’'),
        '“' => Some('”'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_only_where_its_place_is_the_target() {
        let text = |s: &str| parse_target(s).text;
        for same in [
            "'Save'",
            "the 'Save' button",
            "the button labelled 'Save'",
            "'Save' check box",
            "the menu item \"Save\"",
        ] {
            assert_eq!(text(same), Some("Save".into()), "{same}");
        }
        for other in [
            "the field labelled 'Save'",
            "the field right of 'Save'",
            "the 'Save' box",
            "the icon next to 'Save'",
            "the second 'Save' button",
            "the 'Save' button below 'Open'",
            "the 'Save' entry",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
        assert_eq!(beyond_text("the field right of 'Name'").as_deref(), Some("field"));
    }

    #[test]
    fn quotes_and_apostrophes() {
        let text = |s: &str| parse_target(s).text;
        assert_eq!(text("the 'Save' button"), Some("Save".into()));
        assert_eq!(quoted("the user's \"Save as…\" button"), ["Save as…"]);
        assert_eq!(text("'Don't save'"), Some("Don't save".into()));
        assert_eq!(text("the gear icon"), None);
        assert_eq!(text("the user's picture"), None);
        assert_eq!(text("''"), None);
        assert_eq!(text("the 'Save' button ''"), None);
        assert_eq!(around("the 'a' field has \"b\""), ["the ", " field has ", ""]);
        // The same letters outside of the quotes stay where they are.
        assert_eq!(without_quoted("a window 'a'"), "a window  ");
        assert_eq!(quoted("'Saved' and “Done” are shown"), ["Saved", "Done"]);
        assert_eq!(
            parse_target(" the 'Save' button ").describe.as_deref(),
            Some("the 'Save' button")
        );
    }
}
