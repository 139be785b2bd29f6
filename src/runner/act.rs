//! What each action does.

use super::check::{Held, asks_only_the_guest};
use super::failure::{Failure, Kind};
use super::locate::unchanged;
use super::screen::Screen;
use super::step::Stage;
use super::{display, record};
use crate::api::FailureClass;
use crate::desktop::{self, Button, Effect, Frame, Point, Wheel};
use crate::guest::{self, Command, Exit, Output, Session, Sight, Windows, awaits_window};
use crate::results::{Evidence, Role};
use crate::scenario::{
    self, Action, Capture, Check, Click, Direction, Drag, Launch, Motion, Scroll, Shell, Type, Words,
};
use crate::vision::Hit;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The desktop counts as still after this long without a change, and is waited for at most so long.
pub(super) const QUIET: Duration = Duration::from_millis(400);
pub(super) const SETTLE: Duration = Duration::from_secs(3);
/// A screen that answers later than this after an action had stood still with it. Screens answer within a tenth of that.
const STOOD_STILL: Duration = Duration::from_secs(2);
/// How long a desktop session is waited for.
const SESSION: Duration = Duration::from_secs(30);
/// The first letter: no layout needs Shift for it. And how long it has to show.
const CANARY: &str = "q";
const CANARY_TIME: Duration = Duration::from_secs(10);
/// Time of a straight way of the pointer.
const WAY: Duration = Duration::from_millis(160);

