//! The pictures of the page: all in it, and small.
//!
//! Screens of one run are much alike, so that a picture is kept as its difference from an earlier one, without loss: what
//! is the same is transparent. A `replay` of the page then looks at the very pixels that were judged. Where a run shows
//! films, that is too much: the pictures that decided nothing are then kept as smaller JPEGs, and if that is not enough,
//! all of them.

use super::super::event::Place;
use super::super::{Trace, beside};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageEncoder, RgbaImage, imageops};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Bytes that the pictures of a hundred steps may have; in the page they are a third more.
const BUDGET: usize = 12 * 1024 * 1024;
const BUDGET_STEPS: usize = 100;
/// A picture is compared with so many of the ones before it: windows come and go.
const RECENT: usize = 4;
/// A picture of which more than this part differs is kept whole, in percent.
const DIFFERS: usize = 40;
/// Differences of differences, at most; browsers draw them all.
pub(in super::super) const DEPTH: u32 = 16;
/// Pixels of a row that are compared at once.
const CELL: usize = 16;

/// What is told of a picture beside its pixels, for whom the page is a file of evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Stored {
    /// Id of its element.
    pub id: String,
    /// True where each pixel is as it was.
    pub exact: bool,
    /// File of the picture that it is painted over; then the element with `-part` at its id has the pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Where it is painted.
    #[serde(default)]
    pub x: u32,
    /// Where it is painted.
    #[serde(default)]
    pub y: u32,
}

/// A picture that the page needs.
pub(super) struct Needed<'e> {
    pub file: &'e str,
    /// Width and height of the screen, in pixels.
    pub size: (u32, u32),
    /// A check was decided by it.
    pub decided: bool,
}

/// Where the pictures are: in the run's folder, or else in a page that was made when they still were there.
pub(super) struct Source<'s> {
    pub dir: &'s Path,
    pub earlier: Option<&'s Trace>,
}

impl Source<'_> {
    /// The picture, and whether each pixel is as it was.
    pub fn read(&self, file: &str) -> Option<(DynamicImage, bool)> {
        if let Ok(image) = beside::picture(self.dir, file) {
            return Some((image, true));
        }
        let kept = self.earlier?.picture(file).ok()?;
        Some((DynamicImage::ImageRgba8(kept.image), kept.exact))
    }
}

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    Deciding,
    Small,
    Smaller,
}

/// An element, and what is told of it.
struct Element {
    file: String,
    stored: Stored,
    size: (u32, u32),
    mime: &'static str,
    part: (u32, u32),
    bytes: Vec<u8>,
}

/// The elements, as the content of `<defs>`, and what is told of them by file. A file that is no picture is left out: the
/// page is made all the same.
pub(super) fn defs(source: &Source<'_>, needed: &[Needed<'_>], steps: usize) -> (String, BTreeMap<String, Stored>) {
    let budget = BUDGET * steps.div_ceil(BUDGET_STEPS).max(1);
    let tries = [Keep::All, Keep::Deciding, Keep::Small];
    let elements = tries
        .into_iter()
        .find_map(|keep| elements(source, needed, keep, budget))
        .or_else(|| elements(source, needed, Keep::Smaller, usize::MAX))
        .unwrap_or_default();
    let (mut out, mut told) = (String::new(), BTreeMap::new());
    for element in elements {
        element.write(&mut out);
        told.insert(element.file, element.stored);
    }
    (out, told)
}

/// None where they have more bytes than they may.
fn elements(source: &Source<'_>, needed: &[Needed<'_>], keep: Keep, budget: usize) -> Option<Vec<Element>> {
    let mut all = Vec::new();
    let mut bases = Vec::new();
    let mut bytes = 0;
    for picture in needed {
        let Some((image, as_it_was)) = source.read(picture.file) else {
            continue;
        };
        let wanted = match keep {
            Keep::All => true,
            Keep::Deciding => picture.decided,
            Keep::Small | Keep::Smaller => false,
        };
        let made = match wanted && as_it_was {
            true => lossless(picture.file, image.into_rgba8(), &mut bases),
            // One that was made smaller before is still shown in the size of the screen.
            false => jpeg(picture.file, &image, picture.size, keep),
        };
        let Some(element) = made else { continue };
        bytes += element.bytes.len();
        if bytes > budget {
            return None;
        }
        all.push(element);
    }
    Some(all)
}

/// Id of the picture's element.
pub(super) fn id(file: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("pic-{}", file.chars().map(word).collect::<String>())
}

/// A picture that others may be differences from.
struct Base {
    file: String,
    image: RgbaImage,
    /// How many differences it is itself made of.
    depth: u32,
}

