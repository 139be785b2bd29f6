//! What ends a step from outside: a cancelled run, or time that is up.

use super::failure::{Failure, Kind};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Ends the steps of a section.
#[derive(Clone)]
pub(super) struct Stop {
    cancel: Option<CancellationToken>,
    deadline: Instant,
    limit: Duration,
    /// Who set the limit.
    whose: &'static str,
}

impl Stop {
    /// Of the test: cancelled by a person, or out of the run's time.
    pub fn of_run(cancel: CancellationToken, (limit, whose): (Duration, &'static str)) -> Stop {
        Stop {
            cancel: Some(cancel),
            deadline: Instant::now() + limit,
            limit,
            whose,
        }
    }

    /// Of cleanup, which runs after a cancellation too.
    pub fn of_cleanup(limit: Duration) -> Stop {
        Stop {
            cancel: None,
            deadline: Instant::now() + limit,
            limit,
            whose: "cleanup",
        }
    }

    /// Resolves when the step has to end.
    pub async fn fired(&self) -> Failure {
        let cancelled = async {
            match &self.cancel {
                Some(cancel) => cancel.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancelled => Failure {
                kind: Kind::Cancelled,
                reason: "Cancelled",
                message: "the run was cancelled".into(),
            },
            () = tokio::time::sleep_until(self.deadline) => match self.cancel {
                Some(_) => Failure {
                    kind: Kind::RunTimedOut,
                    reason: "RunTimedOut",
                    message: format!("the run's time of {:?} ({}) was up", self.limit, self.whose),
                },
                None => Failure {
                    kind: Kind::TimedOut,
                    reason: "CleanupTimedOut",
                    message: format!("cleanup took longer than {:?}", self.limit),
                },
            },
        }
    }
}
