//! The same runs against a real kube-apiserver, with a controller that has only its own rights.

use crate::harness::*;
use crate::support::RealKube;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_works_on_a_real_control_plane() {
    ensure_template();
    let kube = RealKube::start().await;
    let (admin, tool) = (kube.kubeconfig().to_path_buf(), kube.kubectl_path());
    let dir = tempfile::tempdir().expect("temp dir");
    let ok = |args: &[&str]| {
        let out = kubectl(&tool, &admin, args);
        assert!(out.status.success(), "kubectl {args:?}: {}", text(&out));
        text(&out)
    };
    assert!(kube.apply_crds().await >= 6);
    let controller_config = kube.controller_kubeconfig("mosdat-system", "mosdat-controller").await;

    // The lab on its own, as a Proxmox would be.
    let lab_state = dir.path().join("lab");
    let mut lab = command(MOSDAT)
        .args(["lab", "serve", "--state"])
        .arg(&lab_state)
        .stdout(Stdio::piped())
        .spawn()
        .expect("lab");
    let mut facts = std::collections::BTreeMap::new();
    let mut lines = BufReader::new(lab.stdout.take().expect("stdout"));
    while facts.len() < 4 {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).expect("read") > 0, "the lab ended early");
        let (k, v) = line
            .trim()
            .split_once("  ")
            .unwrap_or_else(|| panic!("not 'NAME  VALUE': {line}"));
        facts.insert(k.trim().to_string(), v.trim().to_string());
    }
    let secret = std::fs::read_to_string(facts["token secret"].trim()).expect("secret");
    let objects = dir.path().join("lab.yaml");
    std::fs::write(
        &objects,
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: lab-credentials, namespace: default}}\nstringData: {{tokenId: \"{}\", tokenSecret: \"{}\"}}\n---\n\
             apiVersion: mosdat.dev/v1alpha1\nkind: ProxmoxCluster\nmetadata: {{name: lab, namespace: default}}\nspec:\n  endpoints: [\"{}\"]\n  credentialsSecretRef: {{name: lab-credentials}}\n  tls: {{fingerprint: \"{}\"}}\n  vmidRange: {{start: 100, end: 999}}\n",
            facts["token id"], secret.trim(), facts["url"], facts["fingerprint"]
        ),
    )
    .expect("write");
    ok(&["apply", "-f", objects.to_str().expect("path")]);

    let log_file = std::fs::File::create(dir.path().join("controller.log")).expect("log");
    let mut controller = command(MOSDAT)
        .args(["controller", "--listen", "127.0.0.1:0", "--kubeconfig"])
        .arg(&controller_config)
        .arg("--artifacts")
        .arg(dir.path().join("artifacts"))
        .env("MOSDAT_LOG", "info")
        .stderr(log_file)
        .spawn()
        .expect("controller");

    for (file, name, result) in [
        ("examples/quickstart/passing.yaml", "passing", "passed"),
        ("examples/quickstart/failing.yaml", "failing", "failed"),
    ] {
        ok(&["apply", "-f", "examples/quickstart/scenario.yaml"]);
        ok(&["apply", "-f", file]);
        let run = wait_for("the run to be done", Duration::from_secs(240), || {
            let run = get(&tool, &admin, "ftr", name)?;
            (run["status"]["phase"] == "Done").then_some(run)
        });
        let log = std::fs::read_to_string(dir.path().join("controller.log")).unwrap_or_default();
        assert_eq!(run["status"]["result"], result, "{}\n{log}", run["status"]);
    }
    ok(&["delete", "ftr", "--all", "--timeout=60s"]);
    wait_for("VM objects to be gone", Duration::from_secs(60), || {
        ok(&["get", "pvm", "-o", "name"]).trim().is_empty().then_some(())
    });
    wait_for("machines to be gone", Duration::from_secs(30), || {
        machines(&lab_state).is_empty().then_some(())
    });
    for child in [&mut controller, &mut lab] {
        let _ = child.kill();
        let _ = child.wait();
    }
}
