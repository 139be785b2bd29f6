//! Key names, chords and typed text as X11 keysyms.

use std::fmt;

/// Keysyms of the names an author may write. Lower case. Further names for the same key stand on later lines.
const NAMES: &[(&str, u32)] = &[
    ("enter", 0xff0d),
    ("return", 0xff0d),
    ("tab", 0xff09),
    ("escape", 0xff1b),
    ("esc", 0xff1b),
    ("backspace", 0xff08),
    ("delete", 0xffff),
    ("del", 0xffff),
    ("insert", 0xff63),
    ("home", 0xff50),
    ("end", 0xff57),
    ("pageup", 0xff55),
    ("pgup", 0xff55),
    ("pagedown", 0xff56),
    ("pgdn", 0xff56),
    ("left", 0xff51),
    ("up", 0xff52),
    ("right", 0xff53),
    ("down", 0xff54),
    ("space", 0x20),
    ("menu", 0xff67),
    ("print", 0xff61),
    ("pause", 0xff13),
    ("capslock", 0xffe5),
    ("numlock", 0xff7f),
    ("scrolllock", 0xff14),
    ("f1", 0xffbe),
    ("f2", 0xffbf),
    ("f3", 0xffc0),
    ("f4", 0xffc1),
    ("f5", 0xffc2),
    ("f6", 0xffc3),
    ("f7", 0xffc4),
    ("f8", 0xffc5),
    ("f9", 0xffc6),
    ("f10", 0xffc7),
    ("f11", 0xffc8),
    ("f12", 0xffc9),
    ("f13", 0xffca),
    ("f14", 0xffcb),
    ("f15", 0xffcc),
    ("f16", 0xffcd),
    ("f17", 0xffce),
    ("f18", 0xffcf),
    ("f19", 0xffd0),
    ("f20", 0xffd1),
    ("f21", 0xffd2),
    ("f22", 0xffd3),
    ("f23", 0xffd4),
    ("f24", 0xffd5),
    ("kp0", 0xffb0),
    ("kp1", 0xffb1),
    ("kp2", 0xffb2),
    ("kp3", 0xffb3),
    ("kp4", 0xffb4),
    ("kp5", 0xffb5),
    ("kp6", 0xffb6),
    ("kp7", 0xffb7),
    ("kp8", 0xffb8),
    ("kp9", 0xffb9),
    ("kpenter", 0xff8d),
    ("kpadd", 0xffab),
    ("kpsubtract", 0xffad),
    ("kpmultiply", 0xffaa),
    ("kpdivide", 0xffaf),
    ("kpdecimal", 0xffae),
    ("plus", 0x2b),
    ("minus", 0x2d),
    ("comma", 0x2c),
    ("period", 0x2e),
    ("dot", 0x2e),
    ("slash", 0x2f),
    ("backslash", 0x5c),
    ("semicolon", 0x3b),
    ("colon", 0x3a),
    ("apostrophe", 0x27),
    ("quote", 0x22),
    ("grave", 0x60),
    ("equal", 0x3d),
    ("bracketleft", 0x5b),
    ("bracketright", 0x5d),
    ("asterisk", 0x2a),
    ("underscore", 0x5f),
];

const MODIFIERS: &[(&str, u32)] = &[
    ("ctrl", 0xffe3),
    ("control", 0xffe3),
    ("shift", SHIFT),
    ("alt", 0xffe9),
    ("altgr", 0xfe03),
    ("meta", 0xffe7),
    ("super", 0xffeb),
    ("win", 0xffeb),
];

pub(super) const SHIFT: u32 = 0xffe1;

/// Modifiers and a key to press together, such as `ctrl+shift+t`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chord {
    /// What the author wants held, as keysyms in the order to press; the keyboard layout may need more for the key.
    pub(super) modifiers: Vec<u32>,
    pub(super) key: u32,
    text: String,
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A key that cannot be pressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A name that is no key.
    #[error("unknown key '{name}' in '{chord}'{}; keys are single characters, or names such as enter, tab, f5, plus, \
             with ctrl, shift, alt, altgr, meta, super before them", nearest.map(|n| format!(" (did you mean '{n}'?)")).unwrap_or_default())]
    Unknown {
        /// The part that is not known.
        name: String,
        /// The whole chord.
        chord: String,
        /// The most similar known name.
        nearest: Option<&'static str>,
    },
    /// Something before the last `+` that is not a modifier.
    #[error(
        "'{name}' in '{chord}' is not a modifier; only ctrl, shift, alt, altgr, meta and super can come before '+' \
             (the plus key itself is called 'plus')"
    )]
    NotModifier {
        /// The part.
        name: String,
        /// The whole chord.
        chord: String,
    },
    /// Nothing to press.
    #[error("an empty key; write a chord such as 'ctrl+s' or 'enter'")]
    Empty,
    /// A control character in a text.
    #[error("character U+{0:04X} cannot be typed; only newline and tab of the control characters can")]
    Untypable(u32),
}

