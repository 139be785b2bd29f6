//! How the pointer travels. A pointer that jumps produces no motion events, so hover and enter handlers never run.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Point;
use super::script::{Input, Step};

/// The way from one place to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// One event at the target.
    Instant,
    /// Evenly along a straight line within this time.
    Linear(Duration),
    /// Along a curve, slowly at both ends, within this time. The seed decides how the curve bends.
    Bezier(Duration, u64),
    /// As if pulled by gravity and pushed by a changing wind (after B. Land's WindMouse); as long as that takes. The
    /// seed decides about the wind.
    WindMouse(u64),
}

/// Time between two motion events: one display frame.
const TICK: Duration = Duration::from_millis(16);
/// Most events of one way.
const LONGEST: usize = 1000;

type Place = (f64, f64);

impl Motion {
    /// The events from `from` to `to`; the last is exactly at `to`, and there is always one. Equal motions between equal
    /// places give equal events.
    pub(super) fn path(self, from: Point, to: Point) -> Vec<Step> {
        let count = |time: Duration| (time.as_millis() / TICK.as_millis()).clamp(1, LONGEST as u128) as usize;
        let (a, b) = (place(from), place(to));
        let mut way = match self {
            Motion::Instant => Vec::new(),
            _ if from == to => Vec::new(),
            Motion::Linear(time) => even(count(time)).map(|t| between(a, b, t)).collect(),
            Motion::Bezier(time, seed) => bezier(a, b, count(time), seed),
            Motion::WindMouse(seed) => wind_mouse(a, b, seed),
        };
        // The target itself, whatever rounding has made of it.
        way.pop();
        let mut places: Vec<Point> = way.into_iter().map(point).collect();
        places.push(to);
        let wait = if places.len() == 1 { Duration::ZERO } else { TICK };
        let steps = places.into_iter().map(|at| Step {
            wait,
            input: Input::Pointer { at },
        });
        steps.collect()
    }
}

fn place(p: Point) -> Place {
    (p.x.into(), p.y.into())
}

/// The pixel at a place; what lies left of or above the screen is moved to its edge. The far edges are the caller's:
/// paths stay near the line between two places on the screen, and servers clamp.
fn point((x, y): Place) -> Point {
    Point::new(x.round().max(0.0) as u32, y.round().max(0.0) as u32)
}

fn even(count: usize) -> impl Iterator<Item = f64> {
    (1..=count).map(move |i| i as f64 / count as f64)
}

fn between(a: Place, b: Place, t: f64) -> Place {
    (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t)
}

/// A cubic curve whose middle points lie beside the straight line.
fn bezier(a: Place, b: Place, count: usize, seed: u64) -> Vec<Place> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut beside = |t: f64| {
        let (x, y) = between(a, b, t);
        let bend = random.random_range(-0.2..0.2);
        (x - (b.1 - a.1) * bend, y + (b.0 - a.0) * bend)
    };
    let (c, d) = (beside(0.3), beside(0.7));
    let at = |t: f64| {
        // Slow at both ends.
        let t = t * t * (3.0 - 2.0 * t);
        let (ab, bc, cd) = (between(a, c, t), between(c, d, t), between(d, b, t));
        between(between(ab, bc, t), between(bc, cd, t), t)
    };
    even(count).map(at).collect()
}

fn wind_mouse(a: Place, b: Place, seed: u64) -> Vec<Place> {
    const GRAVITY: f64 = 9.0;
    const WIND: f64 = 3.0;
    const STEADY: f64 = 12.0;
    let mut random = StdRng::seed_from_u64(seed);
    let (mut at, mut velocity, mut wind) = (a, (0.0, 0.0), (0.0, 0.0));
    let mut most: f64 = 45.0;
    let mut way = Vec::new();
    while way.len() < LONGEST {
        let (dx, dy) = (b.0 - at.0, b.1 - at.1);
        let distance = f64::hypot(dx, dy);
        if distance < 1.0 {
            break;
        }
        let push = WIND.min(distance);
        if distance >= STEADY {
            let mut gust = |old: f64| old / 3f64.sqrt() + random.random_range(-1.0..1.0) * push / 5f64.sqrt();
            wind = (gust(wind.0), gust(wind.1));
        } else {
            // Near the target the wind dies down and steps get short.
            wind = (wind.0 / 3f64.sqrt(), wind.1 / 3f64.sqrt());
            most = (most / 5f64.sqrt()).max(3.0);
        }
        velocity.0 += wind.0 + GRAVITY * dx / distance;
        velocity.1 += wind.1 + GRAVITY * dy / distance;
        let speed = f64::hypot(velocity.0, velocity.1);
        let limit = most.min(distance);
        if speed > limit {
            velocity = (velocity.0 / speed * limit, velocity.1 / speed * limit);
        }
        at = (at.0 + velocity.0, at.1 + velocity.1);
        way.push(at);
    }
    way.push(b);
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(motion: Motion, a: Point, b: Point) -> Vec<Point> {
        let at = |s: Step| match s.input {
            Input::Pointer { at } => at,
            _ => panic!("only pointer events"),
        };
        motion.path(a, b).into_iter().map(at).collect()
    }

    #[test]
    fn a_path_ends_where_it_should_and_is_the_same_again() {
        let (a, b) = (Point::new(1000, 3), Point::new(7, 700));
        let time = Duration::from_millis(160);
        for motion in [
            Motion::Instant,
            Motion::Linear(time),
            Motion::Linear(Duration::ZERO),
            Motion::Bezier(time, 7),
            Motion::WindMouse(7),
        ] {
            let path = points(motion, a, b);
            assert_eq!(path.last(), Some(&b), "{motion:?}");
            assert_eq!(points(motion, a, b), path);
            assert_eq!(points(motion, b, b), [b]);
            assert!(path.len() <= LONGEST);
        }
        assert_eq!(points(Motion::Linear(time), a, b).len(), 10);
        assert_eq!(points(Motion::Bezier(time, 1), a, b).len(), 10);
        assert_ne!(
            points(Motion::Bezier(time, 1), a, b),
            points(Motion::Bezier(time, 2), a, b)
        );
    }

    #[test]
    fn people_do_not_jump() {
        for seed in 0..50 {
            let (a, b) = (Point::new(30, 40), Point::new(1200, 760));
            let path = points(Motion::WindMouse(seed), a, b);
            let far = |p: &[Point]| f64::hypot(p[1].x as f64 - p[0].x as f64, p[1].y as f64 - p[0].y as f64);
            let longest = path.windows(2).map(far).fold(0.0, f64::max);
            assert!(longest <= 50.0, "seed {seed}: a step of {longest}");
            assert!((20..400).contains(&path.len()), "seed {seed}: {} events", path.len());
        }
    }
}
