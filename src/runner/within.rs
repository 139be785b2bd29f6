//! The part of the screen that a target says it is in.

use super::failure::Failure;
use super::step::Stage;
use crate::api::FailureClass;
use crate::desktop::{Frame, Rect};
use crate::guest::{Sight, window_places};
use crate::results::region;
use crate::scenario::{Length, Within};

/// What is known of the part.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// It is here.
    Here(Rect),
    /// There is none at present, so nothing is in it.
    Nowhere(String),
}

impl Stage<'_> {
    /// Where the part is now.
    pub(super) async fn part(&mut self, within: &Within, frame: &Frame) -> Result<Part, Failure> {
        let title = match within {
            Within::Region(sides) => return Ok(part_of(sides, frame.width(), frame.height())),
            Within::Window(title) => title,
        };
        let session = self.session().await?;
        let link = self.run.rig.guest.clone();
        let (sight, places) = window_places(link.as_ref(), &session, title).await?;
        match sight {
            Sight::Shown => choose(title, &places, frame.width(), frame.height()),
            Sight::NotShown => Ok(Part::Nowhere(format!("no window's title contains '{title}'"))),
            Sight::Unknown | Sight::Never => Err(Failure::error(
                FailureClass::Guest,
                "UnseenWindow",
                format!(
                    "where the window '{title}' is cannot be told: the session of {} has windows that cannot be listed; \
                     give the region instead, in: [x, y, width, height]",
                    session.leader
                ),
            )),
        }
    }
}

fn part_of(sides: &[Length; 4], w: u32, h: u32) -> Part {
    match region(sides, w, h) {
        Some(rect) => Part::Here(rect),
        None => Part::Nowhere(format!("the region is outside the screen, which is {w}x{h}")),
    }
}

/// The one window of that title.
fn choose(title: &str, places: &[[i64; 4]], w: u32, h: u32) -> Result<Part, Failure> {
    let mut shown: Vec<Rect> = places.iter().filter_map(|place| clipped(*place, w, h)).collect();
    shown.sort_by_key(|r| (r.x, r.y, r.width, r.height));
    shown.dedup();
    match shown.as_slice() {
        [] => Ok(Part::Nowhere(format!("the window '{title}' is outside the screen"))),
        [rect] => Ok(Part::Here(*rect)),
        several => Err(Failure::failed(
            "WindowAmbiguous",
            format!(
                "{} windows have '{title}' in their title; say more of the title of the one that is meant",
                several.len()
            ),
        )),
    }
}

pub(super) fn clipped([x, y, width, height]: [i64; 4], w: u32, h: u32) -> Option<Rect> {
    let (left, top) = (x.clamp(0, w.into()), y.clamp(0, h.into()));
    let (right, bottom) = ((x + width).clamp(0, w.into()), (y + height).clamp(0, h.into()));
    let size = |from: i64, to: i64| u32::try_from(to - from).ok().filter(|n| *n > 0);
    let edge = |n: i64| u32::try_from(n).ok();
    Some(Rect::new(
        edge(left)?,
        edge(top)?,
        size(left, right)?,
        size(top, bottom)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(part: Result<Part, Failure>) -> Result<Rect, String> {
        match part {
            Ok(Part::Here(rect)) => Ok(rect),
            Ok(Part::Nowhere(why)) => Err(why),
            Err(failure) => Err(failure.message),
        }
    }

    #[test]
    fn regions() {
        let (zero, half, whole) = (Length::Pixels(0), Length::Part(500_000), Length::Part(1_000_000));
        let of = |sides: [Length; 4]| here(Ok(part_of(&sides, 800, 600)));
        assert_eq!(of([zero, half, whole, half]), Ok(Rect::new(0, 299, 800, 299)));
        assert_eq!(
            of([Length::Pixels(700), zero, whole, whole]),
            Ok(Rect::new(700, 0, 100, 600))
        );
        let outside = of([Length::Pixels(900), zero, whole, whole]).unwrap_err();
        assert!(outside.contains("outside the screen, which is 800x600"), "{outside}");
    }

    #[test]
    fn windows() {
        let of = |places: &[[i64; 4]]| here(choose("Lab", places, 800, 600));
        assert_eq!(of(&[[-10, 20, 100, 50]]), Ok(Rect::new(0, 20, 90, 50)));
        // The same window twice is one; one that is off the screen is none.
        assert_eq!(
            of(&[[1, 2, 3, 4], [1, 2, 3, 4], [900, 0, 5, 5]]),
            Ok(Rect::new(1, 2, 3, 4))
        );
        assert!(of(&[[900, 0, 5, 5]]).unwrap_err().contains("outside the screen"));
        assert!(
            of(&[[0, 0, 9, 9], [9, 9, 9, 9]])
                .unwrap_err()
                .contains("2 windows have 'Lab'")
        );
    }
}
