//! Ways of moving, holding, scrolling and dragging, read back from inside the desktop; and the clipboard.

use std::path::Path;
use std::time::Duration;

use mosdat::desktop::{Button, Desktop, Effect, Error, Motion, Options, Point, Power, Wheel};

use crate::processes::{wait_for, wait_for_text};
use crate::xserver::Xserver;

/// Starts xev and gives its window's place; its events are in the file `stdbuf`.
async fn xev(x: &mut Xserver) -> Point {
    x.run(
        "stdbuf",
        &["-oL", "xev", "-geometry", "300x200+100+100", "-name", "events"],
    );
    let (left, top, ..) = x.window("events").await;
    Point::new(left, top)
}

fn events(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap();
    text.split("\n\n").map(str::to_string).collect()
}

fn count(log: &Path, kind: &str, what: &str) -> usize {
    let all = events(log);
    all.iter().filter(|e| e.contains(kind) && e.contains(what)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_motion_arrives_and_is_known() {
    let mut x = Xserver::start("800x600").await;
    let corner = xev(&mut x).await;
    let log = x.dir.path().join("stdbuf");
    let time = Duration::from_millis(200);
    let mut seen = 0;
    for (motion, least) in [
        (Motion::Instant, 1),
        (Motion::Linear(time), 5),
        (Motion::Bezier(time, 3), 5),
        (Motion::WindMouse(3), 5),
    ] {
        let d = x
            .desktop_with(Options {
                motion,
                ..Options::default()
            })
            .await;
        d.move_to(Point::new(corner.x + 10, corner.y + 10)).await.unwrap();
        let to = Point::new(corner.x + 250, corner.y + 150);
        d.move_to(to).await.unwrap();
        d.click(to, Button::Left, 1).await.unwrap();
        let here = format!("root:({},{})", to.x, to.y);
        let clicks = wait_for("the click", 10, || {
            let n = count(&log, "ButtonRelease event", &here);
            (n > seen).then_some(n)
        })
        .await;
        assert_eq!(clicks, seen + 1, "{motion:?}");
        seen = clicks;
        let moves = count(&log, "MotionNotify event", "");
        assert!(moves >= least, "{motion:?}: {moves} motion events");
        assert_eq!(d.position(), to);
        d.park().await.unwrap();
        assert_eq!(d.position(), Point::new(799, 300));
        let place = String::from_utf8(x.ask("xdotool", &["getmouselocation"])).unwrap();
        assert!(place.contains("x:799 y:300"), "{place}");
        // Outside of the screen is its nearest inside.
        d.move_to(Point::new(5000, 5000)).await.unwrap();
        assert_eq!(d.position(), Point::new(799, 599));
        d.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_in_a_row_holding_and_turning() {
    let mut x = Xserver::start("800x600").await;
    let corner = xev(&mut x).await;
    let log = x.dir.path().join("stdbuf");
    let d = x.desktop().await;
    let at = Point::new(corner.x + 100, corner.y + 120);
    d.click(at, Button::Left, 3).await.unwrap();
    d.scroll(at, Wheel::Horizontal, 2).await.unwrap();
    d.scroll(at, Wheel::Horizontal, -1).await.unwrap();
    d.scroll(at, Wheel::Vertical, -2).await.unwrap();
    // Pressed here, released there, with a key held down meanwhile.
    d.press(at, Button::Middle).await.unwrap();
    d.move_to(Point::new(at.x + 40, at.y)).await.unwrap();
    d.release(Point::new(at.x + 80, at.y), Button::Middle).await.unwrap();
    d.hold("ctrl+a", Duration::from_millis(300)).await.unwrap();
    d.key("f9").await.unwrap();
    wait_for_text(&log, "F9", 10).await;
    wait_for("F9's release", 10, || {
        (count(&log, "KeyRelease event", "F9") == 1).then_some(())
    })
    .await;
    assert_eq!(count(&log, "ButtonPress event", "button 1,"), 3);
    for (button, times) in [(4, 2), (5, 0), (6, 1), (7, 2)] {
        let what = format!("button {button},");
        assert_eq!(count(&log, "ButtonPress event", &what), times, "button {button}");
        assert_eq!(count(&log, "ButtonRelease event", &what), times);
    }
    let all = events(&log);
    let find = |kind: &str, what: &str| {
        let found = all.iter().find(|e| e.contains(kind) && e.contains(what));
        found.unwrap_or_else(|| panic!("no {kind} with {what}")).clone()
    };
    let (press, release) = (
        find("ButtonPress event", "button 2,"),
        find("ButtonRelease event", "button 2,"),
    );
    assert!(press.contains(&format!("root:({},{})", at.x, at.y)), "{press}");
    assert!(release.contains(&format!("root:({},{})", at.x + 80, at.y)), "{release}");
    // The middle button's bit is in the state of what moved meanwhile.
    find("MotionNotify event", "state 0x200");
    let milliseconds = |e: &str| -> u64 {
        let at = e.split("time ").nth(1).unwrap();
        at.split(',').next().unwrap().parse().unwrap()
    };
    let down = milliseconds(&find("KeyPress event", "(keysym 0x61, a)"));
    let up = events(&log)
        .iter()
        .rfind(|e| e.contains("KeyRelease event") && e.contains("(keysym 0x61, a)"))
        .map(|e| milliseconds(e))
        .unwrap();
    assert!(up - down >= 290, "held for {} ms", up - down);
}

/// The clipboard in both directions, in UTF-8 (Xvnc has the extended clipboard).
#[tokio::test(flavor = "multi_thread")]
async fn the_clipboard_goes_both_ways() {
    let mut x = Xserver::start("640x480").await;
    let d = x.desktop().await;
    d.capture().await.unwrap();
    let to_guest = "für 5 €\n你好";
    d.set_clipboard(to_guest).await.unwrap();
    wait_for("the guest's clipboard", 10, || {
        let got = x.ask("xclip", &["-selection", "clipboard", "-o"]);
        (String::from_utf8(got).ok()? == to_guest).then_some(())
    })
    .await;
    let from_guest = "zurück: λ → ½";
    std::fs::write(x.dir.path().join("text"), from_guest).unwrap();
    x.run("xclip", &["-quiet", "-selection", "clipboard", "-i", "text"]);
    wait_for("the guest's text", 10, || (d.clipboard()? == from_guest).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lights_are_told_and_power_actions_refused_where_there_are_none() {
    let x = Xserver::start("320x240").await;
    let d = x.desktop().await;
    d.capture().await.unwrap();
    let error = d.power(Power::Reset).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    // Xvnc tells the lights.
    let leds = d.leds().expect("Xvnc tells its lights");
    d.key("capslock").await.unwrap();
    // It tells them with a picture.
    d.capture().await.unwrap();
    assert_ne!(d.leds().unwrap().caps_lock, leds.caps_lock);
}

async fn effect(d: &Desktop, action: impl Future<Output = Result<(), Error>>) -> Effect {
    d.observed(Duration::from_secs(2), action).await.unwrap().effect
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_say_what_they_did() {
    let mut x = Xserver::start("800x600").await;
    x.run("xterm", &["-T", "term", "-geometry", "60x10+20+20", "-e", "cat"]);
    let (left, top, width, height) = x.window("term").await;
    let d = x.desktop().await;
    let middle = Point::new(left + width / 2, top + height / 2);
    d.click(middle, Button::Left, 1).await.unwrap();
    let Effect::Confirmed(place) = effect(&d, d.type_text("x")).await else {
        panic!("a letter in a terminal is seen");
    };
    assert!(place.x >= left && place.right() <= left + width, "{place:?}");
    assert_eq!(effect(&d, d.key("shift")).await, Effect::SuspectedNoop);
    // Something that never stands still: only what changes elsewhere is an effect.
    x.run(
        "xterm",
        &[
            "-T",
            "busy",
            "-geometry",
            "20x3+500+400",
            "-e",
            "sh",
            "-c",
            "while :; do printf '%s\\r' $(date +%N); done",
        ],
    );
    x.window("busy").await;
    d.click(middle, Button::Left, 1).await.unwrap();
    let seen = effect(&d, d.key("shift")).await;
    assert!(matches!(seen, Effect::Unverifiable(_)), "{seen:?}");
    let seen = effect(&d, d.type_text("y")).await;
    assert!(matches!(seen, Effect::Confirmed(_)), "{seen:?}");
}
