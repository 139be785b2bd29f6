//! Reference images: whether a part of the screen looks as a picture says, and where.
//!
//! A [`Reference`] is compared with a frame by [`Reference::look`], which is pure: at its place, within the margin of its
//! areas, or anywhere. Every area must fit, all displaced alike. What this folder promises: a place that fits is found
//! (`search`); two places that fit equally well are told as such when a reference may be anywhere; what does not fit comes
//! with the nearest place and its similarity. [`References`] asks for text areas, and puts references before other vision.

mod diff;
mod explain;
mod kernel;
mod look;
mod parts;
mod pattern;
mod plane;
mod rung;
mod search;
#[cfg(test)]
mod tests;

pub use explain::Explanation;
pub use look::{Match, Outcome};
pub use rung::References;

use self::pattern::Pattern;
use super::Error;
use crate::desktop::{Frame, Point, Rect};
use crate::scenario;
use crate::scenario::AreaKind;
use image::{DynamicImage, ImageFormat, RgbImage};

/// A reference image, prepared for comparing.
pub struct Reference {
    name: String,
    variants: Vec<Variant>,
}

/// One picture of a reference.
pub(crate) struct Variant {
    display: Option<(u32, u32)>,
    size: (u32, u32),
    patterns: Vec<Pattern>,
    texts: Vec<Text>,
    /// Where a click goes, in pixels of the picture.
    click: Point,
    /// Around all areas, and the picture there.
    bounds: Rect,
    picture: RgbImage,
    source: scenario::Variant,
}

/// An area that has to show a text.
struct Text {
    area: Rect,
    text: String,
}

/// What a target says about a reference.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The picture.
    pub reference: std::sync::Arc<Reference>,
    /// Over the whole screen, not only at its place.
    pub anywhere: bool,
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Wanted) -> bool {
        let digests = |w: &Wanted| {
            w.reference
                .variants
                .iter()
                .map(|v| v.source.digest.clone())
                .collect::<Vec<_>>()
        };
        self.anywhere == other.anywhere
            && self.reference.name == other.reference.name
            && digests(self) == digests(other)
    }
}

impl Eq for Wanted {}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reference")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Reference {
    /// Prepares a reference.
    ///
    /// # Errors
    /// [`Error::Target`] where a picture cannot be read; the loader of scenarios refuses such ones before.
    pub fn new(source: &scenario::Reference) -> Result<Reference, Error> {
        let prepare = |v: &scenario::Variant| {
            Variant::new(v).map_err(|why| Error::Target(format!("the picture of reference '{}': {why}", source.name)))
        };
        Ok(Reference {
            name: source.name.clone(),
            variants: source.variants.iter().map(prepare).collect::<Result<_, _>>()?,
        })
    }

    /// As the scenario names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The variant for a screen of this size.
    ///
    /// # Errors
    /// [`Error::Target`] where there are variants for other sizes only.
    pub(crate) fn variant(&self, size: (u32, u32)) -> Result<&Variant, Error> {
        let own = self.variants.iter().find(|v| v.display == Some(size));
        own.or(self.variants.iter().find(|v| v.display.is_none())).ok_or_else(|| {
            let sizes = self.variants.iter().filter_map(|v| v.display);
            let sizes: Vec<String> = sizes.map(|(w, h)| format!("{w}x{h}")).collect();
            Error::Target(format!(
                "the reference '{}' is for screens of {}, and this one is {}x{}; add '{}@{}x{}.png' or one for all, '{}.png'",
                self.name,
                sizes.join(", "),
                size.0,
                size.1,
                self.name,
                size.0,
                size.1,
                self.name
            ))
        })
    }

    /// Compares with a frame. Takes some milliseconds, and tens of them with `anywhere`: not for threads that serve others.
    /// Areas that have to show a text are not looked at: [`References`] does that.
    ///
    /// # Errors
    /// [`Error::Target`] where there is no variant for a screen of this size, or nothing to look for anywhere.
    pub fn look(&self, frame: &Frame, anywhere: bool) -> Result<Outcome, Error> {
        let variant = self.variant((frame.width(), frame.height()))?;
        if anywhere && variant.patterns.iter().all(Pattern::is_flat) {
            return Err(Error::Target(format!(
                "the reference '{}' shows nothing but plain areas, which cannot be looked for anywhere; let an area show more",
                self.name
            )));
        }
        Ok(variant.look(frame, anywhere))
    }
}

impl Variant {
    fn new(source: &scenario::Variant) -> Result<Variant, String> {
        let picture = image::load_from_memory_with_format(&source.png, ImageFormat::Png).map_err(|e| e.to_string())?;
        // Converted inside `image`, which is optimised in our debug builds too.
        let picture = DynamicImage::into_rgb8(picture);
        let excluded: Vec<&scenario::Area> = source.areas.iter().filter(|a| a.kind == AreaKind::Exclude).collect();
        let patterns: Vec<Pattern> = source
            .areas
            .iter()
            .filter_map(|area| Pattern::new(&picture, area, &excluded))
            .collect();
        let rect = |a: &scenario::Area| Rect::new(a.x, a.y, a.width, a.height);
        let texts: Vec<Text> = source
            .areas
            .iter()
            .filter_map(|area| match &area.kind {
                AreaKind::Ocr { text } => Some(Text {
                    area: rect(area),
                    text: text.clone(),
                }),
                _ => None,
            })
            .collect();
        let of_kind = |wanted: fn(&AreaKind) -> bool| -> Vec<Rect> {
            source.areas.iter().filter(|a| wanted(&a.kind)).map(rect).collect()
        };
        let matches = of_kind(|k| matches!(k, AreaKind::Match { .. }));
        let counting = of_kind(|k| *k != AreaKind::Exclude);
        let last = |rects: &[Rect]| rects.last().copied();
        let around = counting.iter().copied().reduce(|a, b| a.union(&b));
        let bounds = around.ok_or("it has no areas")?;
        let click = match source.click {
            Some((x, y)) => Point::new(x, y),
            None => last(&matches).or(last(&counting)).unwrap_or(bounds).center(),
        };
        let picture = image::imageops::crop_imm(&picture, bounds.x, bounds.y, bounds.width, bounds.height).to_image();
        Ok(Variant {
            display: source.display,
            size: source.size,
            patterns,
            texts,
            click,
            bounds,
            picture,
            source: source.clone(),
        })
    }

    /// SHA-256 of the files that it was made from, hexadecimal.
    pub(crate) fn digest(&self) -> &str {
        &self.source.digest
    }
}
