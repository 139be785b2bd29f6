//! The encoder: ffmpeg as a program of its own, which is given pictures as they come and notes when.
//!
//! It reads from a pipe. Where this process is killed, the pipe ends, and ffmpeg brings the file to its end by itself.

use image::RgbaImage;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

/// The program that encodes, where it is not the `ffmpeg` of PATH.
const PROGRAM: &str = "MOSDAT_FFMPEG";
/// VP9: it is good at text on still screens, and browsers play it.
const CODEC: &str = "libvpx-vp9";
/// A film grows no larger; hours of a desktop take a fraction of it.
const MOST_BYTES: &str = "500M";
/// An encoder that takes a picture for so long takes none any more.
const STUCK: Duration = Duration::from_secs(30);
/// How long the last pictures may take.
const FAREWELL: Duration = Duration::from_secs(60);
/// Bytes of ffmpeg's complaints that are kept.
const COMPLAINTS: u64 = 4096;

/// An ffmpeg that can make a film.
#[derive(Clone, Debug)]
pub struct Encoder(PathBuf);

impl Encoder {
    /// Looks for it, and asks it what it can do; once it was found it is not asked again.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    pub fn find() -> Result<Encoder, String> {
        static FOUND: OnceLock<Encoder> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found.clone());
        }
        let given = std::env::var_os(PROGRAM);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let encoder = find(given.as_deref().map(Path::new), std::env::split_paths(&path))?;
        Ok(FOUND.get_or_init(|| encoder).clone())
    }

    /// This program, if it can make a film.
    ///
    /// # Errors
    /// As [`Encoder::find`].
    pub fn at(program: &Path) -> Result<Encoder, String> {
        find(Some(program), std::iter::empty())
    }
}

fn find(given: Option<&Path>, folders: impl Iterator<Item = PathBuf>) -> Result<Encoder, String> {
    const INSTALL: &str = "install it where the controller runs (Debian: apt-get install ffmpeg)";
    let program = match given {
        Some(given) => given.to_path_buf(),
        None => folders
            .map(|folder| folder.join("ffmpeg"))
            .find(|file| file.is_file())
            .ok_or_else(|| format!("a video needs ffmpeg, which is not in PATH: {INSTALL}"))?,
    };
    let named = program.display();
    let asked = std::process::Command::new(&program)
        .args(["-hide_banner", "-loglevel", "error", "-encoders"])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("a video needs ffmpeg, and {named} cannot be started ({e}): {INSTALL}"))?;
    match String::from_utf8_lossy(&asked.stdout).contains(CODEC) {
        true => Ok(Encoder(program)),
        false => Err(format!(
            "a video needs an ffmpeg with {CODEC}, which {named} does not have ('{named} -encoders' lists what it has): \
             install another, and name it in {PROGRAM} if it is not the first in PATH"
        )),
    }
}

/// A film in the making.
pub(super) struct Encoding {
    child: Child,
    /// Pictures go here.
    pipe: ChildStdin,
    complaints: JoinHandle<String>,
}

impl Encoding {
    /// Begins a film with pictures of this size.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn begin(encoder: &Encoder, file: &Path, (width, height): (u32, u32)) -> Result<Encoding, String> {
        let mut command = Command::new(&encoder.0);
        command
            .args("-nostdin -hide_banner -loglevel error".split(' '))
            // As fine as a millisecond: a picture has the time at which it was read. Nothing is to be guessed from the stream.
            .args("-f rawvideo -pixel_format rgba -framerate 1000 -use_wallclock_as_timestamps 1".split(' '))
            .args("-probesize 32 -analyzeduration 0 -video_size".split(' '))
            .arg(format!("{width}x{height}"))
            .args("-i pipe:0 -an -fps_mode vfr -pix_fmt yuv420p -c:v".split(' '))
            .arg(CODEC)
            // By quality, not by rate: with a rate the first picture is a blurred one, and nothing may change for long.
            .args("-deadline realtime -cpu-used 8 -tune-content screen -crf 32 -b:v 0 -threads 1 -g 200".split(' '))
            // What has been encoded is in the file soon, so that it can be played whatever becomes of the encoder.
            .args("-flush_packets 1 -cluster_time_limit 2000 -fs".split(' '))
            .arg(MOST_BYTES)
            .args("-f webm -y".split(' '))
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for us: the film has an end of its own.
            .process_group(0);
        let mut child = command
            .spawn()
            .map_err(|e| format!("{} cannot be started: {e}", encoder.0.display()))?;
        let (Some(pipe), Some(errors)) = (child.stdin.take(), child.stderr.take()) else {
            return Err("ffmpeg has no pipes".to_string());
        };
        let complaints = tokio::spawn(async move {
            let mut text = Vec::new();
            let mut errors = errors;
            // Both are read to their end, or ffmpeg would wait for a reader.
            let _ = (&mut errors).take(COMPLAINTS).read_to_end(&mut text).await;
            let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
            String::from_utf8_lossy(&text).trim().replace('\n', "; ")
        });
        Ok(Encoding {
            child,
            pipe,
            complaints,
        })
    }

    /// Adds a picture of the film's size, as of now.
    ///
    /// # Errors
    /// ffmpeg takes no more; [`Encoding::end`] tells why.
    pub async fn add(&mut self, picture: &RgbaImage) -> std::io::Result<()> {
        let write = self.pipe.write_all(picture.as_raw());
        match tokio::time::timeout(STUCK, write).await {
            Ok(written) => written,
            Err(late) => {
                let _ = self.child.start_kill();
                Err(late.into())
            }
        }
    }

    /// Ends the film.
    ///
    /// # Errors
    /// What went wrong in all the time.
    pub async fn end(self) -> Result<(), String> {
        let Encoding {
            mut child,
            pipe,
            complaints,
        } = self;
        drop(pipe);
        let Ok(ended) = tokio::time::timeout(FAREWELL, child.wait()).await else {
            let _ = child.kill().await;
            return Err(format!("ffmpeg did not end within {FAREWELL:?}"));
        };
        let said = complaints.await.unwrap_or_default();
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("ffmpeg ended with {status}: {said}")),
            Err(e) => Err(format!("ffmpeg cannot be waited for: {e}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_missing_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let told = find(None, std::iter::once(dir.path().to_path_buf())).unwrap_err();
        assert!(told.contains("apt-get install ffmpeg"), "{told}");
        let program = dir.path().join("ffmpeg");
        std::fs::write(&program, "#!/bin/sh\necho ' V..... libx264'\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let told = find(None, std::iter::once(dir.path().to_path_buf())).unwrap_err();
        assert!(told.contains(CODEC) && told.contains(PROGRAM), "{told}");
        let nowhere = dir.path().join("nowhere");
        assert!(
            find(Some(&nowhere), std::iter::empty())
                .unwrap_err()
                .contains("nowhere")
        );
    }
}
