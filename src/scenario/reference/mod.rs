//! Reference images: pictures of parts of a screen, with what in them counts.
//!
//! A reference `save-button` is a picture of a whole screen and a sidecar, beside the scenario's file or in a folder
//! `references` there: `save-button.png` and `save-button.yaml`. For a screen of another size there may be
//! `save-button@1280x800.png` with its own sidecar. When a file is loaded, its references are put into the scenario,
//! reduced to what their areas show: what is applied to a cluster needs no files.

mod files;
mod library;
mod picture;

pub(super) use files::{Files, find};
pub(super) use library::Library;
pub(super) use picture::Picture;

use super::error::{Errors, Place, Problems};
use super::parse;
use std::path::Path;
use std::sync::Arc;

/// What the pictures of a scenario may have in all, in bytes: an object in a cluster must stay small.
pub(super) const MOST_BYTES: usize = 512 * 1024;

/// How far a match area may have moved, in pixels, where the sidecar does not say.
pub const MARGIN: u32 = 50;
/// How similar a match area must be, from 0 to 1, where the sidecar does not say.
pub const SIMILARITY: f64 = 0.95;

/// Width and height in pixels.
pub(super) type Size = (u32, u32);

/// A reference image with its variants for screens of certain sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// As the scenario names it.
    pub name: String,
    /// At least one; at most one without `display`.
    pub variants: Vec<Variant>,
}

/// One picture of a reference.
#[derive(Clone, PartialEq)]
pub struct Variant {
    /// Width and height of the screen that it is for; none: any other.
    pub display: Option<(u32, u32)>,
    /// The picture, PNG. Outside of the areas there may be anything.
    pub png: Vec<u8>,
    /// Width and height of the picture.
    pub size: (u32, u32),
    /// What counts; at least one area that is no `Exclude`.
    pub areas: Vec<Area>,
    /// Where a click goes; none: the middle of the last match area.
    pub click: Option<(u32, u32)>,
    /// SHA-256, hexadecimal, of the files that it was made from: the PNG and then the sidecar.
    pub digest: String,
}

/// A rectangle of a reference, in pixels of its picture; all of it lies inside.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
    /// What counts in it.
    pub kind: AreaKind,
}

/// What counts in an area.
#[derive(Clone, Debug, PartialEq)]
pub enum AreaKind {
    /// The screen looks like the picture.
    Match {
        /// How far it may have moved, in pixels.
        margin: u32,
        /// How similar it must be, from 0 to 1.
        similarity: f64,
    },
    /// This text is shown.
    Ocr {
        /// The text.
        text: String,
    },
    /// What the screen shows here does not count in the match areas.
    Exclude,
}

impl Area {
    /// True if both have a pixel in common.
    pub fn meets(&self, other: &Area) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }

    /// What is left of this area without the others, as rectangles that do not overlap.
    pub fn without(&self, others: &[&Area]) -> Vec<Area> {
        let mut left = vec![self.clone()];
        for hole in others {
            left = left.iter().flat_map(|area| area.around(hole)).collect();
        }
        left
    }

    /// What is left without one other: above it, below it, and on its sides.
    fn around(&self, hole: &Area) -> Vec<Area> {
        if !self.meets(hole) {
            return vec![self.clone()];
        }
        let (right, bottom) = (self.x + self.width, self.y + self.height);
        let (top, end) = (self.y.max(hole.y), bottom.min(hole.y + hole.height));
        let part = |x: u32, y: u32, right: u32, bottom: u32| {
            (x < right && y < bottom).then(|| Area {
                x,
                y,
                width: right - x,
                height: bottom - y,
                kind: self.kind.clone(),
            })
        };
        let parts = [
            part(self.x, self.y, right, top),
            part(self.x, top, hole.x.max(self.x), end),
            part(right.min(hole.x + hole.width), top, right, end),
            part(self.x, end, right, bottom),
        ];
        parts.into_iter().flatten().collect()
    }
}

impl Reference {
    /// Reads a reference from its files in a folder, or in the folder `references` there.
    ///
    /// # Errors
    /// There is none of this name, or its sidecar is wrong: with file, line and column.
    pub fn read(folder: &Path, name: &str) -> Result<Arc<Reference>, Errors> {
        let mut problems = Problems::new("references");
        let found = parse::reference(name, Library::beside(Some(folder)), &mut problems);
        match found {
            Some(found) if problems.is_empty() => Ok(found),
            _ => Err(problems.into_errors()),
        }
    }

