//! The Hextile encoding (RFC 6143 section 7.7.4): tiles of 16x16 pixels, raw or as rectangles on a background.

use super::super::Rect;
use super::zrle::fill;
use super::{Canvas, Order, ProtocolError};

const TILE: u32 = 16;
const RAW: u8 = 1;
const BACKGROUND: u8 = 2;
const FOREGROUND: u8 = 4;
const SUBRECTS: u8 = 8;
const COLOURED: u8 = 16;

/// How far a rectangle has been decoded; colours last from tile to tile within it.
#[derive(Clone, Copy)]
pub(super) struct Hextile {
    rect: Rect,
    /// Left and top edge of the next tile, relative to the rectangle.
    next: (u32, u32),
    background: [u8; 4],
    foreground: [u8; 4],
}

impl Hextile {
    pub(super) fn new(rect: Rect) -> Hextile {
        Hextile {
            rect,
            next: (0, 0),
            background: [0; 4],
            foreground: [0; 4],
        }
    }

    pub(super) fn rect(&self) -> Rect {
        self.rect
    }

    pub(super) fn done(&self) -> bool {
        self.next.1 >= self.rect.height || self.rect.width == 0
    }

    /// Decodes the next tile and says how many bytes it took; `None` if more are needed.
    pub(super) fn tile(&mut self, bytes: &[u8], canvas: &mut Canvas) -> Result<Option<usize>, ProtocolError> {
        let r = self.rect;
        let (x, y) = (r.x + self.next.0, r.y + self.next.1);
        let tile = Rect::new(x, y, TILE.min(r.right() - x), TILE.min(r.bottom() - y));
        let mut input = Input { bytes, at: 0 };
        // Nothing is painted or remembered before the whole tile is there.
        let order = canvas.order();
        let Some(parsed) = self.parse(&mut input, &tile, order)? else {
            return Ok(None);
        };
        match parsed.raw {
            Some(raw) => {
                for (row, line) in (tile.y..).zip(raw.chunks_exact(tile.width as usize * 4)) {
                    canvas.put_raw_row(tile.x, row, line);
                }
            }
            None => {
                (self.background, self.foreground) = (parsed.background, parsed.foreground);
                paint(&tile, self.background, canvas);
                for s in parsed.subrects.chunks_exact(parsed.subrect_length) {
                    let (colour, place) = match s {
                        [a, b, c, _, place @ ..] if parsed.subrect_length == 6 => (order.rgba(&[*a, *b, *c]), place),
                        place => (self.foreground, place),
                    };
                    let (dx, dy) = (u32::from(place[0] >> 4), u32::from(place[0] & 15));
                    let sub = Rect::new(
                        tile.x + dx,
                        tile.y + dy,
                        u32::from(place[1] >> 4) + 1,
                        u32::from(place[1] & 15) + 1,
                    );
                    if sub.right() > tile.right() || sub.bottom() > tile.bottom() {
                        return Err(damaged("a rectangle leaves its tile"));
                    }
                    paint(&sub, colour, canvas);
                }
            }
        }
        self.next.0 += TILE;
        if self.next.0 >= r.width {
            self.next = (0, self.next.1 + TILE);
        }
        Ok(Some(input.at))
    }

    fn parse<'a>(&self, input: &mut Input<'a>, tile: &Rect, order: Order) -> Result<Option<Parsed<'a>>, ProtocolError> {
        let mut parsed = Parsed {
            raw: None,
            background: self.background,
            foreground: self.foreground,
            subrects: &[],
            subrect_length: 2,
        };
        let Some(kind) = input.take(1).map(|b| b[0]) else {
            return Ok(None);
        };
        if kind & RAW != 0 {
            parsed.raw = input.take(tile.width as usize * tile.height as usize * 4);
            return Ok(parsed.raw.is_some().then_some(parsed));
        }
        if kind > 31 {
            return Err(damaged("unknown kind of tile"));
        }
        for (bit, colour) in [
            (BACKGROUND, &mut parsed.background),
            (FOREGROUND, &mut parsed.foreground),
        ] {
            if kind & bit != 0 {
                let Some(p) = input.take(4) else { return Ok(None) };
                *colour = order.rgba(p);
            }
        }
        if kind & SUBRECTS != 0 {
            parsed.subrect_length = if kind & COLOURED != 0 { 6 } else { 2 };
            let Some(count) = input.take(1).map(|b| usize::from(b[0])) else {
                return Ok(None);
            };
            let Some(subrects) = input.take(count * parsed.subrect_length) else {
                return Ok(None);
            };
            parsed.subrects = subrects;
        }
        Ok(Some(parsed))
    }
}