/// Reads a chord: names and single characters joined by `+`, case-insensitive. A modifier may stand alone (`super`).
///
/// # Errors
/// [`KeyError`] with the nearest known name.
pub fn parse_chord(text: &str) -> Result<Chord, KeyError> {
    let text = text.trim().to_lowercase();
    let (modifiers, key) = match text.strip_suffix('+') {
        Some("") => ("", "plus"),
        // "ctrl++": the key is the plus sign itself.
        Some(before) if before.ends_with('+') => (&before[..before.len() - 1], "plus"),
        _ => text.rsplit_once('+').unwrap_or(("", &text)),
    };
    if key.trim().is_empty() && modifiers.is_empty() {
        return Err(KeyError::Empty);
    }
    let mut held = Vec::new();
    for name in modifiers.split('+').map(str::trim).filter(|_| !modifiers.is_empty()) {
        match find(MODIFIERS, name) {
            Some(k) if held.contains(&k) => {}
            Some(k) => held.push(k),
            None if find(NAMES, name).is_some() || name.chars().count() == 1 => {
                return Err(KeyError::NotModifier {
                    name: name.into(),
                    chord: text.clone(),
                });
            }
            None => return Err(unknown(name, &text)),
        }
    }
    let key = key.trim();
    let mut characters = key.chars();
    let named = find(NAMES, key).or_else(|| find(MODIFIERS, key));
    let key = match (named, characters.next(), characters.next()) {
        (Some(k), ..) => k,
        (None, Some(c), None) => keysym(c)?,
        _ => return Err(unknown(key, &text)),
    };
    held.retain(|k| *k != key);
    let modifiers = held;
    Ok(Chord { modifiers, key, text })
}

/// The keysym of a character. Latin-1 characters are their own keysym; others are 0x01000000 + code point (X Window System
/// Protocol, appendix A).
pub(super) fn keysym(c: char) -> Result<u32, KeyError> {
    match c {
        '\n' => Ok(0xff0d),
        '\t' => Ok(0xff09),
        ' '..='~' | '\u{a0}'..='\u{ff}' => Ok(c.into()),
        c if c.is_control() => Err(KeyError::Untypable(c.into())),
        c => Ok(0x0100_0000 + u32::from(c)),
    }
}

/// The character that a keysym stands for; keys such as Enter have none.
pub(super) fn character(keysym: u32) -> Option<char> {
    match keysym {
        0x20..=0x7e | 0xa0..=0xff => char::from_u32(keysym),
        k => char::from_u32(k.checked_sub(0x0100_0000)?),
    }
}

fn find(table: &[(&str, u32)], name: &str) -> Option<u32> {
    table.iter().find(|(n, _)| *n == name).map(|(_, k)| *k)
}

fn unknown(name: &str, chord: &str) -> KeyError {
    let score = |known: &str| strsim::jaro_winkler(name, known);
    let nearest = NAMES
        .iter()
        .chain(MODIFIERS)
        .map(|(known, _)| (*known, score(known)))
        .filter(|(_, s)| *s > 0.75)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(known, _)| known);
    KeyError::Unknown {
        name: name.into(),
        chord: chord.into(),
        nearest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keysyms(text: &str) -> (Vec<u32>, u32) {
        let chord = parse_chord(text).unwrap();
        (chord.modifiers, chord.key)
    }

    #[test]
    fn chords() {
        assert_eq!(keysyms("ctrl+shift+t"), (vec![0xffe3, SHIFT], 0x74));
        assert_eq!(keysyms("shift+enter"), (vec![SHIFT], 0xff0d));
        assert_eq!(keysyms("ctrl+shift"), (vec![0xffe3], SHIFT));
        assert_eq!(keysyms("ctrl+ctrl+s"), (vec![0xffe3], 0x73));
        assert_eq!(keysyms("shift+shift"), (vec![], SHIFT));
        assert_eq!(keysyms("Ctrl + S"), (vec![0xffe3], 0x73));
        assert_eq!(keysyms("F5"), (vec![], 0xffc2));
        assert_eq!(keysyms("super"), (vec![], 0xffeb));
        assert_eq!(keysyms("+"), keysyms("plus"));
        assert_eq!(keysyms("ctrl++"), (vec![0xffe3], 0x2b));
        assert_eq!(keysyms("ctrl+,"), (vec![0xffe3], 0x2c));
        assert_eq!(keysyms("alt+ü"), (vec![0xffe9], 0xfc));
    }

    #[test]
    fn mistakes_name_the_nearest() {
        let nearest = |t: &str| match parse_chord(t) {
            Err(KeyError::Unknown { nearest, .. }) => nearest,
            other => panic!("{other:?}"),
        };
        assert_eq!(nearest("entr"), Some("enter"));
        assert_eq!(nearest("crtl+s"), Some("ctrl"));
        assert_eq!(nearest("xyzzyfoo"), None);
        assert_eq!(nearest("ctrl+"), None);
        assert!(matches!(parse_chord(" "), Err(KeyError::Empty)));
        assert!(matches!(parse_chord("enter+s"), Err(KeyError::NotModifier { .. })));
        assert!(
            parse_chord("entr")
                .unwrap_err()
                .to_string()
                .contains("did you mean 'enter'")
        );
    }

    #[test]
    fn characters() {
        assert_eq!(keysym('a'), Ok(0x61));
        assert_eq!(keysym('"'), Ok(0x22));
        assert_eq!(keysym('€'), Ok(0x0100_20ac));
        for c in ['a', '~', 'ÿ', '€', '你'] {
            assert_eq!(character(keysym(c).unwrap()), Some(c));
        }
        assert_eq!(character(0xff0d), None);
        assert_eq!(character(SHIFT), None);
        assert_eq!(keysym('\u{7}'), Err(KeyError::Untypable(7)));
    }
}
