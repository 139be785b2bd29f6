//! Several areas at once: the one displacement at which all of them fit.

use super::Variant;
use super::parts;
use super::pattern::Pattern;
use super::plane::Seen;
use super::search::{self, Place, Window};
use crate::desktop::{Frame, Point, Rect};
use std::borrow::Cow;

/// Similarities that differ by less are equally good.
const EQUAL: f64 = 0.02;
/// Places of one area that are looked at more closely, and kept of those that overlap.
const CANDIDATES: usize = 5000;
const KEPT: usize = 64;
/// Of the places that do not fit, so many are compared in full to tell the nearest.
const TOLD: usize = 4;

/// A place where a reference was compared with a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// How far from its own place: to the right and down, in pixels.
    pub moved: (i32, i32),
    /// Similarity of the area that fits least, 0 to 1.
    pub similarity: f64,
    /// Each match area: where it was on the frame, its similarity, and the similarity that it needs.
    pub areas: Vec<(Rect, f64, f64)>,
    /// Around all match areas, on the frame.
    pub rect: Rect,
    /// Where to click.
    pub point: Point,
}

/// How a comparison ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All areas fit here.
    Found(Match),
    /// All areas fit here and here, equally well; in reading order.
    Several(Vec<Match>),
    /// They fit nowhere; what is nearest to it.
    Missing(Option<Match>),
}

impl Match {
    /// True if every area is as similar as it has to be.
    pub fn fits(&self) -> bool {
        self.areas.iter().all(|(_, similarity, least)| similarity >= least)
    }
}

impl Variant {
    /// Compares the match areas with a frame; a reference that has none is at its own place.
    pub(super) fn look(&self, frame: &Frame, anywhere: bool) -> Outcome {
        let (screen_width, screen_height) = (frame.width(), frame.height());
        let Some(primary) = self.primary() else {
            // Nothing to displace the areas by: plain ones, or text alone.
            let own = self.crop(frame, 0).and_then(|seen| self.at(&seen, (0, 0)));
            return match own {
                Some(own) if own.fits() => Outcome::Found(own),
                other => Outcome::Missing(other),
            };
        };
        let margin = self.patterns.iter().map(|p| p.margin).min().unwrap_or(0);
        let seen = match anywhere {
            true => Some(Seen::new(Cow::Borrowed(frame.image()), 0, 0)),
            false => self.crop(frame, margin),
        };
        let limits = match anywhere {
            true => (screen_width.max(self.size.0), screen_height.max(self.size.1)),
            false => (margin, margin),
        };
        let Some((seen, window)) = seen.and_then(|seen| window(primary, &seen, limits).map(|w| (seen, w))) else {
            return Outcome::Missing(None);
        };
        let mut places = search::all(&seen.plane, primary, window, primary.similarity);
        places.sort_by(|a, b| self.order(&seen, primary, a, b));
        places.truncate(CANDIDATES);
        let fitting = places.iter().filter_map(|p| self.rough(&seen, primary, p));
        let mut kept: Vec<Match> = distinct(fitting.collect(), primary)
            .into_iter()
            .filter_map(|m| self.at(&seen, m.0))
            .filter(Match::fits)
            .collect();
        let Some(best) = kept.iter().map(|m| m.similarity).max_by(f64::total_cmp) else {
            return Outcome::Missing(self.nearest(&seen, primary, window));
        };
        kept.retain(|m| m.similarity >= best - EQUAL);
        // At its place the nearest of those that fit equally is meant; anywhere, that would be a guess.
        kept.sort_by_key(|m| far(m.moved));
        if !anywhere || kept.len() == 1 {
            return match kept.into_iter().next() {
                Some(only) => Outcome::Found(only),
                None => Outcome::Missing(None),
            };
        }
        kept.sort_by_key(|m| (m.rect.y, m.rect.x));
        Outcome::Several(kept)
    }

    /// The area that is looked for first: the one with most structure.
    fn primary(&self) -> Option<&Pattern> {
        let structured = self.patterns.iter().filter(|p| !p.is_flat());
        structured.max_by(|a, b| a.energy.total_cmp(&b.energy))
    }

