//! Comparing a wanted text with read lines.

use super::{Line, Word};
use crate::desktop::{Point, Rect};

/// How well a place fits; the greater the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// Part of words: `Save` in `Saved`. That is another text.
    Substring,
    /// A word with one thin letter after it, which may be a text caret: `grace` in `gracel`.
    Caret,
    /// Between spaces and signs: `alice` in `alice@example.org`.
    Part,
    /// Whole words of a longer line: `Save` in `Save all files`.
    Words,
    /// The whole line.
    Line,
}

/// A place where the text stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Match {
    pub fit: Fit,
    /// The case agrees too.
    pub same_case: bool,
    pub rect: Rect,
    pub point: Point,
    pub confidence: f32,
    pub matched: String,
    /// The first and the last of the words, counted in the words that were searched.
    pub words: (usize, usize),
}

impl Match {
    /// True if it is the text, not only letters within another word.
    pub fn is_shown(&self) -> bool {
        self.fit > Fit::Substring
    }
}

/// Text as it is compared: spaces collapsed, typographic quotes, dashes and ellipses as their plain forms, and without
/// case unless `exact`. The ellipsis is dropped at the end: readers and writers disagree about it most.
pub(super) fn normalise(text: &str, exact: bool) -> String {
    let mut out = String::new();
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match c {
            '‘' | '’' | '`' | '´' => out.push('\''),
            '“' | '”' => out.push('"'),
            '–' | '—' | '‐' | '‑' | '−' => out.push('-'),
            '…' => out.push_str("..."),
            '\u{a0}' => out.push(' '),
            // Full-width forms, which the reading model gives at times: U+FF01.. are ASCII + 0xFEE0.
            '\u{ff01}'..='\u{ff5e}' => out.extend(char::from_u32(u32::from(c) - 0xfee0)),
            c if exact => out.push(c),
            c => out.extend(c.to_lowercase()),
        }
    }
    let trimmed = out.trim_end_matches('.').trim_end();
    if trimmed.is_empty() { out } else { trimmed.to_string() }
}

/// All places where the text stands, best fit only within a line, in reading order. With `exact` only whole words count.
pub(super) fn find(lines: &[Line], wanted: &str, exact: bool) -> Vec<Match> {
    let as_written = normalise(wanted, true);
    let wanted = normalise(wanted, exact);
    if wanted.is_empty() {
        return vec![];
    }
    let mut found = find_normalised(lines, &wanted, exact);
    let cased = if exact {
        vec![]
    } else {
        find_normalised(lines, &as_written, true)
    };
    for m in &mut found {
        m.same_case = exact || cased.iter().any(|c| c.rect == m.rect);
    }
    found
}

fn find_normalised(lines: &[Line], wanted: &str, exact: bool) -> Vec<Match> {
    let direct: Vec<Match> = lines.iter().flat_map(|l| in_words(&l.words, wanted, exact)).collect();
    if !direct.is_empty() || !wanted.contains(' ') {
        return direct;
    }
    // A text with wide gaps may have been read as several lines beside each other.
    rows(lines)
        .iter()
        .flat_map(|words| in_words(words, wanted, exact))
        .collect()
}

/// A text of three words or more that goes on over the ends of lines. Not for clicks: two entries of a list below each
/// other look the same.
pub(super) fn find_across(lines: &[Line], wanted: &str, exact: bool) -> Vec<Match> {
    let wanted = normalise(wanted, exact);
    if wanted.split(' ').count() < 3 {
        return vec![];
    }
    let across = super::misread::wrapped(lines);
    let mut found: Vec<Match> = across.iter().flat_map(|w| in_words(w, &wanted, exact)).collect();
    found.retain(Match::is_shown);
    // A text that begins on the second line is found from the first line and from the second.
    found.dedup_by(|a, b| a.rect.intersection(&b.rect).is_some());
    found
}

