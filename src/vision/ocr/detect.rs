//! Where text lines are: a segmentation model gives a probability for each pixel; each connected patch is a line.

use std::sync::Arc;

use image::DynamicImage;
use rten::{Model, ModelOptions, RunOptions, ThreadPool};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use super::super::Error;
use super::failed;
use crate::desktop::Rect;

/// A pixel belongs to text from this probability on.
const PIXEL: f32 = 0.3;
/// A patch is text from this mean probability on.
const PATCH: f32 = 0.5;
/// The model marks the core of a line; the line is this much larger (area / perimeter times this, on each side).
const GROW: f32 = 1.6;
/// The model takes sides that are multiples of this.
const STEP: u32 = 32;
/// The smallest patch that can hold a character, in pixels.
const SMALLEST: u32 = 3;

pub(super) struct Detector {
    model: Model,
    threads: Arc<ThreadPool>,
}

impl Detector {
    pub(super) fn load(model: Vec<u8>, threads: usize) -> Result<Detector, Error> {
        let model = ModelOptions::with_all_ops()
            .load(model)
            .map_err(|e| failed("loading the detection model", e))?;
        Ok(Detector {
            model,
            threads: Arc::new(ThreadPool::with_num_threads(threads)),
        })
    }

    /// The rectangles of all lines of an RGB picture, in no order.
    pub(super) fn lines(&self, image: &DynamicImage) -> Result<Vec<Rect>, Error> {
        let (width, height) = (image.width(), image.height());
        if width < SMALLEST || height < SMALLEST {
            return Ok(vec![]);
        }
        let (w, h) = (
            width.next_multiple_of(STEP) as usize,
            height.next_multiple_of(STEP) as usize,
        );
        let options = RunOptions::default().with_thread_pool(Some(self.threads.clone()));
        let output = self.model.run_one(tensor(image, w, h).view().into(), Some(options));
        let output = output.map_err(|e| failed("finding text lines", e))?;
        let output: Tensor<f32> = output
            .try_into()
            .map_err(|_| failed("finding text lines", "not a float tensor"))?;
        let map = output.to_vec();
        if map.len() != w * h {
            return Err(failed(
                "finding text lines",
                format!("{} values for {w}x{h} pixels", map.len()),
            ));
        }
        Ok(patches(&map, w, h)
            .iter()
            .filter_map(|p| p.line(width, height))
            .collect())
    }
}

/// An RGB picture as the models take it: 1 x 3 x h x w, channels B, G, R, values -1 to 1; padded with 0 (grey) at the
/// right and at the bottom.
pub(super) fn tensor(image: &DynamicImage, w: usize, h: usize) -> Tensor<f32> {
    let mut values = vec![0f32; 3 * w * h];
    let width = image.width() as usize;
    let scale: Vec<f32> = (0..256).map(|v| v as f32 / 127.5 - 1.0).collect();
    let (blue, rest) = values.split_at_mut(w * h);
    let (green, red) = rest.split_at_mut(w * h);
    for (y, row) in image.as_bytes().chunks_exact(width.max(1) * 3).enumerate() {
        let (b, g, r) = (&mut blue[y * w..], &mut green[y * w..], &mut red[y * w..]);
        for (((p, b), g), r) in row.chunks_exact(3).zip(b).zip(g).zip(r) {
            *r = scale[p[0] as usize];
            *g = scale[p[1] as usize];
            *b = scale[p[2] as usize];
        }
    }
    Tensor::from_data(&[1, 3, h, w], values)
}

/// A connected patch of likely pixels: inclusive bounds, pixel count, sum of probabilities.
#[derive(Debug, PartialEq)]
struct Patch {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
    count: usize,
    sum: f32,
}

