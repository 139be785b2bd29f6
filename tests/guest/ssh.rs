//! What only SSH can do wrong: keys, host keys, links that die.

use super::api::script;
use super::interrupted::{endless, pids, runs};
use super::sshd::Sshd;
use mosdat::guest::{Command, Error, Exit, Guest, HostKey, SshGuest, SshKey, SshLogin};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_is_enough() {
    let sshd = Sshd::start().await;
    let guest = sshd.guest();
    assert_eq!(guest.meet().await.unwrap(), sshd.host_key());
    let commands = (0..6).map(|n| {
        let guest = guest.clone();
        async move { guest.exec(script(&format!("sleep 0.2; exit {n}"))).await.unwrap().exit }
    });
    let exits = futures::future::join_all(commands).await;
    assert_eq!(exits, (0..6).map(Exit::Code).collect::<Vec<_>>());
    assert_eq!(sshd.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_not_open_it_are_named() {
    let sshd = Sshd::start().await;
    let with = |key: &str| {
        SshGuest::new(SshLogin {
            key: SshKey::Secret(key.into()),
            ..sshd.login()
        })
    };
    let other = sshd.other_key("other", &[]);
    let error = with(&other).unwrap().exec(script("true")).await.unwrap_err();
    let public = std::fs::read_to_string(sshd.file("other.pub")).unwrap();
    let fingerprint = HostKey::parse(&public).unwrap().fingerprint();
    let text = error.to_string();
    assert!(matches!(error, Error::Refused { .. }), "{text}");
    assert!(
        text.contains(&fingerprint) && text.contains("authorized_keys"),
        "{text}"
    );
    let locked = sshd.other_key("locked", &["-N", "passphrase"]);
    let text = with(&locked).err().unwrap().to_string();
    assert!(text.contains("passphrase"), "{text}");
    let text = with("no-key-at-all").err().unwrap().to_string();
    assert!(text.contains("ssh-keygen") && !text.contains("no-key-at-all"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_other_kinds_of_keys_work() {
    let sshd = Sshd::start().await;
    let kinds: [&[&str]; 3] = [
        &["-t", "rsa", "-b", "2048"],
        &["-t", "rsa", "-b", "2048", "-m", "PEM"],
        &["-t", "ecdsa"],
    ];
    for (n, kind) in kinds.into_iter().enumerate() {
        let name = format!("kind{n}");
        let key = sshd.other_key(&name, kind);
        std::fs::copy(sshd.file(&format!("{name}.pub")), sshd.file("authorized")).unwrap();
        let login = SshLogin {
            key: SshKey::Secret(key.into()),
            ..sshd.login()
        };
        SshGuest::new(login).unwrap().meet().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_root_is_told_so() {
    let sshd = Sshd::start().await;
    let login = SshLogin {
        user: "nobody".into(),
        ..sshd.login()
    };
    let error = SshGuest::new(login).unwrap().meet().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Refused { .. }), "{text}");
    assert!(text.contains("not available") && text.contains("sudoers"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_key_is_refused_and_says_what_to_do() {
    let sshd = Sshd::start().await;
    // Known before, and met at the first contact.
    let first = SshGuest::new(SshLogin {
        host_keys: Vec::new(),
        ..sshd.login()
    })
    .unwrap();
    let known = sshd.host_key();
    assert_eq!(first.meet().await.unwrap(), known);
    let guests = [sshd.guest(), first];
    let other = sshd.new_host_key();
    sshd.kill();
    for guest in guests {
        let begun = Instant::now();
        let error = guest.exec(script("true")).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(10), "nothing is waited for");
        let text = error.to_string();
        assert!(matches!(error, Error::HostKey { .. }), "{text}");
        for part in [
            known.fingerprint(),
            other.fingerprint(),
            "kubectl patch pvm test".to_string(),
        ] {
            assert!(text.contains(&part), "{part}: {text}");
        }
    }
    // One that has no key of the trusted kind any more.
    let login = sshd.login();
    for name in ["host", "host.pub"] {
        std::fs::remove_file(sshd.file(name)).unwrap();
    }
    sshd.other_key("host", &["-t", "ecdsa"]);
    let error = SshGuest::new(login).unwrap().meet().await.unwrap_err();
    assert!(matches!(error, Error::HostKey { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_of_whoever_runs_mosdat_has_the_key() {
    let sshd = Sshd::start().await;
    let socket = sshd.file("agent");
    let agent = std::process::Command::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn();
    let mut agent = agent.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !socket.exists() {
        assert!(Instant::now() < deadline, "ssh-agent did not begin");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let guest = SshGuest::new(SshLogin {
        key: SshKey::Agent(socket.clone()),
        ..sshd.login()
    });
    let guest = guest.unwrap();
    let empty = guest.meet().await.unwrap_err().to_string();
    sshd.other_key("other", &[]);
    let add = |name: &str| {
        let added = std::process::Command::new("ssh-add")
            .env("SSH_AUTH_SOCK", &socket)
            .arg("-q")
            .arg(sshd.file(name))
            .status();
        assert!(added.unwrap().success());
    };
    add("other");
    let wrong = guest.meet().await.unwrap_err().to_string();
    add("key");
    let met = guest.meet().await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    sshd.kill();
    let gone = guest.meet().await.unwrap_err().to_string();
    assert!(empty.contains("ssh-add"), "{empty}");
    assert!(wrong.contains("SHA256:"), "{wrong}");
    assert_eq!(met.unwrap(), sshd.host_key());
    assert!(gone.contains("SSH_AUTH_SOCK"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_an_error_and_what_it_began_is_killed_before_the_next() {
    for signal in ["-KILL", "-STOP"] {
        let sshd = Sshd::start().await;
        let guest = sshd.guest();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pids");
        let running = {
            let (guest, command) = (guest.clone(), script(&endless(&file)));
            tokio::spawn(async move {
                guest
                    .exec(Command {
                        timeout: Duration::from_secs(120),
                        ..command
                    })
                    .await
            })
        };
        let begun = pids(&file).await;
        let since = Instant::now();
        sshd.signal(signal);
        let error = running.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::ResultLost { .. }), "{signal}: {error}");
        assert!(
            since.elapsed() < Duration::from_secs(40),
            "{signal}: {:?}",
            since.elapsed()
        );
        assert!(
            begun.iter().all(|pid| runs(*pid)),
            "{signal}: a dead server kills nobody"
        );
        // The next command waits for a new link, and finds nobody beside it.
        assert_eq!(guest.exec(script("exit 6")).await.unwrap().exit, Exit::Code(6));
        assert!(!begun.iter().any(|pid| runs(*pid)), "{signal}: {begun:?}");
        assert_eq!(sshd.connections(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_died_between_commands_is_opened_anew() {
    let sshd = Sshd::start().await;
    let guest = sshd.guest();
    for signal in ["-KILL", "-STOP"] {
        assert_eq!(guest.exec(script("exit 2")).await.unwrap().exit, Exit::Code(2));
        sshd.signal(signal);
        assert_eq!(
            guest.exec(script("exit 3")).await.unwrap().exit,
            Exit::Code(3),
            "{signal}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_answers_is_an_error() {
    let sshd = Sshd::start().await;
    let login = sshd.login();
    drop(sshd);
    // It may be booting: it is asked for a while.
    let begun = Instant::now();
    let error = SshGuest::new(login).unwrap().exec(script("true")).await.unwrap_err();
    assert!(matches!(error, Error::Ssh { .. }), "{error}");
    assert!(begun.elapsed() > Duration::from_secs(10), "{:?}", begun.elapsed());
    // One that takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sshd = Sshd::start().await;
    let login = SshLogin {
        port: silent.local_addr().unwrap().port(),
        ..sshd.login()
    };
    let error = SshGuest::new(login).unwrap().exec(script("true")).await.unwrap_err();
    assert!(error.to_string().contains("no answer within"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_login_shells_say_and_what_the_server_does_not_allow() {
    let sshd = Sshd::start().await;
    sshd.configure("MaxSessions 0");
    let error = sshd.guest().exec(script("true")).await.unwrap_err();
    assert!(error.to_string().contains("MaxSessions"), "{error}");
    sshd.configure("ForceCommand echo hello");
    let error = sshd.guest().exec(script("true")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { .. }) && error.to_string().contains("hello"),
        "{error}"
    );
    // A file that every shell of this user reads.
    sshd.configure("ForceCommand echo noise; echo noise >&2; printf noise; exec /bin/sh");
    let output = sshd
        .guest()
        .exec(script("env | grep SSH_; echo out; echo err >&2"))
        .await
        .unwrap();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_without_a_name_is_no_exit_code() {
    let sshd = Sshd::start().await;
    let guest = sshd.guest();
    assert_eq!(
        guest.exec(script("kill -SEGV $$")).await.unwrap().exit,
        Exit::Signal(11)
    );
    let error = guest.exec(script("kill -BUS $$")).await.unwrap_err();
    assert!(error.to_string().contains("SIG@openssh.com"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_and_go() {
    let sshd = Sshd::start().await;
    let guest = sshd.guest();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it's a file");
    let path = path.to_str().unwrap();
    let content: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    guest.write_file(path, &content).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content);
    assert_eq!(guest.read_file(path).await.unwrap(), content);
    let missing = dir.path().join("missing").display().to_string();
    let error = guest.read_file(&missing).await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

/// By hand, as root, on a machine with sudo: `useradd -m NAME`, `NAME ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d, and
/// `MOSDAT_SUDO_USER=NAME cargo test --test guest -- --ignored sudo`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a user whom sudo makes root"]
async fn whom_sudo_makes_root() {
    let sshd = Sshd::start().await;
    // That user has to get at the file with the keys.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(sshd.file("key").parent().unwrap(), open).unwrap();
    let login = SshLogin {
        user: std::env::var("MOSDAT_SUDO_USER").unwrap(),
        ..sshd.login()
    };
    let guest = SshGuest::new(login).unwrap();
    guest.meet().await.unwrap();
    let output = guest.exec(script("id -un; echo err >&2; exit 7")).await.unwrap();
    assert_eq!(
        (output.exit, output.stdout.as_str(), output.stderr.as_str()),
        (Exit::Code(7), "root\n", "err\n")
    );
    assert_eq!(
        guest.exec(script("kill -TERM $$")).await.unwrap().exit,
        Exit::Signal(15)
    );
    let output = guest
        .exec(script("id -un").as_user(&std::env::var("MOSDAT_SUDO_USER").unwrap()))
        .await
        .unwrap();
    assert_eq!(output.stdout.trim(), std::env::var("MOSDAT_SUDO_USER").unwrap());
    let command = Command::script("echo begun; sleep 300 & sleep 300", Duration::from_millis(600));
    let begun = Instant::now();
    let output = guest.exec(command).await.unwrap();
    assert_eq!((output.exit, output.stdout.as_str()), (Exit::TimedOut, "begun\n"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
