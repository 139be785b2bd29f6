//! Where a target is, decided from read lines.

use super::misread::misread;
use super::reach::without_text;
use super::text::{Fit, Match, find, find_across, nearest};
use super::{Error, Hit, Line, Located, Target};
use crate::desktop::Rect;

/// A target that no backend could look for is an error of the caller.
pub(super) fn check(target: &Target) -> Result<(), Error> {
    let blank = |t: &Option<String>| t.as_deref().is_some_and(|t| t.trim().is_empty());
    let relations = [
        &target.near,
        &target.left_of,
        &target.right_of,
        &target.above,
        &target.below,
    ];
    if relations.iter().any(|r| blank(r)) || blank(&target.text) || blank(&target.describe) {
        return Err(Error::Target("one of its texts is empty".into()));
    }
    if target.text.is_none() && target.describe.is_none() {
        return Err(Error::Target("it needs 'text' or 'describe'".into()));
    }
    if target.nth == Some(0) {
        return Err(Error::Target("'nth' counts from 1".into()));
    }
    Ok(())
}

/// Looks for `target.text`. Whole lines are preferred over whole words, and these over parts of words. Relations and
/// `nth` choose among what is left; if several remain, the answer is [`Located::Ambiguous`].
///
/// # Errors
/// [`Error::Target`] where there is no text: that OCR cannot look for it does not say that it is absent.
pub(super) fn locate(lines: &[Line], target: &Target) -> Result<Located, Error> {
    let Some(text) = &target.text else {
        return Err(Error::Target(without_text(target)));
    };
    Ok(locate_text(lines, text, target))
}

fn locate_text(lines: &[Line], text: &str, target: &Target) -> Located {
    let doubt = |text: &str, exact: bool| misread(lines, text, exact).is_some();
    let (mut found, within) = shown(lines, text, target.exact);
    // 'gracel' is 'grace' with the caret behind it where that was typed; else it may be another word, as 'Model' is for
    // 'Mode'. Waiting for the caret to blink is no way out: it stops, and may stand still.
    let caret = !target.typed && found.iter().any(|m| m.fit == Fit::Caret);
    found.retain(|m| target.typed || m.fit > Fit::Caret);
    if found.is_empty() && target.presence {
        found = find_across(lines, text, target.exact);
    }
    if found.is_empty() {
        let within = within.map_or(String::new(), |word| format!("; it stands only within '{word}'"));
        return Located::NotFound {
            reason: format!("the text '{text}' is not on the screen{within}{}", seen(lines, text)),
            sure: !caret && !doubt(text, target.exact),
        };
    }
    for (name, anchor, relation) in relations(target) {
        let (anchors, _) = shown(lines, anchor, false);
        let best = anchors.iter().map(|a| a.fit).max();
        let anchors: Vec<&Match> = anchors.iter().filter(|a| Some(a.fit) == best).collect();
        if anchors.is_empty() {
            let seen = seen(lines, anchor);
            return Located::NotFound {
                reason: format!("'{anchor}', which {name} refers to, is not on the screen{seen}"),
                sure: !doubt(anchor, false),
            };
        }
        found = related(found, &anchors, relation);
        if found.is_empty() {
            return Located::NotFound {
                reason: format!("'{text}' is on the screen, but not {name} '{anchor}'"),
                // The one that is meant may be another, misread.
                sure: !doubt(text, target.exact) && !doubt(anchor, false),
            };
        }
    }
    // Whether it is shown, a place tells where it was read with certainty, also if it fits less well.
    if target.presence && target.nth.is_none() && found.iter().any(certain) {
        found.retain(certain);
    }
    let best = found.iter().map(|m| m.fit).max();
    found.retain(|m| Some(m.fit) == best);
    // 'Save' means the one written so, if there is one, rather than 'SAVE'.
    if found.iter().any(|m| m.same_case) {
        found.retain(|m| m.same_case);
    }
    let mut hits: Vec<Hit> = found.into_iter().map(hit).collect();
    match target.nth {
        Some(n) if n as usize > hits.len() => Located::NotFound {
            reason: format!("'{text}' is {} times on the screen, number {n} was wanted", hits.len()),
            sure: !doubt(text, target.exact),
        },
        Some(n) => Located::Found(hits.swap_remove(n.saturating_sub(1) as usize)),
        None if hits.len() == 1 => Located::Found(hits.swap_remove(0)),
        None => Located::Ambiguous { hits },
    }
}

