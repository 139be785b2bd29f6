//! Whether an injected action has done something, told by the pictures before and after it.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Desktop, Error, Frame, Point, Rect};

/// What the pictures say about an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Something changed here that had been still.
    Confirmed(Rect),
    /// The picture was moving by itself, here, and nothing else changed: no telling.
    Unverifiable(Rect),
    /// Nothing changed at all. The action may have had no visible effect, or may not have arrived.
    SuspectedNoop,
}

/// An action that was carried out under observation.
#[derive(Debug, Clone)]
pub struct Observed {
    /// What the pictures say.
    pub effect: Effect,
    /// The picture before.
    pub before: Arc<Frame>,
    /// The picture after: when something had changed and was still again, or when the time was up.
    pub after: Arc<Frame>,
}

/// How long the screen has to be still to count as such, before and after.
const QUIET: Duration = Duration::from_millis(200);
/// How long to look whether the screen moves by itself.
const BEFORE: Duration = Duration::from_millis(800);
/// What moves by itself may move a little farther the next time.
const NEAR: u32 = 32;
/// How long is looked, after a change, whether the same place changes by itself: a slow text cursor goes on and off within
/// 1.2 s.
const BLINK: Duration = Duration::from_millis(1300);
/// No larger than this, what moves by itself is taken to blink at its place.
const CARET: (u32, u32) = (24, 64);
/// How long an effect may keep moving.
const AFTER: Duration = Duration::from_secs(3);

impl Effect {
    /// Compares two pictures; `moving` is where the screen was changing by itself before the action, and `pointers` where
    /// the mouse pointer was and is, for guests that paint it into their pictures: that it moved is no effect.
    pub fn between(before: &Frame, after: &Frame, moving: Option<Rect>, pointers: &[Point]) -> Effect {
        Effect::apart_from(before, after, moving, pointers, &[])
    }

    /// As [`Effect::between`]; `later` are places that changed when the action was long over.
    fn apart_from(before: &Frame, after: &Frame, moving: Option<Rect>, pointers: &[Point], later: &[Rect]) -> Effect {
        let around = |p: &Point| near(&Rect::new(p.x, p.y, 1, 1));
        // A letter stands right beside the text cursor, so that what blinks is taken exactly.
        let by_itself = |r: &Rect| match r.width <= CARET.0 && r.height <= CARET.1 {
            true => *r,
            false => near(r),
        };
        let known = moving.iter().map(near).chain(pointers.iter().map(around));
        let ignored: Vec<Rect> = known.chain(later.iter().map(by_itself)).collect();
        let moving = moving.or_else(|| later.iter().copied().reduce(|a, b| a.union(&b)));
        match (before.difference_outside(after, &ignored), moving) {
            (Some(change), _) => Effect::Confirmed(change),
            (None, Some(moving)) => Effect::Unverifiable(moving),
            (None, None) => match before.difference(after) {
                Some(pointer) => Effect::Unverifiable(pointer),
                None => Effect::SuspectedNoop,
            },
        }
    }
}

fn near(r: &Rect) -> Rect {
    let (x, y) = (r.x.saturating_sub(NEAR), r.y.saturating_sub(NEAR));
    Rect::new(x, y, r.right() + NEAR - x, r.bottom() + NEAR - y)
}

impl Desktop {
    /// Carries out an action and says what it did to the screen; an effect is waited for as long as `limit`.
    ///
    /// # Errors
    /// Those of the action, and of [`Desktop::capture`].
    pub async fn observed<F>(&self, limit: Duration, action: F) -> Result<Observed, Error>
    where
        F: Future<Output = Result<(), Error>>,
    {
        let before = self.settle(QUIET, BEFORE).await?;
        let moving = before.changed.filter(|_| !before.still);
        let before = before.frame;
        let mut pointers = vec![self.position()];
        action.await?;
        pointers.push(self.position());
        // Drawn by us, it is in no picture.
        if before.has_cursor() {
            pointers.clear();
        }
        let done = Instant::now();
        let mut version = before.version;
        // A change may be one by itself, or no change of pixels: what counts is the picture after it.
        let mut after = loop {
            let left = limit.saturating_sub(done.elapsed());
            let change = self.change(version, left).await?;
            let after = self.capture().await?;
            version = after.version;
            let effect = Effect::between(&before, &after, moving, &pointers);
            if change.is_none() || matches!(effect, Effect::Confirmed(_)) {
                break after;
            }
        };
        if matches!(
            Effect::between(&before, &after, moving, &pointers),
            Effect::Confirmed(_)
        ) {
            after = self.settle(QUIET, AFTER).await?.frame;
        }
        let mut effect = Effect::between(&before, &after, moving, &pointers);
        if let Effect::Confirmed(change) = effect
            && u64::from(change.width) * u64::from(change.height) < before.area() / 4
        {
            let later = self.later(&after).await?;
            effect = Effect::apart_from(&before, &after, moving, &pointers, &later);
        }
        Ok(Observed { effect, before, after })
    }
}

impl Desktop {
    /// What changes by itself after this frame, each time it does.
    async fn later(&self, frame: &Arc<Frame>) -> Result<Vec<Rect>, Error> {
        let (start, mut last, mut places) = (Instant::now(), frame.clone(), Vec::new());
        loop {
            let left = BLINK.saturating_sub(start.elapsed());
            if left.is_zero() || self.change(last.version, left).await?.is_none() {
                return Ok(places);
            }
            let now = self.capture().await?;
            places.extend(last.difference(&now));
            last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage};

    #[test]
    fn what_moves_by_itself_proves_nothing() {
        let plain = RgbaImage::from_pixel(140, 20, Rgba([0, 0, 0, 255]));
        let mut other = plain.clone();
        other.put_pixel(5, 5, Rgba([9, 9, 9, 255]));
        let (a, b) = (Frame::from_image(plain), Frame::from_image(other));
        let (near, far) = (Rect::new(0, 0, 10, 10), Rect::new(120, 0, 10, 10));
        assert_eq!(Effect::between(&a, &a, None, &[]), Effect::SuspectedNoop);
        assert_eq!(Effect::between(&a, &a, Some(far), &[]), Effect::Unverifiable(far));
        assert_eq!(
            Effect::between(&a, &b, None, &[]),
            Effect::Confirmed(Rect::new(5, 5, 1, 1))
        );
        assert_eq!(Effect::between(&a, &b, Some(near), &[]), Effect::Unverifiable(near));
        let change = Rect::new(5, 5, 1, 1);
        let pointers = [Point::new(4, 4), Point::new(100, 10)];
        assert_eq!(Effect::between(&a, &b, None, &pointers), Effect::Unverifiable(change));
        assert_eq!(Effect::between(&a, &b, None, &pointers[1..]), Effect::Confirmed(change));
        assert_eq!(
            Effect::between(&a, &b, Some(far), &[]),
            Effect::Confirmed(Rect::new(5, 5, 1, 1))
        );
    }
}
