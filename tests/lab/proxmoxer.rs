//! Python's proxmoxer drives the lab: a client made for the real thing.

use crate::rig::Rig;
use std::process::Stdio;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn proxmoxer_drives_the_lab() {
    let rig = Rig::new().await;
    let python = std::env::var("MOSDAT_PYTHON").unwrap_or_else(|_| ".venv/bin/python".to_string());
    let run = tokio::process::Command::new(&python)
        .arg("tests/lab/drive.py")
        .arg(rig.lab.url.trim_start_matches("https://"))
        .arg(&rig.lab.token_id)
        .arg(&rig.lab.token_secret_file)
        .arg(rig.state.path().join("root.password"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let out = tokio::time::timeout(Duration::from_secs(400), run)
        .await
        .expect("proxmoxer is done in time")
        .unwrap_or_else(|e| panic!("{python}: {e}; make a venv from tests/requirements.txt or set MOSDAT_PYTHON"));
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    rig.close().await;
}
