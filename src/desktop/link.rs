//! One connection to a VNC server: bytes in, bytes out, and what has been decoded of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::encoding::wanted;
use super::rfb::handshake::handshake;
use super::rfb::{Decoder, message};
use super::{Auth, Error, Options};

/// A byte stream that leads to a VNC server.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// A new stream and how to authenticate on it, or why there is none.
pub type Dialled = Result<(Box<dyn Stream>, Auth), String>;

/// Opens a stream to the server, each time it is called.
pub(super) type Dial = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Dialled> + Send>> + Send + Sync>;

const READ_AHEAD: usize = 256 * 1024;

pub(super) struct Link {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    pub decoder: Decoder,
    /// The name that the server gave itself.
    pub name: String,
    /// Bytes to send.
    pub outgoing: BytesMut,
    unflushed: bool,
    /// Since when the server has not taken bytes that wait for it.
    blocked_since: Option<Instant>,
    /// When bytes came last.
    pub heard: Instant,
}

impl Link {
    /// Greets the server, and says which pixels and encodings are wanted.
    pub(super) async fn open(mut stream: Box<dyn Stream>, auth: &Auth, options: &Options) -> Result<Link, Error> {
        let late = |_| Error::Timeout {
            what: "the VNC handshake",
            after: options.connect_timeout,
        };
        let init = tokio::time::timeout(options.connect_timeout, handshake(&mut stream, auth))
            .await
            .map_err(late)??;
        let decoder = Decoder::new(init.width, init.height, init.order)?;
        let (reader, writer) = tokio::io::split(stream);
        let mut outgoing = BytesMut::new();
        outgoing.extend_from_slice(&init.order.set_pixel_format());
        // Before the first pointer event: QEMU takes pointer events for relative motion until it has seen encodings.
        outgoing.extend_from_slice(&message::set_encodings(&wanted(options.encodings)));
        Ok(Link {
            reader,
            writer,
            decoder,
            name: init.name,
            outgoing,
            unflushed: false,
            blocked_since: None,
            heard: Instant::now(),
        })
    }

    /// True while bytes wait to be handed over.
    pub(super) fn sending(&self) -> bool {
        !self.outgoing.is_empty() || self.unflushed
    }

    /// Makes the next [`Link::exchange`] end when all is flushed, even if nothing is to be sent.
    pub(super) fn ask_flush(&mut self) {
        self.unflushed = true;
    }

    /// Waits for bytes in either direction; only to send if there is enough to decode as it is. True if all that was to be
    /// sent has been handed over. Dropping the future half-way loses and repeats nothing.
    pub(super) async fn exchange(&mut self, listen: bool) -> Result<bool, Error> {
        let sending = self.sending();
        if listen {
            self.decoder.buffer().reserve(READ_AHEAD);
        } else if !sending {
            return std::future::pending().await;
        }
        tokio::select! {
            n = self.reader.read_buf(self.decoder.buffer()), if listen => {
                received(n)?;
                self.heard = Instant::now();
                Ok(false)
            }
            sent = send(&mut self.writer, &mut self.outgoing, &mut self.unflushed), if sending => {
                sent.map_err(|e| Error::io("writing to the VNC server", e))?;
                self.blocked_since = None;
                Ok(!self.sending())
            }
        }
    }

    /// Reads once without waiting. False if there was nothing.
    pub(super) async fn read_now(&mut self) -> Result<bool, Error> {
        self.decoder.buffer().reserve(READ_AHEAD);
        let mut read = std::pin::pin!(self.reader.read_buf(self.decoder.buffer()));
        let ready = std::future::poll_fn(|cx| match Pin::new(&mut read).poll(cx) {
            Poll::Ready(n) => Poll::Ready(Some(n)),
            Poll::Pending => Poll::Ready(None),
        });
        let Some(n) = ready.await else { return Ok(false) };
        received(n)?;
        self.heard = Instant::now();
        Ok(true)
    }

    /// Fails if the server has not taken what waits for it for longer than `limit`.
    pub(super) fn check_blocked(&mut self, now: Instant, limit: Duration) -> Result<(), Error> {
        if !self.sending() {
            self.blocked_since = None;
        } else if now - *self.blocked_since.get_or_insert(now) > limit {
            return Err(Error::Timeout {
                what: "handing bytes to the VNC server",
                after: limit,
            });
        }
        Ok(())
    }

    /// Since when bytes have been waiting to be handed over.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Closes the stream, whatever state it is in; the picture stays. Some servers take one viewer only.
    pub(super) fn hang_up(&mut self) {
        let (nowhere, _) = tokio::io::duplex(1);
        let nowhere: Box<dyn Stream> = Box::new(nowhere);
        (self.reader, self.writer) = tokio::io::split(nowhere);
        self.outgoing.clear();
    }

    /// Hands over what is left and ends the connection, at most within `limit`.
    pub(super) async fn farewell(&mut self, limit: Duration) {
        let farewell = async {
            self.writer.write_all(&self.outgoing).await?;
            self.writer.flush().await?;
            self.writer.shutdown().await
        };
        let _ = tokio::time::timeout(limit, farewell).await;
    }
}

fn received(n: std::io::Result<usize>) -> Result<(), Error> {
    match n {
        Ok(0) => Err(Error::Eof {
            doing: "the session was in use",
        }),
        Ok(_) => Ok(()),
        Err(e) => Err(Error::io("reading from the VNC server", e)),
    }
}

/// Hands over some bytes, or flushes when all are handed over. Dropping the future half-way loses and repeats nothing.
async fn send<W: AsyncWrite + Unpin>(
    writer: &mut W,
    bytes: &mut BytesMut,
    unflushed: &mut bool,
) -> std::io::Result<()> {
    if bytes.is_empty() {
        writer.flush().await?;
        *unflushed = false;
        return Ok(());
    }
    let n = writer.write(bytes).await?;
    if n == 0 {
        return Err(std::io::ErrorKind::WriteZero.into());
    }
    bytes.advance(n);
    *unflushed = true;
    Ok(())
}
