//! A command whose caller goes away.

use super::api::{guest, script};
use super::ways::Way;
use mosdat::guest::Guest;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// A command that leads a group of two, and writes down who they are.
pub fn endless(file: &Path) -> String {
    let file = file.display();
    format!("sleep 300 & echo \"$$ $!\" >'{file}.new'; mv '{file}.new' '{file}'; wait")
}

pub async fn pids(file: &Path) -> Vec<u32> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Ok(text) = std::fs::read_to_string(file) {
            return text.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        }
        assert!(Instant::now() < deadline, "the command did not begin");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A zombie that this machine's first process has not yet collected does not run.
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

both!(
    it_is_killed_with_its_group_before_the_next_one_starts,
    it_is_killed_when_nothing_comes_after_it
);

async fn it_is_killed_with_its_group_before_the_next_one_starts(way: Way) {
    let guest = way.guest;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let begun = tokio::select! {
        output = guest.exec(script(&endless(&file))) => panic!("{output:?}"),
        begun = pids(&file) => begun,
    };
    assert_eq!(begun.len(), 2);
    // Another handle of the same guest knows, too.
    let (other, next) = (guest.clone(), script("true"));
    let next = timeout(Duration::from_secs(10), other.exec(next));
    next.await.expect("long before the first one's own time").unwrap();
    assert!(!begun.iter().any(|pid| runs(*pid)), "{begun:?}");
}

async fn it_is_killed_when_nothing_comes_after_it(way: Way) {
    let guest = way.guest;
    abandoned(guest.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_killed_when_its_start_was_not_yet_known() {
    let (guest, api) = guest().await;
    api.slow.store(1000, Ordering::SeqCst);
    abandoned(Arc::new(guest)).await;
}

/// Begins a command, goes away, and waits for its end.
async fn abandoned(guest: Arc<dyn Guest>) {
    {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pids");
        let begun = tokio::select! {
            output = guest.exec(script(&endless(&file))) => panic!("{output:?}"),
            begun = pids(&file) => begun,
        };
        drop(guest);
        let deadline = Instant::now() + Duration::from_secs(15);
        while begun.iter().any(|pid| runs(*pid)) {
            assert!(Instant::now() < deadline, "{begun:?} goes on");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_ended_holds_nobody_up() {
    let (guest, api) = guest().await;
    guest.exec(script("true")).await.unwrap();
    let second = guest.exec(script("true"));
    timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
    assert_eq!(
        api.started.load(Ordering::SeqCst),
        2,
        "nothing is killed that has ended"
    );
}
