//! Conditions: looked at on fresh frames until they hold or the time is up.

use super::failure::Failure;
use super::locate::LATE;
use super::record;
use super::step::Stage;
use crate::api::FailureClass;
use crate::desktop::Frame;
use crate::guest::Exit;
use crate::results::{Evidence, Mark, Role};
use crate::scenario::{Check, Fact, ShellCheck, Target, TargetFields, Within};
use crate::vision::{self, Located, Verdict};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const POLL: Duration = Duration::from_millis(250);
const SLOW_POLL: Duration = Duration::from_secs(1);
/// A command that is a check has all the time that is left, and at least this.
const LOOK: Duration = Duration::from_secs(2);

/// What a look at a condition gave.
pub(super) struct Finding {
    pub verdict: Verdict,
    pub reason: String,
    pub marks: Vec<Mark>,
    /// False where the answer is "no" because the time was up (a command that did not end): its opposite is not true
    /// then.
    pub sound: bool,
}

impl Finding {
    pub fn new(verdict: Verdict, reason: impl Into<String>) -> Finding {
        Finding {
            verdict,
            reason: reason.into(),
            marks: Vec::new(),
            sound: true,
        }
    }
}

/// How a condition ended.
pub(super) enum Held {
    Yes,
    /// It did not hold on the last look.
    No(String),
    /// Nobody could say on the last look.
    CannotTell(String),
}

pub(super) fn needs_frame(check: &Check) -> bool {
    (check.parts().iter()).any(|part| matches!(part, Check::See(_) | Check::Text(_)))
}

/// True where the guest has a part in where the target is: of a window or an element, it knows.
pub(super) fn guest_knows(target: &Target) -> bool {
    let of_guest = |t: &TargetFields| t.element.is_some() || matches!(t.within, Some(Within::Window(_)));
    target.fields().is_some_and(of_guest)
}

pub(super) fn needs_guest(check: &Check) -> bool {
    match check {
        Check::See(_) | Check::Fact(_) => false,
        Check::Text(target) => guest_knows(target),
        Check::Shell(_)
        | Check::Process(_)
        | Check::Window(_)
        | Check::File(_)
        | Check::Clipboard(_)
        | Check::Node(_)
        | Check::Log(_)
        | Check::Exited(_)
        | Check::Port(_) => true,
        Check::Not(check) => needs_guest(check),
        Check::Any(checks) | Check::All(checks) => checks.iter().any(needs_guest),
    }
}

/// True where no picture has a part in the answer.
pub(super) fn asks_only_the_guest(check: &Check) -> bool {
    needs_guest(check) && !needs_frame(check)
}

