//! Values in a shell's text: the old runner pasted them in, now they are variables of its environment.

use super::text::Part;

/// Where in a shell's text a place is.
#[derive(Clone, Debug, PartialEq)]
enum Quotes {
    Single,
    Double,
    /// `$( ... )` and other round brackets.
    Brackets,
    /// `$(( ... ))`, where quotes have no place.
    Arithmetic,
    Backticks,
    Comment,
    /// The lines up to this one; `raw` ones know no variables.
    Document {
        end: String,
        raw: bool,
    },
}

/// The text with `${name}` for every value, quoted as its place needs it.
///
/// # Errors
/// Why a value cannot be a variable where it stands.
pub(super) fn paste(parts: &[Part]) -> Result<String, String> {
    let mut writer = Writer::default();
    for part in parts {
        match part {
            Part::Text(text) => text.chars().try_for_each(|c| writer.letter(c))?,
            Part::Name(name) => writer.value(name)?,
        }
    }
    // Quotes around nothing, where a value was all that stood between two.
    Ok(writer.out.replace("''\"${", "\"${").replace("}\"''", "}\""))
}

/// True for what `sh` does not know and bash does.
pub(super) fn needs_bash(script: &str) -> bool {
    const SIGNS: [&str; 12] = [
        "[[ ",
        "<(",
        ">(",
        "<<<",
        "&>",
        "$'",
        "=(",
        "pipefail",
        "declare ",
        "function ",
        "shopt ",
        "${!",
    ];
    let sourced = |line: &str| line.trim_start().starts_with("source ");
    SIGNS.iter().any(|s| script.contains(s)) || script.lines().any(sourced)
}

/// The script for `bash`, which `sh` starts. Not on its standard input, from which commands of the script would read the
/// rest of it; nor as an argument, where `pkill -f` finds its words.
pub(super) fn in_bash(script: &str) -> String {
    let mut end = "BASH".to_string();
    while script.lines().any(|line| line.trim() == end) {
        end.push('_');
    }
    format!("bash /dev/fd/3 3<<'{end}'\n{}\n{end}\n", script.trim_end_matches('\n'))
}

#[derive(Default)]
struct Writer {
    out: String,
    stack: Vec<Quotes>,
    /// The line so far.
    line: String,
    /// Here-documents that begin after this line.
    coming: Vec<Quotes>,
    escaped: bool,
}

impl Writer {
    fn value(&mut self, name: &str) -> Result<(), String> {
        self.escaped = false;
        self.line.push('x');
        let text = match self.stack.last() {
            None | Some(Quotes::Brackets | Quotes::Backticks) => format!("\"${{{name}}}\""),
            Some(Quotes::Single) => format!("'\"${{{name}}}\"'"),
            Some(Quotes::Document { end, raw: true }) => {
                return Err(format!(
                    "'{name}' stands in a here-document whose end ('{end}') is quoted, so that a shell puts nothing in; \
                     use `stage`"
                ));
            }
            Some(Quotes::Double | Quotes::Arithmetic | Quotes::Comment | Quotes::Document { .. }) => {
                format!("${{{name}}}")
            }
        };
        self.out.push_str(&text);
        Ok(())
    }

    fn letter(&mut self, c: char) -> Result<(), String> {
        if c == '{' && self.out.ends_with('{') {
            // Two of them begin a template, also in a shell's text.
            match self.stack.last() {
                Some(Quotes::Single) => self.out.push_str("''"),
                Some(Quotes::Document { .. }) => return Err("'{{' in a here-document is not a template".into()),
                _ => self.out.push_str("\"\""),
            }
        }
        self.out.push(c);
        if c == '\n' {
            self.end_of_line();
            return Ok(());
        }
        self.line.push(c);
        if std::mem::take(&mut self.escaped) {
            return Ok(());
        }
        match (self.stack.last().cloned(), c) {
            (Some(Quotes::Comment | Quotes::Document { .. }), _) => {}
            (Some(Quotes::Single), '\'') => drop(self.stack.pop()),
            (Some(Quotes::Single), _) => {}
            (_, '\\') => self.escaped = true,
            (Some(Quotes::Double), '"') => drop(self.stack.pop()),
            (Some(Quotes::Backticks), '`') => drop(self.stack.pop()),
            (_, '`') => self.stack.push(Quotes::Backticks),
            (_, '(') if self.line.ends_with("$((") => {
                self.stack.pop();
                self.stack.extend([Quotes::Arithmetic, Quotes::Arithmetic]);
            }
            (Some(Quotes::Arithmetic), '(') => self.stack.push(Quotes::Arithmetic),
            (Some(Quotes::Double), '(') if !self.line.ends_with("$(") => {}
            (_, '(') => self.stack.push(Quotes::Brackets),
            (Some(Quotes::Brackets | Quotes::Arithmetic), ')') => drop(self.stack.pop()),
            (Some(Quotes::Double | Quotes::Arithmetic), _) => {}
            (_, '\'') => self.stack.push(Quotes::Single),
            (_, '"') => self.stack.push(Quotes::Double),
            (_, '#') if self.begins_word() => self.stack.push(Quotes::Comment),
            _ => {}
        }
        Ok(())
    }

