//! OCR on a real screen: a GTK form and a terminal (`tests/fixtures/screens`), and on a live desktop.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mosdat::desktop::{Button, Frame, Point, Rect};
use mosdat::vision::{Line, Located, Ocr, Target, Verdict, Vision, models, parse_target};

use crate::processes::wait_for_text;
use crate::xserver::Xserver;

/// One engine for all tests of this file: the models load once.
pub fn ocr() -> Ocr {
    static OCR: OnceLock<Ocr> = OnceLock::new();
    OCR.get_or_init(|| Ocr::load(&models::default_dir()).unwrap_or_else(|e| panic!("{e}")))
        .clone()
}

pub fn screen(name: &str) -> Arc<Frame> {
    let path = format!("{}/tests/fixtures/screens/{name}.png", env!("CARGO_MANIFEST_DIR"));
    Arc::new(Frame::from_image(image::open(path).unwrap().to_rgba8()))
}

#[test]
fn a_form_and_a_terminal_are_read() {
    let (start, frame) = (Instant::now(), screen("form-and-terminal"));
    // An engine of its own: nothing is known to it.
    let ocr = Ocr::load(&models::default_dir()).unwrap();
    let loading = start.elapsed();
    let start = Instant::now();
    let lines = ocr.read(&frame, None).unwrap();
    let cold = start.elapsed();
    let all: Vec<&str> = lines.iter().map(|l| l.text.as_str()).collect();
    let all = all.join("\n");
    for want in [
        "Account settings",
        "User name",
        "alice@example.org",
        "Password",
        "correct horse battery",
        "English (United Kingdom)",
        "Send me product news every month",
        "Remember this device for 30 days",
        "Cancel",
        "Apply",
        "Save",
        "Delete account",
        "Settings saved",
        "Passwords must have at least 12 characters.",
        "2025-03-14 at 09:41",
        "Build log",
        "$ cargo test --lib",
        "running 3 tests",
        "exit code 101",
        "FAILED",
    ] {
        assert!(all.contains(want), "{want:?} was not read; read was:\n{all}");
    }
    // What `vision::misread` rests on: plain words are read with more certainty than its threshold.
    let plain = ["Cancel", "Apply", "Save", "Settings saved"];
    for line in lines.iter().filter(|l| plain.contains(&l.text.as_str())) {
        assert!(line.words.iter().all(|w| w.confidence > 0.98), "{line:?}");
    }
    // A word is overwritten: only its surroundings are read again, all other lines stay.
    let mut image = frame.image().clone();
    (55..152).for_each(|x| (355..378).for_each(|y| image.put_pixel(x, y, *frame.image().get_pixel(300, 400))));
    let start = Instant::now();
    let changed = ocr.read(&Frame::from_image(image), None).unwrap();
    println!(
        "OCR loads in {loading:?}; {} lines: cold {cold:?}, after a small change {:?}",
        lines.len(),
        start.elapsed()
    );
    assert!(changed.iter().all(|l| l.text != "Settings saved"));
    // Back again, and the same from the start: reading in parts gives what reading at once gives.
    let mut image = frame.image().clone();
    image.put_pixel(60, 400, image::Rgba([0, 0, 0, 255]));
    let again = ocr.read(&Frame::from_image(image), None).unwrap();
    // Icons are read as one nonsense or another, with little certainty.
    let sure = |lines: &[Line]| -> Vec<String> {
        lines
            .iter()
            .filter(|l| l.words.iter().all(|w| w.confidence > 0.8))
            .map(|l| l.text.clone())
            .collect()
    };
    assert_eq!(sure(&again), sure(&lines));
}

