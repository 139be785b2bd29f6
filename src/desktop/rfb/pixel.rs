//! Pixels on the wire: four bytes, in the order that the server keeps them in.

/// The order of a pixel's bytes on the wire; the fourth is unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Red, green, blue: asked for where the server's own format is neither.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// What makes an opaque pixel of any.
const ALPHA: u32 = u32::from_ne_bytes([0, 0, 0, 255]);
/// Red and blue, or blue and red.
const OUTER: u32 = u32::from_ne_bytes([255, 0, 255, 0]);

impl Order {
    /// The order that costs a server the least, by the PIXEL_FORMAT of its ServerInit (RFC 6143 section 7.4): with any
    /// other it converts every pixel, which takes TigerVNC and QEMU longer than all the rest.
    pub fn of(format: &[u8; 16]) -> Order {
        match format {
            // Bits per pixel, depth, big endian, true colour, three maxima of 255, shifts of red, green and blue.
            [32, 24, 0, 1..=255, 0, 255, 0, 255, 0, 255, 16, 8, 0, _, _, _] => Order::Bgr,
            _ => Order::Rgb,
        }
    }

    /// SetPixelFormat (section 7.5.1): 32 bits, depth 24, little endian.
    pub fn set_pixel_format(self) -> [u8; 20] {
        let (red, blue) = match self {
            Order::Rgb => (0, 16),
            Order::Bgr => (16, 0),
        };
        [0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, red, 8, blue, 0, 0, 0]
    }

    /// The pixel of which these are the first three bytes or more.
    pub(super) fn rgba(self, wire: &[u8]) -> [u8; 4] {
        match self {
            Order::Rgb => [wire[0], wire[1], wire[2], 255],
            Order::Bgr => [wire[2], wire[1], wire[0], 255],
        }
    }

    /// Many pixels of four bytes. Whole words, which the compiler takes several at a time.
    pub(super) fn convert(self, wire: &[u8], to: &mut [u8]) {
        let pixels = wire.as_chunks::<4>().0.iter().map(|p| u32::from_ne_bytes(*p));
        let to = to.as_chunks_mut::<4>().0.iter_mut().zip(pixels);
        match self {
            Order::Rgb => to.for_each(|(to, p)| *to = (p | ALPHA).to_ne_bytes()),
            // Turned by half a word, red and blue have changed places.
            Order::Bgr => {
                to.for_each(|(to, p)| *to = (p.rotate_left(16) & OUTER | p & !OUTER | ALPHA).to_ne_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_order_is_kept_where_it_has_one() {
        let mut format = [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];
        assert_eq!(Order::of(&format), Order::Bgr);
        assert_eq!(Order::Bgr.set_pixel_format()[4..], format);
        for (at, value) in [(0, 16), (1, 30), (2, 1), (3, 0), (5, 31), (10, 0), (12, 16)] {
            let mut other = format;
            other[at] = value;
            assert_eq!(Order::of(&other), Order::Rgb, "byte {at}");
        }
        (format[10], format[12]) = (0, 16);
        assert_eq!(Order::Rgb.set_pixel_format()[4..], format);
    }

    #[test]
    fn rows_are_converted_as_pixels_are() {
        let wire: Vec<u8> = (0..36).map(|i| i * 7).collect();
        for order in [Order::Rgb, Order::Bgr] {
            let mut to = vec![0; wire.len()];
            order.convert(&wire, &mut to);
            let each: Vec<u8> = wire.chunks(4).flat_map(|p| order.rgba(p)).collect();
            assert_eq!(to, each, "{order:?}");
        }
        assert_eq!(Order::Bgr.rgba(&[1, 2, 3, 4]), [3, 2, 1, 255]);
    }
}
