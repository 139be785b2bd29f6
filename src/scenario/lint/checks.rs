//! Rules about conditions: whether they can fail, and whether there are any.

use super::super::model::{Check, Fits, Step};
use super::script::Script;
use super::subject::{Purpose, Subject, checks, checks_by_itself, demands};
use super::{Found, Place};

/// A condition that holds, or does not, whatever the product does.
pub(super) fn check_cannot_fail(subject: &Subject<'_>, found: &mut Found<'_>) {
    for step in subject.all() {
        let runs = |check: &Check| check.parts().iter().any(|part| matches!(part, Check::Shell(_)));
        for demand in demands(step) {
            // What a command always ends with is read in sh only.
            if subject.is_for_powershell() && runs(demand.check) {
                continue;
            }
            idle(demand.check, demand.wanted, &mut |check, why| {
                found.add(
                    place(subject, step, check),
                    step,
                    format!("this check cannot fail: {why}"),
                );
            });
        }
    }
}

/// Tells each part that is `wanted` to hold (or not to) and does so always.
fn idle(check: &Check, wanted: bool, tell: &mut dyn FnMut(&Check, String)) {
    if let Some((verdict, why)) = settled(check) {
        if verdict == wanted {
            tell(check, why);
        }
        return;
    }
    match check {
        Check::Not(inner) => idle(inner, !wanted, tell),
        Check::All(parts) if wanted => parts.iter().for_each(|c| idle(c, wanted, tell)),
        Check::Any(parts) if !wanted => parts.iter().for_each(|c| idle(c, wanted, tell)),
        _ => {}
    }
}

/// The answer that a condition always has, and why.
fn settled(check: &Check) -> Option<(bool, String)> {
    match check {
        Check::Shell(check) => {
            let code = Script::of(&check.shell.script).constant_exit()?;
            let because = format!(
                "`{}` always ends with exit code {code}",
                short(check.shell.script.trim())
            );
            match code == check.shell.exit {
                false => Some((false, because)),
                true if fits_all(&check.fits) => Some((true, because)),
                true => None,
            }
        }
        Check::Clipboard(fits) if fits_all(fits) => {
            let regex = fits.matches.as_ref().map_or("", |r| r.as_str());
            Some((true, format!("/{regex}/ matches every text, the empty one too")))
        }
        Check::Not(inner) => settled(inner).map(|(verdict, why)| (!verdict, why)),
        Check::Any(parts) => several(parts, true),
        Check::All(parts) => several(parts, false),
        Check::See(_)
        | Check::Text(_)
        | Check::Clipboard(_)
        | Check::Process(_)
        | Check::Window(_)
        | Check::Fact(_)
        | Check::File(_)
        | Check::Node(_)
        | Check::Log(_)
        | Check::Exited(_)
        | Check::Port(_) => None,
    }
}

/// `any` (one that holds is `enough`) and `all` (one that does not is).
fn several(parts: &[Check], enough: bool) -> Option<(bool, String)> {
    let answers: Vec<_> = parts.iter().map(settled).collect();
    if let Some((_, why)) = answers.iter().flatten().find(|(verdict, _)| *verdict == enough) {
        return Some((enough, why.clone()));
    }
    // The whole of a condition; its text for people leaves some of it out.
    let written: Vec<String> = parts.iter().map(|c| format!("{c:?}")).collect();
    let opposite = parts.iter().find(|check| match check {
        Check::Not(inner) => written.contains(&format!("{inner:?}")),
        _ => false,
    });
    if let Some(Check::Not(inner)) = opposite {
        let inner = short(&inner.to_string());
        let joined = if enough { "or" } else { "and" };
        return Some((enough, format!("it asks for '{inner}' {joined} its opposite")));
    }
    let whys: Option<Vec<String>> = answers.into_iter().map(|a| a.map(|(_, why)| why)).collect();
    whys.map(|whys| (!enough, whys.join(", ")))
}

/// True where every text fits. While a scenario is loaded, an expression with a template is an empty one.
fn fits_all(fits: &Fits) -> bool {
    const TEXTS: [&str; 6] = ["", "a", "\n", "Z 9_-", "two\nlines\n", "日本"];
    let any_text = |regex: &regex::Regex| !regex.as_str().is_empty() && TEXTS.iter().all(|t| regex.is_match(t));
    fits.contains.is_none() && fits.equals.is_none() && fits.matches.as_ref().is_none_or(any_text)
}

/// Where in its step a condition stands.
fn place(subject: &Subject<'_>, step: &Step, check: &Check) -> Place {
    match check {
        Check::Shell(check) => subject.spot_of(step, Purpose::Looking, &["shell"], &check.shell.script),
        Check::Clipboard(_) => subject.spot(step, Purpose::Looking, &|e, _| e.key == "clipboard"),
        Check::Any(_) => subject.spot(step, Purpose::Looking, &|e, _| e.key == "any"),
        Check::All(_) => subject.spot(step, Purpose::Looking, &|e, _| e.key == "all"),
        Check::Not(inner) => place(subject, step, inner),
        _ => step.place.clone(),
    }
}

/// No step of the test says anything about the product.
pub(super) fn no_check(subject: &Subject<'_>, found: &mut Found<'_>) {
    if !subject.test().into_iter().any(checks) {
        found.add_to_whole(
            subject.member("steps"),
            "nothing is checked: these steps pass whatever the product shows".into(),
        );
    }
}

/// Every condition is soft.
pub(super) fn nothing_can_fail(subject: &Subject<'_>, found: &mut Found<'_>) {
    let steps = subject.test();
    let checking: Vec<_> = steps.into_iter().filter(|step| checks(step)).collect();
    if !checking.is_empty() && checking.iter().all(|step| step.soft) {
        let message = match checking.len() {
            1 => "the only check is soft: it cannot make the run fail".to_string(),
            n => format!("all {n} checks are soft: none of them can make the run fail"),
        };
        found.add_to_whole(subject.member("steps"), message);
    }
}

/// Every condition asks that something is not there.
pub(super) fn negative_only(subject: &Subject<'_>, found: &mut Found<'_>) {
    let steps = subject.test();
    let mut demands = steps.iter().flat_map(|step| demands(step)).peekable();
    if demands.peek().is_some()
        && !steps.iter().any(|step| checks_by_itself(step))
        && demands.all(|d| !positive(d.check, d.wanted))
    {
        found.add_to_whole(
            subject.member("steps"),
            "every check asks that something is not there: a blank screen passes them all".into(),
        );
    }
}

/// True where the answer that is wanted needs something to be there.
fn positive(check: &Check, wanted: bool) -> bool {
    match check {
        Check::Not(inner) => positive(inner, !wanted),
        // One of several is enough, so each has to need something.
        Check::Any(parts) if wanted => parts.iter().all(|c| positive(c, wanted)),
        Check::All(parts) if !wanted => parts.iter().all(|c| positive(c, wanted)),
        Check::Any(parts) | Check::All(parts) => parts.iter().any(|c| positive(c, wanted)),
        Check::See(_)
        | Check::Text(_)
        | Check::Shell(_)
        | Check::Process(_)
        | Check::Window(_)
        | Check::File(_)
        | Check::Clipboard(_)
        | Check::Node(_)
        | Check::Log(_)
        | Check::Exited(_)
        | Check::Port(_)
        | Check::Fact(_) => wanted,
    }
}

/// One line of at most 60 letters.
pub(super) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.chars().count() {
        0..=60 => line,
        _ => line.chars().take(59).collect::<String>() + "…",
    }
}
