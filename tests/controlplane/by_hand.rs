//! A control plane to try things on by hand:
//! `MOSDAT_HAND=/tmp/hand cargo test --test controlplane by_hand -- --ignored`, then
//! `kubectl --kubeconfig /tmp/hand/kubeconfig ...`; ends when `/tmp/hand/stop` appears.

use crate::support::widget_crd;
use mosdat::controlplane::{ControlPlane, Options, ServeOptions};
use std::path::PathBuf;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "serves until told to stop"]
async fn by_hand() {
    let Some(dir) = std::env::var_os("MOSDAT_HAND").map(PathBuf::from) else {
        return;
    };
    let mut crds = mosdat::api::crds();
    crds.push(widget_crd());
    let cp = ControlPlane::open(Options {
        state_file: dir.join("state.redb"),
        kinds: mosdat::controlplane::Kinds::new(crds).unwrap(),
    })
    .unwrap();
    let token = secrecy::SecretString::from("by-hand");
    let addr = "127.0.0.1:0".parse().unwrap();
    let serving = cp
        .serve(ServeOptions {
            addr,
            token: token.clone(),
            tls_dir: dir.join("tls"),
        })
        .await
        .unwrap();
    cp.write_kubeconfig(&dir.join("kubeconfig"), &serving, &token, "default")
        .unwrap();
    while !dir.join("stop").exists() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    serving.shutdown().await;
}
