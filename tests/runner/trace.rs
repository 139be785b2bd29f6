//! The page is the trace: everything is in it, small, and can be read from it again.

use super::doubles::run;
use image::{Rgba, RgbaImage};
use mosdat::api::RunResult;
use mosdat::desktop::Frame;
use mosdat::results::{Body, Evidence, PlannedStep, Question, Recorder, Role, RunMeta, StepOutcome, Trace};
use std::path::Path;
use std::sync::Arc;

/// A photograph, as people have it on their desktops.
fn photograph() -> RgbaImage {
    let mut state = 0x2545_f491_u32;
    RgbaImage::from_fn(1280, 800, |x, y| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let noise = (state % 5) as u8;
        let [r, g, b] = [x * 200 / 1280, y * 180 / 800, (x + y) * 120 / 2080].map(|v| v as u8 + 20 + noise);
        Rgba([r, g, b, 255])
    })
}

/// What people see while they work: a window whose text changes and which moves now and then, a field that changes with
/// each step, and a clock.
fn screen(behind: &RgbaImage, number: u32) -> RgbaImage {
    let mut image = behind.clone();
    let mut text = |left: u32, top: u32, columns: u32, lines: u32, seed: u32| {
        for (line, column) in (0..lines).flat_map(|line| (0..columns).map(move |column| (line, column))) {
            // Forty letters.
            let letter = (line * 31 + column * 17 + seed).wrapping_mul(2_654_435_761) >> 16;
            let glyph = (letter % 40).wrapping_mul(2_246_822_519);
            for (x, y) in (0..8).flat_map(|x| (0..18).map(move |y| (x, y))) {
                let ink = x < 6 && y < 11 && glyph >> (x / 2 + y / 2 * 3) & 1 == 1;
                let grey = if ink { 30 } else { 244 };
                image.put_pixel(
                    left + column * 8 + x,
                    top + line * 18 + y,
                    Rgba([grey, grey, grey, 255]),
                );
            }
        }
    };
    let (left, top) = (80 + number / 10 * 23 % 300, 60 + number / 10 * 31 % 200);
    text(left, top, 80, 24, number / 2);
    text(left + 40, top + 100, 30, 1, number * 977);
    text(1190, 4, 8, 1, number * 61);
    image
}

/// A run of so many steps, each with another picture before and after.
async fn long_run(dir: &Path, steps: u32, picture: impl Fn(u32) -> RgbaImage) {
    let recorder = Recorder::create(dir, RunMeta::default(), None).unwrap();
    for step in 0..steps {
        let id = format!("s{step:03}");
        recorder.emit(Body::StepStart {
            step: id.clone(),
            further: Some(PlannedStep {
                id: id.clone(),
                label: "click Save".into(),
                section: "steps".into(),
                action: "click".into(),
                within: None,
                phase: None,
            }),
            label: None,
        });
        for (role, number) in [(Role::Before, 2 * step), (Role::Checked, 2 * step + 1)] {
            let frame = Arc::new(Frame::from_image(picture(number)));
            recorder.screenshot(&id, role, &frame, Vec::new()).await;
            recorder.stored().await;
        }
        for _ in 0..3 {
            recorder.evidence(
                &id,
                Evidence::Request {
                    purpose: "judge".into(),
                    model: "m".into(),
                    prompt_version: 1,
                    prompt: "is it <so>? ".repeat(120),
                    picture: "0".repeat(64),
                    width: 1280,
                    height: 800,
                    answer: Some("because ".repeat(80)),
                    error: None,
                    prompt_tokens: Some(1200),
                    completion_tokens: Some(80),
                    cost: Some(0.001),
                    kept: false,
                    ms: 900,
                },
            );
        }
        recorder.emit(Body::StepEnd {
            step: id,
            outcome: StepOutcome::Passed,
            reason: None,
            message: None,
            class: None,
            attempts: 1,
            ms: 100,
        });
    }
    recorder
        .finish(RunResult::Passed, None, Default::default(), Default::default())
        .unwrap();
}

