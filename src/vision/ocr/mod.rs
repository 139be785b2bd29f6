//! Reading text: PP-OCRv6 small on rten, in the process, without a network.
//!
//! `detect` finds lines, `recognise` reads them. Most of a screen does not change between two looks, so three things are
//! remembered: whole frames, the last frame (only what changed since is looked at: `damage`), and lines by their pixels.

mod cache;
mod damage;
mod detect;
mod recognise;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use image::{DynamicImage, RgbaImage};
use rten::ThreadPool;

use self::cache::Cache;
use self::detect::Detector;
use self::recognise::{Reading, Recogniser};
use super::{Error, Judgement, Located, Target, Verdict, Vision, judge, locate, models};
use crate::desktop::{Frame, Rect};

/// A line of text on the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its words, joined by single spaces.
    pub text: String,
    /// Where it is, in frame pixels.
    pub rect: Rect,
    /// Its words from left to right; never empty.
    pub words: Vec<Word>,
}

/// A word of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The characters.
    pub text: String,
    /// Where it is, in frame pixels.
    pub rect: Rect,
    /// The mean certainty of its characters, 0 to 1.
    pub confidence: f32,
    /// Positions of characters that may as well be others, from 0.
    pub doubts: Vec<usize>,
}

/// An OCR engine. Clones share models and caches.
#[derive(Clone)]
pub struct Ocr {
    inner: Arc<Inner>,
}

struct Inner {
    detector: Detector,
    recogniser: Recogniser,
    lines: Mutex<Cache<Reading>>,
    frames: Mutex<Cache<Text>>,
    /// The frame read last, for reading only what has changed since.
    last: Mutex<Option<Seen>>,
}

#[derive(Clone)]
struct Seen {
    frame: Arc<Frame>,
    lines: Arc<Vec<Line>>,
}

/// What was read of a frame.
#[derive(Clone)]
struct Text {
    lines: Arc<Vec<Line>>,
    /// False where only a part was looked at, and the rest is known from the frame before. The detection model finds a
    /// word or not by what is around it: what is read in a part is there, but what is not may be there all the same.
    whole: bool,
}

/// How many lines are recognised at once, and threads for detection.
const THREADS: usize = 2;

impl Ocr {
    /// Loads the models from a directory (see [`models::default_dir`]) after checking them. Takes about a second.
    ///
    /// # Errors
    /// [`Error`] naming the file and the command that fetches it.
    pub fn load(model_dir: &Path) -> Result<Ocr, Error> {
        let inner = Inner {
            detector: Detector::load(models::read(model_dir, &models::DETECTION)?, THREADS)?,
            recogniser: Recogniser::load(models::read(model_dir, &models::RECOGNITION)?, THREADS)?,
            lines: Mutex::new(Cache::new(4000)),
            frames: Mutex::new(Cache::new(8)),
            last: Mutex::new(None),
        };
        Ok(Ocr { inner: Arc::new(inner) })
    }

    /// Reads all text of a frame, or of a part of it, in reading order (top to bottom, left to right). Blocks for up to
    /// seconds: from async code go through [`Vision`].
    ///
    /// # Errors
    /// [`Error::Ocr`] if a model cannot be run.
    pub fn read(&self, frame: &Frame, region: Option<Rect>) -> Result<Vec<Line>, Error> {
        match region {
            None => {
                let text = self.inner.read_frame(frame.image().clone(), &frame.digest(), false)?;
                Ok(text.lines.to_vec())
            }
            Some(region) => {
                let whole = Rect::new(0, 0, frame.width(), frame.height());
                let inside = region.intersection(&whole);
                inside.map_or(Ok(vec![]), |part| self.inner.read_part(frame, &part))
            }
        }
    }

    async fn text(&self, frame: &Frame, whole: bool) -> Result<Text, Error> {
        let (inner, image, digest) = (self.inner.clone(), frame.image().clone(), frame.digest());
        let reading = tokio::task::spawn_blocking(move || inner.read_frame(image, &digest, whole));
        reading.await.map_err(|e| failed("reading a frame", e))?
    }

    /// The lines of a part; what is remembered of whole frames stays as it is.
    async fn lines_in(&self, frame: &Frame, region: Rect) -> Result<Arc<Vec<Line>>, Error> {
        let (inner, image) = (self.clone(), frame.image().clone());
        let reading = tokio::task::spawn_blocking(move || inner.read(&Frame::from_image(image), Some(region)));
        reading
            .await
            .map_err(|e| failed("reading a part of a frame", e))?
            .map(Arc::new)
    }
}

fn shift(rect: &mut Rect, by: &Rect) {
    rect.x += by.x;
    rect.y += by.y;
}

fn failed(doing: &str, e: impl std::fmt::Display) -> Error {
    Error::Ocr {
        doing: doing.into(),
        reason: e.to_string(),
    }
}