fn certain(m: &Match) -> bool {
    m.confidence >= Hit::UNSURE
}

pub(super) fn hit(m: Match) -> Hit {
    Hit {
        rect: m.rect,
        point: m.point,
        confidence: m.confidence.clamp(0.0, 1.0),
        rung: "ocr",
        matched: m.matched,
    }
}

/// Where the text is shown, and, if nowhere, a word that it is a part of. `OK` within `Book` is not shown: a click there
/// would hit something else, and a check would hold by accident.
fn shown(lines: &[Line], text: &str, exact: bool) -> (Vec<Match>, Option<String>) {
    let (shown, within): (Vec<Match>, Vec<Match>) = find(lines, text, exact).into_iter().partition(Match::is_shown);
    (shown, within.into_iter().next().map(|m| m.matched))
}

/// "; similar texts are ..." or nothing.
pub(super) fn seen(lines: &[Line], text: &str) -> String {
    let near = nearest(lines, text);
    match (near.is_empty(), lines.is_empty()) {
        (_, true) => "; no text at all was read".into(),
        (true, _) => String::new(),
        _ => format!(
            "; similar: {}",
            near.iter()
                .map(|(t, _)| format!("'{t}'"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Relation {
    Near,
    LeftOf,
    RightOf,
    Above,
    Below,
}

fn relations(target: &Target) -> Vec<(&'static str, &str, Relation)> {
    let all = [
        ("left of", &target.left_of, Relation::LeftOf),
        ("right of", &target.right_of, Relation::RightOf),
        ("above", &target.above, Relation::Above),
        ("below", &target.below, Relation::Below),
        ("near", &target.near, Relation::Near),
    ];
    all.into_iter()
        .filter_map(|(name, anchor, r)| Some((name, anchor.as_deref()?, r)))
        .collect()
}

/// Keeps the matches that stand in the relation to an anchor; for each anchor only the nearest of the best fit.
fn related(found: Vec<Match>, anchors: &[&Match], relation: Relation) -> Vec<Match> {
    let mut keep: Vec<usize> = Vec::new();
    for anchor in anchors {
        let candidates = found.iter().enumerate().filter_map(|(i, m)| {
            let apart = m.rect.intersection(&anchor.rect).is_none();
            let distance = distance(&m.rect, &anchor.rect, relation).filter(|_| apart)?;
            Some((std::cmp::Reverse(m.fit), distance, i))
        });
        keep.extend(candidates.min().map(|(_, _, i)| i));
    }
    found
        .into_iter()
        .enumerate()
        .filter(|(i, _)| keep.contains(i))
        .map(|(_, m)| m)
        .collect()
}

/// How far apart, in pixels, if the relation holds. Beside means on a common row, above and below in a common column.
fn distance(r: &Rect, anchor: &Rect, relation: Relation) -> Option<u32> {
    let row = r.y < anchor.bottom() && anchor.y < r.bottom();
    let column = r.x < anchor.right() && anchor.x < r.right();
    match relation {
        Relation::LeftOf => (row && r.right() <= anchor.x).then(|| anchor.x - r.right()),
        Relation::RightOf => (row && r.x >= anchor.right()).then(|| r.x - anchor.right()),
        Relation::Above => {
            (column && r.bottom() <= anchor.y + anchor.height / 3).then(|| anchor.y.abs_diff(r.bottom()))
        }
        Relation::Below => {
            (column && r.y + anchor.height / 3 >= anchor.bottom()).then(|| r.y.abs_diff(anchor.bottom()))
        }
        Relation::Near => {
            let gap = |a: u32, a_end: u32, b: u32, b_end: u32| b.saturating_sub(a_end).max(a.saturating_sub(b_end));
            let dx = gap(r.x, r.right(), anchor.x, anchor.right());
            let dy = gap(r.y, r.bottom(), anchor.y, anchor.bottom());
            Some(dx.saturating_mul(dx).saturating_add(dy.saturating_mul(dy)).isqrt())
        }
    }
}

/// The best fit of a text, for the judge; also over the ends of lines. Of those that show it, one that was read with
/// certainty comes first.
pub(super) fn best(lines: &[Line], text: &str) -> Option<Match> {
    let mut found = find(lines, text, false);
    if !found.iter().any(Match::is_shown) {
        found.extend(find_across(lines, text, false));
    }
    let shows = |m: &Match| m.fit > Fit::Caret && certain(m);
    found.sort_by(|a, b| {
        let certainty = || b.confidence.total_cmp(&a.confidence);
        (shows(b), b.fit).cmp(&(shows(a), a.fit)).then_with(certainty)
    });
    found.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::super::text::line;
    use super::*;

    fn target(text: &str) -> Target {
        Target {
            text: Some(text.into()),
            ..Target::default()
        }
    }

    #[track_caller]
    fn found(lines: &[Line], t: &Target) -> Rect {
        match locate(lines, t).unwrap() {
            Located::Found(hit) => {
                assert!(hit.rect.contains(hit.point));
                hit.rect
            }
            other => panic!("{other:?}"),
        }
    }

    fn form() -> Vec<Line> {
        vec![
            line("User name", 0, 0),
            line("Edit", 300, 0),
            line("Password", 0, 40),
            line("Edit", 300, 40),
            line("Save", 300, 100),
            line("Save as", 300, 140),
        ]
    }

    #[test]
    fn the_whole_line_wins() {
        assert_eq!(found(&form(), &target("Save")).y, 100);
        assert_eq!(found(&form(), &target("as")).y, 140);
    }

    #[test]
    fn several_are_ambiguous_unless_told_apart() {
        let form = form();
        match locate(&form, &target("Edit")).unwrap() {
            Located::Ambiguous { hits } => assert_eq!(hits.len(), 2),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            found(
                &form,
                &Target {
                    nth: Some(2),
                    ..target("Edit")
                }
            )
            .y,
            40
        );
        assert_eq!(
            found(
                &form,
                &Target {
                    right_of: Some("Password".into()),
                    ..target("Edit")
                }
            )
            .y,
            40
        );
        assert_eq!(
            found(
                &form,
                &Target {
                    near: Some("Save".into()),
                    ..target("Edit")
                }
            )
            .y,
            40
        );
        assert_eq!(
            found(
                &form,
                &Target {
                    left_of: Some("Edit".into()),
                    ..target("Password")
                }
            )
            .y,
            40
        );
        assert_eq!(
            found(
                &form,
                &Target {
                    above: Some("Save as".into()),
                    ..target("Save")
                }
            )
            .y,
            100
        );
    }

    #[test]
    fn what_is_missing_is_explained() {
        let reason = |t: &Target| match locate(&form(), t).unwrap() {
            Located::NotFound { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason(&target("Passwort")).contains("similar: 'Password'"));
        assert!(
            reason(&Target {
                nth: Some(3),
                ..target("Edit")
            })
            .contains("2 times")
        );
        assert!(
            reason(&Target {
                below: Some("Save".into()),
                ..target("Edit")
            })
            .contains("not below 'Save'")
        );
        assert!(
            reason(&Target {
                near: Some("nothing".into()),
                ..target("Edit")
            })
            .contains("'nothing', which near")
        );
        assert!(
            matches!(locate(&[], &target("x")).unwrap(), Located::NotFound { reason, .. } if reason.contains("no text at all"))
        );
    }

    #[test]
    fn a_part_of_a_word_is_not_the_text() {
        let lines = [line("Book", 0, 0), line("alice@example.org", 0, 40)];
        match locate(&lines, &target("OK")).unwrap() {
            Located::NotFound { reason, sure } => assert!(sure && reason.contains("only within 'Book'"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(found(&lines, &target("alice")).y, 40);
    }

    #[test]
    fn what_may_be_a_caret_is_one_behind_what_was_typed_only() {
        let lines = [line("gracel", 0, 0)];
        let asked = |presence, typed| Target {
            presence,
            typed,
            ..target("grace")
        };
        for presence in [true, false] {
            assert_eq!(found(&lines, &asked(presence, true)).x, 0);
            let answer = locate(&lines, &asked(presence, false)).unwrap();
            assert!(matches!(answer, Located::NotFound { sure: false, .. }), "{answer:?}");
        }
        // A place where it stands by itself is the better one.
        let both = [line("gracel", 0, 0), line("grace", 0, 40)];
        assert_eq!(found(&both, &asked(false, true)).y, 40);
    }

    #[test]
    fn whether_it_is_shown_the_surest_place_says() {
        let doubtful = |text: &str, x, y| {
            let mut line = line(text, x, y);
            line.words.iter_mut().for_each(|w| w.confidence = 0.4);
            line
        };
        for other in ["Save", "Save all files"] {
            let lines = [doubtful("Save", 0, 0), line(other, 0, 40)];
            let best = best(&lines, "Save").map(|m| m.rect.y);
            assert_eq!(best, Some(40), "{other}");
            let check = Target {
                presence: true,
                ..target("Save")
            };
            assert_eq!(found(&lines, &check).y, 40, "{other}");
        }
        // A click goes where it fits best, and says so if that is not certain.
        let lines = [doubtful("Save", 0, 0), line("Save all files", 0, 40)];
        assert_eq!(found(&lines, &target("Save")).y, 0);
    }

    #[test]
    fn only_a_check_finds_a_text_over_two_lines() {
        let lines = [line("The file was changed by", 0, 0), line("another program.", 0, 24)];
        let check = Target {
            presence: true,
            ..target("changed by another program")
        };
        assert_eq!(found(&lines, &check).y, 0);
        let click = target("changed by another program");
        assert!(matches!(
            locate(&lines, &click).unwrap(),
            Located::NotFound { sure: false, .. }
        ));
    }

    #[test]
    fn senseless_targets_are_refused() {
        for bad in [
            Target::default(),
            target(" "),
            Target {
                nth: Some(0),
                ..target("a")
            },
        ] {
            assert!(check(&bad).is_err());
        }
    }

    #[test]
    fn what_may_be_misread_is_not_surely_absent_and_a_description_is_not_for_ocr() {
        let sure = |text: &str| match locate(&[line("Connection estab1ished", 0, 0)], &target(text)).unwrap() {
            Located::NotFound { sure, .. } => sure,
            other => panic!("{other:?}"),
        };
        assert!(!sure("Connection established"));
        assert!(sure("Error"));
        // Misread elsewhere: the wanted one may be that.
        let lines = [line("Edit", 300, 0), line("Ed1t", 300, 40), line("Name", 0, 40)];
        let sure = |t: Target| match locate(&lines, &t).unwrap() {
            Located::NotFound { sure, .. } => sure,
            other => panic!("{other:?}"),
        };
        let right_of = Some("Name".to_string());
        assert!(!sure(Target {
            right_of,
            ..target("Edit")
        }));
        assert!(!sure(Target {
            nth: Some(2),
            ..target("Edit")
        }));
        assert!(sure(Target {
            nth: Some(2),
            ..target("Name")
        }));
        let icon = Target {
            describe: Some("the gear icon".into()),
            ..Target::default()
        };
        assert!(matches!(locate(&form(), &icon), Err(Error::Target(_))));
    }
}
