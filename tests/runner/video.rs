//! The video of a session: a real screen, decoded again by ffmpeg.

use super::doubles::run_filmed;
use super::processes::wait_for;
use super::xserver::Xserver;
use image::RgbImage;
use mosdat::api::{FailureClass, RunFailure, RunResult};
use mosdat::results::{Body, Encoder, Film, Recorder, RunMeta, RunVideo, mend, read_events};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const SIZE: (u32, u32) = (640, 480);

fn encoder() -> Encoder {
    Encoder::find().unwrap()
}

/// Times in seconds and pictures of a video.
fn decoded(file: &Path) -> Vec<(f64, RgbImage)> {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "frame=pts_time", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let times: Vec<f64> = (String::from_utf8(out.stdout).unwrap().lines())
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect();
    let out = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .unwrap();
    let bytes = (SIZE.0 * SIZE.1 * 3) as usize;
    let pictures = out.stdout.chunks_exact(bytes);
    let pictures: Vec<RgbImage> = pictures
        .map(|p| RgbImage::from_raw(SIZE.0, SIZE.1, p.to_vec()).unwrap())
        .collect();
    assert_eq!(times.len(), pictures.len());
    times.into_iter().zip(pictures).collect()
}

/// Which colour it is nearly: a video does not keep every bit.
fn colour(picture: &RgbImage, x: u32, y: u32) -> &'static str {
    const KNOWN: [(&str, [u8; 3]); 5] = [
        ("red", [255, 0, 0]),
        ("blue", [0, 0, 255]),
        ("lime", [0, 255, 0]),
        ("black", [0, 0, 0]),
        ("grey", [128, 128, 128]),
    ];
    let p = picture.get_pixel(x, y).0;
    let near = |c: &[u8; 3]| c.iter().zip(p).all(|(a, b)| a.abs_diff(b) < 16);
    KNOWN.iter().find(|(_, c)| near(c)).map_or("?", |(name, _)| name)
}

fn video_of(dir: &Path) -> RunVideo {
    let events = read_events(&dir.join("events.jsonl")).unwrap();
    match events.into_iter().next_back().map(|e| e.body) {
        Some(Body::RunEnd { video: Some(video), .. }) => video,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_shows_what_changed_and_hides_what_is_masked() {
    let x = Xserver::start("640x480").await;
    let paint = |colour: &str| format!("shell: 'DISPLAY={} xsetroot -solid {colour}; sleep 0.7'", x.display);
    let text = format!(
        "name: t\nsteps:\n  - {}\n  - {}\n  - {{screenshot: a, mask: [0, 0, 100, 100]}}\n  - {}\n  - shell: sleep 1\n",
        paint("red"),
        paint("blue"),
        paint("lime"),
    );
    let ran = run_filmed(&text, x.desktop().await, encoder()).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let video = video_of(ran.dir.path());
    let file = ran.dir.path().join(video.file.as_deref().unwrap());
    assert_eq!((video.file.as_deref(), video.problem), (Some("video.webm"), None));
    assert_eq!(video.bytes, std::fs::metadata(&file).unwrap().len());
    let pictures = decoded(&file);
    if let Some(keep) = std::env::var_os("MOSDAT_KEEP_VIDEO") {
        std::fs::copy(&file, keep).unwrap();
    }
    // The last one is there twice: it lasts until the end of the run.
    assert_eq!(pictures.len() as u64, video.pictures + 1);
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (_, picture) in &pictures {
        let now = (colour(picture, 50, 50), colour(picture, 300, 300));
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    let before = if seen[0].0 == "red" { 0 } else { 1 };
    let want = [("red", "red"), ("blue", "blue"), ("grey", "blue"), ("grey", "lime")];
    assert_eq!(seen[before..], want, "{seen:?}");
    // A second of stillness takes no picture, and is in the video all the same.
    assert!(pictures.len() <= 12, "{} pictures", pictures.len());
    let last = pictures.last().unwrap().0;
    let Some(Body::RunEnd { ms, .. }) = ran.events.last().map(|e| &e.body) else {
        panic!()
    };
    let run = *ms as f64 / 1000.0;
    assert!(
        last > 3.0 && (run - last).abs() < 2.0,
        "the run took {run} s, the video {last} s"
    );
    let page = std::fs::read_to_string(ran.dir.path().join("report.html")).unwrap();
    assert!(page.contains("<a href=\"video.webm\">video.webm</a>"));
    assert!(mosdat::results::summary(&ran.events).contains("video: video.webm, "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_fails_is_told_and_changes_no_verdict() {
    let x = Xserver::start("640x480").await;
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("ffmpeg");
    let script = "#!/bin/sh\ncase \"$*\" in *-encoders*) echo ' V....D libvpx-vp9' ;; *) head -c 5000 >/dev/null; echo 'no space left' >&2; exit 1 ;; esac\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let failing = Encoder::at(&program).unwrap();
    let text = format!(
        "name: t\nsteps:\n  - shell: 'DISPLAY={} xsetroot -solid red; sleep 0.5'\n",
        x.display
    );
    let ran = run_filmed(&text, x.desktop().await, failing).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let video = video_of(ran.dir.path());
    assert_eq!(video.file, None);
    assert!(video.problem.unwrap().contains("no space left"));
    let summary = mosdat::results::summary(&ran.events);
    assert!(
        summary.contains("video: none: ffmpeg ended with exit status: 1: no space left"),
        "{summary}"
    );
    let page = std::fs::read_to_string(ran.dir.path().join("report.html")).unwrap();
    assert!(page.contains("no space left"));
}

/// The process that is killed: run by the test below, which ends it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a child of a_kill_leaves_a_video_that_can_be_played"]
async fn child() {
    let mut x = Xserver::start("640x480").await;
    let dir = std::path::PathBuf::from(std::env::var_os("MOSDAT_TEST_FOLDER").unwrap());
    let recorder = Recorder::create(&dir, RunMeta::default(), None).unwrap();
    let _film = Film::begin(encoder(), x.desktop().await, &recorder, 10);
    for colour in ["red", "blue", "lime"].iter().cycle() {
        x.run("xsetroot", &["-solid", colour]);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_a_video_that_can_be_played() {
    let (dir, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = dir.path().join("video.webm");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["video::child", "--exact", "--ignored", "--test-threads=1"])
        .env("MOSDAT_TEST_FOLDER", dir.path())
        .env("TMPDIR", tmp.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = child.spawn().unwrap();
    wait_for("a video of some length", 60, || {
        std::fs::metadata(&file).is_ok_and(|m| m.len() > 2000).then_some(())
    })
    .await;
    // The X server is of its group; the encoder is not, and has the end of its pipe to go by.
    // SAFETY: a plain system call on a process that this test started.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    child.wait().unwrap();
    wait_for("the video's end", 30, || {
        let out = Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"])
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        text.trim()
            .parse::<f64>()
            .is_ok_and(|seconds| seconds > 0.5)
            .then_some(())
    })
    .await;
    assert!(decoded(&file).len() > 2);
    let why = RunFailure {
        class: Some(FailureClass::Controller),
        reason: "Interrupted".into(),
        message: "the process ended".into(),
        step: None,
    };
    assert!(mend(dir.path(), &why).unwrap());
    let video = video_of(dir.path());
    assert_eq!(video.file.as_deref(), Some("video.webm"));
    assert!(video.problem.unwrap().contains("interrupted"));
}
