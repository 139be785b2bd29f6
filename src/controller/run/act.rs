//! Carries a step out.

use super::super::context::Context;
use super::super::{Error, conditions, error::code};
use super::decide::{Step, Verdict, task_pause};
use super::hypervisor::Asking;
use super::{RUN_LABEL, decide, resolve};
use crate::api::{
    FINALIZER, FunctionalTestRun, FunctionalTestRunStatus, Holder, ProxmoxVM, RunArtifacts, RunPhase, RunResult,
};
use crate::executor::{Candidate, Checked, Job, Machine, VisionSettings};
use crate::results;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Resource, ResourceExt};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What comes after a step.
pub enum Next {
    Again,
    After(Duration),
    Done,
}

pub async fn act(ctx: &Context, run: FunctionalTestRun, step: Step) -> Result<Next, Error> {
    let uid = run.uid().unwrap_or_default();
    match step {
        Step::Wait { message, after } => {
            if !message.is_empty() {
                write(ctx, run, |s, g| {
                    s.phase.get_or_insert(RunPhase::Pending);
                    progressing(s, g, &message);
                })
                .await?;
            }
            Ok(Next::After(after))
        }
        Step::Begin { attempt, digest } => {
            let vm = vm_name(&run, attempt);
            let run = write(ctx, run, |s, g| {
                s.scenario_digest = Some(digest);
                s.start_time.get_or_insert(Time(Timestamp::now()));
                begin(s, g, attempt, vm);
            })
            .await?;
            event(
                ctx,
                &run,
                false,
                "Preparing",
                "the scenario is valid; a VM is being prepared",
            )
            .await;
            Ok(Next::Again)
        }
        Step::Retry { record, attempt } => {
            ctx.tasks.forget(&uid);
            let vm = vm_name(&run, attempt);
            let note = format!(
                "attempt {}: {}: {}; trying again{}",
                record.attempt,
                record.failure.reason,
                record.failure.message,
                if run.spec.vm.reference.is_none() {
                    " on a clean VM"
                } else {
                    ""
                }
            );
            let run = write(ctx, run, |s, g| {
                s.attempts.push(*record);
                s.failure = None;
                s.verdict = None;
                s.steps = None;
                s.progress = None;
                s.current_step = None;
                s.step_results = Vec::new();
                s.outputs.clear();
                s.artifacts = None;
                begin(s, g, attempt, vm);
            })
            .await?;
            event(ctx, &run, true, "Retrying", &note).await;
            Ok(Next::Again)
        }
        Step::MakeVm => make_vm(ctx, run).await,
        Step::ClaimVm { version } => hold(ctx, &run, Some(version)).await.map(|()| Next::Again),
        Step::UnclaimVm => hold(ctx, &run, None).await.map(|()| Next::Again),
        Step::Start => {
            let identity = ctx.settings.identity.clone();
            let folder = folder(ctx, &run);
            let run = write(ctx, run, |s, g| {
                s.phase = Some(RunPhase::Running);
                s.executor = Some(identity);
                s.artifacts = Some(artifacts(&folder));
                progressing(s, g, "the scenario runs");
            })
            .await?;
            event(ctx, &run, false, "Running", "the VM is ready; the scenario runs").await;
            spawn(ctx, &run).await
        }
        Step::Spawn => spawn(ctx, &run).await,
        Step::Progress { progress } => {
            write(ctx, run, |s, _| {
                s.progress = Some(progress.text());
                s.steps = Some(progress.steps);
                s.current_step = progress.current;
                s.step_results = progress.finished;
            })
            .await?;
            Ok(Next::After(task_pause()))
        }
        Step::Cancel => {
            ctx.tasks.cancel(&uid);
            Ok(Next::After(Duration::from_secs(1)))
        }
        Step::Finish(verdict) => finish(ctx, run, &verdict).await,
        Step::DropVm => drop_vm(ctx, &run).await,
        Step::Done(verdict) => done(ctx, run, *verdict).await,
        Step::Expire => {
            // Its evidence goes with it, first: the other way round nothing would know of what is left.
            if let Some(folder) = folder(ctx, &run).parent() {
                match tokio::fs::remove_dir_all(folder).await {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                        tracing::warn!(
                            "{}: the evidence of an expired run cannot be removed: {e}",
                            folder.display()
                        );
                    }
                    _ => {}
                }
            }
            let api = ctx.api::<FunctionalTestRun>(&run.namespace().unwrap_or_default());
            gone_is_fine(api.delete(&run.name_any(), &only(&uid)).await.map(|_| ()), || {
                format!("deleting FunctionalTestRun {}", run.name_any())
            })?;
            Ok(Next::Done)
        }
        Step::Release => {
            ctx.tasks.forget(&uid);
            let deleted = run.metadata.deletion_timestamp.is_some();
            set_finalizer(ctx, &run, false).await?;
            Ok(if deleted { Next::Done } else { Next::Again })
        }
    }
}

