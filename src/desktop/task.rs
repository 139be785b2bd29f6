//! The background task that owns the connection: it reads all the time, plays input in order, and proves frames fresh.
//!
//! Freshness. The server is asked for the whole screen, non-incrementally, and never for anything else; at most one such
//! request is unanswered at any moment, so pixels that come after a request belong to its answer. The answer is complete
//! at the end of an update once every pixel has been painted by updates that began after the request. A capture that
//! gives up leaves its request unanswered, and the next capture sends its own only after that answer has come.
//! A resolution change breaks the count: some servers drop the request, some answer it in the new size. Then the request
//! is repeated after a grace time, and the frame is only given out after the link has been silent that long, so that no
//! second answer can be under way.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::hands::Hands;
use super::rfb::{Coverage, Decoder, Event, message};
use super::script::Step;
use super::session::Shared;
use super::{Error, Frame, Rect};

/// What a handle asks for.
pub(super) enum Command {
    Input {
        script: Vec<Step>,
        done: oneshot::Sender<Result<(), Error>>,
    },
    Capture {
        deadline: Instant,
        limit: Duration,
        done: oneshot::Sender<Result<Arc<Frame>, Error>>,
    },
    Close {
        done: oneshot::Sender<()>,
    },
}

struct Waiter {
    deadline: Instant,
    limit: Duration,
    done: oneshot::Sender<Result<Arc<Frame>, Error>>,
}

/// A full update request that has not been answered in full.
struct Outstanding {
    requested_at: Instant,
    waiters: Vec<Waiter>,
    /// Set by a resolution change: repeat the request, or give the frame out, when nothing has come until then.
    grace: Option<Instant>,
}

struct Playing {
    steps: VecDeque<Step>,
    due: Instant,
    done: oneshot::Sender<Result<(), Error>>,
}

pub(super) struct Task<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    decoder: Decoder,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    timeout: Duration,
    outgoing: BytesMut,
    unflushed: bool,
    /// Since when the server has not taken bytes that wait for it.
    blocked_since: Option<Instant>,
    playing: Option<Playing>,
    /// Inputs whose bytes are written but perhaps not yet handed over.
    unsent: Vec<oneshot::Sender<Result<(), Error>>>,
    waiting: Vec<Waiter>,
    outstanding: Option<Outstanding>,
    /// True if the update being received began after the outstanding request.
    counting: bool,
    coverage: Coverage,
    seq: u64,
    hands: Hands,
}

