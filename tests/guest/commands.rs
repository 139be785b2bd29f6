//! What becomes of a command.

use super::api::{guest, me_here, script};
use mosdat::guest::{Command, Error, Exit, Guest, What, process_runs};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn codes_signals_outputs_and_environment() {
    let (guest, api) = guest().await;
    let output = guest.exec(script("echo out; echo err >&2; exit 7")).await.unwrap();
    assert_eq!(
        (output.exit, output.stdout.as_str(), output.stderr.as_str()),
        (Exit::Code(7), "out\n", "err\n")
    );
    assert_eq!(
        guest.exec(script("kill -TERM $$")).await.unwrap().exit,
        Exit::Signal(15)
    );
    let secret = script("printf %s \"$pw\"").with_env([("pw".to_string(), SecretString::from("it's $HOME"))]);
    assert_eq!(guest.exec(secret).await.unwrap().stdout, "it's $HOME");
    let argv = Command {
        what: What::Argv(vec!["cat".into()]),
        input: Some("a\nb".into()),
        ..script("")
    };
    assert_eq!(guest.exec(argv).await.unwrap().stdout, "a\nb\n");
    let own = "pkill -f this-script-ends-nobody-$((1 + 1)); echo on; [ -z \"$_mosdat_script\" ]";
    let output = guest.exec(script(own)).await.unwrap();
    assert_eq!(
        (output.exit, output.stdout.as_str()),
        (Exit::Code(0), "on\n"),
        "no command line holds what a script says"
    );
    assert_eq!(
        api.arguments.lock().unwrap().join(" "),
        "/bin/sh /bin/sh /bin/sh /bin/sh /bin/sh",
        "values are in no argument"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_as_its_user_in_that_users_home() {
    let (guest, _) = guest().await;
    let me = me_here();
    let output = guest
        .exec(script("echo \"$USER\"; [ \"$PWD\" = \"$HOME\" ]").as_user(&me))
        .await
        .unwrap();
    assert_eq!((output.exit, output.stdout), (Exit::Code(0), format!("{me}\n")));
    // Variables of the command do not get in the way of what starts it.
    let env = ["u", "gid", "home", "PATH"].map(|name| (name.to_string(), SecretString::from("/nowhere")));
    let odd = guest
        .exec(script("echo \"$u$gid$home$PATH\"").as_user(&me).with_env(env))
        .await
        .unwrap();
    assert_eq!(odd.stdout, "/nowhere/nowhere/nowhere/nowhere\n", "{odd:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_up_for_the_whole_group() {
    let (guest, _) = guest().await;
    let begun = Instant::now();
    let command = Command::script("echo begun; sleep 300 & sleep 300", Duration::from_millis(600));
    let output = guest.exec(command).await.unwrap();
    assert_eq!((output.exit, output.stdout.as_str()), (Exit::TimedOut, "begun\n"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_link_is_an_error_and_never_an_exit_code() {
    let (guest, api) = guest().await;
    // A link that is away for a moment is waited for, and the command is not started twice.
    api.broken.store(2, Ordering::SeqCst);
    assert_eq!(guest.exec(script("exit 4")).await.unwrap().exit, Exit::Code(4));
    api.absent.store(2, Ordering::SeqCst);
    assert_eq!(guest.exec(script("exit 5")).await.unwrap().exit, Exit::Code(5));
    assert_eq!(api.started.load(Ordering::SeqCst), 2);
    // The time that the agent was away is none of the command's.
    api.absent.store(3, Ordering::SeqCst);
    let short = Command::script("sleep 0.3; exit 6", Duration::from_secs(1));
    assert_eq!(guest.exec(short).await.unwrap().exit, Exit::Code(6));
    // The one answer that told the end was lost.
    api.lost.store(1, Ordering::SeqCst);
    let error = guest.exec(script("exit 0")).await.unwrap_err();
    assert!(matches!(error, Error::ResultLost { .. }), "{error}");
    assert_eq!(api.started.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_by_name() {
    let (guest, _) = guest().await;
    let dir = tempfile::tempdir().unwrap();
    let short = format!("mdt{}", std::process::id());
    let long = format!("mosdat-long-name-{}", std::process::id());
    let env: BTreeMap<&str, &str> = BTreeMap::new();
    for name in [&short, &long] {
        assert!(!process_runs(&guest, name).await.unwrap(), "{name}");
        let path = dir.path().join(name);
        std::fs::copy("/bin/sleep", &path).unwrap();
        let mut child = std::process::Command::new(&path).arg("30").envs(&env).spawn().unwrap();
        let found = process_runs(&guest, name).await;
        let stranger = process_runs(&guest, &name[..name.len() - 1]).await;
        child.kill().unwrap();
        // Not waited for yet: a zombie does not run.
        let deadline = Instant::now() + Duration::from_secs(5);
        while process_runs(&guest, name).await.unwrap() {
            assert!(Instant::now() < deadline, "{name} is dead and still found");
        }
        child.wait().unwrap();
        assert!(found.unwrap(), "{name}");
        assert!(!stranger.unwrap(), "part of a name is no name");
    }
}
