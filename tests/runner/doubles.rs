//! A world that can be looked at, clicked and typed into.

use async_trait::async_trait;
use image::{Rgba, RgbaImage};
use mosdat::desktop::{self, Button, Desktop, Frame, Point, Rect, Settled, Wheel};
use mosdat::guest::{Guest, System};
use mosdat::results::{Body, Encoder, Event, Evidence, Film, Recorder, RunMeta, read_events};
use mosdat::runner::{Hypervisor, Limits, NotDone, Operation, Outcome, Rig, Screen};
use mosdat::scenario::Scenario;
use mosdat::vision::{self, Hit, Judgement, Located, Target, Verdict, Vision};
use secrecy::{ExposeSecret, SecretString};
// Told by its place, so that a bench can have this file too.
#[path = "doubles/this_machine.rs"]
mod this_machine;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What can be seen: texts with their places. Every change is a new version, which is drawn into the frame.
#[derive(Default)]
pub struct World {
    pub versions: Vec<Vec<(String, Rect)>>,
    pub done: Vec<String>,
    /// Texts that appear at a time.
    pub later: Vec<(Instant, String)>,
    /// Texts that disappear at a time.
    pub gone_later: Vec<(Instant, String)>,
    /// What a click on a text does: shows another.
    pub on_click: BTreeMap<String, String>,
    /// Windows that what is launched shows; and those that were there before, and stay.
    pub windows: Vec<String>,
    pub old_windows: Vec<String>,
    /// Windows that come at a time.
    pub windows_later: Vec<(Instant, String)>,
    /// A look for the first text moves the second one, once.
    pub moves: Option<(String, String)>,
    /// The session is a Wayland one: other windows than these may be there.
    pub wayland: bool,
    /// What the accessibility tree holds (JSON); none: the guest has nothing that reads it.
    pub tree: Option<serde_json::Value>,
    /// The process and the title of the window under the pointer, one look after the other, the last one from then on.
    pub beneath: Vec<(u32, String)>,
    /// Where the guest's programs are, if not where this machine's are.
    pub path: Option<std::path::PathBuf>,
    /// The answer to every question, if not from the world.
    pub verdict: Option<Verdict>,
    pub vision_error: Option<fn() -> vision::Error>,
    /// How many looks end with that; none: all.
    pub vision_errors: Option<u32>,
    pub desktop_down: bool,
    pub guest_down: bool,
    /// What every request about the VM as a whole ends with.
    pub not_done: Option<NotDone>,
    /// Texts that are there once the VM has gone back to a snapshot, one each time.
    pub on_back: Vec<String>,
    /// They never answer.
    pub desktop_hangs: bool,
    pub guest_hangs: bool,
    /// Between these moments the guest takes no command.
    pub guest_busy: Option<(Instant, Instant)>,
    /// Between these moments every command is lost.
    pub guest_breaks: Option<(Instant, Instant)>,
    /// Another guest than this machine as the world shows it.
    pub guest: Option<Arc<dyn Guest>>,
    /// How long a look at the screen takes.
    pub slow: Duration,
    /// Only the first so many bytes of an output are kept.
    pub keeps: Option<usize>,
    /// How certain the reading of a text is.
    pub confidence: Option<f32>,
    /// The first so many places of a text are read with certainty all the same.
    pub certain_places: usize,
    /// From this version on, every reading is certain.
    pub certain_from: Option<usize>,
    /// What is not found may have been misread.
    pub misreads: bool,
    /// The place of everything shifts with every frame.
    pub trembling: bool,
    /// What looks at the screen reads, and understands no description.
    pub only_reads: bool,
    /// Shows something else in every frame.
    pub flicker: Option<Rect>,
    pub frames: u8,
    /// Frames that were taken.
    pub taken: u64,
}

impl World {
    pub fn show(&mut self, text: &str) {
        let mut texts = self.versions.last().cloned().unwrap_or_default();
        let y = 20 + 30 * texts.len() as u32;
        texts.push((text.to_string(), Rect::new(40, y, 80, 20)));
        self.versions.push(texts);
    }

