//! The FunctionalTestRun controller with a scripted executor, on VMs of fakepve.

use crate::world::{Play, World, outcome};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use mosdat::api::{FailureClass, FunctionalTestRun, FunctionalTestRunStatus, ProxmoxVM, RunPhase, RunResult};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

on_both!(
    passes_and_leaves_nothing,
    an_invalid_scenario_touches_nothing,
    a_secret_may_come_a_moment_later,
    an_unknown_template_is_not_tried_again,
    infrastructure_errors_are_retried_on_a_clean_vm_and_failures_are_not,
    a_killed_controller_counts_as_an_interrupted_attempt,
    cancelling_and_deleting_give_the_vm_back,
    a_referenced_vm_has_one_run_at_a_time,
    killed_at_random_points,
    what_a_run_refers_to_cannot_be_changed,
    an_expired_run_takes_its_evidence_along,
);

async fn start(world: &World, name: &str, scenario: &str, more: serde_json::Value) {
    let mut spec = json!({
        "vm": {"template": world.vm_spec()},
        "scenario": {"inline": {"name": scenario, "steps": [{"note": "scripted"}]}},
    });
    for (k, v) in more.as_object().expect("object") {
        spec[k] = v.clone();
    }
    world
        .create::<FunctionalTestRun>(json!({"metadata": {"name": name}, "spec": spec}))
        .await;
}

fn status(run: &FunctionalTestRun) -> FunctionalTestRunStatus {
    run.status.clone().unwrap_or_default()
}

async fn done(world: &World, name: &str) -> FunctionalTestRunStatus {
    let run = world
        .until::<FunctionalTestRun>(name, "done", |r| {
            status(r).phase == Some(RunPhase::Done) && r.finalizers().is_empty()
        })
        .await;
    status(&run)
}

async fn running(world: &World, name: &str) {
    world
        .until::<FunctionalTestRun>(name, "running with progress", |r| {
            status(r).phase == Some(RunPhase::Running) && status(r).progress.is_some()
        })
        .await;
}

fn succeeded(s: &FunctionalTestRunStatus) -> (String, String) {
    let c = s.conditions.iter().find(|c| c.type_ == "Succeeded").expect("Succeeded");
    (c.status.clone(), c.reason.clone())
}

async fn nothing_left(world: &World) {
    let vms = world.api::<ProxmoxVM>().list(&Default::default()).await.expect("list");
    assert!(vms.items.is_empty(), "{:?}", vms.items);
    assert!(world.fake.clones().is_empty());
}

async fn what_a_run_refers_to_cannot_be_changed(world: World) {
    let mut still = world.vm_spec();
    still["power"] = json!("Stopped");
    let steps = json!([{"note": "never"}]);
    let run = json!({"metadata": {"name": "still"}, "spec": {
        "vm": {"template": still}, "scenario": {"inline": {"name": "s", "steps": steps}},
    }});
    let run: FunctionalTestRun = serde_json::from_value(run).expect("a run");
    let refused = world
        .api::<FunctionalTestRun>()
        .create(&Default::default(), &run)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("has to run"), "{refused}");
    start(&world, "fixed", "good", json!({"visionRef": {"name": "a"}})).await;
    let api = world.api::<FunctionalTestRun>();
    let key = json!([{"name": "pw", "secretKeyRef": {"name": "s", "key": "k"}}]);
    for (change, field) in [
        (json!({"visionRef": {"name": "b"}}), "visionRef"),
        (json!({"visionRef": null}), "visionRef"),
        (json!({"secretVariables": key}), "secretVariables"),
        (json!({"variables": {"a": "b"}}), "variables"),
        (json!({"scenario": {"inline": {"name": "other"}}}), "scenario"),
    ] {
        let patch = Patch::Merge(json!({"spec": change}));
        let refused = api
            .patch("fixed", &PatchParams::default(), &patch)
            .await
            .map(|_| ())
            .unwrap_err();
        assert!(refused.to_string().contains(&format!("{field} ")), "{refused}");
        assert!(refused.to_string().contains("immutable"), "{refused}");
    }
    let patch = Patch::Merge(json!({"spec": {"cancel": true}}));
    api.patch("fixed", &PatchParams::default(), &patch)
        .await
        .expect("cancel stays open");
}

async fn an_expired_run_takes_its_evidence_along(world: World) {
    let _running = world.controllers("a");
    start(&world, "brief", "good", json!({"ttlSecondsAfterFinished": 2})).await;
    let s = done(&world, "brief").await;
    let folder = std::path::PathBuf::from(s.artifacts.expect("artifacts").location);
    let runs = folder.parent().expect("the run's folder").to_path_buf();
    std::fs::create_dir_all(&folder).expect("mkdir");
    std::fs::write(folder.join("report.html"), "x").expect("write");
    let deadline = Instant::now() + Duration::from_secs(30);
    while world
        .api::<FunctionalTestRun>()
        .get_opt("brief")
        .await
        .expect("get")
        .is_some()
    {
        assert!(Instant::now() < deadline, "the run did not expire");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!runs.exists());
}

