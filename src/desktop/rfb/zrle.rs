//! The ZRLE encoding (RFC 6143 section 7.7.6): 64x64 tiles of palettes and runs inside one zlib stream that lives as
//! long as the connection.

use super::super::Rect;
use super::inflate::Inflate;
use super::{Canvas, Order, ProtocolError};

const TILE: u32 = 64;
/// A tile at its longest: its type, a palette of 127, and one run (3 bytes pixel, 1 byte length) for each pixel.
const LONGEST_TILE: usize = 1 + 127 * 3 + 64 * 64 * 4;

/// The connection's ZRLE state.
pub(super) struct Zrle {
    stream: Inflate,
}

impl Zrle {
    pub(super) fn new() -> Zrle {
        Zrle {
            stream: Inflate::new("ZRLE"),
        }
    }

    /// Decodes one rectangle's compressed bytes into the canvas. The caller has checked the rectangle.
    pub(super) fn decode(&mut self, data: &[u8], r: &Rect, canvas: &mut Canvas) -> Result<(), ProtocolError> {
        let tiles = r.width.div_ceil(TILE) as usize * r.height.div_ceil(TILE) as usize;
        let mut input = Input {
            bytes: self.stream.piece(data, tiles * LONGEST_TILE)?,
            order: canvas.order(),
        };
        for y in (r.y..r.bottom()).step_by(TILE as usize) {
            for x in (r.x..r.right()).step_by(TILE as usize) {
                let tile = Rect::new(x, y, TILE.min(r.right() - x), TILE.min(r.bottom() - y));
                decode_tile(&mut input, &tile, canvas)?;
            }
        }
        if input.bytes.is_empty() {
            Ok(())
        } else {
            Err(damaged("bytes left over after the last tile"))
        }
    }
}

fn damaged(what: &'static str) -> ProtocolError {
    ProtocolError::Damaged { encoding: "ZRLE", what }
}

/// Decompressed bytes not yet read.
struct Input<'a> {
    bytes: &'a [u8],
    order: Order,
}

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], ProtocolError> {
        let (head, rest) = self.bytes.split_at_checked(n).ok_or(damaged("ends within a tile"))?;
        self.bytes = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, ProtocolError> {
        Ok(self.take(1)?[0])
    }

    /// A CPIXEL: the three colour bytes of the 32-bit pixel.
    fn pixel(&mut self) -> Result<[u8; 4], ProtocolError> {
        let p = self.take(3)?;
        Ok(self.order.rgba(p))
    }

    fn palette(&mut self, n: usize) -> Result<Vec<[u8; 4]>, ProtocolError> {
        (0..n).map(|_| self.pixel()).collect()
    }

    /// A run length: 1 plus bytes, the first below 255 being the last.
    fn run(&mut self, left: usize) -> Result<usize, ProtocolError> {
        let mut length = 1;
        loop {
            let b = self.byte()?;
            length += b as usize;
            if length > left {
                return Err(damaged("a run leaves its tile"));
            }
            if b != 255 {
                return Ok(length);
            }
        }
    }
}

fn decode_tile(input: &mut Input, tile: &Rect, canvas: &mut Canvas) -> Result<(), ProtocolError> {
    match input.byte()? {
        0 => {
            for y in tile.y..tile.bottom() {
                let raw = input.take(tile.width as usize * 3)?;
                let row = canvas.row_mut(tile.x, y, tile.width);
                for (to, from) in row.chunks_exact_mut(4).zip(raw.chunks_exact(3)) {
                    to.copy_from_slice(&input.order.rgba(from));
                }
            }
            Ok(())
        }
        1 => {
            let colour = input.pixel()?;
            for y in tile.y..tile.bottom() {
                fill(canvas.row_mut(tile.x, y, tile.width), colour);
            }
            Ok(())
        }
        n @ 2..=16 => packed(input, n as usize, tile, canvas),
        128 => runs(input, tile, canvas, |input, left| {
            Ok((input.pixel()?, input.run(left)?))
        }),
        n @ 130..=255 => {
            let palette = input.palette(n as usize - 128)?;
            let colour = |i: u8| palette.get(i as usize).copied().ok_or(damaged("no such palette entry"));
            runs(input, tile, canvas, |input, left| {
                let index = input.byte()?;
                if index < 128 {
                    Ok((colour(index)?, 1))
                } else {
                    Ok((colour(index - 128)?, input.run(left)?))
                }
            })
        }
        _ => Err(damaged("unknown kind of tile")),
    }
}

/// A palette of 2 to 16 colours with 1, 2 or 4 bits a pixel, each row padded to bytes.
fn packed(input: &mut Input, n: usize, tile: &Rect, canvas: &mut Canvas) -> Result<(), ProtocolError> {
    let palette = input.palette(n)?;
    let bits = match n {
        2 => 1,
        3..=4 => 2,
        _ => 4,
    };
    let per_byte = 8 / bits;
    for y in tile.y..tile.bottom() {
        let indices = input.take((tile.width as usize).div_ceil(per_byte))?;
        let row = canvas.row_mut(tile.x, y, tile.width);
        for (pixels, byte) in row.chunks_mut(4 * per_byte).zip(indices) {
            for (k, to) in pixels.chunks_exact_mut(4).enumerate() {
                let index = byte >> (8 - bits * (k + 1)) & ((1 << bits) - 1);
                let colour = palette.get(index as usize).ok_or(damaged("no such palette entry"))?;
                to.copy_from_slice(colour);
            }
        }
    }
    Ok(())
}

