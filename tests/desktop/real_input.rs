//! What was typed and clicked is read back from inside the desktop.

use mosdat::desktop::{Button, Desktop, Layout, Options, Point, Wheel};

use crate::processes::wait_for_text;
use crate::xserver::Xserver;

async fn typed(text: &str) -> String {
    let mut x = Xserver::start("800x600").await;
    let d = x.desktop().await;
    typed_into(&mut x, &d, text).await
}

/// What a terminal gets of a text.
pub async fn typed_into(x: &mut Xserver, d: &Desktop, text: &str) -> String {
    x.run(
        "xterm",
        &[
            "-u8",
            "-T",
            "typing",
            "-e",
            "sh",
            "-c",
            "stty -echo; echo ready > ready; cat > typed",
        ],
    );
    x.window("typing").await;
    wait_for_text(&x.dir.path().join("ready"), "ready", 10).await;
    let (left, top, width, height) = x.window("typing").await;
    d.click(Point::new(left + width / 2, top + height / 2), Button::Left, 1)
        .await
        .unwrap();
    d.type_text(text).await.unwrap();
    d.type_text("\nend\n").await.unwrap();
    let got = wait_for_text(&x.dir.path().join("typed"), "end\n", 20).await;
    got.trim_end_matches("\nend\n").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_printable_ascii_arrives() {
    let all: String = (' '..='~').collect();
    assert_eq!(typed(&all).await, all);
}

/// Whoever was at the keyboard before may have left Caps Lock on.
#[tokio::test(flavor = "multi_thread")]
async fn caps_lock_turns_nothing_around() {
    let raw: &[&str] = &["-RawKeyboard"];
    for (more, layout) in [(&[][..], None), (raw, Some(Layout::EnUs))] {
        let mut x = Xserver::start_with("800x600", more).await;
        let options = Options {
            layout,
            ..Options::default()
        };
        let d = x.desktop_with(options).await;
        d.capture().await.unwrap();
        d.key("capslock").await.unwrap();
        let text = "Grand Total: 17 apples & 3 PEARS";
        assert_eq!(typed_into(&mut x, &d, text).await, text, "{layout:?}");
        // It is as it was.
        d.capture().await.unwrap();
        assert!(d.leds().unwrap().caps_lock);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unicode_arrives() {
    let text = "Grüße €5 — naïve «Ж» λ ± ½ ñ 你好";
    assert_eq!(typed(text).await, text);
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_wheel_and_chords_are_seen_by_xev() {
    let mut x = Xserver::start("800x600").await;
    x.run(
        "stdbuf",
        &["-oL", "xev", "-geometry", "300x200+100+100", "-name", "events"],
    );
    let (left, top, ..) = x.window("events").await;
    let log = x.dir.path().join("stdbuf");
    let d = x.desktop().await;
    let at = Point::new(left + 150, top + 130);
    for (button, number) in [(Button::Left, 1), (Button::Middle, 2), (Button::Right, 3)] {
        d.click(at, button, 1).await.unwrap();
        wait_for_text(&log, &format!("button {number}, same_screen"), 10).await;
    }
    assert_eq!(d.position(), at);
    d.click(at, Button::Left, 2).await.unwrap();
    d.scroll(at, Wheel::Vertical, -1).await.unwrap();
    d.scroll(at, Wheel::Vertical, 2).await.unwrap();
    d.drag(Point::new(left + 20, top + 20), at, Button::Left).await.unwrap();
    d.key("ctrl+shift+t").await.unwrap();
    d.key("f5").await.unwrap();
    d.key("plus").await.unwrap();
    d.key("super").await.unwrap();
    let text = wait_for_text(&log, "Super_L", 10).await;
    let events: Vec<&str> = text.split("\n\n").collect();
    let count = |kind: &str, what: &str| events.iter().filter(|e| e.contains(kind) && e.contains(what)).count();
    assert_eq!(
        count("ButtonPress event", "button 1,"),
        4,
        "one click, two of a double click, one drag"
    );
    assert_eq!(count("ButtonRelease event", "button 1,"), 4);
    assert_eq!(count("ButtonPress event", "button 4,"), 1);
    assert_eq!(count("ButtonPress event", "button 5,"), 2);
    let press = events
        .iter()
        .find(|e| e.contains("ButtonPress") && e.contains("button 3,"))
        .unwrap();
    assert!(press.contains(&format!("root:({},{})", at.x, at.y)), "{press}");
    assert!(count("MotionNotify event", "") > 5, "the pointer travels");
    // Control is 0x4, Shift 0x1: both are down when T comes.
    let t = events
        .iter()
        .find(|e| e.contains("KeyPress") && e.contains("(keysym 0x54, T)"))
        .expect("T");
    assert!(t.contains("state 0x5,"), "{t}");
    assert_eq!(count("KeyPress event", "(keysym 0xffc2, F5)"), 1);
    assert_eq!(count("KeyPress event", "(keysym 0x2b, plus)"), 1);
    for name in ["Control_L", "Shift_L", "Super_L"] {
        let (down, up) = (count("KeyPress event", name), count("KeyRelease event", name));
        assert!(
            down >= 1 && (name == "Super_L" || down == up),
            "{name}: {down} down, {up} up"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_are_refused_before_anything_is_sent() {
    let x = Xserver::start("320x240").await;
    let d = x.desktop().await;
    let error = d.key("ctrl+entr").await.unwrap_err().to_string();
    assert!(
        error.contains("unknown key 'entr'") && error.contains("'enter'"),
        "{error}"
    );
    assert!(
        d.type_text("bell \u{7}")
            .await
            .unwrap_err()
            .to_string()
            .contains("U+0007")
    );
    d.capture().await.unwrap();
}
