//! The server-to-client half of the protocol as a state machine over received bytes (RFC 6143 sections 7.6 and 7.7).
//!
//! ExtendedDesktopSize is understood but not asked for: TigerVNC answers every non-incremental request of a client that
//! asked for it with a size message *instead of* pixels and then forgets the request, so a client could not tell when a
//! full request has been answered. DesktopSize alone has the same effect on resolution changes without that trap.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use image::RgbaImage;

use super::super::Rect;
use super::hextile::Hextile;
use super::inflate::Inflate;
use super::tight::{self, Tight};
use super::zrle::Zrle;
use super::{Canvas, Clipboard, Cursor, Order, ProtocolError, encoding, limits};

/// What the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A FramebufferUpdate began.
    UpdateBegin,
    /// This part of the canvas has just been painted.
    Painted(Rect),
    /// The framebuffer has a new size; its contents are black until painted.
    Resized(u32, u32),
    /// The FramebufferUpdate that began is complete.
    UpdateEnd,
    /// The server rang the bell.
    Bell,
    /// The mouse pointer's picture; `None` hides it.
    Cursor(Option<Arc<Cursor>>),
    /// The keyboard's lights: bit 0 Scroll Lock, bit 1 Num Lock, bit 2 Caps Lock.
    Leds(u8),
    /// The server takes key events with scan codes (QEMU's extended key event).
    ScanCodes,
    /// The desktop has this name now.
    Name(String),
    /// A message about the clipboard.
    Clipboard(Clipboard),
    /// The server can do power actions (XVP); or it refused one.
    Power {
        /// True for "ready", false for "the last action failed".
        offered: bool,
    },
}

/// Decodes what a server sends after the handshake. Feed bytes into [`Decoder::buffer`], then call [`Decoder::next_event`]
/// until it wants more. After an error it must be dropped: the stream has lost its framing.
pub struct Decoder {
    buffer: BytesMut,
    state: State,
    /// Rectangles still to come in the current update; `None` when only LastRect ends it.
    left: Option<u16>,
    canvas: Canvas,
    zrle: Zrle,
    zlib: Inflate,
    tight: Tight,
    /// Encodings of pixels that have come, in the order of their first use.
    met: Vec<i32>,
}

#[derive(Clone, Copy)]
enum State {
    Message,
    RectHeader,
    Raw {
        rect: Rect,
        row: u32,
    },
    CopyRect {
        rect: Rect,
    },
    /// A rectangle that is decoded when all of it is there.
    Whole {
        rect: Rect,
        kind: Whole,
    },
    Hextile(Hextile),
    Screens {
        reason: u32,
        status: u32,
        width: u32,
        height: u32,
    },
    /// A message that is not an update and has this many bytes without interest left.
    Skip {
        bytes: u64,
    },
}

/// What is sent in one piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Zrle,
    Zlib,
    Tight,
    Cursor,
    Leds,
    Name,
}

impl Decoder {
    /// A decoder for a framebuffer of the size that ServerInit named, and the order that was asked for.
    ///
    /// # Errors
    /// [`ProtocolError::Size`].
    pub fn new(width: u32, height: u32, order: Order) -> Result<Decoder, ProtocolError> {
        Ok(Decoder {
            buffer: BytesMut::new(),
            state: State::Message,
            left: None,
            canvas: Canvas::new(width, height, order)?,
            zrle: Zrle::new(),
            zlib: Inflate::new("Zlib"),
            tight: Tight::new(),
            met: Vec::new(),
        })
    }

    /// Where received bytes go. Append only.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The framebuffer as painted so far.
    pub fn canvas(&self) -> &Canvas {
        &self.canvas
    }

    /// The framebuffer as painted so far, as a picture that stays as it is.
    pub fn image(&mut self) -> Arc<RgbaImage> {
        self.canvas.image()
    }

    /// Numbers of the encodings that the server has sent pixels in.
    pub fn met(&self) -> &[i32] {
        &self.met
    }

