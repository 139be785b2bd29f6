//! How long to wait before the next try.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Pause after `failures` consecutive failures: 1 s, 2 s, 4 s, ... at most a minute.
pub fn after_failures(failures: u32) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    Duration::from_secs(1u64 << (failures - 1).min(6)).min(Duration::from_secs(60))
}

/// Pause between looks at something that has been going on for `elapsed`: short at first, as a linked clone or a
/// resumed VM takes well under a second, longer later.
pub fn polling(elapsed: Duration) -> Duration {
    (Duration::from_millis(150) + elapsed / 20).min(Duration::from_secs(4))
}

/// Spreads waits by up to a quarter, so that objects created together do not stay in step.
pub fn jitter(d: Duration) -> Duration {
    d + d.mul_f64(rand::random::<f64>() / 4.0)
}

/// The time after a pause, to the second as objects keep it, never earlier.
pub fn later(now: Timestamp, pause: Duration) -> Timestamp {
    let seconds = i64::try_from(pause.as_millis().div_ceil(1000)).unwrap_or(60);
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_is_bounded() {
        let secs: Vec<u64> = (0..10).map(|n| after_failures(n).as_secs()).collect();
        assert_eq!(secs, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(polling(Duration::ZERO) < Duration::from_millis(300));
        assert_eq!(polling(Duration::from_secs(600)), Duration::from_secs(4));
    }
}
