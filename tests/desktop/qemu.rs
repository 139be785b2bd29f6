//! QEMU's VNC server, showing the firmware's screen of a machine without any guest.

use std::process::Command;
use std::time::{Duration, Instant};

use mosdat::desktop::{Auth, Desktop, Encoding, Frame, Layout, Options};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::processes::{Process, wait_for};

struct Machine {
    dir: TempDir,
    media: Option<TempDir>,
    _process: Process,
}

/// A boot sector that echoes: waits for a key from the firmware, writes its character to the debug port and to the
/// screen, and starts again.
const ECHO: [u8; 15] = [
    0x31, 0xc0, // xor ax, ax
    0xcd, 0x16, // int 0x16
    0xe6, 0xe9, // out 0xe9, al
    0xb4, 0x0e, // mov ah, 0x0e
    0xbb, 0x07, 0x00, // mov bx, 7
    0xcd, 0x10, // int 0x10
    0xeb, 0xf1, // jmp to the start
];

impl Machine {
    async fn start(vnc_options: &str) -> Machine {
        Machine::start_with(vnc_options, &[]).await
    }

    /// A machine that boots [`ECHO`] and has a PS/2 keyboard; what it reads comes in the file `echo`.
    async fn start_echo() -> Machine {
        let dir = TempDir::new().unwrap();
        let mut sector = ECHO.to_vec();
        sector.resize(510, 0);
        sector.extend([0x55, 0xaa]);
        std::fs::write(dir.path().join("disk"), sector).unwrap();
        let disk = format!("format=raw,if=ide,file={}", dir.path().join("disk").display());
        let echo = format!("file:{}", dir.path().join("echo").display());
        let machine = Machine::start_with("", &["-drive", &disk, "-debugcon", &echo]).await;
        Machine {
            media: Some(dir),
            ..machine
        }
    }