    /// Checks what was not read from files: names, and areas that reach beyond the picture or compare nothing.
    ///
    /// # Errors
    /// All that is wrong, with the place in the sidecar that it would have.
    pub fn check(&self) -> Result<(), Errors> {
        let mut problems = Problems::new(&self.name);
        if let Some(message) = wrong_name(&self.name) {
            problems.add(&Place::Whole, message);
        }
        for variant in &self.variants {
            parse::sidecar(&variant.sidecar(), variant.size, &mut problems);
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems.into_errors()),
        }
    }

    /// The name of a variant's files, without ending.
    pub fn key(&self, variant: &Variant) -> String {
        match variant.display {
            Some((width, height)) => format!("{}@{width}x{height}", self.name),
            None => self.name.clone(),
        }
    }
}

impl std::fmt::Debug for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variant")
            .field("display", &self.display)
            .field("size", &self.size)
            .field("areas", &self.areas)
            .field("click", &self.click)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Variant {
    /// The text of the sidecar, YAML.
    pub fn sidecar(&self) -> String {
        let mut text = String::from("areas:\n");
        for area in &self.areas {
            let place = format!("[{}, {}, {}, {}]", area.x, area.y, area.width, area.height);
            text += &match &area.kind {
                AreaKind::Match { margin, similarity } => {
                    let mut line = format!("  - match: {place}\n");
                    if *margin != MARGIN {
                        line += &format!("    margin: {margin}\n");
                    }
                    if *similarity != SIMILARITY {
                        line += &format!("    similarity: {similarity}\n");
                    }
                    line
                }
                // A JSON string is a YAML one.
                AreaKind::Ocr { text } => format!(
                    "  - ocr: {place}\n    text: {}\n",
                    serde_json::Value::from(text.as_str())
                ),
                AreaKind::Exclude => format!("  - exclude: {place}\n"),
            };
        }
        if let Some((x, y)) = self.click {
            text += &format!("click: [{x}, {y}]\n");
        }
        text
    }

    /// True if some area compares pixels.
    pub fn has_match(&self) -> bool {
        self.areas.iter().any(|a| matches!(a.kind, AreaKind::Match { .. }))
    }
}

/// The screen size at the end of a key, as in `save-button@1280x800`, and the name before it.
pub(super) fn split_key(key: &str) -> (&str, Option<Result<Size, String>>) {
    let Some((name, display)) = key.split_once('@') else {
        return (key, None);
    };
    let number = |text: &str| {
        let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
        text.parse::<u32>().ok().filter(|n| plain && *n <= 16_384)
    };
    let size = display
        .split_once('x')
        .and_then(|(w, h)| Some((number(w)?, number(h)?)))
        .ok_or_else(|| format!("'{display}' is no size of a screen; write it as 1280x800"));
    (name, Some(size))
}

/// Why this is no name of a reference.
pub(super) fn wrong_name(name: &str) -> Option<String> {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let message = if name.ends_with(".png") {
        format!(
            "a reference is named without '.png': '{}'",
            name.trim_end_matches(".png")
        )
    } else if name.contains('@') {
        "a reference is named without the size of a screen: the one that fits is taken".to_string()
    } else if name.len() > 200 || !name.split('/').all(good) {
        format!("'{name}' is no name of a reference: letters, digits, '-', '_' and '.', and '/' between folders")
    } else {
        return None;
    };
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_without_others() {
        let area = |x, y, width, height| Area {
            x,
            y,
            width,
            height,
            kind: AreaKind::Exclude,
        };
        let whole = area(10, 10, 20, 20);
        let pixels = |holes: &[&Area]| -> u32 { whole.without(holes).iter().map(|a| a.width * a.height).sum() };
        assert_eq!(pixels(&[]), 400);
        assert_eq!(pixels(&[&area(0, 0, 10, 10)]), 400);
        assert_eq!(pixels(&[&area(15, 15, 5, 5)]), 375);
        assert_eq!(
            pixels(&[&area(15, 15, 5, 5), &area(15, 15, 6, 5)]),
            370,
            "an overlap counts once"
        );
        assert_eq!(pixels(&[&area(0, 0, 100, 15)]), 300);
        assert_eq!(pixels(&[&area(0, 0, 20, 100), &area(20, 0, 20, 100)]), 0);
    }

    #[test]
    fn names_and_keys() {
        for good in ["save-button", "dialogs/about", "a.b_c"] {
            assert_eq!(wrong_name(good), None);
        }
        for bad in ["", "../x", "/x", "a b", "x.png", "x@1280x800", ".hidden", "a//b"] {
            assert!(wrong_name(bad).is_some(), "{bad}");
        }
        assert_eq!(split_key("a"), ("a", None));
        assert_eq!(split_key("a@1280x800"), ("a", Some(Ok((1280, 800)))));
        for bad in ["a@", "a@1280", "a@0x5", "a@+1x2", "a@99999x1"] {
            assert!(matches!(split_key(bad), ("a", Some(Err(_)))), "{bad}");
        }
    }
}
