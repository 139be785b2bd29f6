//! The luma of a screen, with what makes sums over its rectangles cheap.

use image::{DynamicImage, RgbaImage};

/// Luma, row-major, with the sums of everything above and left of each pixel.
pub(super) struct Plane {
    pub width: usize,
    pub height: usize,
    luma: Vec<u8>,
    totals: Totals,
}

impl Plane {
    pub fn of(image: &DynamicImage) -> Plane {
        // Converted inside `image`, which is optimised in our debug builds too.
        let luma = image.to_luma8();
        let (width, height) = (luma.width() as usize, luma.height() as usize);
        let luma = luma.into_raw();
        let totals = Totals::new(width, height, |at| u32::from(luma[at]));
        Plane {
            width,
            height,
            luma,
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
        self.totals.moments(x, y, width, height)
    }

    /// Means of squares of `step` x `step` pixels, in quarters; what is left over at the right and below is left out.
    pub fn coarse(&self, step: usize) -> Coarse {
        let (width, height) = (self.width / step, self.height / step);
        let stride = width + Coarse::PAD;
        let mut cells = vec![0i16; stride * height];
        let area = (step * step) as u32;
        for y in 0..height {
            for x in 0..width {
                let sum = self.totals.sum(x * step, y * step, step, step);
                cells[y * stride + x] = ((sum * 4 + area / 2) / area) as i16;
            }
        }
        let totals = Totals::new(width, height, |at| cells[at / width * stride + at % width] as u32);
        Coarse {
            step,
            stride,
            cells,
            totals,
        }
    }
}

/// A screen in squares.
pub(super) struct Coarse {
    pub step: usize,
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
        let (sum, squares) = self.totals.moments(x, y, width, height);
        (sum / 4.0, squares / 16.0)
    }
}

/// Sums and sums of squares from the upper left corner; one row and one column more than there are values.
struct Totals {
    stride: usize,
    // Both wrap around; differences of them are right all the same.
    both: Vec<(u32, u64)>,
}

impl Totals {
    fn new(width: usize, height: usize, value: impl Fn(usize) -> u32) -> Totals {
        let stride = width + 1;
        let mut both = vec![(0u32, 0u64); stride * (height + 1)];
        for y in 0..height {
            let (above, row) = both[y * stride..(y + 2) * stride].split_at_mut(stride);
            let (mut sum, mut squares) = (0u32, 0u64);
            for x in 0..width {
                let v = value(y * width + x);
                sum += v;
                squares += u64::from(v * v);
                let (up, up_squares) = above[x + 1];
                row[x + 1] = (up.wrapping_add(sum), up_squares + squares);
            }
        }
        Totals { stride, both }
    }

    fn corners(&self, x: usize, y: usize, width: usize, height: usize) -> [(u32, u64); 4] {
        let (top, bottom) = (y * self.stride, (y + height) * self.stride);
        [
            self.both[top + x],
            self.both[top + x + width],
            self.both[bottom + x],
            self.both[bottom + x + width],
        ]
    }

    fn sum(&self, x: usize, y: usize, width: usize, height: usize) -> u32 {
        let [a, b, c, d] = self.corners(x, y, width, height);
        d.0.wrapping_sub(c.0).wrapping_sub(b.0).wrapping_add(a.0)
    }

    fn moments(&self, x: usize, y: usize, width: usize, height: usize) -> (f64, f64) {
        let [a, b, c, d] = self.corners(x, y, width, height);
        let sum = d.0.wrapping_sub(c.0).wrapping_sub(b.0).wrapping_add(a.0);
        let squares = d.1.wrapping_sub(c.1).wrapping_sub(b.1).wrapping_add(a.1);
        (f64::from(sum), squares as f64)
    }
}

/// A part of a screen: its pixels and its luma.
pub(super) struct Seen {
    /// Where the part begins on the screen.
    pub left: u32,
    pub top: u32,
    pub pixels: RgbaImage,
    pub plane: Plane,
}

impl Seen {
    pub fn new(pixels: RgbaImage, left: u32, top: u32) -> Seen {
        let image = DynamicImage::ImageRgba8(pixels);
        let plane = Plane::of(&image);
        Seen {
            left,
            top,
            pixels: image.into_rgba8(),
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
        let image = RgbaImage::from_fn(40, 30, |x, y| Rgba([gray(x, y), gray(x, y), gray(x, y), 255]));
        let plane = Seen::new(image, 0, 0).plane;
        let direct = |x: u32, y: u32, w: u32, h: u32| {
            let all = (y..y + h).flat_map(|y| (x..x + w).map(move |x| f64::from(gray(x, y))));
            (all.clone().sum::<f64>(), all.map(|v| v * v).sum::<f64>())
        };
        assert_eq!(plane.moments(3, 5, 20, 11), direct(3, 5, 20, 11));
        assert_eq!(plane.moments(0, 0, 40, 30), direct(0, 0, 40, 30));
        let coarse = plane.coarse(4);
        let mean = direct(8, 4, 4, 4).0 / 16.0;
        assert!((f64::from(coarse.row(2, 1, 1)[0]) / 4.0 - mean).abs() <= 0.125);
        assert_eq!(coarse.row(9, 0, 1 + Coarse::PAD).len(), 9, "the last cell has room behind it");
        assert!((coarse.moments(0, 0, 10, 7).0 - direct(0, 0, 40, 28).0 / 16.0).abs() < 10.0);
    }
}