fn begin(s: &mut FunctionalTestRunStatus, generation: Option<i64>, attempt: u32, vm: String) {
    s.phase = Some(RunPhase::Preparing);
    s.attempt = Some(attempt);
    s.vm_name = Some(vm);
    s.executor = None;
    progressing(s, generation, "a VM is being prepared");
}

fn progressing(s: &mut FunctionalTestRunStatus, generation: Option<i64>, message: &str) {
    let now = Timestamp::now();
    let reason = match s.phase {
        Some(RunPhase::Running) => "Running",
        Some(RunPhase::Finishing) => "Finishing",
        Some(RunPhase::Preparing) => "Preparing",
        _ => "Pending",
    };
    conditions::set(
        &mut s.conditions,
        now,
        generation,
        "Succeeded",
        "Unknown",
        reason,
        message,
    );
    conditions::Verdict::progressing(reason, message).apply(&mut s.conditions, now, generation);
}

fn note_verdict(s: &mut FunctionalTestRunStatus, v: &Verdict) {
    s.verdict = Some(v.result);
    s.failure = v.failure.clone();
    if !v.finished.is_empty() {
        s.step_results = v.finished.clone();
    }
    if !v.outputs.is_empty() {
        s.outputs = v.outputs.clone();
    }
    if let Some(steps) = &v.steps {
        s.progress = Some(
            crate::executor::Progress {
                steps: steps.clone(),
                ..Default::default()
            }
            .text(),
        );
        s.steps = Some(steps.clone());
    }
}

async fn finish(ctx: &Context, run: FunctionalTestRun, verdict: &Verdict) -> Result<Next, Error> {
    if let Some(why) = verdict.failure.clone().filter(|f| f.reason == decide::INTERRUPTED) {
        let folder = folder(ctx, &run);
        let mended = tokio::task::spawn_blocking(move || results::mend(&folder, &why)).await;
        // It may be on another machine, or the process was killed before the first line.
        if let Ok(Err(e)) = mended {
            tracing::warn!(run = %run.name_any(), "the log of an interrupted attempt stays as it is: {e}");
        }
    }
    let video = match asks_for_video(&run) {
        true => video(folder(ctx, &run)).await,
        false => None,
    };
    write(ctx, run, |s, g| {
        if let (Some(artifacts), Some(video)) = (&mut s.artifacts, video) {
            artifacts.video = video.file;
            artifacts.video_problem = video.problem;
        }
        s.phase = Some(RunPhase::Finishing);
        s.current_step = None;
        note_verdict(s, verdict);
        progressing(s, g, "the VM is given back");
    })
    .await?;
    Ok(Next::Again)
}

async fn done(ctx: &Context, run: FunctionalTestRun, v: Verdict) -> Result<Next, Error> {
    let passed = matches!(v.result, RunResult::Passed | RunResult::SoftFailed);
    let word = v.result.as_str();
    let reason = word[..1].to_uppercase() + &word[1..];
    let message = v
        .failure
        .as_ref()
        .map(|f| match &f.step {
            Some(step) => format!("step {step}: {}", f.message),
            None => f.message.clone(),
        })
        .unwrap_or_else(|| "every check held".to_string());
    let uid = run.uid().unwrap_or_default();
    let run = write(ctx, run, |s, g| {
        let now = Timestamp::now();
        s.phase = Some(RunPhase::Done);
        note_verdict(s, &v);
        s.result = Some(v.result);
        s.verdict = None;
        s.current_step = None;
        let start = s.start_time.get_or_insert(Time(now)).0;
        s.completion_time = Some(Time(now));
        s.duration_seconds = Some(now.duration_since(start).as_secs());
        let word = if passed { "True" } else { "False" };
        conditions::set(&mut s.conditions, now, g, "Succeeded", word, &reason, &message);
        conditions::Verdict::ready("Done", format!("the run is over: {reason}")).apply(&mut s.conditions, now, g);
    })
    .await?;
    ctx.tasks.forget(&uid);
    event(ctx, &run, !passed, &reason, &message).await;
    Ok(Next::Again)
}

