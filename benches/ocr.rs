//! Reading a screen against the tesseract command and rapidocr, on the same screen in the same run (`make bench`).
//!
//! Each begins with the PNG and ends with lines of text. Models are loaded before, but for tesseract, which is a command.
//! Prints medians, and which share of the texts on the screen each has read letter by letter (spaces aside).

use mosdat::desktop::Frame;
use mosdat::vision::{Ocr, models};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const WARM: usize = 1;
const COUNT: usize = 7;

/// All that is written on the screen, a line of a widget or of the terminal each.
const TEXTS: [&str; 29] = [
    "Account settings",
    "User name",
    "alice@example.org",
    "Password",
    "correct horse battery",
    "Edit",
    "Display language",
    "English (United Kingdom)",
    "Change",
    "Send me product news every month",
    "Remember this device for 30 days",
    "Passwords must have at least 12 characters.",
    "Last changed on 2025-03-14 at 09:41.",
    "Cancel",
    "Apply",
    "Save",
    "Delete account",
    "Settings saved",
    "Build log",
    "$ cargo test --lib",
    "Compiling demo v0.4.2 (/home/alice/demo)",
    "running 3 tests",
    "test parser::empty_input",
    "test parser::nested_lists",
    "test store::write_failed",
    "FAILED",
    "error: 1 of 3 tests failed",
    "tests failed; exit code 101",
    "... ok",
];

fn main() {
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/screens/form-and-terminal.png");
    let shot = image::open(&small).expect("fixture").to_rgba8();
    let dir = tempfile::tempdir().expect("folder");
    let large = dir.path().join("large.png");
    let mut screen = image::RgbaImage::from_pixel(1920, 1080, *shot.get_pixel(1270, 10));
    image::imageops::replace(&mut screen, &shot, 320, 140);
    screen.save(&large).expect("picture");
    for (size, png) in [("1280x800", &small), ("1920x1080", &large)] {
        let (ours, read) = mosdat(png);
        line(&format!("{size}, mosdat"), ours, &read);
        for other in ["rapidocr", "tesseract"] {
            let (theirs, read) = peer(other, png);
            line(&format!("{size}, {other}"), theirs, &read);
            println!("{:<58} {:>10.1}", format!("  times as fast as {other}"), theirs / ours);
        }
        let ms = again(png);
        line(&format!("{size}, mosdat, after a small change"), ms, &[]);
    }
}

fn line(what: &str, ms: f64, read: &[String]) {
    let recall = match read {
        [] => String::new(),
        read => {
            let missing: Vec<&str> = TEXTS.into_iter().filter(|text| !has(read, text)).collect();
            let share = 100.0 * (1.0 - missing.len() as f64 / TEXTS.len() as f64);
            format!("  read {share:.0} % of {} texts; not {missing:?}", TEXTS.len())
        }
    };
    println!("{what:<58} {ms:>7.0} ms{recall}");
}

/// True if some lines have it, letter by letter; where words are parted is another question.
fn has(read: &[String], text: &str) -> bool {
    let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let wanted = letters(text);
    read.iter().any(|line| letters(line).contains(&wanted)) || letters(&read.concat()).contains(&wanted)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.drain(..WARM.min(all.len()));
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

fn mosdat(png: &Path) -> (f64, Vec<String>) {
    let mut times = Vec::new();
    let mut read = Vec::new();
    for _ in 0..WARM + COUNT {
        // One that knows nothing: lines that were read before are not read again.
        let ocr = Ocr::load(&models::default_dir()).expect("models");
        let begun = Instant::now();
        let frame = Frame::from_image(image::open(png).expect("picture").to_rgba8());
        let lines = ocr.read(&frame, None).expect("read");
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        read = lines.into_iter().map(|line| line.text).collect();
    }
    (median(times), read)
}

/// A word is gone: what a run sees from step to step.
fn again(png: &Path) -> f64 {
    let ocr = Ocr::load(&models::default_dir()).expect("models");
    let shot = image::open(png).expect("picture").to_rgba8();
    let mut times = Vec::new();
    for i in 0..(WARM + COUNT) as u32 {
        ocr.read(&Frame::from_image(shot.clone()), None).expect("read");
        let mut changed = shot.clone();
        for (x, y) in (0..120).flat_map(|x| (0..24).map(move |y| (x, y))) {
            changed.put_pixel(500 + x, 450 + y + i, image::Rgba([246, 245, 244, 255]));
        }
        let begun = Instant::now();
        ocr.read(&Frame::from_image(changed), None).expect("read");
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    median(times)
}

/// Times of another reader, and what it read at last.
fn peer(name: &str, png: &Path) -> (f64, Vec<String>) {
    let python = std::env::var("MOSDAT_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let out = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/readers.py"))
        .arg(name)
        .arg(png)
        .arg((WARM + COUNT).to_string())
        .output()
        .expect("python");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let times = said["ms"].as_array().into_iter().flatten().filter_map(|n| n.as_f64());
    let read = said["lines"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|s| Some(s.as_str()?.to_string()));
    (median(times.collect()), read.collect())
}