/// The words of lines that stand close beside each other on one row, joined.
pub(super) fn rows(lines: &[Line]) -> Vec<Vec<Word>> {
    let mut rows: Vec<(Rect, Vec<Word>)> = Vec::new();
    for line in lines {
        let beside = rows.last_mut().filter(|(rect, _)| {
            let gap = line.rect.x.saturating_sub(rect.right());
            super::ocr::same_row(rect, &line.rect) && line.rect.x >= rect.x && gap < rect.height.max(line.rect.height)
        });
        match beside {
            Some((rect, words)) => {
                *rect = rect.union(&line.rect);
                words.extend(line.words.iter().cloned());
            }
            None => rows.push((line.rect, line.words.clone())),
        }
    }
    rows.into_iter().map(|(_, words)| words).collect()
}

/// The places within one line. The line's text is compared without regard to where the reader put its spaces, since
/// narrow and wide letter spacing mislead it; the places of spaces only decide what is a whole word.
pub(super) fn in_words(words: &[Word], wanted: &str, exact: bool) -> Vec<Match> {
    // One entry for each character of the normalised line, spaces left out: which word, which part of it.
    let mut letters: Vec<(char, usize, f32, f32)> = Vec::new();
    for (w, word) in words.iter().enumerate() {
        let normal: Vec<char> = normalise_word(&word.text, exact).chars().collect();
        let share = 1.0 / normal.len().max(1) as f32;
        letters.extend(
            normal
                .iter()
                .enumerate()
                .map(|(i, c)| (*c, w, i as f32 * share, (i + 1) as f32 * share)),
        );
    }
    let needle: Vec<char> = wanted.chars().filter(|c| *c != ' ').collect();
    let ends: Vec<usize> = spaces(wanted);
    let mut found: Vec<Match> = Vec::new();
    let mut at = 0;
    while at + needle.len() <= letters.len() {
        let slice = &letters[at..at + needle.len()];
        if !slice.iter().map(|l| l.0).eq(needle.iter().copied()) {
            at += 1;
            continue;
        }
        let after = letters.get(at + needle.len());
        let starts_word = slice[0].2 == 0.0;
        let ends_word =
            after.is_none_or(|l| l.2 == 0.0 || only_dots(&letters[at + needle.len()..], slice[slice.len() - 1].1));
        // A space that is wanted must not fall into the middle of a read word, nor the other way round, unless the
        // whole line agrees without spaces.
        let spaced = ends.iter().all(|i| letters[at + i].2 == 0.0)
            && (1..slice.len()).all(|i| slice[i].2 != 0.0 || ends.contains(&i));
        let whole_line = at == 0 && rest_is_dots(&letters[at + needle.len()..]);
        let before = at.checked_sub(1).and_then(|i| letters.get(i));
        let begins = starts_word || before.is_none_or(|l| divided(l.0, slice[0].0) && !in_number(&letters, at));
        let last = slice[slice.len() - 1].0;
        let end = at + needle.len();
        let apart = begins && (ends_word || after.is_none_or(|l| divided(last, l.0) && !in_number(&letters, end)));
        let fit = match (whole_line, starts_word && ends_word && spaced) {
            (true, _) => Fit::Line,
            (false, true) => Fit::Words,
            _ if apart => Fit::Part,
            _ if begins && slice.len() > 2 && caret(last, &letters[at + needle.len()..]) => Fit::Caret,
            _ => Fit::Substring,
        };
        if spaced || fit == Fit::Line {
            found.push(place(words, slice, fit));
        }
        at += needle.len();
    }
    let best = found.iter().map(|m| m.fit).max();
    found.retain(|m| Some(m.fit) == best && (!exact || m.fit > Fit::Part));
    found
}

/// Positions in the text without its spaces before which a space stands.
fn spaces(text: &str) -> Vec<usize> {
    let mut letters = 0;
    let mut out = Vec::new();
    for c in text.chars() {
        if c == ' ' { out.push(letters) } else { letters += 1 }
    }
    out
}

