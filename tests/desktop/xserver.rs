//! A real desktop on TigerVNC's Xvnc: an X server whose screen is a VNC server.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use mosdat::desktop::{Auth, Desktop, Options};
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::processes::{Process, wait_for};

pub struct Xserver {
    pub display: String,
    pub dir: TempDir,
    children: Vec<Process>,
    server: Process,
}

impl Xserver {
    /// Starts Xvnc with openbox on a display that the server chooses.
    pub async fn start(geometry: &str) -> Xserver {
        Xserver::start_with(geometry, &[]).await
    }

    /// As [`Xserver::start`], with more options.
    pub async fn start_with(geometry: &str, more: &[&str]) -> Xserver {
        let dir = TempDir::new().unwrap();
        let log = std::fs::File::create(dir.path().join("xvnc.log")).unwrap();
        let mut server = Process::start(
            Command::new("Xvnc")
                .args([
                    "-displayfd",
                    "1",
                    "-geometry",
                    geometry,
                    "-depth",
                    "24",
                    "-SecurityTypes",
                    "None",
                ])
                .args([
                    "-AlwaysShared",
                    "-nolisten",
                    "tcp",
                    "-ac",
                    "-noreset",
                    "-rfbport",
                    "-1",
                    "-rfbunixpath",
                ])
                .arg(dir.path().join("rfb"))
                .args(more)
                .stdout(Stdio::piped())
                .stderr(log),
        );
        let out = server.0.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(move || BufReader::new(out).lines().next())
            .await
            .unwrap();
        let number = line.and_then(Result::ok).unwrap_or_else(|| {
            panic!(
                "Xvnc did not start: {}",
                std::fs::read_to_string(dir.path().join("xvnc.log")).unwrap()
            )
        });
        let mut x = Xserver {
            display: format!(":{}", number.trim()),
            dir,
            children: vec![],
            server,
        };
        let socket = x.dir.path().join("rfb");
        wait_for("Xvnc's socket", 20, || socket.exists().then_some(())).await;
        // Windows that appear before the window manager is ready may stay unmapped.
        let ready = x.dir.path().join("wm-ready");
        x.run("openbox", &["--startup", &format!("touch {}", ready.display())]);
        wait_for("openbox", 20, || ready.exists().then_some(())).await;
        x
    }

    /// Starts a program on this display; its output goes to a file of that name in the directory.
    pub fn run(&mut self, program: &str, args: &[&str]) {
        let log = std::fs::File::create(self.dir.path().join(program)).unwrap();
        let mut command = Command::new(program);
        command
            .args(args)
            .env("DISPLAY", &self.display)
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.dir.path());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.children.push(Process::start(&mut command));
    }

    /// Runs a program to its end and gives its output.
    pub fn ask(&self, program: &str, args: &[&str]) -> Vec<u8> {
        let mut command = Command::new(program);
        command.args(args).env("DISPLAY", &self.display).stdin(Stdio::null());
        command
            .output()
            .unwrap_or_else(|e| panic!("cannot run {program}: {e}"))
            .stdout
    }

    /// Waits for a window of this name and gives its place: x, y, width, height.
    pub async fn window(&self, name: &str) -> (u32, u32, u32, u32) {
        wait_for(&format!("window {name}"), 30, || {
            let id = String::from_utf8(self.ask("xdotool", &["search", "--onlyvisible", "--name", name])).ok()?;
            let id = id.lines().last()?.to_string();
            let text = String::from_utf8(self.ask("xdotool", &["getwindowgeometry", "--shell", &id])).ok()?;
            let get = |key: &str| {
                text.lines()
                    .find_map(|l| l.strip_prefix(key)?.strip_prefix('=')?.parse::<u32>().ok())
            };
            Some((get("X")?, get("Y")?, get("WIDTH")?, get("HEIGHT")?))
        })
        .await
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the child has not been waited for, so its pid is still its own.
        assert_eq!(unsafe { libc::kill(self.server.0.id() as i32, signal) }, 0);
    }

    pub async fn stream(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("rfb")).await.unwrap()
    }

    pub async fn desktop(&self) -> Desktop {
        Desktop::open(self.stream().await, Auth::None).await.unwrap()
    }

    pub async fn desktop_with(&self, options: Options) -> Desktop {
        Desktop::open_with(self.stream().await, Auth::None, options)
            .await
            .unwrap()
    }

    /// The X server's own view of its screen: width, height, RGB.
    pub fn truth(&self) -> (u32, u32, Vec<u8>) {
        let dump = self.ask("xwd", &["-root", "-silent"]);
        let word = |i: usize| u32::from_be_bytes(dump[i * 4..i * 4 + 4].try_into().unwrap());
        let (header, width, height, bits, line, colours) = (word(0), word(4), word(5), word(11), word(12), word(19));
        assert_eq!(
            (bits, word(7)),
            (32, 0),
            "expected 32 bits, least significant byte first"
        );
        let start = (header + colours * 12) as usize;
        let rows = dump[start..].chunks_exact(line as usize).take(height as usize);
        let rgb = rows
            .flat_map(|r| r[..width as usize * 4].chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]]))
            .collect();
        (width, height, rgb)
    }

    /// What ImageMagick makes of the same screen, by its own reading of the server: RGB.
    pub fn second_witness(&self) -> Vec<u8> {
        self.ask("import", &["-silent", "-window", "root", "-depth", "8", "rgb:-"])
    }
}
