//! Runs on a guest that is Windows, as its agent tells, and on others.

use crate::fake::Fake;
use mosdat::api::{RunResult, ScenarioSpec};
use mosdat::executor::{Executor, Job, Local, Machine, Outcome, Progress};
use mosdat::guest::{SshKey, SshLogin};
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

async fn run(fake: &Fake, scenario: serde_json::Value, ssh: Option<SshLogin>) -> Outcome {
    let scenario: ScenarioSpec = serde_json::from_value(scenario).expect("scenario");
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
            ssh,
            hypervisor: Arc::new(Idle),
        },
        artifacts: artifacts.path().join("attempt"),
    };
    // No models there: whoever gets as far as that says so.
    let executor = Local::new(artifacts.path().join("none"));
    let progress = watch::channel(Progress::default()).0;
    executor.run(job, progress, CancellationToken::new()).await
}

fn guest(id: &str, name: &str) -> Fake {
    let fake = Fake::start();
    fake.py(&format!(
        "vm = pve.add_vm(300, 'win', config={{'agent': '1'}})\nvm.status = 'running'\n\
         vm.agent = {{'get-osinfo': {{'id': '{id}', 'name': '{name}', 'pretty-name': '{name}', 'version-id': '11'}}}}\n\
         vm.agent['os'] = vm.agent['get-osinfo']\nNone"
    ));
    fake
}

fn refused(outcome: Outcome) -> (String, String) {
    let why = outcome.failure.expect("failure");
    assert_eq!((outcome.result, why.class), (RunResult::Invalid, None), "{why:?}");
    (why.reason, why.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_for_the_guests_system_is_refused_before_the_first_step() {
    let shell = json!({"id": "b", "shell": "exit 0"});
    let windows = guest("mswindows", "Windows 11 Pro");
    let scenario = json!({"name": "s", "platforms": ["linux"], "steps": [shell]});
    let (reason, message) = refused(run(&windows, scenario, None).await);
    assert_eq!(reason, "OtherPlatform");
    assert!(
        message.contains("written for linux") && message.contains("Windows 11 Pro"),
        "{message}"
    );
    let scenario = json!({"name": "s", "steps": [shell, {"id": "c", "install": "/tmp/x.deb"}]});
    let (reason, message) = refused(run(&windows, scenario, None).await);
    assert_eq!(reason, "NotOnWindows");
    assert!(
        message.contains("step c: packages of format deb") && !message.contains("step b"),
        "{message}"
    );

    let linux = guest("debian", "Debian GNU/Linux 13");
    let scenario = json!({"name": "s", "platforms": ["windows"], "steps": [shell]});
    let (reason, message) = refused(run(&linux, scenario, None).await);
    assert_eq!(reason, "OtherPlatform");
    assert!(
        message.contains("written for windows") && message.contains("Debian GNU/Linux 13"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_goes_on() {
    let windows = guest("mswindows", "Windows 11 Pro");
    let scenario = json!({"name": "s", "platforms": ["windows"], "steps": [{"id": "b", "shell": "exit 0"}]});
    let outcome = run(&windows, scenario, None).await;
    assert_eq!(outcome.failure.expect("failure").reason, "ModelsMissing");
    assert_eq!(windows.count("GET", "/agent/get-osinfo"), 1);
    // What looks and types only, and says nothing of systems, is not asked about.
    let scenario = json!({"name": "s", "steps": [{"id": "a", "key": "f5"}]});
    let outcome = run(&windows, scenario, None).await;
    assert_eq!(outcome.failure.expect("failure").reason, "ModelsMissing");
    assert_eq!(windows.count("GET", "/agent/get-osinfo"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_is_reached_by_its_agent_only() {
    let windows = guest("mswindows", "Windows 11 Pro");
    let login = SshLogin {
        vm: "win".into(),
        host: "127.0.0.1".into(),
        port: 22,
        user: "tester".into(),
        key: SshKey::Agent("/nonexistent".into()),
        host_keys: Vec::new(),
    };
    let scenario = json!({"name": "s", "steps": [{"id": "b", "shell": "exit 0"}]});
    let (reason, message) = refused(run(&windows, scenario, Some(login)).await);
    assert_eq!(reason, "NoSshToWindows");
    assert!(message.contains("spec.guest.ssh"), "{message}");
}