/// As [`normalise`], but keeps trailing dots: within a line they are characters like others.
pub(super) fn normalise_word(word: &str, exact: bool) -> String {
    let mut marked = word.to_string();
    marked.push('|');
    let mut out = normalise(&marked, exact);
    out.pop();
    out
}

fn rest_is_dots(rest: &[(char, usize, f32, f32)]) -> bool {
    rest.iter().all(|l| l.0 == '.')
}

/// True if the word goes on only with punctuation that belongs to the sentence, not to the word.
fn only_dots(rest: &[(char, usize, f32, f32)], word: usize) -> bool {
    rest.iter()
        .take_while(|l| l.1 == word)
        .all(|l| matches!(l.0, '.' | ',' | ':' | ';' | '!' | '?' | ')' | '\'' | '"'))
}

/// True if all that is left of the word may be the caret behind a typed text.
fn caret(last: char, rest: &[(char, usize, f32, f32)]) -> bool {
    // A number with another digit is another number.
    let thin = |c: char| matches!(c, 'l' | 'i' | 'I') || (c == '1' && !last.is_ascii_digit());
    rest.first().is_some_and(|l| thin(l.0) && l.2 > 0.0) && rest.get(1).is_none_or(|l| l.2 == 0.0)
}

/// True if a word may end between the two: at a sign, and anywhere in writing that has no spaces.
fn divided(a: char, b: char) -> bool {
    let unspaced = |c: char| matches!(c, '\u{e00}'..='\u{eff}' | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}');
    !a.is_alphanumeric() || !b.is_alphanumeric() || unspaced(a) || unspaced(b)
}

/// True if a number goes on over this place, before which a letter of the same word stands: `5` is not in `5.75`.
fn in_number(letters: &[(char, usize, f32, f32)], at: usize) -> bool {
    let word = letters.get(at).map(|l| l.1);
    let letter = |i: Option<usize>| letters.get(i?).filter(|l| Some(l.1) == word).map(|l| l.0);
    number_goes_on(
        [letter(at.checked_sub(2)), letter(at.checked_sub(1))],
        [letter(Some(at)), letter(at.checked_add(1))],
    )
}

/// True if what stands before a place and behind it, within one word, are parts of one number: its decimals, its
/// thousands, its sign; or of a version, a time, an address.
pub(super) fn number_goes_on(before: [Option<char>; 2], after: [Option<char>; 2]) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let point = |c: Option<char>| c.is_some_and(|c| matches!(c, '.' | ',' | ':'));
    let sign = |c: Option<char>| c.is_some_and(|c| matches!(c, '-' | '+'));
    let [further, last] = before;
    let [first, next] = after;
    (digit(last) && point(first) && digit(next))
        || (digit(further) && point(last) && digit(first))
        || (further.is_none() && last == Some('.') && digit(first))
        // Behind a letter or digit it is a dash: `page-5`, `3-5`.
        || (sign(last) && digit(first) && !further.is_some_and(char::is_alphanumeric))
}

/// Certainty of a text in which one letter may be another: it proves nothing.
const DOUBTFUL: f32 = 0.5;

/// True if a letter of the match may be another. What stands in the same word and is no part of the match, such as a
/// caret, does not count.
fn doubtful(words: &[Word], slice: &[(char, usize, f32, f32)]) -> bool {
    slice.iter().any(|(_, word, from, to)| {
        let word = &words[*word];
        let length = word.text.chars().count().max(1) as f32;
        let middle = |at: &usize| (*at as f32 + 0.5) / length;
        word.doubts.iter().any(|at| (*from..*to).contains(&middle(at)))
    })
}

