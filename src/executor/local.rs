//! Runs as tasks of this process: opens the desktop, the guest and the vision backend, and hands over to the runner.

use super::{Candidate, Checked, Executor, Job, Machine, Outcome, Progress, VisionSettings};
use crate::api::{CurrentStep, FailureClass, RunFailure, RunResult, StepCounts, StepResult, VideoSettings};
use crate::desktop::{self, Auth, Desktop, Layout, Options, Stream};
use crate::guest::{AgentGuest, Guest, SshGuest, System};
use crate::results::{Body, Encoder, Event, Film, PlannedStep, Recorder, RunMeta};
use crate::runner::{self, Limits, Rig};
use crate::scenario::{Plan, Platform, Scenario};
use crate::vision::{Cascade, Ocr, Vision};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Steps kept in a run's status, and characters of a step's message there: the object must stay small.
const STATUS_STEPS: usize = 200;
const STATUS_MESSAGE: usize = 500;

/// Reason of a run that was ended before its first step.
const CANCELLED: &str = "Cancelled";

/// How often the console is opened before it counts as broken.
const CONSOLE_TRIES: u32 = 3;

/// Carries runs out in this process.
pub struct Local {
    models_dir: PathBuf,
    /// Loaded by the first run that reads text: idle, the models cost nothing.
    ocr: OnceCell<Arc<Ocr>>,
}

impl Local {
    /// `models_dir` holds the OCR models.
    pub fn new(models_dir: PathBuf) -> Local {
        Local {
            models_dir,
            ocr: OnceCell::new(),
        }
    }

    async fn ocr(&self) -> Result<Arc<Ocr>, RunFailure> {
        let load = || async {
            let dir = self.models_dir.clone();
            let loaded = tokio::task::spawn_blocking(move || Ocr::load(&dir)).await;
            match loaded {
                Ok(Ok(ocr)) => Ok(Arc::new(ocr)),
                Ok(Err(e)) => Err(failure(FailureClass::Vision, "ModelsMissing", e.to_string())),
                Err(e) => Err(failure(FailureClass::Vision, "ModelsMissing", e.to_string())),
            }
        };
        self.ocr.get_or_try_init(load).await.cloned()
    }

    /// The vision backend of a provider; without one, text recognition.
    ///
    /// # Errors
    /// The models are missing, or the provider cannot be used.
    pub async fn vision(&self, settings: Option<&VisionSettings>) -> Result<Arc<dyn Vision>, RunFailure> {
        let Some(v) = settings else {
            return Ok(self.ocr().await?);
        };
        let mut rungs: Vec<Arc<dyn Vision>> = Vec::new();
        if v.spec.ocr {
            rungs.push(self.ocr().await?);
        }
        if v.spec.openai.is_some() {
            rungs.push(Arc::new(super::model::openai(v)?));
        }
        Ok(match rungs.len() {
            1 => rungs.remove(0),
            _ => Arc::new(Cascade(rungs)),
        })
    }

    async fn rig(&self, job: &Job, system: System, recorder: &Recorder) -> Result<Rig, RunFailure> {
        let machine = &job.machine;
        let vision = self.vision(job.vision.as_ref()).await?;
        let warm = vision.warm_up().await;
        warm.map_err(|e| failure(FailureClass::Vision, "ModelNotReady", e.to_string()))?;
        let desktop = console(machine).await?;
        let film = match &job.video {
            Some(video) => Some(film(desktop.clone(), recorder, video)?),
            None => None,
        };
        let guest: Arc<dyn Guest> = match &machine.ssh {
            Some(login) => {
                let guest = SshGuest::new(login.clone());
                Arc::new(guest.map_err(|e| failure(FailureClass::Guest, "GuestRefusesLogin", e.to_string()))?)
            }
            None => Arc::new(AgentGuest::new(
                machine.client.clone(),
                machine.node.clone(),
                machine.vmid,
                system,
            )),
        };
        Ok(Rig {
            desktop: Arc::new(desktop),
            guest,
            hypervisor: machine.hypervisor.clone(),
            vision,
            film,
        })
    }
}

