//! The handle: opening and closing a session, and looking at the screen. What hands do is in `input`.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot};

use super::command::{Change, Command, Waiter, Watcher};
use super::link::{Dial, Dialled, Link, Stream};
use super::rfb::Cursor;
use super::script::{self, Step};
use super::task::Task;
use super::{Encoding, Error, Frame, Layout, Leds, LinkFacts, Motion, Point, Rect};

/// How to authenticate to the VNC server.
pub enum Auth {
    /// Security type None.
    None,
    /// VNC authentication; only the first eight bytes count. Not sent to a server that asks for nothing.
    Password(SecretString),
}

/// Settings of a session; `Options::default()` suits a real VM.
#[derive(Debug, Clone)]
pub struct Options {
    /// Deadline of opening a stream, and of the handshake on it.
    pub connect_timeout: Duration,
    /// Deadline of one capture, and of handing input to a server that does not read.
    pub timeout: Duration,
    /// How long a server that has been asked something may send nothing at all before the link is opened anew. Only for
    /// sessions that can do so, see [`Desktop::connect`].
    pub silence: Duration,
    /// How long to go on trying to open a lost link anew before the session ends.
    pub heal: Duration,
    /// Most characters typed per second.
    pub keys_per_second: u32,
    /// The guest's keyboard layout: keys are then sent as scan codes where the server takes them. Without one, and
    /// elsewhere, as keysyms, which the server turns into keys of the layout that it thinks the guest has.
    pub layout: Option<Layout>,
    /// How the pointer travels.
    pub motion: Motion,
    /// True: the session begins with the pointer in the middle of the screen. Else it is left alone until it is used;
    /// TigerVNC paints a pointer into the pictures that its viewer has not moved.
    pub takes_pointer: bool,
    /// Pause between arriving and pressing.
    pub dwell: Duration,
    /// Encodings of pixels to ask for, best first; raw ones come without being asked for.
    pub encodings: &'static [Encoding],
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout: Duration::from_secs(15),
            timeout: Duration::from_secs(15),
            silence: Duration::from_secs(6),
            heal: Duration::from_secs(60),
            keys_per_second: 30,
            layout: None,
            motion: Motion::Linear(Duration::from_millis(160)),
            takes_pointer: true,
            dwell: Duration::from_millis(50),
            encodings: Encoding::COMPRESSED,
        }
    }
}

impl Options {
    /// How long typing this text takes at least.
    pub fn typing_time(&self, text: &str) -> Duration {
        script::typing_time(text, self.keys_per_second)
    }
}

/// What handles and the background task share.
pub(super) struct Shared {
    pub state: Mutex<State>,
    pub ended: OnceLock<Error>,
}

#[derive(Clone)]
pub(super) struct State {
    pub size: (u32, u32),
    pub position: Point,
    /// The link is down.
    pub lost: bool,
    /// This session has sent it there; before that it is anywhere.
    pub pointed: bool,
    pub name: Arc<str>,
    pub cursor: Option<Arc<Cursor>>,
    /// As RFB has them: bit 0 Scroll Lock, bit 1 Num Lock, bit 2 Caps Lock.
    pub leds: Option<u8>,
    pub scan_codes: bool,
    /// The server has answered on this link: what it has not offered until now it does not have.
    pub told: bool,
    pub power: bool,
    pub clipboard: Option<Arc<str>>,
    /// Encodings that the server has sent pixels in.
    pub met: Vec<Encoding>,
    pub link: LinkFacts,
}

