//! The luma of a screen, with what makes sums over its rectangles cheap.

use image::RgbaImage;
use rayon::prelude::*;
use std::borrow::Cow;

/// The most pixels of a rectangle whose sum of squares is worked out at once: more could be too many for 31 bits.
const MOST: usize = (i32::MAX / (255 * 255)) as usize;

/// The luma of a pixel: the weights of BT.601, as JPEG and OpenCV have them.
pub(super) fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29 + 128) >> 8) as u8
}

/// Luma, row-major, with the sums of everything above and left of each pixel.
pub(super) struct Plane {
    pub width: usize,
    pub height: usize,
    luma: Vec<u8>,
    totals: Totals,
}

impl Plane {
    pub fn of(image: &RgbaImage) -> Plane {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut gray = vec![0u8; width * height];
        let rows = gray
            .par_chunks_exact_mut(width)
            .zip(image.as_raw().par_chunks_exact(width * 4));
        rows.for_each(|(gray, row)| {
            for (v, p) in gray.iter_mut().zip(row.chunks_exact(4)) {
                *v = luma([p[0], p[1], p[2]]);
            }
        });
        let totals = Totals::new(width, height, |y, row| {
            for (out, v) in row.iter_mut().zip(&gray[y * width..]) {
                *out = u32::from(*v);
            }
        });
        Plane {
            width,
            height,
            luma: gray,
            totals,
        }
    }

    /// A stretch of a row.
    pub fn row(&self, x: usize, y: usize, width: usize) -> &[u8] {
        let from = y * self.width + x;
        &self.luma[from..from + width]
    }

    /// Sum and sum of squares over a rectangle inside.
    pub fn moments(&self, x: usize, y: usize, width: usize, height: usize) -> (f64, f64) {
        self.totals.large(x, y, (width, height), 1)
    }

    /// Adds sum and sum of squares of the rectangles that begin at `x`, `x` + 1, ... in row `y`.
    pub fn add_moments(&self, x: usize, y: usize, (width, height): (usize, usize), to: &mut [(f32, f32)]) {
        for (y, height) in strips(y, (width, height), 1) {
            self.totals.add_moments(x, y, (width, height), to);
        }
    }

    /// Means of squares of `step` x `step` pixels, in quarters; what is left over at the right and below is left out.
    pub fn coarse(&self, step: usize) -> Coarse {
        let (width, height) = (self.width / step, self.height / step);
        let stride = width + Coarse::PAD;
        let mut cells = vec![0i16; stride * height];
        let area = (step * step) as u32;
        for (y, row) in cells.chunks_exact_mut(stride).enumerate() {
            for (x, cell) in row.iter_mut().take(width).enumerate() {
                let (sum, _) = self.totals.moments(x * step, y * step, step, step);
                *cell = ((sum * 4 + area / 2) / area) as i16;
            }
        }
        let totals = Totals::new(width, height, |y, row| {
            for (out, v) in row.iter_mut().zip(&cells[y * stride..]) {
                *out = *v as u32;
            }
        });
        Coarse { stride, cells, totals }
    }
}

/// The rows of a rectangle, in parts of at most [`MOST`] pixels; of fewer where their squares are so many times as large.
fn strips(y: usize, (width, height): (usize, usize), times: usize) -> impl Iterator<Item = (usize, usize)> {
    let most = (MOST / (width * times).max(1)).max(1);
    (0..height)
        .step_by(most)
        .map(move |from| (y + from, most.min(height - from)))
}

/// A screen in squares.
pub(super) struct Coarse {
    stride: usize,
    cells: Vec<i16>,
    totals: Totals,
}

impl Coarse {
    /// Rows are longer by so much, so that kernels can be read in whole vectors.
    pub const PAD: usize = 8;

    /// A stretch of a row, up to [`Coarse::PAD`] cells beyond the rectangle that is meant.
    pub fn row(&self, x: usize, y: usize, cells: usize) -> &[i16] {
        let from = y * self.stride + x;
        &self.cells[from..from + cells]
    }

    /// Sum and sum of squares over a rectangle of cells, in gray levels.
    pub fn moments(&self, x: usize, y: usize, width: usize, height: usize) -> (f64, f64) {
        let (sum, squares) = self.totals.large(x, y, (width, height), 16);
        (sum / 4.0, squares / 16.0)
    }
}

/// Sums and sums of squares from the upper left corner; one row and one column more than there are values. They wrap around:
/// differences of them are right all the same where they are small enough.
struct Totals {
    stride: usize,
    sums: Vec<u32>,
    squares: Vec<u32>,
}

impl Totals {
    fn new(width: usize, height: usize, values: impl Fn(usize, &mut [u32])) -> Totals {
        let stride = width + 1;
        let (mut sums, mut squares) = (vec![0u32; stride * (height + 1)], vec![0u32; stride * (height + 1)]);
        let mut row = vec![0u32; width];
        for y in 0..height {
            values(y, &mut row);
            let (above, own) = sums[y * stride..(y + 2) * stride].split_at_mut(stride);
            let mut sum = 0u32;
            for ((own, above), v) in own[1..].iter_mut().zip(&above[1..]).zip(&row) {
                sum = sum.wrapping_add(*v);
                *own = above.wrapping_add(sum);
            }
            let (above, own) = squares[y * stride..(y + 2) * stride].split_at_mut(stride);
            let mut sum = 0u32;
            for ((own, above), v) in own[1..].iter_mut().zip(&above[1..]).zip(&row) {
                sum = sum.wrapping_add(v * v);
                *own = above.wrapping_add(sum);
            }
        }
        Totals { stride, sums, squares }
    }

