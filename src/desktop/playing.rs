//! An input script on its way.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Error;
use super::script::{Input, Step};

pub(super) struct Playing {
    steps: VecDeque<Step>,
    total: usize,
    due: Instant,
    pub done: oneshot::Sender<Result<(), Error>>,
}

impl Playing {
    pub(super) fn new(steps: Vec<Step>, done: oneshot::Sender<Result<(), Error>>) -> Playing {
        let due = Instant::now() + steps.first().map_or(Duration::ZERO, |s| s.wait);
        Playing {
            total: steps.len(),
            steps: steps.into(),
            due,
            done,
        }
    }

    /// When the next step is to be sent.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The next step if its time has come.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Input> {
        if self.due > now {
            return None;
        }
        let step = self.steps.pop_front()?;
        self.due = now + self.steps.front().map_or(Duration::ZERO, |s| s.wait);
        Some(step.input)
    }

    pub(super) fn finished(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many events have been sent, and of how many.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.total - self.steps.len(), self.total)
    }
}
