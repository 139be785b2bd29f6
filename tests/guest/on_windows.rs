//! A guest that is Windows, as far as that can be without one: what is sent, and what its answers mean.

use super::far::{USER, Windows, World};
use mosdat::guest::{
    self, AppState, Command, Error, Exit, File, Guest, Log, PackageError, Query, Session, Sight, SshGuest, SshKey,
    SshLogin, Tail, What,
};
use std::sync::Arc;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

async fn session(guest: &dyn Guest) -> Session {
    guest::discover(guest, Duration::ZERO).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_end_with_the_codes_of_windows() {
    let mut world = World::default();
    for (text, code) in [("ok", 0), ("three", 3), ("minus", 0xFFFF_FFFF), ("dies", 0xC000_0005)] {
        world
            .commands
            .insert(text.into(), Some((code, "out\n".into(), "err\n".into())));
    }
    let (guest, far) = Windows::start(world).await;
    for (text, exit) in [
        ("ok", Exit::Code(0)),
        ("three", Exit::Code(3)),
        ("minus", Exit::Code(-1)),
        ("dies", Exit::Code(-1_073_741_819)),
    ] {
        let output = guest.exec(Command::script(text, SOON)).await.unwrap();
        assert_eq!(
            (output.exit, output.stdout.as_str(), output.stderr.as_str()),
            (exit, "out\n", "err\n")
        );
    }
    far.check_lines();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_a_script_of_mosdats_is_no_answer() {
    let (guest, far) = Windows::start(World::default()).await;
    let session = session(&guest).await;
    far.world.lock().unwrap().broken = Some("Provider load failure".into());
    let answers = [
        guest::process_runs(&guest, "x").await.map(|_| ()),
        guest::listens(&guest, 80).await.map(|_| ()),
        guest::has_window(&guest, &session, "x").await.map(|_| ()),
        guest::beneath_pointer(&guest, &session).await.map(|_| ()),
        guest::discover(&guest, Duration::ZERO).await.map(|_| ()),
    ];
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(
            matches!(&error, Error::Script { detail, .. } if detail.contains("Provider load failure")),
            "{error}"
        );
    }
    // What a scenario says ends as a shell does.
    far.world
        .lock()
        .unwrap()
        .commands
        .insert("theirs".into(), Some((1, "a\r\nb\r\n".into(), "c\r\n".into())));
    let output = guest.exec(Command::script("theirs", SOON).of_scenario()).await.unwrap();
    assert!(far.last().of_scenario);
    assert_eq!(
        (output.exit, output.stdout.as_str(), output.stderr.as_str()),
        (Exit::Code(1), "a\nb\n", "c\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_in_no_command_line() {
    let nasty = "it's \u{2019}\u{201b} $(calc) `n \"q\" \\u0041 % \n\tü 😀";
    let (guest, far) = Windows::start(World::default()).await;
    for user in [None, Some(USER), Some("SYSTEM")] {
        let mut command = Command::script(nasty, SOON).with_env([("SECRET".to_string(), nasty.into())]);
        command.input = Some(nasty.into());
        command.user = user.map(String::from);
        let output = guest.exec(command).await.unwrap();
        assert_eq!(output.exit, Exit::Code(1));
        let asked = far.last();
        assert_eq!((asked.text.as_str(), asked.input.as_deref()), (nasty, Some(nasty)));
        assert_eq!(asked.env["SECRET"], nasty);
        assert_eq!(asked.user.as_deref(), user);
    }
    let argv = Command {
        what: What::Argv(vec!["app".into(), "two words".into()]),
        ..Command::script("", SOON)
    };
    guest.exec(argv).await.unwrap();
    assert!(
        far.last().text.contains("$mosdat_arguments = '\"two words\"'"),
        "{}",
        far.last().text
    );
    far.check_lines();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_time_is_up_is_killed_with_what_it_started() {
    let mut world = World::default();
    world.commands.insert("hangs".into(), None);
    let (guest, far) = Windows::start(world).await;
    let output = guest
        .exec(Command::script("hangs", Duration::from_millis(200)))
        .await
        .unwrap();
    assert_eq!(output.exit, Exit::TimedOut);
    assert!(far.lines.lock().unwrap().iter().any(|line| line[0] == "taskkill.exe"));
    far.check_lines();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_that_of_whoever_is_logged_on() {
    let (guest, far) = Windows::start(World::default()).await;
    let session = session(&guest).await;
    assert_eq!((session.user.as_str(), session.leader.as_str()), (USER, "explorer.exe"));
    assert!(!session.is_wayland() && session.env.is_empty());
    let facts = session.facts();
    assert_eq!(facts["session"], "explorer.exe, Windows");
    assert_eq!(facts["system"], "Microsoft Windows 11 Pro");

    // The session may end, or have no tasks.
    far.world.lock().unwrap().no_task = Some("Access is denied.".into());
    let error = guest::has_window(&guest, &session, "x").await.unwrap_err();
    assert!(
        matches!(&error, Error::BrokenTool { tool, why, .. } if tool == "Task-Scheduler" && why == "Access is denied."),
        "{error}"
    );
    far.world.lock().unwrap().nobody = true;
    let error = guest::has_window(&guest, &session, "x").await.unwrap_err();
    assert!(matches!(&error, Error::NotLoggedOn { user } if user == USER), "{error}");
    let error = guest::discover(&guest, Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("explorer.exe"), "{error}");
    let error = guest
        .exec(Command::script("x", SOON).as_user("root"))
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::NoUser { user } if user == "root"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_started_and_their_ends_told() {
    let (guest, far) = Windows::start(World::default()).await;
    let session = session(&guest).await;
    let argv = [r"C:\Program Files\Demo\demo.exe".to_string(), "a \"b\"".to_string()];
    let app = guest::launch(&guest, &session, &argv).await.unwrap();
    assert_eq!((app.name.as_str(), app.pid), ("demo.exe", 99_000_001));
    assert!(
        far.last().text.contains(r#"$mosdat_arguments = '"a \"b\""'"#),
        "{}",
        far.last().text
    );
    assert_eq!(app.state(&guest).await.unwrap(), AppState::Running);
    // 139 is no signal there.
    for (code, exit) in [(0xC000_0005_u32, -1_073_741_819), (139, 139)] {
        far.world.lock().unwrap().ended = Some((i64::from(code.cast_signed()), "last words\n".into()));
        let AppState::Ended { exit: told, stderr, .. } = app.state(&guest).await.unwrap() else {
            panic!("it runs");
        };
        assert_eq!(told, Exit::Code(exit));
        assert_eq!(stderr, Tail::Lines("last words".into()));
    }
    let error = guest::launch(&guest, &session, &["missing".to_string()])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, guest::Error::NoProgram { detail } if detail.starts_with("no program missing")),
        "{error}"
    );
    far.check_lines();
}

#[tokio::test(flavor = "multi_thread")]
async fn looks() {
    let mut world = World {
        processes: vec!["notepad".into()],
        ports: vec![3389],
        windows: vec![("Untitled - Notepad".into(), [10, 20, 300, 200])],
        ..World::default()
    };
    world
        .files
        .insert(r"C:\Users\tester\a.txt".into(), b"one\r\ntwo\r\n".to_vec());
    let (guest, far) = Windows::start(world).await;
    let session = session(&guest).await;
    for (name, runs) in [("notepad.exe", true), ("Notepad", true), ("calc", false)] {
        assert_eq!(guest::process_runs(&guest, name).await.unwrap(), runs, "{name}");
    }
    assert!(guest::listens(&guest, 3389).await.unwrap() && !guest::listens(&guest, 22).await.unwrap());
    assert_eq!(
        guest::has_window(&guest, &session, "notepad").await.unwrap(),
        Sight::Shown
    );
    assert_eq!(
        guest::has_window(&guest, &session, "calc").await.unwrap(),
        Sight::NotShown
    );
    let places = guest::window_places(&guest, &session, "Notepad").await.unwrap();
    assert_eq!(places, (Sight::Shown, vec![[10, 20, 300, 200]]));
    let before = guest::windows_now(&guest, &session, "Notepad").await.unwrap();
    assert!(!before.is_empty());
    let app = guest::launch(&guest, &session, &["notepad".to_string()]).await.unwrap();
    let sight = guest::awaits_window(&guest, &session, "Notepad", &app, &before).await;
    assert_eq!(sight.unwrap(), Sight::NotShown, "the old one does not count");
    assert_eq!(far.last().env["ended"], format!("{}/exit", app.dir));
    let read = guest::read_text(&guest, &session, "~/a.txt").await.unwrap().unwrap();
    assert_eq!((read.text.as_str(), read.whole), ("one\ntwo\n", true));
    // Cut, though it is no longer than that with the line ends of everybody else.
    let long = "\r\n".repeat(guest::MOST / 2 + 1).into_bytes();
    far.world
        .lock()
        .unwrap()
        .files
        .insert(r"C:\long.txt".into(), long[..=guest::MOST].to_vec());
    let read = guest::read_text(&guest, &session, r"C:\long.txt")
        .await
        .unwrap()
        .unwrap();
    assert!(!read.whole && read.text.len() < guest::MOST);
    assert_eq!(guest::read_text(&guest, &session, r"C:\b.txt").await.unwrap(), None);
    guest::put_clipboard(&guest, &session, "a\nb ü").await.unwrap();
    assert_eq!(guest::clipboard(&guest, &session).await.unwrap().text, "a\nb ü");
    assert_eq!(
        guest::beneath_pointer(&guest, &session).await.unwrap(),
        Some((7, "Demo".into()))
    );
    far.check_lines();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_logs() {
    let (guest, far) = Windows::start(World::default()).await;
    let session = session(&guest).await;
    let content: Vec<u8> = (0..90_000_u32).map(|i| (i % 251) as u8).collect();
    let file = |path, owner| File {
        path,
        content: &content,
        mode: None,
        owner,
    };
    guest::put(&guest, file("~/in/a.bin", USER)).await.unwrap();
    assert!(far.world.lock().unwrap().files[r"C:\Users\tester\in\a.bin"] == content);
    let error = guest::put(&guest, file("~/a.bin", "nobody")).await.unwrap_err();
    assert!(matches!(&error, Error::NoUser { user } if user == "nobody"), "{error}");

    let log = r"C:\ProgramData\demo.log".to_string();
    far.world.lock().unwrap().files.insert(log.clone(), b"old\r\n".to_vec());
    let marks = guest::log_marks(&guest, &[log.clone(), r"C:\none.log".into()])
        .await
        .unwrap();
    far.world
        .lock()
        .unwrap()
        .files
        .get_mut(&log)
        .unwrap()
        .extend(b"new\r\n");
    let Log::Since(read) = guest::log_since(&guest, &session, &log, &marks).await.unwrap() else {
        panic!("no log");
    };
    assert_eq!(read.text, "new\n");
    assert_eq!(
        guest::log_since(&guest, &session, r"C:\none.log", &marks)
            .await
            .unwrap(),
        Log::Missing
    );
    far.check_lines();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_of_ui_automation() {
    // As nodes.ps1 prints it.
    let tree = r#"{"nodes":[{"role":"push button","name":"Save","states":["enabled","sensitive","visible","showing"],"place":[10,20,80,24],
        "path":[["frame","Demo"],["panel",""]],"pid":7,"app":"demo","value":null,"whole":true}],"unreadable":[],"seen":12,"cut":false}"#;
    let (guest, far) = Windows::start(World {
        tree: Some(tree.into()),
        ..World::default()
    })
    .await;
    let session = session(&guest).await;
    let query = Query {
        roles: vec!["push button".into()],
        ..Query::default()
    };
    let read = guest::nodes(&guest, &session, &query).await.unwrap();
    assert_eq!((read.nodes.len(), read.seen), (1, 12));
    assert_eq!(
        (read.nodes[0].role.as_str(), read.nodes[0].place),
        ("push button", Some([10, 20, 80, 24]))
    );
    let sent: serde_json::Value = serde_json::from_str(&far.last().input.unwrap()).unwrap();
    assert_eq!(sent["roles"], serde_json::json!(["push button"]));
    far.world.lock().unwrap().tree = None;
    let error = guest::nodes(&guest, &session, &query).await.unwrap_err();
    assert!(error.to_string().contains("UI Automation"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn installers() {
    let mut world = World::default();
    let demo = |version: &str, code| Some(("Demo App".to_string(), version.to_string(), code));
    world.installers.insert(r"C:\demo.exe".into(), demo("1.2.0", 0));
    world.installers.insert(r"C:\again.msi".into(), demo("1.3.0", 3010));
    world.installers.insert(r"C:\bad.exe".into(), demo("1.2.0", 2));
    world.installers.insert(r"C:\mine.exe".into(), demo("1.2.0", 7777));
    world.installers.insert(r"C:\several.exe".into(), demo("1.2.0", 7778));
    world.installers.insert(r"C:\odd.exe".into(), None);
    for code in [1601, 1603, 1618, 1632, 112] {
        let path = |end: &str| format!(r"C:\{code}.{end}");
        world.installers.insert(path("msi"), demo("1.2.0", code));
        world.installers.insert(path("exe"), demo("1.2.0", code));
    }
    let (guest, far) = Windows::start(world).await;
    let install = async |format: &str, path: &str| guest::install(&guest, format, path, SOON).await;
    let there = install("exe", r"C:\demo.exe").await.unwrap();
    assert_eq!(
        (there.name.as_str(), there.version.as_str(), there.restart),
        ("Demo App", "1.2.0", false)
    );
    assert!(install("msi", r"C:\again.msi").await.unwrap().restart);
    let error = install("exe", r"C:\bad.exe").await.unwrap_err();
    assert!(
        matches!(&error, PackageError::Refused(why) if why.contains("exit code 2")),
        "{error}"
    );
    for (path, word) in [
        (r"C:\odd.exe", "a step 'shell'"),
        (r"C:\mine.exe", "only for the user who runs it"),
        (r"C:\several.exe", "Demo App, Demo;"),
    ] {
        let error = install("exe", path).await.unwrap_err();
        assert!(
            matches!(&error, PackageError::Unsupported(why) if why.contains(word)),
            "{error}"
        );
    }
    // Windows Installer's own trouble; in others these codes mean something else.
    for (code, word) in [
        (1601, "does not answer"),
        (1618, "another installation"),
        (1632, "temporary files"),
        (112, "no space"),
    ] {
        let error = install("msi", &format!(r"C:\{code}.msi")).await.unwrap_err();
        assert!(
            matches!(&error, PackageError::Surroundings { trouble, .. } if trouble.contains(word)),
            "{error}"
        );
        let error = install("exe", &format!(r"C:\{code}.exe")).await.unwrap_err();
        assert!(matches!(&error, PackageError::Refused(_)), "{error}");
    }
    let error = install("msi", r"C:\1603.msi").await.unwrap_err();
    assert!(matches!(&error, PackageError::Refused(_)), "{error}");
    assert!(matches!(
        install("exe", r"C:\none.exe").await,
        Err(PackageError::NoFile(_))
    ));
    let asked = far.asked.lock().unwrap().len();
    let error = install("deb", "/tmp/x.deb").await.unwrap_err();
    assert!(
        matches!(&error, PackageError::OtherSystem { system: "Windows", .. }),
        "{error}"
    );
    let error = guest::uninstall(&guest, Some("deb"), "x", SOON).await.unwrap_err();
    assert!(matches!(error, PackageError::OtherSystem { .. }), "{error}");
    assert_eq!(far.asked.lock().unwrap().len(), asked, "nobody was asked");
    let gone = guest::uninstall(&guest, None, "Demo App", SOON).await.unwrap();
    assert_eq!((gone.name.as_str(), gone.version.as_str()), ("Demo App", "1.3.0"));
    let error = guest::uninstall(&guest, Some("exe"), "Demo App", SOON)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no program Demo App"), "{error}");
    // And there are none of them in Linux.
    let (linux, _) = super::api::guest().await;
    let error = guest::install(&linux, "exe", r"C:\demo.exe", SOON).await.unwrap_err();
    assert!(
        matches!(&error, PackageError::OtherSystem { system: "Linux", .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_known_by_the_processes_of_the_system() {
    let (guest, far) = Windows::start(World::default()).await;
    let until = tokio::time::Instant::now() + SOON;
    assert!(guest::reboot(&guest, until).await.unwrap());
    assert_eq!(far.world.lock().unwrap().boots, 1);
    let told = guest::diagnose(&guest, None, &[]).await;
    let titles: Vec<&str> = told.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(titles, ["processes", "crashes"]);
}

/// A server that says who it is, and lets nobody in.
struct Server;

impl russh::server::Handler for Server {
    type Error = russh::Error;
}

/// A new private key, as `ssh-keygen` writes it.
fn private_key() -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&file)
        .status();
    assert!(made.expect("ssh-keygen is installed").success());
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_server_of_windows_is_told_from_one_that_does_not_let_in() {
    for (name, word) in [
        ("SSH-2.0-OpenSSH_for_Windows_9.5", "leave spec.guest.ssh out"),
        ("SSH-2.0-OpenSSH_10.0p2", "does not let 'tester' in"),
    ] {
        let config = Arc::new(russh::server::Config {
            server_id: russh::SshId::Standard(name.into()),
            keys: vec![russh::keys::decode_secret_key(&private_key(), None).unwrap()],
            auth_rejection_time: Duration::ZERO,
            ..Default::default()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = russh::server::run_stream(config.clone(), stream, Server).await;
                tokio::spawn(async move { session?.await });
            }
        });
        let login = SshLogin {
            vm: "win".into(),
            host: "127.0.0.1".into(),
            port,
            user: "tester".into(),
            key: SshKey::Secret(private_key().into()),
            host_keys: Vec::new(),
        };
        let error = SshGuest::new(login).unwrap().meet().await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}
