//! Every typed call against fakepve.

use crate::fake::Fake;
use mosdat::proxmox::{Client, ConfigChange, ErrorKind, Upload};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::Instant;

const NODE: &str = "pve1";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test]
async fn snapshots() {
    let fake = Fake::start();
    let pve = fake.client();
    fake.py("pve.add_vm(101, 'a', status='running', config={'cores': 2}) and None");
    assert!(pve.snapshots(NODE, 101).await.expect("list").is_empty());

    let upid = pve.create_snapshot(NODE, 101, "clean", "", false).await.expect("disk");
    pve.wait_task(&upid, soon()).await.expect("disk task");
    let upid = pve
        .create_snapshot(NODE, 101, "warm", "logged in; ready", true)
        .await
        .expect("RAM");
    pve.wait_task(&upid, soon()).await.expect("RAM task");
    let list = pve.snapshots(NODE, 101).await.expect("list");
    let seen: Vec<_> = list.iter().map(|s| (s.name.as_str(), s.vmstate)).collect();
    assert_eq!(seen, [("clean", false), ("warm", true)]);
    assert_eq!(list[1].description, "logged in; ready");
    assert_eq!(list[1].parent.as_deref(), Some("clean"));
    assert!(list[0].snaptime.is_some_and(|t| t > 1_600_000_000) && list[0].snapstate.is_none());

    let upid = pve
        .create_snapshot(NODE, 101, "clean", "", false)
        .await
        .expect("a task");
    let e = pve.wait_task(&upid, soon()).await.expect_err("taken");
    assert_eq!(e.kind, ErrorKind::AlreadyExists, "{e}");

    fake.py("pve.vm(101).config.update(cores=8)");
    let upid = pve.rollback(NODE, 101, "clean", false).await.expect("rollback");
    pve.wait_task(&upid, soon()).await.expect("rollback task");
    assert!(!pve.vm_status(NODE, 101).await.expect("status").running());
    assert_eq!(pve.vm_config(NODE, 101).await.expect("config").get("cores"), Some("2"));
    let upid = pve.rollback(NODE, 101, "clean", true).await.expect("rollback");
    pve.wait_task(&upid, soon()).await.expect("rollback task");
    assert!(pve.vm_status(NODE, 101).await.expect("status").running());

    let upid = pve.delete_snapshot(NODE, 101, "warm").await.expect("delete");
    pve.wait_task(&upid, soon()).await.expect("delete task");
    assert_eq!(pve.snapshots(NODE, 101).await.expect("list").len(), 1);
    let upid = pve.delete_snapshot(NODE, 101, "warm").await.expect("a task");
    let e = pve.wait_task(&upid, soon()).await.expect_err("gone");
    assert_eq!(e.kind, ErrorKind::NotFound, "{e}");
}

