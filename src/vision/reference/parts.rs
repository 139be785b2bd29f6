//! Whether a part of an area differs though the whole is similar: one word of a large dialog.

use super::pattern::{Pattern, Piece};
use super::plane::Seen;

/// Size of the parts: about a short word. They overlap by half.
const WIDTH: usize = 48;
const HEIGHT: usize = 24;
/// Structure of a part that is no more than this (variance, in square gray levels) is hardly to be seen.
const FAINT: f64 = 200.0;
/// A part may be less similar than the whole has to be, by so much.
const LENIENCE: f64 = 0.25;

/// The area's similarity at a place, 0 to 1: over the whole, or that of its least similar part, with some lenience.
pub(super) fn similarity(pattern: &Pattern, seen: &Seen, x: usize, y: usize) -> f64 {
    // Structure is told by luma, and so is no tint: what turned red is not the same.
    let colours = pattern.colours_at(seen, x, y);
    let whole = match pattern.is_flat() {
        true => colours,
        false => pattern.similarity_at(&seen.plane, x, y).min(colours),
    };
    let worst = parts(pattern)
        .into_iter()
        .map(|part| part_similarity(pattern, seen, x, y, part))
        .fold(1.0, f64::min);
    whole.min(worst + LENIENCE)
}

/// Overlapping parts of each piece.
fn parts(pattern: &Pattern) -> Vec<Piece> {
    let mut all = Vec::new();
    for piece in &pattern.pieces {
        for (y, height) in spans(piece.y, piece.height, HEIGHT) {
            all.extend(
                spans(piece.x, piece.width, WIDTH)
                    .into_iter()
                    .map(|(x, width)| Piece { x, y, width, height }),
            );
        }
    }
    all
}

/// Stretches of `size` that cover a length, each beginning at most half of it after the one before.
fn spans(from: usize, length: usize, size: usize) -> Vec<(usize, usize)> {
    if length <= size {
        return vec![(from, length)];
    }
    let steps = (length - size).div_ceil(size / 2);
    (0..=steps)
        .map(|i| (from + (length - size) * i / steps, size))
        .collect()
}

/// Structural similarity (SSIM with a constant for faint structure), and not more than the colours agree.
fn part_similarity(pattern: &Pattern, seen: &Seen, x: usize, y: usize, part: Piece) -> f64 {
    let count = (part.width * part.height) as f64;
    let (mut own, mut own_squares, mut products) = (0u64, 0u64, 0u64);
    for dy in part.y..part.y + part.height {
        let row = seen.plane.row(x + part.x, y + dy, part.width);
        for (i, b) in row.iter().enumerate() {
            let a = u64::from(pattern.at(part.x + i, dy));
            own += a;
            own_squares += a * a;
            products += a * u64::from(*b);
        }
    }
    let (sum, squares) = seen.plane.moments(x + part.x, y + part.y, part.width, part.height);
    let (own, own_squares, products) = (own as f64, own_squares as f64, products as f64);
    let variances = (own_squares - own * own / count + squares - sum * sum / count) / count;
    let covariance = (products - own * sum / count) / count;
    let structure = (2.0 * covariance + FAINT) / (variances + FAINT);
    let worst = pattern.differences(seen, x, y, part).into_iter().max().unwrap_or(0);
    structure.min(1.0 - worst as f64 / (255.0 * count)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_and_overlap() {
        assert_eq!(spans(5, 30, 48), [(5, 30)]);
        assert_eq!(spans(0, 60, 48), [(0, 48), (12, 48)]);
        let all = spans(3, 500, 48);
        assert_eq!((all[0].0, all[all.len() - 1].0 + 48), (3, 503));
        assert!(all.windows(2).all(|w| w[1].0 - w[0].0 <= 24));
    }
}
