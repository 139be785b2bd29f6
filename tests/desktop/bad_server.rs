//! A scripted VNC server that does what real ones do on a bad day: answers late, in pieces, twice, or lies.

use std::time::{Duration, Instant};

use mosdat::desktop::{Auth, Button, Desktop, Error, Options, Point};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::sleep;

pub const W: u16 = 40;
pub const H: u16 = 30;

pub struct Server {
    pub stream: DuplexStream,
    /// How many input events have come: the "true" content of the screen.
    pub inputs: u8,
}

#[derive(Debug, PartialEq)]
pub enum Said {
    Request {
        incremental: bool,
        rect: (u16, u16, u16, u16),
    },
    Key {
        down: bool,
        keysym: u32,
    },
    Pointer {
        mask: u8,
        x: u16,
        y: u16,
    },
}

impl Server {
    pub async fn accept(stream: DuplexStream) -> Server {
        Server::accept_with(stream, (W, H)).await
    }

    /// As a server whose screen has this size.
    pub async fn accept_with(mut stream: DuplexStream, (width, height): (u16, u16)) -> Server {
        stream.write_all(b"RFB 003.008\n").await.unwrap();
        let mut b = [0; 12];
        stream.read_exact(&mut b).await.unwrap();
        stream.write_all(&[1, 1]).await.unwrap();
        stream.read_exact(&mut b[..1]).await.unwrap();
        stream.write_all(&[0; 4]).await.unwrap();
        stream.read_exact(&mut b[..1]).await.unwrap();
        let mut init = [width.to_be_bytes(), height.to_be_bytes()].concat();
        init.extend([0; 16]);
        init.extend([0, 0, 0, 3]);
        init.extend(b"bad");
        stream.write_all(&init).await.unwrap();
        let mut pixel_format = [0; 20];
        stream.read_exact(&mut pixel_format).await.unwrap();
        assert_eq!(pixel_format[0], 0);
        stream.read_exact(&mut b[..4]).await.unwrap();
        assert_eq!(b[0], 2, "SetEncodings comes before any other message");
        let mut encodings = vec![0; usize::from(b[3]) * 4];
        stream.read_exact(&mut encodings).await.unwrap();
        Server { stream, inputs: 0 }
    }

    /// The next message; counts key events as changes of the screen.
    pub async fn next(&mut self) -> Option<Said> {
        let kind = self.stream.read_u8().await.ok()?;
        Some(match kind {
            3 => {
                let mut b = [0; 9];
                self.stream.read_exact(&mut b).await.ok()?;
                let at = |i: usize| u16::from_be_bytes([b[i], b[i + 1]]);
                Said::Request {
                    incremental: b[0] != 0,
                    rect: (at(1), at(3), at(5), at(7)),
                }
            }
            4 => {
                let mut b = [0; 7];
                self.stream.read_exact(&mut b).await.ok()?;
                self.inputs += b[0];
                Said::Key {
                    down: b[0] != 0,
                    keysym: u32::from_be_bytes([b[3], b[4], b[5], b[6]]),
                }
            }
            5 => {
                let mut b = [0; 5];
                self.stream.read_exact(&mut b).await.ok()?;
                Said::Pointer {
                    mask: b[0],
                    x: u16::from_be_bytes([b[1], b[2]]),
                    y: u16::from_be_bytes([b[3], b[4]]),
                }
            }
            other => panic!("message {other}"),
        })
    }

    /// The next request: whether it is incremental, and for what.
    pub async fn any_request(&mut self) -> (bool, (u16, u16, u16, u16)) {
        loop {
            if let Said::Request { incremental, rect } = self.next().await.expect("the client went away") {
                return (incremental, rect);
            }
        }
    }

    pub async fn request(&mut self) {
        let (incremental, _) = self.any_request().await;
        assert!(!incremental, "only full requests prove freshness");
    }

    async fn changes_request(&mut self) {
        assert!(self.any_request().await.0, "changes are asked for incrementally");
    }

    /// Rows y0..y1 filled with `value`, as one update.
    pub async fn paint(&mut self, y0: u16, y1: u16, value: u8) {
        let bytes = [vec![0, 0, 0, 1], raw(y0, y1, value)].concat();
        self.stream.write_all(&bytes).await.unwrap();
    }
}

