//! Writes events and pictures as they come, and the reports at the end.

use super::cover::Covered;
use super::event::*;
use super::mask::Masks;
use super::{Error, junit, page};
use crate::api::{RunFailure, RunResult, StepCounts};
use crate::desktop::{Frame, Rect};
use crate::scenario::{Length, Plan};
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// Name of the event log in a run's folder.
pub const EVENTS_FILE: &str = "events.jsonl";
/// Name of the report in a run's folder.
pub const REPORT_FILE: &str = "report.html";
/// Name of the JUnit file in a run's folder.
pub const JUNIT_FILE: &str = "junit.xml";
/// Folder of the pictures in a run's folder.
pub const SCREENSHOTS_DIR: &str = "screenshots";
/// Folder of the files that could replace those of references, in a run's folder.
pub const CANDIDATES_DIR: &str = "candidates";

/// Events that a slow subscriber may be behind; it reads the log for what it has missed.
const BACKLOG: usize = 1024;

/// Records one attempt of a run. Clones record the same one.
///
/// A failure to write does not stop the run at once: it is kept, and [`Recorder::take_error`] hands it out.
#[derive(Clone)]
pub struct Recorder {
    dir: PathBuf,
    inner: Arc<Mutex<Inner>>,
    events: broadcast::Sender<Event>,
}

struct Inner {
    log: File,
    past: Vec<Event>,
    masks: Masks,
    /// Files of pictures by digest: a desktop that did not change is stored once.
    pictures: HashMap<String, String>,
    /// Pictures that are being stored.
    writing: Vec<JoinHandle<Result<(), Error>>>,
    /// Steps that are to tell another such part, and have not.
    veiled: BTreeSet<String>,
    video: Option<RunVideo>,
    /// Numbers of pictures that are given away, also to those that are still being written.
    numbers: usize,
    /// Bytes of whole lines in the log.
    length: u64,
    /// Parts of the screen that no stored picture shows.
    covered: Covered,
    error: Option<Error>,
    start: Instant,
    finished: bool,
}

