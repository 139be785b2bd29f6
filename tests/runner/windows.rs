//! Runs in a guest that is Windows, by its agent's wire.

use super::doubles::{Ran, run};
use super::far::{Windows, World};
use mosdat::api::{FailureClass, RunResult};
use mosdat::guest::System;
use mosdat::runner::{asks_for_system, infeasible, unfit};
use mosdat::scenario::{Plan, Scenario};
use std::collections::BTreeMap;
use std::sync::Arc;

async fn run_there(scenario: &str, world: World) -> (Ran, Arc<Windows>) {
    let (guest, far) = Windows::start(world).await;
    let ran = run(scenario, |world| world.guest = Some(Arc::new(guest))).await;
    far.check_lines();
    (ran, far)
}

fn said(text: &str) -> Option<(i64, String, String)> {
    Some((0, text.to_string(), String::new()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_for_windows_runs_through() {
    let mut world = World {
        shows: Some(("Demo App".into(), [0, 0, 200, 100])),
        processes: vec!["demo".into()],
        ports: vec![8080],
        ..World::default()
    };
    world
        .commands
        .insert("(Get-Item C:\\demo.txt).Length".into(), said("5\n"));
    world.commands.insert("Write-Output \"$env:size\"".into(), said("5\n"));
    world.installers.insert(
        r"C:\Users\Public\demo.exe".into(),
        Some(("Demo App".into(), "1.2.0".into(), 0)),
    );
    let (ran, far) = run_there(
        r#"
name: windows
platforms: [windows]
inputs: {who: {default: it's}}
setup:
  - {id: put, stage: {path: 'C:\demo.txt', content: hello}}
  - {id: install, install: {package: 'C:\Users\Public\demo.exe', version: 1.2.0}}
steps:
  - {id: start, launch: {command: ['C:\Program Files\Demo\demo.exe', --open], window: Demo}}
  - {id: size, shell: {command: '(Get-Item C:\demo.txt).Length', capture: size}}
  - {id: told, shell: {command: 'Write-Output "$env:size"', env: {size: '{{ size }}', who: '{{ who }}'}}}
  - {id: runs, expect: {process: demo.exe}}
  - {id: shown, expect: {window: demo app}}
  - {id: file, expect: {file: 'C:\demo.txt', equals: hello}}
  - {id: port, expect: {port: 8080}}
  - {id: paste, type: {text: pasted, paste: ctrl+v}}
  - {id: clip, expect: {clipboard: pasted}}
cleanup:
  - {id: remove, uninstall: {name: Demo App, format: exe}}
"#,
        world,
    )
    .await;
    assert_eq!(
        ran.outcome.result,
        RunResult::Passed,
        "{} {:?}",
        ran.message(),
        ran.ends()
    );
    let asked = far.asked.lock().unwrap();
    let told = asked.iter().find(|a| a.text.starts_with("Write-Output")).unwrap();
    assert_eq!((told.env["size"].as_str(), told.env["who"].as_str()), ("5", "it's"));
    assert!(far.world.lock().unwrap().installed.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_windows_ended_has_crashed() {
    let world = World {
        ended: Some((0xC000_0005, "last words".into())),
        ..World::default()
    };
    let (ran, _) = run_there(
        "name: t\nsteps:\n  - {id: a, launch: demo.exe}\n  - {id: b, expect: {process: x}}\n",
        world,
    )
    .await;
    assert_eq!(ran.outcome.result, RunResult::Crashed, "{}", ran.message());
    let message = ran.message();
    assert!(
        message.contains("0xC0000005 (STATUS_ACCESS_VIOLATION)") && message.contains("last words"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_guest_is_no_verdict() {
    let nobody = World {
        no_task: Some("The task scheduler service is not available.".into()),
        ..World::default()
    };
    let (ran, _) = run_there("name: t\nsteps:\n  - {id: a, shell: exit 0}\n", nobody).await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Error, "GuestLacksTool"));
    assert!(ran.message().contains("not available"), "{}", ran.message());
    let (ran, _) = run_there(
        "name: t\nsteps:\n  - {id: a, shell: {command: exit 0, as: other}}\n",
        World::default(),
    )
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Error, "NotLoggedOn"));
    let (ran, _) = run_there(
        "name: t\nsteps:\n  - {id: a, shell: {command: exit 0, as: root}}\n",
        World::default(),
    )
    .await;
    assert_eq!((ran.outcome.result, ran.reason()), (RunResult::Invalid, "NoSuchUser"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_windows_cannot_answer_is_no_verdict() {
    for check in ["process: x", "port: 80", "not: {process: x}", "not: {port: 80}"] {
        let world = World {
            broken: Some("Provider load failure".into()),
            ..World::default()
        };
        let (ran, _) = run_there(&format!("name: t\nsteps:\n  - {{id: a, expect: {{{check}}}}}\n"), world).await;
        assert_eq!(
            (ran.outcome.result, ran.reason()),
            (RunResult::Error, "GuestScriptFailed"),
            "{check}"
        );
        let class = ran.outcome.failure.as_ref().and_then(|why| why.class);
        assert_eq!(class, Some(FailureClass::Guest), "{check}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installer_that_mosdat_does_not_know_is_no_verdict() {
    for (path, code, result, reason) in [
        (r"C:\odd.exe", None, RunResult::Invalid, "PackageNotSupported"),
        (r"C:\a.msi", Some(1618), RunResult::Error, "NotInstalled"),
        (r"C:\a.msi", Some(1603), RunResult::Failed, "NotInstalled"),
    ] {
        let mut world = World::default();
        let brings = code.map(|code| ("Demo".to_string(), "1.0".to_string(), code));
        world.installers.insert(path.into(), brings);
        let (ran, _) = run_there(&format!("name: t\nsteps:\n  - {{id: a, install: '{path}'}}\n"), world).await;
        assert_eq!(
            (ran.outcome.result, ran.reason()),
            (result, reason),
            "{}",
            ran.message()
        );
    }
}

fn plan(text: &str) -> Plan {
    let scenario = Scenario::from_str("t.yaml", &format!("name: t\n{text}")).unwrap();
    scenario.plan(&BTreeMap::new(), &BTreeMap::new()).unwrap()
}

#[test]
fn a_scenario_runs_where_it_says() {
    let steps = "steps: [{id: a, click: OK}]";
    for (platforms, linux, windows) in [
        ("", true, true),
        ("platforms: [linux]\n", true, false),
        ("platforms: [windows]\n", false, true),
        ("platforms: [linux, windows]\n", true, true),
    ] {
        let plan = plan(&format!("{platforms}{steps}"));
        assert_eq!(asks_for_system(&plan), !platforms.is_empty());
        assert_eq!(unfit(&plan, System::Linux, "Debian").is_none(), linux, "{platforms}");
        let refused = unfit(&plan, System::Windows, "Windows 11 Pro");
        assert_eq!(refused.is_none(), windows, "{platforms}");
        if let Some((reason, message)) = refused {
            assert_eq!(reason, "OtherPlatform");
            assert!(
                message.contains("written for linux") && message.contains("Windows 11 Pro"),
                "{message}"
            );
        }
    }
}

#[test]
fn what_one_system_has_not_is_named_with_its_step() {
    let both = plan(
        "inputs: {path: {default: x}}\nsteps:\n  - {id: a, click: OK}\n  - {id: b, shell: 'exit 0'}\n  - {id: c, launch: {command: app, display: x11}}\n  \
         - {id: d, stage: {path: ~/a, content: x, mode: '0755'}}\n  - {id: e, install: /tmp/x.deb}\n  \
         - {id: f, shell: {command: x, env: {path: '{{ path }}'}}}\n  - {id: g, uninstall: {name: x, format: rpm}}",
    );
    assert!(asks_for_system(&both));
    assert_eq!(unfit(&both, System::Linux, "Debian"), None);
    let (reason, message) = unfit(&both, System::Windows, "Windows 11 Pro").unwrap();
    assert_eq!(reason, "NotOnWindows");
    for word in [
        "step c: display x11;",
        "step d: mode (",
        "step e: packages of format deb;",
        "step f: a variable 'path'",
        "step g: packages of format rpm",
    ] {
        assert!(message.contains(word), "{word}: {message}");
    }
    assert!(!message.contains("step a"), "{message}");
    let windows = plan(
        r"steps: [{id: a, install: 'C:\x.exe'}, {id: b, expect: {file: 'C:\x'}}, {id: c, stage: {path: 'D:/x', content: x}}]",
    );
    assert_eq!(unfit(&windows, System::Windows, "Windows"), None);
    let (reason, message) = unfit(&windows, System::Linux, "Debian 13").unwrap();
    assert_eq!(reason, "NotOnLinux");
    for word in [
        "step a: packages of format exe",
        r"step b: the path C:\x",
        "step c: the path D:/x",
    ] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

/// A scenario for both systems leaves out what one of them has not.
#[test]
fn what_will_not_run_needs_nothing_of_the_system() {
    let inputs = "inputs: {os: {default: linux}}\n";
    let steps = r"steps: [{id: a, install: 'C:\x.exe', when: {os: windows}}, {id: b, if: {fact: {os: windows}, then: [{id: c, expect: {file: 'C:\x'}}]}}]";
    assert_eq!(
        unfit(&plan(&format!("{inputs}{steps}")), System::Linux, "Debian 13"),
        None
    );
    let all = plan(&format!("{}{steps}", inputs.replace("linux", "windows")));
    let (_, message) = unfit(&all, System::Linux, "Debian 13").unwrap();
    assert!(message.contains("step a") && message.contains("step c"), "{message}");
}

#[test]
fn what_the_agent_does_not_take_is_refused_for_windows_too() {
    // In it each of these is two characters.
    let text = "'".repeat(40_000);
    let steps = format!("steps: [{{id: a, shell: \"{text}\"}}]");
    assert!(infeasible(&plan(&format!("platforms: [linux, windows]\n{steps}"))).len() <= 1);
    let wrong = infeasible(&plan(&format!("platforms: [windows]\n{steps}")));
    assert!(wrong[0].contains("takes 65536"), "{wrong:?}");
    assert!(
        infeasible(&plan(
            "platforms: [windows]\nsteps: [{id: a, shell: exit 0}, {id: b, launch: app}]"
        ))
        .is_empty()
    );
}
