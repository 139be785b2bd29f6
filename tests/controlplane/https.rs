//! The listener: TLS, the token, the kubeconfig, restarts.

use crate::support::{Plane, plane, typed, widget, widgets_resource};
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use mosdat::controlplane::{ServeOptions, Serving};
use secrecy::SecretString;
use serde_json::json;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

async fn serve(p: &Plane, addr: SocketAddr) -> Serving {
    let token = SecretString::from("a-token");
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
    serving
}

async fn client(p: &Plane) -> Client {
    let kubeconfig = Kubeconfig::read_from(p.dir.path().join("kubeconfig")).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn a_kubeconfig_opens_the_door_and_stays_valid() {
    let p = plane();
    let serving = serve(&p, "127.0.0.1:0".parse().unwrap()).await;
    let file = p.dir.path().join("kubeconfig");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        std::fs::metadata(p.dir.path().join("tls/server.key"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let c = client(&p).await;
    assert_eq!(c.default_namespace(), "default");
    let api: Api<DynamicObject> = Api::default_namespaced_with(c, &widgets_resource());
    api.create(&PostParams::default(), &typed(widget("w", json!({"size": 1}))))
        .await
        .unwrap();
    let (addr, before) = (serving.local_addr, std::fs::read(&file).unwrap());
    serving.shutdown().await;
    assert!(api.list(&ListParams::default()).await.is_err(), "closed");
    let again = serve(&p, addr).await;
    assert_eq!(
        std::fs::read(&file).unwrap(),
        before,
        "the same certificates, the same kubeconfig"
    );
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 1);
    again.shutdown().await;
}

#[tokio::test]
async fn without_the_token_nothing_is_told() {
    let p = plane();
    let serving = serve(&p, "127.0.0.1:0".parse().unwrap()).await;
    let file = p.dir.path().join("kubeconfig");
    let text = std::fs::read_to_string(&file).unwrap().replace("a-token", "b-token");
    std::fs::write(&file, text).unwrap();
    let refused = client(&p).await.apiserver_version().await.unwrap_err();
    let kube::Error::Api(status) = refused else {
        panic!("{refused}")
    };
    assert_eq!((status.code, status.reason.as_str()), (401, "Unauthorized"));
    serving.shutdown().await;
}

#[tokio::test]
async fn only_loopback_is_listened_on_and_a_taken_port_is_named() {
    let p = plane();
    let token = SecretString::from("t");
    let tls_dir = p.dir.path().join("tls");
    let addr = "0.0.0.0:0".parse().unwrap();
    let e =
        p.cp.serve(ServeOptions {
            addr,
            token: token.clone(),
            tls_dir: tls_dir.clone(),
        })
        .await
        .err()
        .unwrap();
    assert!(e.to_string().contains("loopback"), "{e}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let e = p.cp.serve(ServeOptions { addr, token, tls_dir }).await.err().unwrap();
    assert!(e.to_string().contains(&addr.to_string()), "{e}");
}
