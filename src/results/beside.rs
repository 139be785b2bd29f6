//! Reading the pictures of a trace, which may come from anybody: only files within its folder, and of bounded size.

use super::Error;
use crate::desktop::rfb::limits::{MAX_PIXELS, MAX_SIDE};
use image::{DynamicImage, ImageReader, Limits};
use std::io::Cursor;
use std::path::{Component, Path, PathBuf};

/// Bytes of a picture's file; one of the largest screens is smaller.
const MAX_FILE: u64 = 256 << 20;

/// True for the size of a screen that there can be.
pub fn is_screen((width, height): (u32, u32)) -> bool {
    let sides = (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height);
    sides && u64::from(width) * u64::from(height) <= MAX_PIXELS
}

/// The file that an event names, within the folder.
///
/// # Errors
/// It is not within it, or no file.
pub(super) fn path(dir: &Path, file: &str) -> Result<PathBuf, Error> {
    let path = dir.join(file);
    let wrong = |problem: &str| Error::Trace {
        path: path.clone(),
        problem: problem.to_string(),
    };
    let outside = "a picture of a trace is within its folder";
    if !Path::new(file).components().all(|c| matches!(c, Component::Normal(_))) {
        return Err(wrong(outside));
    }
    let io = |source| Error::Io {
        doing: "reading",
        path: path.clone(),
        source,
    };
    // A link may lead anywhere.
    let real = path.canonicalize().map_err(io)?;
    let folder = match dir.as_os_str().is_empty() {
        true => Path::new(".").canonicalize(),
        false => dir.canonicalize(),
    };
    if !real.starts_with(folder.map_err(io)?) {
        return Err(wrong(outside));
    }
    let about = real.metadata().map_err(io)?;
    if !about.is_file() {
        return Err(wrong("no file"));
    }
    if about.len() > MAX_FILE {
        return Err(wrong("too large for a picture"));
    }
    Ok(real)
}

/// The picture in the file that an event names.
///
/// # Errors
/// There is none, or none that could be of a screen.
pub(super) fn picture(dir: &Path, file: &str) -> Result<DynamicImage, Error> {
    let path = path(dir, file)?;
    let bytes = std::fs::read(&path).map_err(|source| Error::Io {
        doing: "reading",
        path: path.clone(),
        source,
    })?;
    decoded(&bytes).map_err(|why| Error::Trace {
        path,
        problem: format!("no picture: {why}"),
    })
}

/// A picture that is no larger than screens are.
pub(super) fn decoded(bytes: &[u8]) -> Result<DynamicImage, image::ImageError> {
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.limits(limits);
    reader.decode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_within_the_folder() {
        let dir = tempfile::tempdir().expect("folder");
        let inner = dir.path().join("run/screenshots");
        std::fs::create_dir_all(&inner).expect("folder");
        let picture_file = |path: &Path| image::RgbaImage::new(2, 2).save(path).expect("saved");
        picture_file(&dir.path().join("secret.png"));
        picture_file(&inner.join("1.png"));
        std::os::unix::fs::symlink(dir.path().join("secret.png"), inner.join("link.png")).expect("link");
        let run = dir.path().join("run");
        assert!(picture(&run, "screenshots/1.png").is_ok());
        let absolute = dir.path().join("secret.png").display().to_string();
        for outside in [
            "../secret.png",
            "screenshots/../../secret.png",
            "screenshots/link.png",
            &absolute,
        ] {
            let error = picture(&run, outside).expect_err(outside).to_string();
            assert!(error.contains("within its folder"), "{outside}: {error}");
        }
        assert!(
            picture(&run, "screenshots")
                .expect_err("a folder")
                .to_string()
                .contains("no file")
        );
        assert!(picture(&run, "screenshots/2.png").is_err());
    }

    #[test]
    fn sizes_of_screens() {
        assert!(is_screen((1, 1)) && is_screen((7680, 4320)));
        for size in [(0, 5), (5, 0), (u32::MAX, u32::MAX), (16_385, 1), (16_384, 16_384)] {
            assert!(!is_screen(size), "{size:?}");
        }
    }
}
