//! Clipboard messages, both directions: Latin-1 as RFC 6143 has it, and the extended clipboard (RFB community registry,
//! pseudo-encoding 0xC0A1E5CE), of which only plain text is used.

use std::io::Write;

use super::inflate::Inflate;
use super::{ProtocolError, limits};

const TEXT: u32 = 1;
const CAPS: u32 = 1 << 24;
const REQUEST: u32 = 1 << 25;
const PEEK: u32 = 1 << 26;
const NOTIFY: u32 = 1 << 27;
const PROVIDE: u32 = 1 << 28;

/// What the other side says about its clipboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clipboard {
    /// Here is the text.
    Text(String),
    /// It speaks the extended clipboard.
    Extended,
    /// It has a text that can be asked for.
    Available,
    /// It asks for our text.
    Wanted,
    /// It asks what we have.
    Peek,
}

impl Clipboard {
    /// Reads a cut text's contents; `None` for what is of no interest (formats other than text).
    pub(super) fn decode(bytes: &[u8], extended: bool) -> Result<Option<Clipboard>, ProtocolError> {
        if !extended {
            // Latin-1: each byte is the code point.
            let text = bytes.iter().map(|b| char::from(*b)).collect();
            return Ok(Some(Clipboard::Text(text)));
        }
        let (head, data) = bytes.split_first_chunk::<4>().ok_or(damaged("ends within its flags"))?;
        let flags = u32::from_be_bytes(*head);
        if flags & CAPS != 0 {
            return Ok(Some(Clipboard::Extended));
        }
        if flags & TEXT == 0 && flags & (NOTIFY | PROVIDE | REQUEST) != 0 {
            return Ok(None);
        }
        Ok(match flags & (REQUEST | PEEK | NOTIFY | PROVIDE) {
            REQUEST => Some(Clipboard::Wanted),
            PEEK => Some(Clipboard::Peek),
            NOTIFY => Some(Clipboard::Available),
            PROVIDE => Some(Clipboard::Text(provided(data)?)),
            _ => None,
        })
    }
}

/// The text of a "provide" message: a zlib stream of its own with length and text, which ends with a zero byte.
fn provided(data: &[u8]) -> Result<String, ProtocolError> {
    let mut stream = Inflate::new("clipboard");
    let plain = stream.piece(data, limits::MAX_TEXT)?;
    let (length, text) = plain.split_first_chunk::<4>().ok_or(damaged("has no length"))?;
    let length = u32::from_be_bytes(*length) as usize;
    let text = text.get(..length).ok_or(damaged("is shorter than its length"))?;
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    Ok(String::from_utf8_lossy(text).replace("\r\n", "\n"))
}

fn damaged(what: &'static str) -> ProtocolError {
    ProtocolError::Damaged {
        encoding: "clipboard",
        what,
    }
}

/// ClientCutText in Latin-1; the character that it has no place for, if there is one.
pub fn plain(text: &str) -> Result<Vec<u8>, char> {
    let latin: Vec<u8> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).map_err(|_| c))
        .collect::<Result<_, _>>()?;
    Ok(cut_text(latin.len() as i32, &latin))
}

/// Says that this side speaks the extended clipboard: text, up to the limit without being asked.
pub fn capabilities() -> Vec<u8> {
    extended(
        CAPS | REQUEST | NOTIFY | PEEK | PROVIDE | TEXT,
        &(limits::MAX_TEXT as u32).to_be_bytes(),
    )
}

/// Says that there is a text to ask for.
pub fn notify(there_is: bool) -> Vec<u8> {
    extended(NOTIFY | if there_is { TEXT } else { 0 }, &[])
}

/// Asks for the text.
pub fn request() -> Vec<u8> {
    extended(REQUEST | TEXT, &[])
}

/// Hands over the text; line ends are CR LF on the wire.
pub fn provide(text: &str) -> std::io::Result<Vec<u8>> {
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let mut z = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    z.write_all(&(text.len() as u32 + 1).to_be_bytes())?;
    z.write_all(text.as_bytes())?;
    z.write_all(&[0])?;
    Ok(extended(PROVIDE | TEXT, &z.finish()?))
}

fn extended(flags: u32, data: &[u8]) -> Vec<u8> {
    let body = [&flags.to_be_bytes(), data].concat();
    // A negative length marks the extended form.
    cut_text(-(body.len() as i32), &body)
}

fn cut_text(length: i32, body: &[u8]) -> Vec<u8> {
    [&[6, 0, 0, 0][..], &length.to_be_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back() {
        for text in ["", "plain", "zwei\nZeilen: € 你好"] {
            let message = provide(text).unwrap();
            let length = i32::from_be_bytes(message[4..8].try_into().unwrap());
            assert_eq!(length, -(message.len() as i32 - 8));
            let read = Clipboard::decode(&message[8..], true).unwrap();
            assert_eq!(read, Some(Clipboard::Text(text.into())));
        }
        assert_eq!(plain("né").unwrap()[8..], [b'n', 0xe9]);
        assert_eq!(plain("5 €"), Err('€'));
        assert_eq!(Clipboard::decode(&[0xe9], false), Ok(Some(Clipboard::Text("é".into()))));
    }

    #[test]
    fn the_other_messages() {
        let read = |message: Vec<u8>| Clipboard::decode(&message[8..], true);
        assert_eq!(read(capabilities()), Ok(Some(Clipboard::Extended)));
        assert_eq!(read(notify(true)), Ok(Some(Clipboard::Available)));
        assert_eq!(read(notify(false)), Ok(None));
        assert_eq!(read(request()), Ok(Some(Clipboard::Wanted)));
        for bad in [&[0u8, 0][..], &[0x10, 0, 0, 1, 9, 9], &[0x10, 0, 0, 1]] {
            assert!(Clipboard::decode(bad, true).is_err(), "{bad:?}");
        }
    }
}
