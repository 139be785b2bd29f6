//! Finding every place that is similar enough, without comparing every pixel of every place.
//!
//! No place is missed: what is left out has a proved upper bound below the wanted similarity. First by mean and variance, a
//! row of places at a time, from sums (`Plane::add_moments`); then by squares, larger ones before smaller ones (`kernel`). An
//! exact copy has its exact value in squares of any size, wherever it lies.

use super::kernel::Kernels;
use super::pattern::Pattern;
use super::plane::{Coarse, Plane};
use rayon::prelude::*;

/// Places to look at: ranges of the area's upper left corner, in pixels of the plane, ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub x: (usize, usize),
    pub y: (usize, usize),
}

/// A place and its similarity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub x: usize,
    pub y: usize,
    pub similarity: f64,
}

/// Places whose similarity is worked out where none fits, to tell the best.
const GUESSES: usize = 24;
/// Squares in which the first look for these is taken: it is taken nearly everywhere.
const SQUARES: usize = 128;
/// Places with no more of the area's energy than this are not looked at then.
const PLAIN: f64 = 0.05;
/// Less similar is not worth telling.
const SOMETHING: f64 = 0.3;
/// What sums in 32 bits may be wrong by, in square gray levels and in gray levels.
const ERROR: f32 = 0.25;

/// Every place in the window whose similarity over the whole area is at least `least`.
pub(super) fn all(plane: &Plane, pattern: &Pattern, window: Window, least: f64) -> Vec<Place> {
    let mut levels = pattern.kernels().iter();
    let mut places = alike(plane, pattern, window, least, levels.next());
    for kernels in levels {
        // A few are compared sooner than the screen is put in squares.
        if places.len() <= pattern.few() {
            break;
        }
        let coarse = plane.coarse(kernels.step);
        let may_fit = |place: &(u32, u32)| {
            let (x, y) = (place.0 as usize, place.1 as usize);
            may_fit(plane, pattern, (kernels, &coarse), (x, y), least)
        };
        places = places.into_par_iter().filter(may_fit).collect();
    }
    let exact = |place: (u32, u32)| {
        let (x, y) = (place.0 as usize, place.1 as usize);
        let similarity = pattern.similarity_at(plane, x, y);
        (similarity >= least).then_some(Place { x, y, similarity })
    };
    places.into_par_iter().filter_map(exact).collect()
}

/// False only where the similarity is less.
fn may_fit(
    plane: &Plane,
    pattern: &Pattern,
    (kernels, coarse): (&Kernels, &Coarse),
    (x, y): (usize, usize),
    least: f64,
) -> bool {
    let (mean, energy) = pattern.moments(plane, x, y);
    let bound = kernels.project(coarse, x, y, mean).bound(pattern, energy);
    2.0 * bound * pattern.brightness(mean) >= least * (pattern.energy + energy)
}

/// The places whose mean and variance are near enough to the area's and which the squares do not rule out, in the order of
/// reading.
fn alike(plane: &Plane, pattern: &Pattern, window: Window, least: f64, first: Option<&Kernels>) -> Vec<(u32, u32)> {
    let squares = first.map(|kernels| (kernels, plane.coarse(kernels.step)));
    let (means, variances) = pattern.tolerances(least);
    let (least_mean, most_mean) = (means.0 as f32 - ERROR, means.1 as f32 + ERROR);
    let (least_variance, most_variance) = (variances.0 as f32 - ERROR, variances.1 as f32 + ERROR);
    let share = (1.0 / pattern.count) as f32;
    let count = window.x.1 + 1 - window.x.0;
    let row = |y: usize| {
        let mut moments = vec![(0.0f32, 0.0f32); count];
        for p in &pattern.pieces {
            plane.add_moments(window.x.0 + p.x, y + p.y, (p.width, p.height), &mut moments);
        }
        let mut found = Vec::new();
        for (x, (sum, squared)) in (window.x.0..).zip(moments) {
            let mean = sum * share;
            let variance = squared * share - mean * mean;
            let near =
                (mean >= least_mean) & (mean <= most_mean) & (variance >= least_variance) & (variance <= most_variance);
            let rest = || match &squares {
                Some((kernels, coarse)) => may_fit(plane, pattern, (kernels, coarse), (x, y), least),
                None => true,
            };
            if near && rest() {
                found.push((x as u32, y as u32));
            }
        }
        found
    };
    let rows = (window.y.0..window.y.1 + 1).into_par_iter();
    rows.flat_map_iter(row).collect()
}

/// The places in the window that are most similar, best first. For telling what was nearest: a better one may be missed.
pub(super) fn nearest(plane: &Plane, pattern: &Pattern, window: Window) -> Vec<Place> {
    let kernels = pattern.kernels();
    if kernels.is_empty() {
        // Too small for squares, and so soon compared.
        let mut places = all(plane, pattern, window, SOMETHING);
        places.sort_by(|a, b| by_similarity(b, a));
        places.truncate(GUESSES);
        return places;
    }
    let few = |k: &Kernels| pattern.squares(k.step) <= SQUARES;
    let first = kernels.iter().rposition(few).unwrap_or(0);
    let mut guesses: Vec<Place> = Vec::new();
    // How far a place may be from the nearest look.
    let mut reach = 0;
    for (i, kernels) in kernels.iter().enumerate().skip(first) {
        let coarse = plane.coarse(kernels.step);
        let guess = |x: usize, y: usize| {
            let (mean, energy) = pattern.moments(plane, x, y);
            // Most of a screen is plain, and no guess is needed.
            let similarity = match energy < PLAIN * pattern.energy {
                true => 0.0,
                false => kernels.project(&coarse, x, y, mean).guess() * pattern.brightness(mean),
            };
            Place { x, y, similarity }
        };
        // Squares see little difference between places that are nearer to each other than half of their size.
        let step = (kernels.step / 2).max(2);
        if i == first {
            let rows = (window.y.0..window.y.1 + 1).into_par_iter().step_by(step);
            let columns = || (window.x.0..window.x.1 + 1).step_by(step);
            guesses = rows
                .filter_map(|y| columns().map(|x| guess(x, y)).max_by(by_similarity))
                .collect();
            guesses.sort_by(|a, b| by_similarity(b, a));
            guesses.truncate(GUESSES);
        } else {
            guesses = best_around(guesses, window, reach, step, guess);
        }
        reach = step;
    }
    let exact = |x: usize, y: usize| Place {
        x,
        y,
        similarity: pattern.similarity_at(plane, x, y),
    };
    let mut places = best_around(guesses, window, reach, 1, exact);
    places.sort_by(|a, b| by_similarity(b, a));
    places
}

/// For each place the best of those around it, up to `reach` away and `step` apart.
fn best_around(
    places: Vec<Place>,
    window: Window,
    reach: usize,
    step: usize,
    look: impl Fn(usize, usize) -> Place + Sync,
) -> Vec<Place> {
    let around = |at: usize, (from, to): (usize, usize)| {
        let offsets = (0..=2 * reach)
            .step_by(step)
            .filter_map(move |by| (at + by).checked_sub(reach));
        offsets.filter(move |at| (from..=to).contains(at))
    };
    let best = |place: Place| {
        let near = around(place.y, window.y).flat_map(|y| around(place.x, window.x).map(move |x| (x, y)));
        near.map(|(x, y)| look(x, y)).max_by(by_similarity)
    };
    places.into_par_iter().filter_map(best).collect()
}

fn by_similarity(a: &Place, b: &Place) -> std::cmp::Ordering {
    a.similarity.total_cmp(&b.similarity)
}
