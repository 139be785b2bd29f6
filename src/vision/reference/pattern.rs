//! One match area, prepared for comparing it with places of a screen.
//!
//! The similarity of a place is the universal image quality index of Wang and Bovik (2002) over the whole area: zero-mean
//! normalised cross-correlation, times how well contrast and brightness agree. Correlation alone takes a grayed-out button for an
//! enabled one. What has no structure has no correlation; there the colours are compared.

use super::kernel::Kernels;
use super::plane::{Plane, Seen, luma};
use crate::scenario::{Area, AreaKind};
use image::RgbImage;
use std::sync::OnceLock;

/// Below this variance there is nothing to correlate, in square gray levels.
const FLAT: f64 = 4.0;

/// A rectangle of the area without what is excluded, relative to the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// A match area.
pub(super) struct Pattern {
    /// Its place in the reference's picture.
    pub x: u32,
    pub y: u32,
    pub width: usize,
    pub height: usize,
    pub margin: u32,
    pub similarity: f64,
    pub pieces: Vec<Piece>,
    /// The area's pixels.
    pub pixels: RgbImage,
    luma: Vec<u8>,
    /// Pixels that count.
    pub count: f64,
    pub mean: f64,
    /// Sum of the squared differences from the mean.
    pub energy: f64,
    kernels: OnceLock<Vec<Kernels>>,
}

/// Sizes of squares, and the least of them that an area has to have on its shorter side and in all.
const STEPS: [usize; 5] = [32, 16, 8, 4, 2];
const SIDE: usize = 2;
const CELLS: usize = 32;
/// Part of the area's structure that its squares have to show.
const SHARE: f64 = 0.03;

impl Pattern {
    /// Prepares an area of a picture; none for areas of other kinds.
    pub fn new(picture: &RgbImage, area: &Area, excluded: &[&Area]) -> Option<Pattern> {
        let AreaKind::Match { margin, similarity } = area.kind else {
            return None;
        };
        let pixels = image::imageops::crop_imm(picture, area.x, area.y, area.width, area.height).to_image();
        let luma = pixels.pixels().map(|p| luma(p.0)).collect();
        let pieces: Vec<Piece> = area
            .without(excluded)
            .iter()
            .map(|p| Piece {
                x: (p.x - area.x) as usize,
                y: (p.y - area.y) as usize,
                width: p.width as usize,
                height: p.height as usize,
            })
            .collect();
        let mut pattern = Pattern {
            x: area.x,
            y: area.y,
            width: area.width as usize,
            height: area.height as usize,
            margin,
            similarity,
            pieces,
            pixels,
            luma,
            count: 0.0,
            mean: 0.0,
            energy: 0.0,
            kernels: OnceLock::new(),
        };
        let (mut count, mut sum, mut squares) = (0u64, 0u64, 0u64);
        for (_, _, row) in pattern.rows() {
            count += row.len() as u64;
            sum += row.iter().map(|v| u64::from(*v)).sum::<u64>();
            squares += row.iter().map(|v| u64::from(*v) * u64::from(*v)).sum::<u64>();
        }
        pattern.count = count as f64;
        pattern.mean = sum as f64 / pattern.count;
        pattern.energy = (squares as f64 - pattern.mean * sum as f64).max(0.0);
        Some(pattern)
    }

    /// True if it has no structure to look for.
    pub fn is_flat(&self) -> bool {
        self.energy < FLAT * self.count
    }

    /// The area in squares, large ones first. Made when they are needed first, and kept: a reference is looked for often.
    pub fn kernels(&self) -> &[Kernels] {
        self.kernels.get_or_init(|| {
            let fits =
                |s: &&usize| self.width.min(self.height) >= SIDE * **s && self.width * self.height >= CELLS * **s * **s;
            let all = STEPS.iter().filter(fits).map(|step| Kernels::new(self, *step));
            // Squares in which nothing of a text is left tell nothing.
            all.filter(|k| k.share(self) >= SHARE).collect()
        })
    }

    /// How many squares of this size the area has, about.
    pub fn squares(&self, step: usize) -> usize {
        self.width * self.height / (step * step)
    }

    /// So few places are compared at once.
    pub fn few(&self) -> usize {
        1 + 500_000 / (self.width * self.height)
    }

