//! The one picture that shows why a step ended as it did.

use super::event::*;
use super::text::escape;
use std::fmt::Write;

/// A picture with what was marked in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Deciding<'e> {
    /// File, relative to the folder of the log.
    pub file: &'e str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Where the click went, or what was judged by.
    pub marks: &'e [Mark],
}

/// The last frame that a step was decided by; where there is none, its last frame.
pub fn deciding<'e>(events: &'e [Event], step: &str) -> Option<Deciding<'e>> {
    let (mut last, mut decided) = (None, None);
    for event in events {
        let Body::Evidence {
            step: of,
            item:
                Evidence::Screenshot {
                    role,
                    file,
                    width,
                    height,
                    marks,
                    ..
                },
        } = &event.body
        else {
            continue;
        };
        if of != step || *role == Role::Difference {
            continue;
        }
        let picture = Deciding {
            file,
            width: *width,
            height: *height,
            marks,
        };
        last = Some(picture.clone());
        if matches!(role, Role::Checked | Role::Failure) {
            decided = Some(picture);
        }
    }
    decided.or(last)
}

impl Deciding<'_> {
    /// The picture, loaded from `href`, under its marks. The classes are `shot`, `click`, `dot` and `area`.
    pub fn svg(&self, href: &str) -> String {
        let mut out = format!(
            "<svg class=\"shot\" viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"this decided\">\
             <image width=\"{w}\" height=\"{h}\" href=\"{}\"/>",
            escape(href),
            w = self.width,
            h = self.height,
        );
        draw(&mut out, self.marks);
        out.push_str("</svg>");
        out
    }
}

/// Marks as parts of an SVG picture.
pub(super) fn draw(out: &mut String, marks: &[Mark]) {
    for mark in marks {
        let Place { x, y, width, height } = mark.place;
        // Writing to a String cannot fail.
        let _ = match mark.kind {
            MarkKind::Click => write!(
                out,
                "<circle class=\"click\" cx=\"{x}\" cy=\"{y}\" r=\"16\"/><circle class=\"dot\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>"
            ),
            MarkKind::Pointer => write!(
                out,
                "<path class=\"pointer\" transform=\"translate({x} {y})\" d=\"M0 0v17l4-4 3 7 3-1-3-7h6z\"/>"
            ),
            MarkKind::Evidence => write!(
                out,
                "<rect class=\"area\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
            ),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shot(step: &str, role: Role, file: &str) -> Event {
        Event {
            v: SCHEMA_VERSION,
            seq: 1,
            time: String::new(),
            body: Body::Evidence {
                step: step.to_string(),
                item: Evidence::Screenshot {
                    role,
                    file: file.to_string(),
                    width: 10,
                    height: 10,
                    marks: vec![Mark {
                        kind: MarkKind::Evidence,
                        place: Place {
                            x: 1,
                            y: 2,
                            width: 3,
                            height: 4,
                        },
                    }],
                    frame: None,
                    covered: false,
                },
            },
        }
    }

    #[test]
    fn the_last_frame_that_decided() {
        let events = [
            shot("a", Role::Before, "1"),
            shot("a", Role::Checked, "2"),
            shot("a", Role::Checked, "3"),
            shot("a", Role::After, "4"),
            shot("b", Role::Before, "5"),
        ];
        let file = |step| deciding(&events, step).map(|d| d.file.to_string());
        assert_eq!(file("a").as_deref(), Some("3"));
        assert_eq!(file("b").as_deref(), Some("5"), "better than none");
        assert_eq!(file("c"), None);
        let svg = deciding(&events, "a").expect("one").svg("/x/\"3");
        assert!(
            svg.contains("href=\"/x/&quot;3\"") && svg.contains("class=\"area\""),
            "{svg}"
        );
    }
}