impl Shared {
    pub(super) fn get(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn resized(&self, size: (u32, u32)) {
        self.update(|s| {
            s.size = size;
            s.position = s.position.clamped(size);
        });
    }
}

/// A handle to a desktop session. Clones share one connection, which closes when the last of them drops. Each call
/// ends within a deadline; after an error that ended the connection every call gives [`Error::Closed`] with the reason.
#[derive(Clone)]
pub struct Desktop {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    options: Arc<Options>,
}

impl fmt::Debug for Desktop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desktop")
            .field("name", &self.name())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl Desktop {
    /// Opens a session over a byte stream that leads to a VNC server, with [`Options::default`].
    ///
    /// # Errors
    /// [`Error`] if the server cannot be talked to, refuses, or does not answer in time.
    pub async fn open<S: Stream>(stream: S, auth: Auth) -> Result<Desktop, Error> {
        Desktop::open_with(stream, auth, Options::default()).await
    }

    /// Opens a session with other settings. When the stream ends, the session does.
    ///
    /// # Errors
    /// As [`Desktop::open`].
    pub async fn open_with<S: Stream>(stream: S, auth: Auth, options: Options) -> Result<Desktop, Error> {
        let link = Link::open(Box::new(stream), &auth, &options).await?;
        Ok(Desktop::start(link, None, options))
    }

    /// Opens a session that heals: `dial` opens a stream to the server, now and each time the link has died. Input that
    /// is under way or asked for then ends with [`Error::Interrupted`] and is not repeated: what the screen shows afterwards
    /// may be another thing. Captures wait for the new link.
    ///
    /// # Errors
    /// As [`Desktop::open`], and [`Error::Dial`], if the first link cannot be opened.
    pub async fn connect<F, D>(dial: D, options: Options) -> Result<Desktop, Error>
    where
        F: Future<Output = Dialled> + Send + 'static,
        D: Fn() -> F + Send + Sync + 'static,
    {
        let late = |_| Error::Timeout {
            what: "opening a stream to the VNC server",
            after: options.connect_timeout,
        };
        let dialled = tokio::time::timeout(options.connect_timeout, dial())
            .await
            .map_err(late)?;
        let (stream, auth) = dialled.map_err(|reason| Error::Dial { reason })?;
        let link = Link::open(stream, &auth, &options).await?;
        let again: Dial = Arc::new(move || Box::pin(dial()));
        Ok(Desktop::start(link, Some(again), options))
    }

    fn start(link: Link, dial: Option<Dial>, options: Options) -> Desktop {
        let size = link.decoder.canvas().size();
        let state = State {
            size,
            // Not in a corner, which could be a hot one.
            position: Point::new(size.0 / 2, size.1 / 2),
            pointed: options.takes_pointer,
            lost: false,
            name: link.name.as_str().into(),
            cursor: None,
            leds: None,
            scan_codes: false,
            told: false,
            power: false,
            clipboard: None,
            met: Vec::new(),
            link: LinkFacts::default(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            ended: OnceLock::new(),
        });
        let options = Arc::new(options);
        let (commands, receiver) = mpsc::channel(64);
        tokio::spawn(Task::new(link, dial, shared.clone(), receiver, options.clone()).run());
        Desktop {
            commands,
            shared,
            options,
        }
    }

    /// Encodings that the server has sent pixels in on this link, in the order of their first use.
    pub fn encodings_met(&self) -> Vec<Encoding> {
        self.shared.get().met
    }

    /// The screen's width and height in pixels; changes when the guest changes its resolution.
    pub fn size(&self) -> (u32, u32) {
        self.shared.get().size
    }

    /// The desktop's name, as the server tells it.
    pub fn name(&self) -> Arc<str> {
        self.shared.get().name
    }

    /// How often and for how long the link has been away.
    pub fn link(&self) -> LinkFacts {
        self.shared.get().link
    }

    /// True while the link is down and being opened anew.
    pub fn link_lost(&self) -> bool {
        self.shared.get().lost
    }

    /// The keyboard's lights, where the server tells them: as of the last picture, with which some servers send them.
    pub fn leds(&self) -> Option<Leds> {
        self.shared.get().leds.map(Leds::from_bits)
    }

    /// Where the pointer is: the last place this session sent it to. Before it has, nobody tells; this is the middle then.
    pub fn position(&self) -> Point {
        self.shared.get().position
    }

    /// A picture of the whole screen that is newer than this call and than every input sent before it.
    ///
    /// # Errors
    /// [`Error::Timeout`] if the server does not answer in time; the session may still be used.
    pub async fn capture(&self) -> Result<Arc<Frame>, Error> {
        self.capture_within(self.options.timeout).await
    }

    /// As [`Desktop::capture`], with a deadline of its own.
    ///
    /// # Errors
    /// As [`Desktop::capture`].
    pub async fn capture_within(&self, limit: Duration) -> Result<Arc<Frame>, Error> {
        let deadline = Instant::now() + limit;
        self.ask(|done| Command::Capture(Waiter { deadline, limit, done }))
            .await
    }

    /// Where the screen has been painted since a frame, and the number to go on from; `None` if nothing has been within
    /// `limit`. The pixels may be the same as before.
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn painted_since(&self, version: u64, limit: Duration) -> Result<Option<(Rect, u64)>, Error> {
        let change = self.change(version, limit).await?;
        Ok(change.map(|c| (c.rect, c.version)))
    }

    /// What the screen shows where it has been painted since `version`; `None` if nothing has been within `limit`.
    pub(super) async fn change(&self, after: u64, limit: Duration) -> Result<Option<Change>, Error> {
        let deadline = Instant::now() + limit;
        self.ask(|done| Command::Watch(Watcher { after, deadline, done })).await
    }

    /// A handle to the same session whose pointer moves in another way.
    pub fn moving(&self, motion: Motion) -> Desktop {
        Desktop {
            options: Arc::new(Options {
                motion,
                ..(*self.options).clone()
            }),
            ..self.clone()
        }
    }

    /// Releases what is still pressed and ends the connection, for all handles.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close { done }).await.is_ok() {
            let _ = closed.await;
        }
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn state(&self) -> State {
        self.shared.get()
    }

    /// Sends a message as it is.
    pub(super) async fn send(&self, bytes: Vec<u8>) -> Result<(), Error> {
        self.ask(|done| Command::Send { bytes, done }).await
    }

    pub(super) async fn send_clipboard(&self, text: String) -> Result<(), Error> {
        self.ask(|done| Command::Clipboard { text, done }).await
    }

    pub(super) async fn play(&self, script: Vec<Step>) -> Result<(), Error> {
        self.ask(|done| Command::Input { script, done }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command) -> Result<T, Error> {
        let (done, answer) = oneshot::channel();
        if self.commands.send(command(done)).await.is_err() {
            return Err(self.ended());
        }
        answer.await.unwrap_or_else(|_| Err(self.ended()))
    }

    fn ended(&self) -> Error {
        let reason = match self.shared.ended.get() {
            Some(Error::Closed { reason }) => reason.clone(),
            Some(error) => error.to_string(),
            None => "it was closed".into(),
        };
        Error::Closed { reason }
    }
}