#[tokio::test]
async fn configuration_with_pending_changes_and_digest() {
    let fake = Fake::start();
    let pve = fake.client();
    fake.py("setattr(pve, 'shows_pending', True)");
    fake.py("pve.add_vm(101, 'a', status='running', config={'cores': 2, 'vga': 'std', 'balloon': 0}) and None");
    let digest = pve
        .vm_config(NODE, 101)
        .await
        .expect("config")
        .digest()
        .map(String::from);
    assert!(digest.is_some());
    let change = ConfigChange {
        set: vec![
            ("cores".to_string(), "4".to_string()),
            ("tags".to_string(), "a;b".to_string()),
        ],
        delete: vec!["vga".to_string(), "balloon".to_string()],
        digest: digest.clone(),
        ..ConfigChange::default()
    };
    pve.update_config(NODE, 101, &change).await.expect("update");
    let e = pve.update_config(NODE, 101, &change).await.expect_err("stale digest");
    assert!(
        e.kind == ErrorKind::Busy && e.message.contains("checksum mismatch"),
        "{e}"
    );

    let next = pve.vm_config(NODE, 101).await.expect("config");
    assert_eq!((next.get("cores"), next.get("vga")), (Some("4"), None));
    let now = pve.vm_config_active(NODE, 101).await.expect("active");
    assert_eq!((now.get("cores"), now.get("vga")), (Some("2"), Some("std")));
    assert_eq!(now.tags(), ["a", "b"], "in effect at once");
    let pending = pve.vm_pending(NODE, 101).await.expect("pending");
    let waits: Vec<_> = pending.iter().filter(|p| p.waits()).map(|p| p.key.as_str()).collect();
    assert_eq!(waits, ["balloon", "cores", "vga"]);
    let cores = pending.iter().find(|p| p.key == "cores").expect("cores");
    assert_eq!(
        (cores.value.as_deref(), cores.pending.as_deref()),
        (Some("2"), Some("4"))
    );

    let upid = pve.reboot(NODE, 101, 5).await.expect("reboot");
    pve.wait_task(&upid, soon()).await.expect("reboot task");
    let now = pve.vm_config_active(NODE, 101).await.expect("active");
    assert_eq!(now.get("cores"), Some("4"));

    let change = ConfigChange {
        set: vec![("description".to_string(), "later".to_string())],
        ..ConfigChange::default()
    };
    let upid = pve.update_config_task(NODE, 101, &change).await.expect("POST");
    pve.wait_task(&upid, soon()).await.expect("qmconfig");
    let now = pve.vm_config(NODE, 101).await.expect("config");
    assert_eq!(now.get("description"), Some("later"));

    let change = ConfigChange {
        set: vec![
            ("memory".to_string(), "lots".to_string()),
            ("cores".to_string(), "x".to_string()),
        ],
        ..ConfigChange::default()
    };
    let e = pve.update_config(NODE, 101, &change).await.expect_err("nonsense");
    assert_eq!(e.kind, ErrorKind::Parameter, "{e}");
    assert_eq!(e.fields.keys().collect::<Vec<_>>(), ["cores", "memory"], "{e}");
}

#[tokio::test]
async fn creating_listing_and_power() {
    let fake = Fake::start();
    let pve = fake.client();
    let id = pve.next_id().await.expect("id");
    let values = [
        ("name", "made".to_string()),
        ("memory", "512".to_string()),
        ("tags", "x".to_string()),
    ];
    let upid = pve.create_vm(NODE, id, &values).await.expect("create");
    pve.wait_task(&upid, soon()).await.expect("qmcreate");
    let vms = pve.vms(NODE).await.expect("vms");
    let made = vms.iter().find(|v| v.vmid == id).expect("listed");
    assert_eq!((made.name.as_deref(), made.status.as_str()), (Some("made"), "stopped"));
    assert!(!made.template && made.lock.is_none() && made.tags == ["x"]);
    let e = pve.create_vm(NODE, id, &values).await.expect_err("taken");
    assert_eq!(e.kind, ErrorKind::AlreadyExists, "{e}");

    let e = pve.reset(NODE, id).await.expect_err("not running");
    assert_eq!(e.kind, ErrorKind::NotRunning, "{e}");
    let upid = pve.start(NODE, id).await.expect("start");
    pve.wait_task(&upid, soon()).await.expect("qmstart");
    let upid = pve.reset(NODE, id).await.expect("reset");
    pve.wait_task(&upid, soon()).await.expect("qmreset");
    pve.sendkey(NODE, id, "ctrl-alt-delete").await.expect("sendkey");
    assert_eq!(fake.count("PUT", "/sendkey"), 1);
    let upid = pve.shutdown(NODE, id, 5, true).await.expect("shutdown");
    pve.wait_task(&upid, soon()).await.expect("qmshutdown");
    assert!(!pve.vm_status(NODE, id).await.expect("status").running());
    let upid = pve.start(NODE, id).await.expect("start");
    pve.wait_task(&upid, soon()).await.expect("qmstart");
    let upid = pve.stop_overruling(NODE, id).await.expect("stop");
    pve.wait_task(&upid, soon()).await.expect("qmstop");
    assert_eq!(
        fake.py("[b.decode() for m, p, b in pve.requests if p.endswith('/status/stop')]"),
        json!(["overrule-shutdown=1"])
    );
}

