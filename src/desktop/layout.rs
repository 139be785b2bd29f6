//! Keyboard layouts as Linux has them: which keys of a PC keyboard give a character. XT scan codes as QEMU's extended key event takes them
//! (keys with an e0 prefix have bit 7 set).

use std::fmt;
use std::str::FromStr;

use super::keys::{Chord, SHIFT, character, keysym};
use crate::api::KeyboardLayout;

/// The keyboard layout that the guest is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// English (US).
    EnUs,
    /// English (UK).
    EnGb,
    /// German.
    De,
    /// French (AZERTY).
    Fr,
}

/// Names of the layouts as `--layout` takes them, the same as QEMU's and Proxmox VE's.
const NAMES: [(&str, Layout); 4] = [
    ("en-us", Layout::EnUs),
    ("en-gb", Layout::EnGb),
    ("de", Layout::De),
    ("fr", Layout::Fr),
];

impl From<KeyboardLayout> for Layout {
    fn from(layout: KeyboardLayout) -> Layout {
        match layout {
            KeyboardLayout::EnUs => Layout::EnUs,
            KeyboardLayout::EnGb => Layout::EnGb,
            KeyboardLayout::De => Layout::De,
            KeyboardLayout::Fr => Layout::Fr,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, l)| l == self).map_or("", |(n, _)| n);
        f.write_str(name)
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Layout, String> {
        let known = NAMES.iter().find(|(n, _)| *n == text.to_lowercase());
        known.map(|(_, l)| *l).ok_or_else(|| {
            let names = NAMES.map(|(n, _)| n).join(", ");
            format!("unknown keyboard layout '{text}'; known are {names}")
        })
    }
}

/// One key with what is held meanwhile; each a keysym and a scan code (0: none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stroke {
    pub modifiers: Vec<(u32, u16)>,
    pub key: (u32, u16),
}

/// The keys of the four rows, left to right: the scan code of the first, then one more for each.
const ROWS: [(u16, usize); 4] = [(0x02, 12), (0x10, 12), (0x1e, 11), (0x2c, 10)];
/// The keys beside them: left of 1, right of the third row, and between Shift and the fourth row.
const BESIDE: [u16; 3] = [0x29, 0x2b, 0x56];
/// Keysyms of keys that wait for a letter (X11, keysymdef.h).
const DEAD: [(char, u32); 3] = [('`', 0xfe50), ('^', 0xfe52), ('~', 0xfe53)];
const SHIFT_KEY: (u32, u16) = (SHIFT, 0x2a);
const ALTGR_KEY: (u32, u16) = (0xfe03, 0xb8);
const SPACE: (u32, u16) = (0x20, 0x39);

