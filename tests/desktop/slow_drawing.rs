//! A server that says in a few bytes what takes long to draw.

use std::time::Duration;

use mosdat::desktop::{Auth, Desktop, Options};

use crate::bad_server::Server;

const SIDE: u16 = 4000;
/// 64 MB of pixels each.
const FILLS: u16 = 60;

/// One update is a second's work. Keys are pressed and answered meanwhile, and who captures gets the picture at its end.
#[tokio::test]
async fn input_does_not_wait_until_all_is_drawn() {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (sent, told) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut s = Server::accept_with(theirs, (SIDE, SIDE)).await;
        s.request().await;
        let mut update = [[0, 0], FILLS.to_be_bytes()].concat();
        for n in 1..=FILLS {
            update.extend([0, 0, SIDE, SIDE].iter().flat_map(|v: &u16| v.to_be_bytes()));
            // Tight: all of it in one colour.
            update.extend([0, 0, 0, 7, 0x80, n as u8, 0, 0]);
        }
        tokio::io::AsyncWriteExt::write_all(&mut s.stream, &update)
            .await
            .unwrap();
        sent.send(()).unwrap();
        while s.next().await.is_some() {}
    });
    let options = Options {
        timeout: Duration::from_secs(60),
        ..Options::default()
    };
    let d = Desktop::open_with(ours, Auth::None, options).await.unwrap();
    let picture = tokio::spawn({
        let d = d.clone();
        async move { d.capture().await }
    });
    told.await.unwrap();
    d.key("a").await.unwrap();
    assert!(
        !picture.is_finished(),
        "the key was answered after everything was drawn"
    );
    let frame = picture.await.unwrap().unwrap();
    assert_eq!(frame.image().get_pixel(0, 0).0, [FILLS as u8, 0, 0, 255]);
    assert_eq!(frame.image().get_pixel(3999, 3999).0, [FILLS as u8, 0, 0, 255]);
    d.close().await;
}
