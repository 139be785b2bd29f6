//! The one place that every request of one controller incarnation passes: writes are recorded, and one of them kills.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Before the write reaches the far side, or after it was carried out and before its answer is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// The `nth` (from 0) write with this label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    pub label: String,
    pub nth: usize,
}

pub struct Gate {
    kill: Option<(Write, When)>,
    dead: watch::Sender<bool>,
    /// All writes, in order.
    journal: Mutex<Vec<Write>>,
    counts: Mutex<BTreeMap<String, usize>>,
    /// Requests that are counted but never kill, by kind: reads, Events.
    others: Mutex<BTreeMap<&'static str, usize>>,
    /// While true, no watch delivers anything.
    pub watches_held: watch::Sender<bool>,
    /// Answers given to list requests instead of the real ones: by plural.
    pub stale_lists: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Gate {
    pub fn open() -> Arc<Gate> {
        Gate::new(None)
    }

    pub fn killing(write: Write, when: When) -> Arc<Gate> {
        Gate::new(Some((write, when)))
    }

    fn new(kill: Option<(Write, When)>) -> Arc<Gate> {
        Arc::new(Gate {
            kill,
            dead: watch::Sender::new(false),
            journal: Mutex::default(),
            counts: Mutex::default(),
            others: Mutex::default(),
            watches_held: watch::Sender::new(false),
            stale_lists: Mutex::default(),
        })
    }

    /// From now on nothing comes through in either direction.
    pub fn die(&self) {
        self.dead.send_replace(true);
    }

    pub fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// Until the gate is dead.
    pub async fn death(&self) {
        let _ = self.dead.subscribe().wait_for(|d| *d).await;
    }

    /// Returns only if alive.
    pub async fn alive(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// A request that changes nothing.
    pub async fn other<T>(&self, kind: &'static str, forward: impl Future<Output = T>) -> T {
        self.alive().await;
        *self.others.lock().expect("lock").entry(kind).or_default() += 1;
        let answer = forward.await;
        self.alive().await;
        answer
    }

    pub async fn write<T>(&self, label: String, forward: impl Future<Output = T>) -> T {
        self.alive().await;
        let nth = {
            let mut counts = self.counts.lock().expect("lock");
            let n = counts.entry(label.clone()).or_default();
            *n += 1;
            *n - 1
        };
        let this = Write { label, nth };
        self.journal.lock().expect("lock").push(this.clone());
        let kill = self.kill.as_ref().filter(|(w, _)| *w == this).map(|(_, when)| *when);
        if kill == Some(When::Before) {
            self.die();
        }
        self.alive().await;
        let answer = forward.await;
        if kill == Some(When::After) {
            self.die();
        }
        self.alive().await;
        answer
    }

    /// All writes so far, in order.
    pub fn writes(&self) -> Vec<Write> {
        self.journal.lock().expect("lock").clone()
    }

    pub fn others(&self) -> BTreeMap<&'static str, usize> {
        self.others.lock().expect("lock").clone()
    }
}
