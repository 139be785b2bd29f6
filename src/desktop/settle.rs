//! Waiting until the picture is still, told by what the server paints rather than by looking again and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbaImage;

use super::command::Change;
use super::{Desktop, Error, Frame, Rect};

/// How a wait for a still picture ended.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The last frame seen; proved fresh after the quiet time.
    pub frame: Arc<Frame>,
    /// True if nothing changed for the quiet time; false if time ran out first.
    pub still: bool,
    /// How long the wait took.
    pub waited: Duration,
    /// How long the first picture took to come: as long, the machine may have stood still with the last input underway.
    pub answered: Duration,
    /// Where the last change was, if anything changed: what kept moving when `still` is false.
    pub moving: Option<Rect>,
    /// The smallest rectangle around all changes of the wait.
    pub changed: Option<Rect>,
}

/// A change that goes back to the picture before, no larger than this, is a blinking text cursor.
const CARET: (u32, u32) = (24, 64);

impl Desktop {
    /// Waits until the screen has not changed for `quiet`, at most `max`. A blinking text cursor does not count as a
    /// change once it has been seen to blink.
    ///
    /// It begins and ends with a capture. A server that does not answer these can make the call longer than `max`, by at
    /// most the session's time-out for each.
    ///
    /// # Errors
    /// As [`Desktop::capture`].
    pub async fn settle(&self, quiet: Duration, max: Duration) -> Result<Settled, Error> {
        self.settle_ignoring(quiet, max, &[]).await
    }

    /// As [`Desktop::settle`]; what changes within the given regions does not count.
    ///
    /// # Errors
    /// As [`Desktop::capture`].
    pub async fn settle_ignoring(&self, quiet: Duration, max: Duration, ignored: &[Rect]) -> Result<Settled, Error> {
        let start = Instant::now();
        let mut frame = self.capture().await?;
        let answered = start.elapsed();
        let mut watch = Watched::new(frame.image().clone(), ignored);
        let (mut version, mut changed_at) = (frame.version, frame.received_at);
        let (mut moving, mut changed) = (None, None);
        let around = |all: Option<Rect>, r: Rect| Some(all.map_or(r, |a| a.union(&r)));
        loop {
            let left = quiet
                .saturating_sub(changed_at.elapsed())
                .min(max.saturating_sub(start.elapsed()));
            if left.is_zero() {
                // The server says that nothing has changed; or it says nothing at all. A fresh picture tells which.
                frame = self.capture().await?;
                version = frame.version;
                match watch.take(&Change::whole(&frame)) {
                    Some(change) if start.elapsed() < max => {
                        (changed_at, moving) = (frame.received_at, Some(change));
                        changed = around(changed, change);
                    }
                    late => {
                        return Ok(Settled {
                            still: late.is_none() && changed_at.elapsed() >= quiet,
                            waited: start.elapsed(),
                            answered,
                            moving: late.or(moving),
                            changed: late.map_or(changed, |l| around(changed, l)),
                            frame,
                        });
                    }
                }
                continue;
            }
            let Some(change) = self.change(version, left).await? else {
                continue;
            };
            version = change.version;
            if let Some(place) = watch.take(&change) {
                (changed_at, moving) = (Instant::now(), Some(place));
                changed = around(changed, place);
            }
        }
    }
}

impl Change {
    fn whole(frame: &Frame) -> Change {
        Change {
            rect: Rect::new(0, 0, frame.width(), frame.height()),
            pixels: frame.image().clone(),
            size: (frame.width(), frame.height()),
            version: frame.version,
        }
    }
}

/// The picture as it was last seen, and what the last small change in it replaced.
struct Watched<'a> {
    picture: RgbaImage,
    ignored: &'a [Rect],
    before: Option<(Rect, Vec<u8>)>,
}

