//! The product's client where the lab is nearer to Proxmox than the fake: password and token, devices, one reader.

use crate::rig::{NODE, Rig, TEMPLATE};
use mosdat::proxmox::{Auth, Client, Config, ErrorKind, Tls, parse_fingerprint};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn root_by_password_may_more_than_any_token() {
    let rig = Rig::new().await;
    let password = std::fs::read_to_string(rig.state.path().join("root.password")).expect("the password");
    let root = Client::new(Config {
        endpoints: vec![rig.lab.url.parse().expect("a URL")],
        auth: Auth::password("root@pam", password.into()),
        tls: Tls::Fingerprint(parse_fingerprint(&rig.lab.fingerprint).expect("a fingerprint")),
        timeout: Duration::from_secs(60),
    })
    .expect("a client");
    root.version().await.expect("logged in");
    rig.clone_to(101).await;
    let raw = [("hostpci0", "0000:01:00.0".to_string())];
    let e = rig.client.set_config(NODE, 101, &raw).await.expect_err("a token");
    assert_eq!(e.kind, ErrorKind::Permission, "{e}");
    root.set_config(NODE, 101, &raw)
        .await
        .expect("root, with cookie and CSRF token");

    let mapping = root.pci_mapping("labgpu").await.expect("the mapping");
    let listed = rig.client.pci_mappings(Some(NODE)).await.expect("the mappings");
    assert_eq!(listed[0].id, mapping.id);
    let devices = rig.client.pci_devices(NODE, false).await.expect("the devices");
    assert_eq!(mapping.devices.len(), devices.len());
    for (mapped, real) in mapping.devices.iter().zip(&devices) {
        assert_eq!((mapped.node.as_str(), &mapped.path), (NODE, &real.id));
        assert_eq!(mapped.iommugroup.map(u64::from), real.iommugroup);
    }

    let rights = rig.client.permissions().await.expect("the permissions");
    assert!(
        rights
            .missing(&format!("/vms/{TEMPLATE}"), &["VM.Clone", "VM.Audit"])
            .is_empty()
    );
    assert_eq!(rights.missing("/", &["Realm.Allocate"]), ["Realm.Allocate"]);
    let storages = rig.client.storages(NODE).await.expect("the storages");
    assert!(storages.iter().any(|s| s.storage == "local" && s.active));
    let volumes = rig.client.storage_content(NODE, "local", None).await.expect("volumes");
    assert!(
        volumes.iter().any(|v| v.vmid == Some(101) && v.format == "qcow2"),
        "{volumes:?}"
    );
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_machine() {
    let rig = Rig::new().await;
    rig.clone_to(101).await;
    rig.start(101).await.expect("starts");
    rig.until_agent(101).await;
    let pve = &rig.client;

    let command = ["/bin/cat".to_string()];
    let pid = pve
        .agent_exec(NODE, 101, &command, Some(b"a=1&b;+\n"))
        .await
        .expect("exec");
    let done = loop {
        let s = pve.agent_exec_status(NODE, 101, pid).await.expect("status");
        if s.exited {
            break s;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((done.exitcode, done.out_data.as_str()), (Some(0), "a=1&b;+\n"));
    let e = pve.agent_exec_status(NODE, 101, pid).await.expect_err("read before");
    assert_eq!(e.kind, ErrorKind::NotFound, "{e}");

    let os = pve.agent_osinfo(NODE, 101).await.expect("osinfo");
    assert!(!os.kernel_release.is_empty(), "{os:?}");
    pve.agent_file_write(NODE, 101, "/tmp/bytes", &[0, 255, b'&', 10])
        .await
        .expect("write");
    let read = pve.agent_file_read(NODE, 101, "/tmp/bytes").await.expect("read");
    assert_eq!(read, [0, 255, b'&', 10]);
    let e = pve
        .agent_file_read(NODE, 101, "/tmp/none")
        .await
        .expect_err("no such file");
    assert_eq!(e.kind, ErrorKind::NotFound, "{e}");

    let upid = pve
        .create_snapshot(NODE, 101, "warm", "with RAM", true)
        .await
        .expect("snapshot");
    rig.wait(&upid).await.expect("snapshot task");
    let list = pve.snapshots(NODE, 101).await.expect("list");
    assert_eq!((list[0].name.as_str(), list[0].vmstate), ("warm", true));
    rig.shell(101, "rm /tmp/bytes").await;
    let upid = pve.rollback(NODE, 101, "warm", false).await.expect("rollback");
    rig.wait(&upid).await.expect("rollback task");
    rig.until_agent(101).await;
    pve.agent_file_read(NODE, 101, "/tmp/bytes").await.expect("it is back");
    pve.sendkey(NODE, 101, "a").await.expect("sendkey");
    let upid = pve.reset(NODE, 101).await.expect("reset");
    rig.wait(&upid).await.expect("reset task");
    let upid = pve.stop_overruling(NODE, 101).await.expect("stop");
    rig.wait(&upid).await.expect("stop task");
    rig.delete(101).await;
    rig.close().await;
}
