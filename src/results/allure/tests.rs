//! The form on small logs.

use super::steps::DEEPEST;
use super::*;
use crate::api::StepCounts;

fn event(seq: u64, time: &str, body: Body) -> Event {
    Event {
        v: SCHEMA_VERSION,
        seq,
        time: format!("2026-01-02T03:04:{time}Z"),
        body,
    }
}

fn run(uid: &str, attempt: u32) -> Allure {
    let planned = |id: &str, within: Option<&str>| PlannedStep {
        id: id.to_string(),
        label: format!("do {id}"),
        section: "steps".to_string(),
        action: "use".to_string(),
        within: within.map(|step| Within {
            step: step.to_string(),
            part: "use".to_string(),
        }),
        phase: None,
    };
    let start = |id: &str| Body::StepStart {
        step: id.to_string(),
        further: None,
        label: None,
    };
    let end = |id: &str, outcome, message: Option<&str>| Body::StepEnd {
        step: id.to_string(),
        outcome,
        reason: None,
        message: message.map(String::from),
        class: None,
        attempts: 1,
        ms: 500,
    };
    let shot = Body::Evidence {
        step: "b".to_string(),
        item: Evidence::Screenshot {
            role: Role::Checked,
            file: "screenshots/1.png".to_string(),
            width: 1,
            height: 1,
            marks: Vec::new(),
            frame: None,
            covered: false,
        },
    };
    allure(&[
        event(
            1,
            "05.000",
            Body::RunStart {
                run: RunMeta {
                    uid: uid.to_string(),
                    attempt,
                    ..RunMeta::default()
                },
                plan: RunPlan {
                    scenario: "login".to_string(),
                    steps: vec![planned("a", None), planned("b", Some("a")), planned("c", None)],
                    ..RunPlan::default()
                },
            },
        ),
        event(2, "05.100", start("a")),
        event(3, "05.200", start("b")),
        event(4, "05.300", shot.clone()),
        event(5, "05.400", shot),
        event(6, "05.700", end("b", StepOutcome::Failed, Some("no"))),
        event(7, "05.700", end("a", StepOutcome::Failed, None)),
        event(8, "05.700", end("c", StepOutcome::Skipped, None)),
        event(
            9,
            "06.000",
            Body::RunEnd {
                result: RunResult::Failed,
                failure: None,
                counts: StepCounts::default(),
                outputs: Default::default(),
                ms: 1000,
                video: None,
            },
        ),
    ])
}

