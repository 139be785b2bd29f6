//! When the background task has to wake, and what is overdue then.

use std::time::{Duration, Instant};

use super::Error;
use super::playing::Playing;
use super::task::{NUDGE, Task};

impl Task {
    pub(super) fn check_deadlines(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        self.drop_late(now, None);
        if self.proof.due().is_some_and(|due| due <= now) {
            let next = self.proof.overdue(now, self.link.decoder.in_update());
            self.go_on(next);
        }
        if let Some(dead) = self.dead_at()
            && dead <= now
        {
            return Err(match self.link.heard + self.options.silence <= now {
                true => Error::Silent {
                    after: self.options.silence,
                },
                false => Error::Unanswered { after: self.patience() },
            });
        }
        self.link.check_blocked(now, self.options.timeout)
    }

    /// When the link counts as dead: only where it can be opened anew, and something has been asked. Nothing comes, or all
    /// sorts of things and never the answer.
    fn dead_at(&self) -> Option<Instant> {
        let since = self.proof.since().filter(|_| self.dial.is_some())?;
        let silent = since.max(self.link.heard) + self.options.silence;
        Some(silent.min(since + self.patience()))
    }

    /// How long a server that says something may take for an answer. A large picture over a thin wire is an answer, but one
    /// that never ends is none.
    fn patience(&self) -> Duration {
        self.options.timeout * if self.link.decoder.in_update() { 8 } else { 2 }
    }

    /// Answers those whose time is over. `trouble` is what keeps the link from working, for the message.
    pub(super) fn drop_late(&mut self, now: Instant, trouble: Option<&Error>) {
        for list in [&mut self.asked, &mut self.waiting] {
            for late in list.extract_if(.., |w| w.deadline <= now) {
                let after = late.limit;
                let _ = late.done.send(Err(match trouble {
                    Some(reason) => Error::Offline {
                        after,
                        reason: reason.to_string(),
                    },
                    None => Error::Timeout {
                        what: "a full picture of the screen",
                        after,
                    },
                }));
            }
        }
        for late in self.watchers.extract_if(.., |w| w.deadline <= now) {
            let _ = late.done.send(Ok(None));
        }
    }

    pub(super) fn next_deadline(&self) -> Instant {
        let waiters = self.asked.iter().chain(&self.waiting).map(|w| w.deadline);
        let watchers = self.watchers.iter().map(|w| w.deadline);
        let nudge = nudge_at(
            self.nudged,
            !self.watchers.is_empty(),
            self.proof.busy(),
            self.link.sending(),
        );
        waiters
            .chain(watchers)
            .chain(nudge)
            .chain(self.proof.due())
            .chain(self.dead_at())
            .chain(self.playing.iter().map(Playing::due))
            .chain(self.link.blocked_since().map(|t| t + self.options.timeout))
            .min()
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }
}

/// When the pointer is to be told again: while changes are waited for, and the server is not busy with something else
/// already. A time that has passed and does nothing would wake the task without end.
fn nudge_at(last: Instant, waited_for: bool, asked: bool, sending: bool) -> Option<Instant> {
    (waited_for && !asked && !sending).then(|| last + NUDGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wakes_the_task_that_it_cannot_do() {
        let now = Instant::now();
        assert_eq!(nudge_at(now, true, false, false), Some(now + NUDGE));
        for (waited_for, asked, sending) in [(false, false, false), (true, true, false), (true, false, true)] {
            assert_eq!(nudge_at(now, waited_for, asked, sending), None);
        }
    }
}
