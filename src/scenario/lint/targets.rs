//! Rules about what is looked for on the screen.

use super::super::model::TargetFields;
use super::subject::{Purpose, Subject, targets};
use super::{Found, Severity};

/// `at`: without a reason a warning, with one a note.
pub(super) fn fixed_place(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in subject.all() {
        for (target, _) in targets(step) {
            let Some(TargetFields {
                at: Some(_), reason, ..
            }) = target.fields()
            else {
                continue;
            };
            let place = subject.spot(step, Purpose::Acting, &|entry, beside| {
                entry.key == "at" && beside.iter().any(|e| e.key == "reason") == reason.is_some()
            });
            let message = format!("a place ('{target}') is used whatever is shown there");
            match reason {
                Some(reason) => found.add_as(Severity::Note, place, step, format!("{message}; its reason: {reason}")),
                None => found.add(place, step, format!("{message}, and nothing says why")),
            }
        }
    }
}

/// A text of one or two letters: a condition holds by any of them, a pointer at least needs it to be the only one.
pub(super) fn short_text(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in subject.all() {
        for (target, purpose) in targets(step) {
            let Some(fields) = target.fields() else { continue };
            let Some(text) = &fields.text else { continue };
            let related = [
                &fields.near,
                &fields.left_of,
                &fields.right_of,
                &fields.above,
                &fields.below,
            ];
            let decided =
                fields.exact || fields.within.is_some() || fields.nth.is_some() || related.iter().any(|r| r.is_some());
            if decided || text.contains("{{") || letters(text) > 2 {
                continue;
            }
            let place = subject.spot_of(step, purpose, &["text"], text);
            let message = format!("'{text}' is so short that it is easily found where it is not meant");
            match purpose {
                Purpose::Looking => found.add(place, step, message),
                Purpose::Acting => found.add_as(Severity::Note, place, step, message),
            }
        }
    }
}

/// How much a text says, in letters: a Chinese, Japanese or Korean one says more.
fn letters(text: &str) -> usize {
    text.trim().chars().map(|c| if c < '\u{2e80}' { 1 } else { 2 }).sum()
}
