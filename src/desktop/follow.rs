//! Following the screen: the picture as the server paints it, for those who look on while others act. Nothing is asked of
//! the server beyond what it tells by itself, but for the first picture.

use std::time::Duration;

use image::RgbaImage;

use super::{Desktop, Error, Point};

/// What the screen shows, kept up to date by [`Follower::next`]. It holds the session open like any other handle.
pub struct Follower {
    desktop: Desktop,
    picture: RgbaImage,
    version: u64,
    pointer: Option<Point>,
}

impl Desktop {
    /// Begins with a capture.
    ///
    /// # Errors
    /// As [`Desktop::capture`].
    pub async fn follow(&self) -> Result<Follower, Error> {
        let frame = self.capture().await?;
        Ok(Follower {
            desktop: self.clone(),
            picture: frame.image().clone(),
            version: frame.version,
            pointer: frame.pointer(),
        })
    }
}

impl Follower {
    /// Waits until the screen has been painted or the pointer has been sent somewhere, at most `limit`. True if so; what was
    /// painted may be the same as before. The pointer is looked at when `limit` has gone by.
    ///
    /// # Errors
    /// [`Error`] if the link failed for good.
    pub async fn next(&mut self, limit: Duration) -> Result<bool, Error> {
        let change = self.desktop.change(self.version, limit).await?;
        let state = self.desktop.state();
        let pointer = (state.pointed && state.cursor.is_some()).then_some(state.position);
        let moved = pointer != self.pointer;
        self.pointer = pointer;
        let Some(change) = change else {
            return Ok(moved);
        };
        if self.picture.dimensions() != change.size {
            self.picture = RgbaImage::new(change.size.0, change.size.1);
        }
        let (x, y) = (i64::from(change.rect.x), i64::from(change.rect.y));
        image::imageops::replace(&mut self.picture, &change.pixels, x, y);
        self.version = change.version;
        Ok(true)
    }

    /// The screen, without the pointer.
    pub fn picture(&self) -> &RgbaImage {
        &self.picture
    }

    /// Draws the pointer where this session has sent it, if the server told what it looks like.
    pub fn draw_pointer(&self, onto: &mut RgbaImage) {
        if let (Some(at), Some(cursor)) = (self.pointer, self.desktop.state().cursor) {
            cursor.draw(at, onto);
        }
    }
}
