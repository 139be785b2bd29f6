//! What hands do: pointer, keyboard, clipboard and the power button.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::keys::parse_chord;
use super::rfb::message;
use super::script::{self, Input, Step};
use super::{Button, Desktop, Error, Layout, Point};

/// The way to the first place, along each axis, in pixels.
const SHORT: u32 = 24;

/// The state of the keyboard's lights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leds {
    /// Scroll Lock is on.
    pub scroll_lock: bool,
    /// Num Lock is on.
    pub num_lock: bool,
    /// Caps Lock is on.
    pub caps_lock: bool,
}

impl Leds {
    pub(super) fn from_bits(bits: u8) -> Leds {
        Leds {
            scroll_lock: bits & 1 != 0,
            num_lock: bits & 2 != 0,
            caps_lock: bits & 4 != 0,
        }
    }
}

/// What can be asked of the machine's power, where the server offers it (XVP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// A clean shutdown, which the guest may ignore.
    Shutdown,
    /// A clean restart, which the guest may ignore.
    Reboot,
    /// A hard reset.
    Reset,
}

/// Where the wheel turns to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wheel {
    /// Positive notches scroll down.
    Vertical,
    /// Positive notches scroll to the right.
    Horizontal,
}

impl Desktop {
    /// Moves the pointer; a place outside the screen is moved to the nearest inside.
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn move_to(&self, to: Point) -> Result<(), Error> {
        self.play(self.path(to)).await
    }

    /// Moves the pointer, waits the dwell time, and presses the button `count` times (2 is a double click).
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn click(&self, at: Point, button: Button, count: u32) -> Result<(), Error> {
        let mut steps = self.path(at);
        steps.extend(script::click(button, count, self.options().dwell));
        self.play(steps).await
    }

    /// As [`Desktop::click`], with keys such as `ctrl` held from before the first press until after the last release.
    ///
    /// # Errors
    /// [`Error::Key`] for an unknown key, before anything is sent; otherwise if the link failed.
    pub async fn click_holding(&self, at: Point, button: Button, count: u32, held: &[String]) -> Result<(), Error> {
        if held.is_empty() {
            return self.click(at, button, count).await;
        }
        let chord = parse_chord(&held.join("+"))?;
        let layout = self.layout().await?;
        let keys = script::chord(&chord, layout, None);
        let (down, up) = keys.split_at(keys.len() / 2);
        let mut steps = self.path(at);
        steps.extend(down);
        steps.extend(script::click(button, count, self.options().dwell));
        steps.extend(up);
        self.play(steps).await
    }

    /// Presses the button at one place, moves to another and releases it there.
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn drag(&self, from: Point, to: Point, button: Button) -> Result<(), Error> {
        let size = self.size();
        let press = script::click(button, 1, self.options().dwell);
        let mut steps = self.path(from);
        steps.extend(&press[..1]);
        steps.extend(self.options().motion.path(from.clamped(size), to.clamped(size)));
        steps.extend(&press[1..]);
        self.play(steps).await
    }

    /// Moves the pointer and turns the wheel.
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn scroll(&self, at: Point, wheel: Wheel, notches: i32) -> Result<(), Error> {
        let mut steps = self.path(at);
        steps.extend(script::scroll(wheel, notches));
        self.play(steps).await
    }

    /// Presses a key or chord, such as `enter`, `f5` or `ctrl+shift+t` (see [`parse_chord`]).
    ///
    /// # Errors
    /// [`Error::Key`] for an unknown name, before anything is sent; otherwise if the link failed.
    pub async fn key(&self, chord: &str) -> Result<(), Error> {
        let chord = parse_chord(chord)?;
        let layout = self.layout().await?;
        self.play(script::chord(&chord, layout, None)).await
    }

    /// Whether the keyboard has keys for all of a text.
    ///
    /// # Errors
    /// [`Error::Key`] for a control character.
    pub fn typeable(text: &str) -> Result<(), Error> {
        script::text(text, 1, None).map(drop).map_err(Error::from)
    }

    /// Types a text at no more than the session's rate; newline is Enter, tab is Tab. Where the server tells that Caps Lock
    /// is on, it is off meanwhile. It tells with its pictures only, so that a text before the session's first picture is typed
    /// as the light stands.
    ///
    /// # Errors
    /// [`Error::Key`] for a control character, before anything is sent; otherwise if the link failed.
    pub async fn type_text(&self, text: &str) -> Result<(), Error> {
        let layout = self.layout().await?;
        let steps = script::text(text, self.options().keys_per_second, layout)?;
        if !self.caps_lock().await? {
            return self.play(steps).await;
        }
        // The guest takes keys in their order, so nothing waits for the light to follow.
        let toggle = script::chord(&parse_chord("capslock")?, layout, None);
        self.play([&toggle[..], &steps, &toggle].concat()).await
    }

