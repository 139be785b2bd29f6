//! One step: its attempts, its time, its one end.

use super::check::{Held, guest_knows, needs_guest};
use super::failure::{Failure, Kind, SETUP_FAILED};
use super::locate::VISION_GRACE;
use super::nodes::Owner;
use super::record;
use super::reference::Missed;
use super::run::{Ended, Run};
use super::stop::Stop;
use crate::api::FailureClass;
use crate::desktop::{Frame, Point};
use crate::guest::{self, Command, Exit};
use crate::results::{Evidence, Role};
use crate::scenario::{Action, Mask, Section, Step};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A step that is this much over its time hangs in mosdat itself or in what it waits for.
const STUCK: Duration = Duration::from_secs(120);
/// How long taking the last picture of a failed step may take.
const LAST_PICTURE: Duration = Duration::from_secs(5);

/// Characters of a line about the guest's state; command lines of browsers have thousands.
const GUEST_LINE: usize = 200;

/// How long the desktop and the guest each have to show that they are there.
const PROBE: Duration = Duration::from_secs(5);

fn uses_guest(step: &Step) -> bool {
    let acts = match &step.action {
        Action::Launch(_)
        | Action::Shell(_)
        | Action::Stage(_)
        | Action::Reboot(_)
        | Action::Install(_)
        | Action::Uninstall(_) => true,
        Action::Type(typing) => typing.paste.is_some(),
        _ => false,
    };
    acts || step.targets().into_iter().any(guest_knows) || step.conditions().any(needs_guest)
}

/// `within 6s`, where `given` is all of the step's time but what a look takes; else which part of it.
fn time_given(given: Duration, whole: Duration, attempt: Option<(u32, u32)>) -> String {
    /// What goes by before the first look, at most.
    const BEGINNING: Duration = Duration::from_millis(250);
    if given + BEGINNING >= whole {
        return format!("within {whole:?}");
    }
    let seconds = given.as_secs_f64();
    match (given.is_zero(), attempt) {
        (true, None) => format!("at once, when the action had taken all of the step's {whole:?}"),
        (true, Some((attempt, of))) => {
            format!("at once, when the action had taken all that attempt {attempt} of {of} has of the step's {whole:?}")
        }
        (false, None) => format!("within {seconds:.1}s, what the action had left of the step's {whole:?}"),
        (false, Some((attempt, of))) => {
            format!("within {seconds:.1}s, the part of attempt {attempt} of {of} in the step's {whole:?}")
        }
    }
}

/// A step in progress.
pub(super) struct Stage<'a> {
    pub run: &'a mut Run,
    pub step: &'a Step,
    /// The vision backend said something that will not change by asking again.
    pub hopeless: bool,
    /// The vision backend's last answer could not be read: it will say the same of the same picture.
    pub unreadable: bool,
    /// How long its answer is waited for after the step's time.
    pub grace: Duration,
    /// What the last look at the present condition said.
    pub last: Option<Held>,
    pub attempts: u32,
    /// What the vision backend complained about, until it answers again.
    pub trouble: Option<String>,
    /// What was recorded of commands and conditions: a poll that finds the same again is not recorded again.
    pub told: Vec<Evidence>,
    /// Digest of the picture that was recorded last.
    pub shown: Option<String>,
    /// The picture before the present action.
    pub before: Option<Arc<Frame>>,
    /// Where the mouse pointer was and is.
    pub pointers: Vec<Point>,
    /// The last action changed nothing that can be seen.
    pub noop: bool,
    /// How long the machine stood still at the last action, if it did.
    pub stood_still: Option<Duration>,
    /// The reference that was not found on the last look, and where it was looked for.
    pub missed: Option<Missed>,
    /// Whose element was found last.
    pub owner: Option<Owner>,
    /// What found a target that was pinned to something else.
    pub healed: Option<String>,
    /// The targets whose places are hidden, where the step says that they are to be.
    pub covered: BTreeSet<String>,
}

