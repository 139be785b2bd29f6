//! What changes the guest as a whole: restarts, and files put into it.

use super::act::{QUIET, SETTLE};
use super::failure::{Failure, Kind};
use super::step::Stage;
use crate::guest;
use crate::scenario::Stage as File;
use tokio::time::Instant;

impl Stage<'_> {
    /// Restarts the guest and waits for its desktop. What ran there has ended, and that is no crash.
    pub(super) async fn reboot(&mut self, until: Instant) -> Result<(), Failure> {
        self.look_after().await?;
        let link = self.run.rig.guest.clone();
        let start = Instant::now();
        self.leave();
        let late = |what: &str| Failure {
            kind: Kind::TimedOut,
            reason: "NotRestarted",
            message: format!("{what} within {:.0?}", start.elapsed()),
        };
        if !guest::reboot(link.as_ref(), until).await? {
            return Err(late(
                "the guest was restarted, and its agent did not answer from a new start",
            ));
        }
        self.note(&format!(
            "the guest was started anew; its agent answered after {:.1?}",
            start.elapsed()
        ));
        self.arrive(until, start).await
    }

    pub(super) async fn stage(&mut self, file: &File) -> Result<(), Failure> {
        let owner = match &file.owner {
            Some(owner) => owner.clone(),
            None => self.session().await?.user,
        };
        let link = self.run.rig.guest.clone();
        let put = guest::File {
            path: &file.path,
            content: &file.content,
            mode: file.mode,
            owner: &owner,
        };
        guest::put(link.as_ref(), put).await?;
        self.note(&format!(
            "put {} with {} bytes, owned by {owner}",
            file.path,
            file.content.len()
        ));
        Ok(())
    }

    /// Waits until the screen is still, for a moment at most.
    pub(super) async fn still(&mut self) -> Result<(), Failure> {
        let settled = self.run.rig.desktop.settle(QUIET, SETTLE).await?;
        self.look_at_link(&settled.frame);
        self.run.moving = settled.changed.filter(|_| !settled.still);
        Ok(())
    }
}
