//! Which part of a frame has to be read again.

use super::Line;
use crate::desktop::{Frame, Rect};

/// Around what changed: the detection model needs some surroundings, and letters next to a change belong to its line.
const MARGIN: u32 = 32;
/// Around a line that is read again.
const LINE_MARGIN: u32 = 6;
/// From this share of the screen on, in percent, reading all of it is as cheap.
const WORTHWHILE: u64 = 60;

/// The rectangle to read again, given the frame before and its lines: all that changed, with a margin, and every line
/// that it touches, whole. `None` if the whole frame has to be read. Lines outside the rectangle are still true.
pub(super) fn region(before: &Frame, now: &Frame, lines: &[Line]) -> Option<Rect> {
    if (before.width(), before.height()) != (now.width(), now.height()) {
        return None;
    }
    let screen = Rect::new(0, 0, now.width(), now.height());
    let grown = |r: &Rect, by: u32| {
        let (x, y) = (r.x.saturating_sub(by), r.y.saturating_sub(by));
        Rect::new(x, y, r.right() + by - x, r.bottom() + by - y).intersection(&screen)
    };
    let mut region = grown(&now.difference(before)?, MARGIN)?;
    loop {
        let touched = lines.iter().filter(|l| l.rect.intersection(&region).is_some());
        let wider = touched
            .filter_map(|l| grown(&l.rect, LINE_MARGIN))
            .fold(region, |all, r| all.union(&r));
        if wider == region {
            break;
        }
        region = wider;
    }
    let share = u64::from(region.width) * u64::from(region.height) * 100;
    (share < u64::from(screen.width) * u64::from(screen.height) * WORTHWHILE).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::super::super::text::line;
    use super::*;
    use image::{Rgba, RgbaImage};

    #[test]
    fn the_region_holds_the_change_and_whole_lines() {
        let plain = RgbaImage::from_pixel(400, 300, Rgba([9, 9, 9, 255]));
        let mut changed = plain.clone();
        changed.put_pixel(100, 100, Rgba([0, 0, 0, 255]));
        let (before, now) = (Frame::from_image(plain), Frame::from_image(changed));
        assert_eq!(region(&before, &now, &[]), Some(Rect::new(68, 68, 65, 65)));
        let lines = [line("touched here", 120, 110), line("elsewhere", 0, 250)];
        let got = region(&before, &now, &lines).unwrap();
        assert_eq!(got.right(), 120 + 120 + LINE_MARGIN);
        assert!(got.intersection(&lines[1].rect).is_none());
        let other = Frame::from_image(RgbaImage::new(10, 10));
        assert_eq!(region(&before, &other, &[]), None);
        let all = Frame::from_image(RgbaImage::new(400, 300));
        assert_eq!(region(&before, &all, &[]), None);
    }
}
