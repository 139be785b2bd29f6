//! Where two pictures of 1920x1080 differ, against odiff and pixelmatch on the same pictures in the same run (`make bench`).
//!
//! From two PNG files, as the command odiff does it; and from pixels in memory, as pixelmatch does it. Ours tells the smallest
//! rectangle around what differs; the others also count pixels that differ by more than a threshold.

use image::RgbaImage;
use mosdat::desktop::{Frame, Rect};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const WARM: usize = 3;
const COUNT: usize = 15;

/// What differs: a word on a button.
const CHANGED: Rect = Rect {
    x: 1100,
    y: 700,
    width: 66,
    height: 34,
};

fn main() {
    let png = include_bytes!("../tests/fixtures/screens/form-and-terminal.png");
    let shot = image::load_from_memory(png).expect("fixture").to_rgba8();
    let mut a = RgbaImage::from_pixel(1920, 1080, *shot.get_pixel(1270, 10));
    image::imageops::replace(&mut a, &shot, 320, 140);
    let mut b = a.clone();
    for (x, y) in (0..CHANGED.width).flat_map(|x| (0..CHANGED.height).map(move |y| (x, y))) {
        b.put_pixel(CHANGED.x + x, CHANGED.y + y, image::Rgba([250, 10, 10, 255]));
    }
    let dir = tempfile::tempdir().expect("folder");
    let (one, two) = (dir.path().join("a.png"), dir.path().join("b.png"));
    a.save(&one).and(b.save(&two)).expect("pictures");

    let files = median(|| {
        let read = |path: &Path| Frame::from_image(image::open(path).expect("picture").to_rgba8());
        assert_eq!(read(&one).difference(&read(&two)), Some(CHANGED));
    });
    let odiff = std::env::var("MOSDAT_BENCH_ODIFF").unwrap_or_else(|_| "odiff".to_string());
    let theirs = median(|| {
        let out = Command::new(&odiff)
            .arg(&one)
            .arg(&two)
            .arg(dir.path().join("diff.png"))
            .output();
        // 22: there are pixels that differ.
        assert_eq!(out.expect("odiff").status.code(), Some(22));
    });
    told("from files", "odiff", files, theirs);

    let (a, b) = (Frame::from_image(a), Frame::from_image(b));
    let pixels = median(|| assert_eq!(a.difference(&b), Some(CHANGED)));
    let node = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pixelmatch.mjs"))
        .args([&one, &two])
        .arg((WARM + COUNT).to_string())
        .current_dir(std::env::var("MOSDAT_BENCH_NODE").unwrap_or_else(|_| ".".to_string()))
        .output()
        .expect("node");
    assert!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
    let text = String::from_utf8_lossy(&node.stdout).into_owned();
    let mut times: Vec<f64> = text.lines().filter_map(|l| l.parse().ok()).skip(WARM).collect();
    times.sort_by(f64::total_cmp);
    told(
        "from pixels",
        "pixelmatch",
        pixels,
        times.get(times.len() / 2).copied().unwrap_or(f64::NAN),
    );
}

fn told(how: &str, other: &str, ours: f64, theirs: f64) {
    println!("{:<58} {ours:>9.2} ms", format!("1920x1080 {how}, mosdat"));
    println!("{:<58} {theirs:>9.2} ms", format!("1920x1080 {how}, {other}"));
    println!("{:<58} {:>12.1}", format!("  times as fast as {other}"), theirs / ours);
}

fn median(what: impl Fn()) -> f64 {
    let mut all: Vec<f64> = (0..WARM + COUNT)
        .map(|_| {
            let begun = Instant::now();
            what();
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .skip(WARM)
        .collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
