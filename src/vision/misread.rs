//! Whether a text that was not read may be on the screen all the same: read wrongly, or divided over lines.
//!
//! The wanted text is aligned with every stretch of the read text, on rows and over the ends of lines. A stretch may be
//! the wanted text if it is similar and either the reader was not certain of it, or it differs only in what readers
//! confuse (`l` and `1`, `rn` and `m`, spaces, accents, a doubled letter). A text that was read with certainty and has
//! another letter is another text: `Save` is not `Saved`.

use super::text::{in_words, normalise, normalise_word, number_goes_on, rows};
use super::{Line, Word};

/// A stretch at least this similar may be the wanted text.
const NEAR_MISS: f64 = 0.7;
/// The reader was certain of a word from here on. What it reads rightly on a plain screen is above 0.99, its nonsense for icons below.
const CERTAIN: f32 = 0.9;
/// What the two kinds of difference cost, in tenths of a letter.
const HARD: u32 = 10;
const SOFT: u32 = 3;
/// A piece this long, left over of a word, may be a word of its own whose space was not read.
const PIECE: usize = 3;

/// The stretch of read text that may be the wanted text, misread. Places where the text was read letter by letter are
/// left out; `exact` regards case.
pub(super) fn misread(lines: &[Line], wanted: &str, exact: bool) -> Option<String> {
    let wanted = normalise(wanted, exact);
    let needle: Vec<char> = wanted.chars().filter(|c| *c != ' ').collect();
    if needle.is_empty() {
        return None;
    }
    let mut rows = rows(lines);
    // Over the end of a line only a text of several words can go on.
    if wanted.contains(' ') {
        rows.extend(wrapped(lines));
    }
    let best = rows.iter().filter_map(|words| nearest(words, &needle, &wanted, exact));
    best.min_by_key(|(cost, _)| *cost).map(|(_, text)| text)
}

/// Lines that may be one text with the lines below them: each line with up to three that go on in the same column.
pub(super) fn wrapped(lines: &[Line]) -> Vec<Vec<Word>> {
    let below = |line: &Line| {
        let (a, mut found) = (&line.rect, None::<&Line>);
        for other in lines {
            let b = &other.rect;
            let tall = a.height.max(b.height);
            let alike = tall * 2 <= a.height.min(b.height) * 3;
            let next = b.y + b.height / 3 >= a.bottom() && b.y.saturating_sub(a.bottom()) <= tall;
            // Text goes on at the left edge, or in the middle of the column if it is centred.
            let aligned = a.x.abs_diff(b.x) <= tall * 2 || (a.x + a.right()).abs_diff(b.x + b.right()) <= tall * 2;
            if alike && next && aligned && found.is_none_or(|f| b.y < f.rect.y) {
                found = Some(other);
            }
        }
        found
    };
    let mut out = Vec::new();
    for line in lines {
        let mut words = line.words.clone();
        let mut last = line;
        for _ in 0..3 {
            let Some(next) = below(last) else { break };
            words.extend(next.words.iter().cloned());
            last = next;
        }
        if words.len() > line.words.len() {
            out.push(words);
        }
    }
    out
}

/// A character of the read text.
struct Letter {
    c: char,
    word: usize,
    /// Letters of its word before it, and from it on.
    before: usize,
    from: usize,
}

fn letters(words: &[Word], exact: bool) -> Vec<Letter> {
    let mut out = Vec::new();
    for (word, text) in words.iter().enumerate() {
        let normal: Vec<char> = normalise_word(&text.text, exact).chars().collect();
        out.extend(normal.iter().enumerate().map(|(i, c)| Letter {
            c: *c,
            word,
            before: i,
            from: normal.len() - i,
        }));
    }
    out
}

/// True if a number goes on over this place.
fn in_number(letters: &[Letter], at: usize) -> bool {
    let word = letters.get(at).map(|l| l.word);
    let letter = |i: Option<usize>| letters.get(i?).filter(|l| Some(l.word) == word).map(|l| l.c);
    number_goes_on(
        [letter(at.checked_sub(2)), letter(at.checked_sub(1))],
        [letter(Some(at)), letter(at.checked_add(1))],
    )
}