/// What the keys of the rows and beside them give, plain and with Shift; `\0` for nothing of use.
struct Table {
    plain: [&'static str; 4],
    shifted: [&'static str; 4],
    beside: [(char, char); 3],
    /// A character with AltGr, and the one that the same key gives plain.
    altgr: &'static [(char, char)],
    /// Characters whose key waits for a letter to put them on; with a space after it, it gives them by themselves. Those
    /// that a space turns into another character (´ and ¨ become ' and ") are not in the tables.
    dead: &'static str,
}

const EN_US: Table = Table {
    plain: ["1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"],
    shifted: ["!@#$%^&*()_+", "QWERTYUIOP{}", "ASDFGHJKL:\"", "ZXCVBNM<>?"],
    beside: [('`', '~'), ('\\', '|'), ('\0', '\0')],
    altgr: &[],
    dead: "",
};

const EN_GB: Table = Table {
    plain: ["1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"],
    shifted: ["!\"£$%^&*()_+", "QWERTYUIOP{}", "ASDFGHJKL:@", "ZXCVBNM<>?"],
    beside: [('`', '¬'), ('#', '~'), ('\\', '|')],
    altgr: &[('€', '4')],
    dead: "",
};

const DE: Table = Table {
    plain: ["1234567890ß\0", "qwertzuiopü+", "asdfghjklöä", "yxcvbnm,.-"],
    shifted: ["!\"§$%&/()=?`", "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ", "YXCVBNM;:_"],
    beside: [('^', '°'), ('#', '\''), ('<', '>')],
    altgr: &[
        ('@', 'q'),
        ('€', 'e'),
        ('{', '7'),
        ('[', '8'),
        (']', '9'),
        ('}', '0'),
        ('\\', 'ß'),
        ('~', '+'),
        ('|', '<'),
        ('µ', 'm'),
        ('²', '2'),
        ('³', '3'),
    ],
    dead: "^`",
};

const FR: Table = Table {
    plain: ["&é\"'(-è_çà)=", "azertyuiop^$", "qsdfghjklmù", "wxcvbn,;:!"],
    shifted: ["1234567890°+", "AZERTYUIOP\0£", "QSDFGHJKLM%", "WXCVBN?./§"],
    beside: [('²', '\0'), ('*', 'µ'), ('<', '>')],
    altgr: &[
        ('~', 'é'),
        ('#', '"'),
        ('{', '\''),
        ('[', '('),
        ('|', '-'),
        ('`', 'è'),
        ('\\', '_'),
        ('@', 'à'),
        (']', ')'),
        ('}', '='),
        ('€', 'e'),
    ],
    dead: "^",
};

/// Keys that every layout has: keysym and scan code.
const COMMON: &[(u32, u16)] = &[
    (0xff1b, 0x01),
    (0xff08, 0x0e),
    (0xff09, 0x0f),
    (0xff0d, 0x1c),
    (0xffe3, 0x1d),
    SHIFT_KEY,
    (0xffe9, 0x38),
    SPACE,
    (0xffe5, 0x3a),
    (0xffbe, 0x3b),
    (0xffbf, 0x3c),
    (0xffc0, 0x3d),
    (0xffc1, 0x3e),
    (0xffc2, 0x3f),
    (0xffc3, 0x40),
    (0xffc4, 0x41),
    (0xffc5, 0x42),
    (0xffc6, 0x43),
    (0xffc7, 0x44),
    (0xff7f, 0x45),
    (0xff14, 0x46),
    (0xffc8, 0x57),
    (0xffc9, 0x58),
    (0xffaa, 0x37),
    (0xffb7, 0x47),
    (0xffb8, 0x48),
    (0xffb9, 0x49),
    (0xffad, 0x4a),
    (0xffb4, 0x4b),
    (0xffb5, 0x4c),
    (0xffb6, 0x4d),
    (0xffab, 0x4e),
    (0xffb1, 0x4f),
    (0xffb2, 0x50),
    (0xffb3, 0x51),
    (0xffb0, 0x52),
    (0xffae, 0x53),
    (0xff8d, 0x9c),
    (0xffaf, 0xb5),
    (0xff50, 0xc7),
    (0xff52, 0xc8),
    (0xff55, 0xc9),
    (0xff51, 0xcb),
    (0xff53, 0xcd),
    (0xff57, 0xcf),
    (0xff54, 0xd0),
    (0xff56, 0xd1),
    (0xff63, 0xd2),
    (0xffff, 0xd3),
    (0xffeb, 0xdb),
    (0xff67, 0xdd),
    ALTGR_KEY,
];

impl Layout {
    fn table(self) -> &'static Table {
        match self {
            Layout::EnUs => &EN_US,
            Layout::EnGb => &EN_GB,
            Layout::De => &DE,
            Layout::Fr => &FR,
        }
    }

    /// How a character is typed; `None` if no key of the layout gives it.
    pub(super) fn strokes(self, c: char) -> Option<Vec<Stroke>> {
        let symbol = keysym(c).ok()?;
        if let Some(key) = COMMON.iter().find(|(k, _)| *k == symbol) {
            let (modifiers, key) = (Vec::new(), *key);
            return Some(vec![Stroke { modifiers, key }]);
        }
        let table = self.table();
        let (scan, modifier) = match table.find(c) {
            Some((scan, shifted)) => (scan, shifted.then_some(SHIFT_KEY)),
            None => {
                let (_, plain) = table.altgr.iter().find(|(symbol, _)| *symbol == c)?;
                (table.find(*plain)?.0, Some(ALTGR_KEY))
            }
        };
        // A server that goes by keysyms has to be told of the dead key, or gives the character at once.
        let dead = table
            .dead
            .contains(c)
            .then(|| DEAD.iter().find(|(d, _)| *d == c))
            .flatten();
        let key = Stroke {
            modifiers: modifier.into_iter().collect(),
            key: (dead.map_or(symbol, |(_, keysym)| *keysym), scan),
        };
        let space = Stroke {
            modifiers: Vec::new(),
            key: SPACE,
        };
        Some(if table.dead.contains(c) {
            vec![key, space]
        } else {
            vec![key]
        })
    }

    /// The keys of a chord: what its author wants held, what the layout needs for the key besides, and the key.
    pub(super) fn chord(self, chord: &Chord) -> Stroke {
        let mut modifiers: Vec<_> = chord.modifiers.iter().map(|k| (*k, common(*k))).collect();
        let written = character(chord.key);
        let Some(stroke) = written.and_then(|c| self.strokes(c)?.into_iter().next()) else {
            let key = (chord.key, common(chord.key));
            return Stroke { modifiers, key };
        };
        let Stroke { modifiers: needed, key } = stroke;
        for modifier in needed {
            if !modifiers.contains(&modifier) {
                modifiers.push(modifier);
            }
        }
        // A server that goes by keysyms would lift Shift again to produce what the key gives without it.
        let with_shift = chord
            .modifiers
            .contains(&SHIFT)
            .then(|| self.table().with_shift(written?));
        let symbol = with_shift.flatten().and_then(|c| keysym(c).ok());
        Stroke {
            modifiers,
            key: (symbol.unwrap_or(key.0), key.1),
        }
    }
}

/// The scan code of a key that every layout has; 0 for others.
fn common(symbol: u32) -> u16 {
    COMMON.iter().find(|(k, _)| *k == symbol).map_or(0, |(_, scan)| *scan)
}

impl Table {
    /// What the key of a character gives while Shift is down, where that is another one.
    fn with_shift(&self, c: char) -> Option<char> {
        let rows = self
            .plain
            .iter()
            .zip(&self.shifted)
            .flat_map(|(p, s)| p.chars().zip(s.chars()));
        let mut keys = rows.chain(self.beside);
        keys.find(|(plain, _)| *plain == c)
            .map(|(_, shifted)| shifted)
            .filter(|c| *c != '\0')
    }