impl Recorder {
    /// Makes the folder, begins the log and writes `run_start` with the plan's steps; without a plan, with none. The
    /// plan's secrets are hidden from the first event on.
    ///
    /// # Errors
    /// The folder or the log cannot be written.
    pub fn create(dir: &Path, run: RunMeta, plan: Option<&Plan>) -> Result<Recorder, Error> {
        let io = |doing, path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Io { doing, path, source }
        };
        let screenshots = dir.join(SCREENSHOTS_DIR);
        fs::create_dir_all(&screenshots).map_err(io("making", &screenshots))?;
        let path = dir.join(EVENTS_FILE);
        let log = File::create(&path).map_err(io("making", &path))?;
        let recorder = Recorder {
            dir: dir.to_path_buf(),
            inner: Arc::new(Mutex::new(Inner {
                log,
                past: Vec::new(),
                masks: Masks::default(),
                pictures: HashMap::new(),
                writing: Vec::new(),
                veiled: BTreeSet::new(),
                video: None,
                numbers: 0,
                length: 0,
                covered: Covered::default(),
                error: None,
                start: Instant::now(),
                finished: false,
            })),
            events: broadcast::channel(BACKLOG).0,
        };
        if let Some(plan) = plan {
            recorder.hide(&plan.secrets);
        }
        recorder.emit(Body::RunStart {
            run,
            plan: plan.map(RunPlan::of).unwrap_or_default(),
        });
        match recorder.take_error() {
            Some(error) => Err(error),
            None => Ok(recorder),
        }
    }

    /// The run's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Events so far.
    pub fn past(&self) -> Vec<Event> {
        self.lock().past.clone()
    }

    /// Values to replace by `***` in everything that is recorded from now on.
    pub fn hide(&self, secrets: &[SecretString]) {
        self.lock().masks.add(secrets);
    }

    /// A part of the screen, in pixels, that pictures stored from now on do not show.
    pub fn cover(&self, part: Rect) {
        self.lock().covered.part(part);
    }

    /// As [`Recorder::cover`], for a region `[x, y, width, height]`, which on each picture is what its size makes of it.
    pub fn cover_region(&self, sides: [Length; 4]) {
        self.lock().covered.region(sides);
    }

    /// This step is to tell a part of the screen that no picture shows, and nobody knows yet which. Until it is
    /// [unveiled](Recorder::unveil), pictures show nothing at all and the video stands still.
    pub fn veil(&self, step: &str) {
        self.lock().veiled.insert(step.to_string());
    }

    /// The step has [told](Recorder::cover) what no picture shows.
    pub fn unveil(&self, step: &str) {
        self.lock().veiled.remove(step);
    }

    /// True where pictures show nothing.
    pub fn veiled(&self) -> bool {
        !self.lock().veiled.is_empty()
    }

    /// The parts that are covered on a picture of this size.
    pub(super) fn covered(&self, width: u32, height: u32) -> Vec<Rect> {
        let inner = self.lock();
        match inner.veiled.is_empty() {
            true => inner.covered.of(width, height),
            false => vec![Rect::new(0, 0, width, height)],
        }
    }

    /// What became of the video: `run_end` will tell it.
    pub fn video(&self, video: RunVideo) {
        self.lock().video = Some(video);
    }

    /// The frame as it may be stored.
    pub fn storable(&self, frame: &Arc<Frame>) -> Arc<Frame> {
        let covered = self.covered(frame.width(), frame.height());
        match covered.as_slice() {
            [] => frame.clone(),
            parts => Arc::new(frame.covering(parts)),
        }
    }

    /// The text with the hidden values replaced.
    pub fn masked(&self, text: &str) -> String {
        self.lock().masks.text(text)
    }

    /// Writes an event and tells the subscribers.
    pub fn emit(&self, body: Body) {
        let mut inner = self.lock();
        if inner.finished {
            return;
        }
        let event = Event {
            v: SCHEMA_VERSION,
            seq: inner.past.len() as u64 + 1,
            time: now(),
            body,
        };
        match inner.write(&event, &self.dir) {
            Ok(event) => {
                inner.past.push(event.clone());
                // No subscriber is no error.
                let _ = self.events.send(event);
            }
            Err(error) => {
                inner.error.get_or_insert(error);
            }
        }
    }

    /// Records something seen or done while a step runs.
    pub fn evidence(&self, step: &str, item: Evidence) {
        self.emit(Body::Evidence {
            step: step.to_string(),
            item,
        });
    }

    /// Records a picture, and begins to store it: [`Recorder::stored`] waits for that. A [difference](Role::Difference) is no picture of the
    /// screen: it has to be made from one that is [storable](Recorder::storable).
    pub async fn screenshot(&self, step: &str, role: Role, frame: &Arc<Frame>, marks: Vec<Mark>) {
        let number = frame_number(frame);
        let (frame, covered) = match role {
            Role::Difference => (frame.clone(), false),
            _ => {
                let stored = self.storable(frame);
                let covered = stored.digest() != frame.digest();
                (stored, covered)
            }
        };
        let frame = &frame;
        let digest = frame.digest();
        let known = self.lock().pictures.get(&digest).cloned();
        let file = match known {
            Some(file) => file,
            None => {
                // A step may be cancelled while its picture is written: that goes on, and the file is nobody else's.
                let place = {
                    let mut inner = self.lock();
                    inner.numbers += 1;
                    inner.numbers
                };
                let file = format!("{SCREENSHOTS_DIR}/{step}-{place:04}-{}.png", role.as_str());
                let (path, frame) = (self.dir.join(&file), frame.clone());
                // Encoding takes tens of milliseconds, in which the step can go on.
                let writing = tokio::task::spawn_blocking(move || write_png(&path, &frame));
                let mut inner = self.lock();
                inner.writing.push(writing);
                inner.pictures.insert(digest, file.clone());
                file
            }
        };
        self.evidence(
            step,
            Evidence::Screenshot {
                role,
                file,
                width: frame.width(),
                height: frame.height(),
                marks,
                frame: number,
                covered,
            },
        );
    }

    /// Waits until the pictures that were recorded are in their files.
    pub async fn stored(&self) {
        let writing = std::mem::take(&mut self.lock().writing);
        for one in writing {
            let error = match one.await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(error) => Error::Picture(error.to_string()),
            };
            self.lock().error.get_or_insert(error);
        }
    }

    /// Stores files that could replace those of a reference image, and records them: a picture and its sidecar.
    pub async fn candidate(&self, step: &str, reference: &str, frame: &Arc<Frame>, sidecar: String) {
        let name = |end: &str| format!("{CANDIDATES_DIR}/{step}/{reference}.{end}");
        let (picture, text) = (name("png"), name("yaml"));
        let (paths, frame) = ((self.dir.join(&picture), self.dir.join(&text)), self.storable(frame));
        let write = move || {
            let io = |doing, path: &Path| {
                let path = path.to_path_buf();
                move |source| Error::Io { doing, path, source }
            };
            let folder = paths.0.parent().unwrap_or(&paths.0);
            fs::create_dir_all(folder).map_err(io("making", folder))?;
            write_png(&paths.0, &frame)?;
            fs::write(&paths.1, sidecar).map_err(io("writing", &paths.1))
        };
        let error = match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => {
                let item = Evidence::Candidate {
                    reference: reference.to_string(),
                    picture,
                    sidecar: text,
                };
                return self.evidence(step, item);
            }
            Ok(Err(error)) => error,
            Err(error) => Error::Picture(error.to_string()),
        };
        self.lock().error.get_or_insert(error);
    }

    /// The first failure to write since the last call.
    pub fn take_error(&self) -> Option<Error> {
        self.lock().error.take()
    }

    /// Writes `run_end`, with the values that the run tells, and the reports, with the pictures that have been [stored](Recorder::stored). Also for runs that ended before their first step. Later calls do nothing.
    ///
    /// # Errors
    /// The log or a report cannot be written.
    pub fn finish(
        &self,
        result: RunResult,
        failure: Option<RunFailure>,
        counts: StepCounts,
        outputs: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let (ms, video) = {
            let mut inner = self.lock();
            if inner.finished {
                return Ok(());
            }
            (inner.start.elapsed().as_millis() as u64, inner.video.take())
        };
        self.emit(Body::RunEnd {
            result,
            failure,
            counts,
            outputs,
            ms,
            video,
        });
        let past = {
            let mut inner = self.lock();
            inner.finished = true;
            inner.past.clone()
        };
        let page = page::report(&past, &self.dir);
        write_whole(&self.dir.join(REPORT_FILE), page.as_bytes())?;
        write_whole(&self.dir.join(JUNIT_FILE), junit::junit(&past).as_bytes())?;
        self.take_error().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Masks and writes an event; returns it as written.
    fn write(&mut self, event: &Event, dir: &Path) -> Result<Event, Error> {
        let mut value = serde_json::to_value(event)?;
        self.masks.value(&mut value);
        let mut line = serde_json::to_vec(&value)?;
        line.push(b'\n');
        append(&mut self.log, &mut self.length, &line).map_err(|source| Error::Io {
            doing: "writing",
            path: dir.join(EVENTS_FILE),
            source,
        })?;
        Ok(serde_json::from_value(value)?)
    }
}

