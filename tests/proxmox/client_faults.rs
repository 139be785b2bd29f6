//! What goes wrong in a cluster, seen through the client.

use crate::fake::Fake;
use mosdat::proxmox::{Client, CloneParams, ErrorKind, Seen};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

const NODE: &str = "pve1";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn clone(newid: u32) -> CloneParams {
    CloneParams {
        newid,
        ..CloneParams::default()
    }
}

fn impatient(fake: &Fake) -> Client {
    let mut c = fake.config();
    c.timeout = Duration::from_millis(700);
    Client::new(c).expect("client")
}

#[tokio::test]
async fn one_of_two_clones_for_a_vmid_wins() {
    let fake = Fake::start();
    let (a, b) = (fake.client(), fake.client());
    let params = clone(20000);
    let answers = tokio::join!(a.clone_vm(NODE, 100, &params), b.clone_vm(NODE, 100, &params));
    let (won, lost): (Vec<_>, Vec<_>) = [answers.0, answers.1].into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 1));
    let e = lost.into_iter().next().and_then(Result::err).expect("an error");
    assert_eq!(e.kind, ErrorKind::AlreadyExists, "{e}");
    assert_eq!(fake.clones(), [20000]);
}

#[tokio::test]
async fn a_clone_whose_answer_is_lost_is_found_by_its_target() {
    let fake = Fake::start();
    let pve = fake.client();
    fake.py("pve.lost.append(('POST', '/clone'))");
    let e = pve.clone_vm(NODE, 100, &clone(20000)).await.expect_err("lost");
    assert_eq!(e.kind, ErrorKind::Transport, "{e}");
    let upid = pve
        .find_task(NODE, "qmclone", 20000, 0)
        .await
        .expect("list")
        .expect("it was begun");
    pve.wait_task(&upid, soon()).await.expect("it goes on");
    assert_eq!(pve.find_task(NODE, "qmclone", 20001, 0).await.expect("list"), None);
    assert_eq!(fake.count("POST", "/clone"), 1);
}

#[tokio::test]
async fn locks() {
    let fake = Fake::start();
    let pve = fake.client();
    fake.py("pve.add_vm(101, 'a') and None");
    fake.py("pve.snapshot_lock(101, 'clone')");
    let e = pve
        .set_config(NODE, 101, &[("cores", "2".to_string())])
        .await
        .expect_err("locked");
    assert_eq!((e.kind, e.lock()), (ErrorKind::Locked, Some("clone")), "{e}");
    let upid = pve.delete(NODE, 101).await.expect("a task");
    let e = pve.wait_task(&upid, soon()).await.expect_err("locked");
    assert_eq!((e.kind, e.lock()), (ErrorKind::Locked, Some("clone")), "{e}");
    assert_eq!(
        pve.vm_status(NODE, 101).await.expect("status").lock.as_deref(),
        Some("clone")
    );
    fake.py("pve.unlock(101)");

    fake.py("setattr(pve.vm(101), 'lock_holder', 'another')");
    let e = pve
        .set_config(NODE, 101, &[("cores", "2".to_string())])
        .await
        .expect_err("busy");
    assert!(e.kind == ErrorKind::Busy && e.is_transient(), "{e}");
    let storage = "can't lock file '/var/lock/pve-manager/pve-storage-local' - got timeout";
    fake.py(&format!("setattr(pve.vm(101), 'lock_error', {storage:?})"));
    let upid = pve.start(NODE, 101).await.expect("a task");
    let e = pve.wait_task(&upid, soon()).await.expect_err("busy");
    assert!(
        e.kind == ErrorKind::Busy && e.message.contains("pve-storage-local"),
        "{e}"
    );
    fake.py("pve.release(pve.vm(101), 'another')");
    let upid = pve.start(NODE, 101).await.expect("a task");
    pve.wait_task(&upid, soon()).await.expect("starts now");
}

#[tokio::test]
async fn a_task_that_fails_says_why() {
    let fake = Fake::start();
    let pve = fake.client();
    fake.py("pve.add_vm(101, 'a') and None");
    for (text, kind) in [
        ("bridge 'vmbr0' does not exist", ErrorKind::Other),
        (
            "PCI device '0000:01:00.0' already in use by VMID '102'",
            ErrorKind::NoGpu,
        ),
        ("could not find a free device for 'hostpci0'", ErrorKind::NoGpu),
        ("PCI device mapping not found for 'gpu0'", ErrorKind::Parameter),
    ] {
        fake.py(&format!("setattr(pve.vm(101), 'start_error', {text:?})"));
        let upid = pve.start(NODE, 101).await.expect("a task");
        let e = pve.wait_task(&upid, soon()).await.expect_err("fails");
        assert_eq!(e.kind, kind, "{e}");
        assert!(e.message.contains(text), "{e}");
        assert_eq!(e.gpu_holder(), text.contains("VMID").then_some(102));
    }
}

