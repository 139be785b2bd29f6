//! Full pictures of VNC screens against other clients, on the same server in the same run (`make bench`).
//!
//! QEMU shows a pattern that a boot sector has drawn, Xvnc a terminal. Prints medians, and the ratio to the better of
//! asyncvnc and vncdotool (at least 3 is aimed at); bytes on the wire against raw pixels; the latency from a key to
//! the picture that shows it; and what 50 sessions in one process cost.

#[allow(dead_code)]
#[path = "../tests/desktop/processes.rs"]
mod processes;
#[allow(dead_code)]
#[path = "../tests/desktop/xserver.rs"]
mod xserver;

use mosdat::desktop::{Auth, Button, Desktop, Encoding, Options, Point};
use processes::{Process, wait_for};
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use xserver::Xserver;

const WARM: usize = 3;
const COUNT: usize = 15;
const SESSIONS: usize = 50;

#[tokio::main]
async fn main() {
    for (width, height) in [(1280, 800), (1920, 1080)] {
        let port = free_port();
        let mut x = Xserver::start_with(
            &format!("{width}x{height}"),
            &["-rfbport", &port.to_string(), "-localhost"],
        )
        .await;
        show_text(&mut x).await;
        compare("Xvnc", width, height, port).await;
        latency(&x, width, height).await;
        if width == 1280 {
            many(port).await;
        }
        animation(&mut x, width, height).await;
        drop(x);
        let (machine, port) = qemu(width, height).await;
        compare("QEMU", width, height, port).await;
        drop(machine);
    }
}

fn line(what: &str, value: String) {
    println!("{what:<58} {value:>12}");
}

