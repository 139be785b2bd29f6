//! The short form of a target.

use super::Target;

/// Reads the short form: what stands in quotes (`'...'` or `"..."`) is the text to look for on the screen, the whole is
/// the description. Without quotes there is only the description. An apostrophe inside a word opens no quote.
pub fn parse_target(short: &str) -> Target {
    let short = short.trim();
    let text = quoted(short).into_iter().next();
    Target {
        text,
        describe: Some(short.to_string()),
        ..Target::default()
    }
}

/// All texts in quotes, in order. A quote opens at the start or after anything but a letter or digit, and closes before
/// anything but one; so `the user's 'Save' button` holds one text, `Save`.
pub(super) fn quoted(text: &str) -> Vec<String> {
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
                if !inner.trim().is_empty() {
                    found.push(inner.trim().to_string());
                }
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
    fn quotes_and_apostrophes() {
        let text = |s: &str| parse_target(s).text;
        assert_eq!(text("the 'Save' button"), Some("Save".into()));
        assert_eq!(text("the user's \"Save as…\" button"), Some("Save as…".into()));
        assert_eq!(text("'Don't save'"), Some("Don't save".into()));
        assert_eq!(text("the gear icon"), None);
        assert_eq!(text("the user's picture"), None);
        assert_eq!(text("''"), None);
        assert_eq!(quoted("'Saved' and “Done” are shown"), ["Saved", "Done"]);
        assert_eq!(
            parse_target(" the 'Save' button ").describe.as_deref(),
            Some("the 'Save' button")
        );
    }
}
