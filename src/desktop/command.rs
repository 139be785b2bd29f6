//! What handles ask of the background task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbaImage;
use tokio::sync::oneshot;

use super::script::Step;
use super::{Error, Frame, Rect};

pub(super) enum Command {
    Input {
        script: Vec<Step>,
        done: oneshot::Sender<Result<(), Error>>,
    },
    Capture(Waiter),
    Watch(Watcher),
    /// A message as it is.
    Send {
        bytes: Vec<u8>,
        done: oneshot::Sender<Result<(), Error>>,
    },
    /// A text for the guest's clipboard.
    Clipboard {
        text: String,
        done: oneshot::Sender<Result<(), Error>>,
    },
    Close {
        done: oneshot::Sender<()>,
    },
}

/// Somebody who waits for a fresh frame.
pub(super) struct Waiter {
    pub deadline: Instant,
    pub limit: Duration,
    pub done: oneshot::Sender<Result<Arc<Frame>, Error>>,
}

/// Somebody who waits for a change after this version; `None` is the answer if there is none in time.
pub(super) struct Watcher {
    pub after: u64,
    pub deadline: Instant,
    pub done: oneshot::Sender<Result<Option<Change>, Error>>,
}

/// What the screen shows now where it has been painted since some version. The pixels may be the same as before.
pub(super) struct Change {
    pub rect: Rect,
    pub pixels: RgbaImage,
    /// The whole screen's size.
    pub size: (u32, u32),
    pub version: u64,
}
