//! Small readers: durations, command lines, slugs.

use std::time::Duration;

/// `1m30s`, `500ms`, `5s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a length of time; write it as 500ms, 30s, 2m or 1m30s");
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let amount: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let millis = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        total = amount
            .checked_mul(millis)
            .and_then(|ms| total.checked_add(Duration::from_millis(ms)))
            .ok_or_else(wrong)?;
        rest = &rest[letters..];
    }
    if total.is_zero() || total > Duration::from_secs(86_400) {
        return Err(format!("'{text}' must be more than nothing and at most 24h"));
    }
    Ok(total)
}

/// A command line into words: white space parts, quotes and backslashes hold together as in a shell, and so do
/// templates. Nothing else of a shell is known, so text from a variable cannot become a command.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(c) = rest.next() {
        let template = c == '{' && rest.peek() == Some(&'{');
        if template {
            let word = word.get_or_insert_default();
            word.push(c);
            for c in rest.by_ref() {
                word.push(c);
                if word.ends_with("}}") {
                    break;
                }
            }
            continue;
        }
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => match rest.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("ends with a lone backslash".into()),
            },
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c @ ('|' | '&' | ';' | '<' | '>' | '`' | '$')) => {
                return Err(format!(
                    "'{c}' belongs to a shell, and no shell is between; quote it, or launch [sh, -c, \"...\"]"
                ));
            }
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(q) = quote {
        return Err(format!("a {q} is not closed"));
    }
    words.extend(word);
    if words.is_empty() {
        return Err("is empty".into());
    }
    Ok(words)
}

/// True where a backslash stands outside of single quotes, where [`words`] takes it away.
pub(super) fn has_bare_backslash(line: &str) -> bool {
    let outside = line.split('\'').step_by(2);
    outside.into_iter().any(|part| part.contains('\\'))
}

/// A command line of Windows as a list of YAML: up to `.exe` it is the program's path, which may have spaces.
pub(super) fn as_list(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let end = lower.find(".exe").map_or(0, |at| at + 4);
    let (program, rest) = line.split_at(end);
    let words = [program].into_iter().chain(rest.split_whitespace());
    let words = words
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.replace('\'', "''"))).collect();
    format!("[{}]", words.join(", "))
}

/// Up to three telling words of a text, joined for an id: `the Save button` becomes `save`.
pub(super) fn slug(text: &str) -> String {
    const DULL: [&str; 18] = [
        "a", "an", "the", "is", "are", "in", "on", "of", "at", "to", "right", "left", "below", "above", "button",
        "field", "shown", "box",
    ];
    let lower = text.to_lowercase();
    let all = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty());
    let telling: Vec<&str> = all.clone().filter(|w| !DULL.contains(w)).take(3).collect();
    let chosen = if telling.is_empty() {
        all.take(3).collect()
    } else {
        telling
    };
    let mut slug = chosen.join("-");
    slug.truncate(40);
    slug.trim_end_matches('-').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["5", "s", "0s", "5 s", "25h", "-1s", "1d", "99999999999999999999s", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn command_lines_are_parted_as_a_shell_would_and_never_run_by_one() {
        assert_eq!(words("labdemo --no-splash").unwrap(), ["labdemo", "--no-splash"]);
        assert_eq!(
            words(r#"a 'b c' "d \" e" f\ g '' x"y"z"#).unwrap(),
            ["a", "b c", "d \" e", "f g", "", "xyz"]
        );
        assert_eq!(
            words("app --user={{ user }} '{{ a b }}'").unwrap(),
            ["app", "--user={{ user }}", "{{ a b }}"]
        );
        for wrong in ["", "a | b", "a && b", "a > b", "$HOME/x", "'a", "a\\"] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn backslashes_of_windows_are_seen() {
        assert!(has_bare_backslash(r"C:\a.exe") && has_bare_backslash(r"'C:\a' C:\b"));
        assert!(!has_bare_backslash(r"'C:\Program Files\a.exe' --x") && !has_bare_backslash("notepad.exe"));
        for (line, list) in [
            (
                r"C:\Program Files\N\n.exe /a b",
                r"['C:\Program Files\N\n.exe', '/a', 'b']",
            ),
            (r#""C:\N\n.EXE" x"#, r"['C:\N\n.EXE', 'x']"),
            (r"C:\run.cmd x", r"['C:\run.cmd', 'x']"),
        ] {
            assert_eq!(as_list(line), list);
        }
    }

    #[test]
    fn slugs_keep_the_telling_words() {
        assert_eq!(slug("the Save button"), "save");
        assert_eq!(slug("the field right of 'User name'"), "user-name");
        assert_eq!(slug("'Saved' is shown in the status bar"), "saved-status-bar");
        assert_eq!(slug("the box"), "the-box");
        assert_eq!(slug("日本"), "");
    }
}
