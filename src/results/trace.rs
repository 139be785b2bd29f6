//! Reading what a run has left: the page alone, the folder of an attempt, or the events.

use super::event::*;
use super::page::{DATA, DEPTH, Data, Stored, painted};
use super::recorder::{EVENTS_FILE, REPORT_FILE, read_events};
use super::{Error, beside, page};
use base64::Engine;
use image::RgbaImage;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is left of one attempt of a run.
pub struct Trace {
    /// All events.
    pub events: Vec<Event>,
    /// Folder that the pictures' files are relative to, if they are there.
    dir: PathBuf,
    page: Option<Page>,
}

struct Page {
    path: PathBuf,
    text: String,
    pictures: BTreeMap<String, Stored>,
}

/// A picture of a trace.
pub struct Picture {
    /// The pixels.
    pub image: RgbaImage,
    /// False where the page has it smaller and with losses: an answer about it may differ for that.
    pub exact: bool,
}

fn wrong(path: &Path, problem: impl Into<String>) -> Error {
    Error::Trace {
        path: path.to_path_buf(),
        problem: problem.into(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Io {
        doing: "reading",
        path: path.to_path_buf(),
        source,
    })
}

impl Trace {
    /// Reads `report.html`, `events.jsonl`, or the folder that holds them; of a run's folder, those of its latest attempt.
    ///
    /// # Errors
    /// There is no such file, or it is no trace; the message says what would be one.
    pub fn open(path: &Path) -> Result<Trace, Error> {
        let path = &attempt_of(path);
        let folder = path.is_dir();
        let events_file = if folder {
            path.join(EVENTS_FILE)
        } else {
            path.to_path_buf()
        };
        let page_file = if folder {
            path.join(REPORT_FILE)
        } else {
            path.to_path_buf()
        };
        let dir = events_file.parent().unwrap_or(Path::new("")).to_path_buf();
        if folder && !events_file.exists() && !page_file.exists() {
            let problem =
                format!("it holds neither {EVENTS_FILE} nor {REPORT_FILE}; give the folder of a run or of an attempt");
            return Err(wrong(path, problem));
        }
        let is_page = match folder {
            true => !events_file.exists(),
            false => path.extension().is_some_and(|end| end == "html" || end == "htm"),
        };
        if !is_page {
            let events = read_events(&events_file).map_err(|error| match error {
                Error::Event(why) => wrong(&events_file, format!("no event log of a run: {why}")),
                error => error,
            })?;
            if events.is_empty() {
                return Err(wrong(&events_file, "it has no events"));
            }
            return Ok(Trace {
                events,
                dir,
                page: None,
            });
        }
        let text = String::from_utf8_lossy(&read(&page_file)?).into_owned();
        let data = text.split_once(DATA).and_then(|(_, rest)| rest.split_once("</script>"));
        let Some((data, _)) = data else {
            let problem = "it holds no events; give a report.html of a run, its folder, or its events.jsonl \
                           (reports of earlier versions hold none)";
            return Err(wrong(&page_file, problem));
        };
        let Data { pictures, events } = serde_json::from_str(data)?;
        Ok(Trace {
            events,
            dir,
            page: Some(Page {
                path: page_file,
                text,
                pictures,
            }),
        })
    }

    /// The page, made from the events and the pictures beside them.
    pub fn report(&self) -> String {
        match &self.page {
            Some(page) => page.text.clone(),
            None => page::report(&self.events, &self.dir),
        }
    }

    /// The file's picture: the very pixels wherever they are to be had.
    ///
    /// # Errors
    /// The trace does not have it.
    pub fn picture(&self, file: &str) -> Result<Picture, Error> {
        let Some(page) = &self.page else {
            return self.beside(file);
        };
        match page.pictures.get(file) {
            Some(stored) if stored.exact => page.picture(file, 0).map(|image| Picture { image, exact: true }),
            known if self.is_beside() => self.beside(file).or_else(|error| match known {
                Some(_) => page.picture(file, 0).map(|image| Picture { image, exact: false }),
                None => Err(error),
            }),
            _ => page.picture(file, 0).map(|image| Picture { image, exact: false }),
        }
    }

    /// True where the page is still in its folder, and not in another run's.
    fn is_beside(&self) -> bool {
        let beside = read_events(&self.dir.join(EVENTS_FILE));
        beside.is_ok_and(|events| events.first() == self.events.first())
    }

    fn beside(&self, file: &str) -> Result<Picture, Error> {
        Ok(Picture {
            image: beside::picture(&self.dir, file)?.into_rgba8(),
            exact: true,
        })
    }
}

/// A run's folder stands for its latest attempt, anything else for itself.
pub fn attempt_of(path: &Path) -> PathBuf {
    if path.join(EVENTS_FILE).exists() || path.join(REPORT_FILE).exists() {
        return path.to_path_buf();
    }
    let attempts = std::fs::read_dir(path).into_iter().flatten().flatten();
    let numbered = attempts.filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.strip_prefix("attempt-")?.parse().ok()?;
        let here = entry.path();
        (here.join(EVENTS_FILE).exists() || here.join(REPORT_FILE).exists()).then_some((number, here))
    });
    let latest = numbered.max_by_key(|(number, _)| *number);
    latest.map_or_else(|| path.to_path_buf(), |(_, here)| here)
}

impl Page {
    fn picture(&self, file: &str, depth: u32) -> Result<RgbaImage, Error> {
        let missing = || wrong(&self.path, format!("the picture {file} is not in it"));
        let stored = self.pictures.get(file).ok_or_else(missing)?;
        let Some(base) = &stored.base else {
            return self.pixels(&stored.id).ok_or_else(missing);
        };
        // A file that says otherwise was not written by us.
        if depth > DEPTH {
            return Err(missing());
        }
        let part = self.pixels(&format!("{}-part", stored.id)).ok_or_else(missing)?;
        Ok(painted(self.picture(base, depth + 1)?, &part, stored.x, stored.y))
    }

    /// The picture that is in the element of this id. Texts of a run never hold a plain quotation mark.
    fn pixels(&self, id: &str) -> Option<RgbaImage> {
        let (_, element) = self.text.split_once(&format!("<image id=\"{id}\""))?;
        let (_, data) = element.split_once(";base64,")?;
        let (data, _) = data.split_once('"')?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok()?;
        Some(beside::decoded(&bytes).ok()?.into_rgba8())
    }
}