    fn frame(&mut self) -> Frame {
        let now = Instant::now();
        let due: Vec<String> = self
            .later
            .iter()
            .filter(|(at, _)| *at <= now)
            .map(|(_, t)| t.clone())
            .collect();
        self.later.retain(|(at, _)| *at > now);
        for text in due {
            self.show(&text);
        }
        let gone: Vec<String> = self
            .gone_later
            .iter()
            .filter(|(at, _)| *at <= now)
            .map(|(_, t)| t.clone())
            .collect();
        self.gone_later.retain(|(at, _)| *at > now);
        if !gone.is_empty() {
            let mut texts = self.versions.last().cloned().unwrap_or_default();
            texts.retain(|(t, _)| !gone.contains(t));
            self.versions.push(texts);
        }
        if self.versions.is_empty() {
            self.versions.push(Vec::new());
        }
        if self.trembling {
            let moved = self.versions.last().unwrap().iter().map(|(t, r)| {
                let x = if r.x == 40 { 60 } else { 40 };
                (t.clone(), Rect::new(x, r.y, r.width, r.height))
            });
            let moved = moved.collect();
            self.versions.push(moved);
        }
        let version = self.versions.len() - 1;
        let mut image = RgbaImage::from_pixel(320, 240, Rgba([200, 210, 220, 255]));
        image.put_pixel(0, 0, Rgba([(version >> 8) as u8, version as u8, 77, 255]));
        for (_, r) in &self.versions[version] {
            for (x, y) in (r.x..r.right()).flat_map(|x| (r.y..r.bottom()).map(move |y| (x, y))) {
                image.put_pixel(x, y, Rgba([40, 40, (x * 3 % 200) as u8, 255]));
            }
        }
        self.frames = self.frames.wrapping_add(37);
        for (x, y) in self
            .flicker
            .iter()
            .flat_map(|r| (r.x..r.right()).flat_map(|x| (r.y..r.bottom()).map(move |y| (x, y))))
        {
            image.put_pixel(x, y, Rgba([self.frames, 200, 90, 255]));
        }
        self.taken += 1;
        let mut frame = Frame::from_image(image);
        frame.seq = self.taken;
        frame
    }

    /// The screen as it is now.
    pub fn picture(&mut self) -> RgbaImage {
        self.frame().image().clone()
    }

    fn version(frame: &Frame) -> usize {
        let p = frame.image().get_pixel(0, 0);
        usize::from(p[0]) << 8 | usize::from(p[1])
    }

    fn texts(&self, frame: &Frame) -> &[(String, Rect)] {
        &self.versions[World::version(frame)]
    }

    fn error(&mut self) -> Option<vision::Error> {
        let error = self.vision_error?;
        if let Some(left) = &mut self.vision_errors {
            *left = left.checked_sub(1)?;
        }
        Some(error())
    }

    fn confidence(&self, frame: &Frame) -> Option<f32> {
        let certain = self.certain_from.is_some_and(|from| World::version(frame) >= from);
        self.confidence.filter(|_| !certain)
    }
}

#[derive(Clone, Default)]
pub struct Double {
    pub world: Arc<Mutex<World>>,
    pub looks: Arc<AtomicU32>,
    /// Where the guest's temporary files go.
    pub tmp: Arc<Mutex<Option<std::path::PathBuf>>>,
    /// What the run leaves behind; commands know it as EVIDENCE.
    pub evidence: Arc<Mutex<std::path::PathBuf>>,
}

impl Double {
    fn down(&self) -> Result<(), desktop::Error> {
        match self.world.lock().unwrap().desktop_down {
            true => Err(desktop::Error::Closed {
                reason: "the double is down".into(),
            }),
            false => Ok(()),
        }
    }

    fn did(&self, what: String) {
        self.world.lock().unwrap().done.push(what);
    }
}

#[async_trait]
impl Hypervisor for Double {
    async fn carry_out(&self, operation: Operation, _: tokio::time::Instant) -> Result<(), NotDone> {
        let mut world = self.world.lock().unwrap();
        world.done.push(format!("{operation:?}"));
        if matches!(operation, Operation::Rollback { .. }) && !world.on_back.is_empty() {
            let text = world.on_back.remove(0);
            world.show(&text);
        }
        world.not_done.clone().map_or(Ok(()), Err)
    }
}

impl std::fmt::Debug for Double {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Double")
    }
}

