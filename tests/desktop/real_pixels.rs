//! What a frame shows is what the X server has on its screen, pixel for pixel.

use std::time::{Duration, Instant};

use mosdat::desktop::{Encoding, Frame, Options, Point};

use crate::xserver::Xserver;

pub fn rgb(frame: &Frame) -> Vec<u8> {
    frame
        .image()
        .as_raw()
        .chunks_exact(4)
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect()
}

#[track_caller]
pub fn assert_same(frame: &Frame, x: &Xserver) {
    let (width, height, truth) = x.truth();
    assert_eq!((frame.width(), frame.height()), (width, height));
    let differing = rgb(frame)
        .chunks(3)
        .zip(truth.chunks(3))
        .filter(|(a, b)| a != b)
        .count();
    assert_eq!(differing, 0, "pixels that differ from xwd's view");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_equal_the_servers_own_view() {
    let mut x = Xserver::start("1280x800").await;
    x.run(
        "xterm",
        &[
            "-geometry",
            "80x20+40+60",
            "-T",
            "terminal",
            "-e",
            "sh",
            "-c",
            "ls -l /usr/bin | head -18; cat",
        ],
    );
    x.window("terminal").await;
    for encodings in [
        &[Encoding::Tight],
        &[Encoding::Zrle],
        &[Encoding::Hextile],
        &[Encoding::Raw],
    ] {
        let d = x
            .desktop_with(Options {
                encodings,
                ..Options::default()
            })
            .await;
        assert_eq!(d.size(), (1280, 800));
        d.move_to(Point::new(700, 700)).await.unwrap();
        let settled = d
            .settle(Duration::from_millis(400), Duration::from_secs(10))
            .await
            .unwrap();
        assert!(settled.still, "the picture keeps moving at {:?}", settled.moving);
        assert_same(&settled.frame, &x);
        assert!(
            rgb(&settled.frame) == x.second_witness(),
            "ImageMagick sees something else"
        );
        let mut times = Vec::new();
        for _ in 0..8 {
            let start = Instant::now();
            let frame = d.capture().await.unwrap();
            times.push(start.elapsed());
            assert!(frame.requested_at >= start && frame.received_at >= frame.requested_at && !frame.stalled);
            assert_same(&frame, &x);
        }
        times.sort();
        println!(
            "capture Xvnc 1280x800 {encodings:?}: median {:?}, min {:?}",
            times[4], times[0]
        );
        // Both may send a part in another way where that is shorter.
        assert!(
            d.encodings_met().contains(&encodings[0]),
            "{encodings:?}: {:?}",
            d.encodings_met()
        );
        d.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolution_change_is_followed() {
    let x = Xserver::start("800x600").await;
    let d = x.desktop().await;
    assert_eq!(d.capture().await.unwrap().width(), 800);
    x.ask("xrandr", &["--fb", "1024x768"]);
    let frame = d.capture().await.unwrap();
    assert_eq!((frame.width(), frame.height()), (1024, 768));
    assert_eq!(d.size(), (1024, 768));
    assert_same(&frame, &x);
    assert_same(&d.capture().await.unwrap(), &x);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_handles_share_one_link() {
    let x = Xserver::start("640x480").await;
    let d = x.desktop().await;
    let many = (0..12).map(|_| {
        let d = d.clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                let start = Instant::now();
                assert!(d.capture().await.unwrap().requested_at >= start);
            }
        })
    });
    for task in many.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let other = d.clone();
    d.close().await;
    let error = other.capture().await.unwrap_err().to_string();
    assert!(error.contains("ended") && error.contains("closed"), "{error}");
}
