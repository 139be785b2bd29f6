//! What the runner needs of a desktop.

use crate::desktop::{Button, Desktop, Error, Frame, Motion, Point, Settled, Wheel};
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
    /// The same screen, to which the pointer moves in another way.
    fn moving(&self, motion: Motion) -> Arc<dyn Screen>;
    /// Where the pointer is.
    fn position(&self) -> Point;
    /// Moves there.
    async fn move_to(&self, at: Point) -> Result<(), Error>;
    /// Moves there and clicks, with these keys held.
    async fn click(&self, at: Point, button: Button, count: u32, held: &[String]) -> Result<(), Error>;
    /// Presses at one place and releases at another.
    async fn drag(&self, from: Point, to: Point, button: Button) -> Result<(), Error>;
    /// Turns the wheel there, or where the pointer is.
    async fn scroll(&self, at: Option<Point>, wheel: Wheel, notches: i32) -> Result<(), Error>;
    /// Presses a chord, and holds it for a time where one is given.
    async fn key(&self, chord: &str, hold: Option<Duration>) -> Result<(), Error>;
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

    fn moving(&self, motion: Motion) -> Arc<dyn Screen> {
        Arc::new(Desktop::moving(self, motion))
    }

    fn position(&self) -> Point {
        Desktop::position(self)
    }

    async fn move_to(&self, at: Point) -> Result<(), Error> {
        Desktop::move_to(self, at).await
    }

    async fn click(&self, at: Point, button: Button, count: u32, held: &[String]) -> Result<(), Error> {
        Desktop::click_holding(self, at, button, count, held).await
    }

    async fn drag(&self, from: Point, to: Point, button: Button) -> Result<(), Error> {
        Desktop::drag(self, from, to, button).await
    }

    async fn scroll(&self, at: Option<Point>, wheel: Wheel, notches: i32) -> Result<(), Error> {
        Desktop::scroll(self, at.unwrap_or(self.position()), wheel, notches).await
    }

    async fn key(&self, chord: &str, hold: Option<Duration>) -> Result<(), Error> {
        match hold {
            Some(time) => Desktop::hold(self, chord, time).await,
            None => Desktop::key(self, chord).await,
        }
    }

    async fn type_text(&self, text: &str) -> Result<(), Error> {
        Desktop::type_text(self, text).await
    }

    async fn type_secret(&self, secret: &SecretString) -> Result<(), Error> {
        Desktop::type_secret(self, secret).await
    }
}
