//! `mosdat vnc` as a person uses it.

use std::process::{Command, Output, Stdio};

use crate::processes::wait_for_text;
use crate::xserver::Xserver;

fn mosdat(x: &Xserver, args: &[&str], input: &str) -> Output {
    use std::io::Write;
    let mut child = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .arg("vnc")
        .args(args)
        .arg("--to")
        .arg(x.dir.path().join("rfb"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(o: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&o.stdout),
        String::from_utf8_lossy(&o.stderr)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_is_seen_typed_and_clicked_at() {
    let mut x = Xserver::start("800x600").await;
    x.run(
        "xterm",
        &["-T", "hand", "-e", "sh", "-c", "echo ready > ready; cat > typed"],
    );
    let (left, top, width, height) = x.window("hand").await;
    wait_for_text(&x.dir.path().join("ready"), "ready", 10).await;
    let (cx, cy) = ((left + width / 2).to_string(), (top + height / 2).to_string());
    let clicked = mosdat(&x, &["click", &cx, &cy], "");
    assert!(clicked.status.success(), "{}", text(&clicked));
    let png = x.dir.path().join("after.png");
    let typed = mosdat(&x, &["type", "-", "--output", png.to_str().unwrap()], "by hand\n");
    assert!(
        text(&typed).starts_with("confirmed: the screen changed at "),
        "{}",
        text(&typed)
    );
    let key = mosdat(&x, &["key", "enter"], "");
    assert!(text(&key).starts_with("confirmed"), "{}", text(&key));
    wait_for_text(&x.dir.path().join("typed"), "by hand\n", 10).await;
    let picture = image::open(&png).unwrap();
    assert_eq!((picture.width(), picture.height()), (800, 600));
    // A key that does nothing here is said to have done nothing.
    let noop = mosdat(&x, &["key", "shift"], "");
    assert!(text(&noop).starts_with("suspected noop"), "{}", text(&noop));

    let shot = x.dir.path().join("shot.png");
    let seen = mosdat(&x, &["shot", "--output", shot.to_str().unwrap(), "--settle", "5"], "");
    assert!(seen.status.success(), "{}", text(&seen));
    let (width, height, truth) = x.truth();
    let ours = image::open(&shot).unwrap().into_rgb8();
    assert_eq!((ours.width(), ours.height()), (width, height));
    assert!(ours.as_raw() == &truth, "the file shows what the server has");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_touches_nothing_and_says_so() {
    let x = Xserver::start("320x240").await;
    for (args, want) in [
        (&["key", "ctlr+x"][..], "did you mean 'ctrl'"),
        (&["click", "900", "3"], "outside of the screen, which is 320x240"),
        (&["click", "9", "3", "--count", "0"], "not in 1..=10"),
        (&["type", "a", "--layout", "dvorak"], "known are en-us, en-gb, de, fr"),
        (&["type", "a\u{1b}b"], "U+001B cannot be typed"),
        (&["click", "9", "3", "--holding", "ctlr"], "did you mean 'ctrl'"),
        (
            &["click", "9", "3", "--output", "/nonexistent/x.png"],
            "writing /nonexistent/x.png",
        ),
        (&["shot", "--output", "x.png", "--settle", "0"], "give more"),
        (
            &["shot", "--output", "x.png", "--password-file", "/nonexistent"],
            "reading /nonexistent",
        ),
    ] {
        let said = mosdat(&x, args, "");
        assert!(text(&said).contains(want), "{args:?}: {}", text(&said));
        assert_eq!(said.status.code(), Some(3), "{args:?}");
    }
    let nobody = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .args(["vnc", "shot", "--output", "-", "--to", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert!(
        text(&nobody).contains("127.0.0.1:1: Connection refused"),
        "{}",
        text(&nobody)
    );
    assert_eq!(nobody.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_blinks_by_itself_is_no_effect() {
    let mut x = Xserver::start("640x480").await;
    // On for 0.6 s, off for 0.3 s.
    x.run(
        "xterm",
        &["-bc", "-T", "blink", "-geometry", "60x10+20+20", "-e", "cat"],
    );
    let (left, top, ..) = x.window("blink").await;
    let inside = [(left + 200).to_string(), (top + 60).to_string()];
    for _ in 0..3 {
        let noop = mosdat(&x, &["click", &inside[0], &inside[1]], "");
        assert!(!text(&noop).contains("confirmed"), "{}", text(&noop));
        let noop = mosdat(&x, &["key", "shift"], "");
        assert!(!text(&noop).contains("confirmed"), "{}", text(&noop));
        // A letter beside it is one.
        let typed = mosdat(&x, &["type", "a"], "");
        assert!(text(&typed).starts_with("confirmed"), "{}", text(&typed));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_leaves_the_pointer_where_it_is() {
    let x = Xserver::start("640x480").await;
    x.ask("xdotool", &["mousemove", "500", "77"]);
    let pointer = || String::from_utf8(x.ask("xdotool", &["getmouselocation"])).unwrap();
    let out = x.dir.path().join("x.png");
    let out = out.to_str().unwrap();
    for args in [
        &["shot", "--output", out, "--settle", "2"][..],
        &["watch", "--for", "1"],
    ] {
        let done = mosdat(&x, args, "");
        assert!(done.status.success(), "{}", text(&done));
        assert!(pointer().starts_with("x:500 y:77 "), "{args:?}: {}", pointer());
    }
    let moved = mosdat(&x, &["move", "30", "40"], "");
    assert!(
        moved.status.success() && pointer().starts_with("x:30 y:40 "),
        "{}",
        text(&moved)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wheel_drag_and_held_keys_arrive() {
    let mut x = Xserver::start("640x480").await;
    x.run(
        "stdbuf",
        &["-oL", "xev", "-geometry", "300x200+100+100", "-name", "events"],
    );
    let (left, top, ..) = x.window("events").await;
    let log = x.dir.path().join("stdbuf");
    let place = |dx: u32, dy: u32| [(left + dx).to_string(), (top + dy).to_string()];
    let ([ax, ay], [bx, by]) = (place(150, 120), place(200, 150));
    for args in [
        &["scroll", &ax, &ay, "-2"][..],
        &["scroll", &ax, &ay, "1", "--horizontal"],
        &["drag", &ax, &ay, &bx, &by, "--button", "right"],
        &["click", &ax, &ay, "--holding", "ctrl"],
        &["key", "f5", "f6"],
    ] {
        let done = mosdat(&x, args, "");
        assert!(done.status.success(), "{args:?}: {}", text(&done));
    }
    let told = wait_for_text(&log, "F6", 10).await;
    let presses = |button: u32| told.matches(&format!("button {button}, same_screen")).count();
    // A press and a release each.
    assert_eq!((presses(4), presses(7), presses(3), presses(1)), (4, 2, 2, 2), "{told}");
    assert!(told.contains("state 0x4, button 1"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_told_of() {
    let x = Xserver::start("320x240").await;
    let child = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .args(["vnc", "watch", "--for", "5", "--to"])
        .arg(x.dir.path().join("rfb"))
        .stdout(std::fs::File::create(x.dir.path().join("watched")).unwrap())
        .spawn()
        .unwrap();
    let told = x.dir.path().join("watched");
    wait_for_text(&told, "320x240", 10).await;
    x.signal(libc::SIGKILL);
    let text = wait_for_text(&told, "the link is lost", 10).await;
    assert!(!text.contains(" at "), "no change was seen: {text}");
    child.wait_with_output().unwrap();
}