fn place(words: &[Word], slice: &[(char, usize, f32, f32)], fit: Fit) -> Match {
    let (first, last) = (slice[0], slice[slice.len() - 1]);
    let x_of = |w: usize, part: f32| words[w].rect.x + (words[w].rect.width as f32 * part) as u32;
    let (left, right) = (
        x_of(first.1, first.2),
        x_of(last.1, last.3).max(x_of(first.1, first.2) + 1),
    );
    let parts = &words[first.1..=last.1];
    let around = parts
        .iter()
        .map(|w| w.rect)
        .reduce(|a, b| a.union(&b))
        .unwrap_or_default();
    // Over the end of a line, the words are the place.
    let one_row = parts.iter().all(|w| super::ocr::same_row(&w.rect, &parts[0].rect));
    let rect = match one_row {
        true => Rect::new(left, around.y, right.saturating_sub(left).max(1), around.height),
        false => around,
    };
    // A click belongs on a letter: the middle may be the gap between two words.
    let middle = rect.center();
    let on_word = parts.iter().map(|w| w.rect).find(|r| r.contains(middle));
    let nearest = || {
        parts
            .iter()
            .filter_map(|w| w.rect.intersection(&rect))
            .max_by_key(|r| r.width)
    };
    let point = if on_word.is_some() {
        middle
    } else {
        nearest().map_or(middle, |r| r.center())
    };
    let mut confidence = parts.iter().map(|w| w.confidence).fold(1.0, f32::min);
    if doubtful(words, slice) {
        confidence = confidence.min(DOUBTFUL);
    }
    let matched = parts.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
    Match {
        fit,
        same_case: false,
        rect,
        point,
        confidence,
        matched,
        words: (first.1, last.1),
    }
}

/// The read lines most similar to the text, best first, at most three.
pub(super) fn nearest(lines: &[Line], wanted: &str) -> Vec<(String, f64)> {
    let wanted = normalise(wanted, false);
    let score = |text: &str| {
        let text = normalise(text, false);
        if text.is_empty() {
            0.0
        } else {
            strsim::normalized_damerau_levenshtein(&wanted, &text)
        }
    };
    let single = lines.iter().flat_map(|l| l.words.iter().map(|w| w.text.clone()));
    let candidates = lines.iter().map(|l| l.text.clone()).chain(single);
    let mut scored: Vec<(String, f64)> = candidates
        .map(|t| (t.clone(), score(&t)))
        .filter(|(_, s)| *s > 0.4)
        .collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    scored.dedup_by(|a, b| a.0 == b.0);
    scored.truncate(3);
    scored
}

