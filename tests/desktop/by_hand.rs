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
    ] {
        let said = mosdat(&x, args, "");
        assert!(text(&said).contains(want), "{args:?}: {}", text(&said));
        assert_eq!(said.status.code(), Some(3), "{args:?}");
    }
    let nobody = Command::new(env!("CARGO_BIN_EXE_mosdat"))
        .args(["vnc", "shot", "--output", "/nonexistent/x.png", "--to", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert!(
        text(&nobody).contains("127.0.0.1:1: Connection refused"),
        "{}",
        text(&nobody)
    );
    assert_eq!(nobody.status.code(), Some(2));
}
