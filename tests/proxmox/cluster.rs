//! The ProxmoxCluster controller and the metrics, against fakepve.

use crate::world::{World, ready};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use mosdat::api::{GpuProfile, ProxmoxCluster, ProxmoxVM};
use mosdat::controller::Metrics;
use mosdat::server;
use serde_json::{Value, json};
use std::sync::Arc;

on_both!(
    missing_privileges_are_named_and_noticed_when_granted,
    credentials_are_one_kind,
    nodes_quorum_and_capacity,
    metrics_are_served,
    one_that_vms_need_stays_even_without_its_secret,
    an_edit_is_never_judged_by_the_old_address,
);

fn condition(c: &ProxmoxCluster) -> String {
    let all = c.status.clone().unwrap_or_default().conditions;
    let c = all.into_iter().find(|c| c.type_ == "Ready");
    c.map(|c| format!("{} {}: {}", c.status, c.reason, c.message))
        .unwrap_or_default()
}

async fn until(world: &World, what: &str) -> ProxmoxCluster {
    world
        .until::<ProxmoxCluster>("lab", what, |c| condition(c).starts_with(what))
        .await
}

async fn missing_privileges_are_named_and_noticed_when_granted(world: World) {
    world
        .create::<GpuProfile>(json!({
            "metadata": {"name": "pool"},
            "spec": {"clusterRef": {"name": "lab"}, "devices": [{"name": "one", "mapping": "gpu0"}]},
        }))
        .await;
    let grant = |path: &str, list: &str| {
        world
            .fake
            .py(&format!("pve.grant('mosdat@pve!test', '{path}', *'{list}'.split())"));
    };
    grant("/nodes", "Sys.Audit");
    grant("/sdn/zones/localnetwork/vmbr0", "SDN.Use");
    grant("/storage/local-lvm", "Datastore.AllocateSpace Datastore.Audit");
    grant(
        "/vms",
        "VM.Allocate VM.Audit VM.Config.CPU VM.Config.HWType VM.Config.Memory VM.Config.Options VM.Console VM.PowerMgmt VM.GuestAgent.Unrestricted",
    );
    let _running = world.controllers("a");
    let told = condition(&until(&world, "False MissingPrivileges").await);
    assert!(
        told.contains("mosdat@pve!test lacks Mapping.Use on /mapping/pci/gpu0; VM.Clone on /vms. "),
        "{told}"
    );
    assert!(
        told.contains("pveum acl modify /vms --users 'mosdat@pve' --tokens 'mosdat@pve!test' --roles Mosdat"),
        "{told}"
    );
    grant("/vms", "VM.Clone");
    let told = condition(
        &world
            .until::<ProxmoxCluster>("lab", "missing less", |c| !condition(c).contains("VM.Clone on"))
            .await,
    );
    assert!(told.contains("lacks Mapping.Use on /mapping/pci/gpu0. "), "{told}");
    grant("/mapping/pci/gpu0", "Mapping.Use");
    until(&world, "True Reachable").await;
    let events: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(world.client.clone(), &world.ns);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let all = events.list(&Default::default()).await.expect("events");
        let told: Vec<String> = all.into_iter().filter_map(|e| e.reason).collect();
        if ["MissingPrivileges", "Reachable"]
            .iter()
            .all(|r| told.iter().any(|t| t == r))
        {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{told:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn secret(world: &World, data: Value) {
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.ns);
    let patch = json!({"data": null, "stringData": data});
    secrets
        .patch("pve", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .expect("patch");
}

async fn credentials_are_one_kind(world: World) {
    secret(
        &world,
        json!({"tokenId": "a@pve!b", "tokenSecret": "x", "username": "root@pam", "password": "secret"}),
    )
    .await;
    let _running = world.controllers("a");
    let told = condition(&until(&world, "False InvalidSettings").await);
    assert!(told.contains("Secret pve has a token and a user's password"), "{told}");
    secret(&world, json!({"username": "root@pam", "password": "secret"})).await;
    until(&world, "True Reachable").await;
    secret(&world, json!({"tokenId": "a@pve!b", "tokenSecret": "wrong"})).await;
    drop(_running);
    let _running = world.controllers("b");
    until(&world, "False AuthenticationFailed").await;
}

async fn nodes_quorum_and_capacity(world: World) {
    world.fake.py("pve.nodes['pve2'] = {'online': False}\nNone");
    let first = world.controllers("a");
    let c = until(&world, "True NodesOffline").await;
    assert!(condition(&c).ends_with("offline: pve2"), "{}", condition(&c));
    let status = c.status.expect("status");
    assert_eq!(status.quorate, Some(true));
    let node = &status.nodes[0];
    assert_eq!(
        (node.cpus, node.memory_gib, node.memory_free_gib),
        (Some(4), Some(8), Some(6))
    );
    let storage = status
        .storages
        .iter()
        .find(|s| s.name == "local-lvm" && s.node.as_deref() == Some("pve1"));
    assert_eq!(storage.expect("storage").free_gib, Some(100));
    let per_look = world.fake.py("len(pve.requests)").as_u64().expect("number");
    assert!(per_look <= 10, "{per_look} requests for at most two looks");
    drop(first);
    world.fake.py("pve.nodes['pve2']['online'] = True\npve.lose_quorum()\n");
    let _second = world.controllers("b");
    let c = until(&world, "False NoQuorum").await;
    assert_eq!(c.status.expect("status").quorate, Some(false));
    world.fake.py("pve.regain_quorum()");
    until(&world, "True Reachable").await;
}

async fn metrics_are_served(world: World) {
    let metrics = Arc::new(Metrics::default());
    let apart = server::serve_metrics(([127, 0, 0, 1], 0).into(), metrics.clone())
        .await
        .expect("serve");
    world
        .create::<GpuProfile>(json!({
            "metadata": {"name": "pool"},
            "spec": {"clusterRef": {"name": "lab"}, "devices": [{"name": "one", "mapping": "gpu0"}]},
        }))
        .await;
    let _running = world.controllers_with("a", metrics);
    until(&world, "True Reachable").await;
    world
        .until::<GpuProfile>("pool", "ready", |p| p.status.as_ref().is_some_and(|s| s.free == 1))
        .await;
    let url = format!("http://{}/metrics", apart.local_addr);
    let wanted = [
        r#"mosdat_reconcile_seconds_bucket{le="0.005",kind="ProxmoxCluster"}"#.to_string(),
        r#"mosdat_proxmox_requests_total{method="GET",path="/access/permissions",status="200",result="ok"}"#
            .to_string(),
        format!(
            r#"mosdat_gpu_devices{{namespace="{}",profile="pool",state="Free"}} 1"#,
            world.ns
        ),
        format!(r#"mosdat_gpu_leases{{namespace="{}",profile="pool"}} 0"#, world.ns),
        "# EOF".to_string(),
    ];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let answer = reqwest::get(&url).await.expect("get");
        let kind = answer.headers()["content-type"].to_str().expect("text").to_string();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        let text = answer.text().await.expect("text");
        let lacks: Vec<&String> = wanted.iter().filter(|w| !text.contains(*w)).collect();
        if lacks.is_empty() {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no {lacks:#?} in\n{text}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    apart.shutdown().await;
}

async fn one_that_vms_need_stays_even_without_its_secret(world: World) {
    let _running = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": world.vm_spec()}))
        .await;
    world.until::<ProxmoxVM>("a", "ready", ready).await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.ns);
    secrets.delete("pve", &Default::default()).await.expect("delete");
    world
        .api::<ProxmoxCluster>()
        .delete("lab", &Default::default())
        .await
        .expect("delete");
    let told = condition(
        &world
            .until::<ProxmoxCluster>("lab", "in use, without a Secret", |c| {
                condition(c).starts_with("False InUse") && condition(c).contains("Secret")
            })
            .await,
    );
    assert!(
        told.contains("ProxmoxVM a: delete") && told.contains("the login that it remembers"),
        "{told}"
    );
    // All that a namespace's end does.
    world
        .api::<ProxmoxVM>()
        .delete("a", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("a").await;
    assert!(world.fake.clones().is_empty());
    world.gone::<ProxmoxCluster>("lab").await;
}

async fn an_edit_is_never_judged_by_the_old_address(world: World) {
    let _running = world.controllers("a");
    until(&world, "True Reachable").await;
    // A port that nobody listens at.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let dead = format!("http://{}", free.local_addr().expect("address"));
    drop(free);
    let api: Api<ProxmoxCluster> = Api::namespaced(world.client.clone(), &world.ns);
    let patch = json!({"spec": {"endpoints": [dead]}});
    let edited = api.patch("lab", &PatchParams::default(), &Patch::Merge(&patch)).await;
    let generation = edited.expect("patch").metadata.generation;
    let judged = world
        .until::<ProxmoxCluster>("lab", "judged anew", |c| {
            c.status.as_ref().is_some_and(|s| s.observed_generation == generation)
        })
        .await;
    let told = condition(&judged);
    assert!(
        told.starts_with("False") && told.contains(dead.trim_start_matches("http://")),
        "{told}"
    );
}