async fn make_vm(ctx: &Context, run: FunctionalTestRun) -> Result<Next, Error> {
    let Some(spec) = run.spec.vm.template.clone() else {
        return Err(Error::Malformed(format!(
            "FunctionalTestRun {} names no VM",
            run.name_any()
        )));
    };
    let name = run.status.as_ref().and_then(|s| s.vm_name.clone()).unwrap_or_default();
    let mut vm = ProxmoxVM::new(&name, spec);
    vm.metadata.namespace = run.namespace();
    vm.metadata.owner_references = run.controller_owner_ref(&()).map(|o| vec![o]);
    vm.metadata.labels = Some([(RUN_LABEL.to_string(), label(&run.name_any()))].into());
    let api = ctx.api::<ProxmoxVM>(&run.namespace().unwrap_or_default());
    match api.create(&PostParams::default(), &vm).await {
        Ok(_) => Ok(Next::After(Duration::from_secs(2))),
        // Made by an earlier try, or somebody else's: the next look tells.
        Err(e) if code(&e) == Some(409) => Ok(Next::Again),
        Err(e) if code(&e) == Some(403) => finish(ctx, run, &decide::vm_refused(&e.to_string())).await,
        Err(e) if matches!(code(&e), Some(400 | 422)) => {
            let why = crate::api::RunFailure {
                class: None,
                reason: "Invalid".to_string(),
                message: format!("spec.vm.template: the API server refuses the VM: {e}"),
                step: None,
            };
            let verdict = Verdict {
                result: RunResult::Invalid,
                failure: Some(why),
                steps: None,
                finished: Vec::new(),
                outputs: BTreeMap::new(),
            };
            done(ctx, run, verdict).await
        }
        Err(e) => Err(Error::kube(format!("creating ProxmoxVM {name}"))(e)),
    }
}

/// A label's value is shorter than a name may be, and ends with a letter or digit.
fn label(name: &str) -> String {
    let cut: String = name.chars().take(63).collect();
    cut.trim_end_matches(['-', '.']).to_string()
}

/// Writes this run as the holder of the referenced VM that was seen free at the version `claim`, or removes it. Of two
/// runs that saw the same version one gets a conflict.
async fn hold(ctx: &Context, run: &FunctionalTestRun, claim: Option<String>) -> Result<(), Error> {
    let name = run.status.as_ref().and_then(|s| s.vm_name.clone()).unwrap_or_default();
    let api = ctx.api::<ProxmoxVM>(&run.namespace().unwrap_or_default());
    let what = format!("holder of ProxmoxVM {name}");
    let Some(mut vm) = api.get_opt(&name).await.map_err(Error::kube(what.clone()))? else {
        return Ok(());
    };
    let uid = run.uid().unwrap_or_default();
    let status = vm.status.get_or_insert_default();
    match claim {
        Some(version) => {
            vm.metadata.resource_version = Some(version);
            status.holder = Some(Holder {
                kind: "FunctionalTestRun".to_string(),
                name: run.name_any(),
                uid,
            });
        }
        None if status.holder.as_ref().is_some_and(|h| h.uid == uid) => status.holder = None,
        None => return Ok(()),
    }
    // What an earlier holder asked for is nobody's wish any more, also where that holder is gone without a word.
    (status.operation, status.held_off) = (None, false);
    api.replace_status(&name, &PostParams::default(), &vm)
        .await
        .map_err(Error::kube(what))?;
    Ok(())
}

