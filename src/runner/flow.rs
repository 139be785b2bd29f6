//! Which step runs next: lists of steps, two ways, rounds, routines.

use super::check::{Held, needs_frame};
use super::failure::{Failure, Kind};
use super::only_a_model::NEEDS_MODEL;
use super::run::{Ended, Run};
use super::step::{Stage, run_leaf};
use super::stop::Stop;
use crate::api::FailureClass;
use crate::results::STEP_INSIDE;
use crate::scenario::{Action, Branch, Check, Late, Repeat, Section, Step, Use};
use futures::future::BoxFuture;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Reason where a value is missing.
const NOT_CAPTURED: &str = "NotCaptured";

/// Steps one after the other. After one that did not pass, the others are skipped; soft failures are kept in the run.
pub(super) fn run_steps<'a>(run: &'a mut Run, steps: &'a [Step], stop: &'a Stop) -> BoxFuture<'a, Result<(), Ended>> {
    Box::pin(async move {
        let mut ended: Option<Ended> = None;
        for step in steps {
            if let Some(ended) = &ended {
                run.skip(step, &skip_reason(ended));
                continue;
            }
            if let Err(failed) = run_step(run, step, stop).await {
                match step.soft && failed.failure.is_about_the_product() {
                    true => {
                        run.soft.get_or_insert(failed);
                    }
                    false => ended = Some(failed),
                }
            }
        }
        ended.map_or(Ok(()), Err)
    })
}

/// Why what comes after it does not run.
pub(super) fn skip_reason(ended: &Ended) -> String {
    match ended.failure.kind {
        Kind::Cancelled => "the run was cancelled".to_string(),
        Kind::RunTimedOut => "the run's time was up".to_string(),
        _ => format!("{} did not pass", ended.step),
    }
}

/// One step, whatever it holds; and what is done when it fails.
pub(super) async fn run_step(run: &mut Run, step: &Step, stop: &Stop) -> Result<(), Ended> {
    let result = match ready(run, step) {
        Ready::Run(step) => match &step.action {
            Action::If(branch) => either(run, &step, branch, stop).await,
            Action::Repeat(repeat) => rounds(run, &step, repeat, stop).await,
            Action::Use(call) => routine(run, &step, call, stop).await,
            _ => run_leaf(run, &step, stop).await,
        },
        Ready::Skip(reason) => {
            run.skip(step, &reason);
            return Ok(());
        }
        Ready::Wrong(failure) => Err(refuse(run, step, failure)),
    };
    match result {
        Err(ended) if !matches!(ended.failure.kind, Kind::Cancelled | Kind::RunTimedOut) => {
            Err(find_out_more(run, step, ended, stop).await)
        }
        result => result,
    }
}

/// Ends a step that cannot begin.
fn refuse(run: &mut Run, step: &Step, failure: Failure) -> Ended {
    let named = Step {
        id: step.id.clone() + &run.round(),
        ..step.clone()
    };
    let failure = failure.in_section(step.section);
    run.begin(&named);
    run.end(&named, Err(&failure), 0, Instant::now());
    for (_, child) in step.children() {
        run.skip(child, &format!("{} did not pass", named.id));
    }
    Ended::new(failure, &named)
}

/// Steps that tell more of a failure. What they meet decides nothing, but for a program's death that shows only now, and
/// for evidence that is lost: without it no verdict could be trusted.
async fn find_out_more(run: &mut Run, step: &Step, mut ended: Ended, stop: &Stop) -> Ended {
    for further in &step.on_failure {
        if let Err(met) = Box::pin(run_step(run, further, stop)).await
            && outweighs(met.failure.kind, ended.failure.kind)
        {
            ended = met;
        }
    }
    ended
}

fn outweighs(met: Kind, first: Kind) -> bool {
    const LOST: Kind = Kind::Error(FailureClass::Artifact);
    match met {
        Kind::Crashed => first != Kind::Crashed && first != LOST,
        met => met == LOST && first != LOST,
    }
}

/// A step with everything it needs, or why it does not run.
enum Ready<'s> {
    Run(Box<Cow<'s, Step>>),
    Skip(String),
    Wrong(Failure),
}