#[async_trait]
impl Screen for Double {
    async fn capture(&self) -> Result<Arc<Frame>, desktop::Error> {
        self.down()?;
        let (hangs, slow) = {
            let world = self.world.lock().unwrap();
            (world.desktop_hangs, world.slow)
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(slow).await;
        Ok(Arc::new(self.world.lock().unwrap().frame()))
    }
    async fn settle(&self, _: Duration, most: Duration) -> Result<Settled, desktop::Error> {
        // What is not asked for is not worth a word.
        if most != Duration::from_secs(3) {
            self.did(format!("settle {most:?}"));
        }
        let begun = Instant::now();
        let frame = self.capture().await?;
        Ok(Settled {
            frame,
            still: true,
            waited: Duration::ZERO,
            answered: begun.elapsed(),
            moving: None,
            changed: None,
        })
    }
    fn moving(&self, motion: desktop::Motion) -> Arc<dyn Screen> {
        self.did(format!("moving {motion:?}"));
        Arc::new(Double {
            world: self.world.clone(),
            looks: self.looks.clone(),
            tmp: self.tmp.clone(),
            evidence: self.evidence.clone(),
        })
    }
    fn position(&self) -> Point {
        Point::new(0, 0)
    }
    async fn move_to(&self, at: Point) -> Result<(), desktop::Error> {
        self.down()?;
        self.did(format!("move to {},{}", at.x, at.y));
        Ok(())
    }
    async fn drag(&self, from: Point, to: Point, button: Button) -> Result<(), desktop::Error> {
        self.down()?;
        self.did(format!("drag {},{} to {},{} {button:?}", from.x, from.y, to.x, to.y));
        Ok(())
    }
    async fn scroll(&self, at: Option<Point>, wheel: Wheel, notches: i32) -> Result<(), desktop::Error> {
        self.down()?;
        let at = at.map(|p| format!(" at {},{}", p.x, p.y)).unwrap_or_default();
        self.did(format!("scroll {wheel:?} {notches}{at}"));
        Ok(())
    }
    async fn click(&self, at: Point, button: Button, count: u32, held: &[String]) -> Result<(), desktop::Error> {
        self.down()?;
        let mut world = self.world.lock().unwrap();
        let hit = world
            .versions
            .last()
            .unwrap()
            .iter()
            .find(|(_, r)| r.contains(at))
            .map(|(t, _)| t.clone());
        let text = hit.unwrap_or_else(|| "nothing".into());
        let held = held.iter().map(|key| format!(" {key}")).collect::<String>();
        world.done.push(format!("click {text} {button:?} {count}{held}"));
        if let Some(shown) = world.on_click.get(&text).cloned() {
            world.show(&shown);
        }
        Ok(())
    }
    async fn key(&self, chord: &str, hold: Option<Duration>) -> Result<(), desktop::Error> {
        self.down()?;
        let hold = hold.map(|time| format!(" for {time:?}")).unwrap_or_default();
        self.did(format!("key {chord}{hold}"));
        Ok(())
    }
    async fn type_text(&self, text: &str) -> Result<(), desktop::Error> {
        self.down()?;
        self.did(format!("type {text}"));
        Ok(())
    }
    async fn type_secret(&self, secret: &SecretString) -> Result<(), desktop::Error> {
        self.down()?;
        self.did(format!("secret {}", secret.expose_secret()));
        Ok(())
    }
}

#[async_trait]
impl Vision for Double {
    fn name(&self) -> String {
        "double".into()
    }
    fn understands(&self) -> bool {
        !self.world.lock().unwrap().only_reads
    }
    async fn locate(&self, frame: &Frame, target: &Target) -> Result<Located, vision::Error> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let mut world = self.world.lock().unwrap();
        if let Some(error) = world.error() {
            return Err(error);
        }
        let wanted = target.text.clone().or(target.describe.clone()).unwrap_or_default();
        if let Some((_, moved)) = world.moves.take_if(|(looked_for, _)| *looked_for == wanted) {
            let mut texts = world.versions.last().cloned().unwrap_or_default();
            for (_, place) in texts.iter_mut().filter(|(text, _)| *text == moved) {
                *place = Rect::new(place.x + 100, place.y, place.width, place.height);
            }
            world.versions.push(texts);
        }
        let hits: Vec<Hit> = world
            .texts(frame)
            .iter()
            .filter(|(t, _)| *t == wanted)
            .enumerate()
            .map(|(i, text)| Hit {
                confidence: world
                    .confidence(frame)
                    .filter(|_| i >= world.certain_places)
                    .unwrap_or(0.9),
                ..hit(text)
            })
            .collect();
        Ok(match hits.len() {
            0 => Located::NotFound {
                sure: !world.misreads,
                reason: format!("no text '{wanted}' among {:?}", names(world.texts(frame))),
            },
            1 => Located::Found(hits[0].clone()),
            _ => Located::Ambiguous { hits },
        })
    }
    async fn judge(&self, frame: &Frame, question: &str) -> Result<Judgement, vision::Error> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let mut world = self.world.lock().unwrap();
        if let Some(error) = world.error() {
            return Err(error);
        }
        let found = world
            .texts(frame)
            .iter()
            .find(|(t, _)| question.contains(&format!("'{t}'")));
        let verdict = world
            .verdict
            .unwrap_or(if found.is_some() { Verdict::True } else { Verdict::False });
        Ok(Judgement {
            verdict,
            reason: format!("seen: {:?}", names(world.texts(frame))),
            evidence: found.map(hit).into_iter().collect(),
            named: Vec::new(),
            rung: "double",
        })
    }
}

