//! What was likely meant where a text is not YAML: the parser says what it stumbled over, and people see a line of words.

/// A hint about the error in this line (from 1) of the text, of which the parser says `said`; empty where nothing is known.
pub(super) fn hint(text: &str, line: usize, said: &str) -> String {
    let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let space = missing_space(text, line);
    if !space.is_empty() {
        return space;
    }
    if let Some(template) = bare_template(written) {
        return format!("; put a template in quotes: \"{template}\"");
    }
    let value = value_of(written);
    if said.contains("trailing content")
        && let Some(value) = value
    {
        return format!("; quotes within a text need others around all of it: {}", quoted(value));
    }
    if said.contains("mapping values are not allowed") {
        return match value.filter(|value| value.contains(": ") && !value.starts_with(['{', '[', '"', '\''])) {
            Some(value) => format!("; a text with ': ' in it needs quotes: {}", quoted(value)),
            None => {
                "; look at the indentation of this line, and whether a text with ': ' in it is in quotes".to_string()
            }
        };
    }
    if said.contains("hexadecimal") || said.contains("escape") {
        return match written.split('"').nth(1) {
            Some(text) if text.contains('\\') && !text.contains('\'') => {
                format!("; in double quotes '\\' is a sign of YAML's own, so use single quotes: '{text}'")
            }
            _ => "; in double quotes '\\' is a sign of YAML's own, so use single quotes".to_string(),
        };
    }
    if said.contains("expected key") || said.contains("'-' indicator") {
        return "; look at the indentation: the keys of one object begin in the same column, and so do the '-' of one list"
            .to_string();
    }
    if said.contains("tabs") {
        return "; indent with spaces".to_string();
    }
    String::new()
}

/// A hint where a line at the error, or right before it, begins with `word:text`: to YAML that is no key, and what follows makes
/// no sense then.
fn missing_space(text: &str, line: usize) -> String {
    let nearby = text.lines().enumerate().take(line).skip(line.saturating_sub(3));
    for (at, written) in nearby.collect::<Vec<_>>().into_iter().rev() {
        let item = written.trim_start().trim_start_matches("- ").trim_start();
        let Some((word, rest)) = item.split_once(':') else {
            continue;
        };
        let is_key = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let glued = rest.starts_with(|c: char| !c.is_whitespace() && c != '/' && c != ':');
        if is_key && glued {
            return format!("; in line {} a space is missing behind '{word}:'", at + 1);
        }
    }
    String::new()
}

/// A template that no quote is before.
fn bare_template(line: &str) -> Option<&str> {
    let at = line.find("{{")?;
    let before = &line[..at];
    let open = |quote: char| before.matches(quote).count() % 2 == 1;
    if open('"') || open('\'') {
        return None;
    }
    let end = line[at..].find("}}")?;
    Some(&line[at..at + end + 2])
}

/// What stands behind a line's key, or behind the `-` of a list.
fn value_of(line: &str) -> Option<&str> {
    let item = line.trim().trim_start_matches("- ");
    let value = match item.split_once(": ") {
        Some((key, value)) if !key.starts_with(['"', '\'']) => value,
        _ => item,
    };
    let value = value.trim();
    (!value.is_empty()).then_some(value)
}

/// The text as a quoted scalar.
fn quoted(text: &str) -> String {
    match text.contains(['"', '\\']) {
        true => format!("'{}'", text.replace('\'', "''")),
        false => format!("\"{text}\""),
    }
}