#[test]
fn steps_are_within_steps_and_pictures_are_there_once() {
    let Allure {
        name,
        result,
        attachments,
    } = run("u", 1);
    assert!(name.ends_with("-result.json"));
    assert_eq!(result["status"], "failed");
    assert_eq!(result["start"], 1_767_323_045_000_i64);
    assert_eq!(result["stop"], 1_767_323_046_000_i64);
    let steps = result["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 2, "{result}");
    let inner = &steps[0]["steps"][0];
    assert_eq!((&inner["name"], &inner["status"]), (&"do b".into(), &"failed".into()));
    assert_eq!(inner["statusDetails"]["message"], "no");
    assert_eq!(inner["start"], 1_767_323_045_200_i64);
    assert_eq!(steps[1]["status"], "skipped");
    let contents: Vec<&Content> = attachments.iter().map(|a| &a.content).collect();
    assert_eq!(
        contents,
        [&Content::Picture("screenshots/1.png".into()), &Content::Page]
    );
    assert_eq!(inner["attachments"][0]["source"], attachments[0].source.as_str());
}

#[test]
fn phases_hold_their_steps_and_outputs_are_beside_them() {
    let planned = |id: &str, phase: Option<&str>| PlannedStep {
        id: id.to_string(),
        label: id.to_string(),
        section: "steps".to_string(),
        action: "note".to_string(),
        within: None,
        phase: phase.map(String::from),
    };
    let phase = |name: &str, description: Option<&str>| PlannedPhase {
        name: name.to_string(),
        description: description.map(String::from),
        from: String::new(),
        until: String::new(),
    };
    let ended = |seq, time, id: &str, outcome| {
        let end = Body::StepEnd {
            step: id.to_string(),
            outcome,
            reason: None,
            message: None,
            class: None,
            attempts: 1,
            ms: 100,
        };
        event(seq, time, end)
    };
    let begun = |seq, time, id: &str| {
        let start = Body::StepStart {
            step: id.to_string(),
            further: None,
            label: None,
        };
        event(seq, time, start)
    };
    let plan = RunPlan {
        phases: vec![phase("log in", Some("with a password")), phase("work", None)],
        steps: vec![
            planned("a", None),
            planned("b", Some("log in")),
            planned("c", Some("log in")),
            planned("d", Some("work")),
            planned("e", None),
        ],
        ..RunPlan::default()
    };
    let run = RunMeta::default();
    let written = |outputs: &[(&str, &str)]| {
        allure(&[
            event(
                1,
                "05.000",
                Body::RunStart {
                    run: run.clone(),
                    plan: plan.clone(),
                },
            ),
            begun(2, "05.000", "a"),
            ended(3, "05.100", "a", StepOutcome::Passed),
            begun(4, "05.100", "b"),
            ended(5, "05.200", "b", StepOutcome::Passed),
            begun(6, "05.300", "c"),
            ended(7, "05.400", "c", StepOutcome::Failed),
            ended(8, "05.400", "d", StepOutcome::Skipped),
            ended(9, "05.400", "e", StepOutcome::Skipped),
            event(
                10,
                "06.000",
                Body::RunEnd {
                    result: RunResult::Failed,
                    failure: None,
                    counts: StepCounts::default(),
                    outputs: outputs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
                    ms: 1000,
                    video: None,
                },
            ),
        ])
    };
    let (with, without) = (written(&[("version", "1.2")]), written(&[]));
    let steps = with.result["steps"].as_array().expect("steps");
    let told: Vec<(&str, &str)> = steps
        .iter()
        .map(|s| (s["name"].as_str().unwrap_or(""), s["status"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(
        told,
        [
            ("a", "passed"),
            ("log in: with a password", "failed"),
            ("work", "skipped"),
            ("e", "skipped")
        ]
    );
    let phase = &steps[1];
    assert_eq!(
        (&phase["start"], &phase["stop"]),
        (&1_767_323_045_100_i64.into(), &1_767_323_045_400_i64.into())
    );
    assert_eq!(phase["steps"][1]["name"], "c");
    let beside = Content::Text("version: 1.2\n".into());
    assert!(with.attachments.iter().any(|a| a.content == beside));
    assert_eq!(with.result["attachments"][1]["name"], "outputs");
    assert_eq!(without.result["attachments"].as_array().map(Vec::len), Some(1));
    assert_eq!(with.result["historyId"], without.result["historyId"]);
}

#[test]
fn a_log_of_any_depth_is_written() {
    let planned = |n: usize| PlannedStep {
        id: n.to_string(),
        label: String::new(),
        section: "steps".to_string(),
        action: "use".to_string(),
        within: n.checked_sub(1).map(|outer| Within {
            step: outer.to_string(),
            part: "use".to_string(),
        }),
        phase: None,
    };
    let start = Body::RunStart {
        run: RunMeta::default(),
        plan: RunPlan {
            steps: (0..3000).map(planned).collect(),
            ..RunPlan::default()
        },
    };
    let written = allure(&[event(1, "05.000", start)]);
    let (mut steps, mut depth, mut all) = (&written.result["steps"], 0, 0);
    while let Some(list) = steps.as_array().filter(|list| !list.is_empty()) {
        (depth, all) = (depth + 1, all + list.len());
        steps = &list[list.len() - 1]["steps"];
    }
    assert_eq!((depth, all), (DEEPEST + 1, 3000));
}

#[test]
fn a_vm_is_the_same_in_each_run_on_it() {
    let of = |name: &str, attempt: u32, vm: &str| {
        let run = RunMeta {
            name: name.to_string(),
            attempt,
            vm: vm.to_string(),
            ..RunMeta::default()
        };
        super::vm(&run).to_string()
    };
    assert_eq!(of("login-0a1b2", 1, "debian-12"), "debian-12");
    assert_eq!(of("login-debian-0a1b2", 1, "login-debian-0a1b2-1"), "login-debian");
    assert_eq!(of("login-debian-x7k2q", 2, "login-debian-x7k2q-2"), "login-debian");
    assert_eq!(of("login-debian", 1, "login-debian-1"), "login-debian");
    let on = |vm: &str| {
        let run = RunMeta {
            vm: vm.to_string(),
            ..RunMeta::default()
        };
        let start = Body::RunStart {
            run,
            plan: RunPlan::default(),
        };
        allure(&[event(1, "05.000", start)]).result
    };
    let (one, two) = (on("debian-12"), on("fedora-41"));
    assert_ne!(one["historyId"], two["historyId"]);
    assert_eq!(one["historyId"], on("debian-12")["historyId"]);
    assert_eq!(one["parameters"][0]["value"], "debian-12");
}

#[test]
fn attempts_are_one_history_and_a_run_is_there_once() {
    let (first, again, second) = (run("u", 1), run("u", 1), run("u", 2));
    assert_eq!(first.name, again.name);
    assert_ne!(first.name, second.name);
    assert_eq!(first.result["historyId"], second.result["historyId"]);
}
