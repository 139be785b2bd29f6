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
/// Characters that a US keyboard produces with Shift, besides the capital letters, and what the same keys give without.
const SHIFTED: &str = "~!@#$%^&*()_+{}|:\"<>?";
const UNSHIFTED: &str = "`1234567890-=[]\\;',./";

/// Modifiers and a key to press together, such as `ctrl+shift+t`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chord {
    /// Keysyms in the order to press; released in reverse.
    pub(super) keysyms: Vec<u32>,
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
    let mut keysyms = Vec::new();
    let mut press = |k: u32| {
        if !keysyms.contains(&k) {
            keysyms.push(k)
        }
    };
    for name in modifiers.split('+').map(str::trim).filter(|_| !modifiers.is_empty()) {
        match find(MODIFIERS, name) {
            Some(k) => press(k),
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
    match (
        find(NAMES, key).or_else(|| find(MODIFIERS, key)),
        characters.next(),
        characters.next(),
    ) {
        (Some(k), ..) => {
            if char::from_u32(k).is_some_and(needs_shift) {
                press(SHIFT);
            }
            press(k);
        }
        (None, Some(c), None) => {
            let (k, shift) = keysym(c)?;
            if shift {
                press(SHIFT);
            }
            press(k);
        }
        _ => return Err(unknown(key, &text)),
    }
    if let [.., last] = &mut keysyms[..]
        && modifiers.split('+').any(|m| m.trim() == "shift")
    {
        *last = shifted(*last);
    }
    Ok(Chord { keysyms, text })
}

/// What the key gives while Shift is down. A server that is told of the unshifted keysym then (Xvnc) would lift Shift to
/// produce exactly that.
fn shifted(keysym: u32) -> u32 {
    let Some(c) = char::from_u32(keysym).filter(char::is_ascii) else {
        return keysym;
    };
    let symbol = UNSHIFTED.find(c).and_then(|i| SHIFTED.get(i..=i)?.chars().next());
    symbol.unwrap_or(c.to_ascii_uppercase()).into()
}

/// The keysym of a character and whether a US keyboard needs Shift for it. Latin-1 characters are their own keysym;
/// others are 0x01000000 + code point (X Window System Protocol, appendix A).
pub(super) fn keysym(c: char) -> Result<(u32, bool), KeyError> {
    match c {
        '\n' => Ok((0xff0d, false)),
        '\t' => Ok((0xff09, false)),
        ' '..='~' => Ok((c.into(), needs_shift(c))),
        '\u{a0}'..='\u{ff}' => Ok((c.into(), false)),
        c if c.is_control() => Err(KeyError::Untypable(c.into())),
        c => Ok((0x0100_0000 + u32::from(c), false)),
    }
}

fn needs_shift(c: char) -> bool {
    c.is_ascii_uppercase() || SHIFTED.contains(c)
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

    fn keysyms(text: &str) -> Vec<u32> {
        parse_chord(text).unwrap().keysyms
    }

    #[test]
    fn chords() {
        assert_eq!(keysyms("ctrl+shift+t"), [0xffe3, SHIFT, 0x54]);
        assert_eq!(keysyms("shift+1"), [SHIFT, 0x21]);
        assert_eq!(keysyms("shift+f1"), [SHIFT, 0xffbe]);
        assert_eq!(keysyms("shift+enter"), [SHIFT, 0xff0d]);
        assert_eq!(keysyms("ctrl+shift"), [0xffe3, SHIFT]);
        assert_eq!(UNSHIFTED.len(), SHIFTED.len());
        assert_eq!(keysyms("Ctrl + S"), [0xffe3, 0x73]);
        assert_eq!(keysyms("F5"), [0xffc2]);
        assert_eq!(keysyms("super"), [0xffeb]);
        assert_eq!(keysyms("plus"), [SHIFT, 0x2b]);
        assert_eq!(keysyms("+"), keysyms("plus"));
        assert_eq!(keysyms("ctrl++"), [0xffe3, SHIFT, 0x2b]);
        assert_eq!(keysyms("ctrl+shift+plus"), [0xffe3, SHIFT, 0x2b]);
        assert_eq!(keysyms("ctrl+,"), [0xffe3, 0x2c]);
        assert_eq!(keysyms("alt+ü"), [0xffe9, 0xfc]);
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
        assert_eq!(keysym('a'), Ok((0x61, false)));
        assert_eq!(keysym('A'), Ok((0x41, true)));
        assert_eq!(keysym('"'), Ok((0x22, true)));
        assert_eq!(keysym('\''), Ok((0x27, false)));
        assert_eq!(keysym('€'), Ok((0x0100_20ac, false)));
        assert_eq!(keysym('\u{7}'), Err(KeyError::Untypable(7)));
    }
}
