//! A guest that is Windows, as its agent tells.

use crate::fake::Fake;
use mosdat::api::{RunResult, ScenarioSpec};
use mosdat::executor::{Executor, Job, Local, Machine, Outcome, Progress};
use mosdat::runner::{Hypervisor, NotDone, Operation};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Nobody asks it for anything.
#[derive(Debug)]
struct Idle;

#[async_trait::async_trait]
impl Hypervisor for Idle {
    async fn carry_out(&self, operation: Operation, _until: Instant) -> Result<(), NotDone> {
        Err(NotDone::Refused(format!("{operation:?}")))
    }
}

async fn run(fake: &Fake, steps: serde_json::Value) -> Outcome {
    let scenario: ScenarioSpec = serde_json::from_value(json!({"name": "s", "steps": steps})).expect("scenario");
    let artifacts = tempfile::tempdir().expect("folder");
    let job = Job {
        namespace: "default".into(),
        name: "r".into(),
        uid: "u".into(),
        attempt: 1,
        scenario,
        origin: "the test".into(),
        variables: Default::default(),
        range: Default::default(),
        secrets: Default::default(),
        vision: None,
        timeout: Some(Duration::from_secs(60)),
        video: None,
        machine: Machine {
            client: fake.client(),
            node: "pve1".into(),
            vmid: 300,
            name: "win".into(),
            keyboard: None,
            ssh: None,
            hypervisor: Arc::new(Idle),
        },
        artifacts: artifacts.path().join("attempt"),
    };
    // No models there: whoever gets as far as that says so.
    let executor = Local::new(artifacts.path().join("none"));
    let progress = watch::channel(Progress::default()).0;
    executor.run(job, progress, CancellationToken::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_commands_there_is_refused_before_the_first_step() {
    let fake = Fake::start();
    fake.py(concat!(
        "vm = pve.add_vm(300, 'win', config={'agent': '1'})\n",
        "vm.status = 'running'\n",
        "vm.agent = {'os': {'id': 'mswindows', 'name': 'Microsoft Windows', 'pretty-name': 'Windows 11 Pro', 'version-id': '11'}}\n",
        "vm.agent['get-osinfo'] = vm.agent['os']\nNone",
    ));
    let outcome = run(&fake, json!([{"id": "a", "key": "f5"}, {"id": "b", "shell": "true"}])).await;
    let why = outcome.failure.expect("failure");
    assert_eq!(
        (outcome.result, why.reason.as_str(), why.class),
        (RunResult::Invalid, "NotOnWindows", None)
    );
    assert!(
        why.message.contains("Windows 11 Pro") && why.message.contains("step b: shell"),
        "{}",
        why.message
    );
    assert!(!why.message.contains("step a"), "{}", why.message);
    // What looks and types only is not asked about.
    let outcome = run(&fake, json!([{"id": "a", "key": "f5"}])).await;
    assert_eq!(outcome.failure.expect("failure").reason, "ModelsMissing");
    assert_eq!(fake.count("GET", "/agent/get-osinfo"), 1);
}
