//! What the runner needs of a desktop.

use crate::desktop::{Button, Desktop, Error, Frame, Point, Settled};
use async_trait::async_trait;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

/// A desktop that can be looked at and worked with.
#[async_trait]
pub trait Screen: Send + Sync {
    /// A frame newer than this call and than every input before it.
    async fn capture(&self) -> Result<Arc<Frame>, Error>;
    /// Waits until the picture has been still for `quiet`, at most `max`.
    async fn settle(&self, quiet: Duration, max: Duration) -> Result<Settled, Error>;
    /// Moves there and clicks.
    async fn click(&self, at: Point, button: Button, count: u32) -> Result<(), Error>;
    /// Presses a chord.
    async fn key(&self, chord: &str) -> Result<(), Error>;
    /// Types text.
    async fn type_text(&self, text: &str) -> Result<(), Error>;
    /// Types text that must not be shown anywhere.
    async fn type_secret(&self, secret: &SecretString) -> Result<(), Error>;
}

#[async_trait]
impl Screen for Desktop {
    async fn capture(&self) -> Result<Arc<Frame>, Error> {
        Desktop::capture(self).await
    }

    async fn settle(&self, quiet: Duration, max: Duration) -> Result<Settled, Error> {
        Desktop::settle(self, quiet, max).await
    }

    async fn click(&self, at: Point, button: Button, count: u32) -> Result<(), Error> {
        Desktop::click(self, at, button, count).await
    }

    async fn key(&self, chord: &str) -> Result<(), Error> {
        Desktop::key(self, chord).await
    }

    async fn type_text(&self, text: &str) -> Result<(), Error> {
        Desktop::type_text(self, text).await
    }

    async fn type_secret(&self, secret: &SecretString) -> Result<(), Error> {
        Desktop::type_secret(self, secret).await
    }
}
