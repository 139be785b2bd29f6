//! Machines that run: agent, console, snapshots, power.

use crate::rig::{DEADLINE, NODE, Rig, TEMPLATE, vm};
use mosdat::desktop::{Auth, Desktop};
use mosdat::proxmox::ErrorKind;
use reqwest::Method;
use secrecy::SecretString;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_lives_its_life() {
    let rig = Rig::new().await;
    rig.clone_to(101).await;
    let e = rig.client.agent_ping(NODE, 101).await.expect_err("it is off");
    assert_eq!(e.kind, ErrorKind::NotRunning, "{e}");
    rig.start(101).await.expect("starts");
    let e = rig.start(101).await.expect_err("once");
    assert!(e.message.contains("VM 101 already running"), "{e}");
    rig.until_agent(101).await;
    assert!(rig.client.vm_status(NODE, 101).await.expect("status").running());

    agent(&rig).await;
    console(&rig).await;
    snapshots(&rig).await;

    let e = rig.client.delete(NODE, 101).await.expect_err("it runs");
    assert!(e.message.contains("VM 101 is running - destroy failed"), "{e}");
    assert!(rig.client.vm_status(NODE, 101).await.expect("status").running());
    let e = rig.start(TEMPLATE).await.expect_err("a template");
    assert!(e.message.contains("template"), "{e}");
    rig.stop(101).await;
    rig.stop(101).await;
    assert!(!rig.client.vm_status(NODE, 101).await.expect("status").running());
    rig.delete(101).await;
    let e = rig.client.vm_status(NODE, 101).await.expect_err("gone");
    assert_eq!(e.kind, ErrorKind::NotFound);
    assert!(!rig.vm_dir(101).exists());
    rig.close().await;
}