impl Patch {
    /// The line around the patch, clipped to the picture; `None` if it is too small or too unlikely.
    fn line(&self, width: u32, height: u32) -> Option<Rect> {
        let (w, h) = ((self.right - self.left + 1) as f32, (self.bottom - self.top + 1) as f32);
        let smallest = SMALLEST as f32;
        if w < smallest || h < smallest || self.sum / (self.count as f32) < PATCH {
            return None;
        }
        let grow = w * h * GROW / (2.0 * (w + h));
        let x = (self.left as f32 - grow).max(0.0) as u32;
        let y = (self.top as f32 - grow).max(0.0) as u32;
        let right = ((self.right as f32 + 1.0 + grow).ceil() as u32).min(width);
        let bottom = ((self.bottom as f32 + 1.0 + grow).ceil() as u32).min(height);
        // A patch may lie in the padding.
        (right >= x + SMALLEST && bottom >= y + SMALLEST).then(|| Rect::new(x, y, right - x, bottom - y))
    }
}

/// The 8-connected patches of a w x h map, row-major.
fn patches(map: &[f32], w: usize, h: usize) -> Vec<Patch> {
    let mut todo: Vec<bool> = map.iter().map(|p| *p >= PIXEL).collect();
    let mut found = Vec::new();
    let mut stack = Vec::new();
    while let Some(start) = next_true(&todo, found.last().map_or(0, |(s, _)| *s)) {
        let mut patch = Patch {
            left: w,
            top: h,
            right: 0,
            bottom: 0,
            count: 0,
            sum: 0.0,
        };
        todo[start] = false;
        stack.push(start);
        while let Some(i) = stack.pop() {
            let (x, y) = (i % w, i / w);
            patch.left = patch.left.min(x);
            patch.right = patch.right.max(x);
            patch.top = patch.top.min(y);
            patch.bottom = patch.bottom.max(y);
            patch.count += 1;
            patch.sum += map[i];
            for ny in y.saturating_sub(1)..(y + 2).min(h) {
                for nx in x.saturating_sub(1)..(x + 2).min(w) {
                    let j = ny * w + nx;
                    if todo[j] {
                        todo[j] = false;
                        stack.push(j);
                    }
                }
            }
        }
        found.push((start, patch));
    }
    found.into_iter().map(|(_, patch)| patch).collect()
}

fn next_true(flags: &[bool], from: usize) -> Option<usize> {
    flags[from..].iter().position(|f| *f).map(|i| i + from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_connected_also_diagonally() {
        let rows = ["..##....", "....#...", "......##", "#.......", "#......."];
        let map: Vec<f32> = rows
            .iter()
            .flat_map(|r| r.bytes())
            .map(|b| if b == b'#' { 0.9 } else { 0.1 })
            .collect();
        let got = patches(&map, 8, 5);
        let bounds: Vec<_> = got
            .iter()
            .map(|p| (p.left, p.top, p.right, p.bottom, p.count))
            .collect();
        assert_eq!(bounds, [(2, 0, 4, 1, 3), (6, 2, 7, 2, 2), (0, 3, 0, 4, 2)]);
    }

    #[test]
    fn lines_grow_and_stay_inside() {
        let patch = Patch {
            left: 10,
            top: 2,
            right: 109,
            bottom: 11,
            count: 1000,
            sum: 900.0,
        };
        let line = patch.line(112, 50).unwrap();
        assert_eq!((line.x, line.y, line.right(), line.bottom()), (2, 0, 112, 20));
        assert_eq!(Patch { sum: 300.0, ..patch }.line(112, 50), None);
        let padding = Patch {
            left: 120,
            top: 60,
            right: 126,
            bottom: 63,
            count: 28,
            sum: 28.0,
        };
        assert_eq!(padding.line(112, 50), None);
    }

    #[test]
    fn the_tensor_is_bgr_and_padded() {
        let image = DynamicImage::ImageRgb8(image::RgbImage::from_pixel(2, 1, image::Rgb([255, 0, 127])));
        let t = tensor(&image, 4, 2).to_vec();
        assert_eq!(t.len(), 24);
        assert!((t[0] + 0.004).abs() < 0.001 && t[8] == -1.0 && t[16] == 1.0 && t[2] == 0.0 && t[4] == 0.0);
    }
}
