//! The truth table of verdicts: scenarios on a real desktop, half of them sabotaged, each with the one right outcome.
//! What passes really held, what fails really failed, and the lab's trouble is never the product's.
//!
//! `MOSDAT_TRUTH=word` runs only the cases whose names contain the word, or one of several with commas between;
//! `MOSDAT_TRUTH_KEEP=1` keeps the evidence also where nothing is wrong.

mod case;
#[path = "../e2e/harness.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of this")]
mod harness;
mod model;
mod world;

use case::Case;
use futures::StreamExt;
use std::path::Path;
use std::time::Instant;
use world::World;

/// How many machines work at a time; one more may be on its way back.
const AT_ONCE: usize = 2;

fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/truth/cases");
    let wanted = std::env::var("MOSDAT_TRUTH").unwrap_or_default();
    let mut paths: Vec<_> = std::fs::read_dir(&dir)
        .expect("cases")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|x| x == "yaml"))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            wanted.split(',').any(|word| name.contains(word))
        })
        .collect();
    paths.sort();
    let mut cases: Vec<Case> = paths.iter().map(|path| Case::read(path)).collect();
    // The long ones first, beside the others.
    cases.sort_by_key(|case| case.truth.outside.is_none());
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verdict_is_the_right_one() {
    let cases = cases();
    assert!(!cases.is_empty());
    harness::ensure_template();
    let dir = tempfile::tempdir().expect("folder");
    let world = World::start(dir.path()).await;
    let begun = Instant::now();
    let (total, mut done) = (cases.len(), 0);
    let mut endings = Vec::new();
    let lanes = tokio::sync::Semaphore::new(AT_ONCE);
    let mut work = futures::stream::iter(&cases)
        .map(|case| {
            let (world, lanes) = (&world, &lanes);
            async move {
                let lane = lanes.acquire().await.expect("open");
                (case, world.run(case, lane).await)
            }
        })
        .buffer_unordered(AT_ONCE + 1);
    while let Some((case, ending)) = work.next().await {
        done += 1;
        let mark = if case.wrong(&ending).is_some() {
            "WRONG"
        } else {
            "right"
        };
        eprintln!(
            "truth {done}/{total} {:>4.0}s ({}) {mark} {}: {} {}",
            begun.elapsed().as_secs_f64(),
            ending.took.map(|t| format!("{:.1}", t.as_secs_f64())).join(" + "),
            case.name,
            ending.result,
            ending.reason.as_deref().unwrap_or_default(),
        );
        if let Some(why) = case.wrong(&ending) {
            eprintln!("  {why}");
        }
        endings.push((case, ending));
    }
    drop(work);
    let (mut false_passes, mut false_failures, mut wrong) = (0, 0, Vec::new());
    let mut matrix = std::collections::BTreeMap::<(String, String), usize>::new();
    for (case, ending) in &endings {
        let key = (case.truth.result.clone(), ending.result.clone());
        *matrix.entry(key).or_default() += 1;
        let speaks_ill = ["failed", "crashed", "timedOut", "softFailed"].contains(&ending.result.as_str());
        false_passes += usize::from(!case.is_good() && ending.result == "passed");
        false_failures += usize::from(case.truth.result != ending.result && speaks_ill);
        wrong.extend(
            case.wrong(ending)
                .map(|why| format!("{} ({}): {why}", case.name, case.path.display())),
        );
    }
    eprintln!("\n{:<12} {:<12} cases", "right", "given");
    for ((right, given), count) in &matrix {
        eprintln!("{right:<12} {given:<12} {count}");
    }
    eprintln!("false passes: {false_passes}, false failures: {false_failures}");
    if !wrong.is_empty() {
        let kept = world.keep();
        panic!(
            "{} wrong; the evidence is in {}\n{}",
            wrong.len(),
            kept.display(),
            wrong.join("\n")
        );
    }
    if std::env::var_os("MOSDAT_TRUTH_KEEP").is_some() {
        eprintln!("the evidence is in {}", world.keep().display());
    }
    world.stop();
}

/// Half of the table is about what must not pass, and every case says why.
#[test]
fn the_table_is_large_and_balanced() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/truth/cases");
    let count = std::fs::read_dir(dir).expect("cases").count();
    let cases = cases();
    let good = cases.iter().filter(|case| case.is_good()).count();
    assert!(count >= 40, "{count} cases");
    assert!(cases.iter().all(|case| case.truth.why.len() > 10));
    if std::env::var("MOSDAT_TRUTH").is_err() {
        assert!(
            good >= 15 && cases.len() - good >= 20,
            "{good} of {} are good",
            cases.len()
        );
    }
}
