//! Tables for the end of a VM.

use super::seen::*;
use super::table::*;
use crate::api::{DeletionPolicy, LocalRef, ProxmoxVM, ProxmoxVMStatus, VmAction};
use crate::proxmox::ErrorKind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

#[test]
fn deleting() {
    use VmAction::*;
    let gone = |status| deleted(object(status));
    let lock = [("lock", "clone")];
    let failed = Task::Failed(ErrorKind::Other, "no".to_string());
    // The second try after a refusal: not answered either.
    let mut again = doing(Clone, false, 1);
    again.failures = Some(1);
    let mut refused = again.clone();
    refused.next_attempt_at = Some(Time(now()));
    let rows: Vec<(ProxmoxVM, Observed, &str)> = vec![
        (
            gone(ProxmoxVMStatus::default()),
            seen(Vm::Unknown, Task::None),
            "release",
        ),
        (
            gone(doing(Clone, true, 1)),
            seen(Vm::Unknown, Task::Running),
            "wait Deleting Deleting",
        ),
        (
            gone(doing(Clone, false, 1)),
            seen(Vm::Absent, Task::Found("UPID".to_string())),
            "learn",
        ),
        (
            gone(doing(Clone, false, 1)),
            seen(Vm::Absent, Task::None),
            "wait Deleting Deleting",
        ),
        (
            gone(doing(Clone, false, 44)),
            seen(Vm::Absent, Task::None),
            "wait Deleting Deleting",
        ),
        (gone(again), seen(Vm::Absent, Task::None), "wait Deleting Deleting"),
        (gone(refused), seen(Vm::Absent, Task::None), "release"),
        (gone(doing(Clone, false, 46)), seen(Vm::Absent, Task::None), "release"),
        (gone(doing(Clone, false, 1)), seen(foreign(), Task::None), "release"),
        (
            gone(doing(Clone, false, 90)),
            seen(present(&lock, None), Task::None),
            "wait Failed CloneLockLeft!",
        ),
        (
            gone(doing(Start, true, 1)),
            seen(present(&[], Some(true)), Task::Ok),
            "stop",
        ),
        (
            gone(doing(Stop, true, 1)),
            seen(Vm::Unknown, Task::Running),
            "wait Deleting Deleting",
        ),
        (
            gone(doing(Stop, true, 1)),
            seen(present(&[], Some(false)), Task::Ok),
            "destroy",
        ),
        (
            gone(doing(Stop, true, 1)),
            seen(present(&[], Some(true)), failed.clone()),
            "failed Other",
        ),
        (
            gone(doing(Destroy, true, 1)),
            seen(present(&[], Some(false)), failed),
            "failed Other",
        ),
        (gone(doing(Destroy, true, 1)), seen(Vm::Absent, Task::Ok), "release"),
    ];
    for (vm, observed, want) in &rows {
        check(vm, observed, want);
    }
    let mut keep = gone(doing(Stop, true, 1));
    keep.spec.deletion_policy = DeletionPolicy::Stop;
    check(&keep, &seen(present(&[], Some(true)), Task::None), "shutdown");
    check(&keep, &seen(present(&[], Some(false)), Task::Ok), "configure -tags");
    check(&keep, &seen(foreign(), Task::Ok), "release");
    keep.spec.gpu_profile_ref = Some(LocalRef { name: "g".to_string() });
    let with_gpu = present(
        &[("hostpci0", "mapping=g"), ("description", "mosdat-uid: u-1")],
        Some(false),
    );
    check(
        &keep,
        &seen(with_gpu, Task::Ok),
        "configure -hostpci0, -tags, -description",
    );
    let mut s = seen(Vm::Unknown, Task::None);
    s.cluster_error = Some("no Secret".to_string());
    check(&gone(doing(Start, true, 1)), &s, "wait Deleting ClusterUnavailable!");
    s.force_delete = true;
    check(&gone(doing(Start, true, 1)), &s, "release");
}
