//! What a step costs beyond the guest's own reaction time, and what a run of 100 steps costs (`make bench`).
//!
//! A real screen (Xvnc, 1280x800) with a real program (a terminal that paints itself anew at each key and click). Looking for
//! things is answered at once by what the window manager tells, so that the runner's own time is left; the backends have
//! numbers of their own. The reaction time is measured on the same screen, with the same link: from an input that is sent to
//! the paint that answers it.

#[allow(dead_code)]
#[path = "../tests/runner/doubles.rs"]
mod doubles;
#[allow(dead_code)]
#[path = "../tests/desktop/processes.rs"]
mod processes;
#[allow(dead_code)]
#[path = "../tests/desktop/xserver.rs"]
mod xserver;

use doubles::Double;
use mosdat::api::RunResult;
use mosdat::desktop::{Desktop, Frame, Rect};
use mosdat::results::{Body, Encoder, Event, Film, Recorder, RunMeta};
use mosdat::runner::{Limits, Rig};
use mosdat::scenario::Scenario;
use mosdat::vision::{self, Hit, Judgement, Located, Target, Verdict, Vision};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use xserver::Xserver;

const ROUNDS: usize = 8;
/// Cursor keys of xterm are not letters, and clicks come as letters too: each read is one reaction.
const PROGRAM: &str = r#"
import os, random, sys, tty
tty.setraw(0)
out = sys.stdout
out.write("\x1b[?1000h\x1b[?25l")
n = 0
while True:
    n += 1
    lines = ["\x1b[4%dm" % (n % 6 + 1) + "".join(random.choice("abcdefgh ijklmnop qrstuv wxyz") for _ in range(100)) for _ in range(36)]
    out.write("\x1b[H\x1b[2J" + "\r\n".join(lines)); out.flush()
    os.read(0, 1000)
"#;

#[tokio::main]
async fn main() {
    let mut x = Xserver::start("1280x800").await;
    let script = x.dir.path().join("program.py");
    std::fs::write(&script, PROGRAM).expect("program");
    let script = script.display().to_string();
    x.run(
        "xterm",
        &["-geometry", "100x36+200+100", "-T", "bench", "-e", "python3", &script],
    );
    let (left, top, width, height) = x.window("bench").await;
    let window = Rect::new(left, top, width, height);

    let reaction = reaction(&x.desktop().await).await;
    line(
        "reaction of the program to a key",
        format!("{:.0} ms", reaction * 1000.0),
    );
    parts(&x.desktop().await).await;
    for (what, step, reacts) in [
        ("key", "key: left", true),
        ("click on a found text", "click: {target: {text: bench}}", true),
        (
            "click, and a check that holds",
            "{click: {target: {text: bench}}, verify: {text: bench}}",
            true,
        ),
        ("expect a text", "expect: {text: bench}", false),
        ("shell: true", "shell: 'true'", false),
        ("note", "note: x", false),
    ] {
        let steps = format!("  - {step}\n").repeat(ROUNDS);
        let (events, _) = run(&x, window, &steps, false).await;
        let took = median(&events);
        let own = if reacts { reaction } else { 0.0 };
        line(&format!("step, {what}"), format!("{:.0} ms", took * 1000.0));
        line(
            "  of that beyond the reaction",
            format!("{:.0} ms", (took - own) * 1000.0),
        );
    }
    for film in [false, true] {
        hundred(&x, window, film).await;
    }
}

fn line(what: &str, value: String) {
    println!("{what:<58} {value:>12}");
}

/// Seconds of the steps that a run took, in the middle.
fn median(events: &[Event]) -> f64 {
    let ms = events.iter().filter_map(|e| match &e.body {
        Body::StepEnd { ms, .. } => Some(*ms),
        _ => None,
    });
    let mut all: Vec<u64> = ms.collect();
    all.sort_unstable();
    all[all.len() / 2] as f64 / 1000.0
}

/// From a key to the last paint that answers it, in seconds.
async fn reaction(desktop: &Desktop) -> f64 {
    let mut all = Vec::new();
    let at = desktop.size();
    desktop
        .move_to(mosdat::desktop::Point::new(at.0 / 2, at.1 / 2))
        .await
        .expect("pointer");
    for _ in 0..ROUNDS {
        let still = desktop
            .settle(Duration::from_millis(300), Duration::from_secs(5))
            .await
            .expect("still");
        let begun = Instant::now();
        desktop.key("left").await.expect("key");
        let (mut version, mut last) = (still.frame.version, None);
        while let Some((_, painted)) = desktop
            .painted_since(version, Duration::from_millis(400))
            .await
            .expect("link")
        {
            (version, last) = (painted, Some(begun.elapsed().as_secs_f64()));
        }
        all.push(last.expect("the program does not react"));
    }
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// What a step does several times: a picture is taken, told from others, and stored.
async fn parts(desktop: &Desktop) {
    let mut all = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let frame = desktop.capture().await.expect("frame");
        all[0].push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        assert!(!frame.digest().is_empty());
        all[1].push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        assert!(!frame.png().expect("PNG").is_empty());
        all[2].push(begun.elapsed().as_secs_f64());
    }
    for (what, mut took) in ["captured", "hashed", "encoded"].into_iter().zip(all) {
        took.sort_by(f64::total_cmp);
        line(
            &format!("a picture, {what}"),
            format!("{:.0} ms", took[took.len() / 2] * 1000.0),
        );
    }
    line("quiet time that a screen has to have to be still", "400 ms".to_string());
}

