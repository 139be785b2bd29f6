//! A state file that cannot grow is told of, and written again as soon as it can.

use crate::support::{WIDGETS, plane, reopen, widget};
use serde_json::{Value, json};
use std::process::Command;

/// The largest file that this process may write, bytes; `None`: as large as it likes.
fn limit_files(bytes: Option<u64>) {
    // SAFETY: plain system calls; the struct outlives them.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit), 0);
        limit.rlim_cur = bytes.unwrap_or(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
        // Without this, the kernel kills who writes too much.
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "x".repeat(400_000)}})
}

#[tokio::test]
#[ignore = "run by the_api_lives_on as a process of its own, whose files are limited"]
async fn child() {
    let p = plane();
    assert_eq!(p.create(widget("before", json!({"size": 1}))).await.0, 201);
    let file = p.dir.path().join("state.redb");
    limit_files(Some(std::fs::metadata(&file).unwrap().len()));
    let maps = "/api/v1/namespaces/default/configmaps";
    let mut made = 0;
    let status = loop {
        let (code, answer) = p
            .raw("POST", maps, "application/json", config_map(&format!("m{made}")))
            .await;
        if code != 201 {
            break answer;
        }
        made += 1;
        assert!(made < 100, "the limit does not hold");
    };
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains(file.to_str().unwrap()) && message.contains("nothing was changed"),
        "{message}"
    );
    assert_eq!(p.get(&format!("{WIDGETS}/before")).await.0, 200, "reading goes on");
    let (code, status) = p.raw("POST", maps, "application/json", config_map("still")).await;
    assert!(code >= 500, "{code} {status}");
    limit_files(None);
    let (code, status) = p.raw("POST", maps, "application/json", config_map("after")).await;
    assert_eq!(code, 201, "{status}");
    let p = reopen(p).await;
    let list = p.get(maps).await.1;
    assert_eq!(list["items"].as_array().unwrap().len(), made + 1);
    assert_eq!(p.get(&format!("{maps}/after")).await.0, 200);
    assert_eq!(p.get(&format!("{WIDGETS}/before")).await.0, 200);
}

#[test]
fn the_api_lives_on() {
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "full_disk::child", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}
