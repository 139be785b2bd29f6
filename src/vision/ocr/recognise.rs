//! What a text line says: a model gives, for each time step along the line, a probability for each character; greedy
//! CTC decoding makes a text of it, and the steps give the places of the words.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::DynamicImage;
use image::imageops::FilterType;
use rten::ctc::CtcDecoder;
use rten::{Model, ModelOptions, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

use super::super::Error;
use super::detect::tensor;
use super::{Line, Word, failed};
use crate::desktop::Rect;

/// The model reads lines of this height.
const HEIGHT: u32 = 48;
/// Widths are rounded up to this.
const STEP: u32 = 8;
/// A line this much longer than high is no text line but an artefact; longer ones are read compressed.
const MAX_WIDTH: u32 = 8192;

pub(super) struct Recogniser {
    model: Model,
    /// The character of each class; class 0 is CTC's blank.
    characters: Vec<String>,
    /// A pool of one thread for each line that is read at the same time.
    threads: Vec<Arc<ThreadPool>>,
}

/// A line's words; places are fractions of the line's width, so that a cached reading fits wherever the line stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    words: Vec<ReadWord>,
}

#[derive(Debug, Clone, PartialEq)]
struct ReadWord {
    text: String,
    from: f32,
    to: f32,
    confidence: f32,
    doubts: Vec<usize>,
}

impl Recogniser {
    pub(super) fn load(model: Vec<u8>, threads: usize) -> Result<Recogniser, Error> {
        let model = ModelOptions::with_all_ops()
            .load(model)
            .map_err(|e| failed("loading the reading model", e))?;
        let list = model.metadata().get("character");
        let list = list.ok_or_else(|| failed("loading the reading model", "it has no list of characters"))?;
        let listed = list.split('\n').map(str::to_string);
        let characters = std::iter::once(String::new())
            .chain(listed)
            .chain([" ".to_string()])
            .collect();
        let threads = (0..threads.max(1))
            .map(|_| Arc::new(ThreadPool::with_num_threads(1)))
            .collect();
        Ok(Recogniser {
            model,
            characters,
            threads,
        })
    }

    /// Calls `read` for every item, several at the same time, with the pool that it has to use; in the items' order.
    ///
    /// Plain threads, not a rayon pool: a rayon worker that waits for a model takes up another line meanwhile, and in the
    /// end all lines are under way at once.
    pub(super) fn each<I: Sync, T: Send>(
        &self,
        items: &[I],
        read: impl Fn(&I, &Arc<ThreadPool>) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        let next = AtomicUsize::new(0);
        let work = |pool: &Arc<ThreadPool>| {
            let mut done = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(i) else { return done };
                done.push((i, read(item, pool)));
            }
        };
        let mut all = std::thread::scope(|scope| {
            let started: Vec<_> = self.threads.iter().map(|pool| scope.spawn(|| work(pool))).collect();
            let joined: Result<Vec<_>, _> = started.into_iter().map(|t| t.join()).collect();
            joined.map_err(|_| failed("reading text lines", "a thread panicked"))
        })?
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
        all.sort_by_key(|(i, _)| *i);
        all.into_iter().map(|(_, result)| result).collect()
    }

    /// Reads one line from an RGB picture of it, on the threads of `pool`.
    pub(super) fn read(&self, line: &DynamicImage, pool: &Arc<ThreadPool>) -> Result<Reading, Error> {
        let scaled = (line.width() * HEIGHT)
            .div_ceil(line.height().max(1))
            .clamp(1, MAX_WIDTH);
        let width = scaled.max(16).next_multiple_of(STEP);
        let picture = line.resize_exact(scaled, HEIGHT, FilterType::Triangle);
        let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
        let input = tensor(&picture, width as usize, HEIGHT as usize);
        let output = self.model.run_one(input.view().into(), Some(options));
        let output = output.map_err(|e| failed("reading a text line", e))?;
        let output: Tensor<f32> = output
            .try_into()
            .map_err(|_| failed("reading a text line", "not a float tensor"))?;
        let &[1, steps, classes] = output.shape() else {
            return Err(failed(
                "reading a text line",
                format!("output has shape {:?}", output.shape()),
            ));
        };
        if classes != self.characters.len() {
            let reason = format!("{classes} classes for {} characters", self.characters.len());
            return Err(failed("reading a text line", reason));
        }
        if steps == 0 {
            return Ok(Reading { words: vec![] });
        }
        let probabilities: NdTensor<f32, 2> = output
            .into_shape([steps, classes].as_slice())
            .try_into()
            .map_err(|_| failed("reading a text line", "output has no rows"))?;
        // rten's decoder rather than a loop here: it runs over millions of values and is optimised in debug builds too.
        let best: Vec<Peak> = CtcDecoder::new()
            .decode_greedy(probabilities.view())
            .steps()
            .iter()
            .map(|s| {
                let (class, at) = (s.label as usize, s.pos as usize);
                let probability = probabilities[[at, class]];
                let rival = |c: &usize| *c != class && probabilities[[at, *c]] >= RIVAL;
                let rivals = (probability < SURE).then(|| (0..classes).filter(rival).collect());
                Peak {
                    class,
                    at,
                    probability,
                    rivals: rivals.unwrap_or_default(),
                }
            })
            .collect();
        // The padding right of the picture takes part of the steps.
        let step = width as f32 / scaled as f32 / steps.max(1) as f32;
        Ok(Reading {
            words: decode(&best, &self.characters, step),
        })
    }
}

