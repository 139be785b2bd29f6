//! Steps about the VM as a whole: checkpoints and power.

use super::failure::{Failure, Kind};
use super::hypervisor::{NotDone, Operation};
use super::step::Stage;
use crate::api::FailureClass;
use crate::guest;
use crate::scenario::{Power, Snapshot};
use tokio::time::Instant;

impl Stage<'_> {
    /// Takes a checkpoint.
    pub(super) async fn snapshot(&mut self, snapshot: &Snapshot, until: Instant) -> Result<(), Failure> {
        // What has died by now died before the checkpoint.
        self.look_after().await?;
        let Snapshot { name, memory, .. } = snapshot.clone();
        let done = self.operate(Operation::Snapshot { name, memory }, until).await;
        done.map_err(|not| infrastructure("SnapshotFailed", &not))?;
        self.run.checkpoints.insert(
            snapshot.name.clone(),
            (snapshot.memory && !self.run.off).then(|| self.run.watch.clone()),
        );
        self.run.taken = Some(snapshot.name.clone());
        self.note(&format!("snapshot {} was taken", snapshot.name));
        match self.run.off {
            true => Ok(()),
            false => self.still().await,
        }
    }

    /// Goes back to a checkpoint. Programs that were running then run again, if it holds the memory; what ran until now is
    /// gone, and that is no crash.
    pub(super) async fn rollback(&mut self, name: &str, until: Instant) -> Result<(), Failure> {
        self.look_after().await?;
        let start = Instant::now();
        let known = self.run.checkpoints.get(name).cloned().flatten();
        let resumed = known.is_some();
        self.leave();
        let operation = Operation::Rollback { name: name.to_string() };
        let done = self.operate(operation, until).await;
        done.map_err(|not| infrastructure("RollbackFailed", &not))?;
        if let Some(watch) = known {
            self.run.watch = watch;
        }
        self.note(&match resumed {
            true => format!("the VM runs from snapshot {name} on, after {:.1?}", start.elapsed()),
            false => format!("the VM was started from snapshot {name}, after {:.1?}", start.elapsed()),
        });
        self.arrive(until, start).await
    }

    /// Switches the VM on or off.
    pub(super) async fn power(&mut self, power: Power, until: Instant) -> Result<(), Failure> {
        let start = Instant::now();
        let operation = match power {
            Power::Start => Operation::Start,
            Power::Shutdown => Operation::Shutdown,
            Power::Stop => Operation::Stop,
        };
        if power != Power::Start {
            self.look_after().await?;
            self.leave();
        }
        match self.operate(operation, until).await {
            Ok(()) => {}
            // The guest is a part of what is tested.
            Err(NotDone::GuestDidNot(why)) => {
                return Err(Failure {
                    kind: Kind::TimedOut,
                    reason: "PowerTimedOut",
                    message: format!("power {}: {why}", power.as_str()),
                });
            }
            Err(not) => return Err(infrastructure("PowerFailed", &not)),
        }
        if power != Power::Start {
            self.run.off = true;
            self.note(&format!("the VM is off, after {:.1?}", start.elapsed()));
            return Ok(());
        }
        self.note(&format!("guest and console answer after {:.1?}", start.elapsed()));
        self.arrive(until, start).await
    }

    /// Nothing that runs in the guest is expected to be there any more.
    pub(super) fn leave(&mut self) {
        self.run.watch.forget();
        self.run.session = None;
    }

    /// Waits for the desktop of a guest that was started or set back.
    pub(super) async fn arrive(&mut self, until: Instant, start: Instant) -> Result<(), Failure> {
        self.run.off = false;
        let link = self.run.rig.guest.clone();
        let left = until.saturating_duration_since(Instant::now());
        let session = guest::discover(link.as_ref(), left).await?;
        self.note(&format!(
            "the desktop of {} was there after {:.1?}",
            session.user,
            start.elapsed()
        ));
        self.run.session = Some(session);
        self.still().await
    }

    async fn operate(&mut self, operation: Operation, until: Instant) -> Result<(), NotDone> {
        let hypervisor = self.run.rig.hypervisor.clone();
        hypervisor.carry_out(operation, until).await
    }
}

fn infrastructure(reason: &'static str, not: &NotDone) -> Failure {
    let class = match not {
        NotDone::Lost(_) => FailureClass::Controller,
        _ => FailureClass::Proxmox,
    };
    Failure::error(class, reason, not.to_string())
}
