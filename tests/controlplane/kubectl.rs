//! Plain kubectl against the listener. Skipped (and said so) on machines without a kubectl.

use crate::support::{Plane, kubectl, plane};
use mosdat::controlplane::{ServeOptions, Serving};
use secrecy::SecretString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

struct Session {
    p: Plane,
    serving: Serving,
    kubectl: PathBuf,
}

impl Session {
    async fn start() -> Option<Session> {
        let Some(kubectl) = kubectl() else {
            eprintln!("no kubectl on this machine: skipped");
            return None;
        };
        let p = plane();
        let token = SecretString::from("a-token");
        let addr = "127.0.0.1:0".parse().unwrap();
        let tls_dir = p.dir.path().join("tls");
        let serving =
            p.cp.serve(ServeOptions {
                addr,
                token: token.clone(),
                tls_dir,
            })
            .await
            .unwrap();
        p.cp.write_kubeconfig(&p.dir.path().join("kubeconfig"), &serving, &token, "default")
            .unwrap();
        Some(Session { p, serving, kubectl })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command
            .env("KUBECONFIG", self.p.dir.path().join("kubeconfig"))
            .env("HOME", self.p.dir.path());
        command.args(args).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// Exit code, and both outputs together.
    async fn run(&self, args: &[&str], input: &str) -> (i32, String) {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let limit = Duration::from_secs(60);
        let out = tokio::time::timeout(limit, child.wait_with_output())
            .await
            .expect("kubectl ends")
            .unwrap();
        let text = [out.stdout, out.stderr].concat();
        (
            out.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    async fn ok(&self, args: &[&str], input: &str) -> String {
        let (code, text) = self.run(args, input).await;
        assert_eq!(code, 0, "kubectl {args:?}: {text}");
        text
    }
}

const WIDGET: &str = "apiVersion: test.mosdat.dev/v1alpha1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 3}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_session() {
    let Some(s) = Session::start().await else { return };
    assert!(
        s.ok(&["apply", "-f", "-"], WIDGET)
            .await
            .contains("widget.test.mosdat.dev/a created")
    );
    assert!(s.ok(&["apply", "-f", "-"], WIDGET).await.contains("unchanged"));
    let table = s.ok(&["get", "wd"], "").await;
    assert!(table.starts_with("NAME   SIZE   READY   AGE\na      3 "), "{table}");
    assert!(
        s.ok(&["get", "mosdat", "-o", "name"], "")
            .await
            .contains("widget.test.mosdat.dev/a")
    );
    let (code, text) = s
        .run(&["apply", "-f", "-"], &WIDGET.replace("size: 3", "size: 3, typo: 1"))
        .await;
    assert!(code != 0 && text.contains(r#"unknown field "spec.typo""#), "{text}");
    let (code, text) = s
        .run(&["apply", "-f", "-"], &WIDGET.replace("size: 3", "size: 300"))
        .await;
    assert!(code != 0 && text.contains("a big widget needs a reason"), "{text}");
    let text = s
        .ok(
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            &WIDGET.replace("3", "4"),
        )
        .await;
    assert!(text.contains("serverside-applied"), "{text}");
    let explained = s.ok(&["explain", "widget.spec.size"], "").await;
    assert!(explained.contains("How big, in millimetres."), "{explained}");
    let patch = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
    s.ok(
        &["patch", "wd", "a", "--subresource=status", "--type=merge", "-p", patch],
        "",
    )
    .await;
    s.ok(&["wait", "wd/a", "--for=condition=Ready", "--timeout=20s"], "")
        .await;
    s.ok(&["label", "wd", "a", "k=v"], "").await;
    assert!(s.ok(&["get", "wd", "-l", "k=v", "-o", "name"], "").await.contains("/a"));
    let described = s.ok(&["describe", "wd", "a"], "").await;
    assert!(
        described.contains("Events:") && described.contains("Ready"),
        "{described}"
    );
    let mut edit = s.command(&["edit", "wd", "a"]);
    let status = edit
        .env("KUBE_EDITOR", "sed -i s/size:.4/size:\\ 5/")
        .stdout(Stdio::null())
        .status()
        .await
        .unwrap();
    assert!(status.success());
    assert_eq!(s.ok(&["get", "wd", "a", "-o", "jsonpath={.spec.size}"], "").await, "5");
    assert!(s.ok(&["get", "crd"], "").await.contains("widgets.test.mosdat.dev"));
    assert!(
        s.ok(&["delete", "wd", "a", "--timeout=20s"], "")
            .await
            .contains("deleted")
    );
    s.serving.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_kinds_are_sent_as_protobuf() {
    let Some(s) = Session::start().await else { return };
    s.ok(&["create", "secret", "generic", "s", "--from-literal=a=b"], "")
        .await;
    assert_eq!(
        s.ok(&["get", "secret", "s", "-o", "jsonpath={.data.a}"], "").await,
        "Yg=="
    );
    s.ok(&["create", "configmap", "m", "--from-literal=a=b"], "").await;
    assert_eq!(s.ok(&["get", "cm", "m", "-o", "jsonpath={.data.a}"], "").await, "b");
    s.ok(&["create", "namespace", "n"], "").await;
    s.ok(&["delete", "namespace", "n", "--timeout=20s"], "").await;
    let (code, text) = s.run(&["get", "namespace", "n"], "").await;
    assert!(code == 1 && text.contains("NotFound"), "{text}");
    s.serving.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn get_watches() {
    let Some(s) = Session::start().await else { return };
    s.ok(&["apply", "-f", "-"], WIDGET).await;
    let mut watch = s.command(&["get", "wd", "-w"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line())
            .await
            .expect("a line in time");
        line.unwrap().unwrap()
    };
    assert!(next().await.starts_with("NAME"));
    assert!(next().await.starts_with("a      3"));
    s.ok(
        &["patch", "wd", "a", "--type=merge", "-p", r#"{"spec":{"size":9}}"#],
        "",
    )
    .await;
    assert!(next().await.starts_with("a      9"));
    watch.kill().await.unwrap();
    s.serving.shutdown().await;
}