    /// Whether the light is on, as far as the server tells. It does so with a picture.
    async fn caps_lock(&self) -> Result<bool, Error> {
        if self.leds().is_none() {
            return Ok(false);
        }
        self.capture().await?;
        Ok(self.leds().is_some_and(|leds| leds.caps_lock))
    }

    /// Types a secret. Nothing of it is kept or logged.
    ///
    /// # Errors
    /// As [`Desktop::type_text`].
    pub async fn type_secret(&self, secret: &SecretString) -> Result<(), Error> {
        self.type_text(secret.expose_secret()).await
    }

    /// Presses a button where the pointer is after moving it there, and leaves it pressed.
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn press(&self, at: Point, button: Button) -> Result<(), Error> {
        let mut steps = self.path(at);
        steps.extend(&script::click(button, 1, self.options().dwell)[..1]);
        self.play(steps).await
    }

    /// Releases a button where the pointer is after moving it there.
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn release(&self, at: Point, button: Button) -> Result<(), Error> {
        let mut steps = self.path(at);
        steps.extend(&script::click(button, 1, self.options().dwell)[1..]);
        self.play(steps).await
    }

    /// Moves the pointer at once to where it hides least: the right edge, at half height, where desktops have no hot
    /// corner.
    ///
    /// # Errors
    /// [`Error`] if the link failed.
    pub async fn park(&self) -> Result<(), Error> {
        let (width, height) = self.size();
        let at = Point::new(width.saturating_sub(1), height / 2);
        self.play(vec![Step {
            wait: Duration::ZERO,
            input: Input::Pointer { at },
        }])
        .await
    }

    /// Presses a key or chord, keeps it pressed for `time`, and releases it. The guest repeats the key as its keyboard
    /// settings say.
    ///
    /// # Errors
    /// As [`Desktop::key`].
    pub async fn hold(&self, chord: &str, time: Duration) -> Result<(), Error> {
        let chord = parse_chord(chord)?;
        let layout = self.layout().await?;
        self.play(script::chord(&chord, layout, Some(time))).await
    }

    /// Gives the guest a text for its clipboard, where the server has a way into it.
    ///
    /// # Errors
    /// [`Error::Clipboard`] for a character that this server cannot take; otherwise if the link failed.
    pub async fn set_clipboard(&self, text: &str) -> Result<(), Error> {
        self.introduced().await?;
        self.send_clipboard(text.to_string()).await
    }

    /// The text that the guest put into its clipboard last, if the server told.
    pub fn clipboard(&self) -> Option<String> {
        self.state().clipboard.map(|text| text.to_string())
    }

    /// Asks for a power action.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the server does not offer that; otherwise if the link failed.
    pub async fn power(&self, action: Power) -> Result<(), Error> {
        self.introduced().await?;
        if !self.state().power {
            return Err(Error::Unsupported {
                what: "power actions (XVP)",
            });
        }
        let code = match action {
            Power::Shutdown => 2,
            Power::Reboot => 3,
            Power::Reset => 4,
        };
        self.send(message::xvp(code).to_vec()).await
    }

    fn path(&self, to: Point) -> Vec<Step> {
        let state = self.state();
        let to = to.clamped(state.size);
        let from = match state.pointed {
            true => state.position,
            // It may be anywhere; a short way is what the thing below needs to notice it.
            false => Point::new(to.x.saturating_sub(SHORT), to.y.saturating_sub(SHORT)),
        };
        self.options().motion.path(from, to)
    }

    /// The guest's layout, where the server takes scan codes.
    async fn layout(&self) -> Result<Option<Layout>, Error> {
        let Some(layout) = self.options().layout else {
            return Ok(None);
        };
        self.introduced().await?;
        Ok(self.state().scan_codes.then_some(layout))
    }

    /// A server says what it offers without being asked, and never says what it lacks. It does so before its answer to
    /// anything that was sent after our own list (RFC 6143 asks for no order; QEMU and TigerVNC keep it).
    async fn introduced(&self) -> Result<(), Error> {
        if !self.state().told {
            self.capture().await?;
        }
        Ok(())
    }
}
