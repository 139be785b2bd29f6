//! What keeps a command from being run is never the command's exit code.

use super::api::{guest, me_here, script};
use super::ways::Way;
use mosdat::guest::{Error, Exit, Guest, MAX_SCRIPT};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::Ordering;

const TOOLS: [&str; 5] = ["setsid", "id", "getent", "setpriv", "sleep"];

/// A folder with links to this machine's tools, but for one.
fn without(missing: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tool in TOOLS.iter().filter(|tool| **tool != missing) {
        symlink(Path::new("/usr/bin").join(tool), dir.path().join(tool)).unwrap();
    }
    dir
}

both!(
    a_missing_tool_is_named,
    a_tool_that_does_not_work_is_named_with_its_words,
    a_user_who_is_not_there_is_the_authors_error,
    a_command_that_is_too_long_is_refused
);

async fn a_missing_tool_is_named(way: Way) {
    let guest = &way.guest;
    for missing in ["setsid", "id", "getent", "setpriv"] {
        let dir = without(missing);
        way.set_path(dir.path().to_str().unwrap());
        let error = guest.exec(script("exit 127").as_user("nobody")).await.unwrap_err();
        assert!(
            matches!(&error, Error::NoTool { tool, purpose } if tool == missing && purpose.contains("nobody")),
            "{missing}: {error}"
        );
        assert!(!error.is_the_authors());
    }
    // Whoever is there already needs no setpriv, and 127 is the command's own.
    let dir = without("setpriv");
    way.set_path(dir.path().to_str().unwrap());
    for command in [script("exit 127"), script("no-such-command").as_user(&me_here())] {
        assert_eq!(guest.exec(command).await.unwrap().exit, Exit::Code(127));
    }
}

async fn a_tool_that_does_not_work_is_named_with_its_words(way: Way) {
    let guest = &way.guest;
    for (tool, words) in [("setpriv", "unrecognized option '--reuid'"), ("getent", "exit code 3")] {
        let dir = without(tool);
        let path = dir.path().join(tool);
        std::fs::write(&path, format!("#!/bin/sh\necho \"{words}\" >&2; exit 3\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        way.set_path(dir.path().to_str().unwrap());
        let error = guest.exec(script("exit 3").as_user("nobody")).await.unwrap_err();
        assert!(
            matches!(&error, Error::BrokenTool { tool: t, why, .. } if t == tool && why == words),
            "{error}"
        );
    }
}

async fn a_user_who_is_not_there_is_the_authors_error(way: Way) {
    let guest = way.guest;
    let error = guest.exec(script("exit 0").as_user("no-such-user")).await.unwrap_err();
    assert!(
        matches!(&error, Error::NoUser { user } if user == "no-such-user"),
        "{error}"
    );
    assert!(error.is_the_authors());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_an_exit_code_is_no_success() {
    let (guest, api) = guest().await;
    api.codeless.store(1, Ordering::SeqCst);
    let error = guest.exec(script("exit 0")).await.unwrap_err();
    assert!(matches!(error, Error::ResultLost { .. }), "{error}");
}

async fn a_command_that_is_too_long_is_refused(way: Way) {
    let error = way.guest.exec(script(&":".repeat(MAX_SCRIPT))).await.unwrap_err();
    assert!(
        matches!(&error, Error::TooLong { length, .. } if *length > MAX_SCRIPT),
        "{error}"
    );
    assert!(error.is_the_authors());
}
