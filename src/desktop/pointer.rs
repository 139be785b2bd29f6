//! How the pointer travels. A pointer that jumps produces no motion events, so hover and enter handlers never run.

use std::time::Duration;

use super::Point;
use super::script::{Input, Step};

/// The way from one place to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// One event at the target.
    Instant,
    /// Evenly along a straight line within this time.
    Linear(Duration),
}

/// Time between two motion events: one display frame.
const TICK: Duration = Duration::from_millis(16);

impl Motion {
    /// The events from `from` to `to`; the last is exactly at `to`, and there is always one.
    pub(super) fn path(self, from: Point, to: Point) -> Vec<Step> {
        let count = match self {
            Motion::Instant => 1,
            _ if from == to => 1,
            Motion::Linear(time) => (time.as_millis() / TICK.as_millis()).clamp(1, 1000) as i64,
        };
        let between = |a: u32, b: u32, i: i64| (i64::from(a) + (i64::from(b) - i64::from(a)) * i / count) as u32;
        (1..=count)
            .map(|i| Step {
                wait: if count == 1 { Duration::ZERO } else { TICK },
                input: Input::Pointer {
                    at: Point::new(between(from.x, to.x, i), between(from.y, to.y, i)),
                },
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_where_it_should() {
        let (a, b) = (Point::new(1000, 3), Point::new(7, 700));
        for motion in [
            Motion::Instant,
            Motion::Linear(Duration::from_millis(150)),
            Motion::Linear(Duration::ZERO),
        ] {
            let path = motion.path(a, b);
            assert!(path.last().unwrap().input == Input::Pointer { at: b });
        }
        assert_eq!(Motion::Linear(Duration::from_millis(160)).path(a, b).len(), 10);
    }
}
