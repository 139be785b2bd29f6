//! What becomes of a command.

use super::api::{guest, me_here, script};
use super::ways::Way;
use mosdat::guest::{Command, Error, Exit, Guest, What, process_runs};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

both!(
    codes_signals_outputs_and_environment,
    values_are_in_no_process_list,
    a_command_runs_as_its_user_in_that_users_home,
    time_is_up_for_the_whole_group,
    output_that_a_child_holds_open_is_waited_for,
    processes_by_name,
);

async fn codes_signals_outputs_and_environment(way: Way) {
    let guest = way.guest;
    let output = guest.exec(script("echo out; echo err >&2; exit 7")).await.unwrap();
    assert_eq!(
        (output.exit, output.stdout.as_str(), output.stderr.as_str()),
        (Exit::Code(7), "out\n", "err\n")
    );
    assert_eq!(
        guest.exec(script("kill -TERM $$")).await.unwrap().exit,
        Exit::Signal(15)
    );
    // 255 is also what the program ssh says when it has lost its link.
    assert_eq!(guest.exec(script("exit 255")).await.unwrap().exit, Exit::Code(255));
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
}

/// The command lines of every process here.
fn command_lines() -> String {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned() + "\n")
        .collect()
}

async fn values_are_in_no_process_list(way: Way) {
    let dir = tempfile::tempdir().unwrap();
    let word = format!("secret-{:x}", std::process::id());
    let text = format!(
        "cd '{}'; >begun; while [ ! -e go ]; do sleep 0.05; done; echo \"$pw\"",
        dir.path().display()
    );
    let command = script(&text).with_env([("pw".to_string(), SecretString::from(word.as_str()))]);
    let guest = way.guest;
    let running = tokio::spawn(async move { guest.exec(command).await });
    let deadline = Instant::now() + Duration::from_secs(20);
    while !dir.path().join("begun").exists() {
        assert!(Instant::now() < deadline, "the command did not begin");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lines = command_lines();
    std::fs::write(dir.path().join("go"), "").unwrap();
    assert_eq!(running.await.unwrap().unwrap().stdout, format!("{word}\n"));
    assert!(lines.contains("_mosdat_script"), "the command was there");
    assert!(!lines.contains(&word), "{lines}");
}

async fn a_command_runs_as_its_user_in_that_users_home(way: Way) {
    let guest = way.guest;
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

async fn time_is_up_for_the_whole_group(way: Way) {
    let guest = way.guest;
    let begun = Instant::now();
    let command = Command::script("echo begun; sleep 300 & sleep 300", Duration::from_millis(600));
    let output = guest.exec(command).await.unwrap();
    assert_eq!((output.exit, output.stdout.as_str()), (Exit::TimedOut, "begun\n"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

async fn output_that_a_child_holds_open_is_waited_for(way: Way) {
    let output = way
        .guest
        .exec(script("(sleep 0.7; echo late) & echo first; exit 3"))
        .await
        .unwrap();
    assert_eq!((output.exit, output.stdout.as_str()), (Exit::Code(3), "first\nlate\n"));
    let command = Command::script("sleep 300 & exit 0", Duration::from_millis(600));
    let output = way.guest.exec(command).await.unwrap();
    assert_eq!(output.exit, Exit::TimedOut, "as long as somebody may still write");
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

async fn processes_by_name(way: Way) {
    let guest = way.guest.as_ref();
    let dir = tempfile::tempdir().unwrap();
    let short = format!("mdt{}", std::process::id());
    let long = format!("mosdat-long-name-{}", std::process::id());
    let env: BTreeMap<&str, &str> = BTreeMap::new();
    for name in [&short, &long] {
        assert!(!process_runs(guest, name).await.unwrap(), "{name}");
        let path = dir.path().join(name);
        std::fs::copy("/bin/sleep", &path).unwrap();
        let mut child = std::process::Command::new(&path).arg("30").envs(&env).spawn().unwrap();
        let found = process_runs(guest, name).await;
        let stranger = process_runs(guest, &name[..name.len() - 1]).await;
        child.kill().unwrap();
        // Not waited for yet: a zombie does not run.
        let deadline = Instant::now() + Duration::from_secs(5);
        while process_runs(guest, name).await.unwrap() {
            assert!(Instant::now() < deadline, "{name} is dead and still found");
        }
        child.wait().unwrap();
        assert!(found.unwrap(), "{name}");
        assert!(!stranger.unwrap(), "part of a name is no name");
    }
}