async fn drop_vm(ctx: &Context, run: &FunctionalTestRun) -> Result<Next, Error> {
    let name = run.status.as_ref().and_then(|s| s.vm_name.clone()).unwrap_or_default();
    let api = ctx.api::<ProxmoxVM>(&run.namespace().unwrap_or_default());
    let what = || format!("deleting ProxmoxVM {name}");
    let Some(vm) = api.get_opt(&name).await.map_err(Error::kube(what()))? else {
        return Ok(Next::Again);
    };
    let params = only(&vm.uid().unwrap_or_default());
    gone_is_fine(api.delete(&name, &params).await.map(|_| ()), what)?;
    Ok(Next::After(Duration::from_secs(2)))
}

async fn spawn(ctx: &Context, run: &FunctionalTestRun) -> Result<Next, Error> {
    let ns = run.namespace().unwrap_or_default();
    let status = run.status.clone().unwrap_or_default();
    let name = status.vm_name.clone().unwrap_or_default();
    let vm = ctx
        .api::<ProxmoxVM>(&ns)
        .get_opt(&name)
        .await
        .map_err(Error::kube(format!("reading ProxmoxVM {ns}/{name}")))?;
    let place = vm.and_then(|vm| {
        let s = vm.status.as_ref()?;
        Some((s.node.clone()?, s.vmid?, vm))
    });
    let Some((node, vmid, vm)) = place else {
        return finish(ctx, run.clone(), &decide::vm_lost(&name)).await;
    };
    let ssh = match super::super::vm::ssh_login(ctx, &vm).await? {
        Ok(ssh) => ssh,
        Err(why) => return finish(ctx, run.clone(), &decide::no_login(&name, &why)).await,
    };
    // What was found right before the VM was made may have been changed or removed since.
    let resolved = match resolve::resolve(ctx, run).await? {
        Ok(r) => r,
        Err(wrong) => return finish(ctx, run.clone(), &decide::changed(&wrong.texts.join("; "))).await,
    };
    let check = check(ctx, run, &resolved);
    match check {
        Ok(c) if status.scenario_digest.as_ref() == Some(&c.digest) => {}
        Ok(_) => {
            let why = format!("{} is not what it was when the run began", resolved.origin);
            return finish(ctx, run.clone(), &decide::changed(&why)).await;
        }
        Err(errors) => return finish(ctx, run.clone(), &decide::changed(&errors.join("; "))).await,
    }
    let cluster = ctx.cluster(&ns, &vm.spec.cluster_ref.name).await?;
    let job = Job {
        namespace: ns,
        name: run.name_any(),
        uid: run.uid().unwrap_or_default(),
        attempt: status.attempt.unwrap_or(1),
        scenario: resolved.scenario,
        origin: resolved.origin,
        variables: run.spec.variables.clone(),
        range: run.spec.steps.clone().unwrap_or_default(),
        secrets: resolved.secrets,
        vision: resolved.vision,
        video: run.spec.evidence.as_ref().and_then(|e| e.video.clone()),
        timeout: run
            .spec
            .timeout_seconds
            .map(|seconds| Duration::from_secs(seconds.into())),
        machine: Machine {
            client: cluster.client,
            node,
            vmid,
            hypervisor: Arc::new(Asking::new(ctx, run, &name)),
            name,
            keyboard: vm.spec.keyboard_layout,
            ssh,
        },
        artifacts: folder(ctx, run),
    };
    ctx.tasks.start(ctx.executor.clone(), job, ctx.trigger());
    Ok(Next::After(task_pause()))
}

/// Whether the run could be carried out as it is.
pub fn check(ctx: &Context, run: &FunctionalTestRun, resolved: &resolve::Resolved) -> Result<Checked, Vec<String>> {
    ctx.executor.check(&Candidate {
        scenario: &resolved.scenario,
        origin: &resolved.origin,
        variables: &run.spec.variables,
        secrets: &resolved.secrets,
        range: &run.spec.steps.clone().unwrap_or_default(),
        video: asks_for_video(run),
        model: resolved.vision.as_ref().is_some_and(VisionSettings::has_model),
    })
}