impl Stage<'_> {
    /// Does the step's action once.
    pub(super) async fn act(&mut self, until: Instant) -> Result<(), Failure> {
        let step = self.step;
        match &step.action {
            Action::Launch(launch) => self.launch(launch, until).await,
            Action::Click(click) => {
                self.click(click, until).await?;
                self.after().await
            }
            Action::Hover(target) => {
                let (hit, frame) = self.find(target, until).await?;
                self.acting(&frame);
                let desktop = self.pointing();
                let moved = match self.step.dwell {
                    Some(_) => self.rest(hit.point).await,
                    None => desktop.move_to(hit.point).await,
                };
                self.pointers.push(desktop.position());
                self.show(Role::Before, &frame, vec![record::area_mark(&hit)]).await;
                moved?;
                self.after().await
            }
            Action::Drag(drag) => {
                self.drag(drag, until).await?;
                self.after().await
            }
            Action::Scroll(scroll) => {
                self.scroll(scroll, until).await?;
                self.after().await
            }
            Action::Type(typing) => {
                self.type_into(typing, until).await?;
                self.after().await
            }
            Action::Key(key) => {
                self.before().await?;
                for _ in 0..key.times {
                    for chord in &key.chords {
                        self.run.rig.desktop.key(chord, key.hold).await?;
                    }
                }
                let times = if key.times > 1 {
                    format!(" {} times", key.times)
                } else {
                    String::new()
                };
                self.note(&format!("pressed {}{times}", key.chords.join(", ")));
                self.after().await
            }
            Action::Expect(check) => self.expect(check, until, Kind::Failed, "CheckFailed").await,
            Action::WaitFor(check) | Action::WaitGone(check) => {
                self.expect(check, until, Kind::TimedOut, "WaitTimedOut").await
            }
            Action::Never(never) => self.never(never, until).await,
            Action::Shell(shell) => {
                let left = until
                    .saturating_duration_since(Instant::now())
                    .max(Duration::from_millis(500));
                let output = self.shell(shell, left).await?;
                let told = record::last_lines(&self.masked(&output.stderr));
                let told = if told.is_empty() {
                    String::new()
                } else {
                    format!(": {told}")
                };
                match output.exit {
                    Exit::Code(code) if code == shell.exit => self.take(&shell.capture, &output),
                    Exit::TimedOut => Err(Failure {
                        kind: Kind::TimedOut,
                        reason: "CommandTimedOut",
                        message: format!("the command did not end {}{told}", self.time_given(left)),
                    }),
                    exit => Err(Failure::failed(
                        "CommandFailed",
                        format!("the command ended with {exit}, not with exit code {}{told}", shell.exit),
                    )),
                }
            }
            Action::Stage(file) => self.stage(file).await,
            Action::Reboot(_) => self.reboot(until).await,
            Action::Install(install) => self.install(install, until).await,
            Action::Uninstall(uninstall) => self.uninstall(uninstall, until).await,
            Action::Snapshot(snapshot) => self.snapshot(snapshot, until).await,
            Action::Rollback(name) => self.rollback(name, until).await,
            Action::Power(power) => self.power(*power, until).await,
            // Steps that hold others are carried out by `flow`.
            Action::If(_) | Action::Repeat(_) | Action::Use(_) => Ok(()),
            Action::Screenshot(_) => {
                let frame = self.capture().await?;
                self.show(Role::Asked, &frame, Vec::new()).await;
                Ok(())
            }
            Action::Note(text) => {
                self.note(text);
                Ok(())
            }
        }
    }

    /// Keeps what later steps use of a command's output.
    fn take(&mut self, wanted: &[Capture], output: &Output) -> Result<(), Failure> {
        for capture in wanted {
            // First: what was cut off may hold what is missing here.
            if output.truncated {
                return Err(Failure::error(
                    FailureClass::Guest,
                    "CannotTell",
                    format!(
                        "{}: the command printed more than is kept; let it print less",
                        capture.name
                    ),
                ));
            }
            let value = match &capture.pattern {
                None => Some(output.stdout.trim()),
                Some(pattern) => pattern
                    .captures(&output.stdout)
                    .and_then(|found| found.get(1).or_else(|| found.get(0)))
                    .map(|found| found.as_str()),
            };
            let Some(value) = value else {
                let pattern = capture.pattern.as_ref().map(ToString::to_string).unwrap_or_default();
                let printed = record::last_lines(&self.masked(&output.stdout));
                return Err(Failure::failed(
                    "NotCaptured",
                    format!(
                        "{}: the output does not match /{pattern}/; it is '{printed}'",
                        capture.name
                    ),
                ));
            };
            let shown = record::cut(&self.masked(value), 200);
            self.note(&format!("{} is '{shown}'", capture.name));
            if let Some(frame) = self.run.frames.last_mut() {
                frame.insert(capture.name.clone(), value.to_string());
            }
        }
        Ok(())
    }

    /// A condition must hold by `until`; that nobody can tell is not the product's fault.
    pub(super) async fn expect(
        &mut self,
        check: &Check,
        until: Instant,
        kind: Kind,
        reason: &'static str,
    ) -> Result<(), Failure> {
        let given = self.time_given(until.saturating_duration_since(Instant::now()));
        self.expect_within(check, until, &given, kind, reason).await
    }

    /// As `expect`, where the time is not the step's: `given` says which it is.
    async fn expect_within(
        &mut self,
        check: &Check,
        until: Instant,
        given: &str,
        kind: Kind,
        reason: &'static str,
    ) -> Result<(), Failure> {
        match self.hold(check, until).await? {
            Held::Yes => Ok(()),
            Held::No(why) => Err(Failure {
                kind,
                reason,
                message: format!("{check}: did not hold {given}: {why}"),
            }),
            Held::CannotTell(why) => Err(match asks_only_the_guest(check) {
                true => Failure::error(FailureClass::Guest, "CannotTell", format!("{check}: {why}")),
                false => Failure::error(
                    FailureClass::Vision,
                    "CannotTell",
                    format!("{check}: the vision backend could not tell: {why}"),
                ),
            }),
        }
    }

    async fn before(&mut self) -> Result<(), Failure> {
        let frame = self.capture().await?;
        self.show(Role::Before, &frame, Vec::new()).await;
        self.acting(&frame);
        Ok(())
    }

    /// What comes after this picture is the action's doing.
    fn acting(&mut self, frame: &Arc<Frame>) {
        self.before = Some(frame.clone());
        self.pointers = vec![self.run.rig.desktop.position()];
    }

    /// Waits until the screen is still, and says what the action did to it.
    async fn after(&mut self) -> Result<(), Failure> {
        let most = self.step.settle.unwrap_or(SETTLE);
        let settled = self.run.rig.desktop.settle(QUIET, most).await?;
        self.look_at_link(&settled.frame);
        self.stood_still = Some(settled.answered).filter(|time| *time > STOOD_STILL);
        if let Some(before) = self.before.take() {
            let pointers: &[Point] = if before.has_cursor() { &[] } else { &self.pointers };
            let effect = Effect::between(&before, &settled.frame, self.run.moving, pointers);
            self.noop = effect == Effect::SuspectedNoop;
            self.run.recorder.evidence(&self.step.id, record::effect(effect));
        }
        self.run.moving = settled.changed.filter(|_| !settled.still);
        self.show(Role::After, &settled.frame, Vec::new()).await;
        Ok(())
    }

    async fn click(&mut self, click: &Click, until: Instant) -> Result<Hit, Failure> {
        let (hit, frame) = self.find(&click.target, until).await?;
        let (button, count) = (button(click.button), u32::from(click.count));
        let marks = vec![record::area_mark(&hit), record::click_mark(hit.point)];
        // The picture is stored after the click: that takes time in which the target could move. It is stored also when
        // the click failed.
        let desktop = self.pointing();
        self.acting(&frame);
        let clicked = async {
            self.rest(hit.point).await?;
            desktop.click(hit.point, button, count, &click.modifiers).await
        }
        .await;
        self.pointers.push(desktop.position());
        self.show(Role::Before, &frame, marks).await;
        clicked?;
        Ok(hit)
    }

    /// The screen, with the pointer's way that the step says. A step's way is the same in each run.
    pub(super) fn pointing(&self) -> Arc<dyn Screen> {
        let desktop = self.run.rig.desktop.clone();
        let seed = || (self.step.id.bytes()).fold(0, |seed: u64, b| seed.wrapping_mul(31).wrapping_add(b.into()));
        match self.step.motion {
            None => desktop,
            Some(Motion::Instant) => desktop.moving(desktop::Motion::Instant),
            Some(Motion::Linear) => desktop.moving(desktop::Motion::Linear(WAY)),
            Some(Motion::Bezier) => desktop.moving(desktop::Motion::Bezier(WAY * 2, seed())),
            Some(Motion::WindMouse) => desktop.moving(desktop::Motion::WindMouse(seed())),
        }
    }

    /// Rests there, where the step says so: menus and tool tips may need it.
    async fn rest(&self, at: Point) -> Result<(), desktop::Error> {
        if let Some(dwell) = self.step.dwell {
            self.pointing().move_to(at).await?;
            sleep(dwell).await;
        }
        Ok(())
    }

    async fn drag(&mut self, drag: &Drag, until: Instant) -> Result<(), Failure> {
        let (mut from, mut seen) = self.find(&drag.target, until).await?;
        // The search for the destination may take long, and what is dragged may move meanwhile.
        let (to, frame) = loop {
            let (to, frame) = self.find(&drag.to, until).await?;
            if from.rung == "at"
                || unchanged(&seen, &frame, from.rect)
                || self.is_there(&drag.target, &from, &frame, until).await?
            {
                break (to, frame);
            }
            self.note("what is dragged has changed while its destination was looked for; looking again");
            if Instant::now() >= until {
                let message = format!("{} was found, but its place kept changing", drag.target);
                return Err(Failure::failed("TargetMoves", message));
            }
            (from, seen) = self.find(&drag.target, until).await?;
        };
        let marks = vec![
            record::area_mark(&from),
            record::click_mark(from.point),
            record::click_mark(to.point),
        ];
        self.acting(&frame);
        let desktop = self.pointing();
        let dragged = async {
            self.rest(from.point).await?;
            desktop.drag(from.point, to.point, button(drag.button)).await
        }
        .await;
        self.pointers.push(desktop.position());
        self.show(Role::Before, &frame, marks).await;
        Ok(dragged?)
    }

    async fn scroll(&mut self, scroll: &Scroll, until: Instant) -> Result<(), Failure> {
        let at = match &scroll.target {
            Some(target) => {
                let (hit, frame) = self.find(target, until).await?;
                self.show(Role::Before, &frame, vec![record::area_mark(&hit)]).await;
                self.acting(&frame);
                Some(hit.point)
            }
            None => {
                self.before().await?;
                None
            }
        };
        let notches = i32::try_from(scroll.notches).unwrap_or(i32::MAX);
        let (wheel, notches) = match scroll.direction {
            Direction::Up => (Wheel::Vertical, -notches),
            Direction::Down => (Wheel::Vertical, notches),
            Direction::Left => (Wheel::Horizontal, -notches),
            Direction::Right => (Wheel::Horizontal, notches),
        };
        let desktop = self.run.rig.desktop.clone();
        let scrolled = desktop.scroll(at, wheel, notches).await;
        self.pointers.push(desktop.position());
        Ok(scrolled?)
    }

    async fn type_into(&mut self, typing: &Type, until: Instant) -> Result<(), Failure> {
        // Before the field has the focus: a program in the guest may take it.
        if let (Some(_), Words::Plain(text)) = (&typing.paste, &typing.text) {
            let session = self.session().await?;
            guest::put_clipboard(self.run.rig.guest.clone().as_ref(), &session, text).await?;
        }
        match &typing.into {
            Some(target) => {
                let click = Click {
                    target: target.clone(),
                    button: scenario::Button::Left,
                    count: 1,
                    modifiers: Vec::new(),
                };
                self.click(&click, until).await?;
                self.run.rig.desktop.settle(QUIET, SETTLE).await?;
            }
            None => self.before().await?,
        }
        let desktop = self.run.rig.desktop.clone();
        if typing.clear {
            desktop.key("ctrl+a", None).await?;
            desktop.key("backspace", None).await?;
        }
        if let Some(check) = &typing.canary {
            self.canary(check, until).await?;
        }
        match (&typing.text, &typing.paste) {
            (Words::Plain(text), paste) => {
                self.run.typed.insert(text.clone());
                match paste {
                    Some(chord) => desktop.key(chord, None).await?,
                    None => desktop.type_text(text).await?,
                }
            }
            (Words::Secret(secret), _) => desktop.type_secret(secret).await?,
        }
        if let Some(chord) = &typing.then {
            desktop.key(chord, None).await?;
        }
        self.note(&format!("typed {typing}"));
        Ok(())
    }

    /// Types a letter, and goes on only if it shows where the text belongs; in either case it is deleted.
    async fn canary(&mut self, check: &Check, until: Instant) -> Result<(), Failure> {
        let desktop = self.run.rig.desktop.clone();
        desktop.type_text(CANARY).await?;
        let given = format!("within {CANARY_TIME:?}");
        let held = self.expect_within(
            check,
            until.min(Instant::now() + CANARY_TIME),
            &given,
            Kind::Failed,
            "CanaryLost",
        );
        let held = held.await;
        desktop.key("backspace", None).await?;
        held.map_err(|failure| failure.with(&format!("the text was not typed; '{CANARY}' was, and deleted")))
    }

    async fn launch(&mut self, launch: &Launch, until: Instant) -> Result<(), Failure> {
        let session = self.session().await?;
        let seen = display::seen(&session, launch.display)?;
        self.before().await?;
        let guest = self.run.rig.guest.clone();
        // Another's window, or one that an earlier start has left, is not this program's.
        let before = match &launch.window {
            Some(title) => guest::windows_now(guest.as_ref(), &session, title).await?,
            None => Windows::default(),
        };
        let app = guest::launch(guest.as_ref(), &seen, &launch.argv).await?;
        let (name, pid) = (app.name.clone(), app.pid);
        self.run.recorder.evidence(
            &self.step.id,
            Evidence::App {
                name: name.clone(),
                pid,
                state: format!("started for {} in the session led by {}", session.user, session.leader),
                output: String::new(),
            },
        );
        self.run.watch.add(app.clone());
        if let Some(title) = &launch.window {
            loop {
                let sight = awaits_window(guest.as_ref(), &session, title, &app, &before).await?;
                if sight == Sight::Shown {
                    break;
                }
                // A crash speaks about the product on every desktop.
                self.look_after().await?;
                // A launcher ends well before the window comes of what it has started.
                let handed_over = self.run.watch.latest_end() == Ok(Some(Exit::Code(0)));
                let ended = !self.run.watch.knows(pid) && !handed_over;
                let late = Instant::now() >= until;
                let old = match before.is_empty() {
                    true => "",
                    false => "; one that was there before does not count",
                };
                match sight {
                    Sight::Never => return Err(unseen(title, &session)),
                    Sight::Unknown if ended || late => return Err(unseen(title, &session)),
                    _ if ended => {
                        return Err(Failure::failed(
                            "ApplicationEnded",
                            format!("{name} ended before a window '{title}' was shown"),
                        ));
                    }
                    _ if late && handed_over => {
                        return Err(Failure::failed(
                            "ApplicationEnded",
                            format!("{name} ended with exit code 0, and no window '{title}' was shown in time{old}"),
                        ));
                    }
                    _ if late => {
                        return Err(Failure {
                            kind: Kind::TimedOut,
                            reason: "WindowNotShown",
                            message: format!("{name} runs, but shows no window whose title contains '{title}'{old}"),
                        });
                    }
                    _ => {}
                }
                sleep(Duration::from_millis(200)).await;
            }
        }
        self.after().await
    }

    /// Runs a command and records it. A lost link is an error, never a result.
    pub(super) async fn shell(&mut self, shell: &Shell, limit: Duration) -> Result<Output, Failure> {
        let command = match &shell.user {
            Some(user) => command(shell, user, limit),
            None => {
                let session = self.session().await?;
                let own = command(shell, &session.user, limit);
                let given = own.env.clone();
                own.with_env(session.environment()).with_env(given)
            }
        };
        let start = Instant::now();
        let output = self.run.rig.guest.exec(command).await?;
        // Masked before it is cut: a secret that the cut divides would not be found any more.
        let ((stdout, a), (stderr, b)) = (
            record::tail(&self.masked(&output.stdout)),
            record::tail(&self.masked(&output.stderr)),
        );
        self.tell(Evidence::Shell {
            command: shell.script.clone(),
            exit: super::watch::describe(output.exit),
            stdout,
            stderr,
            truncated: output.truncated || a || b,
            ms: start.elapsed().as_millis() as u64,
        });
        Ok(output)
    }

    /// The desktop session, looked for once per run.
    pub(super) async fn session(&mut self) -> Result<Session, Failure> {
        if let Some(session) = &self.run.session {
            return Ok(session.clone());
        }
        let session = guest::discover(self.run.rig.guest.as_ref(), SESSION).await?;
        let item = Evidence::Environment { facts: session.facts() };
        self.run.recorder.evidence(&self.step.id, item);
        Ok(self.run.session.insert(session).clone())
    }
}

/// The command of a shell step. The variables of the scenario win over the session's.
pub(super) fn command(shell: &Shell, user: &str, limit: Duration) -> Command {
    let env = shell.env.iter().map(|(name, value)| {
        let value = match value {
            Words::Plain(text) => SecretString::from(text.as_str()),
            Words::Secret(secret) => secret.clone(),
        };
        (name.clone(), value)
    });
    Command::script(shell.script.clone(), limit)
        .of_scenario()
        .as_user(user)
        .with_env(env)
}

fn button(button: scenario::Button) -> Button {
    match button {
        scenario::Button::Left => Button::Left,
        scenario::Button::Middle => Button::Middle,
        scenario::Button::Right => Button::Right,
    }
}

fn unseen(title: &str, session: &Session) -> Failure {
    let (title, leader) = (title.to_string(), session.leader.clone());
    guest::Error::UnseenWindow { title, leader }.into()
}