impl Watched<'_> {
    fn new(picture: RgbaImage, ignored: &[Rect]) -> Watched<'_> {
        Watched {
            picture,
            ignored,
            before: None,
        }
    }

    /// Takes over what has been painted, and says where it differs from before in a way that counts.
    fn take(&mut self, change: &Change) -> Option<Rect> {
        if change.size != self.picture.dimensions() {
            self.picture = RgbaImage::new(change.size.0, change.size.1);
            self.before = None;
            self.copy(change, 0..change.pixels.height());
            return Some(Rect::new(0, 0, change.size.0, change.size.1));
        }
        let place = self.difference(change)?;
        let old = pixels(&self.picture, &place);
        self.copy(change, place.y - change.rect.y..place.bottom() - change.rect.y);
        let small = place.width <= CARET.0 && place.height <= CARET.1;
        let back = self
            .before
            .as_ref()
            .is_some_and(|(rect, before)| *rect == place && *before == pixels(&self.picture, &place));
        self.before = small.then_some((place, old));
        (!(small && back)).then_some(place)
    }

    /// The smallest rectangle around all pixels that differ and are not ignored.
    fn difference(&self, change: &Change) -> Option<Rect> {
        let r = change.rect;
        let mut found: Option<Rect> = None;
        for y in 0..change.pixels.height() {
            let (old, new) = (
                row(&self.picture, r.x, r.y + y, r.width),
                row(&change.pixels, 0, y, r.width),
            );
            if old == new {
                continue;
            }
            let at = |x: usize| (r.x + x as u32, r.y + y);
            let counts = |x: &usize| {
                let (px, py) = at(*x);
                old[x * 4..x * 4 + 4] != new[x * 4..x * 4 + 4]
                    && !self.ignored.iter().any(|i| i.contains(super::Point::new(px, py)))
            };
            let width = r.width as usize;
            let (first, last) = ((0..width).find(counts), (0..width).rev().find(counts));
            if let (Some(first), Some(last)) = (first, last) {
                let line = Rect::new(at(first).0, at(first).1, (last - first + 1) as u32, 1);
                found = Some(found.map_or(line, |f| f.union(&line)));
            }
        }
        found
    }

    fn copy(&mut self, change: &Change, rows: std::ops::Range<u32>) {
        let r = change.rect;
        let stride = self.picture.width() as usize * 4;
        for y in rows {
            let from = row(&change.pixels, 0, y, r.width);
            let at = (r.y + y) as usize * stride + r.x as usize * 4;
            let to: &mut [u8] = &mut self.picture;
            to[at..at + from.len()].copy_from_slice(from);
        }
    }
}

fn row(image: &RgbaImage, x: u32, y: u32, width: u32) -> &[u8] {
    let at = (y as usize * image.width() as usize + x as usize) * 4;
    &image.as_raw()[at..at + width as usize * 4]
}

fn pixels(image: &RgbaImage, r: &Rect) -> Vec<u8> {
    (r.y..r.bottom())
        .flat_map(|y| row(image, r.x, y, r.width))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    fn change(rect: Rect, value: u8) -> Change {
        Change {
            rect,
            pixels: RgbaImage::from_pixel(rect.width, rect.height, Rgba([value, 0, 0, 255])),
            size: (200, 100),
            version: 1,
        }
    }

    #[test]
    fn a_caret_counts_once_and_a_larger_change_each_time() {
        let mut w = Watched::new(RgbaImage::from_pixel(200, 100, Rgba([0, 0, 0, 255])), &[]);
        let (caret, banner) = (Rect::new(5, 5, 2, 18), Rect::new(0, 50, 150, 10));
        assert_eq!(w.take(&change(caret, 0)), None, "painted as it was");
        assert_eq!(w.take(&change(caret, 9)), Some(caret), "may be a letter");
        assert_eq!(w.take(&change(caret, 0)), None);
        assert_eq!(w.take(&change(caret, 9)), None);
        assert_eq!(w.take(&change(caret, 7)), Some(caret), "another picture is no blinking");
        for value in [1, 0, 1, 0] {
            assert_eq!(w.take(&change(banner, value)), Some(banner));
        }
    }

    #[test]
    fn only_what_differs_outside_of_ignored_regions_counts() {
        let ignored = [Rect::new(0, 0, 50, 100)];
        let mut w = Watched::new(RgbaImage::from_pixel(200, 100, Rgba([0, 0, 0, 255])), &ignored);
        assert_eq!(w.take(&change(Rect::new(0, 0, 50, 20), 3)), None);
        let wide = Rect::new(40, 10, 30, 5);
        assert_eq!(w.take(&change(wide, 4)), Some(Rect::new(50, 10, 20, 5)));
        assert_eq!(w.take(&change(wide, 4)), None, "known by now");
        let mut resized = change(Rect::new(0, 0, 10, 10), 1);
        resized.size = (10, 10);
        assert_eq!(w.take(&resized), Some(Rect::new(0, 0, 10, 10)));
    }
}
