//! Finding every place that is similar enough, without comparing every pixel of every place.
//!
//! No place is missed: what is left out has a proved upper bound below the wanted similarity. First by mean and variance, from
//! sums (`Plane::moments`). Then by the screen in squares: with P the projection onto the squares that lie within the area,
//! and t and w the area and the place less their means, <t,w> = <Pt,Pw> + <t-Pt,w-Pw>, and the last is at most
//! |t-Pt| |w-Pw| (bounded partial correlation, Di Stefano and Mattoccia 2003). There is one kernel for each way in which the
//! area can lie over the squares, so that an exact copy has its exact value wherever it is.

use super::pattern::Pattern;
use super::plane::{Coarse, Plane};
use rayon::prelude::*;

/// Places to look at: ranges of the area's upper left corner, in pixels of the plane, ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub x: (usize, usize),
    pub y: (usize, usize),
}

/// A place and its similarity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub x: usize,
    pub y: usize,
    pub similarity: f64,
}

/// Places whose similarity is worked out where none fits, to tell the best.
const GUESSES: usize = 24;
/// Squares are as large as leaves so many of them on the shorter side and in all.
const SIDE: usize = 4;
const CELLS: usize = 64;
const STEPS: [usize; 4] = [16, 8, 4, 2];
/// Greatest error of a square's mean and of a kernel's weight, from rounding to quarters.
const ROUNDING: f64 = 0.125;

/// The side of the squares for an area.
fn step(pattern: &Pattern) -> usize {
    let (width, height) = (pattern.width, pattern.height);
    let fits = |s: &&usize| width.min(height) >= SIDE * **s && width * height >= CELLS * **s * **s;
    STEPS.iter().find(fits).copied().unwrap_or(1)
}

/// Every place in the window whose similarity over the whole area is at least `least`.
pub(super) fn all(plane: &Plane, pattern: &Pattern, window: Window, least: f64) -> Vec<Place> {
    let coarse = plane.coarse(step(pattern));
    let kernels = Kernels::new(pattern, coarse.step);
    let rows = (window.y.0..window.y.1 + 1).into_par_iter();
    rows.flat_map_iter(|y| {
        let (kernels, coarse) = (&kernels, &coarse);
        (window.x.0..window.x.1 + 1).filter_map(move |x| {
            let (mean, energy) = pattern.moments(plane, x, y);
            // Both means and both energies as they are, and perfect correlation.
            let both = pattern.energy + energy;
            let brightness = pattern.brightness(mean);
            if 2.0 * (pattern.energy * energy).sqrt() * brightness < least * both {
                return None;
            }
            let bound = kernels.project(coarse, x, y, mean).bound(pattern, energy);
            if 2.0 * bound * brightness < least * both {
                return None;
            }
            let similarity = pattern.similarity_at(plane, x, y);
            (similarity >= least).then_some(Place { x, y, similarity })
        })
    })
    .collect()
}

/// The places in the window that are most similar, by the screen in squares; their similarity is exact. For telling what
/// was nearest: a better one may be missed.
pub(super) fn nearest(plane: &Plane, pattern: &Pattern, window: Window) -> Vec<Place> {
    let coarse = plane.coarse(step(pattern));
    let kernels = Kernels::new(pattern, coarse.step);
    let rows = (window.y.0..window.y.1 + 1).into_par_iter();
    let mut guesses: Vec<Place> = rows
        .filter_map(|y| {
            let guess = |x: usize| {
                let (mean, _) = pattern.moments(plane, x, y);
                let similarity = kernels.project(&coarse, x, y, mean).guess() * pattern.brightness(mean);
                Place { x, y, similarity }
            };
            (window.x.0..window.x.1 + 1)
                .map(guess)
                .max_by(|a, b| a.similarity.total_cmp(&b.similarity))
        })
        .collect();
    guesses.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
    guesses.truncate(GUESSES);
    for place in &mut guesses {
        place.similarity = pattern.similarity_at(plane, place.x, place.y);
    }
    guesses.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
    guesses
}

/// The area in squares, for each way in which it can lie over the screen's.
struct Kernels {
    step: usize,
    /// By (y modulo step) * step + (x modulo step); one part for each piece that has a whole square.
    phases: Vec<Vec<Kernel>>,
}