impl Inner {
    /// Reads a frame, or what has changed of it; with `whole` all of it.
    fn read_frame(&self, image: RgbaImage, digest: &str, whole: bool) -> Result<Text, Error> {
        if let Some(text) = self.frames.lock().unwrap_or_else(PoisonError::into_inner).get(digest)
            && (text.whole || !whole)
        {
            return Ok(text);
        }
        let frame = Arc::new(Frame::from_image(image));
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let changed = last
            .filter(|_| !whole)
            .and_then(|seen| Some((damage::region(&seen.frame, &frame, &seen.lines)?, seen.lines)));
        let whole = changed.is_none();
        let lines = Arc::new(match changed {
            Some((region, lines)) => {
                let fresh = self.read_part(&frame, &region)?;
                let mut all: Vec<Line> = lines
                    .iter()
                    .filter(|l| l.rect.intersection(&region).is_none())
                    .cloned()
                    .collect();
                all.extend(fresh);
                sort_for_reading(&mut all);
                all
            }
            None => self.read(DynamicImage::ImageRgba8(frame.image().clone()))?,
        });
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen {
            frame,
            lines: lines.clone(),
        });
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).put(
            digest.into(),
            Text {
                lines: lines.clone(),
                whole,
            },
        );
        Ok(Text { lines, whole })
    }

    /// Reads a rectangle that lies inside the frame; places are the frame's.
    fn read_part(&self, frame: &Frame, part: &Rect) -> Result<Vec<Line>, Error> {
        let pixels = image::imageops::crop_imm(frame.image(), part.x, part.y, part.width, part.height).to_image();
        let mut lines = self.read(DynamicImage::ImageRgba8(pixels))?;
        for line in &mut lines {
            shift(&mut line.rect, part);
            line.words.iter_mut().for_each(|w| shift(&mut w.rect, part));
        }
        Ok(lines)
    }

    fn read(&self, image: DynamicImage) -> Result<Vec<Line>, Error> {
        // The methods of DynamicImage are compiled inside `image`, optimised even in our debug builds.
        let image = DynamicImage::ImageRgb8(image.into_rgb8());
        let boxes = self.detector.lines(&image)?;
        let read_one = |rect: &Rect, pool: &Arc<ThreadPool>| -> Result<Option<Line>, Error> {
            let crop = image.crop_imm(rect.x, rect.y, rect.width, rect.height);
            let key = cache::picture_key(&crop);
            let known = self.lines.lock().unwrap_or_else(PoisonError::into_inner).get(&key);
            let reading = match known {
                Some(reading) => reading,
                None => {
                    let reading = self.recogniser.read(&crop, pool)?;
                    self.lines
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .put(key, reading.clone());
                    reading
                }
            };
            Ok(reading.into_line(rect))
        };
        let mut lines: Vec<Line> = self.recogniser.each(&boxes, read_one)?.into_iter().flatten().collect();
        sort_for_reading(&mut lines);
        Ok(lines)
    }
}

/// Top to bottom; lines that overlap vertically by more than half are one row, read from left to right.
fn sort_for_reading(lines: &mut Vec<Line>) {
    lines.sort_by_key(|l| (l.rect.center().y, l.rect.x));
    let mut rows: Vec<Vec<Line>> = Vec::new();
    for line in lines.drain(..) {
        match rows.last_mut() {
            Some(row) if same_row(&row[0].rect, &line.rect) => row.push(line),
            _ => rows.push(vec![line]),
        }
    }
    for mut row in rows {
        row.sort_by_key(|l| l.rect.x);
        lines.extend(row);
    }
}

/// True if two rectangles share more than half of the lower one's height.
pub(super) fn same_row(a: &Rect, b: &Rect) -> bool {
    let common = a.bottom().min(b.bottom()).saturating_sub(a.y.max(b.y));
    common * 2 > a.height.min(b.height)
}

#[async_trait]
impl Vision for Ocr {
    fn name(&self) -> String {
        "ocr (PP-OCRv6 small)".into()
    }

    /// Finds targets that have a `text`; one that has only a description is an [`Error::Target`].
    async fn locate(&self, frame: &Frame, target: &Target) -> Result<Located, Error> {
        locate::check(target)?;
        if let Some(region) = target.region {
            return locate::locate(&self.lines_in(frame, region).await?, target);
        }
        let text = self.text(frame, false).await?;
        match locate::locate(&text.lines, target)? {
            // Before it is absent, all is read.
            Located::NotFound { .. } if !text.whole => locate::locate(&self.text(frame, true).await?.lines, target),
            answer => Ok(answer),
        }
    }

    fn settles_absence(&self, target: &Target) -> bool {
        target.text.is_some()
    }

    fn understands(&self) -> bool {
        false
    }

    async fn judge(&self, frame: &Frame, question: &str) -> Result<Judgement, Error> {
        // What no reading could decide need not be read.
        match judge::plan(question) {
            Err(judgement) => Ok(judgement),
            Ok(quoted) => {
                let text = self.text(frame, false).await?;
                let judgement = judge::judge(&text.lines, &quoted);
                if text.whole || judgement.verdict == Verdict::True {
                    return Ok(judgement);
                }
                Ok(judge::judge(&self.text(frame, true).await?.lines, &quoted))
            }
        }
    }
}
