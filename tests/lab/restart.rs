//! What outlives the lab's process, and what does not.

use crate::rig::{NODE, Rig, vm_dir};
use crate::template::template;
use mosdat::lab::template::{BuildOptions, Template, build};
use mosdat::lab::{Lab, Options};
use std::time::{Duration, Instant};

fn alive(pid: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "))
}

#[test]
fn a_record_that_cannot_be_read_is_named_and_kept() {
    let state = tempfile::tempdir().expect("a folder");
    let dir = vm_dir(state.path(), 101);
    std::fs::create_dir_all(&dir).expect("a folder");
    std::fs::write(dir.join("vm.json"), r#"{"config": {"na"#).expect("half a record");
    std::fs::write(dir.join("disk.qcow2"), "a disk").expect("a disk");
    let Err(e) = Lab::open(Options::in_state(state.path())) else {
        panic!("opened");
    };
    assert!(e.to_string().contains("vm.json"), "{e}");
    assert!(dir.join("disk.qcow2").exists());
}

/// Processes that run in a folder.
fn running_in(dir: &std::path::Path) -> usize {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    all.filter(|p| std::fs::read_link(p.path().join("cwd")).is_ok_and(|c| c == dir))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_be_noted_leaves_no_qemu_and_a_vm_is_deleted_once() {
    let rig = Rig::new().await;
    rig.clone_to(101).await;
    let dir = rig.vm_dir(101).canonicalize().expect("a folder");
    std::fs::create_dir(dir.join("qemu.pid")).expect("in the number's way");
    let e = rig.start(101).await.expect_err("cannot note the number");
    assert!(e.to_string().contains("qemu.pid"), "{e}");
    let end = Instant::now() + Duration::from_secs(10);
    while running_in(&dir) > 0 {
        assert!(Instant::now() < end, "QEMU runs on unsupervised");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let delete = async || {
        let upid = rig.client.delete(NODE, 101).await.ok()?;
        rig.wait(&upid).await.ok()
    };
    let (a, b) = tokio::join!(delete(), delete());
    assert!(a.is_some() != b.is_some(), "{a:?} {b:?}");
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_found_stopped_and_half_clones_are_gone() {
    let rig = Rig::new().await;
    rig.clone_to(101).await;
    rig.start(101).await.expect("starts");
    let pid = std::fs::read_to_string(rig.vm_dir(101).join("qemu.pid")).expect("a pid");
    let pid: u64 = pid.trim().parse().expect("a pid");
    assert!(alive(pid));
    assert!(
        Lab::open(Options::in_state(rig.state.path())).is_err(),
        "one lab per folder"
    );
    let (fingerprint, url) = (rig.lab.fingerprint.clone(), rig.lab.url.clone());
    let state = rig.close().await;
    assert!(!alive(pid), "QEMU outlived the lab");
    let port = url.rsplit(':').next().expect("a port");
    assert!(std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err());

    // As a lab that was killed while it cloned leaves it.
    let half = vm_dir(state.path(), 102);
    std::fs::create_dir_all(&half).expect("a folder");
    std::fs::write(half.join("vm.json"), r#"{"config": {"lock": "clone"}}"#).expect("a record");
    std::fs::create_dir_all(vm_dir(state.path(), 103)).expect("a folder");
    let rig = Rig::open(Options::in_state(state.path()), state).await;
    assert_eq!(rig.lab.fingerprint, fingerprint, "the certificate is kept");
    let ids: Vec<u32> = rig
        .client
        .cluster_vms()
        .await
        .expect("a list")
        .iter()
        .map(|v| v.vmid)
        .collect();
    assert_eq!(ids, [101, 9000]);
    assert!(!rig.vm_dir(102).exists() && !rig.vm_dir(103).exists());
    assert!(!rig.client.vm_status(NODE, 101).await.expect("status").running());

    rig.start(101).await.expect("starts again, from power-off");
    let pid = std::fs::read_to_string(rig.vm_dir(101).join("qemu.pid")).expect("a pid");
    let pid: u64 = pid.trim().parse().expect("a pid");
    // Dropped without a shutdown, the plug is pulled all the same.
    let Rig { lab, state, .. } = rig;
    drop(lab);
    let end = Instant::now() + Duration::from_secs(30);
    while alive(pid) {
        assert!(Instant::now() < end, "QEMU outlived the dropped lab");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ram_state_that_does_not_load_is_given_up() {
    let real = template().await;
    // A cache of its own: the same files, and a RAM state that may be spoiled.
    let cache = tempfile::tempdir().expect("a folder");
    let name = real
        .disk()
        .parent()
        .expect("a folder")
        .file_name()
        .expect("a name")
        .to_owned();
    let dir = cache.path().join("templates").join(name);
    std::fs::create_dir_all(&dir).expect("a folder");
    for file in std::fs::read_dir(real.disk().parent().expect("a folder"))
        .expect("files")
        .flatten()
    {
        if file.path().is_file() {
            std::os::unix::fs::symlink(file.path(), dir.join(file.file_name())).expect("a link");
        }
    }
    assert!(Template::find(cache.path()).expect("reads").is_some());
    let options = BuildOptions {
        cache_dir: Some(cache.path().into()),
        ..BuildOptions::default()
    };
    build(options, |_| ()).await.expect("saves the RAM");
    let ram = std::fs::read_dir(&dir)
        .expect("files")
        .flatten()
        .map(|f| f.path().join("ram"));
    let ram = ram.into_iter().find(|p| p.is_file()).expect("a RAM state");
    std::fs::write(ram, "not a RAM state").expect("spoilt");

    let state = tempfile::tempdir().expect("a folder");
    let options = Options {
        cache_dir: cache.path().into(),
        ..Options::in_state(state.path())
    };
    let rig = Rig::open(options, state).await;
    rig.clone_to(101).await;
    rig.start(101).await.expect("boots from power-off instead");
    rig.until_agent(101).await;
    rig.close().await;
}