async fn agent(rig: &Rig) {
    let mac = rig.client.vm_config(NODE, 101).await.expect("config").net0_mac();
    let cards = rig.client.agent_network(NODE, 101).await.expect("cards");
    let mac = mac.map(|m| m.to_lowercase());
    assert!(cards.iter().any(|c| c.mac == mac), "{mac:?} in {cards:?}");

    assert_eq!(rig.shell(101, "echo é; exit 3").await, (3, "é\n".into()));
    let command = ["/bin/cat".to_string()];
    let pid = rig
        .client
        .agent_exec(NODE, 101, &command, Some(b"input"))
        .await
        .expect("exec");
    let end = Instant::now() + DEADLINE;
    let status = loop {
        let s = rig.client.agent_exec_status(NODE, 101, pid).await.expect("status");
        if s.exited || Instant::now() > end {
            break s;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((status.exitcode, status.out_data.as_str()), (Some(0), "input"));
    let e = rig
        .client
        .agent_exec_status(NODE, 101, pid)
        .await
        .expect_err("read once");
    assert_eq!(e.kind, ErrorKind::NotFound, "{e}");

    let r = rig
        .call(Method::POST, &vm(101, "/agent/exec"), &[("command", "/no/such")])
        .await;
    assert_eq!((r.status, r.text.as_str()), (596, ""), "{r:?}");
    let e = rig
        .client
        .agent_exec(NODE, 101, &["/no/such".into()], None)
        .await
        .expect_err("no such command");
    assert_eq!(e.kind, ErrorKind::CommandNotRun);

    // Any bytes come back as they were sent.
    let bytes: Vec<u8> = "é→".bytes().chain(0..=255).collect();
    rig.client
        .agent_file_write(NODE, 101, "/tmp/bytes", &bytes)
        .await
        .expect("written");
    assert_eq!(
        rig.client.agent_file_read(NODE, 101, "/tmp/bytes").await.expect("read"),
        bytes
    );
    let e = rig
        .client
        .agent_file_read(NODE, 101, "/no/such")
        .await
        .expect_err("no such file");
    assert!(e.message.contains("Agent error: "), "{e}");

    // Callers that come together take turns; none is told that the agent is gone.
    let many = (0..8).map(|_| rig.shell(101, "sleep 0.2; echo done"));
    for (code, out) in futures::future::join_all(many).await {
        assert_eq!((code, out.as_str()), (0, "done\n"));
    }
}

async fn console(rig: &Rig) {
    let mut bare = rig.client.vnc(NODE, 101).await.expect("a console");
    let mut banner = [0; 12];
    bare.stream.read_exact(&mut banner).await.expect("a banner");
    assert_eq!(&banner, b"RFB 003.008\n");

    let wrong = rig.client.vnc(NODE, 101).await.expect("a console");
    let wrong = Desktop::open(wrong.stream, Auth::Password(SecretString::from("not this"))).await;
    assert!(wrong.is_err(), "a wrong password is refused");

    let open = rig.client.vnc(NODE, 101).await.expect("a console");
    let desktop = Desktop::open(open.stream, Auth::Password(open.password))
        .await
        .expect("a session");
    let frame = desktop.capture_within(DEADLINE).await.expect("a frame");
    assert_eq!((frame.width(), frame.height()), desktop.size());
    assert!(frame.width() >= 640, "{}x{}", frame.width(), frame.height());
    desktop.close().await;

    let proxy = rig
        .data(Method::POST, &vm(101, "/vncproxy"), &[("websocket", "1")])
        .await;
    let port = proxy["port"].as_str().expect("a port, as text");
    assert!(proxy["ticket"].as_str().expect("a ticket").starts_with("PVEVNC:"));
    let r = rig
        .call(
            Method::GET,
            &vm(101, "/vncwebsocket"),
            &[("port", port), ("vncticket", "PVEVNC:x")],
        )
        .await;
    assert_eq!(r.status, 401);
    assert!(r.message().contains("invalid PVEVNC ticket"), "{r:?}");
    rig.data(Method::PUT, &vm(101, "/sendkey"), &[("key", "ctrl-alt-delete")])
        .await;
}

async fn snapshots(rig: &Rig) {
    let with_ram = [("snapname", "ready"), ("vmstate", "1"), ("description", "all set")];
    assert_eq!(rig.shell(101, "sync; echo before >/root/before; sync").await.0, 0);
    rig.task(Method::POST, &vm(101, "/snapshot"), &with_ram)
        .await
        .expect("a snapshot");
    let e = rig
        .task(Method::POST, &vm(101, "/snapshot"), &with_ram)
        .await
        .expect_err("the name is taken");
    assert!(e.message.contains("snapshot name 'ready' already used"), "{e}");
    for bad in ["current", "x", "1st"] {
        let r = rig
            .call(Method::POST, &vm(101, "/snapshot"), &[("snapname", bad)])
            .await;
        assert_eq!(r.status, 400, "{bad}: {r:?}");
    }
    let list = rig.data(Method::GET, &vm(101, "/snapshot"), &[]).await;
    assert_eq!(
        (&list[0]["name"], &list[0]["vmstate"], &list[1]["name"]),
        (&"ready".into(), &1.into(), &"current".into())
    );

    assert_eq!(rig.shell(101, "echo after >/root/after; sync").await.0, 0);
    rig.task(Method::POST, &vm(101, "/snapshot/ready/rollback"), &[])
        .await
        .expect("a rollback");
    rig.until_agent(101).await;
    let (_, out) = rig
        .shell(101, "cat /root/before; test -e /root/after || echo gone")
        .await;
    assert_eq!(out, "before\ngone\n");

    // From power-off, a snapshot with RAM runs on as well.
    rig.stop(101).await;
    rig.task(Method::POST, &vm(101, "/snapshot/ready/rollback"), &[])
        .await
        .expect("a rollback from power-off");
    assert!(rig.client.vm_status(NODE, 101).await.expect("status").running());
    rig.until_agent(101).await;
    assert_eq!(rig.shell(101, "cat /root/before").await.1, "before\n");

    let e = rig
        .task(Method::POST, &vm(101, "/snapshot/nosuch/rollback"), &[])
        .await
        .expect_err("no such snapshot");
    assert!(e.message.contains("snapshot 'nosuch' does not exist"), "{e}");
    rig.task(Method::DELETE, &vm(101, "/snapshot/ready"), &[])
        .await
        .expect("deleted");
    let list = rig.data(Method::GET, &vm(101, "/snapshot"), &[]).await;
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_hardware_boots_from_power_off_and_shuts_down() {
    let rig = Rig::new().await;
    rig.clone_to(101).await;
    rig.client
        .set_config(NODE, 101, &[("memory", "640".into())])
        .await
        .expect("memory");
    rig.start(101).await.expect("starts");
    rig.until_agent(101).await;
    let (_, kib) = rig.shell(101, "awk '/MemTotal/ {print $2}' /proc/meminfo").await;
    let mib = kib.trim().parse::<u64>().expect("a number") / 1024;
    assert!((520..=640).contains(&mib), "the guest has {mib} MiB");
    let upid = rig.client.shutdown(NODE, 101, 120, true).await.expect("shutdown");
    rig.wait(&upid).await.expect("shuts down");
    assert!(!rig.client.vm_status(NODE, 101).await.expect("status").running());
    rig.close().await;
}
