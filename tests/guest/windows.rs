//! Windows by their title, on a real X server and where there is none.

use super::api::{guest, me_here};
use mosdat::guest::{App, Error, Session, Sight, awaits_window, has_window, windows_now};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that is killed and reaped on drop.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn session(leader: &str, env: &[(&str, &str)]) -> Session {
    Session {
        user: me_here(),
        leader: leader.into(),
        env: env.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        machine: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_wayland_session_only_x_clients_can_be_seen() {
    let (guest, _) = guest().await;
    let dir = tempfile::tempdir().unwrap();
    let server = Command::new("Xvnc")
        .args([
            "-displayfd",
            "1",
            "-SecurityTypes",
            "None",
            "-ac",
            "-nolisten",
            "tcp",
            "-rfbport",
            "-1",
        ])
        .arg("-rfbunixpath")
        .arg(dir.path().join("rfb"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvnc is installed");
    let mut server = Process(server);
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let display = format!(":{}", line.trim());
    let sessions = [
        (session("openbox", &[("DISPLAY", &display)]), Sight::NotShown),
        (session("labwc", &[("DISPLAY", &display)]), Sight::Unknown),
        (
            session("gnome-shell", &[("DISPLAY", &display), ("XDG_SESSION_TYPE", "wayland")]),
            Sight::Unknown,
        ),
        (
            session("plasmashell", &[("DISPLAY", &display), ("WAYLAND_DISPLAY", "own")]),
            Sight::Unknown,
        ),
    ];
    for (session, absent) in &sessions {
        assert_eq!(
            has_window(&guest, session, "My (window)").await.unwrap(),
            *absent,
            "{session:?}"
        );
    }
    let window = Command::new("xterm")
        .args(["-T", "My (window) - edited", "-e", "sleep", "60"])
        .env("DISPLAY", &display)
        .stderr(Stdio::null())
        .spawn();
    let _window = Process(window.expect("xterm is installed"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while has_window(&guest, &sessions[0].0, "My (window)").await.unwrap() != Sight::Shown {
        assert!(Instant::now() < deadline, "no window");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (session, _) in &sessions {
        assert_eq!(has_window(&guest, session, "My (window)").await.unwrap(), Sight::Shown);
    }
    // It is no window of a program that is started now; another one is.
    let session = &sessions[0].0;
    let before = windows_now(&guest, session, "My (window)").await.unwrap();
    assert!(!before.is_empty());
    let dir = tempfile::tempdir().unwrap();
    let app = App {
        name: "xterm".into(),
        dir: dir.path().display().to_string(),
        pid: 0,
    };
    // Nobody waits for the window of a program that has ended: one look.
    std::fs::write(dir.path().join("exit"), "0").unwrap();
    let sight = async || {
        awaits_window(&guest, session, "my (WINDOW)", &app, &before)
            .await
            .unwrap()
    };
    assert_eq!(sight().await, Sight::NotShown);
    let another = Command::new("xterm")
        .args(["-T", "My (window) - another", "-e", "sleep", "60"])
        .env("DISPLAY", &display)
        .stderr(Stdio::null())
        .spawn();
    let _another = Process(another.expect("xterm is installed"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while sight().await != Sight::Shown {
        assert!(Instant::now() < deadline, "no other window");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_that_cannot_be_reached_is_no_missing_window() {
    let (guest, api) = guest().await;
    // No server has such a number.
    let unreachable = session("openbox", &[("DISPLAY", ":64999")]);
    let error = has_window(&guest, &unreachable, "x").await.unwrap_err();
    assert!(
        matches!(&error, Error::BrokenTool { why, .. } if !why.is_empty()),
        "{error}"
    );
    let wayland = session("weston", &[("DISPLAY", ":64999")]);
    assert!(matches!(
        has_window(&guest, &wayland, "x").await,
        Err(Error::BrokenTool { .. })
    ));
    let none = session("openbox", &[("XDG_RUNTIME_DIR", "/run/user/1000")]);
    let error = has_window(&guest, &none, "x").await.unwrap_err();
    assert!(error.to_string().contains("no DISPLAY"), "{error}");
    assert_eq!(
        has_window(&guest, &session("sway", &[]), "x").await.unwrap(),
        Sight::Never
    );

    // The same with wmctrl alone, which fails where it reaches no display.
    let dir = tempfile::tempdir().unwrap();
    for tool in ["setsid", "id", "getent", "grep"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{tool}"), dir.path().join(tool)).unwrap();
    }
    *api.path.lock().unwrap() = Some(dir.path().display().to_string());
    let session = session("openbox", &[("DISPLAY", ":64999")]);
    assert!(matches!(
        has_window(&guest, &session, "x").await,
        Err(Error::NoTool { .. })
    ));
    let path = dir.path().join("wmctrl");
    for (script, found) in [
        ("echo 'Cannot open display.' >&2; exit 1", None),
        ("echo '0x1 0 7 0 0 300 200 host My title'", Some(Sight::Shown)),
        // What stands before the title is not of it.
        ("echo '0x1 0 7 0 0 300 200 Title Other'", Some(Sight::NotShown)),
    ] {
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        match (has_window(&guest, &session, "Title").await, found) {
            (Ok(sight), Some(wanted)) => assert_eq!(sight, wanted),
            (Err(Error::BrokenTool { why, .. }), None) => assert!(why.contains("Cannot open display"), "{why}"),
            (other, _) => panic!("{other:?}"),
        }
    }
}