/// Begins the video. That it can be made was checked before there was a VM.
fn film(desktop: Desktop, recorder: &Recorder, settings: &VideoSettings) -> Result<Film, RunFailure> {
    let encoder = Encoder::find().map_err(|e| failure(FailureClass::Artifact, "NoVideo", e))?;
    let per_second = settings.max_pictures_per_second;
    Ok(Film::begin(encoder, desktop, recorder, per_second))
}

/// Ends the log of a run that cannot be carried out as it is.
fn refused(job: &Job, recorder: &Recorder, why: RunFailure) -> Outcome {
    let counts = StepCounts::default();
    if let Err(e) = recorder.finish(RunResult::Invalid, Some(why.clone()), counts, BTreeMap::new()) {
        tracing::warn!("the report of {}/{}: {e}", job.namespace, job.name);
    }
    ended(RunResult::Invalid, why)
}

/// How long the guest's agent may take to tell what runs there, each time and in all.
const SYSTEM: Duration = Duration::from_secs(10);
const SYSTEM_AT_ALL: Duration = Duration::from_secs(45);

/// What runs in the guest, and its name for people, or why nobody knows. An agent that does not answer yet is asked again; where
/// commands go by SSH, it may be that there is none.
async fn system(machine: &Machine) -> Result<(System, String), String> {
    let until = Instant::now() + SYSTEM_AT_ALL;
    loop {
        let asked = machine.client.agent_osinfo(&machine.node, machine.vmid);
        let (why, again) = match tokio::time::timeout(SYSTEM, asked).await {
            Ok(Ok(told)) => return Ok((System::of(&told.id), told.pretty_name)),
            Ok(Err(error)) => (error.to_string(), error.is_transient()),
            Err(_) => (format!("no answer within {SYSTEM:?}"), true),
        };
        if !again || machine.ssh.is_some() || Instant::now() >= until {
            return Err(why);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What runs in the guest, where the plan can be carried out there. One whose agent does not tell is taken for Linux if the plan
/// is for Linux: the first command says what is amiss.
async fn fitting(machine: &Machine, plan: &Plan) -> Result<System, RunFailure> {
    if !runner::asks_for_system(plan) {
        return Ok(System::Linux);
    }
    let linux = System::Linux.name();
    match system(machine).await {
        Ok((system, name)) => match unfit(machine, plan, system, &name) {
            None => Ok(system),
            Some((reason, message)) => Err(RunFailure {
                class: None,
                reason: reason.into(),
                message,
                step: None,
            }),
        },
        Err(_)
            if !plan.platforms.contains(&Platform::Windows) && runner::unfit(plan, System::Linux, linux).is_none() =>
        {
            Ok(System::Linux)
        }
        Err(why) => Err(failure(
            FailureClass::Guest,
            "GuestSystemUnknown",
            format!(
                "the guest's agent does not tell what runs there, on which it depends how the steps are carried out: {why}"
            ),
        )),
    }
}

/// Why the plan cannot be carried out in this guest, as a word for programs and a sentence.
fn unfit(machine: &Machine, plan: &Plan, system: System, name: &str) -> Option<(&'static str, String)> {
    if system == System::Windows && machine.ssh.is_some() {
        let message = format!(
            "the guest is {name}, in which mosdat runs commands by the QEMU guest agent only; leave spec.guest.ssh out of the VM"
        );
        return Some(("NoSshToWindows", message));
    }
    runner::unfit(plan, system, name)
}

/// Opens the VM's console, which opens itself anew when its link dies. A VNC ticket is used up by the first try, so each
/// try asks for a new one.
async fn console(machine: &Machine) -> Result<Desktop, RunFailure> {
    let dial = {
        let (client, node, vmid) = (machine.client.clone(), machine.node.clone(), machine.vmid);
        move || {
            let (client, node) = (client.clone(), node.clone());
            async move {
                let vnc = client.vnc(&node, vmid).await.map_err(|e| e.to_string())?;
                Ok((Box::new(vnc.stream) as Box<dyn Stream>, Auth::Password(vnc.password)))
            }
        }
    };
    let options = Options {
        layout: machine.keyboard.map(Layout::from),
        ..Options::default()
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match Desktop::connect(dial.clone(), options.clone()).await {
            Ok(desktop) => return Ok(desktop),
            Err(error) => error,
        };
        let class = match error {
            desktop::Error::Dial { .. } => FailureClass::Proxmox,
            _ => FailureClass::Desktop,
        };
        let message = format!("console of VM {} on {}: {error}", machine.vmid, machine.node);
        if tries >= CONSOLE_TRIES {
            return Err(failure(class, "ConsoleNotReached", message));
        }
        tracing::warn!(vm = %machine.name, tries, message, "the console did not open");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[async_trait::async_trait]
impl Executor for Local {
    fn check(&self, candidate: &Candidate<'_>) -> Result<Checked, Vec<String>> {
        let encoder = match candidate.video {
            true => Encoder::find()
                .map(|_| ())
                .map_err(|e| format!("spec.evidence.video: {e}")),
            false => Ok(()),
        };
        match (plan(candidate), encoder) {
            (Ok((scenario, _)), Ok(())) => Ok(Checked {
                digest: scenario.digest(),
            }),
            (Ok(_), Err(encoder)) => Err(vec![encoder]),
            (Err(wrong), encoder) => Err(wrong.into_iter().chain(encoder.err()).collect()),
        }
    }

    async fn run(&self, job: Job, progress: watch::Sender<Progress>, cancel: CancellationToken) -> Outcome {
        let plan = plan(&Candidate {
            scenario: &job.scenario,
            origin: &job.origin,
            variables: &job.variables,
            secrets: &job.secrets,
            range: &job.range,
            video: job.video.is_some(),
            model: job.vision.as_ref().is_some_and(VisionSettings::has_model),
        });
        let meta = RunMeta {
            namespace: job.namespace.clone(),
            name: job.name.clone(),
            uid: job.uid.clone(),
            attempt: job.attempt,
            vm: job.machine.name.clone(),
            node: job.machine.node.clone(),
            vmid: job.machine.vmid,
            vision: job
                .vision
                .as_ref()
                .map_or_else(|| "built-in OCR".to_string(), |v| v.name.clone()),
            version: env!("CARGO_PKG_VERSION").to_string(),
        };
        let recorder = match Recorder::create(&job.artifacts, meta, plan.as_ref().ok().map(|(_, p)| p)) {
            Ok(r) => r,
            Err(e) => {
                return ended(
                    RunResult::Error,
                    failure(FailureClass::Artifact, "NotRecorded", e.to_string()),
                );
            }
        };
        let plan = match plan {
            Ok((_, p)) => p,
            Err(errors) => {
                let why = RunFailure {
                    class: None,
                    reason: "InvalidScenario".into(),
                    message: errors.join("\n"),
                    step: None,
                };
                recorder.hide(&job.secrets.values().cloned().collect::<Vec<_>>());
                return refused(&job, &recorder, why);
            }
        };
        let cancelled = || RunFailure {
            class: None,
            reason: CANCELLED.into(),
            message: "cancelled before the first step".into(),
            step: None,
        };
        let fits = tokio::select! {
            fits = fitting(&job.machine, &plan) => fits,
            () = cancel.cancelled() => Err(cancelled()),
        };
        let rig = match fits {
            Ok(system) => tokio::select! {
                rig = self.rig(&job, system, &recorder) => rig,
                () = cancel.cancelled() => Err(cancelled()),
            },
            Err(why) if why.class.is_none() && why.reason != CANCELLED => return refused(&job, &recorder, why),
            Err(why) => Err(why),
        };
        let rig = match rig {
            Ok(r) => r,
            Err(why) => {
                let result = if why.class.is_some() {
                    RunResult::Error
                } else {
                    RunResult::Cancelled
                };
                let total = u32::try_from(plan.all_steps().count()).unwrap_or(u32::MAX);
                let counts = StepCounts {
                    total,
                    ..Default::default()
                };
                if let Err(e) = recorder.finish(result, Some(why.clone()), counts.clone(), BTreeMap::new()) {
                    tracing::warn!("the report of {}/{}: {e}", job.namespace, job.name);
                }
                return Outcome {
                    steps: counts,
                    ..ended(result, why)
                };
            }
        };
        // The first event, which tells the plan, is past already.
        let mut tally = Tally::default();
        recorder.past().iter().for_each(|e| tally.take(e));
        let events = recorder.subscribe();
        let limits = Limits { timeout: job.timeout };
        let work = runner::run(plan, rig, recorder.clone(), limits, cancel);
        let outcome = tokio::select! {
            outcome = work => outcome,
            // Ends only when the recorder is gone, which the line above outlives.
            () = tell(events, tally, progress) => return ended(
                RunResult::Error,
                failure(FailureClass::Controller, "RecorderLost", "the event log ended before the run".into()),
            ),
        };
        let mut told = Tally::default();
        recorder.past().iter().for_each(|e| told.take(e));
        Outcome {
            result: outcome.result,
            failure: outcome.failure,
            steps: outcome.steps,
            finished: told.progress.finished,
            outputs: outcome.outputs,
        }
    }
}

/// What stands above the steps that have no model.
const NO_MODEL: &str = "this run has no vision model (no visionRef, or a VisionProvider without spec.openai; of a TOML file of \
                        the predecessor: no `base_url` in [vlm]), and these steps can be answered only by one";

fn plan(candidate: &Candidate<'_>) -> Result<(Scenario, Plan), Vec<String>> {
    let lines = |e: crate::scenario::Errors| e.to_string().lines().map(String::from).collect::<Vec<_>>();
    let range = candidate.range;
    let scenario = Scenario::from_spec(candidate.scenario, candidate.origin).map_err(lines)?;
    let mut plan = scenario.plan(candidate.variables, candidate.secrets).map_err(lines)?;
    plan.limit(range.from.as_deref(), range.until.as_deref())
        .map_err(lines)?;
    let mut wrong = runner::infeasible(&plan);
    let unanswered = match candidate.model {
        true => Vec::new(),
        false => runner::needs_model(&plan),
    };
    if !unanswered.is_empty() {
        wrong.push(format!("{NO_MODEL}:"));
        wrong.extend(unanswered);
    }
    match wrong.is_empty() {
        true => Ok((scenario, plan)),
        false => Err(wrong),
    }
}

pub(super) fn failure(class: FailureClass, reason: &str, message: String) -> RunFailure {
    RunFailure {
        class: Some(class),
        reason: reason.into(),
        message,
        step: None,
    }
}

fn ended(result: RunResult, why: RunFailure) -> Outcome {
    Outcome {
        result,
        failure: Some(why),
        steps: StepCounts::default(),
        finished: Vec::new(),
        outputs: BTreeMap::new(),
    }
}

/// Passes events on as progress, until there are no more.
async fn tell(mut events: broadcast::Receiver<Event>, mut tally: Tally, progress: watch::Sender<Progress>) {
    progress.send_replace(tally.progress.clone());
    loop {
        match events.recv().await {
            Ok(event) => {
                tally.take(&event);
                progress.send_replace(tally.progress.clone());
            }
            // Progress is a courtesy; the outcome is made from all events.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Sums events up for status.
#[derive(Default)]
struct Tally {
    plan: HashMap<String, PlannedStep>,
    progress: Progress,
}

impl Tally {
    fn label(&self, id: &str) -> String {
        self.plan.get(id).map_or_else(String::new, |s| s.label.clone())
    }

    fn take(&mut self, event: &Event) {
        match &event.body {
            Body::RunStart { plan, .. } => {
                self.progress.steps.total = plan.total;
                self.plan = plan.steps.iter().map(|s| (s.id.clone(), s.clone())).collect();
            }
            Body::StepStart { step, further, label } => {
                if let Some(further) = further {
                    self.progress.steps.total += 1;
                    self.plan.insert(step.clone(), further.clone());
                }
                if let (Some(label), Some(planned)) = (label, self.plan.get_mut(step)) {
                    planned.label.clone_from(label);
                }
                self.progress.current = Some(CurrentStep {
                    id: step.clone(),
                    label: self.label(step),
                });
            }
            Body::StepEnd {
                step,
                outcome,
                message,
                ms,
                ..
            } => {
                self.progress.steps.add(*outcome);
                self.progress.current = None;
                let result = StepResult {
                    id: step.clone(),
                    label: self.label(step),
                    outcome: outcome.as_str().to_string(),
                    duration_ms: i64::try_from(*ms).unwrap_or(i64::MAX),
                    message: message.as_ref().map(|m| m.chars().take(STATUS_MESSAGE).collect()),
                };
                self.progress.finished.push(result);
                if self.progress.finished.len() > STATUS_STEPS {
                    self.progress.finished.remove(0);
                }
            }
            _ => {}
        }
    }
}