/// Asks the step's facts, fills in what the run has found out, and gives the step the name of its round.
fn ready<'s>(run: &Run, step: &'s Step) -> Ready<'s> {
    let left_out = |step: &Step| {
        let captured = run.captured();
        let fact = (step.when.iter()).find(|fact| fact.holds_with(captured) == Some(false))?;
        let is = fact.value.as_ref().or_else(|| captured.get(&fact.name));
        let is = is.map(String::as_str).unwrap_or_default();
        Some(format!("only when {fact}, and {} is '{is}'", fact.name))
    };
    // First: a step that is not meant to run needs nothing.
    if let Some(reason) = left_out(step) {
        return Ready::Skip(reason);
    }
    let mut step = Cow::Borrowed(step);
    if let Some(late) = &step.late {
        match fill(run, late) {
            Ok(filled) => {
                step = Cow::Owned(Step {
                    id: step.id.clone(),
                    // What is asked again and again is filled in each time.
                    late: Some(late.clone()),
                    ..filled
                });
            }
            Err(failure) if failure.reason == NOT_CAPTURED && step.section == Section::Cleanup => {
                return Ready::Skip(failure.message);
            }
            Err(failure) => return Ready::Wrong(failure),
        }
        if let Some(reason) = left_out(&step) {
            return Ready::Skip(reason);
        }
    }
    let round = run.round();
    if !round.is_empty() {
        step.to_mut().id += &round;
    }
    Ready::Run(Box::new(step))
}

/// The step with what the run has found out by now.
fn fill(run: &Run, late: &Late) -> Result<Step, Failure> {
    let values = run.captured();
    let missing: Vec<&str> = late
        .needs
        .iter()
        .filter(|n| !values.contains_key(*n))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let why = format!("it needs {}, which no step captured in this run", missing.join(", "));
        return Err(match run.soft {
            // The step that would have captured it did not pass, and the run went on.
            Some(_) => Failure::failed(NOT_CAPTURED, why),
            None => Failure::author(NOT_CAPTURED, why),
        });
    }
    let filled = late
        .fill(values)
        .map_err(|errors| Failure::author("NotFilledIn", errors.to_string()))?;
    let wrong = super::feasible::problems(&filled, run.rig.guest.system());
    if !wrong.is_empty() {
        return Err(Failure::author("NotFeasible", wrong.join("; ")));
    }
    match super::only_a_model::beyond(run.rig.vision.as_ref(), &filled) {
        unanswered if unanswered.is_empty() => Ok(filled),
        unanswered => Err(Failure::author(NEEDS_MODEL, unanswered.join("; "))),
    }
}

async fn either(run: &mut Run, step: &Step, branch: &Branch, stop: &Stop) -> Result<(), Ended> {
    let start = Instant::now();
    run.begin(step);
    let held = {
        let mut stage = Stage::new(run, step);
        let held = tokio::select! {
            biased;
            failure = stop.fired() => Err(failure),
            held = stage.decide(&branch.condition, branch.patience) => held,
        };
        stage.judged(held).await
    };
    let (way, other) = match held {
        Ok(true) => (&branch.then, &branch.otherwise),
        Ok(false) => (&branch.otherwise, &branch.then),
        Err(failure) => {
            run.end(step, Err(&failure), 1, start);
            for (_, child) in step.children() {
                run.skip(child, &format!("{} did not pass", step.id));
            }
            return Err(Ended::new(failure, step));
        }
    };
    let went = match std::ptr::eq(way, &branch.then) {
        true => "the condition held",
        false => "the condition did not hold",
    };
    // In the order of the plan.
    if std::ptr::eq(way, &branch.otherwise) {
        other.iter().for_each(|step| run.skip(step, went));
    }
    let result = run_steps(run, way, stop).await;
    if std::ptr::eq(way, &branch.then) {
        other.iter().for_each(|step| run.skip(step, went));
    }
    end(run, step, result, start)
}

async fn rounds(run: &mut Run, step: &Step, repeat: &Repeat, stop: &Stop) -> Result<(), Ended> {
    let start = Instant::now();
    run.begin(step);
    run.rounds.push(0);
    let result = all_rounds(run, step, repeat, stop).await;
    // A step of the plan that no round came to.
    if let Some(round) = run.rounds.last_mut() {
        *round = 1;
    }
    for child in &repeat.steps {
        run.skip(child, "no round came to it");
    }
    run.rounds.pop();
    end(run, step, result, start)
}

