//! References against OpenCV's matchTemplate on the same pictures in the same run (`make bench`).
//!
//! Both begin with a screenshot in colours and end with the best place and its score. Within a margin of 50 pixels both look
//! at the part of the screen that the margin reaches; anywhere, at all of 1920x1080. Prints medians and ratios.

use image::{DynamicImage, RgbaImage};
use mosdat::desktop::Frame;
use mosdat::scenario::{self, Area, AreaKind, MARGIN, SIMILARITY, Variant};
use mosdat::vision::{Outcome, Reference};
use std::process::Command;
use std::time::Instant;

const WARM: usize = 3;
const COUNT: usize = 15;

/// What is looked for: name, place on the screen, how far it has moved.
const CASES: [(&str, [u32; 4], (i64, i64)); 4] = [
    ("icon 16x16", [59, 209, 16, 16], (13, 9)),
    ("button 66x34", [381, 314, 66, 34], (31, 17)),
    ("text 290x40", [52, 270, 290, 40], (-21, 30)),
    ("dialog 560x440", [41, 41, 560, 440], (40, 44)),
];

fn main() {
    let dir = tempfile::tempdir().expect("folder");
    for busy in [false, true] {
        let plain = screen(busy);
        let kind = if busy { "full of text" } else { "two windows" };
        for (name, place, by) in CASES {
            let mut moved = RgbaImage::from_pixel(plain.width(), plain.height(), *plain.get_pixel(1919, 0));
            image::imageops::replace(&mut moved, &plain, by.0, by.1);
            let path = dir.path().join("screen.png");
            moved.save(&path).expect("picture");
            let part = image::imageops::crop_imm(&plain, place[0], place[1], place[2], place[3]).to_image();
            let template = dir.path().join("template.png");
            part.save(&template).expect("picture");
            let reference = reference(&plain, place);
            let frame = Frame::from_image(moved);
            for anywhere in [false, true] {
                let (ms, at) = ours(&reference, &frame, anywhere);
                assert_eq!((i64::from(at.0), i64::from(at.1)), by, "{name}");
                let theirs = opencv(&path, &template, place, anywhere);
                let how = if anywhere {
                    "anywhere on 1920x1080"
                } else {
                    "within 50 pixels"
                };
                let what = |who: &str| format!("{kind}, {name}, {how}, {who}");
                line(&what("mosdat"), format!("{ms:.2} ms"));
                line(&what("OpenCV"), format!("{theirs:.2} ms"));
                line("  times as fast as OpenCV", format!("{:.1}", theirs / ms));
            }
            let gone = Frame::from_image(image::imageops::flip_vertical(frame.image()));
            let (ms, _) = ours(&reference, &gone, true);
            line(
                &format!("{kind}, {name}, on a screen without it, anywhere"),
                format!("{ms:.2} ms"),
            );
        }
    }
}

fn line(what: &str, value: String) {
    println!("{what:<70} {value:>12}");
}

fn median(mut all: Vec<f64>) -> f64 {
    all.drain(..WARM.min(all.len()));
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The fixture in the upper left corner of 1920x1080; the rest plain, or filled with more of it, upside down.
fn screen(busy: bool) -> RgbaImage {
    let png = include_bytes!("../tests/fixtures/screens/form-and-terminal.png");
    let shot = image::load_from_memory(png).expect("fixture").to_rgba8();
    let mut out = RgbaImage::from_pixel(1920, 1080, *shot.get_pixel(1270, 10));
    if busy {
        let text = image::imageops::crop_imm(&shot, 622, 462, 400, 150).to_image();
        let text = DynamicImage::ImageRgba8(text).fliph().to_rgba8();
        for (x, y) in (0..8).flat_map(|y| (0..5).map(move |x| (x * 400, y * 150))) {
            image::imageops::replace(&mut out, &text, x, y);
        }
        let dialog = image::imageops::crop_imm(&shot, 41, 41, 560, 440).to_image();
        image::imageops::replace(&mut out, &dialog, 41, 41);
    } else {
        image::imageops::replace(&mut out, &shot, 0, 0);
    }
    out
}

fn reference(picture: &RgbaImage, [x, y, width, height]: [u32; 4]) -> Reference {
    let (margin, similarity) = (MARGIN, SIMILARITY);
    let kind = AreaKind::Match { margin, similarity };
    let variant = Variant {
        display: None,
        png: Frame::from_image(picture.clone()).png().expect("png"),
        size: picture.dimensions(),
        areas: vec![Area {
            x,
            y,
            width,
            height,
            kind,
        }],
        click: None,
        digest: String::new(),
    };
    let name = "bench".to_string();
    let variants = vec![variant];
    Reference::new(&scenario::Reference { name, variants }).expect("reference")
}

fn ours(reference: &Reference, frame: &Frame, anywhere: bool) -> (f64, (i32, i32)) {
    let mut times = Vec::new();
    let mut at = (0, 0);
    for _ in 0..WARM + COUNT {
        let begun = Instant::now();
        let outcome = reference.look(frame, anywhere).expect("comparison");
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        if let Outcome::Found(m) = outcome {
            at = m.moved;
        }
    }
    (median(times), at)
}

/// Median of OpenCV's times, in ms.
fn opencv(screen: &std::path::Path, template: &std::path::Path, place: [u32; 4], anywhere: bool) -> f64 {
    let python = std::env::var("MOSDAT_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let margin = if anywhere { -1 } else { MARGIN as i32 };
    let out = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/opencv.py"))
        .args([screen, template])
        .args([place[0] as i32, place[1] as i32, margin, (WARM + COUNT) as i32].map(|n| n.to_string()))
        .output()
        .expect("python");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    median(text.lines().filter_map(|l| l.parse().ok()).collect())
}
