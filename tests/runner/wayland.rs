//! A real Wayland compositor (weston, without a screen), with an X server for old programs and without: what a launched
//! GTK program finds there with each display profile, and what is known of its windows. The guest is this machine, over a
//! real sshd; the session is an unprivileged user's. No other desktop of such a user may run here.

use super::doubles::{Ran, run};
use super::sshd::Sshd;
use mosdat::api::RunResult;
use mosdat::guest::{Guest, Query, Session, Sight, discover, has_window, nodes};
use mosdat::results::{Body, Evidence};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Says what it is shown on, or that there is nothing.
const ASKS: &str = r#"
import gi
gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, Gtk
Gtk.init_check(None)
display = Gdk.Display.get_default()
print("shown on", display.__gtype__.name if display else "nothing")
"#;

/// Shows a window with a button.
const SHOWS: &str = r#"
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gtk
window = Gtk.Window(title="Mosdat native")
window.add(Gtk.Button(label="Press me"))
window.show_all()
Gtk.main()
"#;

/// The first user whom a desktop could belong to.
fn user() -> (String, u32) {
    let find = || {
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let of = |line: &str| {
            let mut fields = line.split(':');
            let (name, id) = (fields.next()?.to_string(), fields.nth(1)?.parse().ok()?);
            (1000..65534).contains(&id).then_some((name, id))
        };
        users.lines().find_map(of)
    };
    find().unwrap_or_else(|| {
        let made = Command::new("useradd").args(["--create-home", "mosdat-test"]).status();
        assert!(made.expect("useradd").success());
        find().expect("the user that was made")
    })
}

/// A running compositor, which ends with all its clients when this is dropped.
struct Weston {
    child: Child,
    dir: tempfile::TempDir,
}

