//! The client alone against fakepve.

use crate::fake::Fake;
use mosdat::proxmox::{Auth, Client, CloneParams, ErrorKind, Tls};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test]
async fn life_of_a_vm() {
    let fake = Fake::start();
    let pve = fake.client();
    assert!(!pve.version().await.expect("version").version.is_empty());
    let node = pve.nodes().await.expect("nodes")[0].node.clone();
    let template = pve.cluster_vms().await.expect("vms").remove(0);
    assert!(template.template);
    assert_eq!((template.vmid, template.name.as_deref()), (100, Some("desktop")));
    assert!(pve.next_id_free(20000).await.expect("free"));

    let params = CloneParams {
        newid: 20000,
        name: Some("a-1".to_string()),
        description: Some("ours; uid=1&2".to_string()),
        ..CloneParams::default()
    };
    let upid = pve.clone_vm(&node, 100, &params).await.expect("clone");
    assert_eq!((upid.kind(), upid.id()), ("qmclone", "100"));
    pve.wait_task(&upid, soon()).await.expect("clone task");
    assert!(!pve.next_id_free(20000).await.expect("free"));
    let again = pve.clone_vm(&node, 100, &params).await.expect_err("taken");
    assert_eq!(again.kind, ErrorKind::AlreadyExists, "{again}");

    pve.set_config(
        &node,
        20000,
        &[("tags", "mosdat;x".to_string()), ("cores", "3".to_string())],
    )
    .await
    .expect("config");
    let config = pve.vm_config(&node, 20000).await.expect("config");
    assert_eq!(config.tags(), ["mosdat", "x"]);
    assert_eq!(config.get("cores"), Some("3"));
    assert_eq!(config.get("description").map(str::trim), Some("ours; uid=1&2"));
    let mac = config.net0_mac().expect("mac");
    assert_ne!(mac, "bc:24:11:00:00:ff");

    let down = pve.agent_ping(&node, 20000).await.expect_err("not running");
    assert!(
        matches!(down.kind, ErrorKind::AgentNotRunning | ErrorKind::NotRunning),
        "{down}"
    );
    let upid = pve.start(&node, 20000).await.expect("start");
    pve.wait_task(&upid, soon()).await.expect("start task");
    assert!(pve.vm_status(&node, 20000).await.expect("status").running());
    pve.agent_ping(&node, 20000).await.expect("agent");
    assert!(!pve.agent_network(&node, 20000).await.expect("network").is_empty());
    let command = ["sh".to_string(), "-c".to_string(), "a=b; echo +".to_string()];
    let pid = pve.agent_exec(&node, 20000, &command, None).await.expect("exec");
    let done = pve.agent_exec_status(&node, 20000, pid).await.expect("exec status");
    assert!(done.exited);
    assert_eq!(done.exitcode, Some(0));
    assert_eq!(
        fake.py("[v for v in pve.vms if v.vmid == 20000][0].agent_requests[-2][1]['command']"),
        serde_json::json!(command)
    );

    let running = pve.delete(&node, 20000).await.expect_err("runs");
    assert_eq!(running.kind, ErrorKind::Busy, "{running}");
    let upid = pve.stop(&node, 20000).await.expect("stop");
    pve.wait_task(&upid, soon()).await.expect("stop task");
    let upid = pve.delete(&node, 20000).await.expect("delete");
    pve.wait_task(&upid, soon()).await.expect("delete task");
    let gone = pve.vm_config(&node, 20000).await.expect_err("gone");
    assert_eq!(gone.kind, ErrorKind::NotFound, "{gone}");
}

#[tokio::test]
async fn failed_tasks_are_errors_with_their_kind() {
    let fake = Fake::start();
    let pve = fake.client();
    let upid = pve.start("pve1", 100).await;
    let e = match upid {
        Ok(upid) => pve.wait_task(&upid, soon()).await.expect_err("a template cannot start"),
        Err(e) => e,
    };
    assert!(e.message.to_lowercase().contains("template"), "{e}");
}

#[tokio::test]
async fn the_console_carries_rfb() {
    let fake = Fake::start();
    fake.py("pve.add_vm(101, 'screen', status='running')\nNone");
    let mut vnc = fake.client().vnc("pve1", 101).await.expect("vnc");
    let mut hello = [0; 12];
    vnc.stream.read_exact(&mut hello).await.expect("hello");
    assert_eq!(&hello, b"RFB 003.008\n");
    vnc.stream.write_all(b"RFB 003.008\n").await.expect("write");
    let mut security = [0; 2];
    vnc.stream.read_exact(&mut security).await.expect("security types");
    assert_eq!(security, [1, 2]);
}

