//! Input as timed events: what a person's hands do, computed before anything is sent.

use std::time::Duration;

use super::keys::{Chord, KeyError, keysym};
use super::layout::Stroke;
use super::{Button, Layout, Point, Wheel};

/// One event on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// `scan` is the key's XT scan code, where the guest's layout is known and the server takes such; else 0.
    Key {
        down: bool,
        keysym: u32,
        scan: u16,
    },
    Pointer {
        at: Point,
    },
    Button {
        down: bool,
        button: Button,
    },
    Wheel {
        mask: u8,
    },
}

/// An event and how long to wait before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub wait: Duration,
    pub input: Input,
}

const NOW: Duration = Duration::ZERO;
/// How long a key or button stays down: long enough for guests that poll, short enough not to repeat.
const KEY_HELD: Duration = Duration::from_millis(14);
const CHORD_HELD: Duration = Duration::from_millis(25);
const BUTTON_HELD: Duration = Duration::from_millis(30);
const BETWEEN_CLICKS: Duration = Duration::from_millis(80);
/// Between Shift and the key it belongs to; some guests drop the modifier when both come in one poll.
const AROUND_SHIFT: Duration = Duration::from_millis(4);

fn key(wait: Duration, down: bool, (keysym, scan): (u32, u16)) -> Step {
    Step {
        wait,
        input: Input::Key { down, keysym, scan },
    }
}

/// How long typing a text takes.
pub(super) fn typing_time(text: &str, rate: u32) -> Duration {
    // The plan of the events would tell the same; this has no need of their memory.
    let count = text.replace("\r\n", "\n").chars().count();
    Duration::from_secs_f64(count as f64 / f64::from(rate.max(1)))
}

/// A text, one character after the other, at most `rate` characters a second. With a layout, characters that it has are
/// scan codes.
pub(super) fn text(text: &str, rate: u32, layout: Option<Layout>) -> Result<Vec<Step>, KeyError> {
    let period = Duration::from_secs(1) / rate.max(1);
    let held = KEY_HELD.min(period / 2);
    let shift_gap = AROUND_SHIFT.min(period / 8);
    let mut steps = Vec::new();
    let mut gap = NOW;
    for c in text.replace("\r\n", "\n").chars() {
        let strokes = match layout.and_then(|l| l.strokes(c)) {
            Some(strokes) => strokes,
            None => vec![plain(c)?],
        };
        // A character with an accent is two strokes, which share its time.
        let each = strokes.len() as u32;
        for stroke in strokes {
            let mut used = held / each;
            for (i, modifier) in stroke.modifiers.iter().enumerate() {
                steps.push(key(if i == 0 { gap } else { NOW }, true, *modifier));
                gap = shift_gap;
                used += shift_gap * 2;
            }
            steps.push(key(gap, true, stroke.key));
            steps.push(key(held / each, false, stroke.key));
            for modifier in stroke.modifiers.iter().rev() {
                steps.push(key(shift_gap, false, *modifier));
            }
            gap = (period / each).saturating_sub(used);
        }
    }
    Ok(steps)
}

/// A character as the keysym of a US keyboard, where that has it; servers know what to hold for others.
fn plain(c: char) -> Result<Stroke, KeyError> {
    let keysym = keysym(c)?;
    let stroke = Layout::EnUs.strokes(c).and_then(|strokes| strokes.into_iter().next());
    let bare = Stroke {
        modifiers: Vec::new(),
        key: (keysym, 0),
    };
    Ok(stroke.map_or(bare, without_scan_codes))
}

fn without_scan_codes(stroke: Stroke) -> Stroke {
    Stroke {
        modifiers: stroke.modifiers.into_iter().map(|(k, _)| (k, 0)).collect(),
        key: (stroke.key.0, 0),
    }
}

/// A chord: pressed in order, held (for `time`, or as long as a tap), released in reverse. Without a layout it is what a
/// US keyboard has to press, as keysyms.
pub(super) fn chord(chord: &Chord, layout: Option<Layout>, time: Option<Duration>) -> Vec<Step> {
    let Stroke {
        mut modifiers,
        key: last,
    } = match layout {
        Some(layout) => layout.chord(chord),
        None => without_scan_codes(Layout::EnUs.chord(chord)),
    };
    modifiers.push(last);
    let keys = modifiers;
    let held = time.unwrap_or(CHORD_HELD);
    let mut steps: Vec<Step> = keys.iter().map(|k| key(AROUND_SHIFT, true, *k)).collect();
    let up = keys.iter().rev().enumerate();
    steps.extend(up.map(|(i, k)| key(if i == 0 { held } else { AROUND_SHIFT }, false, *k)));
    steps
}

/// Presses and releases a button where the pointer is.
pub(super) fn click(button: Button, count: u32, dwell: Duration) -> Vec<Step> {
    (0..count)
        .flat_map(|i| {
            let wait = if i == 0 { dwell } else { BETWEEN_CLICKS };
            [
                Step {
                    wait,
                    input: Input::Button { down: true, button },
                },
                Step {
                    wait: BUTTON_HELD,
                    input: Input::Button { down: false, button },
                },
            ]
        })
        .collect()
}

/// Turns the wheel; positive is down or right. RFB has notches as buttons 4 (up), 5 (down), 6 (left) and 7 (right).
pub(super) fn scroll(wheel: Wheel, notches: i32) -> Vec<Step> {
    let mask = match (wheel, notches < 0) {
        (Wheel::Vertical, true) => 8,
        (Wheel::Vertical, false) => 16,
        (Wheel::Horizontal, true) => 32,
        (Wheel::Horizontal, false) => 64,
    };
    (0..notches.unsigned_abs())
        .flat_map(|_| {
            [mask, 0].map(|mask| Step {
                wait: Duration::from_millis(15),
                input: Input::Wheel { mask },
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_its_rate_and_balances_keys() {
        let steps = text("aB!\n", 30, None).unwrap();
        let total: Duration = steps.iter().map(|s| s.wait).sum();
        assert!(
            total >= Duration::from_secs(3) / 30 && total < Duration::from_secs(4) / 30,
            "{total:?}"
        );
        let told = typing_time("aB!\n", 30);
        assert!(told >= total && told < Duration::from_millis(140), "{told:?}");
        let mut down = Vec::new();
        for s in &steps {
            match s.input {
                Input::Key { down: true, keysym, .. } => down.push(keysym),
                Input::Key {
                    down: false, keysym, ..
                } => assert_eq!(down.pop(), Some(keysym)),
                _ => panic!("only keys"),
            }
        }
        assert!(down.is_empty());
        assert_eq!(steps.len(), 2 + 4 + 4 + 2);
    }

    #[test]
    fn clicks_are_pairs() {
        assert_eq!(click(Button::Left, 2, NOW).len(), 4);
        assert_eq!(scroll(Wheel::Vertical, -3).len(), 6);
    }
}