/// Runs in row order across the tile until it is full. `next` gives a colour and a length of at most `left` pixels.
fn runs(
    input: &mut Input,
    tile: &Rect,
    canvas: &mut Canvas,
    next: impl Fn(&mut Input, usize) -> Result<([u8; 4], usize), ProtocolError>,
) -> Result<(), ProtocolError> {
    let (mut x, mut y) = (0, tile.y);
    let mut left = tile.width as usize * tile.height as usize;
    while left > 0 {
        let (colour, mut length) = next(input, left)?;
        left -= length;
        while length > 0 {
            let n = length.min((tile.width - x) as usize);
            fill(canvas.row_mut(tile.x + x, y, n as u32), colour);
            length -= n;
            x += n as u32;
            if x == tile.width {
                (x, y) = (0, y + 1);
            }
        }
    }
    Ok(())
}

pub(super) fn fill(row: &mut [u8], colour: [u8; 4]) {
    if let Some(first) = row.get_mut(..4) {
        first.copy_from_slice(&colour);
    }
    // Doubling copies: a few memcpy calls instead of one store for each pixel.
    let mut done = 4;
    while done < row.len() {
        let n = done.min(row.len() - done);
        row.copy_within(..n, done);
        done += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn deflate(c: &mut Compress, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len() + 1000);
        c.compress_vec(plain, &mut out, FlushCompress::Sync).unwrap();
        out
    }

    #[test]
    fn every_kind_of_tile_over_one_stream() {
        let (mut zrle, mut c) = (Zrle::new(), Compress::new(Compression::default(), true));
        let mut canvas = Canvas::new(8, 4, Order::Rgb).unwrap();
        let r = Rect::new(1, 1, 4, 2);
        let (red, green, blue) = ([9u8, 0, 0], [0u8, 9, 0], [0u8, 0, 9]);
        let mut raw = vec![0u8];
        (0..24).for_each(|i| raw.push(i));
        let cases: Vec<(Vec<u8>, [u8; 3], [u8; 3])> = vec![
            (raw, [0, 1, 2], [21, 22, 23]),
            ([&[1], &red[..]].concat(), red, red),
            ([&[2], &red[..], &green, &[0b0111_0000, 0b1110_0000]].concat(), red, red),
            (
                [&[3], &red[..], &green, &blue, &[0b00_01_10_00, 0b00_00_00_10]].concat(),
                red,
                blue,
            ),
            ([&[128], &red[..], &[4], &blue, &[2]].concat(), red, blue),
            ([&[130], &red[..], &green, &[0, 0x81, 6]].concat(), red, green),
        ];
        for (plain, first, last) in cases {
            zrle.decode(&deflate(&mut c, &plain), &r, &mut canvas).unwrap();
            assert_eq!(canvas.row_mut(1, 1, 1)[..3], first, "kind {}", plain[0]);
            assert_eq!(canvas.row_mut(4, 2, 1)[..3], last, "kind {}", plain[0]);
        }
        assert_eq!(canvas.row_mut(0, 0, 1)[..3], [0, 0, 0]);
        assert_eq!(canvas.row_mut(5, 2, 1)[..3], [0, 0, 0]);
    }

    #[test]
    fn damaged_data_is_a_typed_error() {
        let r = Rect::new(0, 0, 4, 2);
        let bad: [&[u8]; 6] = [
            &[],
            &[17],
            &[0, 1, 2],
            &[128, 1, 2, 3, 255, 255],
            &[2, 1, 2, 3, 4, 5, 6, 0],
            &[1, 1, 1, 1, 7],
        ];
        for plain in bad {
            let mut canvas = Canvas::new(4, 2, Order::Rgb).unwrap();
            let data = deflate(&mut Compress::new(Compression::default(), true), plain);
            assert!(Zrle::new().decode(&data, &r, &mut canvas).is_err(), "{plain:?}");
        }
        let mut canvas = Canvas::new(4, 2, Order::Rgb).unwrap();
        assert!(Zrle::new().decode(&[0xff; 40], &r, &mut canvas).is_err());
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        let bomb = deflate(&mut Compress::new(Compression::best(), true), &vec![1u8; 50 << 20]);
        let mut canvas = Canvas::new(4, 2, Order::Rgb).unwrap();
        let mut zrle = Zrle::new();
        let got = zrle.decode(&bomb, &Rect::new(0, 0, 4, 2), &mut canvas);
        assert_eq!(got, Err(damaged("decompresses to more than its rectangle can hold")));
        assert!(zrle.stream.capacity() < 1 << 20);
    }
}
