//! Tables for `decide`: one row per situation.

use super::decide::*;
use super::resolve::Wrong;
use super::tasks::Task;
use crate::api::{
    CloneSource, DeletionPolicy, FINALIZER, FunctionalTestRun, FunctionalTestRunSpec, FunctionalTestRunStatus,
    LocalRef, ProxmoxVMSpec, RunPhase, RunResult, RunRetries, RunScenario, RunVm, StepCounts, VmSource,
};
use crate::executor::{Outcome, Progress};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).expect("time")
}

fn run(phase: RunPhase) -> FunctionalTestRun {
    let vm = ProxmoxVMSpec {
        cluster_ref: LocalRef { name: "c".to_string() },
        source: VmSource {
            clone: Some(CloneSource {
                template: Some("t".to_string()),
                ..CloneSource::default()
            }),
            adopt: None,
        },
        power: Default::default(),
        hardware: None,
        tags: Vec::new(),
        gpu_profile_ref: None,
        deletion_policy: DeletionPolicy::Delete,
        ttl_seconds: None,
        keyboard_layout: None,
        guest: None,
    };
    let mut r = FunctionalTestRun::new(
        "r",
        FunctionalTestRunSpec {
            vm: RunVm {
                reference: None,
                template: Some(vm),
            },
            scenario: RunScenario {
                reference: Some(LocalRef { name: "s".to_string() }),
                inline: None,
            },
            variables: BTreeMap::new(),
            secret_variables: vec![],
            steps: None,
            evidence: None,
            vision_ref: None,
            timeout_seconds: Some(60),
            retries: RunRetries::default(),
            cancel: false,
            ttl_seconds_after_finished: None,
        },
    );
    r.metadata.finalizers = Some(vec![FINALIZER.to_string()]);
    r.status = Some(FunctionalTestRunStatus {
        phase: Some(phase),
        attempt: Some(1),
        executor: Some("me".to_string()),
        vm_name: Some("r-1".to_string()),
        ..FunctionalTestRunStatus::default()
    });
    r
}

fn with(mut r: FunctionalTestRun, f: impl FnOnce(&mut FunctionalTestRun)) -> FunctionalTestRun {
    f(&mut r);
    r
}

fn verdict(r: FunctionalTestRun, result: RunResult) -> FunctionalTestRun {
    with(r, |r| r.status.get_or_insert_default().verdict = Some(result))
}

fn seen(vm: Vm, task: Task) -> Observed {
    Observed {
        identity: "me".to_string(),
        vm,
        task,
        check: None,
    }
}

fn vm(state: VmState, deleting: bool) -> Vm {
    Vm::Ours { state, deleting }
}

fn busy(attempt: u32) -> Task {
    Task::Running {
        attempt,
        progress: Progress::default(),
    }
}

fn ended(result: RunResult) -> Task {
    Task::Ended {
        attempt: 1,
        outcome: Outcome {
            result,
            failure: None,
            steps: StepCounts::default(),
            finished: vec![],
            outputs: BTreeMap::new(),
        },
    }
}