pub fn raw(y0: u16, y1: u16, value: u8) -> Vec<u8> {
    let mut b: Vec<u8> = [0, y0, W, y1 - y0, 0, 0]
        .iter()
        .flat_map(|v: &u16| v.to_be_bytes())
        .collect();
    b.extend(vec![value; usize::from(W) * usize::from(y1 - y0) * 4]);
    b
}

pub fn quick() -> Options {
    let short = Duration::from_millis(700);
    Options {
        connect_timeout: short,
        timeout: short,
        ..Options::default()
    }
}

/// A desktop on a server that runs `script`.
async fn desktop<F>(script: impl FnOnce(Server) -> F + Send + 'static) -> Desktop
where
    F: Future<Output = ()> + Send + 'static,
{
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move { script(Server::accept(theirs).await).await });
    Desktop::open_with(ours, Auth::None, quick()).await.unwrap()
}

pub fn values(frame: &mosdat::desktop::Frame) -> Vec<u8> {
    let mut v: Vec<u8> = frame.image().pixels().map(|p| p.0[0]).collect();
    v.sort();
    v.dedup();
    v
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_a_newer_one() {
    let d = desktop(|mut s| async move {
        s.request().await;
        // The picture of this moment, sent only after the client gave up and pressed a key.
        let old = s.inputs;
        while !matches!(s.next().await, Some(Said::Key { down: true, .. })) {}
        sleep(Duration::from_millis(200)).await;
        s.paint(0, H, 100 + old).await;
        s.request().await;
        sleep(Duration::from_millis(100)).await;
        s.paint(0, H, 100 + s.inputs).await;
        s.next().await;
        sleep(Duration::from_secs(5)).await;
    })
    .await;
    assert!(matches!(d.capture().await, Err(Error::Timeout { .. })));
    d.key("a").await.unwrap();
    let pressed = Instant::now();
    let frame = d.capture().await.unwrap();
    assert!(frame.requested_at >= pressed);
    assert_eq!(values(&frame), [101], "the answer to the first request shows 100");
}

#[tokio::test]
async fn what_was_under_way_before_the_request_does_not_count() {
    let d = desktop(|mut s| async move {
        // An unasked-for update, half of it before the first request and half after.
        let stale = [vec![0, 0, 0, 2], raw(0, 15, 7), raw(15, H, 7)].concat();
        s.stream.write_all(&stale[..500]).await.unwrap();
        sleep(Duration::from_millis(150)).await;
        s.stream.write_all(&stale[500..]).await.unwrap();
        s.request().await;
        // The answer in overlapping pieces: the upper half twice is not the whole.
        s.paint(0, 20, 50).await;
        s.paint(0, 20, 50).await;
        sleep(Duration::from_millis(150)).await;
        s.paint(10, H, 50).await;
        s.request().await;
    })
    .await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(values(&d.capture().await.unwrap()), [50]);
}

#[tokio::test]
async fn captures_asked_for_meanwhile_get_a_newer_frame() {
    let d = desktop(|mut s| async move {
        for value in 1..=3 {
            s.request().await;
            sleep(Duration::from_millis(120)).await;
            s.paint(0, H, value).await;
        }
        sleep(Duration::from_secs(5)).await;
    })
    .await;
    let other = d.clone();
    let first = tokio::spawn(async move { other.capture().await.unwrap() });
    sleep(Duration::from_millis(50)).await;
    let asked = Instant::now();
    let (second, third) = tokio::join!(d.capture(), d.capture());
    let (first, second, third) = (first.await.unwrap(), second.unwrap(), third.unwrap());
    assert_eq!(values(&first), [1]);
    assert_eq!(values(&second), [2]);
    assert_eq!(second.seq, third.seq, "both were asked for before the request went out");
    assert!(second.requested_at >= asked && first.requested_at < asked);
}

/// While a still picture is waited for, an incremental request is open. Its answer, late and with every pixel, is not
/// taken for what was asked after it.
#[tokio::test]
async fn a_change_that_was_under_way_is_not_taken_for_the_answer() {
    let (watched, is_watched) = tokio::sync::oneshot::channel();
    let d = desktop(|mut s| async move {
        s.request().await;
        s.paint(0, H, 1).await;
        s.changes_request().await;
        watched.send(()).unwrap();
        // What the screen showed before the key, sent after it.
        while !matches!(s.next().await, Some(Said::Key { down: true, .. })) {}
        assert_eq!(s.any_request().await, (false, (0, 0, 1, 1)), "one pixel first");
        s.paint(0, H, 50).await;
        assert_eq!(s.any_request().await, (false, (0, 0, W, H)));
        // The answer to the pixel, then the one to the whole, in two parts.
        s.paint(0, 1, 100 + s.inputs).await;
        s.paint(0, 20, 100 + s.inputs).await;
        s.paint(20, H, 100 + s.inputs).await;
        sleep(Duration::from_secs(5)).await;
    })
    .await;
    let settling = {
        let d = d.clone();
        tokio::spawn(async move { d.settle(Duration::from_secs(3), Duration::from_secs(3)).await })
    };
    is_watched.await.unwrap();
    d.key("a").await.unwrap();
    let pressed = Instant::now();
    let frame = d.capture().await.unwrap();
    assert!(frame.requested_at >= pressed);
    assert_eq!(values(&frame), [101]);
    settling.abort();
}

/// Waiting for a still picture asks once for changes, not again and again for pictures.
#[tokio::test]
async fn a_still_picture_costs_four_requests() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let d = desktop(move |mut s| async move {
        loop {
            let (incremental, rect) = s.any_request().await;
            tell.send((incremental, rect)).unwrap();
            if !incremental {
                s.paint(0, rect.3, 7).await;
            }
        }
    })
    .await;
    let settled = d
        .settle(Duration::from_millis(500), Duration::from_secs(5))
        .await
        .unwrap();
    assert!(settled.still && settled.moving.is_none());
    let mut requests = Vec::new();
    while let Ok(request) = told.try_recv() {
        requests.push(request);
    }
    let all = (0, 0, W, H);
    assert_eq!(
        requests,
        [(false, all), (true, all), (false, (0, 0, 1, 1)), (false, all)],
        "a picture, the wait for changes, and a pixel and a picture at the end"
    );
}