async fn passes_and_leaves_nothing(world: World) {
    let _running = world.controllers("a");
    start(&world, "ok", "good", json!({})).await;
    let s = done(&world, "ok").await;
    assert_eq!(s.result, Some(RunResult::Passed));
    assert_eq!(succeeded(&s), ("True".to_string(), "Passed".to_string()));
    assert_eq!(s.progress.as_deref(), Some("2/2"));
    assert_eq!(s.scenario_digest.as_deref(), Some("d1"));
    assert!(s.completion_time.is_some() && s.verdict.is_none() && s.failure.is_none());
    assert!(s.artifacts.expect("artifacts").location.ends_with("/attempt-1"));
    let job = world.executor.jobs.lock().expect("lock")[0].clone();
    assert_eq!((job.attempt, job.machine.name.as_str()), (1, "ok-1"));
    // Nobody has said how long it may take, so that the scenario may.
    assert_eq!((job.timeout, s.outputs["version"].as_str()), (None, "1.2"));
    nothing_left(&world).await;
}

async fn an_invalid_scenario_touches_nothing(world: World) {
    let _running = world.controllers("a");
    start(&world, "bad", "bad", json!({"visionRef": null})).await;
    let s = done(&world, "bad").await;
    assert_eq!(s.result, Some(RunResult::Invalid));
    let message = s.failure.expect("failure").message;
    assert!(message.contains("first") && message.contains("second"), "{message}");
    start(
        &world,
        "refs",
        "good",
        json!({"visionRef": {"name": "none"}, "secretVariables": [{"name": "p", "secretKeyRef": {"name": "s", "key": "k"}}]}),
    )
    .await;
    let s = done(&world, "refs").await;
    assert_eq!(s.result, Some(RunResult::Invalid));
    let message = s.failure.expect("failure").message;
    assert!(
        message.contains("VisionProvider") && message.contains("spec.secretVariables[p]"),
        "{message}"
    );
    assert_eq!(world.fake.count("POST", "/clone"), 0);
}

async fn a_secret_may_come_a_moment_later(world: World) {
    let _running = world.controllers("a");
    let wants = json!([{"name": "p", "secretKeyRef": {"name": "late", "key": "k"}}]);
    start(&world, "early", "good", json!({"secretVariables": wants})).await;
    let waits = world
        .until::<FunctionalTestRun>("early", "waiting for its Secret", |r| {
            status(r).phase == Some(RunPhase::Pending)
        })
        .await;
    let text = &status(&waits).conditions[0].message;
    assert!(text.contains("create secret generic late"), "{text}");
    let secret = json!({"metadata": {"name": "late"}, "stringData": {"k": "v"}});
    world
        .api::<k8s_openapi::api::core::v1::Secret>()
        .create(&Default::default(), &serde_json::from_value(secret).expect("a Secret"))
        .await
        .expect("create");
    assert_eq!(done(&world, "early").await.result, Some(RunResult::Passed));
}

async fn an_unknown_template_is_not_tried_again(world: World) {
    let _running = world.controllers("a");
    let mut vm = world.vm_spec();
    vm["source"]["clone"] = json!({"template": "no-such"});
    start(
        &world,
        "lost",
        "good",
        json!({"vm": {"template": vm}, "retries": {"infrastructure": 3}}),
    )
    .await;
    let s = done(&world, "lost").await;
    assert_eq!((s.result, s.attempts.len()), (Some(RunResult::Invalid), 0));
    let failure = s.failure.expect("failure");
    assert_eq!((failure.class, failure.reason.as_str()), (None, "TemplateNotUsable"));
    let text = failure.message;
    assert!(text.contains("no template no-such; it has "), "{text}");
    nothing_left(&world).await;

    // While a node is off, its templates have no names: that is not the author's mistake.
    world.fake.py("pve.set_node_offline('pve2')");
    start(
        &world,
        "off",
        "good",
        json!({"vm": {"template": vm}, "retries": {"infrastructure": 0}}),
    )
    .await;
    let s = done(&world, "off").await;
    assert_eq!(s.result, Some(RunResult::Error), "{:?}", s.failure);
    assert_eq!(s.failure.expect("failure").class, Some(FailureClass::Proxmox));
}

