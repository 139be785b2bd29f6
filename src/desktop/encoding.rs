//! Which encodings of pixels a session asks for.

use super::rfb::encoding;

/// An encoding of pixels. Every server can also send them raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Filled, indexed or predicted pixels in four zlib streams; never lossy here.
    Tight,
    /// Run-length tiles in a zlib stream.
    Zrle,
    /// Pixels in a zlib stream.
    Zlib,
    /// Tiles of rectangles on a background.
    Hextile,
    /// A copy of what is elsewhere on the screen.
    CopyRect,
    /// Pixels as they are.
    Raw,
}

impl Encoding {
    /// Pixels as they are, for servers on the same machine: packing takes longer than handing them over does.
    pub const LOCAL: &[Encoding] = &[Encoding::CopyRect, Encoding::Raw];
    /// All that pack pixels, best first.
    pub const COMPRESSED: &[Encoding] = &[
        Encoding::Tight,
        Encoding::Zrle,
        Encoding::Zlib,
        Encoding::CopyRect,
        Encoding::Hextile,
    ];

    /// Its number in the protocol.
    pub(super) fn number(self) -> i32 {
        match self {
            Encoding::Tight => encoding::TIGHT,
            Encoding::Zrle => encoding::ZRLE,
            Encoding::Zlib => encoding::ZLIB,
            Encoding::Hextile => encoding::HEXTILE,
            Encoding::CopyRect => encoding::COPY_RECT,
            Encoding::Raw => encoding::RAW,
        }
    }

    pub(super) fn of(number: i32) -> Option<Encoding> {
        let all = Encoding::COMPRESSED.iter().chain(&[Encoding::Raw]);
        all.copied().find(|e| e.number() == number)
    }
}

/// What is asked for besides pixels.
const BESIDES: [i32; 7] = [
    encoding::DESKTOP_SIZE,
    encoding::CURSOR,
    encoding::LED_STATE,
    encoding::EXTENDED_KEY_EVENT,
    encoding::DESKTOP_NAME,
    encoding::XVP,
    encoding::EXTENDED_CLIPBOARD,
];

/// The whole list for the server, in order of preference.
pub(super) fn wanted(pixels: &[Encoding]) -> Vec<i32> {
    let packs = |e: &&Encoding| !matches!(e, Encoding::Raw | Encoding::CopyRect);
    // TigerVNC looks for areas of one colour if an update need not tell how many parts it has. That pays where they are
    // packed; raw pixels take more than twice as long.
    // Servers pack as hard as they can if nobody says otherwise (QEMU), and take twice as long for a few bytes less.
    let when_packed = [encoding::LAST_RECT, encoding::COMPRESS_LEVEL_1];
    let packed = pixels.iter().any(|e| packs(&e));
    let when_packed = when_packed.into_iter().filter(|_| packed);
    let pixels = pixels.iter().filter(|e| **e != Encoding::Raw).map(|e| e.number());
    pixels
        .chain([encoding::RAW])
        .chain(when_packed)
        .chain(BESIDES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_pixels_come_last_and_without_a_search_for_areas() {
        let packed = wanted(Encoding::COMPRESSED);
        assert_eq!(packed[..2], [encoding::TIGHT, encoding::ZRLE]);
        assert_eq!(
            packed[Encoding::COMPRESSED.len()..][..3],
            [encoding::RAW, encoding::LAST_RECT, encoding::COMPRESS_LEVEL_1]
        );
        for raw in [&[][..], &[Encoding::Raw], Encoding::LOCAL] {
            let wanted = wanted(raw);
            assert!(
                wanted.contains(&encoding::RAW) && !wanted.contains(&encoding::LAST_RECT),
                "{raw:?}"
            );
        }
    }
}
