//! Labels from the comments above steps, as the old loader made them.

use super::super::error::Place;

/// Longest label that the old loader made of a comment.
const LONGEST: usize = 80;

/// What stands above a step.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Above {
    pub label: Option<String>,
    /// Its lines, where the label does not say all of them.
    pub comments: Vec<String>,
}

/// The comment in the lines right above a place.
pub(super) fn above(lines: &[String], place: &Place) -> Above {
    let Place::Line(line, _) = place else {
        return Above::default();
    };
    let before = lines.get(..line.saturating_sub(1)).unwrap_or_default();
    let mut found: Vec<&str> = before.iter().rev().map_while(|l| l.trim().strip_prefix('#')).collect();
    found.reverse();
    let telling = |text: &str| text.chars().any(char::is_alphanumeric);
    let plain: Vec<&str> = found.iter().map(|l| l.trim()).filter(|l| telling(l)).collect();
    if let Some(title) = plain.iter().find_map(|l| boxed(l)) {
        let all = plain.len() == 1;
        let rest = plain.iter().filter(|l| boxed(l).is_none());
        return Above {
            label: Some(title),
            comments: if all {
                Vec::new()
            } else {
                rest.map(ToString::to_string).collect()
            },
        };
    }
    let whole = plain.join(" ");
    match whole.chars().count() {
        0 => Above::default(),
        1..=LONGEST => Above {
            label: Some(whole),
            comments: Vec::new(),
        },
        _ => Above {
            label: Some(whole.chars().take(LONGEST).collect::<String>().trim().to_string()),
            comments: plain.iter().map(ToString::to_string).collect(),
        },
    }
}

/// The comment at the head of a file.
pub(super) fn head(lines: &[String]) -> Vec<String> {
    let comments = lines.iter().map_while(|l| l.trim_start().strip_prefix('#'));
    comments
        .map(|l| l.trim().to_string())
        .filter(|l| !l.is_empty())
        .collect()
}

/// The text between two rules, such as `-- text --`.
fn boxed(line: &str) -> Option<String> {
    let rule = |c: char| matches!(c, '-' | '=' | '\u{2500}'..='\u{257f}');
    let after = line.trim_start_matches(rule);
    if line.chars().count() < after.chars().count() + 2 {
        return None;
    }
    let text = after.trim_end_matches(rule).trim();
    (!text.is_empty()).then(|| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Above {
        let lines: Vec<String> = text.lines().map(String::from).collect();
        let place = Place::Line(lines.len() + 1, 1);
        above(&lines, &place)
    }

    #[test]
    fn a_comment_right_above_is_the_label() {
        for (text, label) in [
            ("# open it", Some("open it")),
            ("# two\n  # lines", Some("two lines")),
            ("# far\n\n", None),
            ("# ── Log in ──", Some("Log in")),
            ("# -- Log in --\n# with a name", Some("Log in")),
            ("# ------", None),
            ("#\n# - item", Some("- item")),
        ] {
            assert_eq!(of(text).label.as_deref(), label, "{text}");
        }
        let long = of(&format!("# {}", "word ".repeat(30)));
        assert_eq!(long.label.map(|l| l.chars().count() <= 80), Some(true));
        assert_eq!(long.comments.len(), 1);
    }
}
