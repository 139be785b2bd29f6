//! What was acknowledged survives SIGKILL.

use crate::support::{WIDGETS, open, widget};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use mosdat::controlplane::{ControlPlane, Kinds, Options};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const DIR: &str = "MOSDAT_TEST_CRASH_DIR";

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child: creates and changes objects as fast as it can, and prints each acknowledged one.
#[tokio::test]
#[ignore = "run by survives_sigkill as a process of its own"]
async fn child() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else {
        return;
    };
    // The parent may still be closing the file.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let cp = loop {
        let options = Options {
            state_file: dir.join("state.redb"),
            kinds: Kinds::new(vec![crate::support::widget_crd()]).expect("kinds"),
        };
        match ControlPlane::open(options) {
            Ok(cp) => break cp,
            Err(e) => assert!(std::time::Instant::now() < end, "{e}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let api: kube::Api<DynamicObject> =
        kube::Api::namespaced_with(cp.client("default"), "default", &crate::support::widgets_resource());
    for i in 0.. {
        let name = format!("w{i}");
        let w = crate::support::typed(widget(&name, json!({"size": 1})));
        api.create(&PostParams::default(), &w).await.unwrap();
        let patch = Patch::Merge(json!({"spec": {"size": 2}}));
        let w = api.patch(&name, &PatchParams::default(), &patch).await.unwrap();
        println!("\nACK {name} {}", w.metadata.resource_version.unwrap());
    }
}

// On its own threads: closing the state goes on while this test waits for the child's lines.
#[tokio::test(flavor = "multi_thread")]
async fn survives_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0u64;
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..3 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        // Each round writes into its own folder's state again: names are new, as the old ones exist.
        command
            .args(["--exact", "crash::child", "--ignored", "--nocapture"])
            .env(DIR, dir.path());
        let mut child = Killed(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        for _ in 0..20 {
            let line = loop {
                let line = lines.next().expect("the child writes on").unwrap();
                if let Some(ack) = line.strip_prefix("ACK ") {
                    break ack.to_string();
                }
            };
            let (name, rv) = line.split_once(' ').unwrap();
            let rv: u64 = rv.parse().unwrap();
            assert!(rv > last, "resourceVersions never go back: {rv} after {last}");
            last = rv;
            acknowledged.push(name.to_string());
        }
        // SIGKILL, in the middle of whatever it writes.
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        let cp = open(dir.path());
        let api: kube::Api<DynamicObject> =
            kube::Api::namespaced_with(cp.client("default"), "default", &crate::support::widgets_resource());
        let list = api.list(&ListParams::default()).await.unwrap();
        let rv: u64 = list.metadata.resource_version.unwrap().parse().unwrap();
        assert!(rv >= last);
        for name in &acknowledged {
            let w = list
                .items
                .iter()
                .find(|w| w.metadata.name.as_deref() == Some(name))
                .expect("an acknowledged object");
            assert_eq!(w.data["spec"]["size"], 2, "round {round}: an acknowledged change");
        }
        // Make room for the next round's names.
        let request = http::Request::delete(WIDGETS).body(vec![]).unwrap();
        cp.client("default").request::<Value>(request).await.unwrap();
        acknowledged.clear();
        last = rv;
    }
}