    fn begins_word(&self) -> bool {
        let before = self.line.chars().rev().nth(1);
        before.is_none_or(|c| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '('))
    }

    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.escaped = false;
        match self.stack.last() {
            Some(Quotes::Document { end, .. }) => {
                if line.trim() == end {
                    self.stack.pop();
                }
            }
            Some(Quotes::Comment) => drop(self.stack.pop()),
            Some(Quotes::Single | Quotes::Double) => {}
            _ => self.coming.extend(documents(&line)),
        }
        if !matches!(self.stack.last(), Some(Quotes::Document { .. })) && !self.coming.is_empty() {
            self.stack.push(self.coming.remove(0));
        }
    }
}

/// The here-documents that a line announces.
fn documents(line: &str) -> Vec<Quotes> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("<<") {
        let (before, rest) = (&line[..at], &line[at + 2..]);
        if before.ends_with('<') || rest.starts_with('<') || before.ends_with("$((") {
            continue;
        }
        let word = rest.trim_start_matches(['-', ' ']);
        let raw = word.starts_with(['\'', '"', '\\']);
        let end: String = word
            .trim_start_matches(['\'', '"', '\\'])
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if !end.is_empty() && !end.starts_with(|c: char| c.is_ascii_digit()) {
            found.push(Quotes::Document { end, raw });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `@` stands for a value.
    fn pasted(text: &str) -> Result<String, String> {
        let mut parts = Vec::new();
        for (i, piece) in text.split('@').enumerate() {
            if i > 0 {
                parts.push(Part::Name("v".into()));
            }
            parts.push(Part::Text(piece.into()));
        }
        paste(&parts)
    }

    #[test]
    fn a_value_is_quoted_as_its_place_needs_it() {
        for (old, new) in [
            ("echo @", "echo \"${v}\""),
            ("echo \"a @ b\"", "echo \"a ${v} b\""),
            ("echo 'a @ b'", "echo 'a '\"${v}\"' b'"),
            ("echo \"$(cat @)\" @", "echo \"$(cat \"${v}\")\" \"${v}\""),
            ("echo $((@ + 1)) @", "echo $((${v} + 1)) \"${v}\""),
            ("# it's @\necho @", "# it's ${v}\necho \"${v}\""),
            (
                "cat <<EOF\na '@'\nEOF\necho @",
                "cat <<EOF\na '${v}'\nEOF\necho \"${v}\"",
            ),
            ("echo \\\"@", "echo \\\"\"${v}\""),
            ("x=`a @`", "x=`a \"${v}\"`"),
            ("echo a#'@'", "echo a#\"${v}\""),
        ] {
            assert_eq!(pasted(old).as_deref(), Ok(new), "{old}");
        }
        assert!(pasted("cat <<'EOF'\n@\nEOF\n").is_err());
    }

    /// A command that reads its standard input does not read the script.
    #[test]
    fn what_reads_its_input_leaves_the_script_alone() {
        let script = in_bash("cat\nread -r line\n[[ -z $line ]] && echo \"end of $0\"");
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, "end of /dev/fd/3\n", "{script}");
    }

    #[test]
    fn two_brackets_are_no_template() {
        assert_eq!(pasted("f '{{.A}}'").as_deref(), Ok("f '{''{.A}}'"));
        assert_eq!(pasted("f \"{{.A}}\"").as_deref(), Ok("f \"{\"\"{.A}}\""));
    }
}
