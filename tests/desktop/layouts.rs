//! Scan codes of several layouts, against the X server's own keyboard maps.

use mosdat::desktop::{Button, Layout, Options, Point};

use crate::processes::wait_for_text;
use crate::real_input::typed_into;
use crate::xserver::Xserver;

/// Types with scan codes into a server that knows keys only, set to the X keyboard map of that name.
async fn arrives(layout: Layout, map: &str, more: &str) {
    // Without -RawKeyboard, Xvnc goes by keysyms whatever keys it is told.
    let mut x = Xserver::start_with("800x600", &["-RawKeyboard"]).await;
    x.ask("setxkbmap", &["-layout", map]);
    let d = x
        .desktop_with(Options {
            layout: Some(layout),
            ..Options::default()
        })
        .await;
    // The server says that it takes scan codes before its first picture.
    d.capture().await.unwrap();
    let text: String = (' '..='~').chain(more.chars()).collect();
    assert_eq!(typed_into(&mut x, &d, &text).await, text, "{map}");
}

#[tokio::test(flavor = "multi_thread")]
async fn english_us() {
    arrives(Layout::EnUs, "us", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn english_uk() {
    arrives(Layout::EnGb, "gb", "£€¬").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn german() {
    arrives(Layout::De, "de", "äöüÄÖÜß§°€µ²³").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn french() {
    arrives(Layout::Fr, "fr", "éèçàù§£µ²°€").await;
}

/// Chords name what is on the keys of the guest's keyboard, whatever has to be held for it there: for each, the keysym and
/// the modifiers (1 Shift, 4 Control, 80 AltGr) that the program gets.
async fn chords_arrive(layout: Layout, map: &str, chords: &[(&str, &str, &str)]) {
    let mut x = Xserver::start_with("800x600", &["-RawKeyboard"]).await;
    x.ask("setxkbmap", &["-layout", map]);
    x.run(
        "stdbuf",
        &["-oL", "xev", "-geometry", "300x200+100+100", "-name", "events"],
    );
    let (left, top, ..) = x.window("events").await;
    let log = x.dir.path().join("stdbuf");
    let options = Options {
        layout: Some(layout),
        ..Options::default()
    };
    let d = x.desktop_with(options).await;
    d.capture().await.unwrap();
    d.click(Point::new(left + 150, top + 130), Button::Left, 1)
        .await
        .unwrap();
    for (chord, _, _) in chords {
        d.key(chord).await.unwrap();
    }
    d.key("f9").await.unwrap();
    let text = wait_for_text(&log, "F9", 10).await;
    let pressed = text.split("\n\n").filter(|e| e.contains("KeyPress event"));
    let held = ["Shift_L", "Control_L", "ISO_Level3_Shift", "F9"];
    let keys: Vec<(&str, &str)> = pressed
        .map(|e| (after(e, "state 0x", 0), after(e, "(keysym 0x", 1)))
        .filter(|(_, name)| !held.contains(name))
        .collect();
    let wanted: Vec<(&str, &str)> = chords.iter().map(|(_, state, name)| (*state, *name)).collect();
    assert_eq!(keys, wanted, "{map}");
}

/// The word of that number after a mark.
fn after<'a>(event: &'a str, mark: &str, number: usize) -> &'a str {
    let (_, rest) = event
        .split_once(mark)
        .unwrap_or_else(|| panic!("no {mark:?} in {event}"));
    let mut words = rest.split([' ', ',', ')']).filter(|word| !word.is_empty());
    words.nth(number).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn german_chords() {
    let chords = [
        ("ctrl+plus", "4", "plus"),
        ("ctrl+/", "5", "slash"),
        ("ctrl+shift+2", "5", "quotedbl"),
        ("ctrl+@", "84", "at"),
        ("ctrl+z", "4", "z"),
        ("ctrl+shift+z", "5", "Z"),
        ("kpadd", "0", "KP_Add"),
    ];
    chords_arrive(Layout::De, "de", &chords).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn french_chords() {
    let chords = [
        ("ctrl+a", "4", "a"),
        ("ctrl+1", "5", "1"),
        ("ctrl+é", "4", "eacute"),
        ("ctrl+shift+w", "5", "W"),
    ];
    chords_arrive(Layout::Fr, "fr", &chords).await;
}

/// A server that goes by keysyms has to see the dead key as what it is.
#[tokio::test(flavor = "multi_thread")]
async fn dead_keys_for_a_server_that_goes_by_keysyms() {
    let mut x = Xserver::start("800x600").await;
    x.ask("setxkbmap", &["-layout", "de"]);
    let options = Options {
        layout: Some(Layout::De),
        ..Options::default()
    };
    let d = x.desktop_with(options).await;
    d.capture().await.unwrap();
    assert_eq!(typed_into(&mut x, &d, "a^b `c` ^^").await, "a^b `c` ^^");
}

/// The same text with another map on the other side comes out differently: it is keys that are sent, not characters.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_sent_and_not_characters() {
    let mut x = Xserver::start_with("800x600", &["-RawKeyboard"]).await;
    x.ask("setxkbmap", &["-layout", "us"]);
    let options = Options {
        layout: Some(Layout::De),
        ..Options::default()
    };
    let d = x.desktop_with(options).await;
    d.capture().await.unwrap();
    assert_eq!(typed_into(&mut x, &d, "xyz Z?").await, "xzy Y_");
}
