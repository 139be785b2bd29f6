//! Reference images in a run: what counts as found, and what a miss leaves behind.

use super::doubles::{Ran, World, run_beside};
use mosdat::api::{FailureClass, RunResult};
use mosdat::desktop::Rect;
use mosdat::results::{Body, Evidence, Role};
use std::path::Path;
use std::time::{Duration, Instant};

/// A folder with the reference `save`: the first text of a screen, with some pixels around it.
fn reference(sidecar: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::default();
    world.show("Save");
    world.picture().save(dir.path().join("save.png")).unwrap();
    std::fs::write(dir.path().join("save.yaml"), sidecar).unwrap();
    dir
}

const AREA: &str = "areas:\n  - match: [30, 15, 100, 30]\n";

async fn run(sidecar: &str, steps: &str, prepare: impl FnOnce(&mut World)) -> Ran {
    let dir = reference(sidecar);
    run_beside(dir.path(), &format!("name: t\nsteps:\n{steps}"), prepare).await
}

fn evidence(ran: &Ran) -> impl Iterator<Item = &Evidence> {
    ran.events.iter().filter_map(|e| match &e.body {
        Body::Evidence { item, .. } => Some(item),
        _ => None,
    })
}

/// `show`, with the text further down.
fn show_at(world: &mut World, text: &str, y: u32) {
    world.versions.push(vec![(text.to_string(), Rect::new(40, y, 80, 20))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_is_found_and_recorded() {
    let ran = run(AREA, "  - click: {target: {reference: save}}\n", |w| {
        show_at(w, "Save", 31)
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    assert_eq!(ran.done, ["click Save Left 1"]);
    assert_eq!(ran.looks, 0, "nobody else was asked");
    let Body::RunStart { plan, .. } = &ran.events[0].body else {
        panic!()
    };
    let digest = &plan.references["save"];
    assert_eq!(digest.len(), 64);
    let located = evidence(&ran).find_map(|item| match item {
        Evidence::Locate {
            target,
            found: true,
            rung,
            place,
            confidence,
            reason,
            ..
        } => Some((
            target,
            rung.clone().unwrap(),
            place.unwrap(),
            confidence.unwrap(),
            reason,
        )),
        _ => None,
    });
    let (target, rung, place, confidence, reason) = located.unwrap();
    assert_eq!((target.as_str(), rung.as_str()), ("reference 'save'", "reference"));
    assert_eq!((place.x, place.y, place.width, place.height), (30, 26, 100, 30));
    assert!(confidence > 0.999);
    assert_eq!(
        *reason,
        format!("matched 'save (SHA-256 {}, moved by 0, 11)'", &digest[..12])
    );
    let report = std::fs::read_to_string(ran.dir.path().join("report.html")).unwrap();
    assert!(report.contains("<dt>reference save</dt>") && report.contains(digest.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_shows_the_difference_and_proposes_what_would_fit() {
    let steps = "  - {id: a, click: {target: {reference: save}}, timeout: 300ms}\n";
    let ran = run(AREA, steps, |w| show_at(w, "Save", 150)).await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "TargetNotFound")
    );
    let message = ran.message();
    assert!(
        message.contains("the reference 'save' is not at its place; the most similar place within its margin is at ")
            && message.contains("where 0.95 is needed")
            && message.ends_with("the reference fits at 30,145, moved by 0, 130, which is more than its margin"),
        "{message}"
    );
    assert!(ran.done.is_empty());
    let shown = evidence(&ran).find_map(|item| match item {
        Evidence::Screenshot {
            role: Role::Difference,
            file,
            width,
            ..
        } => Some((file, *width)),
        _ => None,
    });
    let (file, width) = shown.expect("the difference");
    assert_eq!(width, 316, "three pictures");
    assert!(ran.dir.path().join(file).exists());
    let proposed = evidence(&ran).find_map(|item| match item {
        Evidence::Candidate {
            reference,
            picture,
            sidecar,
        } => Some((reference, picture, sidecar)),
        _ => None,
    });
    let (name, picture, sidecar) = proposed.expect("a candidate");
    assert_eq!((name.as_str(), picture.as_str()), ("save", "candidates/a/save.png"));
    let text = std::fs::read_to_string(ran.dir.path().join(sidecar)).unwrap();
    assert_eq!(text, "areas:\n  - match: [30, 145, 100, 30]\n");
    let report = std::fs::read_to_string(ran.dir.path().join("report.html")).unwrap();
    assert!(report.contains("href=\"candidates/a/save.png\"") && report.contains("expected, seen, difference"));

    // Put in the place of the old files, the proposal fits.
    let folder = ran.dir.path().join("candidates/a");
    let again = run_beside(&folder, &format!("name: t\nsteps:\n{steps}"), |w| {
        show_at(w, "Save", 150)
    })
    .await;
    assert_eq!(again.outcome.result, RunResult::Passed, "{:?}", again.outcome);
}

/// The difference is no way around a mask.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_masked_is_not_in_the_difference_either() {
    let steps = "  - {note: secret, mask: [60, 20, 20, 10]}\n  - {id: a, expect: {reference: save}, timeout: 300ms}\n";
    let ran = run(AREA, steps, |w| {
        show_at(w, "Save", 20);
        // The field shows something else than the reference.
        w.flicker = Some(Rect::new(45, 22, 60, 16));
    })
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "CheckFailed"));
    let file = evidence(&ran).find_map(|item| match item {
        Evidence::Screenshot {
            role: Role::Difference,
            file,
            ..
        } => Some(file),
        _ => None,
    });
    let picture = image::open(ran.dir.path().join(file.expect("the difference")))
        .unwrap()
        .to_rgb8();
    // As expected, as seen and the difference stand beside each other, from 30,15 of the screen on.
    let seen = |x: u32, y: u32| picture.get_pixel(100 + 8 + x - 30, y - 15).0;
    for (x, y) in [(60, 20), (79, 29), (70, 25)] {
        assert_eq!(seen(x, y), [128; 3], "{x},{y}");
    }
    // And it covers the screen, not a part of the difference that has the same numbers.
    assert_ne!(seen(50, 25), [128; 3]);
    assert_ne!(
        picture.get_pixel(60, 20).0,
        [128; 3],
        "the expected one is the author's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions() {
    let steps = "  - expect: {reference: save}\n  - expect: {not: {reference: save}}\n    soft: true\n    timeout: 200ms\n  \
                 - click: {target: {reference: save}}\n    verify_not: {reference: save}\n    timeout: 300ms\n    soft: true\n  \
                 - wait_for: {all: [{reference: save}, {text: Save}]}\n";
    let ran = run(AREA, steps, |w| w.show("Save")).await;
    assert_eq!(ran.outcome.result, RunResult::SoftFailed, "{:?}", ran.outcome);
    let ends: Vec<_> = ran
        .ends()
        .iter()
        .map(|e| e.rsplit('=').next().unwrap().to_string())
        .collect();
    assert_eq!(ends, ["passed", "softFailed", "softFailed", "passed"]);
    assert!(
        !evidence(&ran).any(|item| matches!(item, Evidence::Candidate { .. })),
        "what was found has no candidate"
    );
    let gone = "  - wait_gone: {reference: save}\n  - never: {reference: save, for: 300ms}\n";
    let ran = run(AREA, gone, |w| {
        w.show("Save");
        w.gone_later
            .push((Instant::now() + Duration::from_millis(400), "Save".into()));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
    let steps = "  - never: {reference: save, for: 300ms}\n  - {id: e, expect: {reference: save}, timeout: 200ms}\n";
    let ran = run(AREA, steps, |_| {}).await;
    assert_eq!(ran.ends()[0].rsplit('=').next(), Some("passed"));
    assert_eq!(ran.reason(), "CheckFailed");
    assert!(
        ran.message().starts_with("reference 'save': did not hold within "),
        "{}",
        ran.message()
    );
    assert_eq!(
        evidence(&ran)
            .filter(|item| matches!(item, Evidence::Candidate { .. }))
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_look_alike_anywhere() {
    let own = "areas:\n  - match: [40, 20, 80, 20]\n";
    let steps = |more: &str| {
        format!("  - {{id: a, click: {{target: {{reference: save, anywhere: true{more}}}}}, timeout: 200ms}}\n")
    };
    let two = |w: &mut World| {
        w.show("Save");
        w.show("Trash");
    };
    let ran = run(own, &steps(""), two).await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "TargetAmbiguous")
    );
    assert!(
        ran.message().contains("2 places fit equally well") && ran.message().contains("let the reference show more"),
        "{}",
        ran.message()
    );
    let ran = run(own, &steps(", nth: 2"), two).await;
    assert_eq!(ran.done, ["click Trash Left 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_a_target_says_is_looked_for_next() {
    let steps = "  - click: {target: {reference: save, text: Apply}}\n";
    let ran = run(AREA, steps, |w| show_at(w, "Apply", 150)).await;
    assert_eq!(
        (ran.outcome.result, ran.done.as_slice()),
        (RunResult::Passed, ["click Apply Left 1".to_string()].as_slice())
    );
    assert!(ran.looks > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_areas_are_read_by_what_reads() {
    let both = format!("{AREA}  - ocr: [40, 20, 80, 20]\n    text: Save\n");
    let steps = "  - {id: a, click: {target: {reference: save}}, timeout: 200ms}\n";
    assert_eq!(
        run(&both, steps, |w| w.show("Save")).await.outcome.result,
        RunResult::Passed
    );
    // It looks the same here, and reads another text.
    let ran = run(&both, steps, |w| w.show("Saved")).await;
    assert_eq!(
        (ran.outcome.result, ran.reason()),
        (RunResult::Failed, "TargetNotFound")
    );
    assert!(
        ran.message()
            .contains("looks right, but in its text area no text 'Save'"),
        "{}",
        ran.message()
    );
    let ran = run(&both, steps, |w| {
        w.show("5ave");
        w.misreads = true;
    })
    .await;
    let class = ran.outcome.failure.as_ref().and_then(|f| f.class);
    assert_eq!(
        (ran.outcome.result, class),
        (RunResult::Error, Some(FailureClass::Vision))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_moves_is_not_clicked_and_one_beside_which_something_moves_is() {
    let steps = "  - {id: a, click: {target: {reference: save}}, timeout: 400ms}\n";
    let ran = run(AREA, steps, |w| {
        w.show("Save");
        w.trembling = true;
    })
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Failed, "TargetMoves"));
    let excluded = format!("{AREA}  - exclude: [60, 22, 40, 16]\n");
    let ran = run(&excluded, steps, |w| {
        w.show("Save");
        w.flicker = Some(Rect::new(60, 22, 40, 16));
    })
    .await;
    assert_eq!(ran.outcome.result, RunResult::Passed, "{:?}", ran.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_for_other_screens_says_nothing_about_the_product() {
    let dir = tempfile::tempdir().unwrap();
    image::RgbaImage::new(64, 48)
        .save(dir.path().join("save@64x48.png"))
        .unwrap();
    std::fs::write(dir.path().join("save@64x48.yaml"), "areas: [{match: [0, 0, 10, 10]}]").unwrap();
    let text = "name: t\nsteps:\n  - {click: {target: {reference: save}}, timeout: 200ms}\n";
    let ran = run_beside(Path::new(dir.path()), text, |_| {}).await;
    let class = ran.outcome.failure.as_ref().and_then(|f| f.class);
    assert_eq!(
        (ran.outcome.result, class),
        (RunResult::Error, Some(FailureClass::Vision))
    );
    assert!(
        ran.message()
            .contains("is for screens of 64x48, and this one is 320x240"),
        "{}",
        ran.message()
    );
}