/// A character the decoder found: its class, its time step, and how probable it is.
struct Peak {
    class: usize,
    at: usize,
    probability: f32,
    /// What else it may be.
    rivals: Vec<usize>,
}

/// A letter that is read rightly on a plain screen is above 0.98; an `l` taken for a `1` was at 0.75, with `I` at 0.18.
const SURE: f32 = 0.85;
const RIVAL: f32 = 0.08;

/// True if a letter or digit may as well be another one, or a stroke that looks like one.
fn is_doubtful(read: &str, rivals: &[&str]) -> bool {
    let other = |rival: &&str| {
        rival.chars().all(|c| c.is_ascii_alphanumeric() || "|/!".contains(c))
            && !rival.is_empty()
            && !rival.eq_ignore_ascii_case(read)
    };
    read.chars().all(char::is_alphanumeric) && rivals.iter().any(other)
}

/// Words from characters; spaces end words. `step` is the width of a time step as a fraction of the line.
fn decode(peaks: &[Peak], characters: &[String], step: f32) -> Vec<ReadWord> {
    let mut words = Vec::new();
    let mut word: Option<(ReadWord, u32)> = None;
    let finish = |(mut w, n): (ReadWord, u32)| {
        w.confidence /= n as f32;
        // In words, the letters around it tell a letter (`l` in `alice` is no `I`); in numbers and codes nothing does.
        if !w.text.contains(|c: char| c.is_ascii_digit()) {
            w.doubts.clear();
        }
        w
    };
    for peak in peaks {
        let character = characters.get(peak.class).map_or("", String::as_str);
        if character.trim().is_empty() {
            words.extend(word.take().map(finish));
            continue;
        }
        // A peak stands near the middle of its character: half a step more on each side.
        let (from, to) = (
            (peak.at as f32 - 0.5).max(0.0) * step,
            ((peak.at as f32 + 1.5) * step).min(1.0),
        );
        let empty = ReadWord {
            text: String::new(),
            from,
            to,
            confidence: 0.0,
            doubts: Vec::new(),
        };
        let (w, n) = word.get_or_insert((empty, 0));
        w.text.push_str(character);
        w.to = to;
        w.confidence += peak.probability;
        let rivals: Vec<&str> = peak
            .rivals
            .iter()
            .filter_map(|c| characters.get(*c))
            .map(String::as_str)
            .collect();
        if is_doubtful(character, &rivals) {
            w.doubts.push(w.text.chars().count() - 1);
        }
        *n += 1;
    }
    words.extend(word.map(finish));
    words
}

impl Reading {
    /// The line at its place; `None` if nothing was read.
    pub(super) fn into_line(self, at: &Rect) -> Option<Line> {
        let place = |w: &ReadWord| {
            let x = at.x + (w.from * at.width as f32) as u32;
            let right = at.x + ((w.to * at.width as f32).ceil() as u32).min(at.width);
            Rect::new(x, at.y, right.saturating_sub(x).max(1), at.height)
        };
        let word = |w: &ReadWord| Word {
            text: w.text.clone(),
            rect: place(w),
            confidence: w.confidence,
            doubts: w.doubts.clone(),
        };
        let words: Vec<Word> = self.words.iter().map(word).collect();
        let rect = words.iter().map(|w| w.rect).reduce(|a, b| a.union(&b))?;
        let text = words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
        Some(Line { text, rect, words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_spaces_and_know_their_places() {
        let characters: Vec<String> = ["", "a", "b", " "].map(String::from).into();
        let peaks = [(1, 1), (1, 4), (3, 5), (2, 7)];
        let peaks = peaks.map(|(class, at)| Peak {
            class,
            at,
            probability: 0.8,
            rivals: if at == 4 { vec![2] } else { vec![3] },
        });
        let words = decode(&peaks, &characters, 0.1);
        let texts: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
        assert_eq!(texts, ["aa", "b"]);
        assert!(
            words.iter().all(|w| w.doubts.is_empty()),
            "letters of a word tell each other"
        );
        assert!((words[0].from - 0.05).abs() < 1e-6 && (words[0].to - 0.55).abs() < 1e-6);
        assert!((words[0].confidence - 0.8).abs() < 1e-6);
        let line = Reading { words }.into_line(&Rect::new(100, 20, 200, 16)).unwrap();
        assert_eq!(line.text, "aa b");
        assert_eq!(line.words[1].rect, Rect::new(230, 20, 40, 16));
        assert_eq!(Reading { words: vec![] }.into_line(&line.rect), None);
    }

    #[test]
    fn a_letter_of_a_number_may_be_another() {
        let characters: Vec<String> = ["", "1", "I", " "].map(String::from).into();
        let peak = |at, rivals: &[usize]| Peak {
            class: 1,
            at,
            probability: 0.75,
            rivals: rivals.to_vec(),
        };
        let peaks = [peak(1, &[]), peak(4, &[2]), peak(7, &[3])];
        let words = decode(&peaks, &characters, 0.1);
        assert_eq!(words[0].doubts, [1], "a space is no rival of a digit");
    }
}
