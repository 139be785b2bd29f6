//! The background task that owns the link: it reads all the time, plays input in order, proves frames fresh (see
//! `proof`), tells changes, and opens the link anew when it has died.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::changes::Changes;
use super::command::{Change, Command, Waiter, Watcher};
use super::hands::Hands;
use super::link::{Dial, Link};
use super::playing::Playing;
use super::proof::{Ask, Next, Proof};
use super::rfb::{Clipboard, Event, clipboard, message};
use super::script::Step;
use super::session::Shared;
use super::{Encoding, Error, Frame, Options};

/// Whom an input's end is told.
type Done = oneshot::Sender<Result<(), Error>>;

pub(super) struct Task {
    pub(super) link: Link,
    pub(super) dial: Option<Dial>,
    pub(super) shared: Arc<Shared>,
    pub(super) options: Arc<Options>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) playing: Option<Playing>,
    /// Events may be decoded that have not been taken.
    backlog: bool,
    /// What is to be played after that.
    queued: VecDeque<(Vec<Step>, Done)>,
    /// Inputs whose bytes are written but perhaps not yet handed over, with the number of their events.
    pub(super) unsent: Vec<(Done, usize)>,
    /// Captures whose request has not been sent.
    pub(super) waiting: Vec<Waiter>,
    /// Captures that the request under way answers.
    pub(super) asked: Vec<Waiter>,
    pub(super) watchers: Vec<Watcher>,
    pub(super) proof: Proof,
    pub(super) changes: Changes,
    /// The picture has been thrown away and not come again.
    blank: bool,
    /// Since when and how often the link has been opened anew without a picture on it.
    pub(super) trouble: Option<(Instant, u32)>,
    /// When this link was opened.
    pub(super) opened: Instant,
    /// When the pointer was last told where it is.
    pub(super) nudged: Instant,
    /// When changes were asked for last.
    watched: Instant,
    seq: u64,
    pub(super) hands: Hands,
    /// The text that the guest may paste, for servers that ask for it.
    clipboard: Option<String>,
    extended_clipboard: bool,
}

/// How the service of a link ended.
pub(super) enum End {
    /// The handles are gone, or one of them asked for the end.
    Closed(Option<oneshot::Sender<()>>),
    Failed(Error),
}

/// An answer that took longer than this is marked in its frame.
const STALL: Duration = Duration::from_secs(1);
/// How often the pointer is told where it is while changes are waited for: QEMU refreshes an idle console less and less
/// often, and any input event puts it back to 30 ms.
pub(super) const NUDGE: Duration = Duration::from_millis(100);
/// Bytes that may wait for the server before its questions are left unanswered.
const MOST_WAITING: usize = 4 << 20;
/// How long what has arrived is decoded without a look at anything else.
const AT_ONCE: Duration = Duration::from_millis(20);
/// How long the last bytes may take.
const FAREWELL: Duration = Duration::from_millis(500);

impl Task {
    pub(super) fn new(
        link: Link,
        dial: Option<Dial>,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        options: Arc<Options>,
    ) -> Task {
        let size = link.decoder.canvas().size();
        Task {
            link,
            dial,
            hands: Hands::new(shared.clone()),
            shared,
            options,
            commands,
            playing: None,
            queued: VecDeque::new(),
            backlog: false,
            blank: false,
            trouble: None,
            opened: Instant::now(),
            unsent: Vec::new(),
            waiting: Vec::new(),
            asked: Vec::new(),
            watchers: Vec::new(),
            proof: Proof::new(size),
            changes: Changes::default(),
            nudged: Instant::now(),
            watched: Instant::now(),
            seq: 0,
            clipboard: None,
            extended_clipboard: false,
        }
    }