#[tokio::test]
async fn bursts_of_5xx_and_a_bad_network_are_waited_out() {
    let fake = Fake::start();
    let pve = fake.client();
    let upid = pve.clone_vm(NODE, 100, &clone(20000)).await.expect("clone");
    let polled = "'/nodes/{node}/tasks/{upid}/status'";
    fake.py(&format!(
        "pve.fail('GET', {polled}, 502, '<h1>Bad Gateway</h1>', html=True, times=2)"
    ));
    pve.wait_task(&upid, soon()).await.expect("after the burst");
    fake.py(&format!("pve.fail('GET', {polled}, 500, 'internal error', times=1)"));
    pve.wait_task(&upid, soon()).await.expect("after another");
    fake.py(&format!("pve.fail('GET', {polled}, 503, 'for good')"));
    let deadline = Instant::now() + Duration::from_millis(500);
    let e = pve.wait_task(&upid, deadline).await.expect_err("for good");
    assert_eq!((e.kind, e.status), (ErrorKind::Transport, Some(503)), "{e}");
    fake.py("pve.failures.clear()");

    fake.py("pve.slow_network(5, jitter=5)");
    pve.version().await.expect("slow, and in time");
    fake.py("pve.slow_network(0)");
    fake.py("pve.flaky_network(drop_rate=1.0)");
    let e = pve.version().await.expect_err("dropped twice");
    assert_eq!(e.kind, ErrorKind::Transport, "{e}");
    fake.py("pve.flaky_network(hang_rate=1.0, hang_secs=1000)");
    let e = impatient(&fake).version().await.expect_err("hangs");
    assert!(e.kind == ErrorKind::Transport && e.status.is_none(), "{e}");
}

#[tokio::test]
async fn quorum_nodes_and_storage() {
    let fake = Fake::start();
    let pve = fake.client();
    fake.py("pve.lose_quorum()");
    let e = pve.clone_vm(NODE, 100, &clone(20000)).await.expect_err("no quorum");
    assert!(e.kind == ErrorKind::Busy && e.is_transient(), "{e}");
    fake.py("pve.regain_quorum()");

    fake.py("pve.add_vm(101, 'a', node='pve2', status='running') and None");
    fake.py("pve.set_node_offline('pve2')");
    let e = pve.vm_status("pve2", 101).await.expect_err("offline");
    assert!(e.kind == ErrorKind::NodeOffline && e.is_transient(), "{e}");
    let e = pve.agent_ping("pve2", 101).await.expect_err("offline");
    assert_eq!(e.kind, ErrorKind::NodeOffline, "{e}");
    let nodes = pve.nodes().await.expect("the others answer");
    let gone = nodes.iter().find(|n| n.node == "pve2").expect("listed");
    assert_eq!((gone.status.as_str(), gone.maxmem), ("offline", None));
    let e = pve.storages("pve9").await.expect_err("unknown node");
    assert_eq!(e.kind, ErrorKind::Parameter, "{e}");

    fake.py("pve.storages.update(small={'type': 'dir', 'active': 1, 'content': 'images', 'files': set(), 'path': '/s', 'avail': 10, 'volumes': {'103/vm-103-disk-0.qcow2': {'content': 'images', 'format': 'qcow2', 'size': 1 << 30, 'vmid': 103}}})");
    fake.py("pve.add_vm(103, 'big', config={'scsi0': 'small:103/vm-103-disk-0.qcow2,size=1G'}) and None");
    let params = CloneParams {
        full: true,
        ..clone(20001)
    };
    let upid = pve.clone_vm(NODE, 103, &params).await.expect("a task");
    let e = pve.wait_task(&upid, soon()).await.expect_err("full");
    assert!(e.message.contains("No space left on device"), "{e}");
    let e = pve.vm_config(NODE, 20001).await.expect_err("cleaned up");
    assert_eq!(e.kind, ErrorKind::NotFound, "{e}");
    let e = pve
        .clone_vm(
            NODE,
            103,
            &CloneParams {
                storage: Some("none".to_string()),
                ..params
            },
        )
        .await
        .expect_err("no such storage");
    assert_eq!(e.kind, ErrorKind::Parameter, "{e}");
}

#[tokio::test]
async fn an_observer_is_told_of_every_request() {
    let fake = Fake::start();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = told.clone();
    let pve = fake.client().observed(Arc::new(move |s: &Seen<'_>| {
        assert!(s.duration < Duration::from_secs(60));
        let end = s.error.map_or("ok", |k| k.as_str());
        let status = s.status.map_or("-".to_string(), |n| n.to_string());
        notes
            .lock()
            .expect("lock")
            .push(format!("{} {} {status} {end}", s.method, s.path));
    }));
    let upid = pve.clone_vm(NODE, 100, &clone(20000)).await.expect("clone");
    pve.task_status(&upid).await.expect("status");
    pve.vm_config(NODE, 999).await.expect_err("missing");
    fake.py("pve.add_vm(101, 'a', status='running') and None");
    pve.vnc(NODE, 101).await.expect("vnc");
    fake.py("pve.flaky_network(drop_rate=1.0)");
    pve.version().await.expect_err("dropped twice");
    assert_eq!(
        *told.lock().expect("lock"),
        [
            "POST /nodes/{node}/qemu/{vmid}/clone 200 ok",
            "GET /nodes/{node}/tasks/{upid}/status 200 ok",
            "GET /nodes/{node}/qemu/{vmid}/config 500 not_found",
            "POST /nodes/{node}/qemu/{vmid}/vncproxy 200 ok",
            "GET /nodes/{node}/qemu/{vmid}/vncwebsocket 101 ok",
            "GET /version - transport",
            "GET /version - transport",
        ]
    );
}
