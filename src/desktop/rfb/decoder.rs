//! The server-to-client half of the protocol as a state machine over received bytes (RFC 6143 sections 7.6 and 7.7).
//!
//! ExtendedDesktopSize is understood but not asked for: TigerVNC answers every non-incremental request of a client that
//! asked for it with a size message *instead of* pixels and then forgets the request, so a client could not tell when a
//! full request has been answered. DesktopSize alone has the same effect on resolution changes without that trap.

use bytes::{Buf, BytesMut};

use super::super::Rect;
use super::zrle::Zrle;
use super::{Canvas, ProtocolError, encoding, limits};

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
    ZrleLength {
        rect: Rect,
    },
    ZrleData {
        rect: Rect,
        length: usize,
    },
    Screens {
        reason: u32,
        status: u32,
        width: u32,
        height: u32,
    },
    /// Bytes without interest; `rect` when they end a rectangle.
    Skip {
        bytes: u64,
        rect: bool,
    },
    TextLength,
}

impl Decoder {
    /// A decoder for a framebuffer of the size that ServerInit named.
    ///
    /// # Errors
    /// [`ProtocolError::Size`].
    pub fn new(width: u32, height: u32) -> Result<Decoder, ProtocolError> {
        Ok(Decoder {
            buffer: BytesMut::new(),
            state: State::Message,
            left: None,
            canvas: Canvas::new(width, height)?,
            zrle: Zrle::new(),
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

    /// True while a FramebufferUpdate has begun and not ended.
    pub fn in_update(&self) -> bool {
        !matches!(
            self.state,
            State::Message | State::TextLength | State::Skip { rect: false, .. }
        )
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
                State::ZrleLength { rect } => self.zrle_length(rect)?,
                State::ZrleData { rect, length } => self.zrle_data(rect, length)?,
                State::Screens {
                    reason,
                    status,
                    width,
                    height,
                } => self.screens(reason, status, width, height)?,
                State::Skip { bytes, rect } => self.skip(bytes, rect),
                State::TextLength => self.text_length()?,
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
                self.state = State::Skip { bytes, rect: false };
                Ok(Step::Go)
            }
            2 => {
                self.buffer.advance(1);
                Ok(Step::Emit(Event::Bell))
            }
            3 => {
                self.state = State::TextLength;
                Ok(Step::Go)
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
                self.canvas = Canvas::new(rect.width, rect.height)?;
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
                if rect.width > limits::MAX_CURSOR_SIDE || rect.height > limits::MAX_CURSOR_SIDE {
                    return Err(ProtocolError::TooLong {
                        what: "cursor side",
                        length: rect.width.max(rect.height).into(),
                        limit: limits::MAX_CURSOR_SIDE.into(),
                    });
                }
                let bytes = u64::from(rect.width) * u64::from(rect.height) * 4
                    + u64::from(rect.width.div_ceil(8)) * u64::from(rect.height);
                self.state = State::Skip { bytes, rect: true };
            }
            known @ (encoding::RAW | encoding::COPY_RECT | encoding::ZRLE) => {
                self.canvas.check(&rect)?;
                self.state = match known {
                    encoding::RAW if empty => State::RectHeader,
                    encoding::RAW => State::Raw { rect, row: 0 },
                    encoding::COPY_RECT => State::CopyRect { rect },
                    _ => State::ZrleLength { rect },
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

    fn zrle_length(&mut self, rect: Rect) -> Result<Step, ProtocolError> {
        let Some(b) = self.take::<4>() else {
            return Ok(Step::NeedMore);
        };
        let length = u32::from_be_bytes(b) as usize;
        if length > limits::MAX_COMPRESSED {
            let (length, limit) = (length as u64, limits::MAX_COMPRESSED as u64);
            return Err(ProtocolError::TooLong {
                what: "ZRLE rectangle",
                length,
                limit,
            });
        }
        self.state = State::ZrleData { rect, length };
        Ok(Step::Go)
    }

    fn zrle_data(&mut self, rect: Rect, length: usize) -> Result<Step, ProtocolError> {
        if self.buffer.len() < length {
            return Ok(Step::NeedMore);
        }
        self.zrle.decode(&self.buffer[..length], &rect, &mut self.canvas)?;
        self.buffer.advance(length);
        Ok(self.painted(rect))
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
        self.canvas = Canvas::new(width, height)?;
        Ok(Step::Emit(Event::Resized(width, height)))
    }

    fn skip(&mut self, bytes: u64, rect: bool) -> Step {
        let n = bytes.min(self.buffer.len() as u64);
        self.buffer.advance(n as usize);
        if n < bytes {
            self.state = State::Skip { bytes: bytes - n, rect };
            return Step::NeedMore;
        }
        self.state = if rect { State::RectHeader } else { State::Message };
        Step::Go
    }

    /// ServerCutText: its text is not used yet.
    fn text_length(&mut self) -> Result<Step, ProtocolError> {
        let Some(b) = self.take::<8>() else {
            return Ok(Step::NeedMore);
        };
        let length = u64::from(u32::from_be_bytes([b[4], b[5], b[6], b[7]]));
        if length > limits::MAX_TEXT as u64 {
            return Err(ProtocolError::TooLong {
                what: "clipboard text",
                length,
                limit: limits::MAX_TEXT as u64,
            });
        }
        self.state = State::Skip {
            bytes: length,
            rect: false,
        };
        Ok(Step::Go)
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

enum Step {
    Go,
    Emit(Event),
    NeedMore,
}

#[cfg(test)]
mod tests;
