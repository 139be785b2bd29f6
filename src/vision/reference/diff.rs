//! Pictures for people: expected, seen, and where they differ.

use super::Variant;
use crate::desktop::{Frame, Rect};
use image::{Rgba, RgbaImage};

/// Between the three pictures.
const GAP: u32 = 8;
const GAP_COLOUR: Rgba<u8> = Rgba([255, 0, 255, 255]);
/// Differences are shown so much brighter than they are.
const BRIGHT: u8 = 3;
/// What does not count is shown so dark.
const DIM: u16 = 4;

impl Variant {
    /// Three pictures side by side, as large as what is around all areas: as expected, as seen where the reference has
    /// moved by `moved`, and the difference: the brighter the more, and dark blue where nothing is compared.
    pub(crate) fn difference(&self, frame: &Frame, moved: (i32, i32)) -> RgbaImage {
        let Rect { x, y, width, height } = self.bounds;
        let mut out = RgbaImage::from_pixel(width * 3 + GAP * 2, height, GAP_COLOUR);
        let screen = frame.image();
        let at = |from: u32, by: i32| u32::try_from(i64::from(from) + i64::from(by)).ok();
        for dy in 0..height {
            for dx in 0..width {
                let expected = self.picture.get_pixel(dx, dy).0;
                let seen = at(x + dx, moved.0)
                    .zip(at(y + dy, moved.1))
                    .and_then(|(x, y)| screen.get_pixel_checked(x, y))
                    .map_or([0, 0, 0], |p| [p[0], p[1], p[2]]);
                let difference = match self.compares(x + dx, y + dy) {
                    true => [0, 1, 2].map(|c| expected[c].abs_diff(seen[c]).saturating_mul(BRIGHT)),
                    false => [0, 0, (u16::from(seen[2]) / DIM) as u8 + 48],
                };
                for (i, rgb) in [expected, seen, difference].into_iter().enumerate() {
                    let left = (width + GAP) * i as u32;
                    out.put_pixel(left + dx, dy, Rgba([rgb[0], rgb[1], rgb[2], 255]));
                }
            }
        }
        out
    }

    /// True if the pixel of the reference's picture counts.
    fn compares(&self, x: u32, y: u32) -> bool {
        self.patterns.iter().any(|p| {
            p.pieces.iter().any(|piece| {
                let (left, top) = (p.x + piece.x as u32, p.y + piece.y as u32);
                Rect::new(left, top, piece.width as u32, piece.height as u32).contains(crate::desktop::Point::new(x, y))
            })
        })
    }
}
