//! Waiting until the picture is still.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Desktop, Error, Frame, Rect};

/// How a wait for a still picture ended.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The last frame seen.
    pub frame: Arc<Frame>,
    /// True if nothing changed for the quiet time; false if time ran out first.
    pub still: bool,
    /// How long the wait took.
    pub waited: Duration,
    /// Where the last change was, if anything changed: what kept moving when `still` is false.
    pub moving: Option<Rect>,
}

/// A change that goes back to the picture before, no larger than this, is a blinking text cursor.
const CARET: (u32, u32) = (24, 64);
const POLL: Duration = Duration::from_millis(60);

impl Desktop {
    /// Waits until the screen has not changed for `quiet`, at most `max`. A blinking text cursor does not count as a
    /// change once it has been seen to blink.
    ///
    /// # Errors
    /// As [`Desktop::capture`].
    pub async fn settle(&self, quiet: Duration, max: Duration) -> Result<Settled, Error> {
        let start = Instant::now();
        let mut frame = self.capture().await?;
        let mut before = frame.clone();
        let (mut changed_at, mut moving) = (frame.received_at, None);
        loop {
            let still = changed_at.elapsed() >= quiet;
            if still || start.elapsed() >= max {
                return Ok(Settled {
                    frame,
                    still,
                    waited: start.elapsed(),
                    moving,
                });
            }
            let left = quiet
                .saturating_sub(changed_at.elapsed())
                .min(max.saturating_sub(start.elapsed()));
            tokio::time::sleep(left.min(POLL)).await;
            let next = self.capture().await?;
            if let Some(change) = next.difference(&frame) {
                if !is_caret(&change, next.same_picture(&before)) {
                    (changed_at, moving) = (next.received_at, Some(change));
                }
                before = std::mem::replace(&mut frame, next);
            } else {
                frame = next;
            }
        }
    }
}

fn is_caret(change: &Rect, back_to_before: bool) -> bool {
    back_to_before && change.width <= CARET.0 && change.height <= CARET.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_small_change_back_is_a_caret() {
        let caret = Rect::new(5, 5, 2, 18);
        assert!(is_caret(&caret, true));
        assert!(!is_caret(&caret, false));
        assert!(!is_caret(&Rect::new(0, 0, 200, 18), true));
    }
}
