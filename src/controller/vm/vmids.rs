//! VMIDs that clones of this process are about to take.
//!
//! Lists and watches tell of a VMID only after its clone was asked for. VMs that are planned in the same moment would
//! all choose the same one, and all but one would be refused, again and again: in a burst of 200, twelve clones were
//! asked for per VM. Proxmox still decides who gets it; this only keeps one process from racing with itself.

use super::super::context::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// By then the list shows the clone, or nobody is about to make it.
const HOLD: Duration = Duration::from_secs(60);

/// Who is about to take which VMID, by cluster.
#[derive(Default)]
pub struct Vmids(Mutex<BTreeMap<String, Kept>>);

/// VMIDs with the UID that is about to take them, and since when.
type Kept = BTreeMap<u32, (String, Instant)>;

impl Vmids {
    /// Adds to `taken` what others are about to take, and keeps for `uid` what it will choose: `planned`, else the
    /// first free one of `range` (inclusive).
    pub fn keep(&self, cluster: &str, uid: &str, planned: Option<u32>, range: (u32, u32), taken: &mut BTreeSet<u32>) {
        self.keep_at(cluster, uid, planned, range, taken, Instant::now());
    }

    fn keep_at(
        &self,
        cluster: &str,
        uid: &str,
        planned: Option<u32>,
        range: (u32, u32),
        taken: &mut BTreeSet<u32>,
        now: Instant,
    ) {
        let mut all = lock(&self.0);
        let kept = all.entry(cluster.to_string()).or_default();
        kept.retain(|_, (owner, since)| owner != uid && now.duration_since(*since) < HOLD);
        taken.extend(kept.keys());
        let first = || (range.0..=range.1).find(|id| !taken.contains(id));
        if let Some(id) = planned.filter(|id| !taken.contains(id)).or_else(first) {
            kept.insert(id, (uid.to_string(), now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_plan_the_same() {
        let (ids, now) = (Vmids::default(), Instant::now());
        let keep = |uid: &str, planned: Option<u32>, at: Instant| {
            let mut taken = BTreeSet::from([5]);
            ids.keep_at("c", uid, planned, (5, 7), &mut taken, at);
            taken.into_iter().collect::<Vec<u32>>()
        };
        assert_eq!(keep("a", None, now), [5], "a will choose 6");
        assert_eq!(keep("a", Some(6), now), [5], "its own is not taken");
        assert_eq!(keep("b", None, now), [5, 6], "b will choose 7");
        assert_eq!(keep("b", Some(6), now), [5, 6], "the planned one is another's");
        assert_eq!(keep("c", None, now), [5, 6, 7], "nothing is left");
        assert_eq!(keep("c", None, now + HOLD), [5], "nobody made a clone");
    }
}