/// What a log has to be able to do.
trait Log: Write + Seek {
    fn cut(&mut self, length: u64) -> std::io::Result<()>;
}

impl Log for File {
    fn cut(&mut self, length: u64) -> std::io::Result<()> {
        self.set_len(length)
    }
}

/// Writes a line at the end of the log, which has `length` bytes, or nothing: of half a line, as a full disk leaves it, the
/// next one would be the other half.
fn append(log: &mut impl Log, length: &mut u64, line: &[u8]) -> std::io::Result<()> {
    let written = log.write_all(line).and_then(|()| log.flush());
    match written {
        Ok(()) => *length += line.len() as u64,
        Err(_) => {
            log.cut(*length)?;
            log.seek(SeekFrom::Start(*length))?;
        }
    }
    written
}

/// What the record calls the frame; a picture that no session took has no number.
pub fn frame_number(frame: &Frame) -> Option<u64> {
    (frame.seq > 0).then_some(frame.seq)
}

/// The time of an event.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Readers see the whole file or none.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let written = fs::write(&new, content).and_then(|()| fs::rename(&new, path));
    written.map_err(|source| Error::Io {
        doing: "writing",
        path: path.to_path_buf(),
        source,
    })
}

fn write_png(path: &Path, frame: &Frame) -> Result<(), Error> {
    let png = frame.png().map_err(|e| Error::Picture(e.to_string()))?;
    fs::write(path, png).map_err(|source| Error::Io {
        doing: "writing",
        path: path.to_path_buf(),
        source,
    })
}