impl Stage<'_> {
    /// Looks until the condition holds or `until` is past; at least once.
    pub(super) async fn hold(&mut self, check: &Check, until: Instant) -> Result<Held, Failure> {
        let mut seen: Option<String> = None;
        let mut pause = POLL;
        self.last = None;
        let mut again = true;
        // The picture that the last answer is about: later ones may be the same.
        let mut judged: Option<Arc<Frame>> = None;
        // What kept the last look from an answer.
        let mut unanswered = None;
        loop {
            let began = Instant::now();
            let frame = if needs_frame(check) {
                Some(self.capture().await?)
            } else {
                None
            };
            let digest = frame.as_ref().map(|f| f.digest());
            // What only the picture decides is not asked again of the same picture.
            let news = needs_guest(check) || seen.is_none() || digest != seen;
            if news {
                unanswered = None;
                seen = digest.or(Some(String::new()));
                judged = frame.clone();
                self.unreadable = false;
                match self.look(check, frame.as_ref(), until).await {
                    Ok(finding) => {
                        // What is one question or one search has its own record.
                        if !matches!(check, Check::See(_) | Check::Text(_)) {
                            let item = Evidence::Condition {
                                condition: check.to_string(),
                                verdict: record::verdict(finding.verdict).to_string(),
                                reason: finding.reason.clone(),
                            };
                            self.tell(item);
                        }
                        match (finding.verdict, &frame) {
                            (Verdict::True, Some(frame)) => {
                                self.show(Role::Checked, frame, finding.marks.clone()).await;
                            }
                            // What a wait began with.
                            (_, Some(frame)) if self.shown.is_none() => {
                                self.show(Role::Before, frame, finding.marks.clone()).await;
                            }
                            _ => {}
                        }
                        match finding.verdict {
                            Verdict::True => return Ok(Held::Yes),
                            Verdict::False => self.last = Some(Held::No(finding.reason)),
                            Verdict::CannotTell => self.last = Some(Held::CannotTell(finding.reason)),
                        }
                    }
                    Err(failure) if self.hopeless || Instant::now() >= until => return Err(failure),
                    Err(failure) if failure.kind == super::Kind::Error(FailureClass::Vision) => {
                        // An outage passes. What cannot be read of an answer stays so while the picture does.
                        if !self.unreadable {
                            seen = None;
                        }
                        unanswered = Some(failure);
                    }
                    Err(failure) => return Err(failure),
                }
            }
            self.glance().await?;
            if Instant::now() >= until {
                if std::mem::take(&mut again) && until.saturating_duration_since(began) > LATE {
                    continue;
                }
                if let Some(failure) = unanswered {
                    return Err(failure);
                }
                if let Some(frame) = &judged {
                    self.show(Role::Checked, frame, Vec::new()).await;
                }
                return Ok(self
                    .last
                    .take()
                    .unwrap_or_else(|| Held::No("it was not looked at".into())));
            }
            sleep(pause.min(until.saturating_duration_since(Instant::now()))).await;
            // Pictures are cheap to compare; a question to the guest costs it a process.
            if needs_guest(check) {
                pause = (pause * 5 / 4).min(SLOW_POLL);
            }
        }
    }

    /// Looks once.
    pub(super) fn look<'a>(
        &'a mut self,
        check: &'a Check,
        frame: Option<&'a Arc<Frame>>,
        until: Instant,
    ) -> BoxFuture<'a, Result<Finding, Failure>> {
        Box::pin(async move {
            match (check, frame) {
                (Check::See(question), Some(frame)) => {
                    let start = Instant::now();
                    let vision = self.run.rig.vision.clone();
                    let judgement = self.answer(vision.judge(frame, question), until).await?;
                    let item = record::judged(question, frame, &judgement, start.elapsed());
                    self.run.recorder.evidence(&self.step.id, item);
                    Ok(Finding {
                        sound: true,
                        verdict: judgement.verdict,
                        marks: judgement.evidence.iter().map(record::area_mark).collect(),
                        reason: judgement.reason,
                    })
                }
                (Check::Text(target), Some(frame)) => Ok(match self.locate(frame, target, true, until).await? {
                    Located::Found(hit) if !hit.is_certain() => Finding {
                        marks: vec![record::area_mark(&hit)],
                        ..Finding::new(
                            Verdict::CannotTell,
                            format!(
                                "'{}' was read, but with little certainty ({:.2})",
                                hit.matched, hit.confidence
                            ),
                        )
                    },
                    Located::Found(hit) => Finding {
                        marks: vec![record::area_mark(&hit)],
                        ..Finding::new(Verdict::True, format!("'{}' is shown", hit.matched))
                    },
                    // That it is there more than once does not make it absent.
                    Located::Ambiguous { hits } => {
                        let (verdict, how) = match hits.iter().any(vision::Hit::is_certain) {
                            true => (Verdict::True, ""),
                            false => (Verdict::CannotTell, ", each time read with little certainty"),
                        };
                        Finding {
                            marks: hits.iter().map(record::area_mark).collect(),
                            ..Finding::new(verdict, format!("it is shown {} times{how}", hits.len()))
                        }
                    }
                    Located::NotFound { reason, sure: true } => Finding::new(Verdict::False, reason),
                    Located::NotFound { reason, sure: false } => {
                        Finding::new(Verdict::CannotTell, format!("{reason}; it may be there, but misread"))
                    }
                }),
                (Check::Shell(shell), _) => self.shell_check(shell, until).await,
                (
                    Check::Process(_)
                    | Check::Window(_)
                    | Check::File(_)
                    | Check::Log(_)
                    | Check::Clipboard(_)
                    | Check::Port(_),
                    _,
                ) => self.look_in_guest(check).await,
                (Check::Node(node), _) => self.look_at_node(node).await,
                (Check::Exited(code), _) => self.look_at_end(*code).await,
                (Check::Fact(facts), _) => Ok(match facts.iter().find(|fact| fact.holds() != Some(true)) {
                    None => Finding::new(Verdict::True, "it is so"),
                    Some(Fact { value: None, name, .. }) => {
                        Finding::new(Verdict::CannotTell, format!("{name} has no value"))
                    }
                    Some(Fact {
                        value: Some(value),
                        name,
                        ..
                    }) => Finding::new(Verdict::False, format!("{name} is '{value}'")),
                }),
                (Check::Not(check), frame) => {
                    let finding = self.look(check, frame, until).await?;
                    let verdict = match finding.verdict {
                        Verdict::True => Verdict::False,
                        Verdict::False if !finding.sound => Verdict::CannotTell,
                        Verdict::False => Verdict::True,
                        Verdict::CannotTell => Verdict::CannotTell,
                    };
                    Ok(Finding { verdict, ..finding })
                }
                (Check::Any(checks), frame) => self.several(checks, frame, until, Verdict::True).await,
                (Check::All(checks), frame) => self.several(checks, frame, until, Verdict::False).await,
                (Check::See(_) | Check::Text(_), None) => {
                    let frame = self.capture().await?;
                    self.look(check, Some(&frame), until).await
                }
            }
        })
    }

    /// Three-valued any (`decisive` is true) and all (`decisive` is false).
    async fn several(
        &mut self,
        checks: &[Check],
        frame: Option<&Arc<Frame>>,
        until: Instant,
        decisive: Verdict,
    ) -> Result<Finding, Failure> {
        let mut reasons = Vec::new();
        let mut marks = Vec::new();
        let mut unsure = false;
        let mut sound = true;
        for check in checks {
            let finding = self.look(check, frame, until).await?;
            if finding.verdict == decisive {
                return Ok(finding);
            }
            sound &= finding.sound;
            unsure |= finding.verdict == Verdict::CannotTell;
            reasons.push(finding.reason);
            marks.extend(finding.marks);
        }
        let verdict = match (unsure, decisive) {
            (true, _) => Verdict::CannotTell,
            (false, Verdict::True) => Verdict::False,
            (false, _) => Verdict::True,
        };
        Ok(Finding {
            verdict,
            reason: reasons.join("; "),
            marks,
            sound,
        })
    }

    async fn shell_check(&mut self, check: &ShellCheck, until: Instant) -> Result<Finding, Failure> {
        let left = until.saturating_duration_since(Instant::now());
        let output = self.shell(&check.shell, left.max(LOOK)).await?;
        let no = |reason: String| {
            Ok(Finding {
                sound: matches!(output.exit, Exit::Code(_)),
                ..Finding::new(Verdict::False, reason)
            })
        };
        let cannot_tell = |reason: String| Ok(Finding::new(Verdict::CannotTell, reason));
        let printed = record::last_lines(&self.masked(&output.stdout));
        match output.exit {
            Exit::Code(code) if code == check.shell.exit => {}
            Exit::TimedOut => return no("the command did not end in time".into()),
            exit => {
                let words = match record::last_lines(&self.masked(&output.stderr)) {
                    said if said.is_empty() => printed,
                    said => said,
                };
                let reason = format!(
                    "it ended with {}, not with exit code {}{}{words}",
                    super::watch::describe(exit),
                    check.shell.exit,
                    if words.is_empty() { "" } else { ": " },
                );
                return match exit {
                    // The shell could not run the command: nobody has looked.
                    Exit::Code(126 | 127) => cannot_tell(format!("the command could not be run: {reason}")),
                    _ => no(reason),
                };
            }
        }
        let miss = check.fits.miss(&output.stdout, "the output", &printed);
        // What was cut off may hold what is missing here, and is a part of what is compared as a whole.
        if output.truncated && (check.fits.needs_whole() || miss.is_some()) {
            return cannot_tell(format!(
                "the command printed more than is kept, so that its output cannot be checked{}{}; let it print less",
                if miss.is_none() { "" } else { ": " },
                miss.unwrap_or_default(),
            ));
        }
        if let Some(miss) = miss {
            return no(miss);
        }
        Ok(Finding::new(
            Verdict::True,
            format!("the command did as it should; it printed '{printed}'"),
        ))
    }
}
