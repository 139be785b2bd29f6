//! What the fuzzer and the test of its corpus do with a server's bytes.

use mosdat::desktop::rfb::{Decoder, Order};

/// Feeds bytes into a decoder: the first two are the framebuffer's sides, the third is the size of the pieces they come
/// in. Whole and in pieces, the events and the picture have to be the same.
pub fn feed(bytes: &[u8]) {
    let [width, height, piece, bytes @ ..] = bytes else {
        return;
    };
    let size = (u32::from(*width) + 1, u32::from(*height) + 1);
    let whole = decode(size, bytes, bytes.len().max(1));
    let pieces = decode(size, bytes, usize::from(*piece) + 1);
    assert!(whole == pieces, "it matters in which pieces the bytes come");
}

fn decode((width, height): (u32, u32), bytes: &[u8], piece: usize) -> (String, Option<u64>) {
    use std::fmt::Write;
    use std::hash::{DefaultHasher, Hash, Hasher};
    let order = if width % 2 == 0 { Order::Rgb } else { Order::Bgr };
    let Ok(mut decoder) = Decoder::new(width, height, order) else {
        return Default::default();
    };
    let mut said = String::new();
    for part in bytes.chunks(piece) {
        decoder.buffer().extend_from_slice(part);
        loop {
            match decoder.next_event() {
                Ok(Some(event)) => {
                    let _ = writeln!(said, "{event:?}");
                }
                Ok(None) => break,
                Err(error) => {
                    let _ = writeln!(said, "{error}");
                    return (said, None);
                }
            }
        }
    }
    let mut hash = DefaultHasher::new();
    decoder.image().as_raw().hash(&mut hash);
    (said, Some(hash.finish()))
}
