//! The parts of the screen that no stored picture shows.

use crate::desktop::Rect;
use crate::scenario::Length;

/// The parts; what is once covered stays so.
#[derive(Default)]
pub(super) struct Covered {
    parts: Vec<Rect>,
    /// As they were written: what they are in pixels depends on the picture.
    regions: Vec<[Length; 4]>,
}

impl Covered {
    pub fn part(&mut self, part: Rect) {
        if !self.parts.contains(&part) {
            self.parts.push(part);
        }
    }

    pub fn region(&mut self, sides: [Length; 4]) {
        if !self.regions.contains(&sides) {
            self.regions.push(sides);
        }
    }

    /// All of them, on a screen of this size in pixels.
    pub fn of(&self, width: u32, height: u32) -> Vec<Rect> {
        let regions = self.regions.iter().filter_map(|sides| region(sides, width, height));
        self.parts.iter().copied().chain(regions).collect()
    }
}

/// The region `[x, y, width, height]` of a screen of this size in pixels; None where it is outside of it.
pub fn region([x, y, width, height]: &[Length; 4], w: u32, h: u32) -> Option<Rect> {
    let of = |length: &Length, whole: u32| match length {
        // The whole width is width pixels, though the last of them has a smaller number.
        Length::Part(1_000_000) => whole,
        length => length.of(whole),
    };
    let wanted = Rect::new(of(x, w), of(y, h), of(width, w), of(height, h));
    wanted.intersection(&Rect::new(0, 0, w, h))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_follow_the_size_of_the_picture() {
        let mut covered = Covered::default();
        let half = Length::Part(500_000);
        covered.part(Rect::new(1, 2, 3, 4));
        covered.part(Rect::new(1, 2, 3, 4));
        covered.region([Length::Pixels(0), Length::Pixels(0), half, Length::Part(1_000_000)]);
        assert_eq!(covered.of(801, 600), [Rect::new(1, 2, 3, 4), Rect::new(0, 0, 400, 600)]);
        assert_eq!(covered.of(401, 300)[1], Rect::new(0, 0, 200, 300));
        // Outside of a small screen there is nothing to cover.
        covered.region([Length::Pixels(500), Length::Pixels(0), half, half]);
        assert_eq!(covered.of(401, 300).len(), 2);
    }
}
