use super::*;

fn rect(x: u16, y: u16, w: u16, h: u16, encoding: i32) -> Vec<u8> {
    let mut b: Vec<u8> = [x, y, w, h].iter().flat_map(|v| v.to_be_bytes()).collect();
    b.extend(encoding.to_be_bytes());
    b
}

fn all(d: &mut Decoder, bytes: &[u8], piece: usize) -> Result<Vec<Event>, ProtocolError> {
    let mut out = Vec::new();
    for part in bytes.chunks(piece) {
        d.buffer().extend_from_slice(part);
        while let Some(e) = d.next_event()? {
            out.push(e);
        }
    }
    Ok(out)
}

#[test]
fn an_update_in_any_pieces_gives_the_same_events() {
    let mut bytes = vec![2, 0, 0, 0, 8];
    bytes.extend(rect(0, 0, 2, 2, encoding::RAW));
    bytes.extend((0..16).collect::<Vec<u8>>());
    bytes.extend(rect(2, 1, 2, 1, encoding::COPY_RECT));
    bytes.extend([0, 0, 0, 0]);
    bytes.extend(rect(1, 1, 9, 2, encoding::CURSOR));
    bytes.extend([0; 9 * 2 * 4 + 2 * 2]);
    bytes.extend(rect(0, 0, 1, 1, encoding::LED_STATE));
    bytes.push(5);
    bytes.extend(rect(0, 0, 0, 0, encoding::EXTENDED_KEY_EVENT));
    bytes.extend(rect(0, 0, 0, 0, encoding::DESKTOP_NAME));
    bytes.extend([0, 0, 0, 3, b'L', b'a', b'b']);
    bytes.extend(rect(0, 1, 1, 1, encoding::TIGHT));
    bytes.extend([0x80, 7, 8, 9]);
    bytes.extend(rect(3, 0, 1, 1, encoding::HEXTILE));
    bytes.extend([2, 1, 2, 3, 0]);
    bytes.extend([3, 0, 0, 0, 0, 0, 0, 3, b'a', b'b', b'c', 250, 0, 1, 1, 2]);
    let want = vec![
        Event::Bell,
        Event::UpdateBegin,
        Event::Painted(Rect::new(0, 0, 2, 2)),
        Event::Painted(Rect::new(2, 1, 2, 1)),
        Event::Cursor(None),
        Event::Leds(5),
        Event::ScanCodes,
        Event::Name("Lab".into()),
        Event::Painted(Rect::new(0, 1, 1, 1)),
        Event::Painted(Rect::new(3, 0, 1, 1)),
        Event::UpdateEnd,
        Event::Clipboard(Clipboard::Text("abc".into())),
        Event::Power { offered: true },
        Event::Bell,
    ];
    for piece in [1, 2, 3, 7, 1000] {
        let mut d = Decoder::new(4, 2, Order::Rgb).unwrap();
        assert_eq!(all(&mut d, &bytes, piece).unwrap(), want, "pieces of {piece}");
        let image = d.image();
        assert_eq!(image.get_pixel(3, 1).0, [4, 5, 6, 255]);
        assert_eq!(image.get_pixel(0, 1).0, [7, 8, 9, 255]);
        assert_eq!(image.get_pixel(3, 0).0, [1, 2, 3, 255]);
        assert!(!d.in_update());
    }
}

#[test]
fn last_rect_and_resize() {
    let mut bytes = vec![0, 0, 255, 255];
    bytes.extend(rect(0, 0, 6, 5, encoding::DESKTOP_SIZE));
    bytes.extend(rect(5, 4, 1, 1, encoding::RAW));
    bytes.extend([1, 2, 3, 4]);
    bytes.extend(rect(0, 0, 0, 0, encoding::LAST_RECT));
    bytes.extend([0, 0, 0, 1]);
    bytes.extend(rect(0, 0, 3, 3, encoding::EXTENDED_DESKTOP_SIZE));
    bytes.extend([1, 0, 0, 0]);
    bytes.extend([0; 16]);
    let mut d = Decoder::new(4, 2, Order::Rgb).unwrap();
    let got = all(&mut d, &bytes, 5).unwrap();
    assert_eq!(got[1], Event::Resized(6, 5));
    assert_eq!(got[3], Event::UpdateEnd);
    assert_eq!(got[5..], [Event::Resized(3, 3), Event::UpdateEnd]);
}

#[test]
fn lies_are_typed_errors() {
    let update = |tail: Vec<u8>| [vec![0, 0, 0, 1], tail].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (update(rect(3, 0, 2, 1, encoding::RAW)), "reaches outside"),
        (update(rect(0, 0, 0, 9, encoding::RAW)), "reaches outside"),
        (update(rect(0, 0, 1, 1, 2)), "not asked for"),
        (
            update(rect(0, 0, 0, 0, encoding::DESKTOP_SIZE)),
            "outside what is accepted",
        ),
        (
            update(rect(0, 0, 65535, 65535, encoding::DESKTOP_SIZE)),
            "outside what is accepted",
        ),
        (update(rect(0, 0, 2000, 1, encoding::CURSOR)), "cursor side"),
        (
            update([rect(0, 0, 4, 2, encoding::ZRLE), vec![255; 4]].concat()),
            "compressed rectangle",
        ),
        (
            update([rect(0, 0, 1, 1, encoding::COPY_RECT), vec![0, 4, 0, 0]].concat()),
            "reaches outside",
        ),
        (vec![3, 0, 0, 0, 127, 255, 255, 255], "clipboard"),
        (vec![3, 0, 0, 0, 128, 0, 0, 0], "clipboard"),
        (vec![3, 0, 0, 0, 255, 255, 255, 255, 1], "clipboard data is damaged"),
        (vec![77], "unknown message"),
    ];
    for (bytes, want) in cases {
        let error = all(&mut Decoder::new(4, 2, Order::Rgb).unwrap(), &bytes, 1000)
            .unwrap_err()
            .to_string();
        assert!(error.contains(want), "{error} should say {want}");
    }
}

/// Any bytes at all: no panic, no growth of the buffer beyond what was fed, and errors are final.
#[test]
fn noise_never_panics() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..3000 {
        let mut bytes = vec![0u8, 0, 0, 4];
        let kinds = [
            encoding::RAW,
            encoding::ZRLE,
            encoding::COPY_RECT,
            encoding::LAST_RECT,
            encoding::CURSOR,
            encoding::TIGHT,
            encoding::ZLIB,
            encoding::HEXTILE,
            encoding::DESKTOP_NAME,
        ];
        for _ in 0..4 {
            let r = random();
            let kind = kinds[(r as usize >> 5) % kinds.len()];
            bytes.extend(rect(
                (r >> 8 & 3) as u16,
                (r >> 12 & 1) as u16,
                (r >> 16 & 3) as u16,
                1,
                kind,
            ));
            bytes.extend((0..(r >> 24 & 31)).map(|_| random() as u8 & if round % 2 == 0 { 3 } else { 255 }));
        }
        let mut d = Decoder::new(4, 2, Order::Rgb).unwrap();
        let _ = all(&mut d, &bytes, 1 + (random() % 9) as usize);
    }
}
