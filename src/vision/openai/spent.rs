//! What a run and each of its steps may spend on a model, what they have spent, and the record of every request.

use super::super::{Error, Request};
use super::ask::Meter;
use super::money::{Money, Prices};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What may be spent; nothing of it is limited where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Requests that were sent, each that was sent again too.
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
    /// By id: a step that holds others comes to itself again after them.
    steps: BTreeMap<String, Spent>,
    step: String,
    requests: Vec<Request>,
}

impl Inner {
    /// Adds to what the run and the present step have spent.
    fn spend(&mut self, add: impl Fn(&mut Spent)) {
        add(&mut self.run);
        add(self.steps.entry(self.step.clone()).or_default());
    }
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

    /// From now on it is this step that spends.
    pub fn in_step(&self, step: &str) {
        self.lock().step = step.to_string();
    }

    /// Refuses another request where a budget is spent.
    fn check(&self, model: &str) -> Result<(), Error> {
        let inner = self.lock();
        let of_run = inner
            .run
            .exceeds(&self.limits.run)
            .map(|spent| ("run", "budget", spent));
        let of_step = || {
            let step = inner.steps.get(&inner.step).copied().unwrap_or_default();
            step.exceeds(&self.limits.step)
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

    /// Begins to ask. The record is kept also if nobody waits for the answer.
    ///
    /// # Errors
    /// A budget is spent.
    pub fn begin(&self, request: Request) -> Result<Pending<'_>, Error> {
        self.check(&request.model)?;
        Ok(Pending {
            account: self,
            model: request.model.clone(),
            tokens: Mutex::default(),
            request: Some(request),
            start: Instant::now(),
        })
    }

    fn add(&self, mut request: Request) {
        let tokens = request.tokens.map_or(0, |(a, b)| a.saturating_add(b));
        let cost = self.limits.prices.zip(request.tokens).map(|(p, tokens)| p.of(tokens));
        request.cost = cost;
        let mut inner = self.lock();
        inner.spend(|spent| {
            spent.tokens = spent.tokens.saturating_add(tokens);
            spent.time += Duration::from_millis(request.ms);
            spent.cost = spent.cost.plus(cost.unwrap_or_default());
        });
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

/// What is being asked, with one request or, where it failed, several.
pub(super) struct Pending<'a> {
    account: &'a Account,
    model: String,
    /// Of all answers together.
    tokens: Mutex<Option<(u64, u64)>>,
    request: Option<Request>,
    start: Instant,
}

impl Meter for Pending<'_> {
    fn sending(&self) -> Result<(), Error> {
        self.account.check(&self.model)?;
        self.account.lock().spend(|spent| spent.calls += 1);
        Ok(())
    }

    fn used(&self, (request, answer): (u64, u64)) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (a, b) = tokens.unwrap_or_default();
        *tokens = Some((a.saturating_add(request), b.saturating_add(answer)));
    }
}

impl Pending<'_> {
    /// Writes down how it ended.
    pub fn end(mut self, answer: Result<String, String>) {
        if let Some(request) = &mut self.request {
            request.answer = answer;
        }
    }
}

/// What costs nothing of a budget; its tokens are told all the same.
#[derive(Default)]
pub(super) struct Free(pub Mutex<Option<(u64, u64)>>);

impl Meter for Free {
    fn sending(&self) -> Result<(), Error> {
        Ok(())
    }

    fn used(&self, tokens: (u64, u64)) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokens);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let ms = self.start.elapsed().as_millis() as u64;
        let tokens = *self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(request) = self.request.take() {
            self.account.add(Request { ms, tokens, ..request });
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
        let begin = || {
            account
                .begin(request())
                .and_then(|asking| asking.sending().map(|()| asking))
        };
        drop(begin().expect("the first"));
        let second = begin().expect("the second");
        assert!(account.begin(request()).is_err());
        // It failed after it was answered, and is not sent again without a budget for it.
        second.used((1, 2));
        assert!(second.sending().is_err());
        second.used((2, 2));
        second.end(Ok("yes".into()));
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
            begun.sending().map_err(|e| e.to_string())?;
            begun.used((tokens, 1));
            begun.end(Ok("yes".into()));
            Ok::<_, String>(())
        };
        account.in_step("outer");
        ask(100).and(ask(100)).expect("two of a step");
        let error = ask(1).unwrap_err();
        assert!(
            error.contains("the step's budget") && error.contains("2 of 2 requests") && error.contains("stepBudget"),
            "{error}"
        );
        // The step that holds another has spent what it had also after that.
        account.in_step("inner");
        account.check("m").expect("the next step");
        account.in_step("outer");
        let held = account.check("m").unwrap_err().to_string();
        assert!(held.contains("the step's budget"), "{held}");
        account.in_step("inner");
        ask(300).expect("the next step");
        let error = ask(1).unwrap_err();
        assert!(
            error.contains("the run's budget") && error.contains("a cost of 0.5 of 0.5"),
            "{error}"
        );
        assert_eq!(account.take()[0].cost.map(Money::units), Some(0.1));
    }
}
