//! The Tight encoding (RFB community registry, encoding 7), without JPEG: filled, copied, indexed or predicted pixels,
//! in four zlib streams that live as long as the connection.

use super::super::Rect;
use super::inflate::Inflate;
use super::{Canvas, ProtocolError};

/// Data shorter than this is sent as it is.
const NOT_COMPRESSED: usize = 12;
const FILL: u8 = 8;
const JPEG: u8 = 9;

/// The connection's Tight state.
pub(super) struct Tight {
    streams: [Inflate; 4],
}

/// What a rectangle's first bytes say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    control: u8,
    filter: Filter,
    /// Where the pixels' bytes begin.
    start: usize,
    /// How many bytes they have on the wire.
    length: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Filter {
    Fill,
    Copy,
    /// The palette's length; its colours end where the data's length or data begins.
    Palette(usize),
    Gradient,
}

impl Head {
    /// Bytes of the whole rectangle.
    pub(super) fn total(&self) -> usize {
        self.start + self.length
    }

    /// Reads the head of a rectangle; `None` if more bytes are needed.
    pub(super) fn read(bytes: &[u8], r: &Rect) -> Result<Option<Head>, ProtocolError> {
        let Some(&control) = bytes.first() else {
            return Ok(None);
        };
        let kind = control >> 4;
        if kind == FILL {
            let (filter, start, length) = (Filter::Fill, 1, 3);
            return Ok(Some(Head {
                control,
                filter,
                start,
                length,
            }));
        }
        if kind == JPEG {
            return Err(damaged("a JPEG picture, which was not asked for"));
        }
        if kind > JPEG {
            return Err(damaged("unknown kind of compression"));
        }
        let mut at = 1;
        let mut filter = Filter::Copy;
        if control & 0x40 != 0 {
            let Some(&id) = bytes.get(at) else { return Ok(None) };
            at += 1;
            filter = match id {
                0 => Filter::Copy,
                1 => {
                    let Some(&last) = bytes.get(at) else { return Ok(None) };
                    let colours = usize::from(last) + 1;
                    at += 1 + colours * 3;
                    Filter::Palette(colours)
                }
                2 => Filter::Gradient,
                _ => return Err(damaged("unknown filter")),
            };
        }
        let plain = plain_length(filter, r);
        if plain < NOT_COMPRESSED {
            return Ok(Some(Head {
                control,
                filter,
                start: at,
                length: plain,
            }));
        }
        let Some((length, digits)) = compact_length(bytes.get(at..).unwrap_or_default()) else {
            return Ok(None);
        };
        Ok(Some(Head {
            control,
            filter,
            start: at + digits,
            length,
        }))
    }

    fn palette<'a>(&self, bytes: &'a [u8], colours: usize) -> &'a [u8] {
        // It follows the control byte, the filter and its own length.
        &bytes[3..3 + colours * 3]
    }
}

/// Bytes of the pixels after decompression.
fn plain_length(filter: Filter, r: &Rect) -> usize {
    let (width, height) = (r.width as usize, r.height as usize);
    match filter {
        Filter::Fill => 3,
        Filter::Copy | Filter::Gradient => width * height * 3,
        Filter::Palette(2) => width.div_ceil(8) * height,
        Filter::Palette(_) => width * height,
    }
}

/// Seven bits a byte, least significant first, the third with eight; and how many bytes it took.
fn compact_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let a = usize::from(*bytes.first()?);
    if a & 0x80 == 0 {
        return Some((a, 1));
    }
    let b = usize::from(*bytes.get(1)?);
    let two = a & 0x7f | (b & 0x7f) << 7;
    if b & 0x80 == 0 {
        return Some((two, 2));
    }
    let c = usize::from(*bytes.get(2)?);
    Some((two | c << 14, 3))
}

impl Tight {
    pub(super) fn new() -> Tight {
        Tight {
            streams: std::array::from_fn(|_| Inflate::new("Tight")),
        }
    }

    /// Decodes one rectangle of `head.total()` bytes. The caller has checked the rectangle.
    pub(super) fn decode(
        &mut self,
        head: &Head,
        bytes: &[u8],
        r: &Rect,
        canvas: &mut Canvas,
    ) -> Result<(), ProtocolError> {
        for (i, stream) in self.streams.iter_mut().enumerate() {
            if head.control >> i & 1 != 0 {
                stream.reset();
            }
        }
        let data = &bytes[head.start..head.total()];
        if head.filter == Filter::Fill {
            (r.y..r.bottom()).for_each(|y| super::zrle::fill(canvas.row_mut(r.x, y, r.width), rgba(data)));
            return Ok(());
        }
        let length = plain_length(head.filter, r);
        let plain = if length < NOT_COMPRESSED {
            data
        } else {
            self.streams[usize::from(head.control >> 4 & 3)].piece(data, length)?
        };
        if plain.len() != length {
            return Err(damaged("decompresses to less than its rectangle holds"));
        }
        if r.width == 0 {
            return Ok(());
        }
        match head.filter {
            Filter::Fill | Filter::Copy => copy(plain, r, canvas),
            Filter::Gradient => gradient(plain, r, canvas),
            Filter::Palette(2) => two_colours(head.palette(bytes, 2), plain, r, canvas),
            Filter::Palette(colours) => indexed(head.palette(bytes, colours), plain, r, canvas)?,
        }
        Ok(())
    }
}