/// The cheapest stretch that is a near miss, with its cost.
fn nearest(words: &[Word], needle: &[char], wanted: &str, exact: bool) -> Option<(u32, String)> {
    let letters = letters(words, exact);
    // What was read as it is wanted is no misreading; what overlaps it neither.
    let taken: Vec<(usize, usize)> = in_words(words, wanted, exact)
        .iter()
        .filter(|m| m.is_shown())
        .map(|m| m.words)
        // Over the end of a line nobody else looks for it: it may be one text or two.
        .filter(|(a, b)| super::ocr::same_row(&words[*a].rect, &words[*b].rect))
        .collect();
    let longest = needle.len() + needle.len() / 3 + 2;
    let starts = (0..letters.len()).filter(|i| {
        let before = letters[*i].before;
        before == 0 || ((before >= PIECE || !letters[*i - 1].c.is_alphanumeric()) && !in_number(&letters, *i))
    });
    let mut best: Option<(u32, String)> = None;
    for start in starts {
        let stretch = &letters[start..letters.len().min(start + longest)];
        let (hard, soft, length) = align(needle, stretch);
        let Some(end) = length.checked_sub(1).map(|l| &stretch[l]) else {
            continue;
        };
        let (from, to) = (stretch[0].word, end.word);
        if taken.iter().any(|(a, b)| from <= *b && *a <= to) {
            continue;
        }
        let cost = hard * HARD + soft * SOFT;
        let similar = 1.0 - f64::from(cost) / (f64::from(HARD) * needle.len().max(length) as f64);
        let certainty = words[from..=to].iter().map(|w| w.confidence).fold(1.0, f32::min);
        // A reader who is certain errs in few letters.
        let few = hard == 0 && soft as usize <= (needle.len() / 3).max(1);
        if similar >= NEAR_MISS && (few || certainty < CERTAIN) && best.as_ref().is_none_or(|(c, _)| cost < *c) {
            let text: Vec<&str> = words[from..=to].iter().map(|w| w.text.as_str()).collect();
            best = Some((cost, text.join(" ")));
        }
    }
    best
}

/// The cheapest way from the needle to a beginning of the stretch that ends where a word may end: hard and soft
/// differences, and the length of that beginning.
fn align(needle: &[char], stretch: &[Letter]) -> (u32, u32, usize) {
    type Cost = (u32, u32);
    let total = |c: Cost| c.0 * HARD + c.1 * SOFT;
    let text: Vec<char> = stretch.iter().map(|l| l.c).collect();
    let width = text.len() + 1;
    let mut table: Vec<Cost> = vec![(0, 0); (needle.len() + 1) * width];
    for i in 0..=needle.len() {
        for j in 0..=text.len() {
            let mut options: Vec<Cost> = Vec::with_capacity(6);
            let mut option = |at: usize, hard: bool| {
                let before = table[at];
                options.push(if hard {
                    (before.0 + 1, before.1)
                } else {
                    (before.0, before.1 + 1)
                });
            };
            if i > 0 {
                option((i - 1) * width + j, !droppable(needle, i - 1));
            }
            if j > 0 {
                option(i * width + j - 1, !droppable(&text, j - 1));
            }
            if i > 0 && j > 0 {
                let at = (i - 1) * width + j - 1;
                match needle[i - 1] == text[j - 1] {
                    true => options.push(table[at]),
                    false => option(at, !confusable(needle[i - 1], text[j - 1])),
                }
            }
            if i > 1 && j > 0 && joined(needle[i - 2], needle[i - 1], text[j - 1]) {
                let before = table[(i - 2) * width + j - 1];
                options.push((before.0, before.1 + 1));
            }
            if i > 0 && j > 1 && joined(text[j - 2], text[j - 1], needle[i - 1]) {
                let before = table[(i - 1) * width + j - 2];
                options.push((before.0, before.1 + 1));
            }
            if let Some(best) = options.into_iter().min_by_key(|c| total(*c)) {
                table[i * width + j] = best;
            }
        }
    }
    let ends = (1..=text.len()).filter(|j| {
        let after = stretch[j - 1].from - 1;
        after == 0 || ((after >= PIECE || !text.get(*j).is_none_or(|c| c.is_alphanumeric())) && !in_number(stretch, *j))
    });
    ends.map(|j| (table[needle.len() * width + j], j))
        .min_by_key(|(c, _)| total(*c))
        .map_or((u32::MAX / 100, 0, 0), |((hard, soft), j)| (hard, soft, j))
}

/// Characters that look alike; lower case, since texts are mostly compared so.
const ALIKE: &[&str] = &[
    "il1|!j[]t/\\",
    "oeac0q",
    "tf",
    "uvy",
    "nhmr",
    "s5$",
    "b86",
    "z2",
    "g9qy",
    ",.;:'\"",
    "kx",
    "vw",
];