/// A line for tests: words with places, each letter 10 pixels wide, 20 high.
#[cfg(test)]
pub(super) fn line(text: &str, x: u32, y: u32) -> Line {
    let mut words = Vec::new();
    let mut at = x;
    for word in text.split(' ') {
        let width = word.chars().count() as u32 * 10;
        words.push(Word {
            text: word.into(),
            rect: Rect::new(at, y, width, 20),
            confidence: 0.9,
            doubts: Vec::new(),
        });
        at += width + 10;
    }
    let rect = words.iter().map(|w| w.rect).reduce(|a, b| a.union(&b)).unwrap();
    Line {
        text: text.into(),
        rect,
        words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(lines: &[Line], wanted: &str, exact: bool) -> Vec<(Fit, u32)> {
        find(lines, wanted, exact).iter().map(|m| (m.fit, m.rect.x)).collect()
    }

    #[test]
    fn whole_lines_words_and_parts() {
        let lines = [
            line("Save", 0, 0),
            line("Save all files", 0, 40),
            line("Unsaved", 0, 80),
            line("Save…", 0, 120),
        ];
        assert_eq!(
            fits(&lines, "save", false),
            [(Fit::Line, 0), (Fit::Words, 0), (Fit::Substring, 20), (Fit::Line, 0)]
        );
        assert_eq!(fits(&lines, "save", true), []);
        assert_eq!(
            fits(&lines, "Save", true),
            [(Fit::Line, 0), (Fit::Words, 0), (Fit::Line, 0)]
        );
        assert_eq!(fits(&lines, "all  FILES", false), [(Fit::Words, 50)]);
        assert_eq!(fits(&lines, "l f", false), [(Fit::Substring, 70)]);
        assert_eq!(fits(&lines, "", false), []);
    }

    #[test]
    fn spaces_misread_still_match_as_whole_lines() {
        assert_eq!(fits(&[line("UserName", 0, 0)], "User name", false), [(Fit::Line, 0)]);
        assert_eq!(fits(&[line("Us er name", 0, 0)], "User name", false), [(Fit::Line, 0)]);
        assert_eq!(fits(&[line("now here else", 0, 0)], "nowhere", false), []);
    }

    #[test]
    fn words_end_at_signs_and_anywhere_in_chinese() {
        assert_eq!(
            fits(&[line("alice@example.org", 0, 0)], "alice", false),
            [(Fit::Part, 0)]
        );
        assert_eq!(fits(&[line("Book", 0, 0)], "ok", false), [(Fit::Substring, 20)]);
        // As a form with the caret behind the typed name was read.
        assert_eq!(fits(&[line("gracel", 0, 0)], "grace", false), [(Fit::Caret, 0)]);
        assert_eq!(fits(&[line("gracely", 0, 0)], "grace", false), [(Fit::Substring, 0)]);
        assert_eq!(fits(&[line("port 8081", 0, 0)], "808", false), [(Fit::Substring, 50)]);
        assert_eq!(fits(&[line("保存文件", 0, 0)], "保存", false), [(Fit::Part, 0)]);
    }

    #[test]
    fn a_part_of_a_number_is_another_number() {
        let fit = |read: &str, wanted: &str| find(&[line(read, 0, 0)], wanted, false).first().map(|m| m.fit);
        for (read, wanted) in [
            ("5.75", "5"),
            ("5.75", "75"),
            ("-5", "5"),
            ("x=-5", "5"),
            (".5", "5"),
            ("1,234", "234"),
            ("10:30", "30"),
            ("Version 1.2", "Version 1"),
            ("v1.2.3", "v1.2"),
            ("10.0.0.1", "10.0.0"),
        ] {
            assert_eq!(fit(read, wanted), Some(Fit::Substring), "'{wanted}' in '{read}'");
        }
        // Nor is it a misreading.
        let version = [line("Version 1.2", 0, 0)];
        assert_eq!(super::super::misread::misread(&version, "Version 1", false), None);
        for (read, wanted) in [
            ("5.", "5"),
            ("5%", "5"),
            ("page-5", "5"),
            ("3-5", "5"),
            ("file.1", "file"),
            ("step 5: done", "5"),
            ("Version 1.2", "Version"),
            ("a,5", "5"),
        ] {
            assert!(
                fit(read, wanted) > Some(Fit::Caret),
                "'{wanted}' in '{read}': {:?}",
                fit(read, wanted)
            );
        }
    }

    #[test]
    fn a_sentence_over_two_lines() {
        let lines = [line("The file was changed by", 0, 0), line("another program.", 0, 24)];
        assert!(find(&lines, "changed by another", false).is_empty());
        let found = find_across(&lines, "changed by another program", false);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].rect.y, found[0].rect.bottom()), (0, 44));
        assert!(found[0].point.y < 20 || found[0].point.y >= 24, "{found:?}");
        assert!(
            find_across(&lines, "by another", false).is_empty(),
            "it may be two entries"
        );
    }

    #[test]
    fn a_word_before_punctuation_is_whole() {
        assert_eq!(fits(&[line("Saved: 3 files.", 0, 0)], "Saved", true), [(Fit::Words, 0)]);
        assert_eq!(fits(&[line("Saved-3", 0, 0)], "Saved", true), []);
    }

    #[test]
    fn two_lines_beside_each_other_are_read_as_one() {
        let lines = [line("User", 0, 0), line("name", 55, 1), line("far", 400, 0)];
        assert_eq!(fits(&lines, "user name", false), [(Fit::Line, 0)]);
        assert_eq!(fits(&lines, "name far", false), []);
    }

    #[test]
    fn the_point_lies_on_a_word() {
        let m = &find(&[line("aa bb", 0, 0)], "aa bb", false)[0];
        assert!(m.point.x < 20 || m.point.x >= 30, "{m:?}");
    }
}
