//! An executor whose runs do nothing but ask for checkpoints and power.

use async_trait::async_trait;
use mosdat::api::{FailureClass, RunFailure, RunResult, StepCounts};
use mosdat::executor::{Candidate, Checked, Executor, Job, Outcome, Progress};
use mosdat::runner::Operation;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Carries out runs that do nothing but ask for checkpoints and power.
pub struct Asks;

#[async_trait]
impl Executor for Asks {
    fn check(&self, _: &Candidate<'_>) -> Result<Checked, Vec<String>> {
        let digest = "d".to_string();
        Ok(Checked { digest })
    }

    async fn run(&self, job: Job, _: watch::Sender<Progress>, _: CancellationToken) -> Outcome {
        let name = "before".to_string();
        let memory = false;
        let wanted = [
            Operation::Snapshot {
                name: name.clone(),
                memory,
            },
            Operation::Shutdown,
            Operation::Rollback { name },
            Operation::Stop,
        ];
        let mut failure = None;
        for operation in wanted {
            let until = tokio::time::Instant::now() + Duration::from_secs(40);
            if let Err(e) = job.machine.hypervisor.carry_out(operation.clone(), until).await {
                failure = Some(RunFailure {
                    class: Some(FailureClass::Proxmox),
                    reason: "NotDone".to_string(),
                    message: format!("{operation:?}: {e}"),
                    step: None,
                });
                break;
            }
        }
        Outcome {
            result: failure.as_ref().map_or(RunResult::Passed, |_| RunResult::Error),
            failure,
            steps: StepCounts::default(),
            finished: vec![],
            outputs: BTreeMap::new(),
        }
    }
}