    /// True while a FramebufferUpdate has begun and not ended.
    pub fn in_update(&self) -> bool {
        !matches!(self.state, State::Message | State::Skip { .. })
    }

    /// The next event, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`ProtocolError`]; the decoder must not be used afterwards.
    pub fn next_event(&mut self) -> Result<Option<Event>, ProtocolError> {
        loop {
            let step = match self.state {
                State::Message => self.message()?,
                State::RectHeader => self.rect_header()?,
                State::Raw { rect, row } => self.raw(rect, row),
                State::CopyRect { rect } => self.copy_rect(rect)?,
                State::Whole { rect, kind } => self.whole(rect, kind)?,
                State::Hextile(hextile) => self.hextile(hextile)?,
                State::Screens {
                    reason,
                    status,
                    width,
                    height,
                } => self.screens(reason, status, width, height)?,
                State::Skip { bytes } => self.skip(bytes),
            };
            match step {
                Step::Go => {}
                Step::Emit(event) => return Ok(Some(event)),
                Step::NeedMore => return Ok(None),
            }
        }
    }

    fn message(&mut self) -> Result<Step, ProtocolError> {
        let Some(&kind) = self.buffer.first() else {
            return Ok(Step::NeedMore);
        };
        match kind {
            0 => {
                let Some(head) = self.take::<4>() else {
                    return Ok(Step::NeedMore);
                };
                let count = u16::from_be_bytes([head[2], head[3]]);
                // 65535 stands for "unknown, LastRect will tell".
                self.left = (count != u16::MAX).then_some(count);
                self.state = State::RectHeader;
                Ok(Step::Emit(Event::UpdateBegin))
            }
            1 => {
                let Some(head) = self.take::<6>() else {
                    return Ok(Step::NeedMore);
                };
                let bytes = u64::from(u16::from_be_bytes([head[4], head[5]])) * 6;
                self.state = State::Skip { bytes };
                Ok(Step::Go)
            }
            2 => {
                self.buffer.advance(1);
                Ok(Step::Emit(Event::Bell))
            }
            3 => self.cut_text(),
            250 => {
                let Some(xvp) = self.take::<4>() else {
                    return Ok(Step::NeedMore);
                };
                // Code 0 is a failure, 1 the greeting of a server that can.
                Ok(Step::Emit(Event::Power { offered: xvp[3] == 1 }))
            }
            other => Err(ProtocolError::Message(other)),
        }
    }

    fn rect_header(&mut self) -> Result<Step, ProtocolError> {
        if self.left == Some(0) {
            self.state = State::Message;
            return Ok(Step::Emit(Event::UpdateEnd));
        }
        let Some(h) = self.take::<12>() else {
            return Ok(Step::NeedMore);
        };
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        let at = |i: usize| u32::from(u16::from_be_bytes([h[i], h[i + 1]]));
        let rect = Rect::new(at(0), at(2), at(4), at(6));
        let empty = rect.width == 0 || rect.height == 0;
        match i32::from_be_bytes([h[8], h[9], h[10], h[11]]) {
            encoding::LAST_RECT => self.left = Some(0),
            encoding::DESKTOP_SIZE => {
                self.canvas = Canvas::new(rect.width, rect.height, self.canvas.order())?;
                return Ok(Step::Emit(Event::Resized(rect.width, rect.height)));
            }
            encoding::EXTENDED_DESKTOP_SIZE => {
                self.state = State::Screens {
                    reason: rect.x,
                    status: rect.y,
                    width: rect.width,
                    height: rect.height,
                };
            }
            encoding::CURSOR => {
                within(
                    "cursor side",
                    rect.width.max(rect.height).into(),
                    limits::MAX_CURSOR_SIDE.into(),
                )?;
                self.wait_for(rect, Whole::Cursor);
            }
            encoding::LED_STATE => self.wait_for(rect, Whole::Leds),
            encoding::DESKTOP_NAME => self.wait_for(rect, Whole::Name),
            encoding::EXTENDED_KEY_EVENT => return Ok(Step::Emit(Event::ScanCodes)),
            known @ (encoding::RAW
            | encoding::COPY_RECT
            | encoding::HEXTILE
            | encoding::ZLIB
            | encoding::TIGHT
            | encoding::ZRLE) => {
                self.canvas.check(&rect)?;
                if !self.met.contains(&known) {
                    self.met.push(known);
                }
                self.state = match known {
                    encoding::RAW if empty => State::RectHeader,
                    encoding::RAW => State::Raw { rect, row: 0 },
                    encoding::COPY_RECT => State::CopyRect { rect },
                    encoding::HEXTILE => State::Hextile(Hextile::new(rect)),
                    encoding::ZLIB => State::Whole {
                        rect,
                        kind: Whole::Zlib,
                    },
                    encoding::TIGHT => State::Whole {
                        rect,
                        kind: Whole::Tight,
                    },
                    _ => State::Whole {
                        rect,
                        kind: Whole::Zrle,
                    },
                };
            }
            other => return Err(ProtocolError::Encoding(other)),
        }
        Ok(Step::Go)
    }

