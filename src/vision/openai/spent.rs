//! What a run and each of its steps may spend on a model, what they have spent, and the record of every request.

use super::super::{Error, Request};
use super::money::{Money, Prices};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What may be spent; nothing of it is limited where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Requests.
    pub calls: Option<u64>,
    /// Tokens of requests and answers, as far as the server tells them.
    pub tokens: Option<u64>,
    /// Time spent waiting for answers.
    pub time: Option<Duration>,
    /// What the tokens cost.
    pub cost: Option<Money>,
}

/// What a run may spend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub run: Budget,
    /// In each step.
    pub step: Budget,
    /// What tokens cost; without prices, nothing is known of the cost.
    pub prices: Option<Prices>,
}

#[derive(Clone, Copy, Default)]
struct Spent {
    calls: u64,
    tokens: u64,
    time: Duration,
    cost: Money,
}

impl Spent {
    /// What of the budget is used up.
    fn exceeds(&self, budget: &Budget) -> Option<String> {
        let seconds = |d: Duration| d.as_secs();
        match *budget {
            Budget { calls: Some(n), .. } if self.calls >= n => Some(format!("{} of {n} requests", self.calls)),
            Budget { tokens: Some(n), .. } if self.tokens >= n => Some(format!("{} of {n} tokens", self.tokens)),
            Budget { time: Some(t), .. } if self.time >= t => {
                Some(format!("{} of {} seconds", seconds(self.time), seconds(t)))
            }
            Budget { cost: Some(c), .. } if self.cost >= c => Some(format!("a cost of {} of {c}", self.cost)),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Inner {
    run: Spent,
    step: Spent,
    requests: Vec<Request>,
}

/// The account of one run.
#[derive(Default)]
pub(super) struct Account {
    limits: Limits,
    inner: Mutex<Inner>,
}

impl Account {
    pub fn new(limits: Limits) -> Account {
        Account {
            limits,
            inner: Mutex::default(),
        }
    }

    /// Another step begins.
    pub fn begin_step(&self) {
        self.lock().step = Spent::default();
    }

    /// Refuses another request where a budget is spent.
    fn check(&self, model: &str) -> Result<(), Error> {
        let inner = self.lock();
        let of_run = inner
            .run
            .exceeds(&self.limits.run)
            .map(|spent| ("run", "budget", spent));
        let of_step = || {
            inner
                .step
                .exceeds(&self.limits.step)
                .map(|spent| ("step", "stepBudget", spent))
        };
        let Some((whose, setting, spent)) = of_run.or_else(of_step) else {
            return Ok(());
        };
        Err(Error::Budget {
            model: model.to_string(),
            whose,
            setting,
            spent,
        })
    }

    /// Counts a request that is about to be sent. Its record is kept also if nobody waits for the answer.
    ///
    /// # Errors
    /// A budget is spent.
    pub fn begin(&self, request: Request) -> Result<Pending<'_>, Error> {
        self.check(&request.model)?;
        let mut inner = self.lock();
        inner.run.calls += 1;
        inner.step.calls += 1;
        Ok(Pending {
            account: self,
            request: Some(request),
            start: Instant::now(),
        })
    }

    fn add(&self, mut request: Request) {
        let tokens = request.tokens.map_or(0, |(a, b)| a.saturating_add(b));
        let cost = self.limits.prices.zip(request.tokens).map(|(p, tokens)| p.of(tokens));
        request.cost = cost;
        let mut guard = self.lock();
        let inner = &mut *guard;
        for spent in [&mut inner.run, &mut inner.step] {
            spent.tokens = spent.tokens.saturating_add(tokens);
            spent.time += Duration::from_millis(request.ms);
            spent.cost = spent.cost.plus(cost.unwrap_or_default());
        }
        inner.requests.push(request);
    }

    /// Keeps the record of what was answered without a request.
    pub fn note(&self, request: Request) {
        self.lock().requests.push(request);
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

    fn request() -> Request {
        Request {
            purpose: "judge",
            model: "m".into(),
            prompt_version: 1,
            prompt: "p".into(),
            picture: "d".into(),
            width: 1,
            height: 1,
            answer: Err("given up".into()),
            tokens: None,
            cost: None,
            kept: false,
            ms: 0,
        }
    }

    #[test]
    fn a_request_that_nobody_waits_for_counts_too() {
        let run = Budget {
            calls: Some(2),
            ..Budget::default()
        };
        let account = Account::new(Limits {
            run,
            ..Limits::default()
        });
        drop(account.begin(request()).expect("the first"));
        let second = account.begin(request()).expect("the second");
        assert!(account.begin(request()).is_err());
        second.end(Ok("yes".into()), Some((3, 4)));
        let told: Vec<_> = account.take().into_iter().map(|r| r.answer).collect();
        assert_eq!(told, [Err("given up".to_string()), Ok("yes".to_string())]);
        assert_eq!(account.lock().run.tokens, 7);
    }

    #[test]
    fn a_step_has_a_budget_of_its_own_and_money_is_counted() {
        let half = Money::parse("0.5").expect("money");
        let prices = Prices {
            input: Money::parse("1000").expect("money"),
            output: Money::default(),
        };
        let limits = Limits {
            run: Budget {
                cost: Some(half),
                ..Budget::default()
            },
            step: Budget {
                calls: Some(2),
                ..Budget::default()
            },
            prices: Some(prices),
        };
        let account = Account::new(limits);
        let ask = |tokens: u64| {
            let begun = account.begin(request()).map_err(|e| e.to_string())?;
            begun.end(Ok("yes".into()), Some((tokens, 1)));
            Ok::<_, String>(())
        };
        ask(100).and(ask(100)).expect("two of a step");
        let error = ask(1).unwrap_err();
        assert!(
            error.contains("the step's budget") && error.contains("2 of 2 requests") && error.contains("stepBudget"),
            "{error}"
        );
        account.begin_step();
        ask(300).expect("the next step");
        let error = ask(1).unwrap_err();
        assert!(
            error.contains("the run's budget") && error.contains("a cost of 0.5 of 0.5"),
            "{error}"
        );
        assert_eq!(account.take()[0].cost.map(Money::units), Some(0.1));
    }
}
