//! When a picture is proved fresh, as a state machine without I/O.
//!
//! A capture is answered by a full, non-incremental request that is sent after it was asked for: its frame is complete
//! at the end of an update once every pixel has been painted by updates that began after the request. For that to be a
//! proof, no update may be under way that answers something older:
//!
//! * At most one full request is unanswered at any moment. A capture that gives up leaves its request unanswered, and the
//!   next one sends its own only after that answer has come.
//! * Between captures an incremental request may wait for changes. A server may be answering it at the very moment when
//!   a capture begins. So a capture then first asks for one pixel, non-incrementally, and sends its full request when an
//!   update has painted that pixel: servers answer all that is asked of them with one update, so nothing older than
//!   the question for the pixel can come after it. The frame counts as requested when the pixel was.
//! * An answer may lack parts that the server was about to look at (TigerVNC, when the screen is busy), which then come
//!   with no other answer. When nothing more comes for a while, one pixel is asked for again, and with it everything. If
//!   that took more than one such question, the next capture waits for silence as after a change of the resolution.
//! * A server that paints without having been asked does not keep to that, and is not asked incrementally again.
//! * A change of the resolution breaks the count: some servers drop the request, some answer it in the new size. Then the
//!   request is repeated after a grace time, and the frame is only given out after the link has been silent that long.

use std::time::{Duration, Instant};

use super::Rect;
use super::rfb::Coverage;

/// How long a server may stay silent after a resolution change before a request counts as dropped or answered.
pub(super) const GRACE: Duration = Duration::from_millis(500);
/// How long the rest of an answer may take to begin, the first time.
const RETRY: Duration = Duration::from_millis(50);
/// How long an update without pixels may stand for an answer before changes are asked for again.
const REPEAT: Duration = Duration::from_secs(1);
/// The pixel that is asked for before a full request.
const PIXEL: Rect = Rect {
    x: 0,
    y: 0,
    width: 1,
    height: 1,
};

/// A request to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// What has changed, when something has.
    Changes,
    /// One pixel, now.
    Pixel,
    /// Every pixel, now.
    Full,
}

impl Ask {
    pub(super) fn incremental(self) -> bool {
        self == Ask::Changes
    }

    pub(super) fn rect(self, (width, height): (u32, u32)) -> Rect {
        match self {
            Ask::Pixel => PIXEL,
            Ask::Changes | Ask::Full => Rect::new(0, 0, width, height),
        }
    }
}

/// What the end of an update or of a grace time brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Send(Ask),
    /// The picture answers what was asked at this moment.
    Complete(Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Pixel { since: Instant },
    Full { since: Instant },
}

pub(super) struct Proof {
    coverage: Coverage,
    phase: Phase,
    /// Set by a resolution change while something is asked.
    grace: Option<Instant>,
    /// Set by an answer that is not complete.
    retry: Option<Instant>,
    /// How long the next one is waited for: a slow server is not asked ever more.
    pause: Duration,
    /// The full request of this capture has been sent: what is painted counts.
    full_asked: bool,
    /// A request that no capture waits for has not been answered: an incremental one, or one for a pixel.
    changes_asked: bool,
    /// The update being received began after the request of this phase.
    counting: bool,
    pixel_painted: bool,
    /// The update being received has painted something.
    painted: bool,
    /// When changes are asked for again, after an update that told none.
    repeat: Option<Instant>,
    /// The server paints unasked.
    unasked: bool,
    /// More than one question for a pixel may be unanswered: the answers of the next capture are not told from theirs
    /// until the link has been silent.
    doubt: bool,
}

impl Proof {
    pub(super) fn new((width, height): (u32, u32)) -> Proof {
        Proof {
            coverage: Coverage::new(width, height),
            phase: Phase::Idle,
            grace: None,
            retry: None,
            pause: RETRY,
            full_asked: false,
            changes_asked: false,
            counting: false,
            pixel_painted: false,
            painted: false,
            repeat: None,
            unasked: false,
            doubt: false,
        }
    }

    /// True while a full picture has been asked for and has not come.
    pub(super) fn busy(&self) -> bool {
        self.phase != Phase::Idle
    }