impl Weston {
    fn start((name, id): &(String, u32), more: &[&str]) -> Weston {
        // Xwayland makes its socket there.
        let sockets = Path::new("/tmp/.X11-unix");
        if std::fs::create_dir(sockets).is_ok() {
            std::fs::set_permissions(sockets, std::fs::Permissions::from_mode(0o1777)).unwrap();
        }
        // A server that was killed leaves its own, and weston takes the number all the same.
        for socket in std::fs::read_dir(sockets).unwrap() {
            let socket = socket.unwrap().path();
            let refused = std::os::unix::net::UnixStream::connect(&socket).map_err(|e| e.kind());
            if refused.is_err_and(|kind| kind == std::io::ErrorKind::ConnectionRefused) {
                let _ = std::fs::remove_file(&socket);
            }
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let runtime = dir.path().join("runtime");
        std::fs::create_dir(&runtime).unwrap();
        std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
        chown(&runtime, Some(*id), Some(*id)).unwrap();
        for (file, text) in [("asks.py", ASKS), ("shows.py", SHOWS)] {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        let child = Command::new("setpriv")
            .arg(format!("--reuid={id}"))
            .arg(format!("--regid={id}"))
            .args(["--clear-groups", "dbus-run-session", "--", "weston"])
            .args([
                "--backend=headless-backend.so",
                "--socket=wayland-0",
                "--idle-time=0",
                "--no-config",
            ])
            .args(more)
            .env_clear()
            .envs([
                ("PATH", "/usr/bin:/bin"),
                ("HOME", "/tmp"),
                ("XDG_SESSION_TYPE", "wayland"),
            ])
            .envs([("USER", name.as_str())])
            .env("XDG_RUNTIME_DIR", &runtime)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("log")).unwrap())
            .process_group(0)
            .spawn()
            .expect("setpriv is there");
        Weston { child, dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The session, once it has all these.
    async fn session(&self, guest: &dyn Guest, names: &[&str]) -> Session {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(session) = discover(guest, Duration::ZERO).await
                && names.iter().all(|name| session.env.contains_key(*name))
            {
                return session;
            }
            let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "no session with {names:?}: {log}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The program with each of these displays, in one run.
    async fn asked(&self, guest: &Arc<dyn Guest>, displays: &[&str]) -> Ran {
        let steps = displays.iter().map(|display| {
            let file = self.file("asks.py");
            format!(
                "  - {{id: {display}, launch: {{command: /usr/bin/python3 {}, display: {display}}}, \
                 verify: {{exited: 0}}, timeout: 60s}}\n",
                file.display()
            )
        });
        let text = format!("name: t\nsteps:\n{}", steps.collect::<String>());
        run(&text, |w| w.guest = Some(guest.clone())).await
    }
}

impl Drop for Weston {
    fn drop(&mut self) {
        let signal = |signal| {
            // SAFETY: a plain system call on the group that this very child leads.
            unsafe { libc::kill(-(self.child.id() as i32), signal) }
        };
        // Asked first: then it takes its sockets away.
        signal(libc::SIGTERM);
        let (deadline, socket) = (Instant::now() + Duration::from_secs(5), self.file("runtime/wayland-0"));
        while socket.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        signal(libc::SIGKILL);
        let _ = self.child.wait();
    }
}

/// What the program said, by the step that found its end.
fn said(ran: &Ran) -> Vec<String> {
    let item = |event: &mosdat::results::Event| match &event.body {
        Body::Evidence {
            step,
            item: Evidence::App { output, state, .. },
        } if state.starts_with("ended") => {
            // What comes behind it, GTK has to say of a desktop without a keyboard.
            Some(format!("{step}: {}", output.lines().next().unwrap_or_default()))
        }
        _ => None,
    };
    ran.events.iter().filter_map(item).collect()
}

async fn sees(guest: &dyn Guest, session: &Session, title: &str, wanted: Sight) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let sight = has_window(guest, session, title).await.unwrap();
        if sight == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{title}: {sight:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_display_is_what_it_says() {
    let user = user();
    let sshd = Sshd::start().await;
    // What is launched leaves its files there.
    let files = tempfile::tempdir().unwrap();
    std::fs::set_permissions(files.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    sshd.configure(&format!("SetEnv TMPDIR={}", files.path().display()));
    let guest: Arc<dyn Guest> = Arc::new(sshd.guest());

    let weston = Weston::start(&user, &["--xwayland"]);
    let session = weston.session(guest.as_ref(), &["DISPLAY", "WAYLAND_DISPLAY"]).await;
    assert_eq!(
        (session.user.as_str(), session.leader.as_str()),
        (user.0.as_str(), "weston")
    );
    assert_eq!(session.env["WAYLAND_DISPLAY"], "wayland-0");
    let displays = [
        "session",
        "x11",
        "xwayland",
        "wayland",
        "wayland-fake",
        "wayland-nodisp",
        "none",
    ];
    let ran = weston.asked(&guest, &displays).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert_eq!(
        said(&ran),
        [
            "session: shown on GdkWaylandDisplay",
            "x11: shown on GdkX11Display",
            "xwayland: shown on GdkX11Display",
            "wayland: shown on GdkWaylandDisplay",
            // The program goes on to the X server.
            "wayland-fake: shown on GdkX11Display",
            // Its library tries the usual name.
            "wayland-nodisp: shown on GdkWaylandDisplay",
            "none: shown on nothing",
        ]
    );

    // A window of the compositor's own clients is there, and cannot be known; its elements are told.
    let native = [
        "/usr/bin/python3".to_string(),
        weston.file("shows.py").display().to_string(),
    ];
    let query = Query {
        roles: vec!["push button".into(), "button".into()],
        name: String::new(),
        app: "shows.py".into(),
        hidden: false,
    };
    // The first look switches accessibility on, for programs that are started after it.
    nodes(guest.as_ref(), &session, &query).await.unwrap();
    let app = mosdat::guest::launch(guest.as_ref(), &session, &native).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let tree = nodes(guest.as_ref(), &session, &query).await.unwrap();
        if tree
            .nodes
            .iter()
            .any(|node| node.name == "Press me" && node.pid == app.pid)
        {
            break;
        }
        assert!(Instant::now() < deadline, "{:?}", tree.nodes);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sees(guest.as_ref(), &session, "Mosdat native", Sight::Unknown).await;
    let mut old = session.clone();
    old.env.insert("WAYLAND_DISPLAY".into(), String::new());
    let old = mosdat::guest::launch(guest.as_ref(), &old, &native).await.unwrap();
    assert_ne!(old.pid, app.pid);
    sees(guest.as_ref(), &session, "Mosdat native", Sight::Shown).await;
    drop(weston);

    // Without the X server: a program for it has none, and no window can be known or will come.
    let weston = Weston::start(&user, &[]);
    let session = weston.session(guest.as_ref(), &["WAYLAND_DISPLAY"]).await;
    assert_eq!(session.env.get("DISPLAY"), None);
    sees(guest.as_ref(), &session, "Mosdat native", Sight::Never).await;
    let ran = weston.asked(&guest, &["session", "wayland", "none"]).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert_eq!(
        said(&ran),
        [
            "session: shown on GdkWaylandDisplay",
            "wayland: shown on GdkWaylandDisplay",
            "none: shown on nothing",
        ]
    );
    for display in ["x11", "xwayland", "wayland-fake", "wayland-nodisp"] {
        let ran = weston.asked(&guest, &[display]).await;
        assert_eq!(
            (ran.outcome.result, ran.reason()),
            (RunResult::Error, "NoSuchDisplay"),
            "{display}"
        );
        assert!(ran.message().contains("led by weston"), "{}", ran.message());
    }
}
