//! How many clones and starts a cluster is asked for at once.
//!
//! The watch tells of other VMs' actions, but late: VMs that are looked at in the same moment would all go ahead. So
//! whoever may go ahead is noted in memory as well, until its status says so or it has got on. After a restart of the
//! controller only the watch counts.

use super::super::context::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// By then the watch has seen the intent of whoever went ahead.
const HOLD: Duration = Duration::from_secs(5);

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Clone,
    Start,
}

/// UIDs that may go ahead, by cluster.
#[derive(Default)]
pub struct Slots(Mutex<BTreeMap<(String, Kind), BTreeMap<String, Instant>>>);

impl Slots {
    /// The others in flight, besides those of which the watch knows. If they are fewer than `limit`, `uid` is noted too.
    pub fn take(&self, cluster: &str, kind: Kind, uid: &str, limit: u32, watched: BTreeSet<String>) -> u32 {
        self.take_at(cluster, kind, uid, limit, watched, Instant::now())
    }

    fn take_at(
        &self,
        cluster: &str,
        kind: Kind,
        uid: &str,
        limit: u32,
        mut others: BTreeSet<String>,
        now: Instant,
    ) -> u32 {
        let mut all = lock(&self.0);
        let held = all.entry((cluster.to_string(), kind)).or_default();
        held.retain(|_, since| now.duration_since(*since) < HOLD);
        others.extend(held.keys().cloned());
        others.remove(uid);
        let count = others.len() as u32;
        if count < limit.max(1) {
            held.insert(uid.to_string(), now);
        }
        count
    }

    /// `uid` has got on, or gave up.
    pub fn give(&self, cluster: &str, kind: Kind, uid: &str) {
        if let Some(held) = lock(&self.0).get_mut(&(cluster.to_string(), kind)) {
            held.remove(uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_allowed() {
        let (slots, now) = (Slots::default(), Instant::now());
        let take = |uid: &str, watched: &[&str], at| {
            let watched = watched.iter().map(|s| s.to_string()).collect();
            slots.take_at("c", Kind::Clone, uid, 2, watched, at)
        };
        assert_eq!(take("a", &[], now), 0);
        assert_eq!(take("a", &[], now), 0, "its own slot does not count");
        assert_eq!(take("b", &["a"], now), 1, "known by both, counted once");
        assert_eq!(take("c", &[], now), 2);
        slots.give("c", Kind::Clone, "a");
        assert_eq!(take("c", &["x"], now), 2);
        assert_eq!(take("c", &[], now), 1);
        assert_eq!(take("d", &[], now + HOLD), 0, "forgotten after a while");
        assert_eq!(slots.take("other", Kind::Clone, "d", 1, BTreeSet::new()), 0);
        assert_eq!(slots.take("c", Kind::Start, "d", 1, BTreeSet::new()), 0);
    }
}
