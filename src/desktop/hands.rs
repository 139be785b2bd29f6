//! What is pressed and where the pointer is: input steps as messages, and letting go of everything at the end.

use std::sync::Arc;

use bytes::BytesMut;

use super::rfb::message;
use super::script::Input;
use super::session::Shared;

/// Keysym of the right Shift key.
const UNUSED: u32 = 0xffe2;

pub(super) struct Hands {
    shared: Arc<Shared>,
    keys: Vec<(u32, u16)>,
    buttons: u8,
}

impl Hands {
    pub(super) fn new(shared: Arc<Shared>) -> Hands {
        Hands {
            shared,
            keys: Vec::new(),
            buttons: 0,
        }
    }

    /// Appends the message for one input.
    pub(super) fn send(&mut self, input: Input, out: &mut BytesMut) {
        match input {
            Input::Key { down, keysym, scan } => {
                self.keys.retain(|(k, _)| *k != keysym);
                if down {
                    self.keys.push((keysym, scan));
                }
                key(down, keysym, scan, out);
            }
            Input::Pointer { at } => {
                // The screen may have become smaller since the way was planned.
                self.shared
                    .update(|s| (s.position, s.pointed) = (at.clamped(s.size), true));
                self.pointer(0, out);
            }
            Input::Button { down, button } => {
                let bit = button.mask();
                self.buttons = if down { self.buttons | bit } else { self.buttons & !bit };
                self.pointer(0, out);
            }
            Input::Wheel { mask } => self.pointer(mask, out),
        }
    }

    /// An event that changes nothing: the pointer where it is; where that is not known, the release of a key that is not
    /// pressed, which servers keep to themselves.
    pub(super) fn stay(&self, out: &mut BytesMut) {
        if self.shared.get().pointed {
            self.pointer(0, out);
        } else if !self.keys.iter().any(|(k, _)| *k == UNUSED) {
            key(false, UNUSED, 0, out);
        }
    }

    /// Lets go of what is still pressed, the last first.
    pub(super) fn release_all(&mut self, out: &mut BytesMut) {
        for (keysym, scan) in std::mem::take(&mut self.keys).into_iter().rev() {
            key(false, keysym, scan, out);
        }
        if self.buttons != 0 {
            self.buttons = 0;
            self.pointer(0, out);
        }
    }

    /// The link is new. Servers let go of keys when a viewer goes and not of buttons (QEMU, TigerVNC), and take only a change
    /// of what this viewer has told: so what was held is told once more, and let go of.
    pub(super) fn start_anew(&mut self, out: &mut BytesMut) {
        self.keys.clear();
        if self.buttons != 0 {
            self.pointer(0, out);
            self.buttons = 0;
            self.pointer(0, out);
        }
    }

    fn pointer(&self, wheel: u8, out: &mut BytesMut) {
        let at = self.shared.get().position;
        out.extend_from_slice(&message::pointer_event(self.buttons | wheel, at.x, at.y));
    }
}

fn key(down: bool, keysym: u32, scan: u16, out: &mut BytesMut) {
    if scan == 0 {
        out.extend_from_slice(&message::key_event(down, keysym));
    } else {
        out.extend_from_slice(&message::extended_key_event(down, keysym, scan));
    }
}
