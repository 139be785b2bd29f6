//! The video of a session, where one is asked for: one more consumer of the link to the desktop.
//!
//! A picture is added when the screen or the pointer has changed, with its time, and never more often than asked for.
//! Parts that stored pictures do not show are not shown here either. What goes wrong ends the film and is told; it never
//! changes a verdict.

mod encoder;

pub use encoder::Encoder;

use super::Recorder;
use super::event::RunVideo;
use crate::desktop::{Desktop, Follower, paint_over};
use encoder::Encoding;
use image::RgbaImage;
use image::imageops::{FilterType, overlay, resize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Name of the video in a run's folder.
pub const VIDEO_FILE: &str = "video.webm";
/// How long the last picture may take after the run's end.
const LAST: Duration = Duration::from_secs(90);

/// A film in the making, of one attempt of a run. Clones are the same film; it ends with the last of them, or before.
#[derive(Clone)]
pub struct Film(Arc<Making>);

struct Making {
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<RunVideo>>>,
}

impl Film {
    /// Begins it in the recorder's folder, with at most so many pictures a second.
    pub fn begin(encoder: Encoder, desktop: Desktop, recorder: &Recorder, per_second: u32) -> Film {
        let stop = CancellationToken::new();
        let maker = Maker {
            encoder,
            recorder: recorder.clone(),
            pause: Duration::from_secs(1) / per_second.max(1),
            stop: stop.clone(),
        };
        Film(Arc::new(Making {
            stop,
            task: Mutex::new(Some(tokio::spawn(maker.make(desktop)))),
        }))
    }

    /// Ends it with the screen as it is; `None` where it has been ended before.
    pub async fn end(&self) -> Option<RunVideo> {
        self.0.stop.cancel();
        let mut task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(match tokio::time::timeout(LAST, &mut task).await {
            Ok(Ok(video)) => video,
            Ok(Err(e)) => trouble(format!("making the video broke off; this is a defect of mosdat: {e}")),
            Err(_) => {
                task.abort();
                trouble(format!("the video did not end within {LAST:?}"))
            }
        })
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn trouble(problem: String) -> RunVideo {
    RunVideo {
        problem: Some(problem),
        ..RunVideo::default()
    }
}

struct Maker {
    encoder: Encoder,
    recorder: Recorder,
    /// From one picture to the next, at least.
    pause: Duration,
    stop: CancellationToken,
}

impl Maker {
    async fn make(self, desktop: Desktop) -> RunVideo {
        let first = tokio::select! {
            first = desktop.follow() => first,
            () = self.stop.cancelled() => return trouble("the run ended before the first picture".to_string()),
        };
        drop(desktop);
        let follower = match first {
            Ok(follower) => follower,
            Err(e) => return trouble(format!("there is no first picture: {e}")),
        };
        let file = self.recorder.dir().join(VIDEO_FILE);
        let size = follower.picture().dimensions();
        let mut encoding = match Encoding::begin(&self.encoder, &file, size) {
            Ok(encoding) => encoding,
            Err(why) => return trouble(why),
        };
        let begun = Instant::now();
        let (pictures, ended) = self.follow(follower, &mut encoding).await;
        let ms = begun.elapsed().as_millis() as u64;
        let problem = match (encoding.end().await, ended) {
            (Err(why), _) => Some(why),
            (Ok(()), Ended::Link(why)) => Some(format!("the video ends early: {why}")),
            (Ok(()), Ended::Full) => Some("the video ends early: it reached its largest size".to_string()),
            (Ok(()), Ended::Asked) => None,
        };
        let bytes = std::fs::metadata(&file).map_or(0, |m| m.len());
        if bytes == 0 {
            // Nothing that could be played.
            let _ = std::fs::remove_file(&file);
        }
        RunVideo {
            file: (bytes > 0).then(|| VIDEO_FILE.to_string()),
            pictures,
            bytes,
            ms,
            problem,
        }
    }

    /// Adds pictures until the film is to end; how many, and what ended it.
    async fn follow(&self, mut follower: Follower, encoding: &mut Encoding) -> (u64, Ended) {
        let size = follower.picture().dimensions();
        let mut last: Option<RgbaImage> = None;
        let mut pictures = 0;
        let mut ended = None;
        while ended.is_none() {
            // A step is about to tell what must not be seen: until then the film stands still.
            if !self.recorder.veiled() {
                let picture = fitted(self.shown(&follower), size);
                // Looked at again, so that what was hidden meanwhile is in no picture of before.
                if last.as_ref() != Some(&picture) && !self.recorder.veiled() {
                    if encoding.add(&picture).await.is_err() {
                        return (pictures, Ended::Full);
                    }
                    pictures += 1;
                    last = Some(picture);
                }
            }
            let pause = tokio::time::sleep(self.pause);
            tokio::select! {
                () = pause => {}
                () = self.stop.cancelled() => ended = Some(Ended::Asked),
            }
            let next = match ended {
                None => follower.next(self.pause).await,
                // A link that is being opened anew at the very end is not waited for.
                Some(_) => tokio::time::timeout(self.pause, follower.next(Duration::ZERO))
                    .await
                    .unwrap_or(Ok(false)),
            };
            if let Err(e) = next {
                ended = Some(Ended::Link(e.to_string()));
            }
        }
        // The film is as long as the run: what was there at the end is added once more.
        let picture = match self.recorder.veiled() {
            true => last,
            false => Some(fitted(self.shown(&follower), size)),
        };
        if let Some(picture) = picture {
            let _ = encoding.add(&picture).await;
        }
        (pictures, ended.unwrap_or(Ended::Asked))
    }

    /// The screen as it may be shown, with the pointer.
    fn shown(&self, follower: &Follower) -> RgbaImage {
        let mut picture = follower.picture().clone();
        let covered = self.recorder.covered(picture.width(), picture.height());
        paint_over(&mut picture, &covered);
        follower.draw_pointer(&mut picture);
        picture
    }
}

/// What ended a film.
enum Ended {
    /// The run's end.
    Asked,
    /// ffmpeg takes no more.
    Full,
    /// There is no desktop any more.
    Link(String),
}

/// A film has one size: a screen of another one is made to fit, in its own proportions.
fn fitted(picture: RgbaImage, (width, height): (u32, u32)) -> RgbaImage {
    let (w, h) = picture.dimensions();
    if (w, h) == (width, height) {
        return picture;
    }
    let mut out = RgbaImage::from_pixel(width, height, image::Rgba([0, 0, 0, 255]));
    let part = (f64::from(width) / f64::from(w.max(1)))
        .min(f64::from(height) / f64::from(h.max(1)))
        .min(1.0);
    let of = |side: u32| ((f64::from(side) * part) as u32).max(1);
    let small = match part < 1.0 {
        true => resize(&picture, of(w), of(h), FilterType::Triangle),
        false => picture,
    };
    let (x, y) = ((width - small.width()) / 2, (height - small.height()) / 2);
    overlay(&mut out, &small, x.into(), y.into());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    #[test]
    fn another_size_is_made_to_fit() {
        let white = |w, h| RgbaImage::from_pixel(w, h, Rgba([255; 4]));
        assert_eq!(fitted(white(8, 6), (8, 6)), white(8, 6));
        let small = fitted(white(4, 4), (8, 6));
        assert_eq!((small.get_pixel(1, 0).0[0], small.get_pixel(2, 1).0[0]), (0, 255));
        let large = fitted(white(32, 12), (8, 6));
        assert_eq!((large.get_pixel(0, 0).0[0], large.get_pixel(0, 2).0[0]), (0, 255));
        assert_eq!(large.dimensions(), (8, 6));
    }
}
