//! The client's copy of the framebuffer, and which part of it an answer has covered.

use std::sync::Arc;

use image::RgbaImage;

use super::super::Rect;
use super::{Order, ProtocolError, limits};

/// A framebuffer of 4-byte pixels, row-major: red, green, blue, and alpha, which is always 255: its bytes are a picture's.
pub struct Canvas {
    width: u32,
    height: u32,
    order: Order,
    /// Empty while they are shared.
    pixels: Vec<u8>,
    /// The picture that was given out, until something is painted.
    shared: Option<Arc<RgbaImage>>,
}

impl Canvas {
    /// A black framebuffer, painted with pixels whose bytes come in this order.
    ///
    /// # Errors
    /// [`ProtocolError::Size`] if a side is 0 or the size breaks a limit.
    pub fn new(width: u32, height: u32, order: Order) -> Result<Canvas, ProtocolError> {
        let count = u64::from(width) * u64::from(height);
        if count == 0 || width > limits::MAX_SIDE || height > limits::MAX_SIDE || count > limits::MAX_PIXELS {
            return Err(ProtocolError::Size { width, height });
        }
        Ok(Canvas {
            width,
            height,
            order,
            pixels: [0, 0, 0, 255].repeat(count as usize),
            shared: None,
        })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The order of the bytes of the pixels that are painted.
    pub fn order(&self) -> Order {
        self.order
    }

    /// What is painted, as an image; alpha is 255. Nothing is copied before something is painted over it, and not then
    /// either if it has been dropped.
    pub fn image(&mut self) -> Arc<RgbaImage> {
        let (width, height, pixels) = (self.width, self.height, &mut self.pixels);
        let image = self.shared.get_or_insert_with(|| {
            // The bytes are always width * height * 4, so the fallback is never taken; below as well.
            let image = RgbaImage::from_raw(width, height, std::mem::take(pixels));
            Arc::new(image.unwrap_or_else(|| RgbaImage::new(width, height)))
        });
        image.clone()
    }

    /// The bytes, to be painted over.
    fn pixels_mut(&mut self) -> &mut [u8] {
        if let Some(image) = self.shared.take() {
            self.pixels = Arc::unwrap_or_clone(image).into_raw();
        }
        &mut self.pixels
    }

    /// A copy of a part; the rectangle is cut to what is inside.
    pub fn crop(&self, r: &Rect) -> RgbaImage {
        let inside = r
            .intersection(&Rect::new(0, 0, self.width, self.height))
            .unwrap_or_default();
        let stride = self.width as usize * 4;
        let length = inside.width as usize * 4;
        let painted = self.shared.as_ref().map_or(&self.pixels, |image| image.as_raw());
        let mut pixels = Vec::with_capacity(length * inside.height as usize);
        for y in inside.y..inside.bottom() {
            let at = y as usize * stride + inside.x as usize * 4;
            pixels.extend_from_slice(&painted[at..at + length]);
        }
        RgbaImage::from_raw(inside.width, inside.height, pixels)
            .unwrap_or_else(|| RgbaImage::new(inside.width, inside.height))
    }

    /// # Errors
    /// [`ProtocolError::Outside`] if the rectangle is not wholly inside.
    pub fn check(&self, r: &Rect) -> Result<(), ProtocolError> {
        if r.right() <= self.width && r.bottom() <= self.height {
            return Ok(());
        }
        Err(ProtocolError::Outside {
            x: r.x,
            y: r.y,
            width: r.width,
            height: r.height,
            screen_width: self.width,
            screen_height: self.height,
        })
    }

    /// The bytes of `width` pixels from (x, y) on. The caller has checked the rectangle.
    pub(super) fn row_mut(&mut self, x: u32, y: u32, width: u32) -> &mut [u8] {
        let at = (y as usize * self.width as usize + x as usize) * 4;
        &mut self.pixels_mut()[at..at + width as usize * 4]
    }

    /// Stores one row of raw pixels of the wire. The caller has checked the rectangle; `raw` has `width * 4` bytes.
    pub(super) fn put_raw_row(&mut self, x: u32, y: u32, raw: &[u8]) {
        let order = self.order;
        order.convert(raw, self.row_mut(x, y, (raw.len() / 4) as u32));
    }

    /// Copies a rectangle (RFC 6143 section 7.7.2); source and target may overlap.
    pub(super) fn copy(&mut self, from_x: u32, from_y: u32, to: &Rect) -> Result<(), ProtocolError> {
        self.check(&Rect::new(from_x, from_y, to.width, to.height))?;
        self.check(to)?;
        let (stride, length) = (self.width as usize * 4, to.width as usize * 4);
        let pixels = self.pixels_mut();
        let mut copy_row = |row: u32| {
            let source = (from_y + row) as usize * stride + from_x as usize * 4;
            let target = (to.y + row) as usize * stride + to.x as usize * 4;
            pixels.copy_within(source..source + length, target);
        };
        if from_y < to.y {
            (0..to.height).rev().for_each(&mut copy_row);
        } else {
            (0..to.height).for_each(&mut copy_row);
        }
        Ok(())
    }
}

/// Which pixels have been painted since the last [`Coverage::clear`]: one bit each.
pub struct Coverage {
    width: u32,
    words_per_row: usize,
    bits: Vec<u64>,
    missing: u64,
}

impl Coverage {
    /// Nothing covered of a framebuffer of this size (which a [`Canvas`] has accepted).
    pub fn new(width: u32, height: u32) -> Coverage {
        let words_per_row = (width as usize).div_ceil(64);
        Coverage {
            width,
            words_per_row,
            bits: vec![0; words_per_row * height as usize],
            missing: u64::from(width) * u64::from(height),
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bits.fill(0);
        let rows = self.bits.len().checked_div(self.words_per_row).unwrap_or(0);
        self.missing = u64::from(self.width) * rows as u64;
    }

    /// Marks a rectangle; parts outside are ignored.
    pub fn add(&mut self, r: &Rect) {
        let rows = self.bits.len().checked_div(self.words_per_row).unwrap_or(0) as u32;
        let (x0, x1) = (r.x.min(self.width) as usize, r.right().min(self.width) as usize);
        if x0 >= x1 {
            return;
        }
        for y in r.y.min(rows)..r.bottom().min(rows) {
            let row = y as usize * self.words_per_row;
            for word in x0 / 64..=(x1 - 1) / 64 {
                let low = x0.saturating_sub(word * 64).min(63);
                let high = (x1 - word * 64).min(64);
                let mask = (u64::MAX >> (64 - (high - low))) << low;
                let slot = &mut self.bits[row + word];
                self.missing -= u64::from((mask & !*slot).count_ones());
                *slot |= mask;
            }
        }
    }

    /// True when every pixel has been painted.
    pub fn is_full(&self) -> bool {
        self.missing == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_counts_pixels_not_areas() {
        let mut c = Coverage::new(130, 10);
        c.add(&Rect::new(0, 0, 130, 5));
        c.add(&Rect::new(0, 0, 130, 5)); // the same area twice is not the whole
        assert!(!c.is_full());
        c.add(&Rect::new(0, 5, 64, 5));
        c.add(&Rect::new(64, 5, 65, 5));
        assert!(!c.is_full());
        c.add(&Rect::new(129, 4, 1, 6));
        assert!(c.is_full());
        c.clear();
        assert!(!c.is_full());
        c.add(&Rect::new(0, 0, u32::MAX, u32::MAX));
        assert!(c.is_full());
    }

    #[test]
    fn coverage_equals_a_plain_count() {
        let mut c = Coverage::new(200, 7);
        let mut plain = vec![false; 200 * 7];
        for i in 0..60u32 {
            let r = Rect::new(i * 37 % 200, i * 5 % 7, i * 13 % 90, i % 4);
            c.add(&r);
            for y in r.y..r.bottom().min(7) {
                for x in r.x..r.right().min(200) {
                    plain[(y * 200 + x) as usize] = true;
                }
            }
            assert_eq!(c.missing, plain.iter().filter(|p| !**p).count() as u64, "after {r:?}");
        }
    }

    #[test]
    fn a_picture_that_was_given_out_stays_as_it_is() {
        let mut c = Canvas::new(2, 2, Order::Rgb).unwrap();
        c.put_raw_row(0, 0, &[1; 8]);
        let first = c.image();
        assert_eq!(c.crop(&Rect::new(0, 0, 1, 1)).as_raw(), &[1, 1, 1, 255]);
        c.put_raw_row(0, 1, &[2; 8]);
        let second = c.image();
        assert_eq!(first.get_pixel(1, 1).0, [0, 0, 0, 255], "painted afterwards");
        assert_eq!(
            (second.get_pixel(1, 0).0, second.get_pixel(1, 1).0),
            ([1, 1, 1, 255], [2, 2, 2, 255])
        );
        // Nobody looks at it any more: the bytes are taken back, not copied.
        let place = second.as_raw().as_ptr();
        drop(second);
        c.copy(0, 0, &Rect::new(0, 1, 2, 1)).unwrap();
        let third = c.image();
        assert_eq!(
            (third.as_raw().as_ptr(), third.get_pixel(0, 1).0),
            (place, [1, 1, 1, 255])
        );
    }

    #[test]
    fn overlapping_copies_and_sizes() {
        let mut c = Canvas::new(4, 4, Order::Rgb).unwrap();
        for y in 0..4 {
            c.put_raw_row(0, y, &[y as u8; 16]);
        }
        c.copy(0, 0, &Rect::new(0, 1, 4, 3)).unwrap();
        let rows: Vec<u8> = (0..4).map(|y| c.row_mut(0, y, 1)[0]).collect();
        assert_eq!(rows, [0, 0, 1, 2]);
        assert!(matches!(
            c.copy(1, 0, &Rect::new(0, 0, 4, 1)),
            Err(ProtocolError::Outside { .. })
        ));
        for (w, h) in [(0, 5), (5, 0), (20_000, 1), (16_384, 16_384)] {
            assert!(
                matches!(Canvas::new(w, h, Order::Rgb), Err(ProtocolError::Size { .. })),
                "{w}x{h}"
            );
        }
    }
}
