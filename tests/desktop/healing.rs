//! A link that dies, and comes back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mosdat::desktop::{Auth, Desktop, Error, Options, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::bad_server::{H, Server, W, quick, raw, values};
use crate::processes::wait_for;
use crate::real_pixels::assert_same;
use crate::xserver::Xserver;

fn healing() -> Options {
    Options {
        silence: Duration::from_millis(500),
        heal: Duration::from_secs(20),
        timeout: Duration::from_secs(10),
        ..quick()
    }
}

/// A desktop whose every new stream goes to the next of these; then there are none.
async fn desktop(links: Vec<DuplexStream>, options: Options) -> Desktop {
    let links = Arc::new(Mutex::new(VecDeque::from(links)));
    let dial = move || {
        let next = links.lock().unwrap().pop_front();
        async move {
            let stream = next.ok_or_else(|| "no tickets left".to_string())?;
            Ok((Box::new(stream) as Box<dyn Stream>, Auth::None))
        }
    };
    Desktop::connect(dial, options).await.unwrap()
}

fn pairs<const N: usize>() -> (Vec<DuplexStream>, [Option<DuplexStream>; N]) {
    let both: Vec<_> = (0..N).map(|_| tokio::io::duplex(64 * 1024)).collect();
    let (ours, theirs): (Vec<_>, Vec<_>) = both.into_iter().unzip();
    let mut theirs = theirs.into_iter();
    (ours, std::array::from_fn(|_| theirs.next()))
}

#[tokio::test]
async fn a_capture_outlives_the_link_and_half_a_zlib_stream() {
    let (ours, [first, second]) = pairs();
    tokio::spawn(async move {
        let mut s = Server::accept(first.unwrap()).await;
        s.request().await;
        // The beginning of a ZRLE rectangle, then the end of the connection.
        let mut bytes = vec![0, 0, 0, 1];
        bytes.extend([0u16, 0, W, H].iter().flat_map(|v| v.to_be_bytes()));
        bytes.extend([0, 0, 0, 16, 0, 0, 1, 0, 0x78, 0x9c, 1, 2, 3]);
        s.stream.write_all(&bytes).await.unwrap();
        drop(s);
        let mut s = Server::accept(second.unwrap()).await;
        s.request().await;
        s.paint(0, H, 9).await;
        s.request().await;
        sleep(Duration::from_secs(60)).await;
    });
    let d = desktop(ours, healing()).await;
    let asked = Instant::now();
    let frame = d.capture().await.unwrap();
    assert_eq!(values(&frame), [9]);
    assert!(frame.requested_at >= asked);
    assert_eq!(frame.link.reopened, 1);
    assert!(frame.link.offline > Duration::ZERO && frame.link == d.link());
}

async fn dies_while_typed_into(stream: Option<tokio::io::DuplexStream>) {
    let mut s = Server::accept(stream.unwrap()).await;
    while s.inputs < 3 {
        s.next().await;
    }
}

#[tokio::test]
async fn input_that_was_under_way_is_not_repeated() {
    let (ours, [first, second]) = pairs();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        dies_while_typed_into(first).await;
        let mut s = Server::accept(second.unwrap()).await;
        while let Some(said) = s.next().await {
            tell.send(said).unwrap();
        }
    });
    let d = desktop(ours, healing()).await;
    let error = d.type_text("abcdefghijklmnopqrstuvwxyz").await.unwrap_err();
    let Error::Interrupted { sent, of, .. } = &error else {
        panic!("{error}");
    };
    assert!(*of == 52 && (3..52).contains(sent), "{error}");
    // Nor is anything done that was asked for while nobody could see the screen.
    let error = d.key("y").await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { sent: 0, of: 2, .. }), "{error}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while d.link_lost() {
        assert!(Instant::now() < deadline, "the link does not come back");
        sleep(Duration::from_millis(10)).await;
    }
    // The session goes on, with what is asked of it next and nothing else.
    d.key("z").await.unwrap();
    let said: Vec<_> = [told.recv().await, told.recv().await].into_iter().flatten().collect();
    let key = |down| crate::bad_server::Said::Key { down, keysym: 0x7a };
    assert_eq!(said, [key(true), key(false)]);
}

/// What waits behind it has its own numbers.
#[tokio::test]
async fn each_is_told_the_events_of_its_own_input() {
    let (ours, [first, second]) = pairs();
    tokio::spawn(async move {
        dies_while_typed_into(first).await;
        let mut s = Server::accept(second.unwrap()).await;
        while s.next().await.is_some() {}
    });
    let d = desktop(ours, healing()).await;
    let (text, key) = tokio::join!(d.type_text("abcdefghijklmnopqrstuvwxyz"), d.key("ctrl+y"));
    let numbers = |result: Result<(), Error>| match result {
        Err(Error::Interrupted { sent, of, .. }) => (sent, of),
        other => panic!("{other:?}"),
    };
    let (sent, of) = numbers(text);
    assert!(of == 52 && (3..52).contains(&sent), "{sent} of {of}");
    assert_eq!(numbers(key), (0, 4));
}