    /// The part of the frame in which the areas may be. None where they lie outside of it.
    fn crop<'a>(&self, frame: &'a Frame, margin: u32) -> Option<Seen<'a>> {
        let (x, y) = (
            self.bounds.x.saturating_sub(margin),
            self.bounds.y.saturating_sub(margin),
        );
        let right = (self.bounds.right() + margin).min(frame.width());
        let bottom = (self.bounds.bottom() + margin).min(frame.height());
        (x < right && y < bottom).then(|| {
            let part = image::imageops::crop_imm(frame.image(), x, y, right - x, bottom - y).to_image();
            Seen::new(Cow::Owned(part), x, y)
        })
    }

    fn displacement(&self, seen: &Seen, primary: &Pattern, place: &Place) -> (i32, i32) {
        let from = |seen: u32, at: usize, own: u32| (i64::from(seen) + at as i64 - i64::from(own)) as i32;
        (from(seen.left, place.x, primary.x), from(seen.top, place.y, primary.y))
    }

    /// Best first, and of equals the one that has moved least.
    fn order(&self, seen: &Seen, primary: &Pattern, a: &Place, b: &Place) -> std::cmp::Ordering {
        let moved = |p: &Place| far(self.displacement(seen, primary, p));
        b.similarity
            .total_cmp(&a.similarity)
            .then_with(|| moved(a).cmp(&moved(b)))
    }

    /// The displacement at a place of the primary area, and the least similarity of all areas over their wholes; none
    /// where one does not fit.
    fn rough(&self, seen: &Seen, primary: &Pattern, place: &Place) -> Option<((i32, i32), f64)> {
        let moved = self.displacement(seen, primary, place);
        let mut least = place.similarity;
        for pattern in self.patterns.iter().filter(|p| !std::ptr::eq(*p, primary)) {
            let (x, y) = place_in(pattern, seen, moved)?;
            let similarity = match pattern.is_flat() {
                true => pattern.colours_at(seen, x, y),
                false => pattern.similarity_at(&seen.plane, x, y),
            };
            if similarity < pattern.similarity {
                return None;
            }
            least = least.min(similarity);
        }
        Some((moved, least))
    }

    /// All areas at a displacement, compared in full. None where one of them would lie outside.
    fn at(&self, seen: &Seen, moved: (i32, i32)) -> Option<Match> {
        let shift = |at: u32, by: i32| u32::try_from(i64::from(at) + i64::from(by)).ok();
        let mut areas = Vec::new();
        for pattern in &self.patterns {
            let (x, y) = place_in(pattern, seen, moved)?;
            let rect = Rect::new(
                seen.left + x as u32,
                seen.top + y as u32,
                pattern.width as u32,
                pattern.height as u32,
            );
            areas.push((rect, parts::similarity(pattern, seen, x, y), pattern.similarity));
        }
        let whole = areas
            .iter()
            .map(|a| a.0)
            .reduce(|a, b| a.union(&b))
            .unwrap_or(self.bounds);
        Some(Match {
            moved,
            similarity: areas.iter().map(|a| a.1).fold(1.0, f64::min),
            areas,
            rect: whole,
            point: Point::new(shift(self.click.x, moved.0)?, shift(self.click.y, moved.1)?),
        })
    }

    /// What is most similar, where nothing fits.
    fn nearest(&self, seen: &Seen, primary: &Pattern, window: Window) -> Option<Match> {
        let places = search::nearest(&seen.plane, primary, window);
        let places = places.iter().take(TOLD).map(|p| self.displacement(seen, primary, p));
        // At its own place, too: the other areas may be similar there.
        let matches = places.chain([(0, 0)]).filter_map(|moved| self.at(seen, moved));
        matches.max_by(|a, b| a.similarity.total_cmp(&b.similarity))
    }
}

/// The places of the primary area's corner in `seen` at which it lies inside and has moved by no more than `limits`.
fn window(primary: &Pattern, seen: &Seen, limits: (u32, u32)) -> Option<Window> {
    let range = |own: u32, limit: u32, seen_from: u32, whole: usize, length: usize| {
        let from = own.saturating_sub(limit).max(seen_from) - seen_from;
        let last = (own.saturating_add(limit) as usize).checked_sub(seen_from as usize)?;
        let to = last.min(whole.checked_sub(length)?);
        (from as usize <= to).then_some((from as usize, to))
    };
    Some(Window {
        x: range(primary.x, limits.0, seen.left, seen.plane.width, primary.width)?,
        y: range(primary.y, limits.1, seen.top, seen.plane.height, primary.height)?,
    })
}

/// The place of an area's corner in `seen` when it has moved; none where it does not lie inside.
fn place_in(pattern: &Pattern, seen: &Seen, moved: (i32, i32)) -> Option<(usize, usize)> {
    let inside = |own: u32, by: i32, from: u32, whole: usize, length: usize| {
        let at = usize::try_from(i64::from(own) + i64::from(by) - i64::from(from)).ok()?;
        (at + length <= whole).then_some(at)
    };
    Some((
        inside(pattern.x, moved.0, seen.left, seen.plane.width, pattern.width)?,
        inside(pattern.y, moved.1, seen.top, seen.plane.height, pattern.height)?,
    ))
}

/// The best of those whose primary areas overlap by more than half.
fn distinct(mut all: Vec<((i32, i32), f64)>, primary: &Pattern) -> Vec<((i32, i32), f64)> {
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| far(a.0).cmp(&far(b.0))));
    let (width, height) = (primary.width as u32 / 2, primary.height as u32 / 2);
    let mut kept: Vec<((i32, i32), f64)> = Vec::new();
    for one in all {
        let near =
            |other: &((i32, i32), f64)| one.0.0.abs_diff(other.0.0) <= width && one.0.1.abs_diff(other.0.1) <= height;
        if !kept.iter().any(near) {
            kept.push(one);
            if kept.len() == KEPT {
                break;
            }
        }
    }
    kept
}

/// The square of a displacement's length.
fn far((x, y): (i32, i32)) -> i64 {
    i64::from(x) * i64::from(x) + i64::from(y) * i64::from(y)
}
