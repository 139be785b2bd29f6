//! The mouse pointer's picture (Cursor pseudo-encoding, RFC 6143 section 7.8.1).

use image::{Rgba, RgbaImage};

use super::super::{Point, Rect};
use super::Order;

/// A mouse pointer: its picture, and which pixel of it points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// RGBA; alpha is 0 or 255.
    pub image: RgbaImage,
    /// The pixel that points, from the picture's top left corner.
    pub hotspot: Point,
}

impl Cursor {
    /// Bytes on the wire: 4 for each pixel, then one bit for each, rows padded to bytes.
    pub(super) fn bytes(r: &Rect) -> usize {
        let (width, height) = (r.width as usize, r.height as usize);
        width * height * 4 + width.div_ceil(8) * height
    }

    /// Reads `bytes(r)` bytes; `None` if no pixel is to be seen.
    pub(super) fn decode(r: &Rect, bytes: &[u8], order: Order) -> Option<Cursor> {
        let (width, stride) = (r.width as usize, (r.width as usize).div_ceil(8));
        let (pixels, mask) = bytes.split_at(width * r.height as usize * 4);
        let image = RgbaImage::from_fn(r.width, r.height, |x, y| {
            let (x, y) = (x as usize, y as usize);
            let p = &pixels[(y * width + x) * 4..][..4];
            let shown = mask[y * stride + x / 8] >> (7 - x % 8) & 1 != 0;
            if shown { Rgba(order.rgba(p)) } else { Rgba([0; 4]) }
        });
        let hotspot = Point::new(r.x, r.y);
        image.pixels().any(|p| p.0[3] != 0).then_some(Cursor { image, hotspot })
    }

    /// Draws the pointer with its hot spot at `at`; what reaches outside is left out.
    pub fn draw(&self, at: Point, onto: &mut RgbaImage) {
        for (x, y, p) in self.image.enumerate_pixels().filter(|(.., p)| p.0[3] != 0) {
            let (x, y) = (
                (at.x + x).checked_sub(self.hotspot.x),
                (at.y + y).checked_sub(self.hotspot.y),
            );
            if let (Some(x), Some(y)) = (x, y)
                && let Some(to) = onto.get_pixel_mut_checked(x, y)
            {
                *to = *p;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_with_its_hot_spot_and_clipped() {
        let r = Rect::new(1, 0, 2, 2);
        let mut bytes: Vec<u8> = (0..16).collect();
        bytes.extend([0b1000_0000, 0b0100_0000]);
        assert_eq!(bytes.len(), Cursor::bytes(&r));
        let cursor = Cursor::decode(&r, &bytes, Order::Rgb).unwrap();
        let mut image = RgbaImage::new(3, 3);
        cursor.draw(Point::new(2, 1), &mut image);
        assert_eq!(image.get_pixel(1, 1).0, [0, 1, 2, 255]);
        assert_eq!(image.get_pixel(2, 2).0, [12, 13, 14, 255]);
        assert_eq!(image.get_pixel(2, 1).0, [0; 4]);
        for corner in [Point::new(0, 0), Point::new(2, 2)] {
            cursor.draw(corner, &mut image);
        }
        assert_eq!(Cursor::decode(&r, &[0; 18], Order::Rgb), None);
        assert_eq!(Cursor::decode(&Rect::new(0, 0, 0, 0), &[], Order::Rgb), None);
    }
}
