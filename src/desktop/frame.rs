//! One picture of the screen and the facts about when it was taken.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageEncoder, RgbaImage};
use sha2::{Digest, Sha256};

use super::rfb::Cursor;
use super::{Error, Point, Rect};

/// A picture of the whole screen: RGBA, width x height, row-major, alpha 255. Shared as `Arc<Frame>`.
pub struct Frame {
    image: Arc<RgbaImage>,
    /// Number of this frame within its session, from 1; 0 for frames that no session took.
    pub seq: u64,
    /// When the request that this frame answers was handed to the stream.
    pub requested_at: Instant,
    /// When the last byte of the answer was decoded.
    pub received_at: Instant,
    /// True if the server let the request wait unusually long (the answer came, so the frame is still fresh).
    pub stalled: bool,
    /// How often and for how long the link had been away until then.
    pub link: LinkFacts,
    /// The mouse pointer and where it was; it is not part of the picture.
    pub(super) cursor: Option<(Arc<Cursor>, Option<Point>)>,
    /// The screen's version, for [`Desktop::painted_since`](super::Desktop::painted_since): changes after it are not in
    /// this picture.
    pub version: u64,
    digest: OnceLock<String>,
}

/// How often and for how long a session's link has been away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkFacts {
    /// How often it has been opened anew.
    pub reopened: u32,
    /// How long it has been away in all.
    pub offline: Duration,
}

impl Frame {
    pub(super) fn new(image: Arc<RgbaImage>, seq: u64, requested_at: Instant, received_at: Instant) -> Frame {
        Frame {
            image,
            seq,
            requested_at,
            received_at,
            stalled: false,
            link: LinkFacts::default(),
            cursor: None,
            version: 0,
            digest: OnceLock::new(),
        }
    }

    /// A frame from a picture, for tools and tests that have no session.
    pub fn from_image(image: RgbaImage) -> Frame {
        let now = Instant::now();
        Frame::new(Arc::new(image), 0, now, now)
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.image.width()
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.image.height()
    }

    /// How many pixels there are.
    pub(super) fn area(&self) -> u64 {
        u64::from(self.width()) * u64::from(self.height())
    }

    /// The pixels.
    pub fn image(&self) -> &RgbaImage {
        &self.image
    }

    /// True if the server told what the mouse pointer looks like, and it is to be seen.
    pub fn has_cursor(&self) -> bool {
        self.cursor.is_some()
    }

    /// Where the mouse pointer is that is to be seen on the screen and not part of the picture; none before this session
    /// has moved it.
    pub fn pointer(&self) -> Option<Point> {
        self.cursor.as_ref().and_then(|(_, at)| *at)
    }

    /// The picture with the mouse pointer drawn where it was, if that is known and the server told what it looks like: for
    /// people.
    pub fn with_cursor(&self) -> RgbaImage {
        let mut image = self.image().clone();
        if let Some((cursor, Some(at))) = &self.cursor {
            cursor.draw(*at, &mut image);
        }
        image
    }

    /// The same picture with these parts of it painted over, in grey.
    pub fn covering(&self, parts: &[Rect]) -> Frame {
        let mut image = self.image().clone();
        paint_over(&mut image, parts);
        Frame {
            image: Arc::new(image),
            digest: OnceLock::new(),
            cursor: self.cursor.clone(),
            ..*self
        }
    }