fn lossless(file: &str, image: RgbaImage, bases: &mut Vec<Base>) -> Option<Element> {
    let stored = Stored {
        id: id(file),
        exact: true,
        ..Stored::default()
    };
    let size = image.dimensions();
    let nearest = bases
        .iter()
        .filter(|base| base.depth < DEPTH && base.image.dimensions() == size)
        .map(|base| (base, Difference::of(&base.image, &image)))
        .min_by_key(|(_, difference)| difference.pixels)
        .filter(|(_, difference)| difference.pixels * 100 <= size.0 as usize * size.1 as usize * DIFFERS);
    let (element, depth) = match nearest {
        Some((base, difference)) => {
            let (place, part) = (difference.place, difference.patch(&base.image, &image)?);
            let stored = Stored {
                base: Some(base.file.clone()),
                x: place.x,
                y: place.y,
                ..stored
            };
            let bytes = png(part.as_raw(), part.dimensions(), ExtendedColorType::Rgba8)?;
            (
                Element::png(file, stored, size, part.dimensions(), bytes),
                base.depth + 1,
            )
        }
        None => {
            let rgb = DynamicImage::ImageRgba8(image.clone()).into_rgb8();
            let bytes = png(rgb.as_raw(), size, ExtendedColorType::Rgb8)?;
            (Element::png(file, stored, size, size, bytes), 0)
        }
    };
    bases.push(Base {
        file: file.to_string(),
        image,
        depth,
    });
    // The last whole picture stays: from it a new row of differences can begin.
    let whole = bases.iter().rposition(|base| base.depth == 0);
    if bases.len() > RECENT + 1 {
        bases.remove(usize::from(whole == Some(0)));
    }
    Some(element)
}

/// What differs between two pictures of one size.
struct Difference {
    /// Pixels, in whole cells.
    pixels: usize,
    /// Around them.
    place: Place,
}

impl Difference {
    fn of(a: &RgbaImage, b: &RgbaImage) -> Difference {
        let row = (a.width() as usize).max(1) * 4;
        let (mut cells, mut left, mut right, mut top, mut bottom) = (0, usize::MAX, 0, u32::MAX, 0);
        for (y, (a, b)) in (0..).zip(a.as_raw().chunks_exact(row).zip(b.as_raw().chunks_exact(row))) {
            if a == b {
                continue;
            }
            (top, bottom) = (top.min(y), y);
            for (x, (a, b)) in a.chunks(CELL * 4).zip(b.chunks(CELL * 4)).enumerate() {
                if a != b {
                    cells += 1;
                    (left, right) = (left.min(x), right.max(x));
                }
            }
        }
        let place = match cells {
            // An element has to be there.
            0 => Place {
                x: 0,
                y: 0,
                width: 1,
                height: 1,
            },
            _ => {
                let (left, right) = ((left * CELL) as u32, ((right + 1) * CELL) as u32);
                Place {
                    x: left,
                    y: top,
                    width: right.min(a.width()) - left,
                    height: bottom - top + 1,
                }
            }
        };
        Difference {
            pixels: cells * CELL,
            place,
        }
    }

    /// This place of the picture, transparent where the other is the same.
    fn patch(&self, base: &RgbaImage, image: &RgbaImage) -> Option<RgbaImage> {
        let Place { x, y, width, height } = self.place;
        let row = image.width() as usize * 4;
        let (from, length) = (x as usize * 4, width as usize * 4);
        let mut part = vec![0; length * height as usize];
        for (line, out) in part.chunks_exact_mut(length.max(1)).enumerate() {
            let start = (y as usize + line) * row + from;
            let (old, new) = (
                &base.as_raw()[start..start + length],
                &image.as_raw()[start..start + length],
            );
            let cells = old.chunks(CELL * 4).zip(new.chunks(CELL * 4));
            for ((_, new), out) in cells.zip(out.chunks_mut(CELL * 4)).filter(|((old, new), _)| old != new) {
                out.copy_from_slice(new);
            }
        }
        RgbaImage::from_raw(width, height, part)
    }
}

/// The picture of which this is the difference.
pub(in super::super) fn painted(mut base: RgbaImage, part: &RgbaImage, x: u32, y: u32) -> RgbaImage {
    let (width, height) = base.dimensions();
    for (px, py, pixel) in part.enumerate_pixels().filter(|(.., pixel)| pixel.0[3] != 0) {
        if let (Some(x), Some(y)) = (px.checked_add(x), py.checked_add(y))
            && x < width
            && y < height
        {
            base.put_pixel(x, y, *pixel);
        }
    }
    base
}

fn png(raw: &[u8], (width, height): (u32, u32), colour: ExtendedColorType) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    PngEncoder::new_with_quality(&mut out, CompressionType::Default, FilterType::Adaptive)
        .write_image(raw, width, height, colour)
        .ok()?;
    Some(out)
}

fn jpeg(file: &str, image: &DynamicImage, screen: (u32, u32), keep: Keep) -> Option<Element> {
    let (widest, quality) = match keep {
        Keep::Smaller => (720, 50),
        _ => (1024, 72),
    };
    let size = (image.width(), image.height());
    let scaled = match size.0 > widest {
        true => {
            let height = (u64::from(size.1) * u64::from(widest) / u64::from(size.0)).max(1);
            image.resize_exact(widest, u32::try_from(height).ok()?, imageops::FilterType::Triangle)
        }
        false => image.clone(),
    };
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(&scaled.to_rgb8())
        .ok()?;
    Some(Element {
        file: file.to_string(),
        stored: Stored {
            id: id(file),
            ..Stored::default()
        },
        size: screen,
        mime: "image/jpeg",
        part: screen,
        bytes,
    })
}