/// It lives, and has forgotten what it was asked.
#[tokio::test]
async fn a_server_that_says_everything_but_the_answer_is_left() {
    let (ours, [first, second]) = pairs();
    tokio::spawn(async move {
        let mut s = Server::accept(first.unwrap()).await;
        s.request().await;
        // The bell.
        while s.stream.write_all(&[2]).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
        let mut s = Server::accept(second.unwrap()).await;
        s.request().await;
        s.paint(0, H, 7).await;
        sleep(Duration::from_secs(60)).await;
    });
    let options = Options {
        timeout: Duration::from_millis(300),
        ..healing()
    };
    let d = desktop(ours, options).await;
    let frame = d.capture_within(Duration::from_secs(30)).await.unwrap();
    assert_eq!((values(&frame), frame.link.reopened), (vec![7], 1));
}

/// Servers let go of a viewer's keys when it goes, and not of its buttons.
#[tokio::test]
async fn a_button_that_was_held_is_let_go_of_on_the_new_link() {
    let (ours, [first, second]) = pairs();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut s = Server::accept(first.unwrap()).await;
        while !matches!(s.next().await, Some(crate::bad_server::Said::Pointer { mask: 1, .. })) {}
        drop(s);
        let mut s = Server::accept(second.unwrap()).await;
        while let Some(said) = s.next().await {
            tell.send(said).unwrap();
        }
    });
    let d = desktop(ours, healing()).await;
    let at = mosdat::desktop::Point::new(5, 6);
    let _ = d.press(at, mosdat::desktop::Button::Left).await;
    let pointer = |mask| crate::bad_server::Said::Pointer { mask, x: 5, y: 6 };
    assert_eq!(
        [told.recv().await, told.recv().await],
        [Some(pointer(1)), Some(pointer(0))]
    );
}

/// The handshake works each time, and nothing after it.
#[tokio::test]
async fn links_that_die_at_once_are_one_trouble() {
    let dialled = Arc::new(AtomicU32::new(0));
    let count = dialled.clone();
    let dial = move || {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(async move { drop(Server::accept(theirs).await) });
            Ok((Box::new(ours) as Box<dyn Stream>, Auth::None))
        }
    };
    let options = Options {
        heal: Duration::from_secs(3),
        ..healing()
    };
    let d = Desktop::connect(dial, options).await.unwrap();
    let error = d.capture_within(Duration::from_secs(60)).await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error}");
    // 0.2 s, 0.4, 0.8, 1.6 s: never again and again without a pause.
    let times = dialled.load(Ordering::SeqCst);
    assert!((3..=7).contains(&times), "{times}");
}

#[tokio::test]
async fn a_link_that_stays_away_ends_the_session_with_the_reason() {
    let (ours, [only]) = pairs();
    tokio::spawn(async move { drop(Server::accept(only.unwrap()).await) });
    let short = Options {
        heal: Duration::from_millis(700),
        ..healing()
    };
    let d = desktop(ours, short).await;
    let error = d.capture().await.unwrap_err().to_string();
    assert!(
        error.contains("no tickets left") && error.contains("could not be opened anew"),
        "{error}"
    );
    assert!(matches!(d.key("a").await, Err(Error::Closed { .. })));
}

#[tokio::test]
async fn a_capture_that_cannot_wait_says_that_the_link_is_down() {
    let (ours, [only]) = pairs();
    tokio::spawn(async move { drop(Server::accept(only.unwrap()).await) });
    let d = desktop(ours, healing()).await;
    let error = d.capture_within(Duration::from_millis(400)).await.unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error}");
    // Closing does not wait for the link to come back.
    let start = Instant::now();
    d.close().await;
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// A relay that can stop to carry bytes, as a network does that loses its route: no FIN, no RST.
struct Relay {
    address: std::net::SocketAddr,
    open: Arc<AtomicBool>,
    accepted: Arc<AtomicU32>,
}

impl Relay {
    async fn to(socket: std::path::PathBuf) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Relay {
            address: listener.local_addr().unwrap(),
            open: Arc::new(AtomicBool::new(true)),
            accepted: Arc::default(),
        };
        let (open, accepted) = (relay.open.clone(), relay.accepted.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let server = tokio::net::UnixStream::connect(&socket).await.unwrap();
                // A connection that was made while the route is lost leads nowhere for ever.
                let mine = Arc::new(AtomicBool::new(open.load(Ordering::SeqCst)));
                let ((cr, cw), (sr, sw)) = (client.into_split(), server.into_split());
                tokio::spawn(carry(cr, sw, open.clone(), mine.clone()));
                tokio::spawn(carry(sr, cw, open.clone(), mine));
            }
        });
        relay
    }
}

