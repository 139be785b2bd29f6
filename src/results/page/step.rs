//! A step with all that belongs to it: its end, the pictures before and after it, what was found and done.

use super::super::event::*;
use super::super::text::{escape, seconds};
use super::super::view::StepView;
use super::pictures;
use super::row::row;
use std::fmt::Write;

/// A picture as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shot<'e> {
    pub role: Role,
    pub file: &'e str,
    pub size: (u32, u32),
    pub marks: &'e [Mark],
}

/// A step's pictures.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Shots<'e> {
    pub before: Option<Shot<'e>>,
    /// The step whose last picture stands for the one before.
    pub left_by: Option<&'e str>,
    pub after: Option<Shot<'e>>,
    pub caption: &'static str,
    pub others: Vec<Shot<'e>>,
}

/// Which pictures show what the step began with and what it ended with. `earlier` is the last picture before it.
pub(super) fn shots<'e>(items: &[&'e Evidence], earlier: Option<&(&'e str, Shot<'e>)>) -> Shots<'e> {
    let mut all: Vec<Shot<'e>> = Vec::new();
    for item in items {
        if let Evidence::Screenshot {
            role,
            file,
            width,
            height,
            marks,
            ..
        } = item
        {
            let (role, size) = (*role, (*width, *height));
            all.push(Shot {
                role,
                file,
                size,
                marks,
            });
        }
    }
    let ends = |shot: &Shot<'_>| !matches!(shot.role, Role::Before | Role::Difference);
    let after = all.iter().rposition(ends);
    let begins = |shot: &Shot<'_>| shot.role == Role::Before;
    let before = all[..after.unwrap_or(all.len())].iter().rposition(begins);
    let mut shown = Shots {
        before: before.map(|at| all[at].clone()),
        after: after.map(|at| all[at].clone()),
        ..Shots::default()
    };
    if let Some(end) = &shown.after {
        // The picture after the action is often the one that decided.
        let settled = all.iter().any(|s| s.role == Role::After && s.file == end.file);
        shown.caption = match end.role {
            Role::After | Role::Before => "after",
            Role::Checked if settled => "after; this decided",
            Role::Checked => "this decided",
            Role::Failure => "when it failed",
            Role::Asked => "screenshot",
            Role::Difference => "expected, seen, difference",
        };
        if let (None, Some((step, last))) = (&shown.before, earlier)
            && last.file != end.file
            && last.size == end.size
        {
            shown.before = Some(Shot {
                marks: &[],
                ..last.clone()
            });
            shown.left_by = Some(step);
        }
    }
    let pair = [&shown.before, &shown.after];
    // What the pair shows already, and what was marked in it is in the pair too.
    let again = |shot: &Shot<'_>| {
        let same = |of: &&Option<Shot<'_>>| of.as_ref().is_some_and(|of| of.file == shot.file);
        pair.iter().any(same) && shot.marks.iter().all(|m| m.kind == MarkKind::Pointer)
    };
    let others = all
        .iter()
        .enumerate()
        .filter(|(at, shot)| Some(*at) != before && Some(*at) != after && !again(shot));
    shown.others = others.map(|(_, shot)| shot.clone()).collect();
    shown
}

/// The step as a card.
pub(super) fn card(page: &mut String, step: &StepView<'_>, shots: &Shots<'_>) {
    let (word, ms) = match &step.end {
        Some(end) => (end.outcome.as_str(), seconds(end.ms)),
        None if step.started => ("unfinished", String::new()),
        None => ("not run", String::new()),
    };
    let (open, at) = match step.started {
        true => (" open", format!("at {}", seconds(step.at))),
        false => ("", String::new()),
    };
    let _ = write!(
        page,
        "<details class=\"step\" style=\"margin-left:{}rem\" id=\"{id}\"{open}><summary><span class=\"badge {class}\">{word}</span>\
         <span class=\"label\">{label}</span><code>{id}</code><span class=\"dim\">{at}</span><span class=\"dim\">{ms}</span></summary>\
         <div class=\"body\">",
        step.depth * 2,
        id = escape(&step.plan.id),
        class = word.replace(' ', "-"),
        label = escape(step.label),
    );
    if let Some(end) = &step.end {
        if let Some(message) = end.message {
            let reason = end.reason.unwrap_or_default();
            let _ = write!(page, "<p><b>{}</b> {}</p>", escape(reason), escape(message));
        }
        if end.attempts > 1 {
            let _ = write!(page, "<p class=\"dim\">{} attempts</p>", end.attempts);
        }
    }
    *page += "<div class=\"shots\">";
    match (&shots.before, &shots.after) {
        (Some(before), Some(after)) if before.file == after.file => {
            let caption = format!("{}; the picture did not change", shots.caption);
            single(page, &caption, after, &[before.marks, after.marks].concat());
        }
        (Some(before), Some(after)) if before.size == after.size => {
            compare(page, before, after, shots, &looked(&step.items));
        }
        (before, after) => {
            for (caption, shot) in [("before", before), (shots.caption, after)] {
                if let Some(shot) = shot {
                    single(page, caption, shot, shot.marks);
                }
            }
        }
    }
    for shot in &shots.others {
        let caption = match shot.role {
            Role::Before => "before, earlier",
            Role::After => "after",
            Role::Checked => "this decided",
            Role::Failure => "when it failed",
            Role::Asked => "screenshot",
            Role::Difference => "expected, seen, difference",
        };
        single(page, caption, shot, shot.marks);
    }
    *page += "</div><table>";
    for item in &step.items {
        row(page, item);
    }
    *page += "</table></div></details>";
}