    fn moments(&self, x: usize, y: usize, width: usize, height: usize) -> (u32, u32) {
        let (top, bottom) = (y * self.stride + x, (y + height) * self.stride + x);
        let difference = |all: &[u32]| {
            let up = all[top + width].wrapping_sub(all[top]);
            all[bottom + width].wrapping_sub(all[bottom]).wrapping_sub(up)
        };
        (difference(&self.sums), difference(&self.squares))
    }

    /// Sum and sum of squares of a rectangle of any size, whose squares are at most so many times those of luma.
    fn large(&self, x: usize, y: usize, (width, height): (usize, usize), times: usize) -> (f64, f64) {
        if width * height * times <= MOST {
            let (sum, squares) = self.moments(x, y, width, height);
            return (f64::from(sum), f64::from(squares));
        }
        let parts = strips(y, (width, height), times).map(|(y, height)| self.moments(x, y, width, height));
        parts.fold((0.0, 0.0), |(sum, squares), (s, q)| {
            (sum + f64::from(s), squares + f64::from(q))
        })
    }

    fn add_moments(&self, x: usize, y: usize, (width, height): (usize, usize), to: &mut [(f32, f32)]) {
        let (top, bottom) = (y * self.stride + x, (y + height) * self.stride + x);
        let count = to.len();
        let [a, b, c, d] = [top, top + width, bottom, bottom + width].map(|at| &self.sums[at..at + count]);
        for (i, to) in to.iter_mut().enumerate() {
            // At most 31 bits, see `MOST`.
            to.0 += (d[i].wrapping_sub(c[i]).wrapping_sub(b[i].wrapping_sub(a[i])) as i32) as f32;
        }
        let [a, b, c, d] = [top, top + width, bottom, bottom + width].map(|at| &self.squares[at..at + count]);
        for (i, to) in to.iter_mut().enumerate() {
            to.1 += (d[i].wrapping_sub(c[i]).wrapping_sub(b[i].wrapping_sub(a[i])) as i32) as f32;
        }
    }
}

/// A part of a screen: its pixels and its luma.
pub(super) struct Seen<'a> {
    /// Where the part begins on the screen.
    pub left: u32,
    pub top: u32,
    pub pixels: Cow<'a, RgbaImage>,
    pub plane: Plane,
}

impl<'a> Seen<'a> {
    pub fn new(pixels: Cow<'a, RgbaImage>, left: u32, top: u32) -> Seen<'a> {
        let plane = Plane::of(&pixels);
        Seen {
            left,
            top,
            pixels,
            plane,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    #[test]
    fn sums_over_rectangles() {
        let gray = |x: u32, y: u32| ((x * 7 + y * 13) % 256) as u8;
        let image = RgbaImage::from_fn(240, 230, |x, y| Rgba([gray(x, y), gray(x, y), gray(x, y), 255]));
        let plane = Seen::new(Cow::Owned(image), 0, 0).plane;
        let direct = |x: u32, y: u32, w: u32, h: u32| {
            let all = (y..y + h).flat_map(|y| (x..x + w).map(move |x| f64::from(gray(x, y))));
            (all.clone().sum::<f64>(), all.map(|v| v * v).sum::<f64>())
        };
        assert_eq!(plane.moments(3, 5, 20, 11), direct(3, 5, 20, 11));
        // More pixels than are worked out at once.
        assert_eq!(plane.moments(0, 0, 240, 230), direct(0, 0, 240, 230));
        let mut row = [(0.0, 0.0); 5];
        plane.add_moments(2, 9, (230, 200), &mut row);
        for (i, (sum, squares)) in row.into_iter().enumerate() {
            let (a, b) = direct(2 + i as u32, 9, 230, 200);
            assert!((f64::from(sum) - a).abs() < a * 1e-6 && (f64::from(squares) - b).abs() < b * 1e-6);
        }
        let coarse = plane.coarse(4);
        let mean = direct(8, 4, 4, 4).0 / 16.0;
        assert!((f64::from(coarse.row(2, 1, 1)[0]) / 4.0 - mean).abs() <= 0.125);
        assert_eq!(
            coarse.row(59, 0, 1 + Coarse::PAD).len(),
            9,
            "the last cell has room behind it"
        );
        let (sum, squares) = coarse.moments(0, 0, 60, 57);
        assert!((sum - direct(0, 0, 240, 228).0 / 16.0).abs() < 0.125 * 60.0 * 57.0);
        assert!(squares > sum * sum / (60.0 * 57.0));
    }

    #[test]
    fn luma_of_gray_is_gray() {
        assert!((0..=255).all(|v| luma([v, v, v]) == v));
    }
}
