//! Tasks: waiting, logs, warnings, aborting, and finding the one whose UPID was never answered.

use crate::fake::Fake;
use mosdat::proxmox::ErrorKind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

const NODE: &str = "pve1";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test]
async fn tasks_logs_and_aborting() {
    let fake = Fake::start();
    let pve = fake.client();
    fake.py("pve.add_vm(101, 'a') and None");
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("time").as_secs() - 1;
    fake.py("setattr(pve.vm(101), 'start_secs', 100000)");
    let upid = pve.start(NODE, 101).await.expect("start");
    let e = pve
        .wait_task(&upid, Instant::now() + Duration::from_millis(400))
        .await
        .expect_err("still running");
    assert_eq!(e.kind, ErrorKind::Busy, "{e}");
    let running = pve.running_tasks(NODE, "qmstart").await.expect("running");
    assert!(running.len() == 1 && running[0] == upid, "{running:?}");
    assert_eq!(
        pve.find_task(NODE, "qmstart", 101, before).await.expect("found"),
        Some(upid.clone())
    );
    pve.abort_task(&upid).await.expect("abort");
    let e = pve.wait_task(&upid, soon()).await.expect_err("aborted");
    assert!(e.message.contains("received interrupt"), "{e}");
    assert!(pve.running_tasks(NODE, "qmstart").await.expect("running").is_empty());
    assert_eq!(
        pve.find_task(NODE, "qmstart", 101, before)
            .await
            .expect("ended ones too"),
        Some(upid.clone())
    );
    assert_eq!(
        pve.find_task(NODE, "qmstart", 102, before).await.expect("other VM"),
        None
    );
    assert_eq!(
        pve.find_task(NODE, "qmstop", 101, before).await.expect("other kind"),
        None
    );
    assert_eq!(
        pve.find_task(NODE, "qmstart", 101, before + 3600)
            .await
            .expect("earlier"),
        None
    );

    fake.py("setattr(pve.vm(101), 'start_secs', 0)");
    let upid = pve.start(NODE, 101).await.expect("start");
    pve.wait_task(&upid, soon()).await.expect("started");
    assert!(pve.task_warnings(&upid).await.expect("none").is_empty());
    let log = "['starting', 'WARN: no reset', 'WARN: iothread ignored', 'TASK WARNINGS: 2']";
    fake.py(&format!(
        "pve.tasks['{upid}'].update(exitstatus='WARNINGS: 2', log={log})"
    ));
    pve.wait_task(&upid, soon()).await.expect("warnings are no failure");
    assert_eq!(
        pve.task_warnings(&upid).await.expect("warnings"),
        ["no reset", "iothread ignored"]
    );

    fake.py(&format!(
        "pve.tasks['{upid}'].update(exitstatus='it broke', log=['line %d' % i for i in range(12003)])"
    ));
    let tail = pve.task_log_tail(&upid, 2).await.expect("tail");
    assert_eq!(tail, ["line 12001", "line 12002"], "behind the first page");
    let e = pve.wait_task(&upid, soon()).await.expect_err("failed");
    assert!(
        e.message.contains("it broke") && e.message.contains("line 12002"),
        "{e}"
    );
}