impl Element {
    fn png(file: &str, stored: Stored, size: (u32, u32), part: (u32, u32), bytes: Vec<u8>) -> Element {
        Element {
            file: file.to_string(),
            stored,
            size,
            mime: "image/png",
            part,
            bytes,
        }
    }

    /// Each picture is in the page once, however often it is shown.
    fn write(&self, out: &mut String) {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.encode(&self.bytes);
        let Stored { id, base, x, y, .. } = &self.stored;
        let ((width, height), mime) = (self.part, self.mime);
        // Writing to a String cannot fail.
        let _ = match base {
            None => write!(
                out,
                "<image id=\"{id}\" width=\"{}\" height=\"{}\" href=\"data:{mime};base64,{data}\"/>",
                self.size.0, self.size.1
            ),
            Some(base) => write!(
                out,
                "<g id=\"{id}\"><use href=\"#{}\"/><image id=\"{id}-part\" x=\"{x}\" y=\"{y}\" width=\"{width}\" \
                 height=\"{height}\" href=\"data:{mime};base64,{data}\"/></g>",
                self::id(base)
            ),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    fn screen(seed: u32) -> RgbaImage {
        RgbaImage::from_fn(120, 80, |x, y| {
            Rgba([(x * 2) as u8, (y * 3) as u8, (seed % 7) as u8, 255])
        })
    }

    #[test]
    fn a_difference_gives_the_very_picture() {
        let base = screen(0);
        let mut other = base.clone();
        for (x, y) in [(3, 4), (90, 70), (50, 4)] {
            other.put_pixel(x, y, Rgba([9, 200, 9, 255]));
        }
        let patch = |base: &RgbaImage, other: &RgbaImage| {
            let difference = Difference::of(base, other);
            let part = difference.patch(base, other).expect("a part");
            painted(base.clone(), &part, difference.place.x, difference.place.y)
        };
        let Difference { pixels, place } = Difference::of(&base, &other);
        assert_eq!(
            (pixels, place.x, place.y, place.width, place.height),
            (48, 0, 4, 96, 67)
        );
        assert_eq!(patch(&base, &other), other);
        // At the edge, and the same picture again.
        other.put_pixel(119, 79, Rgba([1, 2, 3, 255]));
        assert_eq!(patch(&base, &other), other);
        assert_eq!(patch(&base, &base), base);
    }

    #[test]
    fn a_long_row_of_differences_begins_anew() {
        let mut bases = Vec::new();
        let mut image = screen(0);
        let mut depths = Vec::new();
        for step in 0..60_u32 {
            image.put_pixel(step * 2, step, Rgba([250, step as u8, 9, 255]));
            lossless(&format!("{step}.png"), image.clone(), &mut bases).expect("encoded");
            depths.push(bases.last().expect("a base").depth);
        }
        assert!(
            depths.iter().all(|depth| *depth <= DEPTH) && depths.contains(&DEPTH),
            "{depths:?}"
        );
        assert_eq!(depths.iter().filter(|depth| **depth == 0).count(), 1, "{depths:?}");
    }

    #[test]
    fn films_are_kept_smaller_and_what_decided_is_kept_longest() {
        let dir = tempfile::tempdir().expect("folder");
        let needed: Vec<(String, bool)> = (0..4).map(|i| (format!("{i}.png"), i == 2)).collect();
        for (i, (file, _)) in needed.iter().enumerate() {
            let mut state = 77 + i as u32;
            let image = RgbaImage::from_fn(300, 200, |_, _| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                Rgba([state as u8, (state >> 8) as u8, (state >> 16) as u8, 255])
            });
            image.save(dir.path().join(file)).expect("saved");
        }
        let needed: Vec<Needed<'_>> = needed
            .iter()
            .map(|(file, decided)| Needed {
                file,
                size: (300, 200),
                decided: *decided,
            })
            .collect();
        let source = Source {
            dir: dir.path(),
            earlier: None,
        };
        let exact = |budget| -> Option<Vec<bool>> {
            [Keep::All, Keep::Deciding, Keep::Small]
                .into_iter()
                .find_map(|keep| elements(&source, &needed, keep, budget))
                .map(|all| all.iter().map(|e| e.stored.exact).collect())
        };
        let all = elements(&source, &needed, Keep::All, usize::MAX).expect("all of them");
        let all: usize = all.iter().map(|e| e.bytes.len()).sum();
        assert_eq!(exact(all), Some(vec![true; 4]));
        assert_eq!(exact(all - 1), Some(vec![false, false, true, false]));
        assert_eq!(exact(1000), None);
    }
}