fn names(texts: &[(String, Rect)]) -> Vec<&str> {
    texts.iter().map(|(t, _)| t.as_str()).collect()
}

fn hit((text, rect): &(String, Rect)) -> Hit {
    Hit {
        rect: *rect,
        point: rect.center(),
        confidence: 0.9,
        rung: "double",
        matched: text.clone(),
    }
}

/// A finished run.
pub struct Ran {
    pub outcome: Outcome,
    pub events: Vec<Event>,
    pub dir: tempfile::TempDir,
    pub done: Vec<String>,
    pub looks: u32,
}

impl Ran {
    /// `id=outcome` of every step, in the order of their ends.
    pub fn ends(&self) -> Vec<String> {
        let ends = self.events.iter().filter_map(|e| match &e.body {
            Body::StepEnd { step, outcome, .. } => Some(format!("{step}={}", outcome.as_str())),
            _ => None,
        });
        ends.collect()
    }

    pub fn reason(&self) -> &str {
        self.outcome.failure.as_ref().map_or("", |f| f.reason.as_str())
    }

    pub fn message(&self) -> &str {
        self.outcome.failure.as_ref().map_or("", |f| f.message.as_str())
    }
}

pub async fn run(scenario: &str, prepare: impl FnOnce(&mut World)) -> Ran {
    run_with(
        scenario,
        prepare,
        Duration::from_secs(60),
        CancellationToken::new(),
        &[],
    )
    .await
}

/// As `run`, with the references of a folder.
pub async fn run_beside(folder: &std::path::Path, scenario: &str, prepare: impl FnOnce(&mut World)) -> Ran {
    let scenario = Scenario::from_text("test.yaml", scenario, Some(folder)).unwrap();
    let cancel = CancellationToken::new();
    run_loaded(scenario, prepare, Duration::from_secs(60), cancel, &[], (None, None)).await
}

pub async fn run_with(
    scenario: &str,
    prepare: impl FnOnce(&mut World),
    timeout: Duration,
    cancel: CancellationToken,
    secrets: &[(&str, &str)],
) -> Ran {
    let scenario = Scenario::from_str("test.yaml", scenario).unwrap();
    run_loaded(scenario, prepare, timeout, cancel, secrets, (None, None)).await
}

/// A run that says nothing of its time.
pub async fn run_untimed(text: &str, prepare: impl FnOnce(&mut World)) -> Ran {
    let scenario = Scenario::from_str("test.yaml", text).unwrap();
    let cancel = CancellationToken::new();
    run_loaded(scenario, prepare, None, cancel, &[], (None, None)).await
}

/// Runs a part of the steps.
pub async fn run_part(text: &str, prepare: impl FnOnce(&mut World), from: Option<&str>, until: Option<&str>) -> Ran {
    let scenario = Scenario::from_str("test.yaml", text).unwrap();
    let (cancel, time) = (CancellationToken::new(), Duration::from_secs(60));
    run_loaded(scenario, prepare, time, cancel, &[], (from, until)).await
}

async fn run_loaded(
    scenario: Scenario,
    prepare: impl FnOnce(&mut World),
    timeout: impl Into<Option<Duration>>,
    cancel: CancellationToken,
    secrets: &[(&str, &str)],
    part: (Option<&str>, Option<&str>),
) -> Ran {
    run_on(scenario, prepare, timeout, cancel, secrets, part, None).await
}

/// Runs on a real desktop, of which a video is made.
pub async fn run_filmed(text: &str, desktop: Desktop, encoder: Encoder) -> Ran {
    let scenario = Scenario::from_str("test.yaml", text).unwrap();
    let (cancel, time) = (CancellationToken::new(), Duration::from_secs(60));
    run_on(
        scenario,
        |_| {},
        time,
        cancel,
        &[],
        (None, None),
        Some((desktop, encoder)),
    )
    .await
}