    /// Runs until the handles are gone, one of them closes the session, or the link has failed for good.
    pub(super) async fn run(mut self) {
        let end = loop {
            let failed = match self.serve().await {
                End::Failed(error) => error,
                closed => break closed,
            };
            tracing::debug!(error = %failed, "the VNC link failed");
            match self.reopen(failed).await {
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        let (ended, closing) = match end {
            End::Closed(closing) => {
                let reason = "it was closed".into();
                (Error::Closed { reason }, closing)
            }
            End::Failed(error) => {
                tracing::debug!(%error, "VNC session ended");
                (error, None)
            }
        };
        // Best effort, for a link that still works: the guest must not be left with a key held down.
        self.hands.release_all(&mut self.link.outgoing);
        self.link.farewell(FAREWELL).await;
        // Set before the answers are sent or dropped: a handle looks here for the reason.
        let _ = self.shared.ended.set(ended.clone());
        self.fail_all(&ended);
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    fn fail_all(&mut self, error: &Error) {
        for waiter in self.waiting.drain(..).chain(self.asked.drain(..)) {
            let _ = waiter.done.send(Err(error.clone()));
        }
        for watcher in self.watchers.drain(..) {
            let _ = watcher.done.send(Err(error.clone()));
        }
        self.fail_input(|_, _| error.clone());
    }

    /// Tells whoever waits for an input; `error` makes of the events that were written, and of all, what is told.
    pub(super) fn fail_input(&mut self, error: impl Fn(usize, usize) -> Error) {
        let unsent = self.unsent.drain(..).map(|(done, of)| (done, of, of));
        let playing = self.playing.take().map(|p| {
            let (sent, of) = p.progress();
            (p.done, sent, of)
        });
        let queued = self.queued.drain(..).map(|(script, done)| (done, 0, script.len()));
        for (done, sent, of) in unsent.chain(playing).chain(queued) {
            let _ = done.send(Err(error(sent, of)));
        }
    }

    async fn serve(&mut self) -> End {
        loop {
            match self.turn().await {
                Ok(None) => {}
                Ok(Some(closed)) => return closed,
                Err(error) => return End::Failed(error),
            }
        }
    }

    async fn turn(&mut self) -> Result<Option<End>, Error> {
        self.play_due();
        self.check_deadlines()?;
        self.start_capture().await?;
        self.watch();
        // With much to decode, others have their turn between two parts of it, and so have input, commands and deadlines.
        let (backlog, wake) = (self.backlog, self.next_deadline());
        let pause = async {
            match backlog {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep_until(wake.into()).await,
            }
        };
        let unwanted = async {
            match &mut self.playing {
                Some(playing) => playing.done.closed().await,
                None => std::future::pending().await,
            }
        };
        let mut end = None;
        tokio::select! {
            flushed = self.link.exchange(!backlog) => {
                if flushed? {
                    self.unsent.drain(..).for_each(|(done, _)| { let _ = done.send(Ok(())); });
                }
            }
            command = self.commands.recv() => end = self.take_command(command),
            // Nobody waits for it any more: what it holds is let go of at once.
            () = unwanted => {}
            () = pause => {}
        }
        if end.is_none() {
            self.take_events()?;
        }
        Ok(end)
    }

    /// Keeps what a handle asks for; the end if it asks for that.
    pub(super) fn take_command(&mut self, command: Option<Command>) -> Option<End> {
        match command {
            None => return Some(End::Closed(None)),
            Some(Command::Close { done }) => return Some(End::Closed(Some(done))),
            Some(Command::Input { script, done }) => self.queued.push_back((script, done)),
            Some(Command::Capture(waiter)) => self.waiting.push(waiter),
            Some(Command::Watch(watcher)) => {
                self.watchers.push(watcher);
                // Not half of an update.
                if !self.proof.busy() && !self.link.decoder.in_update() {
                    self.tell_changes();
                }
            }
            Some(Command::Send { bytes, done }) => {
                self.link.outgoing.extend_from_slice(&bytes);
                self.link.ask_flush();
                self.unsent.push((done, 1));
            }
            Some(Command::Clipboard { text, done }) => self.set_clipboard(text, done),
        }
        None
    }

    /// Writes the steps whose time has come, one script after the other.
    fn play_due(&mut self) {
        loop {
            if self.playing.is_none() {
                let next = self.queued.pop_front();
                self.playing = next.map(|(script, done)| Playing::new(script, done));
            }
            let Some(playing) = &mut self.playing else { return };
            // Whoever wanted this is gone. The rest must not be played into what others do next.
            if playing.done.is_closed() {
                self.playing = None;
                self.hands.release_all(&mut self.link.outgoing);
                continue;
            }
            let now = Instant::now();
            while let Some(input) = playing.next_due(now) {
                self.hands.send(input, &mut self.link.outgoing);
            }
            if !playing.finished() {
                return;
            }
            if let Some(playing) = self.playing.take() {
                let (_, of) = playing.progress();
                self.unsent.push((playing.done, of));
                // Answered after a flush, even if everything was handed over already.
                self.link.ask_flush();
            }
        }
    }

    /// Sends a full request for those who wait, unless one is still unanswered.
    async fn start_capture(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() || self.proof.busy() || self.backlog {
            return Ok(());
        }
        // What has already arrived is older than the request and must not count for it.
        if !self.take_received().await? || self.link.decoder.in_update() {
            return Ok(());
        }
        if let Some(ask) = self.proof.capture(Instant::now()) {
            self.send_request(ask);
            self.asked.append(&mut self.waiting);
        }
        Ok(())
    }

    /// Asks for changes if somebody waits for them, and keeps the server looking.
    fn watch(&mut self) {
        if self.watchers.is_empty() || self.proof.busy() {
            return;
        }
        let now = Instant::now();
        // A server that does not tell changes has to be looked at. One that has been silent for long may be gone: a picture
        // asked for shows that, though nobody waits for it.
        let look = match self.proof.tells_changes() && !self.blank {
            false => self.nudged + NUDGE <= now,
            true => self.dial.is_some() && self.link.heard.max(self.watched) + self.options.silence <= now,
        };
        if look && !self.link.decoder.in_update() {
            if let Some(ask) = self.proof.capture(now) {
                self.send_request(ask);
            }
        } else if let Some(ask) = self.proof.watch(now) {
            self.watched = now;
            self.send_request(ask);
        } else if self.nudged + NUDGE <= now && self.link.outgoing.is_empty() {
            self.nudge();
        }
    }

    fn nudge(&mut self) {
        self.nudged = Instant::now();
        self.hands.stay(&mut self.link.outgoing);
    }

    fn send_request(&mut self, ask: Ask) {
        self.nudge();
        let rect = ask.rect(self.link.decoder.canvas().size());
        let request = message::update_request(ask.incremental(), &rect);
        self.link.outgoing.extend_from_slice(&request);
    }

    /// Decodes what can be read without waiting. False if the server sends faster than that: then deadlines come first.
    async fn take_received(&mut self) -> Result<bool, Error> {
        for _ in 0..64 {
            if !self.link.read_now().await? {
                return Ok(true);
            }
            self.take_events()?;
            if self.backlog {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Takes what has been decoded. A server may say in a few bytes what takes long to draw: what is left after a while is a
    /// backlog.
    fn take_events(&mut self) -> Result<(), Error> {
        let began = Instant::now();
        self.backlog = false;
        while let Some(event) = self.link.decoder.next_event()? {
            self.backlog = began.elapsed() > AT_ONCE;
            match event {
                Event::UpdateBegin => self.proof.update_began(),
                Event::Painted(rect) => {
                    self.proof.painted(&rect);
                    self.changes.painted(&rect);
                }
                Event::Resized(width, height) => {
                    tracing::debug!(width, height, "the guest changed its resolution");
                    self.proof.resized(width, height, Instant::now());
                    self.changes.all_new();
                    self.blank = true;
                    self.shared.resized((width, height));
                }
                Event::UpdateEnd => {
                    self.changes.update_ended();
                    self.tell_encodings();
                    let next = self.proof.update_ended(Instant::now());
                    self.go_on(next);
                    if !self.proof.busy() {
                        self.tell_changes();
                    }
                }
                Event::Cursor(cursor) => self.shared.update(|s| s.cursor = cursor),
                Event::Leds(leds) => self.shared.update(|s| s.leds = Some(leds)),
                Event::ScanCodes => self.shared.update(|s| s.scan_codes = true),
                Event::Name(name) => self.shared.update(|s| s.name = name.into()),
                Event::Power { offered } => self.shared.update(|s| s.power = offered),
                Event::Clipboard(said) => self.clipboard_message(said),
                Event::Bell => {}
            }
            if self.backlog {
                break;
            }
        }
        Ok(())
    }

    fn tell_encodings(&self) {
        let met = self.link.decoder.met();
        self.shared.update(|s| {
            if s.met.len() != met.len() {
                s.met = met.iter().filter_map(|number| Encoding::of(*number)).collect();
            }
        });
    }

    pub(super) fn go_on(&mut self, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Send(ask) => self.send_request(ask),
            Next::Complete(requested_at) => {
                self.blank = false;
                self.trouble = None;
                self.answer(requested_at);
            }
        }
    }

    /// Gives the complete frame to those who waited for it.
    fn answer(&mut self, requested_at: Instant) {
        if self.asked.is_empty() {
            return;
        }
        self.seq += 1;
        self.shared.update(|s| s.told = true);
        let received_at = Instant::now();
        let state = self.shared.get();
        let image = self.link.decoder.image();
        let mut frame = Frame::new(image, self.seq, requested_at, received_at);
        frame.stalled = received_at - requested_at > STALL;
        frame.version = self.changes.version();
        frame.cursor = state.cursor.map(|c| (c, state.pointed.then_some(state.position)));
        frame.link = state.link;
        let frame = Arc::new(frame);
        for waiter in self.asked.drain(..) {
            let _ = waiter.done.send(Ok(frame.clone()));
        }
    }

    /// Tells those who wait for changes what there is.
    fn tell_changes(&mut self) {
        // Black is not what the screen shows.
        if self.blank {
            return;
        }
        let canvas = self.link.decoder.canvas();
        for watcher in std::mem::take(&mut self.watchers) {
            let Some(rect) = self.changes.since(watcher.after, canvas.size()) else {
                self.watchers.push(watcher);
                continue;
            };
            let change = Change {
                rect,
                pixels: canvas.crop(&rect),
                size: canvas.size(),
                version: self.changes.version(),
            };
            let _ = watcher.done.send(Ok(Some(change)));
        }
    }

    fn set_clipboard(&mut self, text: String, done: oneshot::Sender<Result<(), Error>>) {
        let message = if self.extended_clipboard {
            clipboard::notify(true)
        } else {
            match clipboard::plain(&text) {
                Ok(message) => message,
                Err(character) => {
                    let _ = done.send(Err(Error::Clipboard { character }));
                    return;
                }
            }
        };
        self.clipboard = Some(text);
        self.link.outgoing.extend_from_slice(&message);
        self.link.ask_flush();
        self.unsent.push((done, 1));
    }

    fn clipboard_message(&mut self, said: Clipboard) {
        let answer = match said {
            Clipboard::Text(text) => {
                self.shared.update(|s| s.clipboard = Some(text.into()));
                return;
            }
            Clipboard::Extended => {
                self.extended_clipboard = true;
                clipboard::capabilities()
            }
            Clipboard::Available => clipboard::request(),
            Clipboard::Peek => clipboard::notify(self.clipboard.is_some()),
            Clipboard::Wanted => match clipboard::provide(self.clipboard.as_deref().unwrap_or_default()) {
                Ok(message) => message,
                Err(error) => {
                    tracing::warn!(%error, "the clipboard's text could not be compressed");
                    return;
                }
            },
        };
        // A server that asks and does not read gets no more.
        if self.link.outgoing.len() <= MOST_WAITING {
            self.link.outgoing.extend_from_slice(&answer);
        }
    }

    /// The link is new: nothing that was under way on the old one counts.
    pub(super) fn start_anew(&mut self, link: Link) {
        self.link = link;
        let size = self.link.decoder.canvas().size();
        self.proof = Proof::new(size);
        self.changes.all_new();
        (self.blank, self.backlog, self.opened) = (true, false, Instant::now());
        self.extended_clipboard = false;
        self.shared
            .update(|s| (s.told, s.scan_codes, s.power, s.met) = (false, false, false, Vec::new()));
        let mut again = std::mem::take(&mut self.asked);
        again.append(&mut self.waiting);
        self.waiting = again;
        self.shared.resized(size);
        self.hands.start_anew(&mut self.link.outgoing);
    }
}