#[tokio::test]
async fn the_guest_agent() {
    let fake = Fake::start();
    let pve = fake.client();
    fake.py("pve.add_vm(101, 'a', status='running') and None");
    fake.py("pve.vm(101).agent.update(files={'/etc/x': 'a\\u00c3\\u00a9b'})");
    let os = pve.agent_osinfo(NODE, 101).await.expect("osinfo");
    assert_eq!(
        (os.id.as_str(), os.version_id.as_str(), os.machine.as_str()),
        ("debian", "13", "x86_64")
    );
    assert!(os.pretty_name.starts_with(&os.name) && !os.kernel_release.is_empty());

    let read = pve.agent_file_read(NODE, 101, "/etc/x").await.expect("read");
    assert_eq!(read, "aéb".as_bytes());
    let bytes = [0, 1, b'&', b';', b'=', 255];
    pve.agent_file_write(NODE, 101, "/tmp/y", &bytes).await.expect("write");
    let asked = fake.py("pve.vm(101).agent_requests[-1]");
    assert_eq!(asked[0], "file-write");
    assert_eq!(asked[1]["content"], "AAEmOz3/");
    let e = pve.agent_file_write(NODE, 101, "/tmp/y", &[0; 50_000]).await;
    assert_eq!(e.expect_err("too long").kind, ErrorKind::Parameter);

    let command = ["cat".to_string(), "-".to_string()];
    let pid = pve
        .agent_exec(NODE, 101, &command, Some(b"a=1&b;\n+"))
        .await
        .expect("exec");
    let asked = fake.py("pve.vm(101).agent_requests[-1][1]");
    assert_eq!(
        (&asked["command"], &asked["input-data"]),
        (&json!(command), &json!("a=1&b;\n+"))
    );
    assert!(pve.agent_exec_status(NODE, 101, pid).await.expect("status").exited);
    let e = pve.agent_exec(NODE, 101, &command, Some(&[0xff, 0xfe])).await;
    assert!(e.is_err_and(|e| e.message.contains("UTF-8")));

    // The first answer after the end takes the process away; one that was lost cannot be had again.
    let gone = "fail('GET', '/agent/exec-status', 500, 'Agent error: PID ld does not exist')";
    fake.py(&format!("pve.{gone}"));
    let e = pve.agent_exec_status(NODE, 101, pid).await.expect_err("read before");
    assert_eq!(e.kind, ErrorKind::NotFound, "{e}");
    fake.py("pve.fail('POST', '/agent/exec', 596, 'Broken pipe')");
    let e = pve
        .agent_exec(NODE, 101, &command, None)
        .await
        .expect_err("no such command");
    assert_eq!(e.kind, ErrorKind::CommandNotRun, "{e}");
    assert!(!e.is_transient());
    fake.py("setattr(pve.vm(101), 'agent_hangs', True)");
    let e = pve.agent_ping(NODE, 101).await.expect_err("hangs");
    assert_eq!(e.kind, ErrorKind::AgentNotRunning, "{e}");
}

