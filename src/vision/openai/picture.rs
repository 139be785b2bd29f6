//! The picture that is sent: in the size that the model sees.

use super::super::Error;
use super::answer::Size;
use super::catalogue::Sizing;
use crate::desktop::{Frame, Rect};
use image::imageops::{FilterType, resize};
use sha2::{Digest, Sha256};

/// A picture as it is sent.
pub(super) struct Picture {
    pub png: Vec<u8>,
    pub size: Size,
    /// SHA-256 of the PNG, hexadecimal.
    pub digest: String,
}

impl Picture {
    /// The frame in the model's size.
    pub fn of(frame: &Frame, sizing: Sizing) -> Result<Picture, Error> {
        let size = sizing.of(frame.width(), frame.height());
        let png = match size == (frame.width(), frame.height()) {
            true => frame.png()?,
            false => Frame::from_image(resize(frame.image(), size.0, size.1, FilterType::CatmullRom)).png()?,
        };
        let digest = hex::encode(Sha256::digest(&png));
        Ok(Picture { png, size, digest })
    }
}

/// A picture that lost more than this part of its width is too coarse for small things.
const KEPT: f64 = 0.8;
/// What is this long in the picture that was sent was seen well enough.
const SMALL: u32 = 48;
/// A closer look is at this part of the screen's width and height.
const CLOSER: u32 = 3;

/// Where to look again, closer: the part of the screen around something small that was found on a picture which had lost
/// much of the screen's size.
pub(super) fn closer(found: &Rect, sent: Size, frame: Size) -> Option<Rect> {
    let kept = f64::from(sent.0) / f64::from(frame.0);
    let length = f64::from(found.width.max(found.height)) * kept;
    if kept >= KEPT || length >= f64::from(SMALL) {
        return None;
    }
    let (width, height) = (frame.0 / CLOSER, frame.1 / CLOSER);
    let middle = found.center();
    let x = middle.x.saturating_sub(width / 2).min(frame.0 - width);
    let y = middle.y.saturating_sub(height / 2).min(frame.1 - height);
    Some(Rect::new(x, y, width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_on_a_coarse_picture_is_looked_at_closer() {
        let small = Rect::new(3000, 100, 1, 1);
        assert_eq!(closer(&small, (1920, 1080), (1920, 1080)), None);
        assert_eq!(
            closer(&small, (1568, 882), (3840, 2160)),
            Some(Rect::new(2360, 0, 1280, 720))
        );
        // Large enough as it was.
        assert_eq!(closer(&Rect::new(0, 0, 400, 90), (1568, 882), (3840, 2160)), None);
        // At the edges it stays within the screen.
        let corner = Rect::new(3839, 2159, 1, 1);
        assert_eq!(
            closer(&corner, (1568, 882), (3840, 2160)),
            Some(Rect::new(2560, 1440, 1280, 720))
        );
    }
}
