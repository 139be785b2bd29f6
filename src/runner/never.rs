//! The negative check: watches through its whole window of time, and says how closely.

use super::check::{asks_only_the_guest, needs_frame, needs_guest};
use super::failure::{Failure, Kind};
use super::record;
use super::step::Stage;
use crate::api::FailureClass;
use crate::desktop::Frame;
use crate::results::{Evidence, Role};
use crate::runner::Screen;
use crate::scenario::Never;
use crate::vision::Verdict;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks at the screen: a thing that is shown for a fifth of a second is seen.
const EVERY: Duration = Duration::from_millis(80);
/// Longest time between two looks at the screen, and at what only the guest knows: a question to it takes its time.
const SCREEN_GAP: Duration = Duration::from_millis(500);
const GUEST_GAP: Duration = Duration::from_secs(5);
/// Pictures that may wait to be judged, a few megabytes each. More than that is told as not looked at.
const WAITING: usize = 24;

/// What the watch over the screen has seen so far.
#[derive(Default)]
struct Seen {
    waiting: VecDeque<Arc<Frame>>,
    digest: Option<String>,
    samples: u32,
    skipped: u32,
    last: Option<Instant>,
    gap: Duration,
    error: Option<Failure>,
}

/// How closely a window of time was watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    /// Looks at the screen.
    samples: u32,
    /// Different pictures that were judged.
    judged: u32,
    /// Different pictures that were not: they came faster than they could be judged.
    skipped: u32,
    /// Longest time between two looks at the screen.
    gap: Duration,
    /// Longest time between two looks at the guest, where the condition asks it.
    guest: Option<Duration>,
}

impl Coverage {
    /// Why the watch was not close enough to say "never" of a condition for which the screen counts, or not.
    fn lacks(&self, screen: bool, most: Option<Duration>) -> Option<String> {
        let wide = |gap: Duration, most: Duration| {
            (gap > most).then(|| {
                format!(
                    "between two looks were {} ms, and 'gap' is {} ms: what was there for less may have been missed",
                    gap.as_millis(),
                    most.as_millis()
                )
            })
        };
        if screen && self.skipped > 0 {
            let skipped = self.skipped;
            return Some(format!("{skipped} picture(s) came faster than they could be judged"));
        }
        let of_screen = screen.then(|| wide(self.gap, most.unwrap_or(SCREEN_GAP))).flatten();
        of_screen.or_else(|| wide(self.guest?, most.unwrap_or(GUEST_GAP)))
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} look(s), {} different state(s) judged, longest gap {} ms",
            self.samples,
            self.judged,
            self.gap.as_millis()
        )?;
        if self.skipped > 0 {
            write!(f, ", {} picture(s) came too fast to be judged", self.skipped)?;
        }
        if let Some(gap) = self.guest {
            write!(f, "; longest gap between looks at the guest {} ms", gap.as_millis())?;
        }
        Ok(())
    }
}

impl Stage<'_> {
    /// Fails as soon as the condition holds; passes when the window is over and it never did.
    pub(super) async fn never(&mut self, never: &Never, until: Instant) -> Result<(), Failure> {
        let begun = Instant::now();
        let end = begun + never.window;
        let seen = Arc::new(Mutex::new(Seen {
            last: Some(begun),
            ..Seen::default()
        }));
        // Judging takes longer than looking: what is shown meanwhile is kept for it.
        let watch = Watcher(tokio::spawn(watch(self.run.rig.desktop.clone(), seen.clone(), end)));
        let mut unsure: Option<String> = None;
        let mut judged = 0;
        let mut last: Option<Arc<Frame>> = None;
        let asks_guest = needs_guest(&never.check);
        let only_guest = asks_only_the_guest(&never.check);
        let class = match only_guest {
            true => FailureClass::Guest,
            false => FailureClass::Vision,
        };
        let (mut asked, mut guest_gap) = (begun, Duration::ZERO);
        loop {
            // Asked first: what the watch leaves as it ends is there afterwards.
            let over = watch.0.is_finished();
            if let Some(failure) = lock(&seen).error.take() {
                return Err(failure);
            }
            let next = match only_guest {
                false => lock(&seen).waiting.pop_front(),
                // No picture decides; the last one is for the reader.
                true => {
                    last = lock(&seen).waiting.drain(..).next_back().or(last);
                    None
                }
            };
            // What the guest says is about now, and not about the picture.
            let past = judged > 0 && Instant::now() >= end;
            match &next {
                None if over && (judged > 0 || !asks_guest) => break,
                None if !asks_guest || past => {
                    sleep(Duration::from_millis(20)).await;
                    continue;
                }
                _ => {}
            }
            let finding = self.look(&never.check, next.as_ref(), until).await?;
            judged += 1;
            if asks_guest && !past {
                let now = Instant::now();
                guest_gap = guest_gap.max(now - asked);
                asked = now;
            }
            last = next.clone().or(last);
            match finding.verdict {
                Verdict::True if asks_guest && past => {
                    unsure.get_or_insert(format!("it held when its time was over: {}", finding.reason));
                }
                Verdict::True => {
                    if let Some(frame) = &next {
                        self.show(Role::Checked, frame, finding.marks).await;
                    }
                    return Err(Failure::failed(
                        "Happened",
                        format!(
                            "{}: it held {:.1?} after the watch began: {}",
                            never.check,
                            begun.elapsed(),
                            finding.reason
                        ),
                    ));
                }
                Verdict::CannotTell => {
                    if let (None, Some(frame)) = (&unsure, &next) {
                        self.show(Role::Checked, frame, finding.marks).await;
                    }
                    unsure.get_or_insert(finding.reason);
                }
                // A command that did not end has not said no.
                Verdict::False if !finding.sound => drop(unsure.get_or_insert(finding.reason)),
                Verdict::False => {}
            }
            self.glance().await?;
            if Instant::now() >= until && !(over && lock(&seen).waiting.is_empty()) {
                return Err(Failure {
                    kind: Kind::Error(class),
                    reason: "TooSlowToJudge",
                    message: format!(
                        "the pictures of the {:?} could not be judged in the step's time; give it a longer 'timeout'",
                        never.window
                    ),
                });
            }
            if next.is_none() {
                sleep(Duration::from_millis(250)).await;
            }
        }
        let coverage = {
            let seen = lock(&seen);
            Coverage {
                samples: seen.samples,
                judged,
                skipped: seen.skipped,
                gap: seen.gap,
                guest: asks_guest.then(|| guest_gap.max(end.saturating_duration_since(asked))),
            }
        };
        let unsure = unsure.or_else(|| coverage.lacks(needs_frame(&never.check), never.gap));
        let verdict = match unsure {
            None => Verdict::True,
            Some(_) => Verdict::CannotTell,
        };
        self.tell(Evidence::Condition {
            condition: format!("never within {:?}: {}", never.window, never.check),
            verdict: record::verdict(verdict).to_string(),
            reason: coverage.to_string(),
        });
        if let (true, Some(frame)) = (self.shown.is_none(), &last) {
            self.show(Role::Checked, frame, Vec::new()).await;
        }
        match unsure {
            None => Ok(()),
            Some(why) => Err(Failure::error(
                class,
                "CannotTell",
                format!("{}: whether it held at some moment is not known: {why}", never.check),
            )),
        }
    }
}