/// True if a reader may take one for the other.
fn confusable(a: char, b: char) -> bool {
    // Readers know digits well, and another number is another fact.
    if a.is_ascii_digit() && b.is_ascii_digit() {
        return false;
    }
    let lower = |c: char| c.to_lowercase().next().unwrap_or(c);
    let (x, y) = (plain(lower(a)), plain(lower(b)));
    if x == y {
        // Another accent, or another case of a letter whose cases have one shape.
        return lower(a) != lower(b) || "ckopsuvwxyz".contains(x);
    }
    ALIKE.iter().any(|group| group.contains(x) && group.contains(y))
}

/// The letter without its accent.
fn plain(c: char) -> char {
    const ACCENTED: &[(&str, char)] = &[
        ("àáâãäåāăą", 'a'),
        ("çćĉċč", 'c'),
        ("ďđ", 'd'),
        ("èéêëēĕėęě", 'e'),
        ("ĝğġģ", 'g'),
        ("ìíîïĩīĭįı", 'i'),
        ("ĺļľł", 'l'),
        ("ñńņň", 'n'),
        ("òóôõöøōŏő", 'o'),
        ("ŕŗř", 'r'),
        ("śŝşšș", 's'),
        ("ţťŧț", 't'),
        ("ùúûüũūŭůűų", 'u'),
        ("ýÿŷ", 'y'),
        ("źżž", 'z'),
    ];
    ACCENTED
        .iter()
        .find(|(all, _)| all.contains(c))
        .map_or(c, |(_, base)| *base)
}

/// True if two letters beside each other look like the one.
fn joined(a: char, b: char, one: char) -> bool {
    const PAIRS: &[(&str, char)] = &[
        ("rn", 'm'),
        ("nn", 'm'),
        ("ri", 'n'),
        ("vv", 'w'),
        ("cl", 'd'),
        ("ii", 'u'),
    ];
    PAIRS.iter().any(|(pair, m)| *m == one && pair.chars().eq([a, b]))
}

/// True if a reader may leave the character out, or read it where none is: a sign, or one of two equal letters.
fn droppable(text: &[char], at: usize) -> bool {
    let c = text[at];
    !c.is_alphanumeric() || (c.is_alphabetic() && at > 0 && text[at - 1] == c)
}

#[cfg(test)]
mod tests {
    use super::super::text::line;
    use super::*;

    fn doubt(lines: &[Line], wanted: &str) -> bool {
        misread(lines, wanted, false).is_some()
    }

    fn unsure(mut line: Line) -> Line {
        line.words.iter_mut().for_each(|w| w.confidence = 0.7);
        line
    }

    #[test]
    fn part_of_a_longer_line() {
        assert!(doubt(&[line("Sove document now please", 0, 0)], "Save document"));
        assert!(doubt(&[line("please Sovedocument", 0, 0)], "Save document"));
        assert!(!doubt(&[line("Open document now please", 0, 0)], "Save document"));
    }

    #[test]
    fn over_the_end_of_a_line() {
        let lines = [
            line("The file has been changed by", 50, 0),
            line("another program. Reload it?", 50, 24),
        ];
        assert!(doubt(&lines, "has been changed by another program"));
        assert!(doubt(&lines, "has been changed by anather program"));
        let apart = [lines[0].clone(), line("another program. Reload it?", 50, 200)];
        assert!(!doubt(&apart, "has been changed by another program"));
    }

    #[test]
    fn a_certain_reading_of_another_word_is_no_misreading() {
        for (read, wanted) in [
            ("Save", "Saved"),
            ("Enabled", "Disabled"),
            ("12 files", "13 files"),
            ("1 errors", "11 errors"),
            ("Book", "OK"),
            ("Unsaved", "Saved"),
            ("port: off", "port: on"),
        ] {
            assert!(!doubt(&[line(read, 0, 0)], wanted), "{read} for {wanted}");
        }
        assert!(doubt(&[unsure(line("Save", 0, 0))], "Saved"));
        assert!(!doubt(&[unsure(line("Cancel", 0, 0))], "Saved"));
    }

    #[test]
    fn what_readers_confuse() {
        for (read, wanted) in [
            ("0K", "OK"),
            ("Modern", "Modem"),
            ("uber", "über"),
            ("Delete account", "Delete acount"),
            ("estab1ished", "established"),
            ("Username", "Name"),
            ("Username here", "User name"),
            ("its", "it's"),
        ] {
            assert!(doubt(&[line(read, 0, 0)], wanted), "{read} for {wanted}");
        }
    }

    #[test]
    fn what_was_read_as_wanted_is_no_misreading() {
        assert!(!doubt(&[line("Edit", 0, 0)], "Edit"));
        assert!(doubt(&[line("Edit", 0, 0), line("Ed1t", 0, 40)], "Edit"));
    }
}
