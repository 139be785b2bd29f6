//! `# lint: allow RULE` in a file.

use super::super::error::Place;
use super::Remark;

/// True where the text that the remark is about says, in a comment, that its rule is allowed there: on the line of the
/// remark, on the first line of its step, or on the line above one of these.
pub fn allows(text: &str, remark: &Remark) -> bool {
    let allowed = |place: &Place| match place {
        // Both count from 1; so the line above has this number less 2.
        Place::Line(line, _) => {
            let lines = text
                .lines()
                .skip(line.saturating_sub(2))
                .take(if *line == 1 { 1 } else { 2 });
            lines.flat_map(rules).any(|rule| rule == remark.rule.id)
        }
        _ => false,
    };
    allowed(&remark.place) || remark.step.as_ref().is_some_and(allowed)
}

/// The rules that a line's comment names, parted by commas; what follows them is for the reader.
fn rules(line: &str) -> Vec<&str> {
    let mut named = Vec::new();
    let mut rest = line.split_once("# lint: allow ").map_or("", |(_, rest)| rest);
    while !rest.is_empty() {
        let text = rest.trim_start();
        let end = text
            .find(|c: char| !c.is_ascii_lowercase() && c != '-')
            .unwrap_or(text.len());
        named.push(&text[..end]);
        rest = text[end..].trim_start().strip_prefix(',').unwrap_or_default();
    }
    named
}

#[cfg(test)]
mod tests {
    use super::rules;

    #[test]
    fn rules_are_named_before_words_for_the_reader() {
        for (line, named) in [
            ("- shell: x # lint: allow sleep", vec!["sleep"]),
            (
                "  # lint: allow sleep, heredoc: no sleep, no fun",
                vec!["sleep", "heredoc"],
            ),
            ("# lint: allow sleep heredoc", vec!["sleep"]),
            ("# allow sleep", vec![]),
            ("- label: '#1' # lint: allow sleep", vec!["sleep"]),
            ("lint: allow sleep", vec![]),
            ("# lint: allow ", vec![]),
        ] {
            assert_eq!(rules(line), named, "{line}");
        }
    }
}