/// A server that paints without having been asked cannot be relied on to tell changes: it is looked at instead.
#[tokio::test]
async fn a_server_that_paints_unasked_is_looked_at() {
    let d = desktop(|mut s| async move {
        s.request().await;
        s.paint(0, H, 1).await;
        s.paint(0, H, 2).await;
        for value in [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3] {
            s.request().await;
            s.paint(0, H, value).await;
        }
    })
    .await;
    d.capture().await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let settled = d
        .settle(Duration::from_millis(300), Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!((settled.still, values(&settled.frame)), (true, vec![3]));
    assert_eq!(
        settled.moving,
        Some(mosdat::desktop::Rect::new(0, 0, W.into(), H.into()))
    );
}

#[tokio::test]
async fn a_resize_within_an_answer() {
    for answers_again in [true, false] {
        let d = desktop(move |mut s| async move {
            s.request().await;
            // The new size is 40x10; some servers then forget the request, others answer it as well.
            let mut resize = vec![0, 0, 0, 1];
            resize.extend([0u16, 0, W, 10].iter().flat_map(|v| v.to_be_bytes()));
            resize.extend((-223i32).to_be_bytes());
            s.stream.write_all(&resize).await.unwrap();
            if answers_again {
                s.paint(0, 10, 1).await;
                sleep(Duration::from_millis(100)).await;
            } else {
                s.request().await;
                s.paint(0, 10, 1).await;
            }
            s.request().await;
            s.paint(0, 10, 2).await;
            sleep(Duration::from_secs(5)).await;
        })
        .await;
        let frame = d.capture_within(Duration::from_secs(5)).await.unwrap();
        assert_eq!((frame.width(), frame.height(), values(&frame)), (40, 10, vec![1]));
        assert_eq!(d.size(), (40, 10));
        assert_eq!(values(&d.capture().await.unwrap()), [2]);
    }
}

#[tokio::test]
async fn lies_and_silence_end_in_typed_errors() {
    let update = |rect: [u16; 4], encoding: i32| {
        let mut b = vec![0, 0, 0, 1];
        b.extend(rect.iter().flat_map(|v| v.to_be_bytes()));
        b.extend(encoding.to_be_bytes());
        b
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (update([0, 0, W + 1, 1], 0), "reaches outside"),
        (update([0, 0, 60000, 60000], -223), "outside what is accepted"),
        (update([0, 0, W, H], 15), "not asked for"),
        (
            [update([0, 0, W, H], 16), vec![0xff; 4]].concat(),
            "longer than the accepted",
        ),
        (
            [update([0, 0, W, H], 16), vec![0, 0, 0, 5, 1, 2, 3, 4, 5]].concat(),
            "damaged",
        ),
        (vec![99], "unknown message"),
        // Half a rectangle, then the stream ends.
        ([update([0, 0, W, H], 0), vec![1; 77]].concat(), "closed the connection"),
    ];
    for (bytes, want) in cases {
        let d = desktop(move |mut s| async move {
            s.request().await;
            s.stream.write_all(&bytes).await.unwrap();
        })
        .await;
        let error = d.capture().await.unwrap_err().to_string();
        assert!(error.contains(want), "{error:?} should say {want:?}");
        let after = d.key("a").await.unwrap_err();
        assert!(
            matches!(&after, Error::Closed { reason } if reason.contains(want)),
            "{after:?}"
        );
    }
    // Half an answer and then nothing: a deadline, not a hang.
    let d = desktop(move |mut s| async move {
        s.request().await;
        s.paint(0, 15, 1).await;
        sleep(Duration::from_secs(60)).await;
    })
    .await;
    let start = Instant::now();
    assert!(matches!(d.capture().await, Err(Error::Timeout { .. })));
    assert!(start.elapsed() < Duration::from_secs(3));
    // A server that says nothing at all.
    let (ours, _theirs) = tokio::io::duplex(64);
    assert!(matches!(
        Desktop::open_with(ours, Auth::None, quick()).await.err(),
        Some(Error::Timeout { .. })
    ));
    // A server that rings the bell without end.
    let d = desktop(move |mut s| async move { while s.stream.write_all(&[2; 4096]).await.is_ok() {} }).await;
    let start = Instant::now();
    assert!(matches!(d.capture().await, Err(Error::Timeout { .. })));
    assert!(start.elapsed() < Duration::from_secs(3));
    drop(d);
    // A server that does not read: input fails in time.
    let (ours, theirs) = tokio::io::duplex(64);
    let server = tokio::spawn(Server::accept(theirs));
    let fast = Options {
        keys_per_second: 2000,
        ..quick()
    };
    let d = Desktop::open_with(ours, Auth::None, fast).await.unwrap();
    let _holds_the_stream = server.await.unwrap();
    let start = Instant::now();
    let error = d.type_text(&"x".repeat(3000)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_was_pressed_is_released_at_the_end() {
    for by_error in [true, false] {
        let (tell, told) = tokio::sync::oneshot::channel();
        let d = desktop(move |mut s| async move {
            let mut held = Vec::new();
            while let Some(said) = s.next().await {
                match said {
                    Said::Key { down: true, keysym } => {
                        held.push(keysym);
                        if by_error && held.len() == 3 {
                            s.stream.write_all(&[99]).await.unwrap();
                        }
                    }
                    Said::Key { down: false, keysym } => held.retain(|k| *k != keysym),
                    Said::Pointer { .. } | Said::Request { .. } => {}
                }
            }
            tell.send(held).unwrap();
        })
        .await;
        if by_error {
            let _ = d.key("ctrl+shift+t").await;
        } else {
            // A caller that is dropped in the middle of a chord.
            let _ = tokio::time::timeout(Duration::from_millis(8), d.key("ctrl+alt+shift+t")).await;
            drop(d);
        }
        assert_eq!(told.await.unwrap(), Vec::<u32>::new());
    }
}

#[tokio::test]
async fn what_nobody_waits_for_is_played_no_further() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let d = desktop(move |mut s| async move {
        while let Some(said) = s.next().await {
            let asked = matches!(said, Said::Request { .. });
            let _ = tell.send(said);
            if asked {
                s.inputs = 0;
                s.paint(0, H, 1).await;
            }
        }
    })
    .await;
    // Ten seconds of typing, with Shift; another script waits behind it. Both callers go away.
    let text = "A".repeat(300);
    let both = async { tokio::join!(d.type_text(&text), d.type_text("zzz")) };
    assert!(tokio::time::timeout(Duration::from_millis(250), both).await.is_err());
    // Within the 0.7 s that a capture has here.
    d.capture().await.unwrap();
    d.key("q").await.unwrap();
    d.close().await;
    let (mut pressed, mut held, mut pictures) = (Vec::new(), Vec::new(), 0);
    while let Some(said) = told.recv().await {
        match said {
            Said::Key { down: true, keysym } => {
                pressed.push(keysym);
                held.push(keysym);
            }
            Said::Key { down: false, keysym } => held.retain(|k| *k != keysym),
            Said::Request { .. } => {
                assert_eq!(held, Vec::<u32>::new(), "a picture with a key held down");
                pictures += 1;
            }
            Said::Pointer { .. } => {}
        }
    }
    assert_eq!((pictures, held.len()), (1, 0));
    let typed = pressed.iter().filter(|k| **k == u32::from('A')).count();
    assert!((2..60).contains(&typed), "{typed}");
    assert!(!pressed.contains(&u32::from('z')));
    assert_eq!(pressed.last(), Some(&u32::from('q')), "what others do is done");
}

/// Several look on one session: who looks does not wait until who types has finished, and inputs keep their order.
#[tokio::test]
async fn a_picture_is_taken_while_somebody_types() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let d = desktop(|mut s| async move {
        while let Some(said) = s.next().await {
            match said {
                Said::Request { .. } => s.paint(0, H, 1).await,
                said => tell.send(said).unwrap(),
            }
        }
    })
    .await;
    let slow = "a".repeat(250);
    let typing = tokio::spawn({
        let d = d.clone();
        async move { d.type_text(&slow).await }
    });
    while !matches!(told.recv().await.expect("the server goes on"), Said::Key { .. }) {}
    d.capture_within(Duration::from_secs(20)).await.unwrap();
    assert!(!typing.is_finished());
    // What comes second is played second.
    let second = tokio::spawn({
        let d = d.clone();
        async move { d.key("z").await }
    });
    sleep(Duration::from_millis(100)).await;
    typing.abort();
    second.await.unwrap().unwrap();
    let mut keys = Vec::new();
    while let Some(said) = told.recv().await {
        let Said::Key { keysym, down } = said else { continue };
        keys.push((keysym, down));
        if keysym == 0x7a && !down {
            break;
        }
    }
    let first_z = keys.iter().position(|k| k.0 == 0x7a).unwrap();
    assert!(
        keys[..first_z].iter().all(|k| k.0 == 0x61) && keys.len() == first_z + 2,
        "{keys:?}"
    );
    assert_eq!(keys[first_z - 1], (0x61, false), "nothing is left pressed");
    d.close().await;
}

/// One that asks for the clipboard again and again and reads nothing does not fill the memory.
#[tokio::test]
async fn questions_of_a_server_that_does_not_read_are_not_kept() {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let server = tokio::spawn(async move {
        let mut s = Server::accept(theirs).await;
        s.request().await;
        // Extended clipboard: what is there? The answer is as long as the question.
        let question = [
            &[3, 0, 0, 0][..],
            &(-4i32).to_be_bytes(),
            &((1u32 << 26) | 1).to_be_bytes(),
        ]
        .concat();
        let many = question.repeat(10_000);
        for _ in 0..100 {
            s.stream.write_all(&many).await.unwrap();
        }
        s.paint(0, H, 1).await;
        let (mut read, mut buffer) = (0, vec![0; 1 << 16]);
        while let Ok(n) = tokio::time::timeout(Duration::from_secs(1), s.stream.read(&mut buffer)).await {
            read += n.unwrap();
        }
        read
    });
    let patient = Options {
        timeout: Duration::from_secs(60),
        ..Options::default()
    };
    let d = Desktop::open_with(ours, Auth::None, patient).await.unwrap();
    assert_eq!(values(&d.capture().await.unwrap()), [1]);
    let read = server.await.unwrap();
    assert!((1 << 20..6 << 20).contains(&read), "{read} bytes");
}

#[tokio::test]
async fn pointer_events_carry_buttons_and_stay_on_screen() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let d = desktop(move |mut s| async move {
        while let Some(said) = s.next().await {
            let _ = tell.send(said);
        }
    })
    .await;
    d.click(Point::new(500, 12), Button::Right, 1).await.unwrap();
    assert_eq!(d.position(), Point::new(39, 12));
    d.close().await;
    let mut said = Vec::new();
    while let Some(s) = told.recv().await {
        said.push(s);
    }
    let [.., moved, down, up] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!(*moved, Said::Pointer { mask: 0, x: 39, y: 12 });
    assert_eq!(*down, Said::Pointer { mask: 4, x: 39, y: 12 });
    assert_eq!(*up, Said::Pointer { mask: 0, x: 39, y: 12 });
}
