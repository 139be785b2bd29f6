//! Answers that need not be asked for again: to the same words, of the same model, about the same pixels. That such an
//! answer could not be read is kept too: it would cost the same again, and say the same.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How many answers are kept, the newest.
const MOST: usize = 256;

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
}

#[derive(Default)]
struct Inner {
    answers: HashMap<Asked, Came>,
    order: VecDeque<Asked>,
}

/// The kept answers of one run.
#[derive(Default)]
pub(super) struct Kept(Mutex<Inner>);

impl Kept {
    pub fn get(&self, asked: &Asked) -> Option<Came> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.answers.get(asked).cloned()
    }

    pub fn put(&self, asked: Asked, came: Came) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        if inner.answers.insert(asked.clone(), came).is_none() {
            inner.order.push_back(asked);
        }
        while inner.order.len() > MOST {
            inner.order.pop_front().and_then(|oldest| inner.answers.remove(&oldest));
        }
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
}