/// Ends with the step, whatever ends that.
struct Watcher(tokio::task::JoinHandle<()>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn watch(desktop: Arc<dyn Screen>, seen: Arc<Mutex<Seen>>, end: Instant) {
    loop {
        let frame = desktop.capture().await;
        let now = Instant::now();
        match frame {
            Ok(frame) => lock(&seen).note(frame, now),
            Err(error) => {
                lock(&seen).error = Some(error.into());
                return;
            }
        }
        if now >= end {
            return;
        }
        sleep(EVERY.min(end.saturating_duration_since(now))).await;
    }
}

impl Seen {
    fn note(&mut self, frame: Arc<Frame>, now: Instant) {
        self.samples += 1;
        if let Some(last) = self.last.replace(now) {
            self.gap = self.gap.max(now - last);
        }
        let digest = frame.digest();
        if self.digest.as_ref() == Some(&digest) {
            return;
        }
        self.digest = Some(digest);
        if self.waiting.len() >= WAITING {
            self.skipped += 1;
        } else {
            self.waiting.push_back(frame);
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage};

    #[test]
    fn a_watch_with_holes_is_no_watch() {
        let gap = |ms| Coverage {
            gap: Duration::from_millis(ms),
            ..Coverage::default()
        };
        assert_eq!(gap(500).lacks(true, None), None);
        assert!(gap(501).lacks(true, None).is_some_and(|why| why.contains("501 ms")));
        assert!(gap(101).lacks(true, Some(Duration::from_millis(100))).is_some());
        let skipped = Coverage { skipped: 1, ..gap(1) };
        assert!(skipped.lacks(true, None).is_some());
        // Where no picture decides, only the looks at the guest count.
        assert_eq!(skipped.lacks(false, None), None);
        let guest = |ms| Coverage {
            guest: Some(Duration::from_millis(ms)),
            ..gap(9000)
        };
        assert_eq!(guest(5000).lacks(false, None), None);
        assert!(
            guest(5001)
                .lacks(false, None)
                .is_some_and(|why| why.contains("5001 ms"))
        );
        assert!(guest(101).lacks(false, Some(Duration::from_millis(100))).is_some());
    }

    #[test]
    fn each_picture_once_and_no_more_than_fit() {
        let frame = |n: u8| Arc::new(Frame::from_image(RgbaImage::from_pixel(2, 2, Rgba([n, 0, 0, 255]))));
        let (mut seen, now) = (Seen::default(), Instant::now());
        for (i, n) in [1, 1, 2, 1].into_iter().enumerate() {
            seen.note(frame(n), now + Duration::from_millis(100 * i as u64));
        }
        assert_eq!((seen.samples, seen.waiting.len(), seen.skipped), (4, 3, 0));
        assert_eq!(seen.gap, Duration::from_millis(100));
        for n in 10..60 {
            seen.note(frame(n), now + Duration::from_secs(2));
        }
        assert_eq!((seen.waiting.len(), seen.skipped), (WAITING, 29));
    }
}
