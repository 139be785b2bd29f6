//! Reservation of the stand-in devices.

use crate::rig::{DEADLINE, NODE, Rig};
use mosdat::proxmox::ErrorKind;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_serve_two_machines() {
    let rig = Rig::new().await;
    for vmid in 101..=103 {
        rig.clone_to(vmid).await;
        let gpu = [("hostpci0", "mapping=labgpu,pcie=1".to_string())];
        rig.client.set_config(NODE, vmid, &gpu).await.expect("a mapping");
    }
    rig.start(101).await.expect("the first");
    rig.start(102).await.expect("the second");
    let e = rig.start(103).await.expect_err("none is left");
    assert!(e.message.contains("could not find a free device for 'hostpci0'"), "{e}");
    assert_eq!(e.kind, ErrorKind::NoGpu);
    rig.until_agent(102).await;
    let (_, out) = rig.shell(102, "cat /sys/bus/pci/devices/*/device").await;
    assert!(out.contains("0x11e8"), "the guest sees the device: {out}");

    rig.stop(101).await;
    rig.start(103).await.expect("one came back");
    rig.stop(103).await;
    // A guest that switches itself off gives its device back without anybody asking.
    rig.start(101).await.expect("the other");
    rig.until_agent(102).await;
    rig.shell(102, "(sleep 0.3; echo o >/proc/sysrq-trigger) >/dev/null 2>&1 &")
        .await;
    let end = Instant::now() + DEADLINE;
    while rig.client.vm_status(NODE, 102).await.expect("status").running() {
        assert!(Instant::now() < end, "the guest is still on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    rig.start(103).await.expect("the device is free");
    let unknown = [("hostpci0", "mapping=nosuch".to_string())];
    rig.client
        .set_config(NODE, 102, &unknown)
        .await
        .expect("taken, as Proxmox does");
    let e = rig.start(102).await.expect_err("unknown");
    assert!(e.message.contains("PCI device mapping not found for 'nosuch'"), "{e}");
    rig.close().await;
}