/// Runs a step that holds no others to its one end.
pub(super) async fn run_leaf(run: &mut Run, step: &Step, stop: &Stop) -> Result<(), Ended> {
    let start = Instant::now();
    // Where only the step finds out what must not be seen, nothing is to be seen until it has; and if it does not, however
    // it ends, from then on.
    if step.mask == Some(Mask::Target) {
        run.recorder.veil(&run.planned_id(step));
    }
    run.begin(step);
    run.tested |= step.section == Section::Steps;
    // From here on, also where the step itself stores no picture.
    if let Some(Mask::Region(sides)) = step.mask {
        run.recorder.cover_region(sides);
    }
    let mut stage = Stage::new(run, step);
    // The one boundary: whatever happens inside, the step ends here.
    let result = tokio::select! {
        biased;
        failure = stop.fired() => Err(failure),
        result = tokio::time::timeout(step.timeout + STUCK, stage.carry_out(start + step.timeout)) => {
            result.unwrap_or_else(|_| Err(Failure::error(
                FailureClass::Controller,
                "StepStuck",
                format!("the step did not end {STUCK:?} after its time of {:?}", step.timeout),
            )))
        }
    };
    let mut result = stage.judged(result).await;
    if let Err(failure) = result {
        stage.last_picture().await;
        stage.tell_guest(&failure).await;
        result = Err(match stage.explain_missed().await {
            Some(seen) => failure.with(&seen),
            None => failure,
        });
    }
    let attempts = stage.attempts;
    let healed = stage.healed.take();
    run.recorder.stored().await;
    if let Some(error) = run.recorder.take_error() {
        result = Err(Failure::error(
            FailureClass::Artifact,
            "EvidenceNotStored",
            error.to_string(),
        ));
    }
    run.end(step, result.as_ref().map(|()| healed), attempts, start);
    result.map_err(|failure| Ended::new(failure, step))
}

impl<'a> Stage<'a> {
    pub fn new(run: &'a mut Run, step: &'a Step) -> Stage<'a> {
        Stage {
            run,
            step,
            hopeless: false,
            unreadable: false,
            grace: VISION_GRACE,
            last: None,
            attempts: 0,
            trouble: None,
            told: Vec::new(),
            shown: None,
            before: None,
            pointers: Vec::new(),
            noop: false,
            stood_still: None,
            missed: None,
            owner: None,
            healed: None,
            covered: BTreeSet::new(),
        }
    }
}