struct Kernel {
    /// From the area's corner to the first whole square, in pixels.
    x: usize,
    y: usize,
    /// Squares in a row, and rows.
    width: usize,
    height: usize,
    /// Length of a row of weights, a whole number of vectors; those beyond `width` are 0.
    stride: usize,
    /// Mean of the square less the area's mean, in quarters.
    weights: Vec<i16>,
    /// Sum of the weights in gray levels.
    sum: f64,
    /// |Pt| squared, of this part.
    energy: f64,
}

/// What the squares say about a place, in sums over pixels.
struct Projected {
    /// <Pt,Pw>
    covariance: f64,
    /// |Pt| and |Pw|, squared.
    own: f64,
    seen: f64,
}

const LANES: usize = 8;

impl Kernels {
    fn new(pattern: &Pattern, step: usize) -> Kernels {
        let phase = |i: usize| {
            let (px, py) = (i % step, i / step);
            let kernels = pattern.pieces.iter().filter_map(|piece| {
                let off = |phase: usize, from: usize| (step - (phase + from) % step) % step;
                let (dx, dy) = (off(px, piece.x), off(py, piece.y));
                let (width, height) = (
                    piece.width.saturating_sub(dx) / step,
                    piece.height.saturating_sub(dy) / step,
                );
                (width > 0 && height > 0).then(|| Kernel::new(pattern, step, (piece.x + dx, piece.y + dy), width, height))
            });
            kernels.collect()
        };
        Kernels {
            step,
            phases: (0..step * step).map(phase).collect(),
        }
    }

    fn project(&self, coarse: &Coarse, x: usize, y: usize, mean: f64) -> Projected {
        let step = self.step;
        let squared = (step * step) as f64;
        let mut all = Projected {
            covariance: 0.0,
            own: 0.0,
            seen: 0.0,
        };
        for k in &self.phases[(y % step) * step + x % step] {
            let (cx, cy) = ((x + k.x) / step, (y + k.y) / step);
            let mut products = 0i64;
            for (row, weights) in k.weights.chunks_exact(k.stride).enumerate() {
                products += i64::from(dot(weights, coarse.row(cx, cy + row, k.stride)));
            }
            let (sum, squares) = coarse.moments(cx, cy, k.width, k.height);
            let cells = (k.width * k.height) as f64;
            all.covariance += squared * (products as f64 / 16.0 - mean * k.sum);
            all.own += k.energy;
            all.seen += squared * (squares - 2.0 * mean * sum + cells * mean * mean);
        }
        all
    }
}

impl Kernel {
    fn new(pattern: &Pattern, step: usize, at: (usize, usize), width: usize, height: usize) -> Kernel {
        let stride = width.div_ceil(LANES) * LANES;
        let mut weights = vec![0i16; stride * height];
        let (mut sum, mut energy) = (0.0, 0.0);
        let squared = (step * step) as f64;
        for cy in 0..height {
            for cx in 0..width {
                let mut total = 0u32;
                for y in 0..step {
                    for x in 0..step {
                        total += u32::from(pattern.at(at.0 + cx * step + x, at.1 + cy * step + y));
                    }
                }
                let mean = f64::from(total) / squared - pattern.mean;
                let weight = (mean * 4.0).round();
                weights[cy * stride + cx] = weight as i16;
                sum += weight / 4.0;
                energy += mean * mean * squared;
            }
        }
        Kernel {
            x: at.0,
            y: at.1,
            width,
            height,
            stride,
            weights,
            sum,
            energy,
        }
    }
}

impl Projected {
    /// At least <t,w>; `energy` is the place's.
    fn bound(&self, pattern: &Pattern, energy: f64) -> f64 {
        // What rounding may have taken from <Pt,Pw> and |Pw| squared, by the inequality of Cauchy and Schwarz.
        let slack = |energy: f64| ROUNDING * (pattern.count * energy).sqrt();
        let rounding = slack(pattern.energy) + slack(energy) + ROUNDING * ROUNDING * pattern.count;
        let own = (pattern.energy - self.own).max(0.0);
        let seen = (energy - self.seen + 2.0 * slack(energy) + ROUNDING * ROUNDING * pattern.count).max(0.0);
        self.covariance + rounding + (own * seen).sqrt()
    }

    /// What the similarity may be, from the squares alone.
    fn guess(&self) -> f64 {
        let both = self.own + self.seen;
        if both <= 0.0 { 0.0 } else { 2.0 * self.covariance / both }
    }
}

/// The sum of products of two stretches of the same length, a multiple of [`LANES`]. Values are at most 1020, so that no
/// screen is wide enough for an overflow.
fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.chunks_exact(LANES)
        .zip(b.chunks_exact(LANES))
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>())
        .sum()
}