async fn infrastructure_errors_are_retried_on_a_clean_vm_and_failures_are_not(world: World) {
    let _running = world.controllers("a");
    *world.executor.plays.lock().expect("lock") = vec![
        Play::End(outcome(RunResult::Error)),
        Play::End(outcome(RunResult::Failed)),
    ];
    start(&world, "retry", "good", json!({"retries": {"infrastructure": 3}})).await;
    let s = done(&world, "retry").await;
    assert_eq!(s.result, Some(RunResult::Failed));
    assert_eq!(succeeded(&s), ("False".to_string(), "Failed".to_string()));
    assert_eq!((s.attempt, s.attempts.len()), (Some(2), 1));
    assert_eq!(s.attempts[0].vm_name.as_deref(), Some("retry-1"));
    assert_eq!(s.vm_name.as_deref(), Some("retry-2"));
    assert_eq!(world.executor.started.load(Ordering::SeqCst), 2);
    assert_eq!(world.fake.count("POST", "/clone"), 2);
    nothing_left(&world).await;
}

async fn a_killed_controller_counts_as_an_interrupted_attempt(world: World) {
    *world.executor.plays.lock().expect("lock") = vec![Play::Hang, Play::End(outcome(RunResult::Passed))];
    let first = world.controllers("first");
    start(&world, "killed", "good", json!({})).await;
    running(&world, "killed").await;
    drop(first);
    let _second = world.controllers("second");
    let s = done(&world, "killed").await;
    assert_eq!(s.result, Some(RunResult::Passed));
    assert_eq!(s.attempts.len(), 1);
    assert_eq!(s.attempts[0].failure.class, Some(FailureClass::Controller));
    assert_eq!(s.attempts[0].failure.reason, "Interrupted");
    assert_eq!(world.fake.count("POST", "/clone"), 2);
    nothing_left(&world).await;
}

async fn cancelling_and_deleting_give_the_vm_back(world: World) {
    *world.executor.plays.lock().expect("lock") = vec![Play::Hang];
    let _running = world.controllers("a");
    start(&world, "cancel", "good", json!({})).await;
    start(&world, "delete", "good", json!({})).await;
    running(&world, "cancel").await;
    running(&world, "delete").await;
    world
        .api::<FunctionalTestRun>()
        .patch(
            "cancel",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"cancel": true, "ttlSecondsAfterFinished": 1}})),
        )
        .await
        .expect("cancel");
    world
        .api::<FunctionalTestRun>()
        .delete("delete", &Default::default())
        .await
        .expect("delete");
    world.gone::<FunctionalTestRun>("delete").await;
    // Cancelled, and then deleted by its time to live.
    world.gone::<FunctionalTestRun>("cancel").await;
    nothing_left(&world).await;
}

async fn a_referenced_vm_has_one_run_at_a_time(world: World) {
    let _running = world.controllers("a");
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "shared"}, "spec": world.vm_spec()}))
        .await;
    *world.executor.plays.lock().expect("lock") = vec![Play::Hang, Play::End(outcome(RunResult::Passed))];
    let on = json!({"vm": {"ref": {"name": "shared"}}});
    start(&world, "one", "good", on.clone()).await;
    running(&world, "one").await;
    start(&world, "two", "good", on).await;
    world
        .until::<FunctionalTestRun>("two", "waiting for the other run", |r| {
            status(r)
                .conditions
                .iter()
                .any(|c| c.message.contains("used by FunctionalTestRun one"))
        })
        .await;
    world
        .api::<FunctionalTestRun>()
        .patch(
            "one",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"cancel": true}})),
        )
        .await
        .expect("cancel");
    assert_eq!(done(&world, "one").await.result, Some(RunResult::Cancelled));
    assert_eq!(done(&world, "two").await.result, Some(RunResult::Passed));
    let vm = world.api::<ProxmoxVM>().get("shared").await.expect("vm");
    assert!(vm.status.expect("status").holder.is_none());
    world
        .api::<ProxmoxVM>()
        .delete("shared", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("shared").await;
}

/// Controllers are killed after random times until the run is done: it gets its verdict, nothing is left, and every
/// clone belongs to an attempt.
async fn killed_at_random_points(world: World) {
    for round in 0..3 {
        let name = format!("r{round}");
        let before = world.fake.count("POST", "/clone");
        start(&world, &name, "good", json!({"retries": {"infrastructure": 10}})).await;
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut lives = 0;
        let s = loop {
            let running = world.controllers(&format!("{name}-{lives}"));
            lives += 1;
            tokio::time::sleep(Duration::from_millis(30 + rand::random::<u64>() % 400)).await;
            drop(running);
            let run = world.api::<FunctionalTestRun>().get(&name).await.expect("get");
            if status(&run).phase == Some(RunPhase::Done) && run.finalizers().is_empty() {
                break status(&run);
            }
            assert!(Instant::now() < deadline, "after {lives} lives: {:?}", status(&run));
        };
        eprintln!("{lives} lives, {} interrupted attempts", s.attempts.len());
        assert_eq!(s.result, Some(RunResult::Passed));
        assert!(
            s.attempts.iter().all(|a| a.failure.reason == "Interrupted"),
            "{:?}",
            s.attempts
        );
        let clones = world.fake.count("POST", "/clone") - before;
        assert_eq!(clones, s.attempts.len() as u64 + 1);
        nothing_left(&world).await;
    }
}
