//! Proves that a console shows something, by looking at it.

use super::DisplayProbe;
use crate::desktop::{Auth, Desktop, Error, Frame, Point};
use crate::proxmox::VncStream;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

/// Opens the console over VNC and takes one fresh frame, which must not be all black.
pub struct DesktopProbe;

/// How long a screen that sleeps may take to wake up.
const WAKING: Duration = Duration::from_secs(3);

#[async_trait::async_trait]
impl DisplayProbe for DesktopProbe {
    async fn probe(&self, stream: Box<dyn VncStream>, password: SecretString) -> Result<(u32, u32), String> {
        let desktop = Desktop::open(stream, Auth::Password(password))
            .await
            .map_err(|e| e.to_string())?;
        let seen = look(&desktop).await;
        desktop.close().await;
        let frame = seen.map_err(|e| e.to_string())?;
        let (width, height) = (frame.width(), frame.height());
        match is_blank(&frame) {
            false => Ok((width, height)),
            true => Err(format!(
                "its {width}x{height} are all black, also after the pointer was moved; is the guest's desktop on the \
                 emulated adapter (vga: std)?"
            )),
        }
    }
}

/// A frame; a second one after moving the pointer if the first is black, since a screen that sleeps is.
async fn look(desktop: &Desktop) -> Result<Arc<Frame>, Error> {
    let frame = desktop.capture().await?;
    if !is_blank(&frame) {
        return Ok(frame);
    }
    let here = desktop.position();
    desktop.move_to(Point::new(here.x + 1, here.y)).await?;
    desktop.move_to(here).await?;
    desktop.painted_since(frame.version, WAKING).await?;
    desktop.capture().await
}

/// All black and without a pointer: a bare desktop of one colour is none the less one, and a black one has a pointer.
fn is_blank(frame: &Frame) -> bool {
    !frame.has_cursor() && frame.image().pixels().all(|p| p.0[..3].iter().all(|c| *c < 8))
}