fn median(mut all: Vec<f64>) -> f64 {
    all.drain(..WARM.min(all.len()));
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn compare(server: &str, width: u32, height: u32, port: u16) {
    let what = |client: &str| format!("{server} {width}x{height}, {client}");
    let theirs: Vec<f64> = ["asyncvnc", "vncdotool"]
        .iter()
        .map(|client| {
            let ms = median(peer(client, port));
            line(&what(client), format!("{ms:.1} ms"));
            ms
        })
        .collect();
    let best = theirs.into_iter().fold(f64::INFINITY, f64::min);
    let floor = floor(port, width, height).await;
    line(&what("raw bytes read and thrown away"), format!("{floor:.1} ms"));
    line(
        "  no client can be more times as fast as",
        format!("{:.1}", best / floor),
    );
    for compressed in [false, true] {
        let bytes = Arc::new(AtomicU64::new(0));
        let options = Options {
            encodings: match compressed {
                true => Encoding::COMPRESSED,
                false => Encoding::LOCAL,
            },
            ..Options::default()
        };
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connect");
        stream.set_nodelay(true).expect("socket option");
        let stream = Counted(stream, bytes.clone());
        let d = Desktop::open_with(stream, Auth::None, options).await.expect("session");
        let mut times = Vec::new();
        let mut sent = 0;
        for i in 0..WARM + COUNT {
            if i == WARM {
                sent = bytes.load(Ordering::Relaxed);
            }
            let begun = Instant::now();
            let frame = d.capture().await.expect("frame");
            assert_eq!((frame.width(), frame.height()), (width, height));
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        let each = (bytes.load(Ordering::Relaxed) - sent) as f64 / COUNT as f64;
        let ms = median(times);
        let how = if compressed {
            "mosdat, compressed"
        } else {
            "mosdat, raw"
        };
        line(&what(how), format!("{ms:.1} ms"));
        line(
            "  times as fast as the better of the others",
            format!("{:.1}", best / ms),
        );
        line(
            "  bytes on the wire, share of raw pixels",
            format!("{:.2} %", 100.0 * each / f64::from(width * height * 4)),
        );
        d.close().await;
    }
}

/// What the server and the socket take by themselves: a full update in raw pixels, read and not looked at; median, ms.
async fn floor(port: u16, width: u32, height: u32) -> f64 {
    let mut s = TcpStream::connect(("127.0.0.1", port)).await.expect("connect");
    s.set_nodelay(true).expect("nodelay");
    let mut some = [0u8; 64];
    s.read_exact(&mut some[..12]).await.expect("version");
    s.write_all(b"RFB 003.008\n").await.expect("version");
    s.read_exact(&mut some[..1]).await.expect("security types");
    let types = usize::from(some[0]);
    s.read_exact(&mut some[..types]).await.expect("security types");
    s.write_all(&[1]).await.expect("none");
    s.read_exact(&mut some[..4]).await.expect("result");
    s.write_all(&[1]).await.expect("shared");
    s.read_exact(&mut some[..24]).await.expect("init");
    let name = u32::from_be_bytes([some[20], some[21], some[22], some[23]]) as usize;
    s.read_exact(&mut vec![0; name]).await.expect("name");
    // SetEncodings: raw alone.
    s.write_all(&[2, 0, 0, 1, 0, 0, 0, 0]).await.expect("encodings");
    let (w, h) = (width as u16, height as u16);
    let mut request = vec![3, 0, 0, 0, 0, 0];
    request.extend(w.to_be_bytes());
    request.extend(h.to_be_bytes());
    let mut pixels = vec![0u8; (width * height * 4) as usize];
    let mut times = Vec::new();
    for _ in 0..WARM + COUNT {
        let begun = Instant::now();
        s.write_all(&request).await.expect("request");
        let mut left = width * height;
        while left > 0 {
            s.read_exact(&mut some[..4]).await.expect("update");
            assert_eq!(some[0], 0, "an update");
            for _ in 0..u16::from_be_bytes([some[2], some[3]]) {
                s.read_exact(&mut some[..12]).await.expect("rectangle");
                let area = u32::from(u16::from_be_bytes([some[4], some[5]]))
                    * u32::from(u16::from_be_bytes([some[6], some[7]]));
                s.read_exact(&mut pixels[..area as usize * 4]).await.expect("pixels");
                left -= area.min(left);
            }
        }
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    median(times)
}

/// Times of another client, in ms.
fn peer(client: &str, port: u16) -> Vec<f64> {
    let python = std::env::var("MOSDAT_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers.py");
    let out = Command::new(python)
        .args([
            script,
            client,
            "127.0.0.1",
            &port.to_string(),
            &(WARM + COUNT).to_string(),
        ])
        .output()
        .expect("python");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success(),
        "{client}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    text.lines().filter_map(|l| l.parse().ok()).collect()
}

async fn show_text(x: &mut Xserver) {
    x.run(
        "xterm",
        &[
            "-geometry",
            "150x45+20+20",
            "-T",
            "text",
            "-e",
            "sh",
            "-c",
            "ls -l /usr/bin | head -44; cat",
        ],
    );
    x.window("text").await;
}

/// From a key to the picture that shows it, painted by the terminal.
async fn latency(x: &Xserver, width: u32, height: u32) {
    let d = x.desktop().await;
    d.click(Point::new(200, 200), Button::Left, 1).await.expect("click");
    let mut times = Vec::new();
    for _ in 0..WARM + COUNT {
        let settled = d
            .settle(Duration::from_millis(200), Duration::from_secs(5))
            .await
            .expect("settle");
        let begun = Instant::now();
        d.key("x").await.expect("key");
        let seen = d
            .painted_since(settled.frame.version, Duration::from_secs(5))
            .await
            .expect("link");
        assert!(seen.is_some(), "the terminal shows nothing");
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    line(
        &format!("Xvnc {width}x{height}, from a key (held 25 ms) to its pixels"),
        format!("{:.1} ms", median(times)),
    );
    d.close().await;
}

/// Many sessions at once, each capturing as fast as it can.
async fn many(port: u16) {
    let before = resident();
    let mut all = Vec::new();
    for _ in 0..SESSIONS {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connect");
        all.push(Desktop::open(stream, Auth::None).await.expect("session"));
    }
    let begun = Instant::now();
    let each = all.iter().map(|d| {
        let d = d.clone();
        tokio::spawn(async move {
            let mut frames = 0;
            while begun.elapsed() < Duration::from_secs(10) {
                d.capture_within(Duration::from_secs(60)).await.expect("frame");
                frames += 1;
            }
            frames
        })
    });
    let mut frames = 0;
    for task in each.collect::<Vec<_>>() {
        frames += task.await.expect("session");
    }
    let rate = f64::from(frames) / begun.elapsed().as_secs_f64();
    line(
        &format!("{SESSIONS} sessions at 1280x800: frames per second in all"),
        format!("{rate:.0}"),
    );
    let more = resident().saturating_sub(before) as f64 / SESSIONS as f64 / 1e6;
    line("  memory per session (one picture has 4.1 MB)", format!("{more:.1} MB"));
}

/// A terminal that is full of new text 25 times a second, watched for some seconds, each change captured whole.
async fn animation(x: &mut Xserver, width: u32, height: u32) {
    let text = "while :; do head -c 6000 /dev/urandom | base64 -w 140; sleep 0.04; done";
    x.run(
        "xterm",
        &["-geometry", "150x45+20+20", "-T", "moving", "-e", "sh", "-c", text],
    );
    x.window("moving").await;
    let d = x.desktop().await;
    let mut version = d.capture().await.expect("frame").version;
    let (begun, used, mut frames) = (Instant::now(), cpu(), 0);
    while begun.elapsed() < Duration::from_secs(8) {
        let painted = d.painted_since(version, Duration::from_secs(5)).await.expect("link");
        assert!(painted.is_some(), "nothing moves");
        version = d.capture().await.expect("frame").version;
        frames += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let rate = f64::from(frames) / seconds;
    line(
        &format!("Xvnc {width}x{height}, an animation: pictures per second"),
        format!("{rate:.1}"),
    );
    let busy = (cpu() - used) / seconds;
    line("  share of one core that this took", format!("{:.1} %", 100.0 * busy));
    d.close().await;
}

/// CPU seconds of this process (fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kb: u64 = line
        .and_then(|l| l.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or(0);
    kb * 1024
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("address").port()
}

/// A machine whose boot sector sets the display's mode (Bochs VBE registers) and fills it with a pattern.
async fn qemu(width: u32, height: u32) -> (Process, u16) {
    let dir = tempfile::tempdir().expect("folder");
    let disk = dir.path().join("disk");
    let mut sector = boot_sector(width as u16, height as u16);
    assert!(sector.len() <= 510);
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    std::fs::write(&disk, sector).expect("disk");
    let port = loop {
        let port = free_port();
        if port > 5900 {
            break port;
        }
    };
    let process = Process::start(
        Command::new("qemu-system-x86_64")
            .args([
                "-accel",
                "tcg",
                "-m",
                "32",
                "-nodefaults",
                "-device",
                "VGA",
                "-display",
                "none",
            ])
            .args(["-device", "virtio-tablet-pci", "-boot", "menu=off"])
            .args(["-drive", &format!("format=raw,if=ide,file={}", disk.display())])
            .args(["-vnc", &format!("127.0.0.1:{}", port - 5900)]),
    );
    wait_for("QEMU's VNC server", 20, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    })
    .await;
    let begun = Instant::now();
    loop {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connect");
        let d = Desktop::open(stream, Auth::None).await.expect("session");
        let frame = d
            .settle(Duration::from_millis(500), Duration::from_secs(20))
            .await
            .expect("frame")
            .frame;
        if (frame.width(), frame.height()) == (width, height) {
            // The file is open in QEMU by now.
            drop(dir);
            return (process, port);
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the mode was not set");
    }
}

fn boot_sector(width: u16, height: u16) -> Vec<u8> {
    let mut code = Vec::new();
    let set = |code: &mut Vec<u8>, index: u8, value: u16| {
        // mov dx, 0x1ce; mov ax, index; out dx, ax; inc dx; mov ax, value; out dx, ax
        code.extend([0xba, 0xce, 0x01, 0xb8, index, 0, 0xef, 0x42, 0xb8]);
        code.extend(value.to_le_bytes());
        code.push(0xef);
    };
    for (index, value) in [(4, 0), (1, width), (2, height), (3, 32), (4, 0x41)] {
        set(&mut code, index, value);
    }
    let banks = (u32::from(width) * u32::from(height) * 4).div_ceil(65_536) as u16;
    code.extend([0x31, 0xdb]); // xor bx, bx
    let outer = code.len();
    // The bank: mov dx, 0x1ce; mov ax, 5; out dx, ax; inc dx; mov ax, bx; out dx, ax
    code.extend([0xba, 0xce, 0x01, 0xb8, 5, 0, 0xef, 0x42, 0x89, 0xd8, 0xef]);
    // mov ax, 0xa000; mov es, ax; xor di, di; mov cx, 0x8000
    code.extend([0xb8, 0x00, 0xa0, 0x8e, 0xc0, 0x31, 0xff, 0xb9, 0x00, 0x80]);
    // mov ax, di; xor ax, bx; shr ax, 6; stosw; loop
    code.extend([0x89, 0xf8, 0x31, 0xd8, 0xc1, 0xe8, 0x06, 0xab, 0xe2, 0xf6]);
    code.push(0x43); // inc bx
    code.extend([0x81, 0xfb]); // cmp bx, banks
    code.extend(banks.to_le_bytes());
    code.push(0x72); // jb outer
    code.push((outer as i32 - code.len() as i32 - 1) as i8 as u8);
    code.extend([0xf4, 0xeb, 0xfd]); // hlt; jmp to it
    code
}

/// Counts what is received.
struct Counted(TcpStream, Arc<AtomicU64>);

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(cx, buf);
        self.1
            .fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