async fn run_on(
    scenario: Scenario,
    prepare: impl FnOnce(&mut World),
    timeout: impl Into<Option<Duration>>,
    cancel: CancellationToken,
    secrets: &[(&str, &str)],
    part: (Option<&str>, Option<&str>),
    desktop: Option<(Desktop, Encoder)>,
) -> Ran {
    let double = Double::default();
    prepare(&mut double.world.lock().unwrap());
    let secrets = secrets
        .iter()
        .map(|(k, v)| (k.to_string(), SecretString::from(*v)))
        .collect();
    let mut plan = scenario.plan(&BTreeMap::new(), &secrets).unwrap();
    plan.limit(part.0, part.1).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let meta = RunMeta {
        namespace: "default".into(),
        name: "table".into(),
        uid: "u-1".into(),
        attempt: 1,
        vm: "table-vm".into(),
        node: "lab".into(),
        vmid: 100,
        vision: "double".into(),
        version: "0".into(),
    };
    let guest_dir = tempfile::tempdir().unwrap();
    *double.tmp.lock().unwrap() = Some(guest_dir.path().to_path_buf());
    *double.evidence.lock().unwrap() = dir.path().to_path_buf();
    let guest = double.world.lock().unwrap().guest.clone();
    let recorder = Recorder::create(dir.path(), meta, Some(&plan)).unwrap();
    let film = desktop
        .as_ref()
        .map(|(d, encoder)| Film::begin(encoder.clone(), d.clone(), &recorder, 10));
    // The programs of a guest that is not this machine have numbers of other processes here.
    let far = guest.as_ref().is_some_and(|g| g.system() != System::Linux);
    let rig = Rig {
        desktop: match &desktop {
            Some((desktop, _)) => Arc::new(desktop.clone()),
            None => Arc::new(double.clone()),
        },
        guest: guest.unwrap_or_else(|| Arc::new(double.clone())),
        hypervisor: Arc::new(double.clone()),
        vision: Arc::new(double.clone()),
        film,
    };
    drop(desktop);
    let outcome = mosdat::runner::run(
        plan,
        rig,
        recorder,
        Limits {
            timeout: timeout.into(),
        },
        cancel,
    )
    .await;
    let events = read_events(&dir.path().join("events.jsonl")).unwrap();
    for event in events.iter().filter(|_| !far) {
        if let Body::Evidence {
            item: Evidence::App { pid, .. },
            ..
        } = &event.body
        {
            // SAFETY: a plain system call; the program was started by this run.
            unsafe { libc::kill(*pid as i32, libc::SIGKILL) };
        }
    }
    let done = double.world.lock().unwrap().done.clone();
    let looks = double.looks.load(Ordering::Relaxed);
    let ran = Ran {
        outcome,
        events,
        dir,
        done,
        looks,
    };
    assert!(
        matches!(&ran.events[ran.events.len() - 1].body, Body::RunEnd { counts, .. } if *counts == ran.outcome.steps)
    );
    check_log(ran.dir.path(), &ran.events);
    ran
}

/// What holds for the log of every run, whatever happened.
pub fn check_log(dir: &std::path::Path, events: &[Event]) {
    static SCHEMA: std::sync::OnceLock<jsonschema::Validator> = std::sync::OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        let schema = serde_json::to_value(mosdat::results::event_schema()).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    });
    for line in std::fs::read_to_string(dir.join("events.jsonl")).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let wrong: Vec<String> = schema.iter_errors(&event).map(|e| e.to_string()).collect();
        assert!(wrong.is_empty(), "{line}: {wrong:?}");
    }
    let seqs: Vec<u64> = events.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert!(matches!(events.last().unwrap().body, Body::RunEnd { .. }));
    let Body::RunStart { plan, .. } = &events[0].body else {
        panic!("{:?}", events[0])
    };
    assert_eq!(plan.total as usize, plan.steps.len());
    let further: Vec<&String> = events
        .iter()
        .filter_map(|e| match &e.body {
            Body::StepStart { further: Some(f), .. } => Some(&f.id),
            _ => None,
        })
        .collect();
    let (ids, further) = (further.clone(), further.len() as u32);
    for id in plan.steps.iter().map(|s| &s.id).chain(ids) {
        let ends = events
            .iter()
            .filter(|e| matches!(&e.body, Body::StepEnd { step: s, .. } if s == id));
        assert_eq!(ends.count(), 1, "ends of {id}");
        let starts = events
            .iter()
            .filter(|e| matches!(&e.body, Body::StepStart { step: s, .. } if s == id));
        assert!(starts.count() <= 1, "starts of {id}");
    }
    let Body::RunEnd { counts: c, .. } = &events[events.len() - 1].body else {
        panic!("{:?}", events.last())
    };
    assert_eq!(plan.total + further, c.total);
    assert_eq!(
        c.total,
        c.passed + c.failed + c.soft_failed + c.skipped + c.error,
        "{c:?}"
    );
    for file in ["report.html", "junit.xml", "events.jsonl"] {
        assert!(dir.join(file).exists(), "{file}");
    }
}
