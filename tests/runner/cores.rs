//! The core of a program that died: real programs, killed by real signals; the kernel writes their cores.

use super::doubles::{Ran, run};
use mosdat::api::RunResult;
use mosdat::results::{Body, Evidence};
use std::path::Path;
use std::process::Command;

/// What was recorded about cores.
fn told(ran: &Ran) -> Vec<(String, String)> {
    let item = |event: &mosdat::results::Event| match &event.body {
        Body::Evidence {
            item: Evidence::Guest { about, text },
            ..
        } if about.starts_with("core of process ") => Some((about.clone(), text.clone())),
        _ => None,
    };
    ran.events.iter().filter_map(item).collect()
}

/// They all write into the folder of the session's user, under one name.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The place of the core, which is removed.
fn place(text: &str) -> String {
    let first = text.lines().next().unwrap();
    let place = first
        .strip_prefix("core: ")
        .and_then(|rest| rest.split_once(", "))
        .unwrap();
    assert!(place.1.ends_with(" bytes"), "{first}");
    std::fs::remove_file(place.0).unwrap();
    place.0.to_string()
}

/// These tests need cores that are plain files in the program's folder, which is the kernel's default.
fn plain_files() -> bool {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let plain = !pattern.trim().is_empty() && !pattern.contains(['|', '/']);
    if !plain {
        println!("not tried here: this machine's cores go to '{}'", pattern.trim());
    }
    plain
}

/// A program that calls two functions and dies in the second.
fn crasher(dir: &Path) -> String {
    let (source, program) = (dir.join("crasher.c"), dir.join("crasher"));
    let text = "#include <string.h>\nint *nothing;\nvoid inner_function(const char *word) { *nothing = strlen(word); }\n\
                void outer_function(const char *word) { inner_function(word); }\nint main(int n, char **words) { outer_function(words[n - 1]); return 0; }\n";
    std::fs::write(&source, text).unwrap();
    let made = Command::new("cc")
        .args(["-g", "-O0", "-o"])
        .arg(&program)
        .arg(&source)
        .status();
    assert!(made.unwrap().success());
    program.display().to_string()
}

fn scenario(program: &str, limit: &str) -> String {
    let script = format!("ulimit -c {limit}; sleep 0.3; exec {program} the-password");
    format!(
        "name: t\nsteps:\n  - launch: [sh, -c, '{script}']\n  - {{id: late, expect: {{text: Never}}, timeout: 8s}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_the_kernel_wrote_is_found_and_shows_where_it_died() {
    if !plain_files() {
        return;
    }
    let _one = ONE_AT_A_TIME.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let ran = run(&scenario(&crasher(dir.path()), "unlimited"), |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Crashed, "{:?}", ran.outcome);
    let told = told(&ran);
    let [(_, text)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(place(text).starts_with('/'));
    let trace = text;
    assert!(!trace.contains("it is not of process"), "{trace}");
    let (inner, outer) = (trace.find("inner_function"), trace.find("outer_function"));
    assert!(
        inner.is_some() && inner < outer && trace.contains("crasher.c:3"),
        "{trace}"
    );
    // Values may hold what no mask would find whole.
    assert!(!text.contains("the-password"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_gdb_the_core_has_a_place_and_a_size() {
    if !plain_files() {
        return;
    }
    let _one = ONE_AT_A_TIME.lock().await;
    let (dir, path) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in ["/usr/bin", "/bin"] {
        for file in std::fs::read_dir(folder)
            .unwrap()
            .flatten()
            .filter(|f| f.file_name() != "gdb")
        {
            let _ = std::os::unix::fs::symlink(file.path(), path.path().join(file.file_name()));
        }
    }
    let ran = run(&scenario(&crasher(dir.path()), "unlimited"), |w| {
        w.path = Some(path.path().to_path_buf());
    })
    .await;
    let told = told(&ran);
    let [(_, text)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(place(text).starts_with('/'));
    assert!(text.contains("there is no gdb in the guest"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_core_is_told_with_the_reason() {
    if !plain_files() {
        return;
    }
    let _one = ONE_AT_A_TIME.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let ran = run(&scenario(&crasher(dir.path()), "0"), |_| {}).await;
    assert_eq!(ran.outcome.result, RunResult::Crashed, "{:?}", ran.outcome);
    let told = told(&ran);
    let [(_, text)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(
        text.starts_with("no core was found: the kernel writes them as 'core"),
        "{text}"
    );
}