#[tokio::test]
async fn trust_and_credentials() {
    let fake = Fake::start();
    let with = |tls: Tls| {
        let mut c = fake.config();
        c.tls = tls;
        Client::new(c).expect("client")
    };
    with(Tls::Ca(fake.cert_pem.clone())).version().await.expect("CA");
    with(Tls::InsecureSkipVerify).version().await.expect("insecure");
    for tls in [Tls::Fingerprint([7; 32]), Tls::SystemRoots] {
        let Ok(client) = Client::new({
            let mut c = fake.config();
            c.tls = tls;
            c
        }) else {
            continue;
        };
        let e = client.version().await.expect_err("not trusted");
        assert_eq!(e.kind, ErrorKind::Transport, "{e}");
    }
    let mut c = fake.config();
    c.auth = Auth::Token {
        id: "mosdat@pve!test".to_string(),
        secret: "wrong".into(),
    };
    let e = Client::new(c)
        .expect("client")
        .version()
        .await
        .expect_err("wrong token");
    assert_eq!(e.kind, ErrorKind::Auth, "{e}");
    assert!(!format!("{e} {e:?}").contains("wrong"), "the secret must not be shown");
}

#[tokio::test]
async fn fails_over_to_the_endpoint_that_answers() {
    let fake = Fake::start();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = dead.local_addr().expect("address").port();
    drop(dead);
    let mut c = fake.config();
    c.endpoints
        .insert(0, format!("https://127.0.0.1:{port}").parse().expect("url"));
    let pve = Client::new(c).expect("client");
    pve.version().await.expect("second endpoint");
    fake.py("pve.add_vm(102, 'x', status='running')\nNone");
    pve.vnc("pve1", 102).await.expect("vnc through the second");
}

/// An endpoint that takes connections and says nothing costs one call, not every call.
#[tokio::test]
async fn an_endpoint_that_hangs_is_left() {
    let fake = Fake::start();
    let hangs = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = hangs.local_addr().expect("address").port();
    let mut c = fake.config();
    c.timeout = std::time::Duration::from_secs(2);
    c.endpoints
        .insert(0, format!("https://127.0.0.1:{port}").parse().expect("url"));
    let pve = Client::new(c).expect("client");
    let e = pve.version().await.expect_err("nobody answers there");
    assert!(e.to_string().contains(&format!(":{port}")), "{e}");
    for _ in 0..3 {
        pve.version().await.expect("the second endpoint");
    }
}

#[tokio::test]
async fn when_none_answers_each_endpoint_is_named_with_its_error() {
    let fake = Fake::start();
    let mut c = fake.config();
    let ports: Vec<u16> = (0..2)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("bind"))
        .collect::<Vec<_>>()
        .iter()
        .map(|l| l.local_addr().expect("address").port())
        .collect();
    c.endpoints = ports
        .iter()
        .map(|p| format!("https://127.0.0.1:{p}").parse().expect("url"))
        .collect();
    let pve = Client::new(c).expect("client");
    let e = pve.version().await.expect_err("nobody is there");
    assert_eq!(e.kind, ErrorKind::Transport, "{e}");
    let text = e.to_string();
    for port in &ports {
        let named = text.matches(&format!("https://127.0.0.1:{port}: ")).count();
        assert!(named >= 1, "{text}");
    }
    assert!(text.to_lowercase().matches("connection refused").count() == 2, "{text}");
    // The same text each time, whichever endpoint is asked first: status would change with every look otherwise.
    assert_eq!(pve.version().await.expect_err("still").to_string(), text);
}

#[tokio::test]
async fn no_permission_says_path_and_privilege() {
    let fake = Fake::start();
    fake.py("setattr(pve, 'acl', {'mosdat@pve!test': [('/', {'Sys.Audit'})], 'mosdat@pve': [('/', {'Sys.Audit'})]})");
    let e = fake.client().vm_config("pve1", 100).await.expect_err("no rights");
    assert_eq!(e.kind, ErrorKind::Permission, "{e}");
    assert!(e.message.contains("/vms/100"), "{e}");
}
