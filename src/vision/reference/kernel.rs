//! An area in squares, for each way in which it can lie over the squares of a screen.
//!
//! With P the projection onto the squares that lie within the area, and t and w the area and a place less their means,
//! <t,w> = <Pt,Pw> + <t-Pt,w-Pw>, and the last is at most |t-Pt| |w-Pw| (bounded partial correlation, Di Stefano and
//! Mattoccia 2003).

use super::pattern::Pattern;
use super::plane::Coarse;

/// Greatest error of a square's mean and of a kernel's weight, from rounding to quarters.
const ROUNDING: f64 = 0.125;
const LANES: usize = 8;

/// The area in squares of one size.
pub(super) struct Kernels {
    /// The side of the squares, a power of 2.
    pub step: usize,
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
pub(super) struct Projected {
    /// <Pt,Pw>
    covariance: f64,
    /// |Pt| and |Pw|, squared.
    own: f64,
    seen: f64,
}

impl Kernels {
    pub fn new(pattern: &Pattern, step: usize) -> Kernels {
        let sums = pattern.sums();
        let phase = |i: usize| {
            let (px, py) = (i % step, i / step);
            let kernels = pattern.pieces.iter().filter_map(|piece| {
                let off = |phase: usize, from: usize| (step - (phase + from) % step) % step;
                let (dx, dy) = (off(px, piece.x), off(py, piece.y));
                let width = piece.width.saturating_sub(dx) / step;
                let height = piece.height.saturating_sub(dy) / step;
                let corner = (piece.x + dx, piece.y + dy);
                (width > 0 && height > 0).then(|| Kernel::new(pattern, &sums, step, corner, (width, height)))
            });
            kernels.collect()
        };
        Kernels {
            step,
            phases: (0..step * step).map(phase).collect(),
        }
    }

    /// The part of the area's energy that the squares show, where least of it is: 0 to 1.
    pub fn share(&self, pattern: &Pattern) -> f64 {
        let energy = |kernels: &Vec<Kernel>| kernels.iter().map(|k| k.energy).sum::<f64>();
        self.phases.iter().map(energy).fold(pattern.energy, f64::min) / pattern.energy
    }

    /// Compares the place with this upper left corner, whose mean is known.
    pub fn project(&self, coarse: &Coarse, x: usize, y: usize, mean: f64) -> Projected {
        // Divisions would take most of the time.
        let (shift, within) = (self.step.trailing_zeros(), self.step - 1);
        let squared = (self.step * self.step) as f64;
        let mut all = Projected {
            covariance: 0.0,
            own: 0.0,
            seen: 0.0,
        };
        for k in &self.phases[((y & within) << shift) + (x & within)] {
            let (cx, cy) = ((x + k.x) >> shift, (y + k.y) >> shift);
            let mut products = 0i64;
            for row in 0..k.height {
                let weights = &k.weights[row * k.stride..(row + 1) * k.stride];
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
    fn new(
        pattern: &Pattern,
        sums: &[u32],
        step: usize,
        corner: (usize, usize),
        (width, height): (usize, usize),
    ) -> Kernel {
        let stride = width.div_ceil(LANES) * LANES;
        let mut weights = vec![0i16; stride * height];
        let (mut sum, mut energy) = (0.0, 0.0);
        let squared = (step * step) as f64;
        let wide = pattern.width + 1;
        for cy in 0..height {
            for cx in 0..width {
                let top = (corner.1 + cy * step) * wide + corner.0 + cx * step;
                let bottom = top + step * wide;
                let total = sums[bottom + step] + sums[top] - sums[bottom] - sums[top + step];
                let mean = f64::from(total) / squared - pattern.mean;
                let weight = (mean * 4.0).round();
                weights[cy * stride + cx] = weight as i16;
                sum += weight / 4.0;
                energy += mean * mean * squared;
            }
        }
        Kernel {
            x: corner.0,
            y: corner.1,
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
    pub fn bound(&self, pattern: &Pattern, energy: f64) -> f64 {
        // What rounding may have taken from <Pt,Pw> and |Pw| squared, by the inequality of Cauchy and Schwarz.
        let slack = ROUNDING * (pattern.count * energy).sqrt();
        let own_slack = ROUNDING * (pattern.count * pattern.energy).sqrt();
        let both = ROUNDING * ROUNDING * pattern.count;
        let own = (pattern.energy - self.own).max(0.0);
        let seen = (energy - self.seen + 2.0 * slack + both).max(0.0);
        self.covariance + own_slack + slack + both + (own * seen).sqrt()
    }

    /// What the similarity may be, from the squares alone.
    pub fn guess(&self) -> f64 {
        let both = self.own + self.seen;
        if both <= 0.0 { 0.0 } else { 2.0 * self.covariance / both }
    }
}

/// The sum of products of two stretches of the same length, a multiple of [`LANES`]. Values are at most 1020, so that no
/// screen is wide enough for an overflow.
fn dot(a: &[i16], b: &[i16]) -> i32 {
    let lanes = a.chunks_exact(LANES).zip(b.chunks_exact(LANES));
    let sum = |(a, b): (&[i16], &[i16])| a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>();
    lanes.map(sum).sum()
}