/// Knows where the window is.
struct Known(Rect);

#[async_trait::async_trait]
impl Vision for Known {
    fn name(&self) -> String {
        "known".into()
    }
    async fn locate(&self, _: &Frame, target: &Target) -> Result<Located, vision::Error> {
        Ok(Located::Found(Hit {
            rect: self.0,
            point: self.0.center(),
            confidence: 1.0,
            rung: "known",
            matched: target.text.clone().unwrap_or_default(),
        }))
    }
    async fn judge(&self, _: &Frame, _: &str) -> Result<Judgement, vision::Error> {
        Ok(Judgement {
            verdict: Verdict::True,
            reason: String::new(),
            evidence: Vec::new(),
            named: Vec::new(),
            rung: "known",
        })
    }
}

async fn run(x: &Xserver, window: Rect, steps: &str, film: bool) -> (Vec<Event>, tempfile::TempDir) {
    let scenario = Scenario::from_str("bench.yaml", &format!("name: bench\nsteps:\n{steps}")).expect("scenario");
    let plan = scenario.plan(&BTreeMap::new(), &BTreeMap::new()).expect("plan");
    let dir = tempfile::tempdir().expect("folder");
    let recorder = Recorder::create(dir.path(), RunMeta::default(), Some(&plan)).expect("recorder");
    let desktop = x.desktop().await;
    let double = Double::default();
    *double.tmp.lock().expect("lock") = Some(dir.path().to_path_buf());
    let film = film.then(|| Film::begin(Encoder::find().expect("ffmpeg"), desktop.clone(), &recorder, 10));
    let rig = Rig {
        desktop: Arc::new(desktop),
        guest: Arc::new(double.clone()),
        hypervisor: Arc::new(double),
        vision: Arc::new(Known(window)),
        film,
    };
    let limits = Limits {
        timeout: Some(Duration::from_secs(600)),
    };
    let outcome = mosdat::runner::run(plan, rig, recorder.clone(), limits, CancellationToken::new()).await;
    assert_eq!(outcome.result, RunResult::Passed, "{outcome:?}");
    (recorder.past(), dir)
}

/// 100 steps, each of which changes most of the screen.
async fn hundred(x: &Xserver, window: Rect, film: bool) {
    let ten = "  - key: left\n  - click: {target: {text: bench}}\n  - {click: {target: {text: bench}}, verify: {text: bench}}\n  - expect: {text: bench}\n  - shell: 'true'\n";
    let what = if film { "100 steps with a video" } else { "100 steps" };
    let (begun, cpu) = (Instant::now(), cpu());
    let (events, dir) = run(x, window, &ten.repeat(20), film).await;
    let wall = begun.elapsed().as_secs_f64();
    let ends = events.iter().filter(|e| matches!(e.body, Body::StepEnd { .. })).count();
    assert_eq!(ends, 100);
    line(&format!("{what}: time"), format!("{wall:.1} s"));
    let [own, others] = [self::cpu()[0] - cpu[0], self::cpu()[1] - cpu[1]];
    line(&format!("{what}: CPU of mosdat"), format!("{own:.1} s"));
    line(
        &format!("{what}: CPU of its children (shells, ffmpeg)"),
        format!("{others:.1} s"),
    );
    line(&format!("{what}: memory, the most so far"), format!("{:.0} MB", peak()));
    let mega = |path: &Path| format!("{:.1} MB", size(path) as f64 / 1e6);
    line(&format!("{what}: written in all"), mega(dir.path()));
    for file in ["report.html", "events.jsonl", "screenshots", "video.webm"] {
        line(&format!("  of that {file}"), mega(&dir.path().join(file)));
    }
}

/// CPU seconds of this process, and of its children that have ended.
fn cpu() -> [f64; 2] {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(|who| {
        // SAFETY: a plain system call that fills what it is given; zeroes are a valid value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        assert_eq!(unsafe { libc::getrusage(who, &mut usage) }, 0);
        let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    })
}

/// The most memory that this process has had, in MB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kilo = line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok());
    kilo.unwrap_or(f64::NAN) / 1000.0
}

/// Bytes of a file, or of all files below a folder.
fn size(path: &Path) -> u64 {
    match std::fs::metadata(path) {
        Ok(m) if m.is_dir() => {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|e| size(&e.path())).sum()
        }
        Ok(m) => m.len(),
        Err(_) => 0,
    }
}
