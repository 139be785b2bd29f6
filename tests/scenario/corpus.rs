//! What the fuzzer found worth keeping, as a test; see tools/fuzz.sh.

#[path = "../../fuzz/shared/scenario.rs"]
mod scenario;
#[path = "../../fuzz/shared/vlm_answer.rs"]
mod vlm_answer;

fn each(target: &str, feed: fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut read = 0;
    for entry in std::fs::read_dir(&folder).expect("fuzz/seeds") {
        let path = entry.expect("entry").path();
        eprintln!("{}", path.display());
        feed(&std::fs::read(&path).expect("seed"));
        read += 1;
    }
    assert!(read >= 20, "only {read} seeds in {}", folder.display());
}

#[test]
fn texts_are_scenarios_or_refused() {
    each("scenario", scenario::feed);
}

#[test]
fn answers_mean_one_thing_or_nothing() {
    each("vlm_answer", vlm_answer::feed);
}
