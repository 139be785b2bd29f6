//! Scan codes of several layouts, against the X server's own keyboard maps.

use mosdat::desktop::{Layout, Options};

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
