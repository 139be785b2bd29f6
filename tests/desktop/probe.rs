//! The look that decides whether a VM's console counts as ready.

use mosdat::controller::{DesktopProbe, DisplayProbe};
use secrecy::SecretString;

use crate::bad_server::{H, Server, W};

/// What the probe says of a console that shows these values, one after the other.
async fn probed(shows: Vec<u8>) -> Result<(u32, u32), String> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let mut s = Server::accept(theirs).await;
        let mut values = shows.into_iter();
        let mut value = values.next().unwrap();
        loop {
            // The answer to a wait for changes is a change.
            let (incremental, (.., height)) = s.any_request().await;
            if incremental {
                let Some(next) = values.next() else { continue };
                value = next;
            }
            s.paint(0, height, value).await;
        }
    });
    DesktopProbe.probe(Box::new(ours), SecretString::from("")).await
}

#[tokio::test]
async fn black_is_nothing_and_a_sleeping_screen_is_woken() {
    let size = (u32::from(W), u32::from(H));
    assert_eq!(probed(vec![60]).await, Ok(size), "one colour is a bare desktop");
    assert_eq!(probed(vec![0, 90]).await, Ok(size));
    let why = probed(vec![0]).await.unwrap_err();
    assert!(why.contains("all black") && why.contains("vga: std"), "{why}");
}
