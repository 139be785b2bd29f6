//! The kinds of the embedded control planes of this process.

use crate::controlplane::{Error, Kinds};
use std::sync::OnceLock;

/// Our kinds, compiled when they are first asked for: that takes a good part of a second without optimisation, and a
/// command may check many files before it starts a control plane.
///
/// # Errors
/// A definition cannot be served; that would be a fault of mosdat.
pub fn kinds() -> Result<Kinds, Error> {
    static KINDS: OnceLock<Kinds> = OnceLock::new();
    if let Some(kinds) = KINDS.get() {
        return Ok(kinds.clone());
    }
    let made = Kinds::new(crate::api::crds())?;
    Ok(KINDS.get_or_init(|| made).clone())
}