    /// Paints rows as they arrive, so that a large rectangle never has to be held twice.
    fn raw(&mut self, rect: Rect, mut row: u32) -> Step {
        let length = rect.width as usize * 4;
        while row < rect.height && self.buffer.len() >= length {
            self.canvas.put_raw_row(rect.x, rect.y + row, &self.buffer[..length]);
            self.buffer.advance(length);
            row += 1;
        }
        if row == rect.height {
            return self.painted(rect);
        }
        self.state = State::Raw { rect, row };
        Step::NeedMore
    }

    fn copy_rect(&mut self, rect: Rect) -> Result<Step, ProtocolError> {
        let Some(b) = self.take::<4>() else {
            return Ok(Step::NeedMore);
        };
        let (x, y) = (u16::from_be_bytes([b[0], b[1]]), u16::from_be_bytes([b[2], b[3]]));
        self.canvas.copy(x.into(), y.into(), &rect)?;
        Ok(self.painted(rect))
    }

    fn hextile(&mut self, mut hextile: Hextile) -> Result<Step, ProtocolError> {
        while !hextile.done() {
            let Some(took) = hextile.tile(&self.buffer, &mut self.canvas)? else {
                self.state = State::Hextile(hextile);
                return Ok(Step::NeedMore);
            };
            self.buffer.advance(took);
        }
        Ok(self.painted(hextile.rect()))
    }

    fn wait_for(&mut self, rect: Rect, kind: Whole) {
        self.state = State::Whole { rect, kind };
    }

