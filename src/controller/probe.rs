//! Proves that a console shows something, by looking at it.

use super::DisplayProbe;
use crate::desktop::{Auth, Desktop};
use crate::proxmox::VncStream;
use secrecy::SecretString;

/// Opens the console over VNC and takes one fresh frame.
pub struct DesktopProbe;

#[async_trait::async_trait]
impl DisplayProbe for DesktopProbe {
    async fn probe(&self, stream: Box<dyn VncStream>, password: SecretString) -> Result<(u32, u32), String> {
        let desktop = Desktop::open(stream, Auth::Password(password)).await.map_err(|e| e.to_string())?;
        let frame = desktop.capture().await;
        let size = frame.map(|f| (f.width(), f.height())).map_err(|e| e.to_string());
        desktop.close().await;
        size
    }
}