    /// When a full picture was asked for that has not come.
    pub(super) fn since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => None,
            Phase::Pixel { since } | Phase::Full { since } => Some(since),
        }
    }

    /// Begins a capture, if none is under way. To be called only between updates, when all that had arrived has been
    /// decoded.
    pub(super) fn capture(&mut self, now: Instant) -> Option<Ask> {
        if self.busy() {
            return None;
        }
        self.counting = false;
        self.coverage.clear();
        (self.grace, self.retry, self.full_asked) = (None, None, false);
        self.pause = RETRY;
        self.repeat = None;
        if std::mem::take(&mut self.doubt) {
            // Nothing counts before the link has been silent and the picture was asked for after that.
            self.grace = Some(now + GRACE);
            return Some(self.ask_pixel(now));
        }
        Some(match self.changes_asked {
            true => self.ask_pixel(now),
            false => self.ask_full(now),
        })
    }

    fn ask_pixel(&mut self, since: Instant) -> Ask {
        self.pixel_painted = false;
        self.phase = Phase::Pixel { since };
        Ask::Pixel
    }

    fn ask_full(&mut self, since: Instant) -> Ask {
        self.full_asked = true;
        self.phase = Phase::Full { since };
        Ask::Full
    }

    /// Asks for changes, unless that is under way or the server cannot be asked so.
    pub(super) fn watch(&mut self, now: Instant) -> Option<Ask> {
        if self.busy() || self.unasked {
            return None;
        }
        if self.changes_asked {
            self.repeat.take_if(|at| *at <= now)?;
            // Two may be open now, and the answer to the second must not be taken for that to a capture.
            self.doubt = true;
        }
        self.changes_asked = true;
        Some(Ask::Changes)
    }

    /// True if changes are told by this server; else they have to be looked for.
    pub(super) fn tells_changes(&self) -> bool {
        !self.unasked
    }

    pub(super) fn update_began(&mut self) {
        self.counting = self.busy();
        self.painted = false;
    }

    pub(super) fn painted(&mut self, r: &Rect) {
        self.painted = true;
        if self.phase == Phase::Idle {
            // What answers one question too many was asked for.
            self.unasked |= !self.changes_asked && !self.doubt;
        } else if self.counting {
            self.pixel_painted |= r.intersection(&PIXEL).is_some();
            if self.full_asked {
                self.coverage.add(r);
            }
        }
    }

    pub(super) fn resized(&mut self, width: u32, height: u32, now: Instant) {
        self.coverage = Coverage::new(width, height);
        if self.busy() {
            self.grace = Some(now + GRACE);
        }
    }

    pub(super) fn update_ended(&mut self, now: Instant) -> Next {
        if self.phase == Phase::Idle && self.changes_asked {
            if self.painted {
                self.changes_asked = false;
                self.repeat = None;
                return Next::Nothing;
            }
            // Only a pointer or a light. QEMU and TigerVNC keep the request open then; another one is for those that do not.
            self.repeat.get_or_insert(now + REPEAT);
            return Next::Nothing;
        }
        if !self.counting {
            return Next::Nothing;
        }
        if self.grace.is_some() {
            self.grace = Some(now + GRACE);
            return Next::Nothing;
        }
        let Some(since) = self.since() else {
            return Next::Nothing;
        };
        if self.full_asked && self.coverage.is_full() {
            // The pixel of a retry may still be answered.
            self.changes_asked = matches!(self.phase, Phase::Pixel { .. });
            return self.complete(since);
        }
        if matches!(self.phase, Phase::Pixel { .. }) && self.pixel_painted {
            self.changes_asked = false;
            self.retry = None;
            return Next::Send(self.ask_full(since));
        }
        // What paints nothing is a light or a pointer, and the answer is still to come.
        self.retry = Some(now + if self.painted { self.pause } else { GRACE });
        Next::Nothing
    }

    /// When [`Proof::overdue`] is to be called.
    pub(super) fn due(&self) -> Option<Instant> {
        self.grace.or(self.retry)
    }

    /// Repeats the request, or gives the picture out after a resolution change; `in_update` if an update is being
    /// received.
    pub(super) fn overdue(&mut self, now: Instant, in_update: bool) -> Next {
        let Some(since) = self.since() else {
            (self.grace, self.retry) = (None, None);
            return Next::Nothing;
        };
        if self.grace.is_none() {
            self.retry = Some(now + self.pause);
            if in_update {
                return Next::Nothing;
            }
            self.pause = (self.pause * 2).min(GRACE);
            self.doubt |= matches!(self.phase, Phase::Pixel { .. });
            return Next::Send(self.ask_pixel(since));
        }
        if self.full_asked && self.coverage.is_full() && !in_update {
            return self.complete(since);
        }
        // The silence was long enough for whatever answered older questions.
        self.changes_asked = false;
        self.grace = Some(now + GRACE);
        Next::Send(self.ask_full(since))
    }

    fn complete(&mut self, since: Instant) -> Next {
        (self.phase, self.counting) = (Phase::Idle, false);
        (self.grace, self.retry) = (None, None);
        Next::Complete(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Rect = Rect {
        x: 0,
        y: 0,
        width: 8,
        height: 8,
    };

    fn update(p: &mut Proof, painted: &[Rect], now: Instant) -> Next {
        p.update_began();
        painted.iter().for_each(|r| p.painted(r));
        p.update_ended(now)
    }

    #[test]
    fn parts_add_up_and_leftovers_do_not_count() {
        let now = Instant::now();
        let mut p = Proof::new((8, 8));
        assert_eq!(p.capture(now), Some(Ask::Full));
        assert_eq!(p.capture(now), None, "one at a time");
        assert_eq!(update(&mut p, &[Rect::new(0, 0, 8, 4)], now), Next::Nothing);
        assert_eq!(update(&mut p, &[Rect::new(0, 4, 8, 4)], now), Next::Complete(now));
        // An update that began before the request does not count for it.
        p.update_began();
        assert_eq!(p.capture(now), Some(Ask::Full));
        p.painted(&ALL);
        assert_eq!(p.update_ended(now), Next::Nothing);
        assert_eq!(update(&mut p, &[ALL], now), Next::Complete(now));
    }

    #[test]
    fn a_change_on_its_way_is_not_taken_for_the_answer() {
        let (t0, t1) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let mut p = Proof::new((8, 8));
        assert_eq!(p.watch(Instant::now()), Some(Ask::Changes));
        assert_eq!(p.watch(Instant::now()), None);
        assert_eq!(p.capture(t0), Some(Ask::Pixel));
        // The answer to the incremental request, under way when the capture began, although it paints everything.
        assert_eq!(update(&mut p, &[Rect::new(4, 4, 2, 2)], t1), Next::Nothing);
        assert_eq!(update(&mut p, &[ALL], t1), Next::Send(Ask::Full));
        // What has been painted until now does not count.
        assert_eq!(update(&mut p, &[Rect::new(0, 0, 8, 7)], t1), Next::Nothing);
        assert_eq!(update(&mut p, &[Rect::new(0, 7, 8, 1)], t1), Next::Complete(t0));
        assert_eq!(
            p.watch(Instant::now()),
            Some(Ask::Changes),
            "the pixel answered the old one"
        );
        assert_eq!(
            update(&mut p, &[], t1),
            Next::Nothing,
            "a pointer's picture is no change, and no answer"
        );
        assert_eq!(update(&mut p, &[Rect::new(1, 1, 1, 1)], t1), Next::Nothing);
        assert_eq!(p.watch(Instant::now()), Some(Ask::Changes));
    }

    #[test]
    fn an_answer_that_lacks_parts_is_asked_for_again() {
        let (t0, t1) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let mut p = Proof::new((8, 8));
        p.capture(t0);
        assert_eq!(p.due(), None, "the first answer may take its time");
        assert_eq!(update(&mut p, &[], t0), Next::Nothing);
        assert_eq!(update(&mut p, &[Rect::new(0, 0, 8, 4)], t0), Next::Nothing);
        assert!(p.due().is_some());
        assert_eq!(p.overdue(t1, true), Next::Nothing, "not while more is coming");
        assert_eq!(p.overdue(t1, false), Next::Send(Ask::Pixel));
        assert_eq!(p.overdue(t1, false), Next::Send(Ask::Pixel), "even that may be lacking");
        assert_eq!(update(&mut p, &[Rect::new(0, 0, 1, 1)], t1), Next::Send(Ask::Full));
        assert_eq!(update(&mut p, &[Rect::new(0, 4, 8, 4)], t1), Next::Complete(t0));
        assert_eq!(p.capture(t1), Some(Ask::Pixel), "one of the two may still be answered");
        // Or the rest comes after all; then the answer to the pixel is still on its way when the next capture begins.
        let mut p = Proof::new((8, 8));
        p.capture(t0);
        update(&mut p, &[Rect::new(0, 0, 8, 4)], t0);
        p.overdue(t1, false);
        assert_eq!(update(&mut p, &[Rect::new(0, 4, 8, 4)], t1), Next::Complete(t0));
        assert_eq!(p.capture(t1), Some(Ask::Pixel));
    }

    #[test]
    fn of_two_open_questions_for_changes_the_second_proves_nothing() {
        let (t0, t1) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let mut p = Proof::new((8, 8));
        let t2 = t1 + Duration::from_secs(1);
        assert_eq!(p.watch(t0), Some(Ask::Changes));
        // A light, which did not use the question up; or did it?
        assert_eq!(update(&mut p, &[], t0), Next::Nothing);
        assert_eq!(p.watch(t0), None);
        assert_eq!(p.watch(t1), Some(Ask::Changes));
        assert_eq!(update(&mut p, &[Rect::new(0, 0, 8, 4)], t1), Next::Nothing);
        // What answers the second says nothing about the server's manners, and proves nothing.
        update(&mut p, &[ALL], t1);
        assert!(p.tells_changes());
        assert_eq!(p.capture(t1), Some(Ask::Pixel));
        assert_eq!(update(&mut p, &[ALL], t1), Next::Nothing);
        assert_eq!(p.overdue(t2, false), Next::Send(Ask::Full));
        assert_eq!(update(&mut p, &[ALL], t2), Next::Nothing);
        assert_eq!(p.overdue(t2, false), Next::Complete(t1));
    }

    #[test]
    fn answers_that_cannot_be_told_apart_are_waited_out() {
        let (t0, t1) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let t2 = t1 + Duration::from_secs(1);
        let mut p = Proof::new((8, 8));
        p.capture(t0);
        update(&mut p, &[Rect::new(0, 0, 8, 4)], t0);
        // Two questions for a pixel, and the rest comes after all.
        assert_eq!(p.overdue(t1, false), Next::Send(Ask::Pixel));
        assert_eq!(p.overdue(t1, false), Next::Send(Ask::Pixel));
        assert_eq!(update(&mut p, &[Rect::new(0, 4, 8, 4)], t1), Next::Complete(t0));
        // Whatever answers those may paint everything, as it was before the next request.
        assert_eq!(p.capture(t1), Some(Ask::Pixel));
        assert_eq!(update(&mut p, &[ALL], t1), Next::Nothing);
        assert_eq!(update(&mut p, &[ALL], t1), Next::Nothing);
        assert_eq!(p.overdue(t2, false), Next::Send(Ask::Full));
        assert_eq!(update(&mut p, &[ALL], t2), Next::Nothing);
        assert_eq!(p.overdue(t2, false), Next::Complete(t1));
        assert_eq!(p.capture(t2), Some(Ask::Full), "doubt ends with the silence");
    }

    #[test]
    fn a_server_that_paints_unasked_is_looked_at_instead() {
        let now = Instant::now();
        let mut p = Proof::new((8, 8));
        assert!(p.tells_changes());
        update(&mut p, &[], now);
        assert!(p.tells_changes(), "a message about the cursor is no picture");
        update(&mut p, &[ALL], now);
        assert!(!p.tells_changes());
        assert_eq!(p.watch(Instant::now()), None);
        assert_eq!(p.capture(now), Some(Ask::Full));
    }

    #[test]
    fn a_resolution_change_asks_again_and_waits_for_silence() {
        let (t0, later) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        for watched in [false, true] {
            let mut p = Proof::new((8, 8));
            watched.then(|| p.watch(Instant::now()));
            p.capture(t0);
            p.update_began();
            p.resized(4, 4, t0);
            p.painted(&Rect::new(0, 0, 4, 4));
            assert_eq!(p.update_ended(t0), Next::Nothing);
            assert!(p.due() > Some(t0));
            if watched {
                assert_eq!(p.overdue(later, false), Next::Send(Ask::Full));
                update(&mut p, &[Rect::new(0, 0, 4, 4)], later);
            }
            assert_eq!(p.overdue(later, true), Next::Send(Ask::Full), "not within an update");
            assert_eq!(p.overdue(later, false), Next::Complete(t0));
            assert!(!p.busy() && p.due().is_none());
        }
    }
}