/// The parts of the screen that were looked at where it was not all of it.
fn looked(items: &[&Evidence]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for item in items {
        if let Evidence::Locate {
            wanted: Some(wanted), ..
        } = item
            && let Some(region) = wanted.get("region")
            && let Ok(place) = serde_json::from_value(region.clone())
            && !places.contains(&place)
        {
            places.push(place);
        }
    }
    places
}

fn picture(page: &mut String, class: &str, label: &str, shot: &Shot<'_>, marks: &[Mark]) {
    let (width, height) = shot.size;
    let _ = write!(
        page,
        "<svg class=\"shot {class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\"><use href=\"#{}\"/>",
        escape(label),
        pictures::id(shot.file)
    );
    super::super::deciding::draw(page, marks);
    *page += "</svg>";
}

fn single(page: &mut String, caption: &str, shot: &Shot<'_>, marks: &[Mark]) {
    *page += "<figure>";
    picture(page, "", caption, shot, marks);
    let _ = write!(
        page,
        "<figcaption>{caption}, <code>{}</code></figcaption></figure>",
        escape(shot.file)
    );
}

/// Both pictures on one place, with a slider between them. What is marked is seen on both.
fn compare(page: &mut String, before: &Shot<'_>, after: &Shot<'_>, shots: &Shots<'_>, looked: &[Place]) {
    let first = match shots.left_by {
        Some(step) => format!("before, as {step} left it"),
        None => "before".to_string(),
    };
    *page += "<figure class=\"compare\"><div class=\"frames\">";
    picture(page, "", &first, before, &[]);
    picture(page, "later", shots.caption, after, &[]);
    let (width, height) = before.size;
    let _ = write!(
        page,
        "<svg class=\"over\" viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\">"
    );
    for Place { x, y, width, height } in looked {
        let _ = write!(
            page,
            "<rect class=\"looked\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        );
    }
    super::super::deciding::draw(page, before.marks);
    *page += "<g class=\"decided\">";
    super::super::deciding::draw(page, after.marks);
    let _ = write!(
        page,
        "</g></svg></div><input type=\"range\" min=\"0\" max=\"100\" aria-label=\"how much of the picture before is shown\">\
         <figcaption><span>{}, <code>{}</code></span><span>{}, <code>{}</code></span></figcaption></figure>",
        escape(&first),
        escape(before.file),
        shots.caption,
        escape(after.file)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(role: Role, file: &str, marked: bool) -> Evidence {
        let place = Place {
            x: 1,
            y: 1,
            width: 0,
            height: 0,
        };
        let kind = MarkKind::Click;
        Evidence::Screenshot {
            role,
            file: file.to_string(),
            width: 4,
            height: 3,
            marks: if marked { vec![Mark { kind, place }] } else { Vec::new() },
            frame: None,
            covered: false,
        }
    }

    /// Files before and after, the step that left the first, the caption, the others.
    fn told(items: &[Evidence], earlier: Option<&str>) -> String {
        let items: Vec<&Evidence> = items.iter().collect();
        let earlier = earlier.map(|file| {
            let shot = Shot {
                role: Role::After,
                file,
                size: (4, 3),
                marks: &[],
            };
            ("s00", shot)
        });
        let shots = shots(&items, earlier.as_ref());
        let file = |shot: &Option<Shot<'_>>| shot.as_ref().map_or("-", |s| s.file).to_string();
        let others: Vec<&str> = shots.others.iter().map(|s| s.file).collect();
        format!(
            "{} {} {} [{}] {}",
            file(&shots.before),
            file(&shots.after),
            shots.left_by.unwrap_or("-"),
            others.join(" "),
            shots.caption
        )
    }

    #[test]
    fn what_a_step_began_and_ended_with() {
        use Role::*;
        let click = [
            item(Before, "a", true),
            item(After, "b", false),
            item(Checked, "b", true),
        ];
        assert_eq!(told(&click, Some("z")), "a b - [] after; this decided");
        let slow = [
            item(Before, "a", true),
            item(After, "b", false),
            item(Checked, "c", true),
        ];
        assert_eq!(told(&slow, None), "a c - [b] this decided");
        let check = [item(Checked, "c", true)];
        assert_eq!(told(&check, Some("z")), "z c s00 [] this decided");
        // It held at once.
        assert_eq!(told(&check, Some("c")), "- c - [] this decided");
        let lost = [item(Difference, "d", false), item(Failure, "f", false)];
        assert_eq!(told(&lost, Some("z")), "z f s00 [d] when it failed");
        let twice = [
            item(Before, "a", true),
            item(After, "b", false),
            item(Before, "b", true),
            item(After, "c", false),
        ];
        assert_eq!(told(&twice, None), "b c - [a] after");
        assert_eq!(told(&[item(Before, "a", true)], None), "a - - [] ");
        assert_eq!(told(&[], Some("z")), "- - - [] ");
    }
}