async fn carry(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    open: Arc<AtomicBool>,
    mine: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 65536];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if !open.load(Ordering::SeqCst) {
            mine.store(false, Ordering::SeqCst);
        }
        if mine.load(Ordering::SeqCst) && to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
    // Held open: the other side is not told.
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_route_is_noticed_and_healed() {
    let x = Xserver::start("640x480").await;
    let relay = Relay::to(x.dir.path().join("rfb")).await;
    let address = relay.address;
    let dial = move || async move {
        let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
        Ok((Box::new(stream) as Box<dyn Stream>, Auth::None))
    };
    let d = Desktop::connect(dial, healing()).await.unwrap();
    assert_same(&d.capture().await.unwrap(), &x);
    relay.open.store(false, Ordering::SeqCst);
    let error = d.capture_within(Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error}");
    relay.open.store(true, Ordering::SeqCst);
    let frame = d.capture_within(Duration::from_secs(15)).await.unwrap();
    assert_same(&frame, &x);
    assert!(frame.link.reopened >= 1 && relay.accepted.load(Ordering::SeqCst) >= 2);
}

/// Also while nobody asks for a picture: a wait for a still one would otherwise take silence for stillness.
#[tokio::test(flavor = "multi_thread")]
async fn silence_is_not_stillness() {
    let x = Xserver::start("640x480").await;
    let relay = Relay::to(x.dir.path().join("rfb")).await;
    let address = relay.address;
    let dial = move || async move {
        let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
        Ok((Box::new(stream) as Box<dyn Stream>, Auth::None))
    };
    let d = Desktop::connect(dial, healing()).await.unwrap();
    d.capture().await.unwrap();
    let settling = {
        let d = d.clone();
        tokio::spawn(async move { d.settle(Duration::from_secs(4), Duration::from_secs(30)).await })
    };
    sleep(Duration::from_millis(300)).await;
    relay.open.store(false, Ordering::SeqCst);
    wait_for("the link to be given up", 10, || {
        (relay.accepted.load(Ordering::SeqCst) >= 2).then_some(())
    })
    .await;
    relay.open.store(true, Ordering::SeqCst);
    let settled = settling.await.unwrap().unwrap();
    assert!(settled.frame.link.reopened >= 1);
    assert_same(&settled.frame, &x);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_a_stall_and_goes_on() {
    let x = Xserver::start("640x480").await;
    let socket = x.dir.path().join("rfb");
    let dial = move || {
        let socket = socket.clone();
        async move {
            let stream = tokio::net::UnixStream::connect(socket)
                .await
                .map_err(|e| e.to_string())?;
            Ok((Box::new(stream) as Box<dyn Stream>, Auth::None))
        }
    };
    let d = Desktop::connect(dial, healing()).await.unwrap();
    d.capture().await.unwrap();
    x.signal(libc::SIGSTOP);
    let error = d.capture_within(Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error}");
    x.signal(libc::SIGCONT);
    let frame = d.capture_within(Duration::from_secs(15)).await.unwrap();
    assert_same(&frame, &x);
    assert!(frame.link.reopened >= 1);
    // A short stop is only a stall.
    let before = d.link().reopened;
    let slow = Options {
        silence: Duration::from_secs(20),
        ..healing()
    };
    let patient = x.desktop_with(slow).await;
    patient.capture().await.unwrap();
    x.signal(libc::SIGSTOP);
    let late = {
        let patient = patient.clone();
        tokio::spawn(async move { patient.capture().await })
    };
    sleep(Duration::from_millis(1500)).await;
    x.signal(libc::SIGCONT);
    let frame = late.await.unwrap().unwrap();
    assert!(frame.stalled && frame.link.reopened == 0);
    assert!(d.link().reopened >= before);
}

/// The guest changes its resolution while the link is away: the new link tells the new size.
#[tokio::test]
async fn a_link_may_come_back_with_another_size() {
    let (ours, [first, second]) = pairs();
    tokio::spawn(async move {
        drop(Server::accept(first.unwrap()).await);
        let mut s = Server::accept(second.unwrap()).await;
        let mut resize = vec![0, 0, 0, 2];
        resize.extend([0u16, 0, W, 10].iter().flat_map(|v| v.to_be_bytes()));
        resize.extend((-223i32).to_be_bytes());
        resize.extend(raw(0, 10, 3));
        s.stream.write_all(&resize).await.unwrap();
        loop {
            s.request().await;
            s.paint(0, 10, 4).await;
        }
    });
    let d = desktop(ours, healing()).await;
    let frame = d.capture().await.unwrap();
    assert_eq!((frame.width(), frame.height(), values(&frame)), (40, 10, vec![4]));
}
