//! How a server can break the protocol.

/// A server broke the protocol or one of this client's bounds. The connection cannot be used afterwards.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The first twelve bytes were no RFB banner, or one of a version this client does not speak.
    #[error("not an RFB 3.7 or 3.8 server: it greeted with {0:?}")]
    Banner(String),
    /// A framebuffer larger than the limits, or without pixels.
    #[error("framebuffer of {width}x{height} is outside what is accepted (1x1 to 16384 a side, 33177600 pixels)")]
    Size {
        /// Claimed width.
        width: u32,
        /// Claimed height.
        height: u32,
    },
    /// A rectangle that reaches outside the framebuffer.
    #[error("rectangle {width}x{height}+{x}+{y} reaches outside the {screen_width}x{screen_height} framebuffer")]
    Outside {
        /// Left edge.
        x: u32,
        /// Top edge.
        y: u32,
        /// Width.
        width: u32,
        /// Height.
        height: u32,
        /// Framebuffer width.
        screen_width: u32,
        /// Framebuffer height.
        screen_height: u32,
    },
    /// An encoding that was not asked for.
    #[error("rectangle with encoding {0}, which was not asked for")]
    Encoding(i32),
    /// A message type this client does not know.
    #[error("unknown message type {0}")]
    Message(u8),
    /// A length beyond its bound.
    #[error("{what} of {length} bytes is longer than the accepted {limit}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Claimed length.
        length: u64,
        /// The bound.
        limit: u64,
    },
    /// Compressed data that does not decompress to what was announced.
    #[error("{encoding} data is damaged: {what}")]
    Damaged {
        /// The encoding's name.
        encoding: &'static str,
        /// What is wrong with the data.
        what: &'static str,
    },
}
