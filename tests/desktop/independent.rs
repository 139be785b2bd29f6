//! vnc-rs as an independent decoder: same server, same picture.

use std::time::Duration;

use mosdat::desktop::{Frame, Point, Rect};
use vnc::{PixelFormat, VncConnector, VncEncoding, VncEvent};

use crate::xserver::Xserver;

const PARKED: Point = Point { x: 1000, y: 740 };

/// A full picture as vnc-rs decodes it, RGB.
async fn theirs(x: &Xserver, encoding: VncEncoding, width: u32, height: u32) -> Vec<u8> {
    let client = VncConnector::new(x.stream().await)
        .set_auth_method(async { Ok(String::new()) })
        .add_encoding(encoding)
        .add_encoding(VncEncoding::CursorPseudo)
        .allow_shared(true)
        .set_pixel_format(PixelFormat::bgra())
        .build()
        .unwrap()
        .try_start()
        .await
        .unwrap()
        .finish()
        .unwrap();
    let (mut picture, mut painted) = (
        vec![0; (width * height * 3) as usize],
        vec![false; (width * height) as usize],
    );
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while painted.contains(&false) {
        assert!(tokio::time::Instant::now() < deadline, "vnc-rs gave no full picture");
        match client.poll_event().await.unwrap() {
            Some(VncEvent::RawImage(r, data)) => {
                for (i, p) in data.chunks_exact(4).enumerate() {
                    let (px, py) = (i as u32 % u32::from(r.width), i as u32 / u32::from(r.width));
                    let at = ((u32::from(r.y) + py) * width + u32::from(r.x) + px) as usize;
                    picture[at * 3..at * 3 + 3].copy_from_slice(&[p[2], p[1], p[0]]);
                    painted[at] = true;
                }
            }
            Some(_) => {}
            None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
    client.close().await.unwrap();
    picture
}

#[tokio::test(flavor = "multi_thread")]
async fn two_decoders_agree() {
    let mut x = Xserver::start("1024x768").await;
    x.run(
        "xterm",
        &[
            "-geometry",
            "100x30+20+30",
            "-T",
            "agree",
            "-e",
            "sh",
            "-c",
            "env; ls /etc; cat",
        ],
    );
    x.window("agree").await;
    let d = x.desktop().await;
    d.move_to(PARKED).await.unwrap();
    let frame = d
        .settle(Duration::from_millis(400), Duration::from_secs(10))
        .await
        .unwrap()
        .frame;
    for encoding in [VncEncoding::Raw, VncEncoding::Zrle] {
        let picture = theirs(&x, encoding, 1024, 768).await;
        let rgba = picture.chunks(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
        let theirs = Frame::from_image(image::RgbaImage::from_raw(1024, 768, rgba).unwrap());
        // TigerVNC paints the cursor into the picture of a client that is not the one who moved it: into theirs.
        let cursor = Rect::new(PARKED.x - 16, PARKED.y - 16, 40, 40);
        let difference = theirs.difference(&frame);
        let only_cursor = difference.is_none_or(|d| d.intersection(&cursor) == Some(d));
        assert!(only_cursor, "{encoding:?}: differs at {difference:?}");
    }
}