    /// The scan code of the key that gives a character, and whether Shift is needed.
    fn find(&self, c: char) -> Option<(u16, bool)> {
        for ((first, _), (plain, shifted)) in ROWS.iter().zip(self.plain.iter().zip(&self.shifted)) {
            for (row, with_shift) in [(plain, false), (shifted, true)] {
                if let Some(i) = row.chars().position(|k| k == c) {
                    return Some((first + i as u16, with_shift));
                }
            }
        }
        let beside = self.beside.iter().zip(BESIDE);
        let mut found = beside.filter(|((plain, shifted), _)| c != '\0' && (*plain == c || *shifted == c));
        found.next().map(|((plain, _), scan)| (scan, *plain != c))
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::parse_chord;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn rows_have_as_many_characters_as_keys() {
        for (name, layout) in NAMES {
            let t = layout.table();
            for (i, (_, keys)) in ROWS.iter().enumerate() {
                assert_eq!(t.plain[i].chars().count(), *keys, "{name}, row {i}");
                assert_eq!(t.shifted[i].chars().count(), *keys, "{name}, row {i} with Shift");
            }
            assert_eq!(layout.to_string().parse(), Ok(layout));
        }
        assert!("dvorak".parse::<Layout>().unwrap_err().contains("en-gb"));
    }

    #[test]
    fn every_printable_ascii_character_has_its_own_strokes() {
        for (name, layout) in NAMES {
            let mut seen = HashSet::new();
            for c in ' '..='~' {
                let strokes = layout.strokes(c).unwrap_or_else(|| panic!("{name} has no {c:?}"));
                let keys: Vec<_> = strokes.iter().map(|s| (s.modifiers.clone(), s.key.1)).collect();
                assert!(keys.iter().all(|(_, scan)| *scan != 0));
                assert!(seen.insert(keys), "{name}: {c:?} is typed as another character is");
            }
        }
    }

    #[test]
    fn some_keys() {
        let keys = |l: Layout, c| -> Vec<(Vec<u16>, u16)> {
            let strokes = l.strokes(c).unwrap().into_iter();
            strokes
                .map(|s| (s.modifiers.iter().map(|m| m.1).collect(), s.key.1))
                .collect()
        };
        assert_eq!(keys(Layout::EnUs, 'z'), [(vec![], 0x2c)]);
        assert_eq!(keys(Layout::De, 'z'), [(vec![], 0x15)]);
        assert_eq!(keys(Layout::De, 'Y'), [(vec![0x2a], 0x2c)]);
        assert_eq!(keys(Layout::De, '@'), [(vec![0xb8], 0x10)]);
        assert_eq!(keys(Layout::De, '^'), [(vec![], 0x29), (vec![], 0x39)]);
        assert_eq!(keys(Layout::Fr, '1'), [(vec![0x2a], 0x02)]);
        assert_eq!(keys(Layout::Fr, '\n'), [(vec![], 0x1c)]);
        assert_eq!(Layout::EnUs.strokes('€'), None);
    }

    #[test]
    fn chords_press_what_the_layout_needs() {
        let keys = |l: Layout, text: &str| {
            let stroke = l.chord(&parse_chord(text).unwrap());
            let held: Vec<u16> = stroke.modifiers.iter().map(|m| m.1).collect();
            (held, stroke.key)
        };
        let (ctrl, shift, altgr) = (0x1d, 0x2a, 0xb8);
        for (layout, chord, held, key) in [
            (Layout::EnUs, "ctrl+plus", vec![ctrl, shift], (0x2b, 0x0d)),
            (Layout::EnUs, "ctrl+shift+plus", vec![ctrl, shift], (0x2b, 0x0d)),
            (Layout::EnUs, "ctrl+shift+t", vec![ctrl, shift], (0x54, 0x14)),
            (Layout::EnUs, "shift+1", vec![shift], (0x21, 0x02)),
            (Layout::EnUs, "f12", vec![], (0xffc9, 0x58)),
            (Layout::EnUs, "ctrl+shift", vec![ctrl], (SHIFT, shift)),
            (Layout::EnUs, "ctrl+€", vec![ctrl], (0x0100_20ac, 0)),
            (Layout::EnUs, "meta", vec![], (0xffe7, 0)),
            (Layout::De, "ctrl+plus", vec![ctrl], (0x2b, 0x1b)),
            (Layout::De, "ctrl+/", vec![ctrl, shift], (0x2f, 0x08)),
            (Layout::De, "ctrl+shift+2", vec![ctrl, shift], (0x22, 0x03)),
            (Layout::De, "ctrl+z", vec![ctrl], (0x7a, 0x15)),
            (Layout::De, "ctrl+@", vec![ctrl, altgr], (0x40, 0x10)),
            (Layout::De, "altgr+q", vec![altgr], (0x71, 0x10)),
            (Layout::Fr, "ctrl+a", vec![ctrl], (0x61, 0x10)),
            (Layout::Fr, "ctrl+1", vec![ctrl, shift], (0x31, 0x02)),
            (Layout::Fr, "ctrl+shift+enter", vec![ctrl, shift], (0xff0d, 0x1c)),
        ] {
            assert_eq!(keys(layout, chord), (held, key), "{layout} {chord}");
        }
    }
}
