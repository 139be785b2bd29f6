//! What a run may spend on a model, what it has spent, and the record of every request.

use super::super::{Error, Request};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    fn check(&self, model: &str) -> Result<(), Error> {
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

    /// Counts a request that is about to be sent. Its record is kept also if nobody waits for the answer.
    ///
    /// # Errors
    /// The budget is spent.
    pub fn begin(&self, request: Request) -> Result<Pending<'_>, Error> {
        self.check(&request.model)?;
        self.lock().calls += 1;
        Ok(Pending {
            account: self,
            request: Some(request),
            start: Instant::now(),
        })
    }

    fn add(&self, request: Request) {
        let mut inner = self.lock();
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

/// A request on its way.
pub(super) struct Pending<'a> {
    account: &'a Account,
    request: Option<Request>,
    start: Instant,
}

impl Pending<'_> {
    /// Writes down how it ended.
    pub fn end(mut self, answer: Result<String, String>, tokens: Option<(u64, u64)>) {
        if let Some(request) = &mut self.request {
            (request.answer, request.tokens) = (answer, tokens);
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let ms = self.start.elapsed().as_millis() as u64;
        if let Some(request) = self.request.take() {
            self.account.add(Request { ms, ..request });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_nobody_waits_for_counts_too() {
        let account = Account::new(Budget {
            calls: Some(2),
            ..Budget::default()
        });
        let request = || Request {
            purpose: "judge",
            model: "m".into(),
            prompt_version: 1,
            prompt: "p".into(),
            picture: "d".into(),
            width: 1,
            height: 1,
            answer: Err("given up".into()),
            tokens: None,
            ms: 0,
        };
        drop(account.begin(request()).expect("the first"));
        let second = account.begin(request()).expect("the second");
        assert!(account.begin(request()).is_err());
        second.end(Ok("yes".into()), Some((3, 4)));
        let told: Vec<_> = account.take().into_iter().map(|r| r.answer).collect();
        assert_eq!(told, [Err("given up".to_string()), Ok("yes".to_string())]);
        assert_eq!(account.lock().tokens, 7);
    }
}
