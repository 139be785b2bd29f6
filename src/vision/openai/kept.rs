//! Answers that need not be asked for again: to the same words, of the same model, about the same pixels. That such an
//! answer could not be read is kept too, for the rest of the step: it would cost the same again, and say the same. An answer
//! without a text is a fault that may pass: it is asked for again, but later each time, and not for ever.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many answers are kept, the newest.
const MOST: usize = 256;
/// How often what has an answer without a text is asked in one step, and how long it is let alone after the first of them;
/// after each that follows, twice as long.
const MOST_EMPTY: u32 = 4;
const AFTER_EMPTY: Duration = Duration::from_secs(1);

/// What an answer depends on. The parameters of requests are always the same, and a run has one provider.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub model: String,
    pub prompt: String,
    /// Digest of the picture as it was sent.
    pub picture: String,
}

/// What asking came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// An answer that can be read.
    Answer(String),
    /// None that can be read, also when it was asked for again.
    Unusable {
        /// What is wrong with the last one.
        problem: String,
        /// The last one.
        answer: String,
    },
    /// Answers without a text.
    Empty {
        /// How many.
        times: u32,
        /// From when on it may be asked again.
        again: Instant,
    },
}

impl Came {
    /// No text, as often as that is tried in one step.
    pub fn stays_empty(&self) -> bool {
        matches!(self, Came::Empty { times, .. } if *times >= MOST_EMPTY)
    }
}

#[derive(Default)]
struct Inner {
    answers: HashMap<Asked, Came>,
    order: VecDeque<Asked>,
    step: String,
}

impl Inner {
    fn forget(&mut self, which: impl Fn(&Asked, &Came) -> bool) {
        self.answers.retain(|asked, came| !which(asked, came));
        let answers = &self.answers;
        self.order.retain(|asked| answers.contains_key(asked));
    }
}

/// The kept answers of one run.
#[derive(Default)]
pub(super) struct Kept(Mutex<Inner>);

impl Kept {
    pub fn get(&self, asked: &Asked) -> Option<Came> {
        self.lock().answers.get(asked).cloned()
    }

    pub fn put(&self, asked: Asked, came: Came) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        if inner.answers.insert(asked.clone(), came).is_none() {
            inner.order.push_back(asked);
        }
        while inner.order.len() > MOST {
            inner.order.pop_front().and_then(|oldest| inner.answers.remove(&oldest));
        }
    }

    /// The answer had no text, now.
    pub fn empty(&self, asked: &Asked, now: Instant) {
        let times = match self.get(asked) {
            Some(Came::Empty { times, .. }) => times,
            _ => 0,
        };
        let again = now + AFTER_EMPTY * 2_u32.saturating_pow(times.min(MOST_EMPTY));
        self.put(
            asked.clone(),
            Came::Empty {
                times: times + 1,
                again,
            },
        );
    }

    /// Nothing of this is kept any more.
    pub fn forget(&self, asked: &Asked) {
        self.lock().forget(|other, _| other == asked);
    }

    /// From now on it is this step that asks: what was of no use to another may be of use to it.
    pub fn in_step(&self, step: &str) {
        let mut inner = self.lock();
        if inner.step != step {
            inner.step = step.to_string();
            inner.forget(|_, came| !matches!(came, Came::Answer(_)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let kept = Kept::default();
        let asked = |n: usize| Asked {
            model: "m".into(),
            prompt: n.to_string(),
            picture: "p".into(),
        };
        let yes = Came::Answer("yes".into());
        (0..=MOST).for_each(|n| kept.put(asked(n), yes.clone()));
        assert_eq!(kept.get(&asked(0)), None);
        assert_eq!(kept.get(&asked(1)), Some(yes));
        let other = Asked {
            picture: "q".into(),
            ..asked(1)
        };
        assert_eq!(kept.get(&other), None);
    }

    #[test]
    fn what_was_of_no_use_is_kept_for_the_step_alone() {
        let kept = Kept::default();
        let asked = |prompt: &str| Asked {
            model: "m".into(),
            prompt: prompt.into(),
            picture: "p".into(),
        };
        let unusable = Came::Unusable {
            problem: "no JSON".into(),
            answer: "hm".into(),
        };
        let yes = Came::Answer("yes".into());
        kept.in_step("a");
        kept.put(asked("one"), unusable.clone());
        kept.put(asked("two"), yes.clone());
        let start = Instant::now();
        let mut now = start;
        for times in 1..=MOST_EMPTY {
            kept.empty(&asked("three"), now);
            let came = kept.get(&asked("three")).expect("kept");
            let Came::Empty { times: told, again } = came else {
                panic!("{came:?}")
            };
            assert_eq!((told, came.stays_empty()), (times, times == MOST_EMPTY));
            assert_eq!(again - now, AFTER_EMPTY * (1 << (times - 1)));
            now = again;
        }
        // The same step goes on.
        kept.in_step("a");
        assert_eq!(kept.get(&asked("one")), Some(unusable));
        kept.in_step("b");
        assert_eq!((kept.get(&asked("one")), kept.get(&asked("three"))), (None, None));
        assert_eq!(kept.get(&asked("two")), Some(yes));
        kept.forget(&asked("two"));
        assert_eq!(kept.get(&asked("two")), None);
        assert!(kept.lock().order.is_empty());
    }
}
