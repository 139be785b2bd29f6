//! The RFB (VNC) protocol, client side: RFC 6143 plus the community extensions that QEMU and TigerVNC speak.
//!
//! Everything that interprets bytes is a pure state machine ([`Decoder`]) over a bounded buffer; only `handshake` does
//! I/O. Sizes, rectangle counts, texts and decompressed lengths are bounded by [`limits`]; whatever breaks a bound or
//! the protocol is a [`ProtocolError`] that names the message.

mod auth;
mod canvas;
pub(super) mod clipboard;
mod cursor;
mod decoder;
mod error;
pub(super) mod handshake;
mod hextile;
mod inflate;
pub mod message;
mod pixel;
mod tight;
mod zrle;

pub use canvas::{Canvas, Coverage};
pub use clipboard::Clipboard;
pub use cursor::Cursor;
pub use decoder::{Decoder, Event};
pub use error::ProtocolError;
pub use pixel::Order;

/// Fixed bounds on what a server may ask this client to hold.
pub mod limits {
    /// Longest side of a framebuffer, in pixels.
    pub const MAX_SIDE: u32 = 16_384;
    /// Most pixels of a framebuffer (7680 x 4320): 133 MB of RGBA.
    pub const MAX_PIXELS: u64 = 7680 * 4320;
    /// Longest text (desktop name, refusal, clipboard) that is kept, in bytes; longer is refused.
    pub const MAX_TEXT: usize = 1 << 20;
    /// Longest compressed rectangle, in bytes. Also bounds the receive buffer.
    pub const MAX_COMPRESSED: usize = 64 << 20;
    /// Longest side of a cursor picture, in pixels.
    pub const MAX_CURSOR_SIDE: u32 = 1024;
}

/// Encoding and pseudo-encoding numbers (RFC 6143 section 7.7 and 7.8, and the RFB community registry).
pub mod encoding {
    /// Uncompressed pixels.
    pub const RAW: i32 = 0;
    /// Copy from elsewhere in the framebuffer.
    pub const COPY_RECT: i32 = 1;
    /// Tiles of 16x16 pixels, raw or as rectangles on a background.
    pub const HEXTILE: i32 = 5;
    /// Zlib-compressed pixels; one zlib stream for the whole connection.
    pub const ZLIB: i32 = 6;
    /// Filled, copied, indexed or predicted pixels in four zlib streams for the whole connection. JPEG is not asked for:
    /// what is compared must not be lossy.
    pub const TIGHT: i32 = 7;
    /// Zlib-compressed run-length tiles; one zlib stream for the whole connection.
    pub const ZRLE: i32 = 16;
    /// The framebuffer has a new size.
    pub const DESKTOP_SIZE: i32 = -223;
    /// The update ends here although its count said otherwise.
    pub const LAST_RECT: i32 = -224;
    /// Tight's compression level 1, which other packing encodings of servers follow too: -256 is level 0, -247 is level 9.
    pub const COMPRESS_LEVEL_1: i32 = -255;
    /// The cursor's picture; the server then leaves it out of the framebuffer.
    pub const CURSOR: i32 = -239;
    /// The server takes key events with scan codes.
    pub const EXTENDED_KEY_EVENT: i32 = -258;
    /// The keyboard's lights.
    pub const LED_STATE: i32 = -261;
    /// The desktop's name changed.
    pub const DESKTOP_NAME: i32 = -307;
    /// Power actions (XVP).
    pub const XVP: i32 = -309;
    /// Clipboard in UTF-8, announced before it is sent.
    pub const EXTENDED_CLIPBOARD: i32 = 0xc0a1_e5ce_u32 as i32;
    /// The framebuffer's size and screens. Understood, not asked for: see `Decoder`.
    pub const EXTENDED_DESKTOP_SIZE: i32 = -308;
}
