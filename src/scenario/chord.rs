//! The grammar of chords, so that a wrong key is found when the scenario is loaded.
//!
//! Which keysym a name stands for is the desktop's business (`desktop::parse_chord`), which stands above this folder;
//! a test holds the two lists of names together.

use super::error::nearest;

/// Names of keys.
pub const KEYS: &[&str] = &[
    "enter",
    "return",
    "tab",
    "escape",
    "esc",
    "backspace",
    "delete",
    "del",
    "insert",
    "home",
    "end",
    "pageup",
    "pgup",
    "pagedown",
    "pgdn",
    "left",
    "up",
    "right",
    "down",
    "space",
    "menu",
    "print",
    "pause",
    "capslock",
    "numlock",
    "scrolllock",
    "f1",
    "f2",
    "f3",
    "f4",
    "f5",
    "f6",
    "f7",
    "f8",
    "f9",
    "f10",
    "f11",
    "f12",
    "f13",
    "f14",
    "f15",
    "f16",
    "f17",
    "f18",
    "f19",
    "f20",
    "f21",
    "f22",
    "f23",
    "f24",
    "kp0",
    "kp1",
    "kp2",
    "kp3",
    "kp4",
    "kp5",
    "kp6",
    "kp7",
    "kp8",
    "kp9",
    "kpenter",
    "kpadd",
    "kpsubtract",
    "kpmultiply",
    "kpdivide",
    "kpdecimal",
    "plus",
    "minus",
    "comma",
    "period",
    "dot",
    "slash",
    "backslash",
    "semicolon",
    "colon",
    "apostrophe",
    "quote",
    "grave",
    "equal",
    "bracketleft",
    "bracketright",
    "asterisk",
    "underscore",
];

/// Names of modifiers; one may also be pressed alone.
pub const MODIFIERS: &[&str] = &["ctrl", "control", "shift", "alt", "altgr", "meta", "super", "win"];

/// What is wrong with `chord`, if anything.
pub(super) fn parse(chord: &str) -> Result<(), String> {
    let text = chord.trim().to_lowercase();
    let (modifiers, key) = match text.strip_suffix('+') {
        Some("") => ("", "plus"),
        Some(before) if before.ends_with('+') => (&before[..before.len() - 1], "plus"),
        _ => text.rsplit_once('+').unwrap_or(("", &text)),
    };
    for name in modifiers.split('+').map(str::trim).filter(|_| !modifiers.is_empty()) {
        if MODIFIERS.contains(&name) {
            continue;
        }
        if KEYS.contains(&name) || name.chars().count() == 1 {
            return Err(format!(
                "'{name}' in '{text}' is no modifier; before '+' can stand: {}",
                MODIFIERS.join(", ")
            ));
        }
        return Err(unknown(name, &text, MODIFIERS));
    }
    let key = key.trim();
    let mut characters = key.chars();
    let single = matches!((characters.next(), characters.next()), (Some(c), None) if !c.is_control());
    if single || KEYS.contains(&key) || MODIFIERS.contains(&key) {
        Ok(())
    } else {
        Err(unknown(key, &text, KEYS))
    }
}

fn unknown(name: &str, chord: &str, valid: &[&str]) -> String {
    // As Emacs and Qt's menus of old write it.
    if let Some(meant) = Some(chord.replace('-', "+")).filter(|meant| meant != chord && parse(meant).is_ok()) {
        return format!("unknown key '{name}'; keys that are held together are joined by '+': is '{meant}' meant?");
    }
    match nearest(name, valid.iter().copied()) {
        Some(near) => format!("unknown key '{name}' in '{chord}'; did you mean '{near}'?"),
        None => format!(
            "unknown key '{name}' in '{chord}'. Keys are single characters and names such as enter, tab, escape, delete, left, \
             pageup, f5, kp0; docs/reference/scenario.md has them all"
        ),
    }
}
