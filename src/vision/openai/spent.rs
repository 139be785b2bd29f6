//! What a run may spend on a model, what it has spent, and the record of every request.

use super::super::{Error, Request};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a run may spend; nothing of it is limited where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Requests.
    pub calls: Option<u64>,
    /// Tokens of requests and answers, as far as the server tells them.
    pub tokens: Option<u64>,
    /// Time spent waiting for answers.
    pub time: Option<Duration>,
}

#[derive(Default)]
struct Inner {
    calls: u64,
    tokens: u64,
    time: Duration,
    requests: Vec<Request>,
}

/// The account of one run.
#[derive(Default)]
pub(super) struct Account {
    budget: Budget,
    inner: Mutex<Inner>,
}

impl Account {
    pub fn new(budget: Budget) -> Account {
        Account {
            budget,
            inner: Mutex::default(),
        }
    }

    /// Refuses another request where the budget is spent.
    pub fn check(&self, model: &str) -> Result<(), Error> {
        let inner = self.lock();
        let seconds = |d: Duration| d.as_secs();
        let spent = match self.budget {
            Budget { calls: Some(n), .. } if inner.calls >= n => format!("{} of {n} requests", inner.calls),
            Budget { tokens: Some(n), .. } if inner.tokens >= n => format!("{} of {n} tokens", inner.tokens),
            Budget { time: Some(t), .. } if inner.time >= t => {
                format!("{} of {} seconds", seconds(inner.time), seconds(t))
            }
            _ => return Ok(()),
        };
        let model = model.to_string();
        Err(Error::Budget { model, spent })
    }

    pub fn add(&self, request: Request) {
        let mut inner = self.lock();
        inner.calls += 1;
        let tokens = request.tokens.map_or(0, |(a, b)| a.saturating_add(b));
        inner.tokens = inner.tokens.saturating_add(tokens);
        inner.time += Duration::from_millis(request.ms);
        inner.requests.push(request);
    }

    /// The requests since the last call.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.lock().requests)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