    /// The picture as an RGB PNG (fast compression: evidence is written often and read rarely).
    ///
    /// # Errors
    /// [`Error::Png`], if it cannot be encoded.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        png(self.image().clone())
    }

    /// As [`Frame::png`], with the mouse pointer.
    ///
    /// # Errors
    /// As [`Frame::png`].
    pub fn png_with_cursor(&self) -> Result<Vec<u8>, Error> {
        png(self.with_cursor())
    }

    /// SHA-256 in hex of size and pixels; equal digests mean equal pictures. Computed once.
    pub fn digest(&self) -> String {
        let hash = || {
            let mut h = Sha256::new();
            h.update(self.width().to_be_bytes());
            h.update(self.height().to_be_bytes());
            h.update(self.image().as_raw());
            hex::encode(h.finalize())
        };
        self.digest.get_or_init(hash).clone()
    }

    /// True if both show the same pixels.
    pub fn same_picture(&self, other: &Frame) -> bool {
        self.image.dimensions() == other.image.dimensions() && self.image.as_raw() == other.image.as_raw()
    }

    /// The smallest rectangle that holds every pixel in which the two frames differ; `None` if they are equal.
    /// Frames of different sizes differ everywhere.
    pub fn difference(&self, other: &Frame) -> Option<Rect> {
        self.difference_outside(other, &[])
    }

    /// As [`Frame::difference`]; what lies in one of the given rectangles does not count.
    pub fn difference_outside(&self, other: &Frame, ignored: &[Rect]) -> Option<Rect> {
        if self.image.dimensions() != other.image.dimensions() {
            return Some(Rect::new(0, 0, self.width(), self.height()));
        }
        let stride = self.width() as usize * 4;
        if stride == 0 {
            return None;
        }
        let mut found: Option<Rect> = None;
        let rows = self
            .image
            .as_raw()
            .chunks_exact(stride)
            .zip(other.image.as_raw().chunks_exact(stride));
        for (y, (a, b)) in rows.enumerate() {
            if a == b {
                continue;
            }
            let y = y as u32;
            let counts = |x: &u32| {
                let at = *x as usize * 4;
                a[at..at + 4] != b[at..at + 4] && !ignored.iter().any(|r| r.contains(Point::new(*x, y)))
            };
            let (first, last) = ((0..self.width()).find(counts), (0..self.width()).rev().find(counts));
            if let (Some(first), Some(last)) = (first, last) {
                let row = Rect::new(first, y, last - first + 1, 1);
                found = Some(found.map_or(row, |f| f.union(&row)));
            }
        }
        found
    }
}

/// Paints these parts of the picture over, in grey.
pub fn paint_over(image: &mut RgbaImage, parts: &[Rect]) {
    let all = Rect::new(0, 0, image.width(), image.height());
    for part in parts.iter().filter_map(|part| part.intersection(&all)) {
        for y in part.y..part.bottom() {
            for x in part.x..part.right() {
                image.put_pixel(x, y, image::Rgba([128, 128, 128, 255]));
            }
        }
    }
}

fn png(image: RgbaImage) -> Result<Vec<u8>, Error> {
    let (width, height) = image.dimensions();
    // DynamicImage converts inside `image`, which is optimised in our debug builds too.
    let rgb = DynamicImage::ImageRgba8(image).into_rgb8();
    let mut out = Vec::new();
    PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Adaptive)
        .write_image(rgb.as_raw(), width, height, ExtendedColorType::Rgb8)
        .map_err(|e| Error::Png {
            width,
            height,
            reason: e.to_string(),
        })?;
    Ok(out)
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("width", &self.width())
            .field("height", &self.height())
            .field("seq", &self.seq)
            .field("stalled", &self.stalled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    #[test]
    fn digest_and_difference_follow_the_pixels() {
        let plain = RgbaImage::from_pixel(20, 10, Rgba([1, 2, 3, 255]));
        let mut other = plain.clone();
        let a = Frame::from_image(plain.clone());
        assert_eq!(a.digest(), Frame::from_image(plain).digest());
        other.put_pixel(4, 3, Rgba([9, 2, 3, 255]));
        other.put_pixel(7, 5, Rgba([1, 2, 9, 255]));
        let b = Frame::from_image(other);
        assert_ne!(a.digest(), b.digest());
        assert!(a.difference(&a).is_none() && a.same_picture(&a) && !a.same_picture(&b));
        assert_eq!(a.difference(&b), Some(Rect::new(4, 3, 4, 3)));
    }

    #[test]
    fn png_keeps_every_pixel() {
        let image = RgbaImage::from_fn(33, 17, |x, y| Rgba([x as u8, y as u8, (x * y) as u8, 255]));
        let png = Frame::from_image(image.clone()).png().unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().to_rgba8(), image);
    }
}
