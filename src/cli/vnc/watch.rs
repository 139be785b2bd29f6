//! `mosdat vnc watch`.

use super::super::shutdown_signal;
use super::{at, invalid, write};
use crate::desktop::{Desktop, Frame};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often is looked whether the link is still there.
const LOOK: Duration = Duration::from_secs(1);

/// Prints a line for each change of the picture: seconds since the start, the change's number, and its place.
pub(super) async fn watch(desktop: &Desktop, limit: Option<Duration>, output: Option<&Path>) -> anyhow::Result<()> {
    let start = Instant::now();
    if let Some(folder) = output {
        std::fs::create_dir_all(folder).map_err(|e| invalid(&format!("making {}: {e}", folder.display())))?;
    }
    let mut last = desktop.capture().await?;
    println!(
        "{:8.3}s         {}x{}, {}",
        0.0,
        last.width(),
        last.height(),
        desktop.name()
    );
    let mut end = std::pin::pin!(shutdown_signal());
    let (mut number, mut lost, mut reopened) = (0, false, desktop.link().reopened);
    let now = || start.elapsed().as_secs_f64();
    loop {
        let left = limit.map_or(LOOK, |l| l.saturating_sub(start.elapsed()).min(LOOK));
        if left.is_zero() {
            return Ok(());
        }
        let looked = async {
            let change = desktop.painted_since(last.version, left).await?;
            anyhow::Ok(match change {
                Some(_) => Some(desktop.capture().await?),
                None => None,
            })
        };
        let frame = tokio::select! {
            looked = looked => looked?,
            _ = &mut end => return Ok(()),
        };
        if desktop.link_lost() && !lost {
            println!("{:8.3}s         the link is lost; opening it anew", now());
            lost = true;
        }
        if desktop.link().reopened > reopened {
            println!("{:8.3}s         the link is open again", now());
            (lost, reopened) = (false, desktop.link().reopened);
        }
        let Some(frame) = frame else { continue };
        // What was painted as it was, or with a new link, is no change.
        if let Some(told) = difference(&last, &frame) {
            number += 1;
            println!("{:8.3}s  {number:5}{told}", now());
            if let Some(folder) = output {
                write(&folder.join(format!("{number:05}.png")), &frame.png()?)?;
            }
        }
        last = frame;
    }
}

fn difference(last: &Arc<Frame>, frame: &Arc<Frame>) -> Option<String> {
    let size = |f: &Frame| (f.width(), f.height());
    match size(last) == size(frame) {
        true => last.difference(frame).map(|place| at(Some(place))),
        false => Some(format!(" the screen is {}x{} now", frame.width(), frame.height())),
    }
}
