//! What a run leaves behind.

use super::doubles::{run, run_with};
use mosdat::api::RunResult;
use mosdat::results::{Body, EffectKind, Evidence, MarkKind, Recorder, Role, RunMeta};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn pictures_before_and_after_with_the_click() {
    let ran = run(
        "name: t\nsteps:\n  - {id: a, click: Save, verify: {text: Saved}}\n",
        |w| {
            w.show("Save");
            w.on_click.insert("Save".into(), "Saved".into());
        },
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed);
    let mut roles = Vec::new();
    for event in &ran.events {
        if let Body::Evidence {
            item:
                Evidence::Screenshot {
                    role,
                    file,
                    marks,
                    width,
                    height,
                    ..
                },
            ..
        } = &event.body
        {
            let picture = image::open(ran.dir.path().join(file)).unwrap();
            assert_eq!((picture.width(), picture.height()), (*width, *height));
            if *role == Role::Before {
                let click = marks.iter().find(|m| m.kind == MarkKind::Click).unwrap();
                assert_eq!((click.place.x, click.place.y), (80, 30));
            }
            roles.push(*role);
        }
    }
    assert_eq!(roles, [Role::Before, Role::After, Role::Checked]);
    let files = std::fs::read_dir(ran.dir.path().join("screenshots")).unwrap().count();
    assert_eq!(files, 2, "the same picture is stored once");
    let report = std::fs::read_to_string(ran.dir.path().join("report.html")).unwrap();
    assert_eq!(report.matches("data:image/png;base64,").count(), 2);
    assert!(report.contains("<circle class=\"click\" cx=\"80\" cy=\"30\""));
    assert!(
        !report.contains("http://") && !report.contains("https://"),
        "works offline"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_action_did_to_the_screen() {
    let text = "name: t\nsteps:\n  - {id: works, click: Save, verify: {text: Saved}}\n  \
                - {id: does-nothing, key: f5, verify: {text: Reloaded}, timeout: 400ms}\n";
    let ran = run(text, |w| {
        w.show("Save");
        w.on_click.insert("Save".into(), "Saved".into());
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Failed);
    let effects: Vec<(String, EffectKind, bool)> = ran
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::Evidence {
                step,
                item: Evidence::Effect { effect, place },
            } => Some((step.clone(), *effect, place.is_some())),
            _ => None,
        })
        .collect();
    let want = [
        ("works".to_string(), EffectKind::Confirmed, true),
        ("does-nothing".to_string(), EffectKind::SuspectedNoop, false),
    ];
    assert_eq!(effects, want);
    assert!(ran.message().contains("it may not have arrived"), "{}", ran.message());
    let report = std::fs::read_to_string(ran.dir.path().join("report.html")).expect("report");
    assert!(report.contains("the screen changed at ") && report.contains("nothing on the screen changed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_no_file() {
    let secret = "hunter2 & <co>'s";
    let text = "name: t\ninputs: {pw: {secret: true}}\nsteps:\n  - type: '{{ pw }}!'\n  - shell: 'printf %s \"$pw\"; echo \"x$pw\" >&2'\n  \
                - expect: {shell: 'echo \"$pw\"; exit 1'}\n    timeout: 300ms\n";
    let ran = run_with(
        text,
        |_| {},
        Duration::from_secs(30),
        CancellationToken::new(),
        &[("pw", secret)],
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Failed);
    assert_eq!(ran.done, [format!("secret {secret}!")]);
    assert!(ran.message().contains("***"), "{}", ran.message());
    assert!(!format!("{:?}", ran.outcome).contains("hunter2"));
    for file in ["events.jsonl", "report.html", "junit.xml"] {
        let text = std::fs::read_to_string(ran.dir.path().join(file)).unwrap();
        assert!(!text.contains("hunter2"), "{file}");
        assert!(text.contains("***"), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn markup_in_texts_stays_text() {
    let text = "name: '<b>&\"t\"</b>'\nsteps:\n  - note: '</script><script>alert(1)</script>'\n  - {id: s, shell: 'printf \"]]>\\001<x a=1>\"; exit 4', label: 'a < b & \"c\"'}\n";
    let ran = run(text, |_| {}).await;
    let report = std::fs::read_to_string(ran.dir.path().join("report.html")).unwrap();
    assert!(!report.contains("<script>alert") && !report.contains("<b>&"));
    let junit = std::fs::read_to_string(ran.dir.path().join("junit.xml")).unwrap();
    assert!(junit.contains("name=\"a &lt; b &amp; &quot;c&quot;\""), "{junit}");
    assert!(
        junit.contains("tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\""),
        "{junit}"
    );
    assert!(!junit.contains('\u{1}'));
}

#[test]
fn a_run_that_never_began_has_a_report_too() {
    let dir = tempfile::tempdir().unwrap();
    let meta = RunMeta {
        name: "early".into(),
        ..RunMeta::default()
    };
    let recorder = Recorder::create(dir.path(), meta, None).unwrap();
    let first = serde_json::to_value(&recorder.past()[0]).unwrap();
    assert_eq!((&first["total"], &first["steps"]), (&0.into(), &serde_json::json!([])));
    let mut events = recorder.subscribe();
    let failure = mosdat::api::RunFailure {
        class: Some(mosdat::api::FailureClass::Proxmox),
        reason: "CloneFailed".into(),
        message: "no space".into(),
        step: None,
    };
    recorder
        .finish(RunResult::Error, Some(failure), Default::default(), Default::default())
        .unwrap();
    assert!(matches!(events.try_recv().unwrap().body, Body::RunEnd { .. }));
    let report = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(report.contains("CloneFailed") && report.contains("no space"));
    let junit = std::fs::read_to_string(dir.path().join("junit.xml")).unwrap();
    assert!(
        junit.contains("errors=\"1\"") && junit.contains("type=\"CloneFailed\""),
        "{junit}"
    );
}

#[test]
fn a_log_that_a_kill_cut_off_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    Recorder::create(dir.path(), RunMeta::default(), None).unwrap();
    let path = dir.path().join("events.jsonl");
    let mut text = std::fs::read(&path).unwrap();
    // The last byte is the first half of a letter.
    text.extend(b"{\"v\":1,\"seq\":2,\"ti\xc3");
    std::fs::write(&path, text).unwrap();
    assert_eq!(mosdat::results::read_events(&path).unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_finds_the_same_again_is_not_recorded_again() {
    let text = "name: t\nsteps:\n  - {id: a, expect: {shell: 'echo same', contains: other}, timeout: 3s}\n";
    let ran = run(text, |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Failed);
    let shells = ran.events.iter().filter(|e| {
        matches!(
            &e.body,
            Body::Evidence {
                item: Evidence::Shell { .. },
                ..
            }
        )
    });
    assert_eq!(shells.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_tells_the_state_of_the_guest() {
    let guest = |ran: &super::doubles::Ran| -> Vec<(String, String)> {
        let item = |event: &mosdat::results::Event| match &event.body {
            Body::Evidence {
                step,
                item: Evidence::Guest { about, text },
            } => Some((format!("{step} {about}"), text.clone())),
            _ => None,
        };
        ran.events.iter().filter_map(item).collect()
    };
    let text = "name: t\nsteps:\n  - launch: [sleep, \"47\"]\n  - {id: e, expect: {text: No}, timeout: 300ms}\n\
                cleanup:\n  - {id: c, expect: {text: Nor this}, timeout: 300ms}\n";
    let ran = run(text, |w| w.show("Base")).await;
    let told = guest(&ran);
    let processes = told
        .iter()
        .find(|(about, _)| about == "e processes")
        .expect("processes");
    assert!(processes.1.contains("sleep 47"), "{}", processes.1);
    assert!(told.iter().all(|(about, _)| about.starts_with("e ")), "once: {told:?}");
    let page = std::fs::read_to_string(ran.dir.path().join("report.html")).unwrap();
    assert!(page.contains("<summary>processes</summary>"));
    // Where nothing failed, nothing is asked.
    let ran = run("name: t\nsteps:\n  - {expect: {text: Base}}\n", |w| w.show("Base")).await;
    assert!(guest(&ran).is_empty());
    // A guest that does not answer changes nothing about the verdict.
    let ran = run(
        "name: t\nsteps:\n  - {id: e, expect: {text: No}, timeout: 300ms}\n",
        |w| {
            w.show("Base");
            w.guest_down = true;
        },
    )
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "CheckFailed"));
    assert!(guest(&ran).is_empty());
}

/// A region is hidden from the step on that says so, also where that step stores no picture.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_without_pictures_masks_those_of_later_ones() {
    let steps =
        "  - {screenshot: before}\n  - {note: secret from here on, mask: [40, 20, 80, 20]}\n  - {screenshot: after}\n";
    let ran = run(&format!("name: t\nsteps:\n{steps}"), |w| w.show("Save")).await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let hidden: Vec<bool> = (ran.events.iter())
        .filter_map(|event| match &event.body {
            Body::Evidence {
                item: Evidence::Screenshot { file, .. },
                ..
            } => Some(file),
            _ => None,
        })
        .map(|file| {
            let picture = image::open(ran.dir.path().join(file)).unwrap().to_rgb8();
            picture.get_pixel(41, 21).0 == [128; 3] && picture.get_pixel(119, 39).0 == [128; 3]
        })
        .collect();
    assert_eq!(hidden, [false, true]);
}

/// What must not be seen is in no picture that is kept, from that step on, and is looked at all the same.
#[tokio::test(flavor = "multi_thread")]
async fn masked_parts_are_in_no_picture() {
    let steps = "  - click: Open\n  - {id: b, click: {target: {text: Save}}, mask: true}\n  - {screenshot: later, mask: [0.5, 0, 0.5, 20]}\n  - expect: {text: Save}\n";
    let ran = run(&format!("name: t\nsteps:\n{steps}"), |w| {
        w.show("Open");
        w.show("Save");
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let save = mosdat::desktop::Rect::new(40, 50, 80, 20);
    let grey = |file: &str, rect: mosdat::desktop::Rect| {
        let picture = image::open(ran.dir.path().join(file)).unwrap().to_rgb8();
        let part = |x, y| picture.get_pixel(x, y).0 == [128; 3];
        (rect.y..rect.bottom()).all(|y| (rect.x..rect.right()).all(|x| part(x, y)))
    };
    let mut seen = Vec::new();
    for event in &ran.events {
        if let Body::Evidence {
            step,
            item: Evidence::Screenshot { file, width, .. },
        } = &event.body
        {
            let right = mosdat::desktop::Rect::new(width.div_ceil(2), 0, 10, 20);
            seen.push((step.clone(), grey(file, save), grey(file, right)));
        }
    }
    let of = |step: &str| {
        seen.iter()
            .filter(|s| s.0.starts_with(step))
            .map(|s| (s.1, s.2))
            .collect::<Vec<_>>()
    };
    assert!(
        of("s01").iter().all(|s| *s == (false, false)) && !of("s01").is_empty(),
        "{seen:?}"
    );
    assert!(
        of("b").iter().all(|s| *s == (true, false)) && !of("b").is_empty(),
        "{seen:?}"
    );
    assert!(
        of("s03").iter().chain(&of("s04")).all(|s| *s == (true, true)) && !of("s04").is_empty(),
        "{seen:?}"
    );
}

/// Where nobody found what must not be seen, no picture of that moment shows anything, nor any later one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_masked_and_is_not_found_hides_everything() {
    let text = "name: t\nsteps:\n  - {screenshot: before}\n  - {id: b, click: {target: {text: Password}}, mask: true, timeout: 400ms}\n\
                cleanup:\n  - {screenshot: after}\n";
    let point = mosdat::desktop::Rect::new(40, 50, 2, 2);
    for (place, reason) in [(None, "TargetNotFound"), (Some(point), "NothingToMask")] {
        let ran = run(text, |w| {
            w.show("Open");
            if let Some(place) = place {
                w.versions[0].push(("Password".into(), place));
            }
        })
        .await;
        assert_eq!(ran.reason(), reason, "{}", ran.message());
        assert!(ran.done.is_empty(), "{:?}", ran.done);
        let mut shown = Vec::new();
        for event in &ran.events {
            if let Body::Evidence {
                step,
                item: Evidence::Screenshot { file, covered, .. },
            } = &event.body
            {
                let picture = image::open(ran.dir.path().join(file)).unwrap().to_rgb8();
                let nothing = picture.pixels().all(|p| p.0 == [128; 3]);
                assert_eq!(nothing, *covered, "{step} {file}");
                shown.push(!nothing);
            }
        }
        let (first, later) = shown.split_first().expect("pictures");
        assert!(
            *first && !later.is_empty() && later.iter().all(|shown| !shown),
            "{shown:?}"
        );
    }
}

/// In the round in which it is found, it alone is hidden again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_masked_and_is_found_in_another_round_is_hidden_alone() {
    let text = "name: t\nsteps:\n  - {snapshot: {name: ready, attempts: 2}}\n  - {id: b, click: {target: {text: Save}}, mask: true, timeout: 400ms}\n  \
                - {id: c, screenshot: later}\n";
    let ran = run(text, |w| {
        w.show("Open");
        w.on_back.push("Save".into());
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::SoftFailed, "{:?}", ran.outcome);
    let last = ran.events.iter().rev().find_map(|event| match &event.body {
        Body::Evidence {
            item: Evidence::Screenshot { file, .. },
            ..
        } => Some(file.clone()),
        _ => None,
    });
    let picture = image::open(ran.dir.path().join(last.expect("a picture")))
        .unwrap()
        .to_rgb8();
    assert_eq!(picture.get_pixel(41, 51).0, [128; 3], "the field");
    assert_ne!(picture.get_pixel(41, 21).0, [128; 3], "what is beside it");
}

/// Pictures of the run: the step, and whether nothing at all is to be seen.
fn hidden(ran: &super::doubles::Ran) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for event in &ran.events {
        if let Body::Evidence {
            step,
            item: Evidence::Screenshot { file, .. },
        } = &event.body
        {
            let picture = image::open(ran.dir.path().join(file)).unwrap().to_rgb8();
            all.push((step.clone(), picture.pixels().all(|p| p.0 == [128; 3])));
        }
    }
    all
}

/// A step that reaches its goal without its target has not found out what must not be seen.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_found_stays_hidden_though_the_step_passes() {
    let text = "name: t\nsteps:\n  - {id: b, click: {target: {text: Password}}, mask: true, attempts: 2, timeout: 6s, \
                verify: {text: Saved}}\n  - {id: c, screenshot: later}\n";
    let ran = run(text, |w| {
        w.show("Open");
        w.later
            .push((std::time::Instant::now() + Duration::from_millis(1000), "Saved".into()));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{}", ran.message());
    assert!(ran.done.is_empty(), "{:?}", ran.done);
    let seen = hidden(&ran);
    assert!(
        seen.iter().any(|(step, _)| step == "c") && seen.iter().all(|(_, hidden)| *hidden),
        "{seen:?}"
    );
}

/// Where the places of two are to be hidden, one is not enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_drag_hides_everything_until_both_its_ends_are_found() {
    let text = "name: t\nsteps:\n  - {id: b, drag: {target: {text: Key}, to: {text: Lock}}, mask: true, timeout: 600ms}\n\
                cleanup:\n  - {id: c, screenshot: later}\n";
    for both in [false, true] {
        let ran = run(text, |w| {
            w.show("Key");
            if both {
                w.show("Lock");
            }
        })
        .await;
        let reason = if both { "" } else { "TargetNotFound" };
        assert_eq!(ran.reason(), reason, "{}", ran.message());
        let seen = hidden(&ran);
        assert!(
            seen.iter().any(|(step, _)| step == "c") && seen.iter().all(|(_, hidden)| *hidden != both),
            "{seen:?}"
        );
        if both {
            let file = ran.events.iter().rev().find_map(|event| match &event.body {
                Body::Evidence {
                    item: Evidence::Screenshot { file, .. },
                    ..
                } => Some(file),
                _ => None,
            });
            let picture = image::open(ran.dir.path().join(file.expect("a picture")))
                .unwrap()
                .to_rgb8();
            for y in [21, 51] {
                assert_eq!(picture.get_pixel(41, y).0, [128; 3]);
            }
        }
    }
}
