//! What the programs that read the clipboard say, and what it means.

use super::api::{guest, me_here};
use mosdat::guest::{Error, Session, clipboard};
use std::os::unix::fs::{PermissionsExt, symlink};

/// Folder with links to what the commands need, and this script as the tool.
fn with(tool: &str, script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tool in ["setsid", "id", "getent", "setpriv"] {
        symlink(format!("/usr/bin/{tool}"), dir.path().join(tool)).unwrap();
    }
    let path = dir.path().join(tool);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clipboard_that_cannot_be_read_is_not_empty() {
    let (guest, api) = guest().await;
    for (tool, script, wanted) in [
        ("wl-paste", "printf text", Some("text")),
        ("wl-paste", "echo 'Nothing is copied' >&2; exit 1", Some("")),
        ("wl-paste", "echo 'No selection' >&2; exit 1", Some("")),
        (
            "wl-paste",
            "echo 'Failed to connect to a Wayland server' >&2; exit 1",
            None,
        ),
        ("wl-paste", "exit 139", None),
        ("xclip", "printf 'a\\nb'", Some("a\nb")),
        (
            "xclip",
            "echo 'Error: target STRING not available' >&2; exit 1",
            Some(""),
        ),
        ("xclip", "echo \"Error: Can't open display: :9\" >&2; exit 1", None),
        ("xclip", "echo half; exit 3", None),
        ("xsel", "printf text", Some("text")),
        ("xsel", "echo 'no display' >&2; exit 1", None),
    ] {
        let dir = with(tool, script);
        *api.path.lock().unwrap() = Some(dir.path().display().to_string());
        let display = if tool == "wl-paste" {
            "WAYLAND_DISPLAY"
        } else {
            "DISPLAY"
        };
        let session = Session {
            user: me_here(),
            leader: "test".into(),
            env: [(display.to_string(), ":9".to_string())].into(),
            machine: Default::default(),
        };
        match (clipboard(&guest, &session).await, wanted) {
            (Ok(read), Some(text)) => assert!(read.text == text && read.whole, "{tool}: {script}: {read:?}"),
            (Err(Error::BrokenTool { .. }), None) => {}
            (other, _) => panic!("{tool}: {script}: {other:?}"),
        }
    }
}