#[tokio::test]
async fn targets_are_found_where_they_are() {
    let (ocr, frame) = (ocr(), screen("form-and-terminal"));
    // Places measured by eye on the picture: left, top, right, bottom of the control.
    let cases = [
        ("the 'Save' button", [381, 314, 447, 348]),
        ("'Cancel'", [216, 314, 294, 348]),
        ("'Remember this device'", [79, 240, 228, 258]),
        ("'FAILED'", [884, 552, 939, 572]),
        ("'horse'", [238, 125, 276, 145]),
    ];
    for (short, [left, top, right, bottom]) in cases {
        match ocr.locate(&frame, &parse_target(short)).await.unwrap() {
            Located::Found(hit) => {
                println!("{short}: {:?} {:.3}", hit.point, hit.confidence);
                let around = Rect::new(left, top, right - left, bottom - top);
                assert!(around.contains(hit.point), "{short}: {hit:?}");
                assert!(hit.confidence > 0.8 && hit.rung == "ocr");
            }
            other => panic!("{short}: {other:?}"),
        }
    }
    let edit = parse_target("'Edit'");
    assert!(matches!(ocr.locate(&frame, &edit).await.unwrap(), Located::Ambiguous { hits } if hits.len() == 2));
    let edit = Target {
        right_of: Some("correct horse battery".into()),
        ..edit
    };
    let Located::Found(hit) = ocr.locate(&frame, &edit).await.unwrap() else {
        panic!()
    };
    assert!(hit.rect.y > 105 && hit.rect.y < 150, "{hit:?}");
    match ocr.locate(&frame, &parse_target("'Delete acount'")).await.unwrap() {
        Located::NotFound { reason, .. } => assert!(reason.contains("'Delete account'"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn questions_are_answered_or_passed_on() {
    let (ocr, frame) = (ocr(), screen("form-and-terminal"));
    for (question, want) in [
        ("'Settings saved' is shown in the window", Verdict::True),
        ("the text 'exit code 101' is visible", Verdict::True),
        ("'Out of memory' is shown", Verdict::False),
        ("'Settings saved' is not shown", Verdict::CannotTell),
        ("the button 'Delete account' is disabled", Verdict::CannotTell),
        ("the window is dark", Verdict::CannotTell),
        ("'Settings savad' is shown", Verdict::CannotTell),
        // Another word, read with certainty; and a part of a longer line, misread.
        ("'Settings saver' is shown", Verdict::False),
        ("'Cancelled' is shown", Verdict::False),
        ("'Send me praduct news' is shown", Verdict::CannotTell),
    ] {
        let got = ocr.judge(&frame, question).await.unwrap();
        assert_eq!(got.verdict, want, "{question}: {}", got.reason);
        assert_eq!(want == Verdict::True, !got.evidence.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_desktop_is_read_and_clicked() {
    let mut x = Xserver::start("1024x768").await;
    let script = "echo press here; read line; echo \"you wrote $line\"; echo done > done; cat";
    x.run(
        "xterm",
        &[
            "-fa",
            "DejaVu Sans Mono",
            "-fs",
            "12",
            "-geometry",
            "60x12+80+120",
            "-T",
            "Live",
            "-e",
            "sh",
            "-c",
            script,
        ],
    );
    x.window("Live").await;
    let d = x.desktop().await;
    let settled = d
        .settle(Duration::from_millis(500), Duration::from_secs(10))
        .await
        .unwrap();
    let Located::Found(hit) = ocr()
        .locate(&settled.frame, &parse_target("'press here'"))
        .await
        .unwrap()
    else {
        panic!()
    };
    d.click(hit.point, Button::Left, 1).await.unwrap();
    d.type_text("hello, Desktop 42\n").await.unwrap();
    wait_for_text(&x.dir.path().join("done"), "done", 10).await;
    d.move_to(Point::new(1000, 750)).await.unwrap();
    let settled = d
        .settle(Duration::from_millis(500), Duration::from_secs(10))
        .await
        .unwrap();
    let got = ocr()
        .judge(&settled.frame, "'you wrote hello, Desktop 42' is shown")
        .await
        .unwrap();
    assert_eq!(got.verdict, Verdict::True, "{}", got.reason);
}

/// A word alone on a window is found or not by what is around it. Reading only what changed between these two screens
/// missed it, and a check of it failed although anybody could see it.
#[tokio::test(flavor = "multi_thread")]
async fn a_word_counts_as_absent_only_after_all_was_read() {
    let ocr = Ocr::load(&models::default_dir()).unwrap();
    let cover = Target {
        text: Some("Cover".into()),
        ..Target::default()
    };
    let absent = ocr.locate(&screen("before-lonely-word"), &cover).await.unwrap();
    assert!(matches!(absent, Located::NotFound { .. }));
    let now = screen("lonely-word");
    let partly: Vec<String> = ocr.read(&now, None).unwrap().into_iter().map(|l| l.text).collect();
    assert!(
        !partly.contains(&"Cover".to_string()),
        "this screen shows it no more: {partly:?}"
    );
    let found = ocr.locate(&now, &cover).await.unwrap();
    assert!(matches!(found, Located::Found(_)), "{found:?}");
    let fresh = Ocr::load(&models::default_dir()).unwrap();
    fresh.read(&screen("before-lonely-word"), None).unwrap();
    let judgement = fresh.judge(&now, "'Cover' is shown").await.unwrap();
    assert_eq!(judgement.verdict, Verdict::True, "{judgement:?}");
}
