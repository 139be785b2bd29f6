//! Runs on a guest that is Windows, as its agent tells, and on others.

use crate::fake::Fake;
use mosdat::api::{FailureClass, RunResult, ScenarioSpec};
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
    run_until(fake, scenario, ssh, CancellationToken::new()).await
}

async fn run_until(
    fake: &Fake,
    scenario: serde_json::Value,
    ssh: Option<SshLogin>,
    cancel: CancellationToken,
) -> Outcome {
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
    executor.run(job, progress, cancel).await
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

/// As the agent of a guest that is still starting: it does not answer.
const SILENT: &str = "vm.agent, vm.was = None, vm.agent\nNone";

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_answer_yet_is_asked_again() {
    let windows = guest("mswindows", "Windows 11 Pro");
    windows.py(&format!("vm = pve.vm(300)\n{SILENT}"));
    let scenario = json!({"name": "s", "platforms": ["windows"], "steps": [{"id": "b", "shell": "exit 0"}]});
    let running = run(&windows, scenario, None);
    let answers = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        while windows.count("GET", "/agent/get-osinfo") < 2 {
            assert!(Instant::now() < deadline, "it is asked once");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        windows.py("vm = pve.vm(300)\nvm.agent = vm.was\nNone");
    };
    let (outcome, ()) = tokio::join!(running, answers);
    assert_eq!(outcome.failure.expect("failure").reason, "ModelsMissing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_whose_system_nobody_knows_is_no_mistake_of_the_scenarios() {
    let windows = guest("mswindows", "Windows 11 Pro");
    windows.py(&format!("vm = pve.vm(300)\n{SILENT}"));
    let shell = json!({"id": "b", "shell": "exit 0"});
    // By SSH it is asked once: there may be no agent.
    let of_windows = json!({"name": "s", "platforms": ["linux", "windows"], "steps": [shell]});
    let outcome = run(&windows, of_windows, Some(login())).await;
    let why = outcome.failure.expect("failure");
    assert_eq!(
        (outcome.result, why.class, why.reason.as_str()),
        (RunResult::Error, Some(FailureClass::Guest), "GuestSystemUnknown"),
        "{why:?}"
    );
    let exe = json!({"name": "s", "steps": [{"id": "b", "install": "C:\\x.exe"}]});
    let outcome = run(&windows, exe, Some(login())).await;
    assert_eq!(outcome.failure.expect("failure").reason, "GuestSystemUnknown");
    let plain = json!({"name": "s", "steps": [shell]});
    let outcome = run(&windows, plain, Some(login())).await;
    assert_eq!(outcome.failure.expect("failure").reason, "ModelsMissing");
    assert_eq!(windows.count("GET", "/agent/get-osinfo"), 3);

    // Whoever cancels waits for nobody.
    let scenario = json!({"name": "s", "platforms": ["windows"], "steps": [shell]});
    let cancel = CancellationToken::new();
    let asked = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        while windows.count("GET", "/agent/get-osinfo") < 4 {
            assert!(Instant::now() < deadline, "nobody asks");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(run_until(&windows, scenario, None, cancel.clone()), asked);
    assert_eq!(outcome.result, RunResult::Cancelled);
}

fn login() -> SshLogin {
    SshLogin {
        vm: "win".into(),
        host: "127.0.0.1".into(),
        port: 22,
        user: "tester".into(),
        key: SshKey::Agent("/nonexistent".into()),
        host_keys: Vec::new(),
    }
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
    let scenario = json!({"name": "s", "steps": [{"id": "b", "shell": "exit 0"}]});
    let (reason, message) = refused(run(&windows, scenario, Some(login())).await);
    assert_eq!(reason, "NoSshToWindows");
    assert!(message.contains("spec.guest.ssh"), "{message}");
}