/// `<artifacts>/<namespace>/<run>-<first 8 of its UID>/attempt-<n>`.
fn folder(ctx: &Context, run: &FunctionalTestRun) -> PathBuf {
    let uid = run.uid().unwrap_or_default();
    let attempt = run.status.as_ref().and_then(|s| s.attempt).unwrap_or(1);
    ctx.settings
        .artifacts_dir
        .join(run.namespace().unwrap_or_default())
        .join(format!("{}-{}", run.name_any(), uid.get(..8).unwrap_or(&uid)))
        .join(format!("attempt-{attempt}"))
}

fn artifacts(folder: &std::path::Path) -> RunArtifacts {
    RunArtifacts {
        location: folder.display().to_string(),
        report: results::REPORT_FILE.to_string(),
        events: results::EVENTS_FILE.to_string(),
        junit: results::JUNIT_FILE.to_string(),
        ..RunArtifacts::default()
    }
}

pub(super) fn asks_for_video(run: &FunctionalTestRun) -> bool {
    run.spec.evidence.as_ref().is_some_and(|e| e.video.is_some())
}

/// What became of the video, as the log of the attempt tells.
async fn video(folder: PathBuf) -> Option<results::RunVideo> {
    let log = folder.join(results::EVENTS_FILE);
    let read = tokio::task::spawn_blocking(move || results::read_events(&log)).await;
    let last = read.ok()?.ok()?.pop()?;
    match last.body {
        results::Body::RunEnd { video, .. } => video,
        _ => None,
    }
}

/// Name of an attempt's VM: the referenced one, or one made for it.
fn vm_name(run: &FunctionalTestRun, attempt: u32) -> String {
    match &run.spec.vm.reference {
        Some(r) => r.name.clone(),
        None => format!("{}-{attempt}", run.name_any()),
    }
}

fn only(uid: &str) -> DeleteParams {
    DeleteParams::background().preconditions(Preconditions {
        uid: Some(uid.to_string()),
        resource_version: None,
    })
}

fn gone_is_fine(answer: Result<(), kube::Error>, what: impl FnOnce() -> String) -> Result<(), Error> {
    match answer {
        Err(e) if code(&e) == Some(404) => Ok(()),
        Err(e) => Err(Error::kube(what())(e)),
        Ok(()) => Ok(()),
    }
}

pub async fn set_finalizer(ctx: &Context, run: &FunctionalTestRun, present: bool) -> Result<(), Error> {
    let mut list = run.finalizers().to_vec();
    list.retain(|f| f != FINALIZER);
    if present {
        list.push(FINALIZER.to_string());
    }
    let patch = json!({"metadata": {"finalizers": list, "resourceVersion": run.metadata.resource_version}});
    ctx.api::<FunctionalTestRun>(&run.namespace().unwrap_or_default())
        .patch(&run.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map_err(Error::kube(format!(
            "finalizers of FunctionalTestRun {}",
            run.name_any()
        )))?;
    Ok(())
}

/// Writes status if it changes; fails with a conflict when the object changed since it was read.
async fn write(
    ctx: &Context,
    run: FunctionalTestRun,
    change: impl FnOnce(&mut FunctionalTestRunStatus, Option<i64>),
) -> Result<FunctionalTestRun, Error> {
    let generation = run.metadata.generation;
    let mut status = run.status.clone().unwrap_or_default();
    change(&mut status, generation);
    status.observed_generation = generation;
    if run.status.as_ref() == Some(&status) {
        return Ok(run);
    }
    let mut new = run;
    new.status = Some(status);
    ctx.api::<FunctionalTestRun>(&new.namespace().unwrap_or_default())
        .replace_status(&new.name_any(), &PostParams::default(), &new)
        .await
        .map_err(Error::kube(format!(
            "writing status of FunctionalTestRun {}",
            new.name_any()
        )))
}

async fn event(ctx: &Context, run: &FunctionalTestRun, warning: bool, reason: &str, note: &str) {
    ctx.event(&run.object_ref(&()), warning, reason, note).await;
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_long_name_makes_a_valid_label() {
        assert_eq!(super::label("short"), "short");
        let long = format!("{}-tail", "a".repeat(62));
        assert_eq!(super::label(&long), "a".repeat(62));
    }
}