/// Reads a log. A last line that is cut off, as a kill leaves it, is left out.
///
/// # Errors
/// The file cannot be read, or a line before the last is no event.
pub fn read_events(path: &Path) -> Result<Vec<Event>, Error> {
    let bytes = fs::read(path).map_err(|source| Error::Io {
        doing: "reading",
        path: path.to_path_buf(),
        source,
    })?;
    // A last line may be cut off within a character.
    let text = String::from_utf8_lossy(&bytes);
    let mut events = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        match serde_json::from_str(line) {
            Ok(event) => events.push(event),
            Err(_) if lines.peek().is_none() => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A disk with room for so many bytes.
    struct Disk {
        file: Cursor<Vec<u8>>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let room = self.room.saturating_sub(self.file.position() as usize);
            match room.min(bytes.len()) {
                0 => Err(std::io::ErrorKind::StorageFull.into()),
                fits => self.file.write(&bytes[..fits]),
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Disk {
        fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
            self.file.seek(to)
        }
    }

    impl Log for Disk {
        fn cut(&mut self, length: u64) -> std::io::Result<()> {
            self.file.get_mut().truncate(length as usize);
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_leaves_whole_lines() {
        let mut disk = Disk {
            file: Cursor::default(),
            room: 12,
        };
        let mut length = 0;
        append(&mut disk, &mut length, b"one line\n").expect("room");
        assert!(append(&mut disk, &mut length, b"another line\n").is_err());
        assert_eq!(disk.file.get_ref(), b"one line\n");
        disk.room = 100;
        append(&mut disk, &mut length, b"the last\n").expect("room");
        assert_eq!(disk.file.get_ref(), b"one line\nthe last\n");
    }

    #[tokio::test]
    async fn a_picture_that_nobody_waits_for_keeps_its_number() {
        let dir = tempfile::tempdir().expect("folder");
        let recorder = Recorder::create(dir.path(), RunMeta::default(), None).expect("a recorder");
        let frame = |grey: u8| {
            let pixel = image::Rgba([grey, grey, grey, 255]);
            Arc::new(Frame::from_image(image::RgbaImage::from_pixel(400, 300, pixel)))
        };
        // Begun, and dropped before it is written.
        let first = frame(1);
        let begun = recorder.screenshot("a", Role::Asked, &first, Vec::new());
        let _ = tokio::time::timeout(std::time::Duration::ZERO, begun).await;
        recorder.screenshot("a", Role::Asked, &frame(2), Vec::new()).await;
        recorder.stored().await;
        let files: Vec<String> = (recorder.past().iter())
            .filter_map(|event| match &event.body {
                Body::Evidence {
                    item: Evidence::Screenshot { file, .. },
                    ..
                } => Some(file.clone()),
                _ => None,
            })
            .collect();
        let last = files.last().expect("a picture");
        assert!(last.ends_with("a-0002-asked.png"), "{files:?}");
        let picture = image::open(dir.path().join(last)).expect("a picture").to_rgb8();
        assert_eq!(picture.get_pixel(0, 0).0, [2; 3]);
    }
}
