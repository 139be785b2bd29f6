//! The desktop session over VNC: frames proved fresh, input that lands.
//!
//! A [`Desktop`] is opened over any byte stream, or by a function that opens one whenever the link has died. One
//! background task owns the link; handles are cheap to clone, and the link closes when the last one drops. What this
//! folder promises:
//!
//! * [`Desktop::capture`] never returns pixels older than the call, nor older than any input sent before it: a frame
//!   answers a full, non-incremental request written after both, and the answer covers the whole framebuffer.
//! * The mouse cursor is never part of a frame where the server lets the client draw it (Cursor pseudo-encoding); a
//!   guest that paints its own pointer into its framebuffer still shows it.
//! * Nothing a server sends can make it panic, hang past a deadline, or allocate beyond fixed bounds.
//! * Input is sent once: what was under way when the link died is reported and never repeated.
//! * Keys and buttons that were pressed are released on error and on close.

mod changes;
mod command;
mod deadlines;
mod effect;
mod encoding;
mod error;
mod follow;
mod frame;
mod geometry;
mod hands;
mod heal;
mod input;
mod keys;
mod layout;
mod link;
mod playing;
mod pointer;
mod proof;
pub mod rfb;
mod script;
mod session;
mod settle;
mod task;

pub use effect::{Effect, Observed};
pub use encoding::Encoding;
pub use error::Error;
pub use follow::Follower;
pub use frame::{Frame, LinkFacts, paint_over};
pub use geometry::{Button, Point, Rect};
pub use input::{Leds, Power, Wheel};
pub use keys::{Chord, KeyError, parse_chord};
pub use layout::Layout;
pub use link::{Dialled, Stream};
pub use pointer::Motion;
pub use session::{Auth, Desktop, Options};
pub use settle::Settled;