    /// Decodes a rectangle if all of it has come.
    fn whole(&mut self, rect: Rect, kind: Whole) -> Result<Step, ProtocolError> {
        let mut tight_head = None;
        let length = match kind {
            Whole::Zrle | Whole::Zlib | Whole::Name => {
                let Some(b) = self.buffer.first_chunk::<4>() else {
                    return Ok(Step::NeedMore);
                };
                let length = u64::from(u32::from_be_bytes(*b));
                match kind {
                    Whole::Name => within("desktop name", length, limits::MAX_TEXT as u64)?,
                    _ => within("compressed rectangle", length, limits::MAX_COMPRESSED as u64)?,
                }
                4 + length as usize
            }
            Whole::Tight => {
                tight_head = tight::Head::read(&self.buffer, &rect)?;
                tight_head.map_or(usize::MAX, |head| head.total())
            }
            Whole::Cursor => Cursor::bytes(&rect),
            Whole::Leds => 1,
        };
        if self.buffer.len() < length {
            return Ok(Step::NeedMore);
        }
        let bytes = self.buffer.split_to(length);
        self.state = State::RectHeader;
        match kind {
            Whole::Zrle => self.zrle.decode(&bytes[4..], &rect, &mut self.canvas)?,
            Whole::Zlib => {
                let stride = rect.width as usize * 4;
                let size = stride * rect.height as usize;
                let plain = self.zlib.piece(&bytes[4..], size)?;
                if plain.len() != size {
                    return Err(ProtocolError::Damaged {
                        encoding: "Zlib",
                        what: "decompresses to less than its rectangle holds",
                    });
                }
                for (y, line) in (rect.y..rect.bottom()).zip(plain.chunks_exact(stride.max(1))) {
                    self.canvas.put_raw_row(rect.x, y, line);
                }
            }
            Whole::Tight => {
                if let Some(head) = tight_head {
                    self.tight.decode(&head, &bytes, &rect, &mut self.canvas)?;
                }
            }
            Whole::Cursor => {
                let cursor = Cursor::decode(&rect, &bytes, self.canvas.order());
                return Ok(Step::Emit(Event::Cursor(cursor.map(Arc::new))));
            }
            Whole::Leds => return Ok(Step::Emit(Event::Leds(bytes[0]))),
            Whole::Name => {
                return Ok(Step::Emit(Event::Name(
                    String::from_utf8_lossy(&bytes[4..]).into_owned(),
                )));
            }
        }
        Ok(Step::Emit(Event::Painted(rect)))
    }

    fn screens(&mut self, reason: u32, status: u32, width: u32, height: u32) -> Result<Step, ProtocolError> {
        let Some(&count) = self.buffer.first() else {
            return Ok(Step::NeedMore);
        };
        let bytes = 4 + usize::from(count) * 16;
        if self.buffer.len() < bytes {
            return Ok(Step::NeedMore);
        }
        self.buffer.advance(bytes);
        self.state = State::RectHeader;
        // Reason 1 answers our own request (we send none); a status other than 0 says that nothing changed.
        let changed = (reason != 1 || status == 0) && self.canvas.size() != (width, height);
        if !changed {
            return Ok(Step::Go);
        }
        self.canvas = Canvas::new(width, height, self.canvas.order())?;
        Ok(Step::Emit(Event::Resized(width, height)))
    }

    fn skip(&mut self, bytes: u64) -> Step {
        let n = bytes.min(self.buffer.len() as u64);
        self.buffer.advance(n as usize);
        if n < bytes {
            self.state = State::Skip { bytes: bytes - n };
            return Step::NeedMore;
        }
        self.state = State::Message;
        Step::Go
    }

    /// ServerCutText, which is decoded when all of it is there.
    fn cut_text(&mut self) -> Result<Step, ProtocolError> {
        let Some(head) = self.buffer.first_chunk::<8>() else {
            return Ok(Step::NeedMore);
        };
        let length = i32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        within("clipboard text", length.unsigned_abs().into(), limits::MAX_TEXT as u64)?;
        let bytes = 8 + length.unsigned_abs() as usize;
        if self.buffer.len() < bytes {
            return Ok(Step::NeedMore);
        }
        let bytes = self.buffer.split_to(bytes);
        Ok(match Clipboard::decode(&bytes[8..], length < 0)? {
            Some(clipboard) => Step::Emit(Event::Clipboard(clipboard)),
            None => Step::Go,
        })
    }

    fn painted(&mut self, rect: Rect) -> Step {
        self.state = State::RectHeader;
        Step::Emit(Event::Painted(rect))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let head = *self.buffer.first_chunk::<N>()?;
        self.buffer.advance(N);
        Some(head)
    }
}

fn within(what: &'static str, length: u64, limit: u64) -> Result<(), ProtocolError> {
    if length <= limit {
        return Ok(());
    }
    Err(ProtocolError::TooLong { what, length, limit })
}

enum Step {
    Go,
    Emit(Event),
    NeedMore,
}

#[cfg(test)]
mod tests;