fn damaged(what: &'static str) -> ProtocolError {
    ProtocolError::Damaged {
        encoding: "Tight",
        what,
    }
}

/// A TPIXEL: red, green, blue.
fn rgba(p: &[u8]) -> [u8; 4] {
    [p[0], p[1], p[2], 255]
}

fn copy(plain: &[u8], r: &Rect, canvas: &mut Canvas) {
    for (y, line) in (r.y..).zip(plain.chunks_exact(r.width as usize * 3)) {
        let row = canvas.row_mut(r.x, y, r.width);
        for (to, from) in row.chunks_exact_mut(4).zip(line.chunks_exact(3)) {
            to.copy_from_slice(&rgba(from));
        }
    }
}

/// One bit a pixel, the highest first, each row padded to bytes.
fn two_colours(palette: &[u8], plain: &[u8], r: &Rect, canvas: &mut Canvas) {
    let colours = [rgba(palette), rgba(&palette[3..])];
    for (y, line) in (r.y..).zip(plain.chunks_exact((r.width as usize).div_ceil(8))) {
        let row = canvas.row_mut(r.x, y, r.width);
        for (x, to) in row.chunks_exact_mut(4).enumerate() {
            let bit = line[x / 8] >> (7 - x % 8) & 1;
            to.copy_from_slice(&colours[usize::from(bit)]);
        }
    }
}

fn indexed(palette: &[u8], plain: &[u8], r: &Rect, canvas: &mut Canvas) -> Result<(), ProtocolError> {
    for (y, line) in (r.y..).zip(plain.chunks_exact(r.width as usize)) {
        let row = canvas.row_mut(r.x, y, r.width);
        for (to, index) in row.chunks_exact_mut(4).zip(line) {
            let at = usize::from(*index) * 3;
            let colour = palette.get(at..at + 3).ok_or(damaged("no such palette entry"))?;
            to.copy_from_slice(&rgba(colour));
        }
    }
    Ok(())
}

