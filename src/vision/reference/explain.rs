//! What is told of a reference that was not found.

use super::look::{Match, Outcome};
use super::{Error, Pattern, Reference, Variant};
use crate::desktop::Frame;
use image::RgbaImage;

/// From this similarity on, what is nearest is what was meant, changed: a proposal follows it.
const CHANGED: f64 = 0.6;

/// What is told of a reference that was not found.
pub struct Explanation {
    /// As expected, as seen at the most similar place, and the difference.
    pub difference: RgbaImage,
    /// Beyond its margin it fits, here.
    pub elsewhere: Option<Match>,
    /// Name of the files that the screen could replace, without ending.
    pub key: String,
    /// A sidecar for the screen as it is: areas that have moved are where they are now.
    pub sidecar: String,
}

impl Reference {
    /// Explains why it was not found on this frame, of which the difference shows what is in `shown`: the same frame, or
    /// one in which parts are covered. Takes tens of milliseconds.
    ///
    /// # Errors
    /// As [`Reference::look`].
    pub fn explain(&self, frame: &Frame, shown: &Frame, anywhere: bool) -> Result<Explanation, Error> {
        let variant = self.variant((frame.width(), frame.height()))?;
        let nearest = match variant.look(frame, anywhere) {
            Outcome::Found(m) => Some(m),
            Outcome::Several(all) => all.into_iter().next(),
            Outcome::Missing(nearest) => nearest,
        };
        let structured = variant.patterns.iter().any(|p| !Pattern::is_flat(p));
        let elsewhere = match !anywhere && structured && !nearest.as_ref().is_some_and(Match::fits) {
            true => match variant.look(frame, true) {
                Outcome::Found(m) => Some(m),
                _ => None,
            },
            false => None,
        };
        let moved = |m: &Option<Match>| m.as_ref().map_or((0, 0), |m| m.moved);
        let difference = variant.difference(shown, moved(&nearest));
        let close = nearest.filter(|m| m.similarity >= CHANGED);
        let sidecar = variant.sidecar_moved(moved(&elsewhere.clone().or(close)), frame);
        Ok(Explanation {
            difference,
            elsewhere,
            key: match variant.display {
                Some((width, height)) => format!("{}@{width}x{height}", self.name),
                None => self.name.clone(),
            },
            sidecar,
        })
    }
}

impl Variant {
    /// The sidecar with everything moved; where that would leave the frame, as it is.
    fn sidecar_moved(&self, (dx, dy): (i32, i32), frame: &Frame) -> String {
        let shift = |at: &mut u32, length: u32, by: i32, whole: u32| {
            let to = i64::from(*at) + i64::from(by);
            let inside = to >= 0 && to + i64::from(length) <= i64::from(whole);
            *at = u32::try_from(to).unwrap_or(0);
            inside
        };
        let mut moved = self.source.clone();
        let mut inside = true;
        for area in &mut moved.areas {
            inside &= shift(&mut area.x, area.width, dx, frame.width());
            inside &= shift(&mut area.y, area.height, dy, frame.height());
        }
        if let Some((x, y)) = &mut moved.click {
            inside &= shift(x, 1, dx, frame.width()) && shift(y, 1, dy, frame.height());
        }
        match inside {
            true => moved.sidecar(),
            false => self.source.sidecar(),
        }
    }
}