struct Parsed<'a> {
    raw: Option<&'a [u8]>,
    background: [u8; 4],
    foreground: [u8; 4],
    subrects: &'a [u8],
    subrect_length: usize,
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at + n)?;
        self.at += n;
        Some(taken)
    }
}

fn paint(r: &Rect, colour: [u8; 4], canvas: &mut Canvas) {
    (r.y..r.bottom()).for_each(|y| fill(canvas.row_mut(r.x, y, r.width), colour));
}

fn damaged(what: &'static str) -> ProtocolError {
    ProtocolError::Damaged {
        encoding: "Hextile",
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(bytes: &[u8], r: Rect, canvas: &mut Canvas) -> Result<usize, ProtocolError> {
        let mut hextile = Hextile::new(r);
        let mut at = 0;
        while !hextile.done() {
            // Each tile comes byte by byte.
            let mut n = 0;
            at += loop {
                match hextile.tile(&bytes[at..(at + n).min(bytes.len())], canvas)? {
                    Some(took) => break took,
                    None if at + n >= bytes.len() => return Err(damaged("short")),
                    None => n += 1,
                }
            };
        }
        Ok(at)
    }

    #[test]
    fn every_kind_of_tile() {
        let mut canvas = Canvas::new(40, 20, Order::Rgb).unwrap();
        let r = Rect::new(2, 1, 35, 18);
        let (red, green, blue) = ([9u8, 0, 0, 0], [0u8, 9, 0, 0], [0u8, 0, 9, 0]);
        let mut bytes = Vec::new();
        // The first row: background; the same with a foreground rectangle; a narrow tile, raw.
        bytes.extend([&[BACKGROUND][..], &red].concat());
        bytes.extend([&[FOREGROUND | SUBRECTS][..], &green, &[1, 0x12, 0x30]].concat());
        bytes.push(RAW);
        bytes.extend((0..3 * 16).flat_map(|_| blue));
        // The second: nothing new; coloured rectangles; nothing new again, since colours outlive them.
        bytes.push(0);
        bytes.extend([&[SUBRECTS | COLOURED][..], &[1], &blue, &[0xf1, 0x00]].concat());
        bytes.push(0);
        assert_eq!(draw(&bytes, r, &mut canvas), Ok(bytes.len()));
        let mut at = |x: u32, y: u32| canvas.row_mut(x, y, 1)[..3].to_vec();
        assert_eq!(at(2, 1), red[..3]);
        assert_eq!(at(18, 1), red[..3]);
        assert_eq!(at(18 + 1, 1 + 2), green[..3]);
        assert_eq!(at(18 + 4, 1 + 2), green[..3]);
        assert_eq!(at(18 + 5, 1 + 2), red[..3]);
        assert_eq!(at(34, 5), blue[..3]);
        assert_eq!(at(18 + 15, 17 + 1), blue[..3]);
        assert_eq!(at(36, 18), red[..3]);
        assert_eq!(at(37, 18), [0, 0, 0]);
    }

    #[test]
    fn a_rectangle_that_leaves_its_tile_is_refused() {
        let mut canvas = Canvas::new(40, 20, Order::Rgb).unwrap();
        let bytes = [SUBRECTS, 1, 0x90, 0x10];
        assert!(draw(&bytes, Rect::new(0, 0, 10, 10), &mut canvas).is_err());
        assert!(draw(&[32], Rect::new(0, 0, 10, 10), &mut canvas).is_err());
    }
}