/// Each component is the difference to what its neighbours foretell: left + above - above left, within 0 to 255.
fn gradient(plain: &[u8], r: &Rect, canvas: &mut Canvas) {
    let mut above = vec![0u8; r.width as usize * 3];
    for (y, line) in (r.y..).zip(plain.chunks_exact(r.width as usize * 3)) {
        let (mut left, mut above_left) = ([0u8; 3], [0u8; 3]);
        let row = canvas.row_mut(r.x, y, r.width);
        for ((to, from), above) in row
            .chunks_exact_mut(4)
            .zip(line.chunks_exact(3))
            .zip(above.chunks_exact_mut(3))
        {
            for c in 0..3 {
                let foretold = i16::from(left[c]) + i16::from(above[c]) - i16::from(above_left[c]);
                let value = (foretold.clamp(0, 255) as u8).wrapping_add(from[c]);
                (above_left[c], above[c], left[c]) = (above[c], value, value);
            }
            to.copy_from_slice(&rgba(&left));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Order;
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn deflate(c: &mut Compress, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len() + 1000);
        c.compress_vec(plain, &mut out, FlushCompress::Sync).unwrap();
        let n = out.len();
        let mut b = vec![n as u8 | 0x80, (n >> 7) as u8];
        assert!(n < 1 << 14);
        b.append(&mut out);
        b
    }

    fn draw(tight: &mut Tight, bytes: &[u8], r: &Rect, canvas: &mut Canvas) -> Result<(), ProtocolError> {
        for n in 0..bytes.len() {
            let early = Head::read(&bytes[..n], r)?;
            assert!(
                early.is_none_or(|h| h.total() == bytes.len()),
                "after {n} bytes: {early:?}"
            );
        }
        let head = Head::read(bytes, r)?.ok_or(damaged("short"))?;
        assert_eq!(head.total(), bytes.len());
        tight.decode(&head, bytes, r, canvas)
    }

    fn pixels(canvas: &mut Canvas, r: &Rect) -> Vec<u8> {
        (r.y..r.bottom())
            .flat_map(|y| canvas.row_mut(r.x, y, r.width).to_vec())
            .collect::<Vec<u8>>()
            .chunks(4)
            .flat_map(|p| p[..3].to_vec())
            .collect()
    }

    #[test]
    fn every_filter_and_stream() {
        let (mut tight, mut canvas) = (Tight::new(), Canvas::new(20, 9, Order::Rgb).unwrap());
        let r = Rect::new(1, 2, 10, 5);
        let (red, green, blue) = ([9u8, 0, 0], [0u8, 9, 0], [0u8, 0, 9]);
        draw(&mut tight, &[0x80, 7, 8, 9], &r, &mut canvas).unwrap();
        assert_eq!(pixels(&mut canvas, &r), [7, 8, 9].repeat(50));

        let noise: Vec<u8> = (0..150u32).map(|i| (i * i * 7 % 251) as u8).collect();
        let mut c = Compress::new(Compression::default(), true);
        for _ in 0..2 {
            // The second time the stream goes on.
            let bytes = [&[0x20][..], &deflate(&mut c, &noise)].concat();
            draw(&mut tight, &bytes, &r, &mut canvas).unwrap();
            assert_eq!(pixels(&mut canvas, &r), noise);
        }
        let mut anew = Compress::new(Compression::default(), true);
        let bytes = [&[0x24][..], &deflate(&mut anew, &noise)].concat();
        draw(&mut tight, &bytes, &r, &mut canvas).unwrap();

        // Five rows of two bytes are too short to be compressed.
        let bits = [0b1000_0000u8, 0b0100_0000].repeat(5);
        let bytes = [&[0x50, 1, 1][..], &red, &green, &bits].concat();
        draw(&mut tight, &bytes, &r, &mut canvas).unwrap();
        let line = [green, red, red, red, red, red, red, red, red, green].concat();
        assert_eq!(pixels(&mut canvas, &r), line.repeat(5));

        let indices: Vec<u8> = (0..50).map(|i| i % 3).collect();
        let mut c = Compress::new(Compression::default(), true);
        let bytes = [&[0x70, 1, 2][..], &red, &green, &blue, &deflate(&mut c, &indices)].concat();
        draw(&mut tight, &bytes, &r, &mut canvas).unwrap();
        assert_eq!(pixels(&mut canvas, &r)[..9], [red, green, blue].concat());

        // What the gradient filter leaves of the noise, computed the other way round.
        let at = |x: i32, y: i32, c: usize| {
            let inside = x >= 0 && y >= 0;
            if inside {
                i32::from(noise[(y as usize * 10 + x as usize) * 3 + c])
            } else {
                0
            }
        };
        let left: Vec<u8> = (0..150)
            .map(|i| {
                let (x, y, c) = ((i / 3 % 10) as i32, (i / 30) as i32, i % 3);
                let foretold = (at(x - 1, y, c) + at(x, y - 1, c) - at(x - 1, y - 1, c)).clamp(0, 255);
                (at(x, y, c) - foretold) as u8
            })
            .collect();
        let mut c = Compress::new(Compression::default(), true);
        let bytes = [&[0x42, 2][..], &deflate(&mut c, &left)].concat();
        let mut fresh = Tight::new();
        draw(&mut fresh, &bytes, &r, &mut canvas).unwrap();
        assert_eq!(pixels(&mut canvas, &r), noise);
    }

    #[test]
    fn damaged_data_is_a_typed_error() {
        let r = Rect::new(0, 0, 10, 5);
        let mut c = Compress::new(Compression::default(), true);
        let short = [&[0x00][..], &deflate(&mut c, &[1; 149])].concat();
        let mut c = Compress::new(Compression::default(), true);
        let long = [&[0x00][..], &deflate(&mut c, &[1; 151])].concat();
        let mut c = Compress::new(Compression::default(), true);
        let beyond = [&[0x40, 1, 2][..], &[0; 9], &deflate(&mut c, &[3; 50])].concat();
        let not_zlib = [0x00, 4, 1, 2, 3, 4].to_vec();
        let bad = [
            short,
            long,
            beyond,
            not_zlib,
            vec![0x90, 0],
            vec![0xa0, 0],
            vec![0x40, 3],
        ];
        for bytes in bad {
            let mut canvas = Canvas::new(10, 5, Order::Rgb).unwrap();
            let got = draw(&mut Tight::new(), &bytes, &r, &mut canvas);
            assert!(
                matches!(got, Err(ProtocolError::Damaged { .. })),
                "{:?}: {got:?}",
                &bytes[..2]
            );
        }
    }

    #[test]
    fn lengths() {
        assert_eq!(compact_length(&[0x7f]), Some((127, 1)));
        assert_eq!(compact_length(&[0x80]), None);
        assert_eq!(compact_length(&[0x90, 0x4e]), Some((10_000, 2)));
        assert_eq!(compact_length(&[0xff, 0xff, 0xff]), Some(((1 << 22) - 1, 3)));
    }
}