    async fn start_with(vnc_options: &str, more: &[&str]) -> Machine {
        let dir = TempDir::new().unwrap();
        let socket = dir.path().join("vnc");
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
                .args(more)
                .args(["-vnc", &format!("unix:{}{vnc_options}", socket.display())])
                .args([
                    "-qmp",
                    &format!("unix:{},server=on,wait=off", dir.path().join("qmp").display()),
                ]),
        );
        wait_for("QEMU's VNC socket", 20, || socket.exists().then_some(())).await;
        Machine {
            dir,
            media: None,
            _process: process,
        }
    }

    async fn stream(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("vnc")).await.unwrap()
    }

    /// Commands on QEMU's own control socket, each answered before the next is sent.
    async fn qmp(&self, commands: &[serde_json::Value]) {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
        let stream = UnixStream::connect(self.dir.path().join("qmp")).await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        lines.next_line().await.unwrap();
        let hello = serde_json::json!({"execute": "qmp_capabilities"});
        for command in std::iter::once(&hello).chain(commands) {
            write.write_all(command.to_string().as_bytes()).await.unwrap();
            loop {
                let line = lines.next_line().await.unwrap().unwrap();
                assert!(!line.contains("\"error\""), "{line}");
                if line.contains("\"return\"") {
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_firmware_screen_equals_qemus_screendump() {
    let m = Machine::start("").await;
    for encodings in [
        &[Encoding::Tight],
        &[Encoding::Zrle],
        &[Encoding::Zlib],
        &[Encoding::Hextile],
        &[Encoding::Raw],
    ] {
        let options = Options {
            encodings,
            ..Options::default()
        };
        let d = Desktop::open_with(m.stream().await, Auth::None, options).await.unwrap();
        // The firmware switches the mode and prints; wait until it gives up looking for something to boot.
        let still = d
            .settle(Duration::from_millis(1500), Duration::from_secs(30))
            .await
            .unwrap();
        assert!(still.still, "still moving at {:?}", still.moving);
        let mut times = Vec::new();
        let mut frame = still.frame.clone();
        for _ in 0..8 {
            let start = Instant::now();
            frame = d.capture().await.unwrap();
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        times.sort();
        let (w, h) = d.size();
        println!(
            "capture QEMU {w}x{h} {encodings:?}: median {:?}, min {:?}",
            times[4], times[0]
        );
        let file = m.dir.path().join("dump.png");
        let arguments = serde_json::json!({"filename": file, "format": "png"});
        m.qmp(&[serde_json::json!({"execute": "screendump", "arguments": arguments})])
            .await;
        let truth = image::open(&file).unwrap().to_rgba8();
        assert!(truth.pixels().any(|p| p.0[0] > 100), "the firmware prints something");
        // The firmware's blinking text cursor, one character wide, may differ.
        let difference = Frame::from_image(truth).difference(&frame);
        assert!(
            difference.is_none_or(|r| r.width <= 9 && r.height <= 16),
            "differs at {difference:?}"
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
async fn passwords_open_and_refuse() {
    let m = Machine::start(",password=on").await;
    let arguments = serde_json::json!({"protocol": "vnc", "password": "s3cret!x"});
    m.qmp(&[serde_json::json!({"execute": "set_password", "arguments": arguments})])
        .await;
    let open = async |auth| Desktop::open(m.stream().await, auth).await;
    // Only eight bytes count, as with a Proxmox ticket.
    let d = open(Auth::Password(SecretString::from("s3cret!x and more")))
        .await
        .unwrap();
    assert!(d.capture().await.unwrap().width() > 0);
    let refused = open(Auth::Password(SecretString::from("wrong")))
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("refused") && !refused.contains("wrong"), "{refused}");
    let missing = open(Auth::None).await.err().unwrap().to_string();
    assert!(missing.contains("no password was given"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_printable_ascii_arrives_in_a_machine() {
    let m = Machine::start_echo().await;
    let file = m.media.as_ref().unwrap().path().join("echo");
    let d = Desktop::open(m.stream().await, Auth::None).await.unwrap();
    let booted = d
        .settle(Duration::from_millis(1500), Duration::from_secs(30))
        .await
        .unwrap();
    let all: String = (' '..='~').collect();
    d.type_text(&all).await.unwrap();
    d.type_text("\n").await.unwrap();
    let got = wait_for("the echo", 20, || {
        std::fs::read(&file).ok().filter(|t| t.ends_with(b"\r"))
    })
    .await;
    assert_eq!(String::from_utf8_lossy(&got).trim_end(), all);
    // A key is on the screen of the first frame that is asked for once the guest has it: no older frame is given.
    let before = d.capture().await.unwrap();
    assert!(before.difference(&booted.frame).is_some());
    let length = got.len();
    for (i, key) in ["x", "y", "shift+z"].iter().enumerate() {
        let before = d.capture().await.unwrap();
        d.key(key).await.unwrap();
        let start = Instant::now();
        wait_for("the key", 5, || {
            (std::fs::read(&file).unwrap().len() > length + i).then_some(())
        })
        .await;
        // The debug port is written before the screen, in the same few instructions; the display follows its timer.
        let mut frames = 0;
        while d
            .capture()
            .await
            .unwrap()
            .difference(&before)
            .is_none_or(|r| r.width < 5)
        {
            frames += 1;
            assert!(start.elapsed() < Duration::from_secs(5), "the key never shows");
        }
        println!("key {key} to frame: {:?}, {frames} frames without it", start.elapsed());
    }
}

/// With keysyms QEMU mends what Caps Lock turns around; keys by their scan codes it leaves as they are.
#[tokio::test(flavor = "multi_thread")]
async fn caps_lock_turns_nothing_around_in_a_machine() {
    for layout in [None, Some(Layout::EnUs)] {
        let m = Machine::start_echo().await;
        let file = m.media.as_ref().unwrap().path().join("echo");
        let options = Options {
            layout,
            ..Options::default()
        };
        let d = Desktop::open_with(m.stream().await, Auth::None, options).await.unwrap();
        d.settle(Duration::from_millis(1500), Duration::from_secs(30))
            .await
            .unwrap();
        d.key("capslock").await.unwrap();
        // The firmware sets the lights when a key has been read.
        d.key("space").await.unwrap();
        wait_for("the light", 10, || d.leds().filter(|l| l.caps_lock)).await;
        let text = "Grand Total: 17 apples & 3 PEARS";
        d.type_text(text).await.unwrap();
        d.type_text("\n").await.unwrap();
        let got = wait_for("the echo", 20, || {
            std::fs::read(&file).ok().filter(|t| t.ends_with(b"\r"))
        })
        .await;
        assert_eq!(String::from_utf8_lossy(&got).trim(), text, "{layout:?}");
    }
}