impl Stage<'_> {
    /// What ended a step, once it is known what it speaks about; and answers of vision backends that came too late for the
    /// step, or were cut off with it.
    pub(super) async fn judged<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        let result = match result {
            Err(failure) => Err(self.judge_time_out(failure).await.in_section(self.step.section)),
            Ok(value) => Ok(value),
        };
        self.tell_requests();
        result
    }

    /// The run's time that went by in an outage says nothing about the product: what the step needs is asked once more.
    async fn judge_time_out(&mut self, failure: Failure) -> Failure {
        if failure.kind != Kind::RunTimedOut {
            return failure;
        }
        let told = &failure.message;
        if let Action::Snapshot(_) | Action::Rollback(_) | Action::Power(_) = self.step.action {
            let message = format!("{told} while the hypervisor was at work");
            return Failure::error(FailureClass::Proxmox, "HypervisorSlow", message);
        }
        if let Some(trouble) = &self.trouble {
            let message = format!("{told} while the vision backend failed: {trouble}");
            return Failure::error(FailureClass::Vision, "VisionFailed", message);
        }
        match self.outage().await {
            Some(outage) => Failure {
                message: format!("{told} in an outage: {}", outage.message),
                ..outage
            },
            None => failure,
        }
    }

    /// What is wrong with the desktop, or with the guest if the step or an earlier one has used it.
    async fn outage(&mut self) -> Option<Failure> {
        let silent = |class, reason, what: &str| {
            let message = format!("{what} gave no answer within {PROBE:?}");
            Some(Failure::error(class, reason, message))
        };
        match tokio::time::timeout(PROBE, self.capture()).await {
            Ok(Ok(_)) => {}
            Ok(Err(failure)) => return Some(failure),
            Err(_) => return silent(FailureClass::Desktop, "DesktopFailed", "the desktop"),
        }
        if self.run.session.is_none() && !uses_guest(self.step) {
            return None;
        }
        let guest = self.run.rig.guest.clone();
        // In every shell.
        let nothing = Command::script("exit 0", PROBE);
        match tokio::time::timeout(PROBE + Duration::from_secs(2), guest.exec(nothing)).await {
            Ok(Ok(output)) if output.exit == Exit::TimedOut => silent(FailureClass::Guest, "GuestStuck", "the guest"),
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.into()),
            Err(_) => silent(FailureClass::Guest, "GuestLinkLost", "the guest"),
        }
    }

    async fn carry_out(&mut self, deadline: Instant) -> Result<(), Failure> {
        let result = self.attempts(deadline).await;
        match result {
            // What looks like a failed check may be the application's death, and a click that went well its cause.
            Ok(()) => self.look_after().await,
            Err(failure) if failure.is_about_the_product() => {
                self.look_after().await?;
                Err(failure)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn attempts(&mut self, deadline: Instant) -> Result<(), Failure> {
        let step = self.step;
        let mut why: Option<Failure> = None;
        for attempt in 1..=step.attempts {
            if attempt > 1 {
                if Instant::now() >= deadline {
                    let untried = format!(
                        "no time was left of the step's {:?} for attempt {attempt} of {}",
                        step.timeout, step.attempts
                    );
                    self.note(&untried);
                    why = why.map(|failure| failure.with(&untried));
                    break;
                }
                self.note(&format!("attempt {attempt} of {}", step.attempts));
                // What has happened meanwhile is not done twice.
                if let Some(verify) = &step.verify
                    && matches!(self.hold(verify, Instant::now()).await?, Held::Yes)
                {
                    self.note("what was to be reached is there already; nothing is done again");
                    return Ok(());
                }
            }
            self.attempts = attempt;
            self.told.clear();
            // Attempts share what is left of the time; the last one has all of it.
            let now = Instant::now();
            let until = now + deadline.saturating_duration_since(now) / (step.attempts - attempt + 1);
            match self.attempt(until).await {
                Err(failure) if failure.is_about_the_product() && attempt < step.attempts => {
                    self.look_after().await?;
                    self.note(&format!("attempt {attempt} failed: {}", failure.message));
                    why = Some(failure);
                }
                result => return result,
            }
        }
        Err(why.unwrap_or_else(|| Failure::failed("NotTried", "there was no time for an attempt")))
    }

    /// How long something had, in numbers that the scenario's author knows: the step's time, or which part of it.
    pub(super) fn time_given(&self, given: Duration) -> String {
        let attempt = (self.step.attempts > 1).then_some((self.attempts, self.step.attempts));
        time_given(given, self.step.timeout, attempt)
    }

    async fn attempt(&mut self, until: Instant) -> Result<(), Failure> {
        self.act(until).await?;
        match &self.step.verify {
            Some(verify) => {
                let result = self.expect(verify, until, Kind::Failed, "NotVerified").await;
                result.map_err(|failure| self.in_doubt(failure))
            }
            None => Ok(()),
        }
    }

    /// What is not as it should be after an action that may not have arrived as it was meant. Keys that are sent to a machine
    /// that stands still are repeated or lost when it goes on, which is nobody's fault.
    fn in_doubt(&self, failure: Failure) -> Failure {
        if !failure.is_about_the_product() && failure.kind != Kind::Error(FailureClass::Vision) {
            return failure;
        }
        if let Some(time) = self.stood_still {
            return Failure::error(
                FailureClass::Desktop,
                "StoodStill",
                format!(
                    "the machine stood still for {:.1}s at the action, so that keys and clicks may have been lost or repeated; then: {}",
                    time.as_secs_f64(),
                    failure.message
                ),
            );
        }
        match self.noop && failure.is_about_the_product() {
            true => {
                failure.with("right after the action nothing on the screen had changed, so it may not have arrived")
            }
            false => failure,
        }
    }

    pub(super) async fn capture(&mut self) -> Result<Arc<Frame>, Failure> {
        let frame = self.run.rig.desktop.capture().await?;
        self.look_at_link(&frame);
        Ok(frame)
    }

    /// Records what happened to the link since the picture before.
    pub(super) fn look_at_link(&mut self, frame: &Frame) {
        if let Some(item) = record::link(self.run.link, frame) {
            self.run.recorder.evidence(&self.step.id, item);
        }
        self.run.link = frame.link;
    }

    pub(super) fn masked(&self, text: &str) -> String {
        self.run.recorder.masked(text)
    }

    pub(super) fn note(&self, text: &str) {
        let item = Evidence::Note { text: text.to_string() };
        self.run.recorder.evidence(&self.step.id, item);
    }

    /// Records what a poll found, unless that was the last thing that such a poll found.
    pub(super) fn tell(&mut self, item: Evidence) {
        let same = |a: &Evidence, b: &Evidence| match (a, b) {
            (Evidence::Shell { command: a, .. }, Evidence::Shell { command: b, .. }) => a == b,
            (Evidence::Condition { condition: a, .. }, Evidence::Condition { condition: b, .. }) => a == b,
            _ => false,
        };
        let timeless = |item: &Evidence| match item.clone() {
            Evidence::Shell {
                command,
                exit,
                stdout,
                stderr,
                truncated,
                ..
            } => Evidence::Shell {
                command,
                exit,
                stdout,
                stderr,
                truncated,
                ms: 0,
            },
            other => other,
        };
        let plain = timeless(&item);
        match self.told.iter_mut().find(|before| same(before, &item)) {
            Some(before) if *before == plain => return,
            Some(before) => *before = plain,
            None => self.told.push(plain),
        }
        self.run.recorder.evidence(&self.step.id, item);
    }

    /// Asks about the started programs, now. During cleanup they are meant to end.
    pub(super) async fn look_after(&mut self) -> Result<(), Failure> {
        if self.step.section == Section::Cleanup {
            return Ok(());
        }
        let run = &mut *self.run;
        run.watch
            .look(run.rig.guest.as_ref(), &run.recorder, &self.step.id)
            .await
    }

    /// As `look_after`, but not every time: for loops.
    pub(super) async fn glance(&mut self) -> Result<(), Failure> {
        if self.step.section == Section::Cleanup {
            return Ok(());
        }
        let run = &mut *self.run;
        run.watch
            .glance(run.rig.guest.as_ref(), &run.recorder, &self.step.id)
            .await
    }

    /// The guest as it is when a step did not pass, once in a run: what follows from a failure tells less.
    async fn tell_guest(&mut self, failure: &Failure) {
        let about =
            matches!(failure.kind, Kind::Failed | Kind::TimedOut | Kind::Crashed) || failure.reason == SETUP_FAILED;
        if !about || self.step.soft || self.step.section == Section::Cleanup || self.run.told_guest {
            return;
        }
        self.run.told_guest = true;
        let died = self.run.watch.died().to_vec();
        let guest = self.run.rig.guest.clone();
        for (about, text) in guest::diagnose(guest.as_ref(), self.run.session.as_ref(), &died).await {
            // Masked before it is cut.
            let text: Vec<String> = self
                .masked(&text)
                .lines()
                .map(|line| line.chars().take(GUEST_LINE).collect())
                .collect();
            let text = record::tail(&text.join("\n")).0;
            self.run
                .recorder
                .evidence(&self.step.id, Evidence::Guest { about, text });
        }
    }

    /// The desktop as it is when a step did not pass; without it a person has to guess.
    async fn last_picture(&mut self) {
        if let Ok(Ok(frame)) = tokio::time::timeout(LAST_PICTURE, self.capture()).await
            && self.shown.as_deref() != Some(frame.digest().as_str())
        {
            self.show(Role::Failure, &frame, Vec::new()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::time_given;
    use std::time::Duration;

    #[test]
    fn a_time_is_the_authors_or_says_which_part_of_it_it_is() {
        let ms = Duration::from_millis;
        assert_eq!(time_given(ms(5_990), ms(6_000), None), "within 6s");
        assert_eq!(
            time_given(ms(4_800), ms(6_000), None),
            "within 4.8s, what the action had left of the step's 6s"
        );
        assert_eq!(
            time_given(ms(3_000), ms(6_000), Some((1, 2))),
            "within 3.0s, the part of attempt 1 of 2 in the step's 6s"
        );
        assert_eq!(
            time_given(Duration::ZERO, ms(1_500), None),
            "at once, when the action had taken all of the step's 1.5s"
        );
    }
}
