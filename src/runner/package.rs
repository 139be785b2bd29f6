//! Steps that install and remove the package under test.

use super::failure::{Failure, Kind};
use super::step::Stage;
use crate::api::FailureClass;
use crate::guest::{self, PackageError};
use crate::scenario::{Install, Uninstall};
use tokio::time::Instant;

impl Stage<'_> {
    pub(super) async fn install(&mut self, install: &Install, until: Instant) -> Result<(), Failure> {
        let link = self.run.rig.guest.clone();
        let left = until.saturating_duration_since(Instant::now());
        let (package, format) = (&install.package, install.format.as_str());
        let there = guest::install(link.as_ref(), format, package, left)
            .await
            .map_err(|e| failure("NotInstalled", e))?;
        self.note(&format!("{} {} is installed", there.name, there.version));
        self.restart(there.restart);
        match &install.version {
            Some(wanted) if !guest::is_version(format, &there.version, wanted) => Err(Failure::failed(
                "WrongVersion",
                format!(
                    "{package} was installed; {} has version {}, not {wanted}",
                    there.name, there.version
                ),
            )),
            _ => Ok(()),
        }
    }

    pub(super) async fn uninstall(&mut self, uninstall: &Uninstall, until: Instant) -> Result<(), Failure> {
        let link = self.run.rig.guest.clone();
        let left = until.saturating_duration_since(Instant::now());
        let format = uninstall.format.map(|f| f.as_str());
        let gone = guest::uninstall(link.as_ref(), format, &uninstall.name, left)
            .await
            .map_err(|e| failure("NotUninstalled", e))?;
        self.note(&format!("{} {} was removed", gone.name, gone.version));
        self.restart(gone.restart);
        Ok(())
    }

    fn restart(&mut self, needed: bool) {
        if needed {
            self.note(
                "the guest has to be restarted before that is complete, as the installer says; a step 'reboot' does it",
            );
        }
    }
}

fn failure(reason: &'static str, error: PackageError) -> Failure {
    match error {
        PackageError::Guest(e) => e.into(),
        // The VM is not one for this test.
        e @ (PackageError::NoManager { .. } | PackageError::OtherSystem { .. }) => {
            Failure::error(FailureClass::Guest, "NoPackageManager", e.to_string())
        }
        e @ PackageError::NoFile(_) => Failure::error(FailureClass::Guest, "NoPackageFile", e.to_string()),
        e @ PackageError::Surroundings { .. } => Failure::error(FailureClass::Guest, reason, e.to_string()),
        // It says nothing about the product, and is the same on every VM.
        e @ PackageError::Unsupported(_) => Failure::author("PackageNotSupported", e.to_string()),
        e @ PackageError::Refused(_) => Failure::failed(reason, e.to_string()),
        e @ PackageError::Late(_) => Failure {
            kind: Kind::TimedOut,
            reason: "PackageTimedOut",
            message: e.to_string(),
        },
    }
}