async fn all_rounds(run: &mut Run, step: &Step, repeat: &Repeat, stop: &Stop) -> Result<(), Ended> {
    for round in 1..=repeat.rounds {
        if let Some(check) = until(run, step, repeat)?
            && is_reached(run, step, &check, stop).await?
        {
            return Ok(());
        }
        if let Some(last) = run.rounds.last_mut() {
            *last = round;
        }
        run_steps(run, &repeat.steps, stop).await?;
    }
    match until(run, step, repeat)? {
        Some(check) if !is_reached(run, step, &check, stop).await? => {
            let message = format!("{check}: did not hold after {} rounds", repeat.rounds);
            let failure = Failure::failed("NotReached", message).in_section(step.section);
            Err(Ended::new(failure, step))
        }
        _ => Ok(()),
    }
}

async fn is_reached(run: &mut Run, step: &Step, check: &Check, stop: &Stop) -> Result<bool, Ended> {
    // The steps of the round have spent of their own.
    run.rig.vision.in_step(&step.id);
    let mut stage = Stage::new(run, step);
    let reached = tokio::select! {
        biased;
        failure = stop.fired() => Err(failure),
        held = stage.decide(check, Duration::ZERO) => held,
    };
    let reached = stage.judged(reached).await;
    reached.map_err(|failure| Ended::new(failure, step))
}

/// What ends the rounds, with the values as they are now: a round may have captured them anew.
fn until<'r>(run: &Run, step: &Step, repeat: &'r Repeat) -> Result<Option<Cow<'r, Check>>, Ended> {
    let (Some(check), Some(late)) = (&repeat.until, &step.late) else {
        return Ok(repeat.until.as_ref().map(Cow::Borrowed));
    };
    let filled = fill(run, late).map_err(|failure| Ended::new(failure.in_section(step.section), step))?;
    Ok(Some(match filled.action {
        Action::Repeat(Repeat { until: Some(now), .. }) => Cow::Owned(now),
        _ => Cow::Borrowed(check),
    }))
}

async fn routine(run: &mut Run, step: &Step, call: &Use, stop: &Stop) -> Result<(), Ended> {
    let start = Instant::now();
    run.begin(step);
    run.frames.push(BTreeMap::new());
    let result = run_steps(run, &call.steps, stop).await;
    let inner = run.frames.pop().unwrap_or_default();
    if let (Ok(()), Some(outer)) = (&result, run.frames.last_mut()) {
        for (mine, theirs) in &call.outputs {
            if let Some(value) = inner.get(theirs) {
                outer.insert(mine.clone(), value.clone());
            }
        }
    }
    end(run, step, result, start)
}

/// The end of a step that holds others.
fn end(run: &mut Run, step: &Step, result: Result<(), Ended>, start: Instant) -> Result<(), Ended> {
    match &result {
        Ok(()) => run.end(step, Ok(None), 1, start),
        Err(ended) if ended.step == step.id => run.end(step, Err(&ended.failure), 1, start),
        Err(ended) => {
            let told = Failure {
                kind: ended.failure.kind,
                reason: STEP_INSIDE,
                message: format!("{} did not pass", ended.step),
            };
            run.end(step, Err(&told), 1, start);
        }
    }
    result
}

impl Stage<'_> {
    /// Whether a condition that chooses a way holds, on a desktop that is still.
    async fn decide(&mut self, check: &Check, patience: Duration) -> Result<bool, Failure> {
        self.run.tested |= self.step.section == Section::Steps;
        if needs_frame(check) {
            self.still().await?;
        }
        // A look without patience is one question all the same.
        self.grace = self.grace.max(self.run.rig.vision.patience());
        match self.hold(check, Instant::now() + patience).await? {
            Held::Yes => Ok(true),
            Held::No(why) => {
                self.note(&format!("{check}: no; {why}"));
                Ok(false)
            }
            Held::CannotTell(why) => Err(Failure::error(
                FailureClass::Vision,
                "CannotTell",
                format!("{check}: nobody could tell, so that neither way is right: {why}"),
            )),
        }
    }
}