fn word(step: &Step) -> String {
    let reason = |v: &Verdict| {
        let why = v.failure.as_ref().map(|f| format!(" {}", f.reason)).unwrap_or_default();
        format!("{}{why}", v.result.as_str())
    };
    match step {
        Step::Wait { .. } => "wait".to_string(),
        Step::Begin { attempt, .. } => format!("begin {attempt}"),
        Step::Retry { attempt, record } => format!("retry {attempt} after {}", record.attempt),
        Step::Finish(v) => format!("finish {}", reason(v)),
        Step::Done(v) => format!("done {}", reason(v)),
        Step::Progress { .. } => "progress".to_string(),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[track_caller]
fn check(r: &FunctionalTestRun, s: &Observed, want: &str) {
    assert_eq!(word(&decide(r, s, now())), want);
}

#[test]
fn every_phase() {
    use RunPhase::*;
    let ready = || vm(VmState::Ready, false);
    let pending = || vm(VmState::Pending("booting".to_string()), false);
    let failed = |deleting| vm(VmState::Failed("no".to_string()), deleting);
    let cancel = |p| with(run(p), |r| r.spec.cancel = true);
    let other = with(run(Running), |r| {
        r.status.get_or_insert_default().executor = Some("other".to_string());
    });
    let checked = |c| {
        let mut s = seen(Vm::Unknown, Task::None);
        s.check = Some(c);
        s
    };
    let wrong = |missing| {
        Err(Wrong {
            texts: vec!["x".to_string()],
            missing,
        })
    };
    let young = |age| {
        with(run(Pending), |r| {
            r.metadata.creation_timestamp = Some(Time(now() - SignedDuration::from_secs(age)));
        })
    };
    let rows: Vec<(FunctionalTestRun, Observed, &str)> = vec![
        (run(Pending), checked(Ok("d".to_string())), "begin 1"),
        (run(Pending), checked(wrong(false)), "done invalid Invalid"),
        (young(10), checked(wrong(false)), "done invalid Invalid"),
        // What is missing may be on its way.
        (young(10), checked(wrong(true)), "wait"),
        (young(31), checked(wrong(true)), "done invalid ReferenceNotFound"),
        (
            cancel(Pending),
            seen(Vm::Unknown, Task::None),
            "done cancelled Cancelled",
        ),
        (run(Preparing), seen(Vm::Absent, Task::None), "makevm"),
        (run(Preparing), seen(pending(), Task::None), "wait"),
        (run(Preparing), seen(ready(), Task::None), "start"),
        (run(Preparing), seen(failed(false), Task::None), "finish error VmFailed"),
        // No other try would find another template.
        (
            run(Preparing),
            seen(vm(VmState::Misconfigured("no template".to_string()), false), Task::None),
            "finish invalid TemplateNotUsable",
        ),
        (
            verdict(run(Finishing), RunResult::Invalid),
            seen(Vm::Absent, Task::None),
            "done invalid",
        ),
        (
            run(Preparing),
            seen(vm(VmState::Ready, true), Task::None),
            "finish error VmDeleted",
        ),
        (
            run(Preparing),
            seen(Vm::Foreign("x".to_string()), Task::None),
            "finish error NameTaken",
        ),
        (
            cancel(Preparing),
            seen(ready(), Task::None),
            "finish cancelled Cancelled",
        ),
        (run(Running), seen(Vm::Unknown, busy(1)), "progress"),
        (run(Running), seen(Vm::Unknown, Task::None), "spawn"),
        (
            run(Running),
            seen(Vm::Unknown, ended(RunResult::Failed)),
            "finish failed",
        ),
        (cancel(Running), seen(Vm::Unknown, busy(1)), "cancel"),
        (
            cancel(Running),
            seen(Vm::Unknown, Task::None),
            "finish cancelled Cancelled",
        ),
        (other, seen(Vm::Unknown, Task::None), "finish error Interrupted"),
        (run(Finishing), seen(ready(), Task::None), "dropvm"),
        (run(Finishing), seen(vm(VmState::Ready, true), Task::None), "wait"),
        (
            verdict(run(Finishing), RunResult::Passed),
            seen(Vm::Absent, Task::None),
            "done passed",
        ),
        // A VM that cannot be removed without help does not hold the verdict back.
        (
            verdict(run(Finishing), RunResult::Passed),
            seen(failed(true), Task::None),
            "done passed",
        ),
        (
            verdict(run(Finishing), RunResult::Error),
            seen(Vm::Absent, Task::None),
            "retry 2 after 1",
        ),
        (
            verdict(run(Finishing), RunResult::Failed),
            seen(Vm::Absent, Task::None),
            "done failed",
        ),
        (
            verdict(cancel(Finishing), RunResult::Error),
            seen(Vm::Absent, Task::None),
            "done error",
        ),
        (run(Done), seen(Vm::Unknown, Task::None), "release"),
    ];
    for (r, s, want) in &rows {
        check(r, s, want);
    }
    let last = with(verdict(run(Finishing), RunResult::Error), |r| {
        r.status.get_or_insert_default().attempt = Some(2);
    });
    check(&last, &seen(Vm::Absent, Task::None), "done error");
}

#[test]
fn a_referenced_vm_is_claimed_and_given_back() {
    use RunPhase::*;
    let refers = |p| {
        with(run(p), |r| {
            r.spec.vm = RunVm {
                reference: Some(LocalRef {
                    name: "shared".to_string(),
                }),
                template: None,
            };
        })
    };
    check(&refers(Preparing), &seen(Vm::Absent, Task::None), "wait");
    let late = with(refers(Preparing), |r| {
        let begun = now() - SignedDuration::from_secs(121);
        r.status.get_or_insert_default().start_time = Some(Time(begun));
    });
    check(&late, &seen(Vm::Absent, Task::None), "finish invalid ReferenceNotFound");
    let free = || Vm::Free {
        version: "7".to_string(),
    };
    // With the version that was seen: another run may have claimed it since.
    check(
        &refers(Preparing),
        &seen(free(), Task::None),
        "claimvm { version: \"7\" }",
    );
    check(
        &refers(Preparing),
        &seen(Vm::Foreign("used".to_string()), Task::None),
        "wait",
    );
    check(
        &refers(Finishing),
        &seen(vm(VmState::Ready, false), Task::None),
        "unclaimvm",
    );
    let passed = verdict(refers(Finishing), RunResult::Passed);
    check(&passed, &seen(free(), Task::None), "done passed");
}

#[test]
fn deletion_and_time_to_live() {
    use RunPhase::*;
    let deleted = |p| with(run(p), |r| r.metadata.deletion_timestamp = Some(Time(now())));
    check(&deleted(Pending), &seen(Vm::Unknown, Task::None), "release");
    check(&deleted(Running), &seen(vm(VmState::Ready, false), busy(1)), "cancel");
    check(
        &deleted(Running),
        &seen(vm(VmState::Ready, false), ended(RunResult::Cancelled)),
        "dropvm",
    );
    check(&deleted(Running), &seen(Vm::Absent, Task::None), "release");
    let done = |age: i64| {
        with(run(Done), |r| {
            r.metadata.finalizers = None;
            r.spec.ttl_seconds_after_finished = Some(60);
            let s = r.status.get_or_insert_default();
            s.completion_time = Some(Time(now() - SignedDuration::from_secs(age)));
        })
    };
    check(&done(10), &seen(Vm::Unknown, Task::None), "wait");
    check(&done(61), &seen(Vm::Unknown, Task::None), "expire");
}
