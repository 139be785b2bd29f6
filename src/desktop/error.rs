//! What can go wrong with a desktop session.

use std::sync::Arc;
use std::time::Duration;

use super::keys::KeyError;
use super::rfb::ProtocolError;

/// An error of the desktop session. All but [`Error::Key`] speak about the link or the server, never about the
/// product under test.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The byte stream failed.
    #[error("VNC link failed while {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The stream's error.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The server closed the stream.
    #[error("the VNC server closed the connection while {doing}")]
    Eof {
        /// What was being done.
        doing: &'static str,
    },
    /// The server broke the protocol or a limit.
    #[error("VNC server sent something invalid: {0}")]
    Protocol(#[from] ProtocolError),
    /// The server wants a kind of authentication that this client cannot do, or that the caller did not give.
    #[error("VNC server offers security types {offered:?}, but {wanted}")]
    Security {
        /// RFB security type numbers the server offered.
        offered: Vec<u8>,
        /// What is needed instead.
        wanted: &'static str,
    },
    /// The server refused the connection or the password.
    #[error("VNC server refused: {reason}")]
    Refused {
        /// The server's own words, shortened.
        reason: String,
    },
    /// Something did not happen in time.
    #[error("VNC: {what} did not finish within {after:?}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// A server that has been asked something sends nothing.
    #[error("the VNC server has sent nothing for {after:?} although it was asked for a picture")]
    Silent {
        /// How long it has been silent.
        after: Duration,
    },
    /// A picture was asked for, and the server has said all sorts of things but that.
    #[error("the VNC server talks, and has not sent the picture that was asked for within {after:?}")]
    Unanswered {
        /// How long it was waited for.
        after: Duration,
    },
    /// No stream to the server could be opened.
    #[error("no connection to the VNC server: {reason}")]
    Dial {
        /// Why not.
        reason: String,
    },
    /// The link died while input was under way. Nobody knows how much of it has arrived, so it is not repeated.
    #[error("the VNC link died after {sent} of {of} input events, which may or may not have arrived: {reason}")]
    Interrupted {
        /// Events that had been written.
        sent: usize,
        /// Events of the whole input.
        of: usize,
        /// Why the link died.
        reason: String,
    },
    /// The link died and has not come back in the time that the caller gave.
    #[error("no picture within {after:?}: the VNC link is down and being opened anew ({reason})")]
    Offline {
        /// The caller's deadline.
        after: Duration,
        /// Why the link is down.
        reason: String,
    },
    /// The link died and could not be opened anew.
    #[error("the VNC link is lost; it could not be opened anew within {after:?}: {reason}")]
    Lost {
        /// How long it was tried.
        after: Duration,
        /// Why the last attempt failed.
        reason: String,
    },
    /// A text that the server's clipboard cannot take.
    #[error("this VNC server takes Latin-1 clipboard text only, which has no {character:?}; type the text instead")]
    Clipboard {
        /// The character it has no place for.
        character: char,
    },
    /// Something that this server does not offer.
    #[error("this VNC server does not offer {what}")]
    Unsupported {
        /// What it would need to offer.
        what: &'static str,
    },
    /// The session has ended; `reason` says why.
    #[error("the desktop session has ended: {reason}")]
    Closed {
        /// Why it ended.
        reason: String,
    },
    /// A key name, or a character that cannot be typed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A frame could not be encoded.
    #[error("cannot encode a {width}x{height} frame as PNG: {reason}")]
    Png {
        /// Frame width in pixels.
        width: u32,
        /// Frame height in pixels.
        height: u32,
        /// The encoder's words.
        reason: String,
    },
}

impl Error {
    /// An I/O error with what was being done; an unexpected end of file becomes [`Error::Eof`].
    pub(super) fn io(doing: &'static str, e: std::io::Error) -> Error {
        if e.kind() == std::io::ErrorKind::UnexpectedEof {
            return Error::Eof { doing };
        }
        Error::Io {
            doing,
            source: Arc::new(e),
        }
    }
}
