//! The reference page.

use super::super::accessible::{ROLES, STATES};
use super::super::chord::{KEYS, MODIFIERS};
use super::super::vocabulary as v;
use super::takes::{Member, Takes};
use super::words::{ACTIONS, CHECK_OPTIONS, CHECKS, INPUT, NODE, OPTIONS, PHASE, ROUTINE, TARGET, TOP};
use std::fmt::Write;

const HEAD: &str = "# The scenario language: reference

Every word of the language, made by `mosdat schema scenario --page` from the table that the schema for editors is made of, too.
[The manual](../scenario.md) tells how they are used. With `# yaml-language-server: $schema=PATH/scenario.schema.json` on its first line,
most editors check a scenario while it is written; [scenario.schema.json](scenario.schema.json) is what `mosdat schema scenario` prints.
";

/// The reference as Markdown.
pub fn page() -> String {
    let mut out = HEAD.to_string();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n## A scenario\n");
    table(&mut out, TOP);
    let _ = writeln!(out, "\n## Inputs\n");
    table(&mut out, INPUT);
    let _ = writeln!(out, "\n## Phases\n");
    table(&mut out, PHASE);
    let _ = writeln!(out, "\n## Routines\n");
    table(&mut out, ROUTINE);
    let _ = writeln!(out, "\n## Actions\n");
    for action in ACTIONS {
        let word = v::ACTIONS.iter().find(|word| word.name == action.name);
        let _ = writeln!(out, "### `{}`\n\n{}\n", action.name, action.says);
        if let Some(short) = action.short {
            let _ = writeln!(out, "Short form: {}.\n", words(short));
        }
        if action.name == "hover" {
            let _ = writeln!(out, "Long form: the members of a target.\n");
        } else if !action.members.is_empty() {
            table(&mut out, action.members);
            out.push('\n');
        }
        if let Some(word) = word {
            let options: Vec<String> = word.options.iter().map(|o| format!("`{o}`")).collect();
            let time = match word.seconds {
                0 => String::new(),
                seconds => format!(" Without `timeout` the step has {seconds} s."),
            };
            let _ = writeln!(out, "Options: {}.{time}\n", options.join(", "));
        }
    }
    let _ = writeln!(out, "## Options of steps\n");
    table(&mut out, OPTIONS);
    let _ = writeln!(out, "\n## Targets\n");
    table(&mut out, TARGET);
    let roles: Vec<String> = ROLES.iter().map(|role| format!("`{role}`")).collect();
    let states: Vec<String> = STATES.iter().map(|state| format!("`{state}`")).collect();
    let _ = writeln!(
        out,
        "\n## Elements of the accessibility tree\n\nMembers of a target and of the condition `node`; `role` or `name` is needed.\n"
    );
    table(&mut out, NODE);
    let _ = writeln!(
        out,
        "\nRoles, as AT-SPI names them (`push button` and `button`, `text` and `entry`, `label` and `static` are one each): \
         {}.\n\nStates: {}.",
        roles.join(", "),
        states.join(", ")
    );
    let quoted = |names: &[&str]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        out,
        "\n## Keys\n\nA chord is a key, with what is held before it: `ctrl+shift+t`. A key is a single character or one of {}. Held \
         can be {}.",
        quoted(KEYS),
        quoted(MODIFIERS)
    );
    let _ = writeln!(out, "\n## Conditions\n");
    table(&mut out, CHECKS);
    let _ = writeln!(out, "\nOptions beside them:\n");
    let of = |key: &str| {
        let having = v::CHECKS.iter().filter(|(_, options)| options.contains(&key));
        having
            .map(|(name, _)| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let _ = writeln!(out, "| option | of | takes | |\n| --- | --- | --- | --- |");
    for m in CHECK_OPTIONS {
        let _ = writeln!(out, "| `{}` | {} | {} | {} |", m.key, of(m.key), words(m.takes), m.says);
    }
    out
}

fn table(out: &mut String, members: &[Member]) {
    let _ = writeln!(out, "| member | takes | |\n| --- | --- | --- |");
    for m in members {
        let must = if m.required { " (needed)" } else { "" };
        let _ = writeln!(out, "| `{}`{must} | {} | {} |", m.key, words(m.takes), m.says);
    }
}

fn words(takes: Takes) -> String {
    let listed = |words: &[&str]| words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ");
    match takes {
        Takes::Text => "text".into(),
        Takes::Literal => "text without templates".into(),
        Takes::Bool => "`true` or `false`".into(),
        Takes::Int(min, max) if max == i64::from(u32::MAX) => format!("a whole number from {min}"),
        Takes::Int(min, max) => format!("a whole number, {min} to {max}"),
        Takes::Time => "a time, such as `500ms` or `1m30s`".into(),
        Takes::One(words) => format!("one of {}", listed(words)),
        Takes::Some(words) => format!("a list of {}", listed(words)),
        Takes::Texts => "a list of texts".into(),
        Takes::TextOrTexts => "text, or a list of texts".into(),
        Takes::Chords => "a chord, or a list of chords".into(),
        Takes::TextMap => "an object of texts".into(),
        Takes::ValueMap => "an object of values".into(),
        Takes::Facts => "an object of names and values, or lists of values".into(),
        Takes::Place => "`[x, y]`".into(),
        Takes::Within => "text, or `[x, y, width, height]`".into(),
        Takes::Mask => "`[x, y, width, height]`, or `true`".into(),
        Takes::Capture => "a name, or an object of names and regular expressions".into(),
        Takes::Outputs => "a list of outputs, or an object of names and outputs".into(),
        Takes::Target => "a target".into(),
        Takes::Check => "a condition".into(),
        Takes::Checks => "a list of conditions".into(),
        Takes::Steps => "a list of steps".into(),
        Takes::Inputs => "an object of inputs".into(),
        Takes::Phases => "an object of phases".into(),
        Takes::Routines => "an object of routines".into(),
        Takes::References => "an object of reference images".into(),
        Takes::Scalar => "a value of the input's type".into(),
        Takes::Role => "a role".into(),
        Takes::States => "a state, such as `checked`, or its opposite, `not checked`; or a list of them".into(),
        Takes::Node => "an object with `role`, `name`, `state`, `app`, `path`".into(),
        Takes::Fits => "text, or an object with `contains`, `equals`, `matches`".into(),
    }
}
