//! The helper does what its users rely on: ready, RBAC enforced, garbage collected, nothing left behind.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;

use crate::real_kube::{RealKube, client_for};

#[tokio::test]
async fn the_repositorys_crds_are_accepted() {
    let kube = RealKube::shared().await;
    let count = kube.apply_crds().await;
    let listed = kube.kubectl_ok(&["get", "crd", "-o", "name"]).await;
    let ours = listed.lines().filter(|line| line.ends_with(".mosdat.dev")).count();
    assert_eq!(ours, count, "{listed}");
}

#[tokio::test]
async fn an_unbound_user_is_refused_and_a_bound_account_gets_what_its_rules_say() {
    let kube = RealKube::shared().await;
    let refused = kube
        .kubectl_as(kube.tester_kubeconfig(), &["get", "configmaps"], "")
        .await;
    assert!(!refused.status.success());
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        message.contains("\"tester\" cannot list resource \"configmaps\""),
        "{message}"
    );

    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]);
    let config = kube.service_account("rules", "reader", &rules).await;
    let configmaps: Api<ConfigMap> = Api::namespaced(client_for(&config).await, "rules");
    configmaps.list(&Default::default()).await.expect("list is allowed");
    let error = configmaps
        .create(&PostParams::default(), &configmap("x", None))
        .await
        .expect_err("create is not");
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 403),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_owners_deletion_takes_its_dependants() {
    let kube = RealKube::shared().await;
    let configmaps: Api<ConfigMap> = Api::namespaced(kube.client().await, "default");
    let owner = configmaps
        .create(&PostParams::default(), &configmap("owner", None))
        .await
        .expect("owner");
    let uid = owner.metadata.uid.expect("a stored object has a uid");
    configmaps
        .create(&PostParams::default(), &configmap("child", Some(&uid)))
        .await
        .expect("child");
    configmaps
        .delete("owner", &DeleteParams::background())
        .await
        .expect("delete");
    let begun = Instant::now();
    while configmaps.get_opt("child").await.expect("get").is_some() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the child is still there after 60 s"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn dropping_it_ends_its_processes_and_removes_its_folder() {
    let kube = RealKube::start().await;
    let (dir, server) = (kube.dir().to_owned(), kube.server().to_owned());
    assert!(dir.join("kube-apiserver.log").exists());
    drop(kube);
    assert!(!dir.exists(), "{} is still there", dir.display());
    let address = server.strip_prefix("https://").expect("an https address");
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "{address} still answers"
    );
}

fn configmap(name: &str, owner: Option<&str>) -> ConfigMap {
    let owners = owner.map(|uid| json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]));
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": owners}});
    serde_json::from_value(value).expect("a ConfigMap")
}