#[tokio::test]
async fn storages_and_uploads() {
    let fake = Fake::start();
    let pve = fake.client();
    let all = pve.storages(NODE).await.expect("storages");
    let local = all.iter().find(|s| s.storage == "local").expect("local");
    assert!(local.active && local.enabled && !local.shared && local.kind == "dir");
    assert!(local.content.contains(&"iso".to_string()), "{local:?}");
    let before = pve.storage_status(NODE, "local").await.expect("status");
    assert_eq!(before.storage, "local");
    assert!(before.avail.is_some_and(|a| a > 1 << 30) && before.total >= before.avail && before.used.is_some());
    let rows = pve.cluster_storages().await.expect("resources");
    assert!(
        rows.iter()
            .any(|r| r.storage == "local" && r.node == NODE && r.status == "available" && !r.shared)
    );
    assert!(
        rows.iter()
            .all(|r| r.maxdisk.is_some() && r.disk.is_some() && !r.content.is_empty())
    );

    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("app.iso");
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(|i| i.to_le_bytes()).collect();
    std::fs::write(&file, &content).expect("write");
    let sum = hex::encode(Sha256::digest(&content));
    let upload = Upload {
        content: "iso",
        filename: "app.iso",
        file: &file,
        sha256: Some(&sum),
        timeout: Duration::from_secs(60),
    };
    let upid = pve.upload(NODE, "local", &upload).await.expect("upload");
    assert_eq!((upid.kind(), upid.id()), ("imgcopy", ""));
    pve.wait_task(&upid, soon()).await.expect("imgcopy");
    let got = fake.py("(__import__('hashlib').sha256(pve.uploaded['data']).hexdigest(), pve.uploaded['checksum'])");
    assert_eq!(got, json!([sum, sum]), "every byte arrived");
    let isos = pve.storage_content(NODE, "local", Some("iso")).await.expect("content");
    let iso = isos.iter().find(|v| v.volid == "local:iso/app.iso").expect("listed");
    assert_eq!((iso.size, iso.content.as_str()), (Some(content.len() as u64), "iso"));
    assert!(iso.vmid.is_none() && iso.parent.is_none() && !iso.format.is_empty());
    assert!(pve.storage_content(NODE, "local", None).await.expect("all").len() >= isos.len());

    let dead = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = dead.local_addr().expect("address").port();
    drop(dead);
    let mut c = fake.config();
    c.endpoints
        .insert(0, format!("https://127.0.0.1:{port}").parse().expect("url"));
    let upid = Client::new(c)
        .expect("client")
        .upload(NODE, "local", &upload)
        .await
        .expect("through the second endpoint");
    pve.wait_task(&upid, soon()).await.expect("imgcopy");

    let bad = |filename| Upload {
        filename,
        ..upload.clone()
    };
    let e = pve
        .upload(NODE, "local", &bad("../x\".iso"))
        .await
        .expect_err("no file name");
    assert_eq!(e.kind, ErrorKind::Parameter, "{e}");
    let missing = dir.path().join("none");
    let e = pve
        .upload(
            NODE,
            "local",
            &Upload {
                file: &missing,
                ..upload.clone()
            },
        )
        .await
        .expect_err("no such file");
    assert!(e.message.contains("none"), "{e}");
    fake.py("pve.storages['local'].update(avail=1000)");
    let upid = pve.upload(NODE, "local", &bad("b.iso")).await.expect("upload");
    let e = pve.wait_task(&upid, soon()).await.expect_err("full");
    assert!(e.message.contains("No space left on device"), "{e}");
}

#[tokio::test]
async fn nodes_devices_and_rights() {
    let fake = Fake::start();
    let pve = fake.client();
    let node = pve.nodes().await.expect("nodes").remove(0);
    assert!(node.maxcpu.is_some_and(|n| n > 0) && node.mem < node.maxmem);
    assert!(
        node.ssl_fingerprint
            .is_some_and(|f| mosdat::proxmox::parse_fingerprint(&f).is_some())
    );

    for all in [false, true] {
        let devices = pve.pci_devices(NODE, all).await.expect("devices");
        assert!(!devices.is_empty());
    }
    pve.pci_mappings(Some(NODE)).await.expect("mappings");
    assert_eq!(pve.pci_mapping("gpu0").await.expect("mapping").id, "gpu0");

    let rights = pve.permissions().await.expect("permissions");
    assert!(rights.missing("/", &["Sys.Audit", "VM.Clone"]).is_empty());
    fake.py("pve.grant('mosdat@pve!test', '/vms', 'VM.Audit', 'VM.Clone')");
    let rights = pve.permissions().await.expect("permissions");
    assert_eq!(
        rights.missing("/vms/100", &["VM.Clone", "VM.PowerMgmt"]),
        ["VM.PowerMgmt"]
    );
    assert_eq!(
        rights.missing("/storage/local", &["Datastore.Audit"]),
        ["Datastore.Audit"]
    );
    let e = pve.start(NODE, 100).await.expect_err("not allowed");
    assert_eq!(e.kind, ErrorKind::Permission, "{e}");
    let denied = e.denied().expect("says what");
    assert_eq!(
        (denied.path.as_str(), denied.privileges),
        ("/vms/100", vec!["VM.PowerMgmt".to_string()])
    );
}