    /// Least and greatest mean and variance of a place that may be so similar.
    pub fn tolerances(&self, least: f64) -> ((f64, f64), (f64, f64)) {
        // 2ab / (a^2 + b^2) is at least this for b between a/r and a*r.
        let r = (1.0 + (1.0 - least * least).max(0.0).sqrt()) / least;
        let variance = self.energy / self.count;
        ((self.mean / r, self.mean * r), (variance / (r * r), variance * r * r))
    }

    /// Sums of luma above and left of each pixel of the area; one row and one column more than it has.
    pub fn sums(&self) -> Vec<u32> {
        let stride = self.width + 1;
        let mut sums = vec![0u32; stride * (self.height + 1)];
        for y in 0..self.height {
            let mut sum = 0;
            for x in 0..self.width {
                sum += u32::from(self.at(x, y));
                sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + sum;
            }
        }
        sums
    }

    /// The luma of the area's rows that count: where each begins in the area, and its values.
    pub fn rows(&self) -> impl Iterator<Item = (usize, usize, &[u8])> {
        self.pieces.iter().flat_map(move |p| {
            (p.y..p.y + p.height).map(move |y| {
                let from = y * self.width + p.x;
                (p.x, y, &self.luma[from..from + p.width])
            })
        })
    }

    /// The luma at a place of the area.
    pub fn at(&self, x: usize, y: usize) -> u8 {
        self.luma[y * self.width + x]
    }

    /// Mean and energy of the screen where the area's upper left corner is at a place.
    pub fn moments(&self, plane: &Plane, x: usize, y: usize) -> (f64, f64) {
        let (mut sum, mut squares) = (0.0, 0.0);
        for p in &self.pieces {
            let (s, q) = plane.moments(x + p.x, y + p.y, p.width, p.height);
            sum += s;
            squares += q;
        }
        let mean = sum / self.count;
        (mean, (squares - mean * sum).max(0.0))
    }

    /// How well the brightness agrees, 0 to 1.
    pub fn brightness(&self, mean: f64) -> f64 {
        let both = self.mean * self.mean + mean * mean;
        if both < 1.0 { 1.0 } else { 2.0 * self.mean * mean / both }
    }

    /// The similarity over the whole area at a place of the plane, 0 to 1; for areas with structure.
    pub fn similarity_at(&self, plane: &Plane, x: usize, y: usize) -> f64 {
        let (mean, energy) = self.moments(plane, x, y);
        let mut products = 0u64;
        for (dx, dy, row) in self.rows() {
            products += u64::from(dot(row, plane.row(x + dx, y + dy, row.len())));
        }
        let covariance = products as f64 - self.count * self.mean * mean;
        (2.0 * covariance / (self.energy + energy) * self.brightness(mean)).clamp(0.0, 1.0)
    }

    /// The similarity of the colours at a place, pixel by pixel, 0 to 1: 1 less the mean difference in the channel that
    /// differs most.
    pub fn colours_at(&self, seen: &Seen, x: usize, y: usize) -> f64 {
        let mut sums = [0u64; 3];
        for piece in &self.pieces {
            for (sum, more) in sums.iter_mut().zip(self.differences(seen, x, y, *piece)) {
                *sum += more;
            }
        }
        let worst = sums.into_iter().max().unwrap_or(0) as f64;
        1.0 - worst / (255.0 * self.count)
    }

    /// Sums of the absolute differences of each channel over a part of the area.
    pub fn differences(&self, seen: &Seen, x: usize, y: usize, part: Piece) -> [u64; 3] {
        let own_stride = self.width * 3;
        let stride = seen.plane.width * 4;
        let mut sums = [0u64; 3];
        for dy in part.y..part.y + part.height {
            let own = &self.pixels.as_raw()[dy * own_stride + part.x * 3..][..part.width * 3];
            let from = (y + dy) * stride + (x + part.x) * 4;
            let other = &seen.pixels.as_raw()[from..][..part.width * 4];
            for (a, b) in own.chunks_exact(3).zip(other.chunks_exact(4)) {
                for channel in 0..3 {
                    sums[channel] += u64::from(a[channel].abs_diff(b[channel]));
                }
            }
        }
        sums
    }
}

/// The sum of products of two stretches of the same length, at most 66 000 long.
fn dot(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(*a) * u32::from(*b)).sum()
}
