//! Templates that were found to be usable a moment ago: a burst of clones reads the one configuration once.

use super::super::context::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a template counts as looked at. One that is edited meanwhile shows at the start of its clones instead.
const AGE: Duration = Duration::from_secs(30);

/// When a template was found to be usable, by cluster and VMID.
#[derive(Default)]
pub struct Checked(Mutex<BTreeMap<(String, u32), Instant>>);

impl Checked {
    /// Whether the template was usable a moment ago.
    pub fn is_good(&self, cluster: &str, vmid: u32) -> bool {
        self.is_good_at(cluster, vmid, Instant::now())
    }

    fn is_good_at(&self, cluster: &str, vmid: u32, now: Instant) -> bool {
        let at = lock(&self.0).get(&(cluster.to_string(), vmid)).copied();
        at.is_some_and(|at| now.duration_since(at) < AGE)
    }

    /// The template is usable.
    pub fn good(&self, cluster: &str, vmid: u32) {
        let now = Instant::now();
        let mut all = lock(&self.0);
        all.retain(|_, at| now.duration_since(*at) < AGE);
        all.insert((cluster.to_string(), vmid), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_a_while_and_for_one_cluster() {
        let checked = Checked::default();
        let now = Instant::now();
        checked.good("a", 100);
        assert!(checked.is_good_at("a", 100, now));
        assert!(!checked.is_good_at("b", 100, now) && !checked.is_good_at("a", 101, now));
        assert!(!checked.is_good_at("a", 100, now + AGE + Duration::from_secs(1)));
    }
}
