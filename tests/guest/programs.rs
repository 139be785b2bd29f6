//! Programs that are started and watched.

use super::api::me_here;
use super::ways::Way;
use mosdat::guest::{App, AppState, Exit, Guest, Session, Tail, launch};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

async fn end(guest: &dyn Guest, script: &str) -> (Exit, Tail, Tail) {
    let session = Session {
        user: me_here(),
        leader: "test".into(),
        env: BTreeMap::new(),
        machine: BTreeMap::new(),
    };
    let argv = ["sh", "-c", script].map(String::from);
    let app: App = launch(guest, &session, &argv).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let AppState::Ended { exit, stdout, stderr } = app.state(guest).await.unwrap() {
            std::fs::remove_dir_all(&app.dir).unwrap();
            return (exit, stdout, stderr);
        }
        assert!(Instant::now() < deadline, "it still runs");
    }
}

both!(
    last_words_begin_with_a_line_or_say_that_they_do_not,
    the_one_who_tells_of_the_end_outlives_what_ends_the_program
);

async fn last_words_begin_with_a_line_or_say_that_they_do_not(way: Way) {
    let guest = way.guest.as_ref();
    let (exit, stdout, stderr) = end(guest, "echo out; echo err >&2; exit 7").await;
    assert_eq!(exit, Exit::Code(7));
    assert_eq!((stdout, stderr), (Tail::Lines("out".into()), Tail::Lines("err".into())));
    let lines = "i=0; while [ $i -lt 9000 ]; do echo 0123456789; i=$((i + 1)); done";
    let line = "i=0; while [ $i -lt 9000 ]; do printf 0123456789; i=$((i + 1)); done";
    let (exit, stdout, stderr) = end(guest, &format!("{lines}; {{ {line}; }} >&2; kill -SEGV $$")).await;
    assert_eq!(exit, Exit::Signal(11));
    match stdout {
        Tail::Lines(text) => assert!(text.len() > 60_000 && text.lines().all(|line| line == "0123456789")),
        Tail::Piece(_) => panic!("there were lines"),
    }
    assert!(matches!(stderr, Tail::Piece(text) if text.len() > 60_000));
}

async fn the_one_who_tells_of_the_end_outlives_what_ends_the_program(way: Way) {
    let guest = way.guest.as_ref();
    // Under `nohup` it is ignored, here and by all that is started from here.
    // SAFETY: a plain system call; nothing of these tests handles the signal.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_DFL) };
    // Each way its own: both are tested in one process.
    let words = format!("mosdat-test-{}-{:p}", std::process::id(), &raw const way);
    // All processes of the program, found by its words; and a signal to everybody in its session.
    let all = format!("exec 3>&1; (sleep 1; pkill -f {words}-[a]) & : {words}-a; sleep 60");
    assert_eq!(end(guest, &all).await.0, Exit::Signal(15));
    let session = "kill -HUP -$(ps -o sid= -p $$ | tr -d ' '); sleep 60";
    assert_eq!(end(guest, session).await.0, Exit::Signal(1));
}
