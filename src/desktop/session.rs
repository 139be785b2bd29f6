//! The handle: what a caller can ask of a desktop.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use super::rfb::handshake::handshake;
use super::rfb::{Decoder, encoding};
use super::script::{self, Step};
use super::task::{Command, Task};
use super::{Button, Error, Frame, Motion, Point, parse_chord};

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
    /// Deadline of the handshake.
    pub connect_timeout: Duration,
    /// Deadline of one capture, and of handing input to a server that does not read.
    pub timeout: Duration,
    /// Most characters typed per second.
    pub keys_per_second: u32,
    /// How the pointer travels.
    pub motion: Motion,
    /// Pause between arriving and pressing.
    pub dwell: Duration,
    /// Ask for ZRLE (far servers). False asks for raw pixels, which is faster on the same machine.
    pub compressed: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout: Duration::from_secs(15),
            timeout: Duration::from_secs(15),
            keys_per_second: 30,
            motion: Motion::Linear(Duration::from_millis(160)),
            dwell: Duration::from_millis(50),
            compressed: true,
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

#[derive(Clone, Copy)]
pub(super) struct State {
    pub size: (u32, u32),
    pub position: Point,
}

impl Shared {
    pub(super) fn get(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A handle to a desktop session. Clones share one connection, which closes when the last of them drops. Each call
/// ends within a deadline; after an error that ended the connection every call gives [`Error::Closed`] with the reason.
#[derive(Clone)]
pub struct Desktop {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    options: Arc<Options>,
    name: Arc<str>,
}

impl fmt::Debug for Desktop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desktop")
            .field("name", &self.name)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl Desktop {
    /// Opens a session over a byte stream that leads to a VNC server, with [`Options::default`].
    ///
    /// # Errors
    /// [`Error`] if the server cannot be talked to, refuses, or does not answer in time.
    pub async fn open<S>(stream: S, auth: Auth) -> Result<Desktop, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Desktop::open_with(stream, auth, Options::default()).await
    }

    /// Opens a session with other settings.
    ///
    /// # Errors
    /// As [`Desktop::open`].
    pub async fn open_with<S>(mut stream: S, auth: Auth, options: Options) -> Result<Desktop, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let late = |_| Error::Timeout {
            what: "the VNC handshake",
            after: options.connect_timeout,
        };
        let init = tokio::time::timeout(options.connect_timeout, handshake(&mut stream, &auth))
            .await
            .map_err(late)??;
        let decoder = Decoder::new(init.width, init.height)?;
        let size = (init.width, init.height);
        // The first pointer event puts the pointer here; a corner could trigger the desktop's hot corners.
        let position = Point::new(size.0 / 2, size.1 / 2);
        let shared = Arc::new(Shared {
            state: Mutex::new(State { size, position }),
            ended: OnceLock::new(),
        });
        let mut encodings = vec![encoding::COPY_RECT, encoding::RAW];
        if options.compressed {
            encodings.insert(0, encoding::ZRLE);
        }
        encodings.extend([encoding::DESKTOP_SIZE, encoding::LAST_RECT, encoding::CURSOR]);
        let (commands, receiver) = mpsc::channel(64);
        let task = Task::new(stream, decoder, shared.clone(), receiver, options.timeout, &encodings);
        tokio::spawn(task.run());
        Ok(Desktop {
            commands,
            shared,
            options: Arc::new(options),
            name: init.name.into(),
        })
    }

    /// The screen's width and height in pixels; changes when the guest changes its resolution.
    pub fn size(&self) -> (u32, u32) {
        self.shared.get().size
    }

    /// The name the server gave itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the pointer is: the last place this session sent it to.
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
        self.ask(|done| Command::Capture { deadline, limit, done }).await
    }

    /// Moves the pointer; a place outside the screen is moved to the nearest inside.
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn move_to(&self, to: Point) -> Result<(), Error> {
        self.play(self.path(to)).await
    }

    /// Moves the pointer, waits the dwell time, and presses the button `count` times (2 is a double click).
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn click(&self, at: Point, button: Button, count: u32) -> Result<(), Error> {
        let mut steps = self.path(at);
        steps.extend(script::click(button, count, self.options.dwell));
        self.play(steps).await
    }

    /// Presses the button at one place, moves to another and releases it there.
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn drag(&self, from: Point, to: Point, button: Button) -> Result<(), Error> {
        let size = self.size();
        let press = script::click(button, 1, self.options.dwell);
        let mut steps = self.path(from);
        steps.extend(&press[..1]);
        steps.extend(self.options.motion.path(from.clamped(size), to.clamped(size)));
        steps.extend(&press[1..]);
        self.play(steps).await
    }

    /// Moves the pointer and turns the wheel: positive notches scroll down, negative up.
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn scroll(&self, at: Point, notches: i32) -> Result<(), Error> {
        let mut steps = self.path(at);
        steps.extend(script::scroll(notches));
        self.play(steps).await
    }

    /// Presses a key or chord, such as `enter`, `f5` or `ctrl+shift+t` (see [`parse_chord`]).
    ///
    /// # Errors
    /// [`Error::Key`] for an unknown name, before anything is sent; otherwise if the link failed.
    pub async fn key(&self, chord: &str) -> Result<(), Error> {
        self.play(script::chord(&parse_chord(chord)?)).await
    }

    /// Types a text at no more than the session's rate; newline is Enter, tab is Tab.
    ///
    /// # Errors
    /// [`Error::Key`] for a control character, before anything is sent; otherwise if the link failed.
    pub async fn type_text(&self, text: &str) -> Result<(), Error> {
        self.play(script::text(text, self.options.keys_per_second)?).await
    }

    /// Types a secret. Nothing of it is kept or logged.
    ///
    /// # Errors
    /// As [`Desktop::type_text`].
    pub async fn type_secret(&self, secret: &SecretString) -> Result<(), Error> {
        self.type_text(secret.expose_secret()).await
    }

    /// Releases what is still pressed and ends the connection, for all handles.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close { done }).await.is_ok() {
            let _ = closed.await;
        }
    }

    fn path(&self, to: Point) -> Vec<Step> {
        let state = self.shared.get();
        self.options.motion.path(state.position, to.clamped(state.size))
    }

    async fn play(&self, script: Vec<Step>) -> Result<(), Error> {
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
