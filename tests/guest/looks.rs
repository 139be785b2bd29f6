//! Looks at files as the session's user.

use super::api::{guest, me_here};
use mosdat::guest::{Error, Session, read_text};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// To a user without rights everything in a folder is "not there".
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_looked_at_is_not_absent() {
    let (guest, _) = guest().await;
    let me = me_here();
    let session = Session {
        // Root may look everywhere.
        user: if me == "root" { "nobody".to_string() } else { me },
        leader: "test".into(),
        env: Default::default(),
        machine: Default::default(),
    };
    let dir = tempfile::tempdir().unwrap();
    allow(dir.path(), 0o755);
    let locked = dir.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::write(locked.join("marker"), "x").unwrap();
    symlink(locked.join("marker"), dir.path().join("link")).unwrap();
    symlink(dir.path().join("nowhere"), dir.path().join("dangling")).unwrap();
    allow(&locked, 0o600);
    let read = async |name: &str| read_text(&guest, &session, &dir.path().join(name).display().to_string()).await;
    for name in ["locked/marker", "locked/none", "locked/a/b/c", "link"] {
        let error = read(name).await.unwrap_err();
        assert!(
            matches!(&error, Error::Script { detail, .. } if detail.contains("may not look into") && detail.contains("/locked")),
            "{name}: {error}"
        );
    }
    for name in ["none", "a/b/c", "dangling"] {
        assert_eq!(read(name).await.unwrap(), None, "{name}");
    }
    allow(&locked, 0o755);
    assert_eq!(read("link").await.unwrap().map(|read| read.text).as_deref(), Some("x"));
}