/// An answer that took longer than this is marked in its frame.
const STALL: Duration = Duration::from_secs(1);
/// How long a server may stay silent after a resolution change before a request counts as dropped or answered.
const GRACE: Duration = Duration::from_millis(500);
const READ_AHEAD: usize = 256 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Task<S> {
    pub(super) fn new(
        stream: S,
        decoder: Decoder,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        timeout: Duration,
        encodings: &[i32],
    ) -> Task<S> {
        let (reader, writer) = tokio::io::split(stream);
        let (width, height) = decoder.canvas().size();
        let mut outgoing = BytesMut::new();
        outgoing.extend_from_slice(&message::set_pixel_format());
        // Before the first pointer event: QEMU takes pointer events for relative motion until it has seen encodings.
        outgoing.extend_from_slice(&message::set_encodings(encodings));
        Task {
            reader,
            writer,
            decoder,
            hands: Hands::new(shared.clone()),
            shared,
            commands,
            timeout,
            outgoing,
            unflushed: false,
            blocked_since: None,
            playing: None,
            unsent: Vec::new(),
            waiting: Vec::new(),
            outstanding: None,
            counting: false,
            coverage: Coverage::new(width, height),
            seq: 0,
        }
    }

    /// Runs until the handles are gone, one of them closes the session, or the link fails.
    pub(super) async fn run(mut self) {
        let (ended, closing) = match self.serve().await {
            Ok(closing) => (
                Error::Closed {
                    reason: "it was closed".into(),
                },
                closing,
            ),
            Err(error) => {
                tracing::debug!(%error, "VNC session ended");
                (error, None)
            }
        };
        self.hands.release_all(&mut self.outgoing);
        // Best effort, for a link that still works: the guest must not be left with a key held down.
        let farewell = async {
            self.writer.write_all(&self.outgoing).await?;
            self.writer.flush().await?;
            self.writer.shutdown().await
        };
        let _ = tokio::time::timeout(GRACE, farewell).await;
        // Set before the answers are sent or dropped: a handle looks here for the reason.
        let _ = self.shared.ended.set(ended.clone());
        let outstanding = self.outstanding.take().map(|o| o.waiters).unwrap_or_default();
        for waiter in self.waiting.drain(..).chain(outstanding) {
            let _ = waiter.done.send(Err(ended.clone()));
        }
        for done in self.unsent.drain(..).chain(self.playing.take().map(|p| p.done)) {
            let _ = done.send(Err(ended.clone()));
        }
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    async fn serve(&mut self) -> Result<Option<oneshot::Sender<()>>, Error> {
        loop {
            self.play_due();
            self.check_deadlines()?;
            self.start_capture().await?;
            let wake = self.next_deadline();
            let idle = self.playing.is_none();
            let sending = !self.outgoing.is_empty() || self.unflushed;
            self.decoder.buffer().reserve(READ_AHEAD);
            tokio::select! {
                n = self.reader.read_buf(self.decoder.buffer()) => {
                    let n = n.map_err(|e| Error::io("reading from the VNC server", e))?;
                    if n == 0 {
                        return Err(Error::Eof { doing: "the session was in use" });
                    }
                    self.take_events()?;
                }
                sent = send(&mut self.writer, &mut self.outgoing, &mut self.unflushed), if sending => {
                    sent.map_err(|e| Error::io("writing to the VNC server", e))?;
                    self.blocked_since = None;
                    if self.outgoing.is_empty() && !self.unflushed {
                        self.unsent.drain(..).for_each(|done| { let _ = done.send(Ok(())); });
                    }
                }
                command = self.commands.recv(), if idle => match command {
                    None => return Ok(None),
                    Some(Command::Close { done }) => return Ok(Some(done)),
                    Some(Command::Input { script, done }) => {
                        let due = Instant::now() + script.first().map_or(Duration::ZERO, |s| s.wait);
                        self.playing = Some(Playing { steps: script.into(), due, done });
                    }
                    Some(Command::Capture { deadline, limit, done }) => {
                        self.waiting.push(Waiter { deadline, limit, done });
                    }
                },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    /// Writes the steps of the playing script whose time has come.
    fn play_due(&mut self) {
        while let Some(playing) = &mut self.playing {
            // Whoever wanted this is gone. The rest must not be played into what others do next.
            if playing.done.is_closed() {
                self.playing = None;
                self.hands.release_all(&mut self.outgoing);
                return;
            }
            let Some(step) = playing.steps.front().copied() else {
                if let Some(done) = self.playing.take() {
                    self.unsent.push(done.done);
                    // Make the flush branch run even if everything was handed over already.
                    self.unflushed = true;
                }
                return;
            };
            if playing.due > Instant::now() {
                return;
            }
            playing.steps.pop_front();
            let next = playing.steps.front().map_or(Duration::ZERO, |s| s.wait);
            playing.due = Instant::now() + next;
            self.hands.send(step.input, &mut self.outgoing);
        }
    }

    /// Sends a full request for those who wait, unless one is still unanswered.
    async fn start_capture(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() || self.outstanding.is_some() {
            return Ok(());
        }
        // What has already arrived is older than the request and must not count for it.
        if !self.take_received().await? || self.decoder.in_update() {
            return Ok(());
        }
        self.counting = false;
        self.coverage.clear();
        self.request();
        let waiters = std::mem::take(&mut self.waiting);
        self.outstanding = Some(Outstanding {
            requested_at: Instant::now(),
            waiters,
            grace: None,
        });
        Ok(())
    }

    fn request(&mut self) {
        // QEMU refreshes an idle console less and less often; any input event puts it back to 30 ms.
        self.hands.stay(&mut self.outgoing);
        let (width, height) = self.decoder.canvas().size();
        self.outgoing
            .extend_from_slice(&message::update_request(false, &Rect::new(0, 0, width, height)));
    }

    /// Decodes what can be read without waiting. False if the server sends faster than that: then deadlines come first.
    async fn take_received(&mut self) -> Result<bool, Error> {
        for _ in 0..64 {
            self.decoder.buffer().reserve(READ_AHEAD);
            let mut read = std::pin::pin!(self.reader.read_buf(self.decoder.buffer()));
            let ready = std::future::poll_fn(|cx| match Pin::new(&mut read).poll(cx) {
                Poll::Ready(n) => Poll::Ready(Some(n)),
                Poll::Pending => Poll::Ready(None),
            });
            match ready.await {
                None => return Ok(true),
                Some(Ok(0)) => {
                    return Err(Error::Eof {
                        doing: "the session was in use",
                    });
                }
                Some(Ok(_)) => self.take_events()?,
                Some(Err(e)) => return Err(Error::io("reading from the VNC server", e)),
            }
        }
        Ok(false)
    }

    fn take_events(&mut self) -> Result<(), Error> {
        while let Some(event) = self.decoder.next_event()? {
            match event {
                Event::UpdateBegin => self.counting = self.outstanding.is_some(),
                Event::Painted(rect) if self.counting => self.coverage.add(&rect),
                Event::Resized(width, height) => {
                    tracing::debug!(width, height, "the guest changed its resolution");
                    self.coverage = Coverage::new(width, height);
                    self.shared.update(|s| {
                        s.size = (width, height);
                        s.position = s.position.clamped(s.size);
                    });
                    if let Some(outstanding) = &mut self.outstanding {
                        outstanding.grace = Some(Instant::now() + GRACE);
                    }
                }
                Event::UpdateEnd if self.counting => self.update_ended(),
                Event::UpdateEnd | Event::Painted(_) | Event::Bell => {}
            }
        }
        Ok(())
    }

    fn update_ended(&mut self) {
        match &mut self.outstanding {
            Some(Outstanding { grace: Some(grace), .. }) => *grace = Instant::now() + GRACE,
            _ if self.coverage.is_full() => self.answer(),
            _ => {}
        }
    }

    /// Gives the complete frame to those who waited for it.
    fn answer(&mut self) {
        self.counting = false;
        let Some(Outstanding {
            requested_at, waiters, ..
        }) = self.outstanding.take()
        else {
            return;
        };
        if waiters.is_empty() {
            return;
        }
        self.seq += 1;
        let received_at = Instant::now();
        let stalled = received_at - requested_at > STALL;
        let image = self.decoder.canvas().to_image();
        let frame = Arc::new(Frame::new(image, self.seq, requested_at, received_at, stalled));
        for waiter in waiters {
            let _ = waiter.done.send(Ok(frame.clone()));
        }
    }

    fn check_deadlines(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let waiters = self.outstanding.as_mut().map(|o| &mut o.waiters);
        for list in waiters.into_iter().chain([&mut self.waiting]) {
            for late in list.extract_if(.., |w| w.deadline <= now) {
                let _ = late.done.send(Err(Error::Timeout {
                    what: "a full picture of the screen",
                    after: late.limit,
                }));
            }
        }
        if self
            .outstanding
            .as_ref()
            .and_then(|o| o.grace)
            .is_some_and(|grace| grace <= now)
        {
            if self.coverage.is_full() && !self.decoder.in_update() {
                self.answer();
            } else {
                self.request();
                if let Some(o) = &mut self.outstanding {
                    o.grace = Some(now + GRACE);
                }
            }
        }
        if self.outgoing.is_empty() && !self.unflushed {
            self.blocked_since = None;
        } else if now - *self.blocked_since.get_or_insert(now) > self.timeout {
            return Err(Error::Timeout {
                what: "handing bytes to the VNC server",
                after: self.timeout,
            });
        }
        Ok(())
    }

    fn next_deadline(&self) -> Instant {
        let outstanding = self.outstanding.iter();
        let waiters = outstanding
            .clone()
            .flat_map(|o| &o.waiters)
            .chain(&self.waiting)
            .map(|w| w.deadline);
        waiters
            .chain(outstanding.filter_map(|o| o.grace))
            .chain(self.playing.iter().map(|p| p.due))
            .chain(self.blocked_since.map(|t| t + self.timeout))
            .min()
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
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