/// As somebody has it who was sent the file.
fn alone(dir: &Path) -> (tempfile::TempDir, Trace, u64) {
    let other = tempfile::tempdir().unwrap();
    let page = other.path().join("sent.html");
    std::fs::copy(dir.join("report.html"), &page).unwrap();
    let size = std::fs::metadata(&page).unwrap().len();
    let trace = Trace::open(&page).unwrap();
    (other, trace, size)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_steps_are_under_20_mb_with_every_pixel() {
    let dir = tempfile::tempdir().unwrap();
    let behind = photograph();
    long_run(dir.path(), 100, |number| screen(&behind, number)).await;
    let (_other, trace, size) = alone(dir.path());
    println!("{:.1} MB", size as f64 / 1e6);
    assert!(size < 20_000_000, "{size}");
    for number in [0, 115, 199] {
        let role = ["before", "checked"][number as usize % 2];
        let file = format!("screenshots/s{:03}-{:04}-{role}.png", number / 2, number + 1);
        let picture = trace.picture(&file).unwrap();
        assert!(picture.exact && picture.image == screen(&behind, number), "{file}");
    }
}

/// Where nothing stays as it was, fewer pixels are kept, and what is only in the page says so.
#[tokio::test(flavor = "multi_thread")]
async fn films_are_small_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut film = photograph();
    for pixel in film.pixels_mut() {
        pixel.0[0] = pixel.0[0].wrapping_mul(37);
    }
    let film = |number: u32| {
        let mut raw = film.as_raw().clone();
        raw.rotate_left(number as usize * 40_004);
        RgbaImage::from_raw(1280, 800, raw).unwrap()
    };
    long_run(dir.path(), 12, film).await;
    let (_other, trace, size) = alone(dir.path());
    println!("{:.1} MB", size as f64 / 1e6);
    assert!(size < 20_000_000, "{size}");
    assert!(!trace.picture("screenshots/s000-0001-before.png").unwrap().exact);
    // Beside its files the page has every pixel.
    let beside = Trace::open(&dir.path().join("report.html")).unwrap();
    assert!(beside.picture("screenshots/s000-0001-before.png").unwrap().exact);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_holds_is_what_was_recorded() {
    let text = "name: t\nsteps:\n  - {id: a, click: Save, verify: {text: Saved}}\n  - {note: '</script><script>alert(1)</script> id=\"pic-x\"'}\n";
    let ran = run(text, |w| {
        w.show("Save");
        w.on_click.insert("Save".into(), "Saved".into());
    })
    .await;
    let (_other, trace, _) = alone(ran.dir.path());
    assert_eq!(trace.events, ran.events);
    let report = std::fs::read_to_string(ran.dir.path().join("report.html")).unwrap();
    assert!(report.contains("type=\"range\"") && !report.contains("<script>alert"));
    for event in &ran.events {
        if let Body::Evidence {
            item: Evidence::Screenshot { file, .. },
            ..
        } = &event.body
        {
            let stored = image::open(ran.dir.path().join(file)).unwrap().into_rgba8();
            assert!(trace.picture(file).unwrap().image == stored, "{file}");
        }
    }
}

/// Where the pictures' files are gone, a page that is made anew has those of the page before.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_made_anew_loses_no_picture() {
    let ran = run(
        "name: t\nsteps:\n  - {id: a, screenshot: it}\n  - {id: b, expect: {text: Save}}\n",
        |w| w.show("Save"),
    )
    .await;
    let (dir, page) = (ran.dir.path(), ran.dir.path().join("report.html"));
    let files: Vec<&str> = (ran.events.iter())
        .filter_map(|event| match &event.body {
            Body::Evidence {
                item: Evidence::Screenshot { file, .. },
                ..
            } => Some(file.as_str()),
            _ => None,
        })
        .collect();
    let stored: Vec<RgbaImage> = (files.iter())
        .map(|file| image::open(dir.join(file)).unwrap().into_rgba8())
        .collect();
    assert!(mosdat::results::missing(&ran.events, dir, None).is_empty());
    std::fs::remove_dir_all(dir.join("screenshots")).unwrap();
    assert!(!mosdat::results::missing(&ran.events, dir, None).is_empty());
    let earlier = Trace::open(&page).unwrap();
    assert!(mosdat::results::missing(&ran.events, dir, Some(&earlier)).is_empty());
    std::fs::write(&page, mosdat::results::report_with(&ran.events, dir, Some(&earlier))).unwrap();
    let anew = Trace::open(&page).unwrap();
    for (file, stored) in files.iter().zip(stored) {
        let picture = anew.picture(file).unwrap();
        assert!(picture.exact && picture.image == stored, "{file}");
    }
}

/// What was asked of the backend is recorded so that it can be asked again, of the very picture.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_can_be_asked_again() {
    let text = "name: t\nsteps:\n  - {id: a, click: Save, verify: {text: Saved}}\n  - {id: b, expect: {see: is it so}}\n  \
                - {id: c, wait_for: {text: Late}}\n  - {id: d, expect: {text: Never}, timeout: 1200ms}\n";
    let ran = run(text, |w| {
        w.show("Save");
        w.on_click.insert("Save".into(), "Saved".into());
        let soon = std::time::Instant::now() + std::time::Duration::from_secs(4);
        w.later.push((soon, "Late".into()));
        w.verdict = Some(mosdat::vision::Verdict::True);
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Failed);
    assert_eq!(ran.outcome.failure.as_ref().and_then(|f| f.step.as_deref()), Some("d"));
    let (_other, trace, _) = alone(ran.dir.path());
    for (step, words, verdict) in [
        ("a", "'Saved'", "found"),
        ("b", "is it so", "true"),
        ("c", "'Late'", "found"),
        ("d", "'Never'", "notFound"),
    ] {
        let looked = mosdat::results::looked(&trace.events, step).unwrap();
        assert!(looked.same, "{step}");
        let answer = &looked.answers[0];
        assert_eq!((answer.words.as_str(), answer.verdict.as_str()), (words, verdict));
        match &answer.question {
            Question::Judge(question) => assert_eq!(question, "is it so"),
            Question::Locate(target) => assert!(target.presence && target.text.is_some(), "{target:?}"),
            Question::Unaskable(why) => panic!("{step}: {why}"),
        }
    }
    // The wait began with a picture without it.
    let roles: Vec<Role> = (ran.events.iter())
        .filter_map(|event| match &event.body {
            Body::Evidence {
                step,
                item: Evidence::Screenshot { role, .. },
            } if step == "c" => Some(*role),
            _ => None,
        })
        .collect();
    assert_eq!(roles, [Role::Before, Role::Checked]);
}

#[test]
fn what_is_no_trace_says_what_would_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let told = |path: &Path| Trace::open(path).err().unwrap().to_string();
    assert!(
        told(dir.path()).contains("give the folder of a run or of an attempt"),
        "{}",
        told(dir.path())
    );
    let page = dir.path().join("other.html");
    std::fs::write(&page, "<html></html>").unwrap();
    assert!(told(&page).contains("it holds no events"), "{}", told(&page));
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "one\ntwo\n").unwrap();
    assert!(told(&text).contains("notes.txt: no event log"), "{}", told(&text));
    assert!(told(&dir.path().join("nowhere.html")).contains("nowhere.html"));
    let attempt = dir.path().join("attempt-1");
    Recorder::create(&attempt, RunMeta::default(), None).unwrap();
    // A run's folder stands for its latest attempt.
    assert!(Trace::open(dir.path()).is_ok());
}
