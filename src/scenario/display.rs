//! How targets and conditions read in labels and reports.

use super::accessible::Accessible;
use super::model::{Check, Fits, Length, ShellCheck, Target, TargetFields, Type, Within, Words};
use std::fmt;

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Words(words) => f.write_str(words),
            Target::Fields(fields) => fields.fmt(f),
        }
    }
}

impl fmt::Display for TargetFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(element) = &self.element {
            element.fmt(f)?;
            if self.reference.is_some() || self.text.is_some() || self.describe.is_some() {
                f.write_str(" or ")?;
            }
        }
        if let Some(reference) = &self.reference {
            write!(f, "reference '{}'", reference.name)?;
            if self.anywhere {
                f.write_str(" anywhere")?;
            }
            if self.text.is_some() || self.describe.is_some() {
                f.write_str(" or ")?;
            }
        }
        match (&self.text, &self.describe) {
            (Some(text), _) if self.exact => write!(f, "exactly '{text}'")?,
            (Some(text), _) => write!(f, "'{text}'")?,
            (None, Some(describe)) => f.write_str(describe)?,
            (None, None) => {
                if let Some((x, y)) = self.at {
                    write!(f, "at {x}, {y}")?;
                }
            }
        }
        if let Some(nth) = self.nth {
            write!(f, " number {nth}")?;
        }
        match &self.within {
            Some(Within::Window(title)) => write!(f, " in window '{title}'")?,
            Some(Within::Region([x, y, width, height])) => write!(f, " in {x}, {y}, {width}, {height}")?,
            None => {}
        }
        let relations = [
            ("near", &self.near),
            ("left of", &self.left_of),
            ("right of", &self.right_of),
            ("above", &self.above),
            ("below", &self.below),
        ];
        for (word, anchor) in relations {
            if let Some(anchor) = anchor {
                write!(f, " {word} '{anchor}'")?;
            }
        }
        Ok(())
    }
}

/// `push button 'Save' (checked, in Lab Demo)`
impl fmt::Display for Accessible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role.as_deref().unwrap_or("element"))?;
        match &self.name {
            Some(Fits {
                equals: Some(name),
                contains: None,
                matches: None,
            }) => write!(f, " '{name}'")?,
            Some(fits) => write!(f, " whose name{fits}")?,
            None => {}
        }
        let states = self.states.iter().map(|(state, wanted)| match wanted {
            true => state.clone(),
            false => format!("not {state}"),
        });
        let path = (!self.path.is_empty()).then(|| format!("in {}", self.path.join(", in ")));
        let app = self.app.as_ref().map(|app| format!("of {app}"));
        let more: Vec<String> = states.chain(path).chain(app).collect();
        if !more.is_empty() {
            write!(f, " ({})", more.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, word: &str, checks: &[Check]| {
            for (i, check) in checks.iter().enumerate() {
                if i > 0 {
                    write!(f, " {word} ")?;
                }
                write!(f, "({check})")?;
            }
            Ok(())
        };
        match self {
            Check::See(question) => f.write_str(question),
            Check::Text(Target::Fields(t)) if t.reference.is_some() => t.fmt(f),
            Check::Text(target) => write!(f, "text {target}"),
            Check::Shell(shell) => shell.fmt(f),
            Check::Process(name) => write!(f, "process {name} runs"),
            Check::Window(title) => write!(f, "window '{title}' is shown"),
            Check::File(file) => write!(f, "file {}{}", file.path, file.fits),
            Check::Log(log) => write!(f, "a line of {}{}", log.path, log.fits),
            Check::Clipboard(fits) => write!(f, "clipboard{fits}"),
            Check::Node(node) => {
                node.element.fmt(f)?;
                match &node.value {
                    Some(fits) => fits.fmt(f),
                    None => f.write_str(" is there"),
                }
            }
            Check::Exited(code) => write!(f, "the program has ended with exit code {code}"),
            Check::Port(port) => write!(f, "port {port} listens"),
            Check::Fact(facts) => {
                let facts: Vec<String> = facts.iter().map(ToString::to_string).collect();
                f.write_str(&facts.join(" and "))
            }
            Check::Not(check) => write!(f, "not ({check})"),
            Check::Any(checks) => list(f, "or", checks),
            Check::All(checks) => list(f, "and", checks),
        }
    }
}

impl fmt::Display for ShellCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.shell.script.trim())?;
        if self.shell.exit != 0 {
            write!(f, " exits {}", self.shell.exit)?;
        }
        self.fits.fmt(f)
    }
}

impl fmt::Display for Fits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.contains {
            write!(f, " contains '{text}'")?;
        }
        if let Some(text) = &self.equals {
            write!(f, " equals '{text}'")?;
        }
        if let Some(regex) = &self.matches {
            write!(f, " matches /{regex}/")?;
        }
        Ok(())
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Length::Pixels(n) => write!(f, "{n}"),
            Length::Part(n) => write!(f, "{} %", f64::from(*n) / 10_000.0),
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Words::Plain(text) => f.write_str(text),
            Words::Secret(_) => f.write_str("***"),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Words::Plain(text) => write!(f, "'{text}'")?,
            secret => write!(f, "{secret}")?,
        }
        if let Some(into) = &self.into {
            write!(f, " into {into}")?;
        }
        if let Some(chord) = &self.paste {
            write!(f, " pasted with {chord}")?;
        }
        if let Some(then) = &self.then {
            write!(f, " then {then}")?;
        }
        Ok(())
    }
}
